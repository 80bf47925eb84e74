#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sodium.h>

#include "authd/hashpool.h"
#include "authd/scheme.h"
#include "lib/metrics.h"

static struct event_base *base;
static char secret_hash[DB_HASH_SIZE];
static unsigned done_count;

static void on_done(struct hash_job *job)
{
    (void)job;
    done_count++;
}

static void fill_job(struct hash_job *job, const char *hash, const char *password)
{
    memset(job, 0, sizeof(*job));
    memcpy(job->hash, hash, strlen(hash) + 1);
    memcpy(job->password, password, strlen(password));
    job->password_length = strlen(password);
    job->operations = 1;
    job->memory = 8192;
    job->done = on_done;
}

static void assert_wiped(const struct hash_job *job)
{
    assert_true(sodium_is_zero((const unsigned char *)job->password, sizeof(job->password)));
    assert_int_equal(job->password_length, 0);
}

static void wait_done(unsigned count)
{
    while (done_count < count)
        event_base_loop(base, EVLOOP_ONCE);
}

#define MEMORY (16 << 20)

#define SALT "c29tZSBzYWx0IG9mIDE2IQ"
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct {
    const char *hash; /* NULL: that of "secret" */
    const char *password;
    enum hash_result result;
} checks[] = {
    {NULL, "secret", HASH_FITS},
    {NULL, "Secret", HASH_WRONG},
    {NULL, "", HASH_WRONG},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO, "secret", HASH_WRONG},
    {"", "secret", HASH_BROKEN},
    {"$", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$AAAA", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO "AAAA", "secret", HASH_WRONG},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO "$", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "AAAA$" ZERO, "secret", HASH_WRONG},
    {"$argon2id$v=19$m=8,t=1,p=2$" SALT "$" ZERO, "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=0,p=1$" SALT "$" ZERO, "secret", HASH_BROKEN},
    {"$argon2i$v=19$m=8,t=3,p=1$" SALT "$" ZERO, "secret", HASH_WRONG},
    {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "secret", HASH_FITS},
    {"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "Secret", HASH_WRONG},
    {"{SHA512-CRYPT}$6$rounds=4000000000$salt$"
     "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh",
     "secret", HASH_BROKEN},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static void test_results(void **state)
{
    struct hashpool *pool = hashpool_new(base, 2, 100, MEMORY);
    struct hash_job jobs[CHECKS];

    (void)state;
    done_count = 0;
    for (size_t i = 0; i < CHECKS; i++) {
        fill_job(&jobs[i], checks[i].hash != NULL ? checks[i].hash : secret_hash,
                 checks[i].password);
        assert_int_equal(hashpool_submit(pool, &jobs[i]), 0);
    }
    wait_done(CHECKS);
    for (size_t i = 0; i < CHECKS; i++) {
        assert_int_equal(jobs[i].result, checks[i].result);
        assert_int_equal(hashpool_withdraw(pool, &jobs[i]), -1);
    }
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
    hashpool_free(pool);
}

/* The address space may grow by 1 GiB, and the hash wants 2: that is not a wrong password. */
static void test_no_memory(void **state)
{
    struct hashpool *pool = hashpool_new(base, 1, 100, MEMORY);
    struct hash_job job;
    struct rlimit before;
    char text[64] = "";

    (void)state;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    rlim_t pages = strtoul(text, NULL, 10);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit tight = {pages * (rlim_t)sysconf(_SC_PAGESIZE) + (1U << 30), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    done_count = 0;
    fill_job(&job, "$argon2id$v=19$m=2097152,t=1,p=1$" SALT "$" ZERO, "secret");
    assert_int_equal(hashpool_submit(pool, &job), 0);
    wait_done(1);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(job.result, HASH_BROKEN);
    hashpool_free(pool);
}

/* Without a thread everything stays in the queue. */
static void test_full(void **state)
{
    struct hashpool *pool = hashpool_new(base, 0, 2, MEMORY);
    struct hash_job jobs[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fill_job(&jobs[i], secret_hash, "secret");
        assert_int_equal(hashpool_submit(pool, &jobs[i]), i < 2 ? 0 : -1);
    }
    assert_wiped(&jobs[2]);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 2);

    assert_int_equal(hashpool_withdraw(pool, &jobs[0]), 0);
    assert_wiped(&jobs[0]);
    fill_job(&jobs[2], secret_hash, "secret");
    assert_int_equal(hashpool_submit(pool, &jobs[2]), 0);

    hashpool_configure(pool, 3, MEMORY);
    fill_job(&jobs[0], secret_hash, "secret");
    assert_int_equal(hashpool_submit(pool, &jobs[0]), 0);

    hashpool_free(pool);
    for (size_t i = 0; i < 3; i++)
        assert_wiped(&jobs[i]);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
}

/* The queue is full of one customer's: another's takes the place of the one that came last. */
static void test_full_of_one(void **state)
{
    struct hashpool *pool = hashpool_new(base, 0, 3, MEMORY);
    struct hash_job jobs[6];

    (void)state;
    done_count = 0;
    for (size_t i = 0; i < 6; i++) {
        fill_job(&jobs[i], secret_hash, "secret");
        jobs[i].customer = i < 4 ? 7 : i;
        assert_int_equal(hashpool_submit(pool, &jobs[i]), i == 3 ? -1 : 0);
    }
    wait_done(2);
    assert_int_equal(jobs[2].result, HASH_REFUSED);
    assert_int_equal(jobs[1].result, HASH_REFUSED);
    assert_int_equal(hashpool_withdraw(pool, &jobs[1]), -1);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 3);
    hashpool_free(pool);
    assert_wiped(&jobs[0]);
    assert_wiped(&jobs[5]);
    assert_int_equal(done_count, 2);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
}

/* Jobs come and go from the event loop while threads work. */
static void test_many(void **state)
{
    struct hashpool *pool = hashpool_new(base, 3, 1000, MEMORY);
    static struct hash_job jobs[300];
    unsigned expected = 0;

    (void)state;
    done_count = 0;
    for (size_t i = 0; i < 300; i++) {
        fill_job(&jobs[i], secret_hash, i % 2 == 0 ? "secret" : "wrong");
        assert_int_equal(hashpool_submit(pool, &jobs[i]), 0);
        expected++;
        if (i % 3 == 2 && hashpool_withdraw(pool, &jobs[i]) == 0)
            expected--;
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    wait_done(expected);
    for (size_t i = 0; i < 300; i++)
        if (jobs[i].state == HASH_DONE)
            assert_int_equal(jobs[i].result, i % 2 == 0 ? HASH_FITS : HASH_WRONG);
    hashpool_free(pool);
    assert_int_equal(done_count, expected);
}

/* A password in two forms, of which the hash was made of the second. */
static void test_raw(void **state)
{
    static const struct {
        const char *prepared;
        const char *raw;
        enum hash_result result;
    } forms[] = {
        {"secret", "", HASH_FITS},        {"other", "secret", HASH_FITS}, {"", "secret", HASH_FITS},
        {"other", "another", HASH_WRONG}, {"", "", HASH_WRONG},
    };
    struct hashpool *pool = hashpool_new(base, 1, 100, MEMORY);

    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct hash_job job;
        fill_job(&job, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", forms[i].prepared);
        memcpy(job.raw, forms[i].raw, strlen(forms[i].raw));
        job.raw_length = strlen(forms[i].raw);
        done_count = 0;
        assert_int_equal(hashpool_submit(pool, &job), 0);
        wait_done(1);
        assert_int_equal(job.result, forms[i].result);
    }
    hashpool_free(pool);
}

static char order[8];

static void note_order(struct hash_job *job)
{
    order[done_count++] = job->kind == HASH_MAKE ? 'm' : 'c';
}

/* What is to be made waits until nothing is to be checked, however late that came. */
static void test_later(void **state)
{
    struct hashpool *pool = hashpool_new(base, 1, 3, MEMORY);
    struct storedhash made;
    struct hash_job jobs[7];
    const char *error;

    (void)state;
    done_count = 0;
    for (size_t i = 0; i < 7; i++) {
        /* The first takes a second, in which the others come. */
        fill_job(&jobs[i], i == 0 ? "$argon2id$v=19$m=8192,t=100,p=1$" SALT "$" ZERO : secret_hash,
                 "secret");
        jobs[i].done = note_order;
        jobs[i].kind = i == 1 || i == 2 || i > 4 ? HASH_MAKE : HASH_COMPARE;
        if (jobs[i].kind == HASH_MAKE)
            jobs[i].hash[0] = '\0';
    }
    assert_int_equal(hashpool_submit(pool, &jobs[0]), 0);
    for (size_t i = 1; i < 6; i++)
        assert_int_equal(hashpool_submit(pool, &jobs[i]), 0);
    assert_int_equal(hashpool_submit(pool, &jobs[6]), -1);
    assert_wiped(&jobs[6]);
    assert_int_equal(hashpool_withdraw(pool, &jobs[1]), -1);
    wait_done(6);
    assert_memory_equal(order, "cccmmm", 6);
    assert_int_equal(storedhash_parse(&made, jobs[1].hash, &error), 0);
    assert_true(storedhash_is_current(&made, 1, 8192));
    assert_int_equal(crypto_pwhash_str_verify(jobs[1].hash, "secret", 6), 0);
    hashpool_free(pool);
}

static void note_time(struct hash_job *job)
{
    order[done_count++] = job->stored.iterations > 1 ? 's' : 'q';
}

/* The quick one waits for the memory of the slow one; what takes more than there is runs alone. */
static void test_memory(void **state)
{
    static const char *const hashes[] = {"$argon2id$v=19$m=12288,t=20,p=1$" SALT "$" ZERO,
                                         "$argon2id$v=19$m=12288,t=1,p=1$" SALT "$" ZERO,
                                         "$argon2id$v=19$m=32768,t=2,p=1$" SALT "$" ZERO,
                                         "$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO};
    struct hashpool *pool = hashpool_new(base, 2, 100, MEMORY);
    struct hash_job jobs[4];

    (void)state;
    done_count = 0;
    for (size_t i = 0; i < 4; i++) {
        fill_job(&jobs[i], hashes[i], "secret");
        jobs[i].done = note_time;
        assert_int_equal(hashpool_submit(pool, &jobs[i]), 0);
    }
    wait_done(4);
    assert_memory_equal(order, "sqsq", 4);
    hashpool_free(pool);
}

static void note_customer(struct hash_job *job)
{
    order[done_count++] = (char)job->customer;
}

#define HASH_OF(octets, times) "$argon2id$v=19$m=" octets ",t=" times ",p=1$" SALT "$" ZERO

/* One that has to wait for memory keeps nobody waiting for whom there is enough. */
static void hash_in_passing(void)
{
    static const char *const hashes[] = {HASH_OF("12288", "100"), HASH_OF("12288", "1"),
                                         HASH_OF("8", "1"), HASH_OF("8", "1")};
    struct hashpool *pool = hashpool_new(base, 2, 100, MEMORY);
    struct hash_job jobs[4];

    done_count = 0;
    for (size_t i = 0; i < 4; i++) {
        fill_job(&jobs[i], hashes[i], "secret");
        jobs[i].done = note_customer;
        jobs[i].customer = (uint64_t) "slbc"[i];
        assert_int_equal(hashpool_submit(pool, &jobs[i]), 0);
    }
    wait_done(4);
    hashpool_free(pool);
}

/* The second thread may come to nothing before the first is done, on a machine that is busy. */
static void test_passing(void **state)
{
    bool passed_by = false;

    (void)state;
    for (unsigned i = 0; i < 20 && !passed_by; i++) {
        hash_in_passing();
        passed_by = memcmp(order, "bcsl", 4) == 0;
    }
    assert_true(passed_by);
}

static struct hashpool *passed_pool;
static struct hash_job passing[8];
static struct hash_job passed;
static unsigned passes;

static void on_passed(struct hash_job *job)
{
    (void)job;
    done_count++;
}

/* Again and again, so that there is never memory for the large one while they may pass it by. */
static void on_passing(struct hash_job *job)
{
    passes++;
    if (done_count == 0) {
        uint64_t customer = job->customer;
        fill_job(job, HASH_OF("4096", "4"), "secret");
        job->customer = customer;
        job->done = on_passing;
        assert_int_equal(hashpool_submit(passed_pool, job), 0);
    }
}

/* They pass it by for some time, and not for ever. */
static void test_not_for_ever(void **state)
{
    (void)state;
    done_count = 0;
    passes = 0;
    passed_pool = hashpool_new(base, 4, 100, MEMORY);
    for (size_t i = 0; i < 8; i++) {
        passing[i].customer = 1 + i;
        on_passing(&passing[i]);
    }
    fill_job(&passed, HASH_OF("14336", "1"), "secret");
    passed.customer = 9;
    passed.done = on_passed;
    assert_int_equal(hashpool_submit(passed_pool, &passed), 0);
    while (done_count == 0 && passes < 4000)
        event_base_loop(base, EVLOOP_ONCE);
    print_message("%u have passed by\n", passes - 8);
    assert_int_equal(done_count, 1);
    assert_true(passes > 8);
    hashpool_free(passed_pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_full),    cmocka_unit_test(test_full_of_one),
        cmocka_unit_test(test_many),    cmocka_unit_test(test_raw),
        cmocka_unit_test(test_later),   cmocka_unit_test(test_memory),
        cmocka_unit_test(test_passing), cmocka_unit_test(test_not_for_ever),
    };

    scheme_init();
    if (sodium_init() < 0 || crypto_pwhash_str(secret_hash, "secret", 6, 1, 8192) != 0)
        return 1;
    base = event_base_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    event_base_free(base);
    return failed;
}
