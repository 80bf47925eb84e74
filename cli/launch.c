/*
 * From fork() to execve(). Whatever takes memory or formats text is done before, because between
 * the two only async-signal-safe calls are allowed; the functions for that time begin with child_.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "cli/launch.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* What a program may know of the supervisor's environment: the time zone, sanitizers' options. */
static const char *const passed_on[] = {"TZ", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
                                        "UBSAN_OPTIONS"};

#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))

/*
 * OpenSSL takes and gives back more pieces of one size than the 7 that glibc keeps at hand, and
 * only the environment can ask for more: RETR over TLS costs 2 percent less CPU with it.
 */
static const char allocator[] = "GLIBC_TUNABLES=glibc.malloc.tcache_count=127";

static const char pid_prefix[] = "LISTEN_PID=";

struct environment {
    unsigned count;
    char *variables[PASSED_ON + 6];
    char pid[sizeof(pid_prefix) + 3 * sizeof(pid_t)]; /* LISTEN_PID; completed by the child */
};

void launch_give(struct launch *launch, const char *name, int fd)
{
    if (launch->count == LAUNCH_DESCRIPTORS_MAX)
        log_panic("%s would get more than %d descriptors", launch->name, LAUNCH_DESCRIPTORS_MAX);
    launch->descriptors[launch->count++] = (struct launch_descriptor){name, fd};
}

static char *join_names(const struct launch *launch)
{
    char *names = xstrdup("LISTEN_FDNAMES=");

    for (unsigned i = 0; i < launch->count; i++) {
        char *longer = xasprintf("%s%s%s", names, i > 0 ? ":" : "", launch->descriptors[i].name);
        free(names);
        names = longer;
    }
    return names;
}

static void environment_init(struct environment *environment, const struct launch *launch)
{
    memset(environment, 0, sizeof(*environment));
    memcpy(environment->pid, pid_prefix, sizeof(pid_prefix));
    for (size_t i = 0; i < PASSED_ON; i++) {
        const char *value = getenv(passed_on[i]);
        if (value != NULL)
            environment->variables[environment->count++] = xasprintf("%s=%s", passed_on[i], value);
    }
    environment->variables[environment->count++] = xstrdup(allocator);
    environment->variables[environment->count++] = join_names(launch);
    environment->variables[environment->count++] = xasprintf("LISTEN_FDS=%u", launch->count);
    environment->variables[environment->count++] = xasprintf("BELLHOP_SLOT=%u", launch->slot);
    /* Not ours to free, therefore not counted; the rest of the array is NULL. */
    environment->variables[environment->count] = environment->pid;
}

static void environment_fini(struct environment *environment)
{
    for (unsigned i = 0; i < environment->count; i++)
        free(environment->variables[i]);
}

static void child_write_pid(char *at, pid_t pid)
{
    char digits[3 * sizeof(pid)];
    size_t count = 0;

    do
        digits[count++] = (char)('0' + pid % 10);
    while ((pid /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    *at = '\0';
}

/* Descriptors are first moved out of the way of the numbers that they get. Returns 0 or -1. */
static int child_place_descriptors(const struct launch *launch)
{
    int moved[LAUNCH_DESCRIPTORS_MAX];
    const int above = SD_LISTEN_FDS_START + (int)launch->count;

    for (unsigned i = 0; i < launch->count; i++) {
        moved[i] = fcntl(launch->descriptors[i].fd, F_DUPFD_CLOEXEC, above);
        if (moved[i] < 0)
            return -1;
    }
    for (unsigned i = 0; i < launch->count; i++)
        if (dup2(moved[i], SD_LISTEN_FDS_START + (int)i) < 0)
            return -1;
    return 0;
}

/* SIGHUP stays blocked until the program can take it (lib/child.h). */
static void child_reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t blocked;

    /* The C library keeps two for itself and refuses them; that does no harm. */
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Becomes the program, or tells the errno through `report` and ends. */
static void child_exec(const struct launch *launch, struct environment *environment, pid_t parent,
                       int nothing, int report)
{
    char *arguments[] = {(char *)launch->name, NULL};

    const int above = SD_LISTEN_FDS_START + (int)launch->count;
    report = fcntl(report, F_DUPFD_CLOEXEC, above);
    const int binary = fcntl(launch->binary, F_DUPFD_CLOEXEC, above);
    child_write_pid(environment->pid + sizeof(pid_prefix) - 1, getpid());
    if (report >= 0 && binary >= 0 && setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 &&
        dup2(nothing, STDIN_FILENO) >= 0 && child_place_descriptors(launch) == 0) {
        /* The parent may have died before it could be watched. */
        if (getppid() != parent)
            _exit(1);
        child_reset_signals();
        /* What the supervisor itself was started with stays behind. A kernel before 5.11 cannot. */
        close_range(SD_LISTEN_FDS_START + launch->count, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        fexecve(binary, arguments, environment->variables);
        /* A script, which its interpreter opens by this descriptor. */
        if (errno == ENOENT && fcntl(binary, F_SETFD, 0) == 0)
            fexecve(binary, arguments, environment->variables);
    }
    int error = errno;
    ssize_t written = write(report, &error, sizeof(error));
    (void)written;
    _exit(127);
}

/* Waits until the child has closed its end by executing the program. Returns 0, or its errno. */
static int await_exec(int fd)
{
    int error = 0;

    while (read(fd, &error, sizeof(error)) < 0 && errno == EINTR)
        ;
    return error;
}

static pid_t fork_and_exec(const struct launch *launch, struct environment *environment,
                           int nothing)
{
    int report[2];

    if (pipe2(report, O_CLOEXEC) < 0)
        return -1;
    const pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        child_exec(launch, environment, parent, nothing, report[1]);
    int error = pid < 0 ? errno : 0;
    close(report[1]);
    if (pid > 0) {
        error = await_exec(report[0]);
        if (error != 0)
            waitpid(pid, NULL, 0);
    }
    close(report[0]);
    errno = error;
    return error == 0 ? pid : -1;
}

pid_t launch_start(const struct launch *launch)
{
    struct environment environment;
    sigset_t all;
    sigset_t before;

    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0)
        return -1;
    environment_init(&environment, launch);
    /* A signal must not find the supervisor's handlers in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork_and_exec(launch, &environment, nothing);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    environment_fini(&environment);
    close(nothing);
    errno = error;
    return pid;
}
