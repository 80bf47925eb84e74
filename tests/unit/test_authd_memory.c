#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>

#include "authd/cache.h"
#include "authd/memory.h"
#include "authd/throttle.h"
#include "lib/networks.h"

#define NOW     1000000U
#define TIME    3600U
#define ENTRIES 5000U

/* One authd, or the next one. */
struct authd {
    int fd;
    struct memory *memory;
    struct cache *cache;
    struct throttle *throttle;
    unsigned taken;
    uint32_t now;
};

static void start(struct authd *authd, int last, uint64_t entries)
{
    memset(authd, 0, sizeof(*authd));
    authd->now = NOW;
    authd->fd = memfd_create("authd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(authd->fd >= 0);
    authd->memory = memory_new(authd->fd, last);
    authd->cache = cache_new(authd->memory, entries, TIME);
    authd->throttle = throttle_new(authd->memory);
}

static void on_record(void *context, enum memory_table table, const void *record)
{
    struct authd *authd = context;

    authd->taken += table == MEMORY_CREDENTIALS
                        ? cache_take_over(authd->cache, record, authd->now)
                        : throttle_take_over(authd->throttle, table, record, authd->now);
}

static void serve(struct authd *authd)
{
    memory_take_over(authd->memory, on_record, authd);
}

static void end(struct authd *authd)
{
    cache_free(authd->cache);
    throttle_free(authd->throttle);
    memory_free(authd->memory);
}

static void make_digest(const struct authd *authd, uint32_t number,
                        uint8_t digest_r[CACHE_DIGEST_SIZE])
{
    uint8_t key[32];

    memory_secret(authd->memory, MEMORY_SECRET_CREDENTIALS, key, sizeof(key));
    crypto_generichash(digest_r, CACHE_DIGEST_SIZE, (const uint8_t *)&number, sizeof(number), key,
                       sizeof(key));
}

static void remember(struct authd *authd, uint32_t number, uint32_t now)
{
    uint8_t digest[CACHE_DIGEST_SIZE];

    make_digest(authd, number, digest);
    cache_add(authd->cache, digest, now);
}

static unsigned count_known(const struct authd *authd, uint32_t from, uint32_t to)
{
    uint8_t digest[CACHE_DIGEST_SIZE];
    unsigned known = 0;

    for (uint32_t number = from; number < to; number++) {
        make_digest(authd, number, digest);
        known += cache_find(authd->cache, digest, authd->now);
    }
    return known;
}

static struct throttle_try prepare(const struct authd *authd, uint32_t number, const char *remote)
{
    const struct throttle_login login = {.name = "anna@example.com",
                                         .mailbox = 7,
                                         .customer = 8,
                                         .remote = remote,
                                         .digest = (const uint8_t *)&number,
                                         .digest_length = sizeof(number),
                                         .password = (const char *)&number,
                                         .password_length = sizeof(number)};
    struct throttle_try try;

    throttle_prepare(authd->throttle, &login, authd->now, &try);
    return try;
}

static void guess(struct authd *authd, uint32_t number, enum throttle_outcome outcome)
{
    struct throttle_try try = prepare(authd, number, "192.0.2.1");

    throttle_begin(authd->throttle, &try, authd->now);
    throttle_note(authd->throttle, &try, outcome, authd->now);
}

static enum throttle_verdict judge(const struct authd *authd, uint32_t number, const char *remote)
{
    struct throttle_try try = prepare(authd, number, remote);
    struct throttle_wait wait;

    return throttle_judge(authd->throttle, &try, authd->now, &wait);
}

static void fill(struct authd *authd)
{
    for (uint32_t number = 0; number < ENTRIES; number++)
        remember(authd, number, NOW);
    for (uint32_t number = 1; number <= 5; number++)
        guess(authd, number, THROTTLE_WRONG);
}

static void test_the_next_one_knows_it(void **state)
{
    struct authd one;
    struct authd two;
    struct authd three;

    (void)state;
    start(&one, -1, ENTRIES);
    serve(&one);
    fill(&one);
    start(&two, one.fd, 2 * (uint64_t)ENTRIES); /* another size */
    assert_int_equal(count_known(&two, 0, ENTRIES), 0);
    serve(&two);
    assert_int_equal(count_known(&two, 0, ENTRIES), ENTRIES);
    assert_int_equal(judge(&two, 1, "192.0.2.1"), THROTTLE_KNOWN_WRONG);
    assert_int_equal(judge(&two, 6, "192.0.2.1"), THROTTLE_WAIT);
    assert_int_equal(judge(&two, 6, "192.0.2.2"), THROTTLE_PASS);
    end(&one);
    remember(&two, ENTRIES, NOW);
    assert_int_equal(count_known(&two, 0, ENTRIES + 1), ENTRIES + 1);
    end(&two);
    start(&three, two.fd, ENTRIES);
    serve(&three);
    assert_int_equal(count_known(&three, 0, ENTRIES + 1), ENTRIES + 1);
    end(&three);
    close(one.fd);
    close(two.fd);
    close(three.fd);
}

/* As after a crash: nobody has closed anything. */
static void test_what_is_old_is_left(void **state)
{
    struct authd one;
    struct authd two;

    (void)state;
    start(&one, -1, ENTRIES);
    serve(&one);
    fill(&one);
    remember(&one, ENTRIES, NOW + 1000);
    start(&two, one.fd, ENTRIES);
    two.now = NOW + TIME;
    serve(&two);
    assert_int_equal(count_known(&two, 0, ENTRIES), 0);
    assert_int_equal(count_known(&two, ENTRIES, ENTRIES + 1), 1);
    assert_int_equal(judge(&two, 1, "192.0.2.1"), THROTTLE_KNOWN_WRONG);
    end(&two);
    close(two.fd);
    start(&two, one.fd, ENTRIES);
    two.now = NOW - 1; /* what will be cannot be */
    serve(&two);
    assert_int_equal(two.taken, 0);
    end(&one);
    end(&two);
    close(one.fd);
    close(two.fd);
}

static void test_what_flies_is_not_known(void **state)
{
    struct authd one;
    struct authd two;

    (void)state;
    start(&one, -1, ENTRIES);
    serve(&one);
    struct throttle_try tries[5];
    for (uint32_t number = 0; number < 5; number++) {
        tries[number] = prepare(&one, number, "192.0.2.1");
        throttle_begin(one.throttle, &tries[number], NOW);
    }
    assert_int_equal(judge(&one, 6, "192.0.2.1"), THROTTLE_HOLD);
    start(&two, one.fd, ENTRIES);
    serve(&two);
    assert_int_equal(two.taken, 0);
    assert_int_equal(judge(&two, 6, "192.0.2.1"), THROTTLE_PASS);
    end(&one);
    end(&two);
    close(one.fd);
    close(two.fd);
}

static void test_another_secret(void **state)
{
    struct authd one;
    struct authd two;
    uint8_t secrets[2][32];

    (void)state;
    start(&one, -1, ENTRIES);
    start(&two, -1, ENTRIES);
    memory_secret(one.memory, MEMORY_SECRET_CREDENTIALS, secrets[0], 32);
    memory_secret(two.memory, MEMORY_SECRET_CREDENTIALS, secrets[1], 32);
    assert_memory_not_equal(secrets[0], secrets[1], 32);
    memory_secret(one.memory, MEMORY_SECRET_THROTTLE, secrets[1], 32);
    assert_memory_not_equal(secrets[0], secrets[1], 32);
    end(&one);
    end(&two);
    close(one.fd);
    close(two.fd);
}

/* Nobody else can write into it, nor cut it off under who reads. */
static void test_is_sealed(void **state)
{
    struct authd one;
    struct stat about;

    (void)state;
    start(&one, -1, ENTRIES);
    serve(&one);
    assert_int_equal(fstat(one.fd, &about), 0);
    assert_int_equal(ftruncate(one.fd, 0), -1);
    assert_int_equal(ftruncate(one.fd, about.st_size + 1), -1);
    assert_int_equal(pwrite(one.fd, "x", 1, 0), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, one.fd, 0), MAP_FAILED);
    remember(&one, 1, NOW);
    assert_int_equal(count_known(&one, 1, 2), 1);
    end(&one);
    close(one.fd);
}

/* Copies what one has left, with an octet changed or the end missing. */
static int damaged(int fd, off_t size, off_t at, uint8_t octet)
{
    int copy = memfd_create("damaged", MFD_CLOEXEC);
    uint8_t *octets = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, fd, 0);

    assert_true(copy >= 0);
    assert_ptr_not_equal(octets, MAP_FAILED);
    assert_int_equal(write(copy, octets, (size_t)size), size);
    assert_int_equal(pwrite(copy, &octet, at < size ? 1 : 0, at), at < size ? 1 : 0);
    munmap(octets, (size_t)size);
    return copy;
}

/* Whatever stands there: the next one begins, with less. */
static void test_damage(void **state)
{
    struct authd one;
    struct stat about;

    (void)state;
    start(&one, -1, 100);
    serve(&one);
    for (uint32_t number = 0; number < 100; number++)
        remember(&one, number, NOW);
    guess(&one, 1, THROTTLE_WRONG);
    assert_int_equal(fstat(one.fd, &about), 0);
    for (unsigned round = 0; round < 400; round++) {
        struct authd two;
        const off_t at = round < 200 ? (off_t)round : 65536 + (off_t)randombytes_uniform(40000);
        const off_t size = round % 3 != 0 ? 120000 : (off_t)randombytes_uniform(120000);
        int copy = damaged(one.fd, size, at, (uint8_t)randombytes_uniform(256));
        start(&two, copy, 100);
        serve(&two);
        end(&two);
        close(two.fd);
        close(copy);
    }
    end(&one);
    close(one.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_one_knows_it),
        cmocka_unit_test(test_what_is_old_is_left),
        cmocka_unit_test(test_what_flies_is_not_known),
        cmocka_unit_test(test_another_secret),
        cmocka_unit_test(test_is_sealed),
        cmocka_unit_test(test_damage),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
