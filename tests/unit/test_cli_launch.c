#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/launch.h"
#include "cli/process.h"
#include "cli/share.h"
#include "tests/unit/scratch.h"

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

static void copy(int fd, const char *path)
{
    char text[4096];
    size_t length = 0;
    ssize_t got;

    while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    write_text(path, text);
}

/* What is launched is this test again, which tells about itself in files, for it has nothing else.
 */
static int be_launched(void)
{
    char text[4096] = "";
    size_t end = 0;

    for (int fd = 0; fd < 200; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            end += (size_t)snprintf(text + end, sizeof(text) - end, "%d\n", fd);
    write_text("fds", text);
    copy(3, "three");
    copy(4, "four");
    copy(0, "zero");
    copy(open("/proc/self/status", O_RDONLY), "signals");
    FILE *file = fopen("env", "w");
    for (char **variable = environ; *variable != NULL; variable++)
        fprintf(file, "%s\n", *variable);
    fclose(file);
    snprintf(text, sizeof(text), "%d\n", (int)getpid());
    write_text("pid", text);
    snprintf(text, sizeof(text), "%d\n", (int)getpgrp());
    write_text("group", text);
    return 7;
}

static int set_up(void **state)
{
    return scratch_enter(state);
}

/* For execution alone, as the supervisor has them. */
static int open_binary(const char *path)
{
    return open(path, O_PATH | O_CLOEXEC);
}

static const char *content(const char *path)
{
    static char text[4096];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static int temporary(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    return fd;
}

static void test_launch(void **state)
{
    char line[40];
    int status;
    (void)state;

    setenv("SECRET", "of the supervisor", 1);
    setenv("TZ", "UTC", 1);
    int leaked = open("/dev/null", O_RDONLY);
    int second = temporary("b", "second\n");
    int first = temporary("a", "first\n");
    assert_int_equal(dup2(leaked, 100), 100);
    assert_true(leaked >= 3 && second > 3 && first > 3);
    /* The same descriptor twice, and a descriptor whose number is another one's place. */
    struct launch launch = {
        .binary = open_binary("/proc/self/exe"),
        .name = "program",
        .slot = 12,
        .count = 3,
        .descriptors = {{"one", first}, {"two", second}, {"two", second}},
    };
    pid_t pid = launch_start(&launch);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_string_equal(content("three"), "first\n");
    assert_string_equal(content("four"), "second\n");
    assert_string_equal(content("zero"), "");
    snprintf(line, sizeof(line), "%d\n", (int)pid);
    assert_string_equal(content("pid"), line);
    assert_int_equal(strtol(content("group"), NULL, 10), pid);
    const char *env = content("env");
    snprintf(line, sizeof(line), "LISTEN_PID=%d\n", (int)pid);
    assert_non_null(strstr(env, line));
    assert_non_null(strstr(env, "LISTEN_FDS=3\n"));
    assert_non_null(strstr(env, "LISTEN_FDNAMES=one:two:two\n"));
    assert_non_null(strstr(env, "BELLHOP_SLOT=12\n"));
    assert_non_null(strstr(env, "TZ=UTC\n"));
    assert_null(strstr(env, "SECRET"));
    assert_string_equal(content("fds"), "0\n1\n2\n3\n4\n5\n");
    close(launch.binary);
    close(first);
    close(second);
    close(leaked);
    close(100);
}

static void test_launch_fails(void **state)
{
    struct launch launch = {.binary = 1000, .name = "missing"};
    (void)state;

    assert_int_equal(launch_start(&launch), -1);
    assert_int_equal(errno, EBADF);
    close(temporary("env", "not executable"));
    launch.binary = open_binary("env");
    assert_int_equal(launch_start(&launch), -1);
    assert_int_equal(errno, EACCES);
    close(launch.binary);
    launch.binary = open_binary("/proc/self/exe");
    launch.count = 1;
    launch.descriptors[0] = (struct launch_descriptor){"closed", 1000};
    assert_int_equal(launch_start(&launch), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    close(launch.binary);
}

/*
 * The bits of a line of /proc/self/status. Signals 32 and 33 are glibc's own: its posix_spawn(), by
 * which make may have started this test, leaves them ignored.
 */
static unsigned long long signals(const char *status, const char *line)
{
    const char *at = strstr(status, line);

    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 16) & ~0x180000000ULL;
}

/* All signals at their defaults and open but SIGHUP, however the parent has them. */
static void test_launch_signals(void **state)
{
    sigset_t set;
    int status;
    (void)state;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    struct launch launch = {.binary = open_binary("/proc/self/exe"), .name = "program"};
    pid_t pid = launch_start(&launch);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
    close(launch.binary);
    const char *text = content("signals");
    assert_int_equal(signals(text, "SigBlk:"), 1);
    assert_int_equal(signals(text, "SigIgn:"), 0);
    sigset_t now;
    sigprocmask(SIG_UNBLOCK, &set, &now);
    assert_int_equal(sigismember(&now, SIGUSR1), 1);
    assert_int_equal(sigismember(&now, SIGTERM), 0);
}

static const struct {
    uint64_t lived;
    int last;
    int delay;
} delays[] = {
    {0, -1, 0},      {5000, -1, 0},        {3, 0, 100},       {9999, 100, 200},
    {0, 200, 400},   {0, 3200, 6400},      {0, 6400, 10000},  {0, 10000, 10000},
    {1000000, 0, 0}, {9999, 10000, 10000}, {10000, 10000, 0},
};

static void test_delay(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        assert_int_equal(process_delay(delays[i].last, delays[i].lived), delays[i].delay);
}

static void test_share(void **state)
{
    char text[32] = "";
    (void)state;

    int fd = share_new("test", "a longer text", 13);
    assert_true(fd >= 0);
    int reader = share_reader(fd);
    assert_true(reader >= 0);
    assert_int_equal(pread(reader, text, sizeof(text), 0), 13);
    assert_memory_equal(text, "a longer text", 13);
    assert_int_equal(write(reader, "x", 1), -1);
    assert_int_equal(ftruncate(reader, 0), -1);
    assert_int_equal(share_write(fd, "short", 5), 0);
    assert_int_equal(pread(reader, text, sizeof(text), 0), 5);
    assert_memory_equal(text, "short", 5);
    assert_int_equal(share_seal(fd), 0);
    assert_int_equal(share_write(fd, "never", 5), -1);
    close(reader);
    close(fd);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_launch, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_launch_fails, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_launch_signals, set_up, scratch_leave),
        cmocka_unit_test(test_delay),
        cmocka_unit_test(test_share),
    };

    if (argc == 1 && strcmp(argv[0], "program") == 0)
        return be_launched();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
