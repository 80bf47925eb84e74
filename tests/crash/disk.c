/*
 * The calls that change files; see disk.h. At the end of a workload the folder is compared with
 * what the trace says, so a call that is missing here does not go unnoticed.
 */
#undef _FORTIFY_SOURCE /* its inline functions have the same names */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/disk.h"
#include "tests/crash/writer.h"

#define DESCRIPTORS_MAX 4096

/* What a descriptor is; a file of the trace is its number and FIRST_FILE. */
enum { NOT_TRACED, FOLDER, FIRST_FILE };

static struct trace *trace;
static struct random numbers;
static uint32_t open_files[DESCRIPTORS_MAX];

void disk_attach(struct trace *to, struct random random)
{
    trace = to;
    numbers = random;
    memset(open_files, 0, sizeof(open_files));
}

static uint32_t what_is(int fd)
{
    return trace != NULL && fd >= 0 && fd < DESCRIPTORS_MAX ? open_files[fd] : NOT_TRACED;
}

/* A call that the trace has no word for would make every image a lie. */
static void unknown(const char *call)
{
    fprintf(stderr, "tests/crash/disk.c does not know this use of %s\n", call);
    abort();
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_folder(const char *path)
{
    size_t length = strlen(path);

    return length >= 5 && strcmp(path + length - 5, "store") == 0;
}

/*
 * The name in store/, or NULL for what is not followed: files elsewhere, the lock, and SQLite's
 * shared memory, which no crash leaves anything of that is read again.
 */
static const char *name_in_store(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (trace == NULL || slash == NULL || slash - path < 5 || memcmp(slash - 5, "store", 5) != 0)
        return NULL;
    const char *name = slash + 1;
    size_t length = strlen(name);
    if (strcmp(name, "lock") == 0 || (length > 4 && strcmp(name + length - 4, "-shm") == 0))
        return NULL;
    return name;
}

/* SQLite seeds its salts from here. */
static int open_numbers(void)
{
    int fd = (int)syscall(SYS_memfd_create, "urandom", 0);

    for (int i = 0; i < 128; i++) {
        uint64_t number = random_next(&numbers);
        if (syscall(SYS_write, fd, &number, sizeof(number)) != sizeof(number))
            abort();
    }
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

static uint32_t enter_file(const char *name, int flags)
{
    int64_t file = trace_find(trace, name);

    if (file < 0)
        file = (int64_t)trace_create(trace, name);
    else if ((flags & O_TRUNC) != 0)
        trace_add(trace, TRACE_RESIZE, (uint32_t)file, 0, 0, 0);
    return (uint32_t)file + FIRST_FILE;
}

static int open_any(const char *path, int flags, mode_t mode)
{
    writer_enter();
    if (trace != NULL && strcmp(path, "/dev/urandom") == 0)
        return open_numbers();
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (trace == NULL || fd < 0)
        return fd;
    if (fd >= DESCRIPTORS_MAX)
        unknown("so many descriptors");
    const char *name = name_in_store(path);
    open_files[fd] = NOT_TRACED;
    if (is_folder(path))
        open_files[fd] = FOLDER;
    else if (name != NULL)
        open_files[fd] = enter_file(name, flags);
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_any(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;

    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_any(path, flags, mode);
}

int close(int fd)
{
    if (what_is(fd) != NOT_TRACED)
        open_files[fd] = NOT_TRACED;
    return (int)syscall(SYS_close, fd);
}

int unlink(const char *path)
{
    writer_enter();
    int result = (int)syscall(SYS_unlink, path);
    const char *name = name_in_store(path);
    if (result == 0 && name != NULL)
        trace_unlink(trace, name);
    return result;
}

int rename(const char *from, const char *to)
{
    writer_enter();
    int result = (int)syscall(SYS_rename, from, to);
    const char *old_name = name_in_store(from), *new_name = name_in_store(to);
    if (result == 0 && old_name != NULL && new_name != NULL)
        trace_rename(trace, old_name, new_name);
    else if (result == 0 && (old_name != NULL || new_name != NULL))
        unknown("rename");
    return result;
}

/* --- content ---------------------------------------------------------------------------------- */

static ssize_t write_pieces(int fd, const struct iovec *pieces, int count, off_t offset)
{
    writer_enter();
    uint32_t file = what_is(fd);
    ssize_t done = syscall(SYS_pwritev, fd, pieces, count, offset, 0);
    if (file < FIRST_FILE || done <= 0)
        return done;
    uint8_t *octets = malloc((size_t)done);
    if (octets == NULL)
        abort();
    size_t length = 0;
    for (int i = 0; length < (size_t)done; i++) {
        size_t rest = (size_t)done - length;
        size_t part = pieces[i].iov_len < rest ? pieces[i].iov_len : rest;
        if (part > 0) /* a piece may be nowhere, then */
            memcpy(octets + length, pieces[i].iov_base, part);
        length += part;
    }
    trace_write(trace, file - FIRST_FILE, (uint64_t)offset, octets, length);
    free(octets);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    return write_pieces(fd, pieces, count, offset);
}

ssize_t pwrite(int fd, const void *octets, size_t length, off_t offset)
{
    struct iovec piece = {(void *)(uintptr_t)octets, length};

    return write_pieces(fd, &piece, 1, offset);
}

ssize_t pwrite64(int fd, const void *octets, size_t length, off64_t offset)
{
    return pwrite(fd, octets, length, offset);
}

/* Log lines and answers pass; so does the thread's word that it is done, which ends its turn. */
ssize_t write(int fd, const void *octets, size_t length)
{
    bool tells_done = trace != NULL && fd != STDERR_FILENO && writer_is_self();

    if (what_is(fd) != NOT_TRACED)
        unknown("write");
    if (tells_done)
        writer_enter();
    ssize_t result = syscall(SYS_write, fd, octets, length);
    if (tells_done)
        writer_done();
    return result;
}

int ftruncate(int fd, off_t size)
{
    writer_enter();
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && what_is(fd) >= FIRST_FILE)
        trace_add(trace, TRACE_RESIZE, what_is(fd) - FIRST_FILE, (uint64_t)size, 0, 0);
    return result;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
    writer_enter();
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, length);
    uint32_t file = what_is(fd);
    if (result != 0 || file < FIRST_FILE || mode == FALLOC_FL_KEEP_SIZE)
        return result;
    if (mode != 0 && mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
        unknown("fallocate");
    trace_add(trace, mode == 0 ? TRACE_ALLOCATE : TRACE_PUNCH, file - FIRST_FILE, (uint64_t)offset,
              (uint64_t)length, 0);
    return result;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
    return fallocate(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    return fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    return posix_fallocate(fd, offset, length);
}

static int sync_any(int fd)
{
    writer_enter();
    uint32_t file = what_is(fd);
    if (file == FOLDER)
        trace_add(trace, TRACE_SYNC_FOLDER, 0, 0, 0, 0);
    else if (file >= FIRST_FILE)
        trace_add(trace, TRACE_SYNC, file - FIRST_FILE, 0, 0, 0);
    return 0;
}

int fsync(int fd)
{
    return sync_any(fd);
}

int fdatasync(int fd)
{
    return sync_any(fd);
}

/* --- time and random numbers ------------------------------------------------------------------ */

void disk_pass(uint64_t microseconds)
{
    atomic_fetch_add(&trace->clock, microseconds);
}

int clock_gettime(clockid_t clock, struct timespec *time_r)
{
    if (trace == NULL)
        return (int)syscall(SYS_clock_gettime, clock, time_r);
    uint64_t now = atomic_load(&trace->clock);
    time_r->tv_sec = (time_t)(now / 1000000);
    time_r->tv_nsec = (long)(now % 1000000 * 1000);
    return 0;
}

int gettimeofday(struct timeval *restrict time_r, void *restrict zone)
{
    struct timespec now;
    (void)zone;

    clock_gettime(CLOCK_REALTIME, &now);
    time_r->tv_sec = now.tv_sec;
    time_r->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *time_r)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (time_r != NULL)
        *time_r = now.tv_sec;
    return now.tv_sec;
}

void randombytes_buf(void *const octets_r, const size_t length)
{
    uint8_t *octet = octets_r;

    for (size_t i = 0; i < length; i++)
        octet[i] = (uint8_t)random_next(&numbers);
}
