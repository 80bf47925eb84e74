/*
 * The reviewed list of system calls. What they are for stands beside them; what is in no table is
 * refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/callfilter.h"
#include "lib/fault.h"
#include "lib/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Events and connections that are there, memory, time, threads' locks, the end. */
static const char calls_of_all[] =
    "read readv pread64 write writev close fcntl lseek fstat newfstatat "
    "epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd2 pipe2 poll "
    "accept accept4 recvfrom recvmsg shutdown getsockopt setsockopt getsockname getpeername "
    "brk munmap mremap madvise mlock munlock futex membarrier sched_yield "
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrandom "
    "getpid gettid getuid geteuid getrusage "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall exit exit_group";

/* What a thread does when it begins; clone() itself is below. */
static const char calls_of_threads[] = "set_robust_list rseq sched_getaffinity";

/* SQLite on a database that is read: it looks for files beside it, and shares the -shm. */
static const char calls_of_reading[] =
    "stat lstat access faccessat faccessat2 readlink readlinkat getcwd "
    "pwrite64 ftruncate fallocate fchmod fchown";

/* SQLite on one that is written, and stored's own files. */
static const char calls_of_writing[] =
    "open openat pwritev pwritev2 preadv preadv2 fsync fdatasync unlink unlinkat "
    "rename renameat renameat2 flock statfs fstatfs getdents64 fadvise64";

/* libcurl's thread that waits for a name tells it through a pair; DNS is asked for two at once. */
static const char calls_of_network[] = "connect socketpair sendmmsg";

/* Where it is asked for, something has been taken over: better no process than this one. */
static const char calls_of_nobody[] =
    "execve execveat clone fork vfork "
    "ptrace process_vm_readv process_vm_writev pidfd_getfd "
    "socket socketpair bind listen connect "
    "open openat openat2 creat open_by_handle_at memfd_create mknod mknodat link linkat symlink "
    "symlinkat chmod fchmodat chown fchownat unlink unlinkat rename renameat renameat2 truncate "
    "mount umount2 move_mount fsopen pivot_root chroot setns unshare "
    "setuid setgid setreuid setregid setresuid setresgid setgroups capset "
    "bpf perf_event_open userfaultfd add_key request_key keyctl personality pkey_mprotect "
    "io_uring_setup io_uring_enter io_uring_register "
    "init_module finit_module delete_module kexec_load reboot";

/* The points of lib/fault.h keep their state in run/fault. */
static const char calls_of_points[] = "open openat rename unlink";

/* Sanitizers read /proc, and at the end trace their own threads, through a child. */
static const char calls_of_sanitizers[] =
    "open openat stat readlink readlinkat getdents getdents64 clone ptrace wait4 prctl getppid "
    "mmap "
    "mprotect "
    "prlimit64 getrlimit setrlimit sched_getaffinity set_robust_list rseq kill tgkill uname";

/* A call of which an argument is looked at. Rules of one call exclude each other. */
struct condition {
    int call;
    uint32_t action;
    struct scmp_arg_cmp argument;
};

#define ALLOW(call, ...)                                                                           \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ALLOW,                                                            \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define KILL(call, ...)                                                                            \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_KILL_PROCESS,                                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

#define REFUSE(call, ...)                                                                          \
    {                                                                                              \
        SCMP_SYS(call), SCMP_ACT_ERRNO(EAFNOSUPPORT),                                              \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

/* Where these bits of an argument have this value. */
#define BITS(number, bits, value) number, SCMP_CMP_MASKED_EQ, bits, value

static const struct condition conditions_of_all[] = {
    /* What can be written can never be executed. */
    ALLOW(mmap, BITS(2, PROT_EXEC, 0)),
    KILL(mmap, BITS(2, PROT_EXEC, PROT_EXEC)),
    ALLOW(mprotect, BITS(2, PROT_EXEC, 0)),
    KILL(mprotect, BITS(2, PROT_EXEC, PROT_EXEC)),
    /* To nobody but the peer: with an address, or "fast", these are connect() by another name. */
    ALLOW(sendto, 4, SCMP_CMP_EQ, 0, 0),
    KILL(sendto, 4, SCMP_CMP_NE, 0, 0),
    ALLOW(sendmsg, BITS(2, MSG_FASTOPEN, 0)),
    KILL(sendmsg, BITS(2, MSG_FASTOPEN, MSG_FASTOPEN)),
    /* libevent asks how much there is to read, stdio whether it writes to a terminal. */
    ALLOW(ioctl, 1, SCMP_CMP_EQ, FIONREAD, 0),
    ALLOW(ioctl, 1, SCMP_CMP_EQ, TCGETS, 0),
};

static const struct condition conditions_of_connecting[] = {
    ALLOW(socket, 0, SCMP_CMP_EQ, AF_UNIX, 0),
    KILL(socket, 0, SCMP_CMP_NE, AF_UNIX, 0),
};

static const struct condition conditions_of_pairs[] = {
    ALLOW(socketpair, 0, SCMP_CMP_EQ, AF_UNIX, 0),
    KILL(socketpair, 0, SCMP_CMP_NE, AF_UNIX, 0),
};

/*
 * Not to siblings. The C library looks for the machine's own addresses over netlink and for a cache
 * of names over a Unix socket, and does without.
 */
static const struct condition conditions_of_network[] = {
    ALLOW(socket, 0, SCMP_CMP_EQ, AF_INET, 0),   ALLOW(socket, 0, SCMP_CMP_EQ, AF_INET6, 0),
    REFUSE(socket, 0, SCMP_CMP_EQ, AF_UNIX, 0),  REFUSE(socket, 0, SCMP_CMP_EQ, AF_NETLINK, 0),
    KILL(socket, 0, SCMP_CMP_GT, AF_NETLINK, 0),
};

static const struct condition conditions_of_threads[] = {
    ALLOW(setpriority, 1, SCMP_CMP_EQ, 0, 0), /* its own */
    ALLOW(clone, BITS(0, CLONE_THREAD, CLONE_THREAD)),
    KILL(clone, BITS(0, CLONE_THREAD, 0)),
};

/* O_RDWR, because a reader of a database opens its -shm so. */
#define OPENING (O_ACCMODE | O_TRUNC)
static const struct condition conditions_of_reading[] = {
    ALLOW(openat, BITS(2, OPENING, O_RDONLY)),
    ALLOW(openat, BITS(2, OPENING, O_RDWR)),
    KILL(openat, BITS(2, OPENING, O_WRONLY)),
    KILL(openat, BITS(2, OPENING, O_RDONLY | O_TRUNC)),
    KILL(openat, BITS(2, OPENING, O_WRONLY | O_TRUNC)),
    KILL(openat, BITS(2, OPENING, O_RDWR | O_TRUNC)),
};

/* libseccomp's number for a kernel that can end a process (Linux 4.14). */
#define LEVEL_OF_KILLING 3

#define CALLS_MAX 1024

struct filter {
    scmp_filter_ctx context;
    bool ruled[CALLS_MAX]; /* by an earlier table, which has precedence */
};

static bool is_ruled(const struct filter *filter, int call)
{
    return call >= 0 && call < CALLS_MAX && filter->ruled[call];
}

static void set_ruled(struct filter *filter, int call)
{
    if (call >= 0 && call < CALLS_MAX)
        filter->ruled[call] = true;
}

static void rule(struct filter *filter, uint32_t action, int call,
                 const struct scmp_arg_cmp *argument)
{
    int error =
        seccomp_rule_add_array(filter->context, action, call, argument != NULL ? 1 : 0, argument);

    /* A number below zero is a call that this architecture does not have. */
    if (error < 0 && call >= 0)
        log_fatal("seccomp does not take the system call %d: %s", call, strerror(-error));
}

static void rule_call(struct filter *filter, uint32_t action, const char *name)
{
    int call = seccomp_syscall_resolve_name(name);

    if (call == __NR_SCMP_ERROR)
        log_fatal("libseccomp knows no system call %s", name);
    if (is_ruled(filter, call))
        return;
    rule(filter, action, call, NULL);
    set_ruled(filter, call);
}

/* `names` are separated by spaces. */
static void rule_calls(struct filter *filter, uint32_t action, const char *names)
{
    char name[32];

    while (*names != '\0') {
        size_t length = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)length, names);
        rule_call(filter, action, name);
        names += length + strspn(names + length, " ");
    }
}

static void rule_conditions(struct filter *filter, const struct condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_ruled(filter, conditions[i].call))
            rule(filter, conditions[i].action, conditions[i].call, &conditions[i].argument);
    for (size_t i = 0; i < count; i++)
        set_ruled(filter, conditions[i].call);
}

#define RULE_CONDITIONS(filter, conditions) rule_conditions(filter, conditions, COUNT(conditions))

/* abort() signals its own thread. */
static void rule_signals(struct filter *filter)
{
    const uint64_t own = (uint64_t)getpid();
    const struct condition conditions[] = {
        ALLOW(tgkill, 0, SCMP_CMP_EQ, own, 0), KILL(tgkill, 0, SCMP_CMP_NE, own, 0),
        ALLOW(kill, 0, SCMP_CMP_EQ, own, 0), KILL(kill, 0, SCMP_CMP_NE, own, 0)};

    RULE_CONDITIONS(filter, conditions);
}

static void rule_profile(struct filter *filter, const struct callfilter *wanted)
{
    if (SANITIZED)
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_sanitizers);
    if (FAULTS)
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_points);
    rule_calls(filter, SCMP_ACT_ALLOW, calls_of_all);
    RULE_CONDITIONS(filter, conditions_of_all);
    rule_signals(filter);
    if (wanted->files != CALLFILTER_NO_FILES)
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_reading);
    if (wanted->files == CALLFILTER_WRITE)
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_writing);
    else if (wanted->files == CALLFILTER_READ)
        RULE_CONDITIONS(filter, conditions_of_reading);
    if (wanted->network) {
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_network);
        RULE_CONDITIONS(filter, conditions_of_network);
    }
    if (wanted->connects) {
        rule_call(filter, SCMP_ACT_ALLOW, "connect");
        RULE_CONDITIONS(filter, conditions_of_connecting);
    }
    if (wanted->pairs)
        RULE_CONDITIONS(filter, conditions_of_pairs);
    if (wanted->threads) {
        rule_calls(filter, SCMP_ACT_ALLOW, calls_of_threads);
        RULE_CONDITIONS(filter, conditions_of_threads);
    }
    if (wanted->memory)
        rule_call(filter, SCMP_ACT_ALLOW, "memfd_create");
    /* The C library then takes clone(), whose flags can be looked at. */
    rule(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), NULL);
    rule_calls(filter, SCMP_ACT_KILL_PROCESS, calls_of_nobody);
}

static void set_result(ucontext_t *context, int error)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = -error;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[0] = (unsigned long long)-error;
#else
    (void)context;
    (void)error;
    abort(); /* it is not known here where the result of a call is put */
#endif
}

/* A call that is in no table. It has not been done. */
static void on_refused(int number, siginfo_t *info, void *context)
{
    static atomic_bool told[CALLS_MAX];
    int call = info->si_syscall;
    (void)number;

    if (call < 0 || call >= CALLS_MAX || !atomic_exchange(&told[call], true))
        log_error("confinement: the system call %d is not on the list and fails", call);
    set_result(context, ENOSYS);
}

bool callfilter_enter(const struct callfilter *wanted)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART};

    if (seccomp_api_get() < LEVEL_OF_KILLING) {
        errno = ENOSYS;
        return false;
    }
    struct filter filter = {.context = seccomp_init(SCMP_ACT_TRAP)};
    if (filter.context == NULL)
        log_fatal("libseccomp does not start");
    sigaction(SIGSYS, &action, NULL);
    rule_profile(&filter, wanted);
    /*
     * A tree instead of a list; and without mitigations that are for those who run others' code. A
     * library or kernel that lacks one of these does without.
     */
    (void)seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    (void)seccomp_attr_set(filter.context, SCMP_FLTATR_CTL_SSB, 1);
    (void)seccomp_attr_set(filter.context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    int error = seccomp_load(filter.context);
    seccomp_release(filter.context);
    if (error < 0)
        errno = -error;
    return error == 0;
}
