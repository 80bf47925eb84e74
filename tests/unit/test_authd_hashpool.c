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
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "secret",
     HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO "AAAA", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "$" ZERO "$", "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=1$" SALT "AAAA$" ZERO, "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=1,p=2$" SALT "$" ZERO, "secret", HASH_BROKEN},
    {"$argon2id$v=19$m=8,t=0,p=1$" SALT "$" ZERO, "secret", HASH_BROKEN},
    {"$argon2i$v=19$m=8,t=3,p=1$" SALT "$" ZERO, "secret", HASH_BROKEN},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))

static void test_results(void **state)
{
    struct hashpool *pool = hashpool_new(base, 2, 100);
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
        assert_wiped(&jobs[i]);
        assert_int_equal(hashpool_withdraw(pool, &jobs[i]), -1);
    }
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
    hashpool_free(pool);
}

/* The address space may grow by 1 GiB, and the hash wants 2: that is not a wrong password. */
static void test_no_memory(void **state)
{
    struct hashpool *pool = hashpool_new(base, 1, 100);
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
    assert_wiped(&job);
    hashpool_free(pool);
}

/* Without a thread everything stays in the queue. */
static void test_full(void **state)
{
    struct hashpool *pool = hashpool_new(base, 0, 2);
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

    hashpool_set_limit(pool, 3);
    fill_job(&jobs[0], secret_hash, "secret");
    assert_int_equal(hashpool_submit(pool, &jobs[0]), 0);

    hashpool_free(pool);
    for (size_t i = 0; i < 3; i++)
        assert_wiped(&jobs[i]);
    assert_int_equal(metric_sum(METRIC_AUTH_QUEUE), 0);
}

/* Jobs come and go from the event loop while threads work. */
static void test_many(void **state)
{
    struct hashpool *pool = hashpool_new(base, 3, 1000);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_many),
    };

    if (sodium_init() < 0 || crypto_pwhash_str(secret_hash, "secret", 6, 1, 8192) != 0)
        return 1;
    base = event_base_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    event_base_free(base);
    return failed;
}
