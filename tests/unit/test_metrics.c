/* Counters in shared memory, also those of a version that knows other ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/metrics.h"

static int area(void)
{
    int fd = memfd_create("metrics", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)metrics_size()), 0);
    return fd;
}

/* Another process: counts in this slot, and ends without a word. */
static void count_elsewhere(int fd, unsigned slot)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (metrics_attach(fd, slot) < 0)
            _exit(1);
        metric_add(METRIC_POP3_LOGINS, 5);
        metric_add(METRIC_POP3_SESSIONS, 3);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void an_ended_process_leaves_its_counters_and_no_gauge(void **state)
{
    int fd = area();
    (void)state;

    assert_int_equal(metrics_attach(fd, 0), 0);
    count_elsewhere(fd, 1);
    count_elsewhere(fd, METRICS_SLOTS - 1);
    assert_int_equal(metric_sum(METRIC_POP3_LOGINS), 10);
    assert_int_equal(metric_sum(METRIC_POP3_SESSIONS), 6);
    metrics_leave(METRICS_SLOTS - 1);
    assert_int_equal(metric_sum(METRIC_POP3_LOGINS), 10);
    assert_int_equal(metric_sum(METRIC_POP3_SESSIONS), 3);
    count_elsewhere(fd, METRICS_SLOTS - 1);
    assert_int_equal(metric_sum(METRIC_POP3_LOGINS), 15);
    assert_int_equal(metric_sum(METRIC_POP3_SESSIONS), 6);
    close(fd);
}

/* A version with other metrics has made the area: each name has the column that it was given. */
static void columns_go_by_names(void **state)
{
    uint64_t *names;
    int fd = area();
    (void)state;

    names = mmap(NULL, metrics_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(names, MAP_FAILED);
    names[0] = 1; /* of metrics that we do not know */
    names[METRIC_POP3_LOGINS] = 2;
    assert_int_equal(metrics_attach(fd, 0), 0);
    count_elsewhere(fd, 1);
    metric_add(METRIC_POP3_CONNECTIONS, 1);
    assert_int_equal(metric_sum(METRIC_POP3_LOGINS), 5);
    assert_int_equal(metric_sum(METRIC_POP3_CONNECTIONS), 1);
    assert_int_equal(metric_sum(METRIC_POP3_REFUSED), 0);
    assert_int_equal(names[0], 1);
    assert_int_equal(names[METRIC_POP3_LOGINS], 2);
    munmap(names, metrics_size());
    close(fd);
}

static void what_is_no_area_is_refused(void **state)
{
    int fd = area();
    (void)state;

    assert_int_equal(metrics_attach(fd, METRICS_SLOTS), -1);
    assert_int_equal(ftruncate(fd, (off_t)metrics_size() - 64), 0);
    assert_int_equal(metrics_attach(fd, 0), -1);
    assert_int_equal(errno, EPROTO);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ended_process_leaves_its_counters_and_no_gauge),
        cmocka_unit_test(columns_go_by_names),
        cmocka_unit_test(what_is_no_area_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
