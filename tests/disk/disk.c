/*
 * A disk that fails on command: goes in front of libc (LD_PRELOAD) in a program that keeps files.
 * Rules stand in a file that the test and the program both map, so that they can change while the
 * program runs, and what has matched is counted across its restarts. See tests/system/disk.py.
 *
 * BELLHOP_DISK_RULES  the file with the rules
 * BELLHOP_DISK_CALLS  where calls are recorded: "name path errno", one a line
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 8

/* The order is that of CALLS in disk.py. */
enum call {
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_SYNC,
    CALL_ALLOCATE,
    CALL_TRUNCATE,
    CALL_UNLINK,
    CALL_RENAME,
    CALL_LIST,
    CALL_MAP,
    CALL__MAX
};

static const char *const names[CALL__MAX] = {"open",     "read",   "write",  "sync", "allocate",
                                             "truncate", "unlink", "rename", "list", "map"};

#define ACTION_SHORT (-1) /* half of the octets */

struct rule {
    _Atomic uint32_t calls; /* bits by enum call; 0: no rule; written last */
    uint32_t from, count;   /* acts from this matching call on, for so many; the first is 1 */
    int32_t action;         /* errno, ACTION_SHORT, or 0: only count and delay */
    uint32_t delay;         /* ms, before the call */
    _Atomic uint32_t matched;
    _Atomic uint32_t acted;
    uint32_t above;   /* of allocate: acts on what is for more octets */
    char pattern[96]; /* fnmatch() on the whole path */
};

static struct control {
    _Atomic uint32_t recorded; /* bits by enum call */
    uint32_t zero[31];
    struct rule rules[RULES_MAX];
} * control;

static int record_fd = -1;

__attribute__((constructor)) static void set_up(void)
{
    const char *rules = getenv("BELLHOP_DISK_RULES"), *calls = getenv("BELLHOP_DISK_CALLS");

    if (rules == NULL || calls == NULL)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, rules, O_RDWR | O_CLOEXEC);
    record_fd = (int)syscall(SYS_openat, AT_FDCWD, calls, O_WRONLY | O_APPEND | O_CLOEXEC);
    long area =
        syscall(SYS_mmap, NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || record_fd < 0 || area == -1)
        abort();
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the raw call gives a number */
    control = (void *)area;
    syscall(SYS_close, fd);
}

static void record(enum call call, const char *path, int error)
{
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof(line), "%s %s %d\n", names[call], path, error);

    if ((control->recorded & 1U << call) != 0)
        syscall(SYS_write, record_fd, line, length);
}

static void delay(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    if (ms > 0)
        nanosleep(&time, NULL);
}

/*
 * What is to become of a call: 0 nothing, an errno (also set), or ACTION_SHORT. `octets`: how many
 * are to be allocated, else any.
 */
static int judge_octets(enum call call, const char *path, uint64_t octets)
{
    int action = 0;

    if (control == NULL)
        return 0;
    for (unsigned i = 0; i < RULES_MAX && action == 0; i++) {
        struct rule *rule = &control->rules[i];
        if ((rule->calls & 1U << call) == 0 || fnmatch(rule->pattern, path, 0) != 0 ||
            octets <= rule->above)
            continue;
        uint32_t number = atomic_fetch_add(&rule->matched, 1) + 1;
        if (number < rule->from || number - rule->from >= rule->count)
            continue;
        atomic_fetch_add(&rule->acted, 1);
        delay(rule->delay);
        action = rule->action;
    }
    record(call, path, action);
    if (action > 0)
        errno = action;
    return action;
}

static int judge(enum call call, const char *path)
{
    return judge_octets(call, path, UINT64_MAX);
}

static int judge_fd_octets(enum call call, int fd, uint64_t octets)
{
    char link[64], path[PATH_MAX];

    if (control == NULL)
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof(path) - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return judge_octets(call, path, octets);
}

static int judge_fd(enum call call, int fd)
{
    return judge_fd_octets(call, fd, UINT64_MAX);
}

/* A path as the caller gave it, made absolute as the links in /proc are. */
static int judge_path(enum call call, const char *name)
{
    char folder[PATH_MAX], path[2 * PATH_MAX];

    if (control == NULL)
        return 0;
    if (name[0] == '/' || syscall(SYS_getcwd, folder, sizeof(folder)) < 0)
        return judge(call, name);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return judge(call, path);
}

/* --- what stands in front of libc's ---------------------------------------------------------- */

int open(const char *path, int flags, ...)
{
    va_list arguments;
    unsigned mode = 0;

    va_start(arguments, flags);
    if ((flags & (O_CREAT | O_TMPFILE)) != 0)
        mode = va_arg(arguments, unsigned);
    va_end(arguments);
    if (judge_path(CALL_OPEN, path) > 0)
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* Half of the pieces' octets, at least one. Returns the count of pieces. */
static int halve(const struct iovec *pieces, int count, struct iovec *half_r)
{
    size_t left = 0;
    int i = 0;

    for (int k = 0; k < count; k++)
        left += pieces[k].iov_len;
    for (left = (left + 1) / 2; i < count && left > 0; i++) {
        half_r[i] = pieces[i];
        if (half_r[i].iov_len > left)
            half_r[i].iov_len = left;
        left -= half_r[i].iov_len;
    }
    return i;
}

static ssize_t transfer(long number, enum call call, int fd, const struct iovec *pieces, int count,
                        off_t offset)
{
    struct iovec half[IOV_MAX];
    int action = judge_fd(call, fd);

    if (action > 0)
        return -1;
    if (action == ACTION_SHORT) {
        count = halve(pieces, count, half);
        pieces = half;
    }
    return syscall(number, fd, pieces, count, offset, 0);
}

ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset)
{
    return transfer(SYS_preadv, CALL_READ, fd, pieces, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    return transfer(SYS_pwritev, CALL_WRITE, fd, pieces, count, offset);
}

ssize_t pread(int fd, void *data, size_t length, off_t offset)
{
    return transfer(SYS_preadv, CALL_READ, fd, &(struct iovec){data, length}, 1, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    struct iovec piece = {(void *)(uintptr_t)data, length};

    return transfer(SYS_pwritev, CALL_WRITE, fd, &piece, 1, offset);
}

int fdatasync(int fd)
{
    return judge_fd(CALL_SYNC, fd) > 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return judge_fd(CALL_SYNC, fd) > 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate(int fd, off_t length)
{
    return judge_fd(CALL_TRUNCATE, fd) > 0 ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

/* Tells its error and leaves errno alone. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
    int before = errno, action = judge_fd_octets(CALL_ALLOCATE, fd, (uint64_t)length);
    int (*next)(int, off_t, off_t);

    errno = before;
    if (action > 0)
        return action;
    *(void **)&next = dlsym(RTLD_NEXT, "posix_fallocate");
    return next(fd, offset, length);
}

int unlink(const char *path)
{
    return judge_path(CALL_UNLINK, path) > 0 ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to)
{
    if (judge_path(CALL_RENAME, from) > 0)
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

DIR *opendir(const char *path)
{
    DIR *(*next)(const char *);

    if (judge_path(CALL_LIST, path) > 0)
        return NULL;
    *(void **)&next = dlsym(RTLD_NEXT, "opendir");
    return next(path);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && judge_fd(CALL_MAP, fd) > 0)
        return MAP_FAILED;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): the raw call gives a number */
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* SQLite calls them by these names; to the kernel all offsets have 64 bits. */
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
ssize_t pread64(int fd, void *data, size_t length, off64_t offset) __attribute__((alias("pread")));
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
    __attribute__((alias("pwrite")));
int ftruncate64(int fd, off64_t length) __attribute__((alias("ftruncate")));
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
    __attribute__((alias("mmap")));
