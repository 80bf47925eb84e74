#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cli/lock.h"
#include "lib/owner.h"

/*
 * In ms. A supervisor that was just killed may still be dying. Its programs then get SIGTERM and
 * have ended after the longer time.
 */
#define LOCK_DYING    300
#define LOCK_PATIENCE 6000
#define LOCK_STEP     50

/*
 * Programs inherit the flock(); this record lock is the supervisor's alone, and the kernel lifts it
 * when the process dies, whether anybody has waited for it or not.
 */
static struct flock whole(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

/* The process that serves here, or 0. */
static pid_t lock_owner(int fd)
{
    struct flock lock = whole();

    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

static void wait_a_step(void)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP * 1000000L};

    nanosleep(&step, NULL);
}

/* Returns 0, or -1 with a sentence. */
static int acquire(int fd, const char *path, char *error_r, size_t error_size)
{
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP) {
        if (errno != EWOULDBLOCK) {
            snprintf(error_r, error_size, "cannot lock %s: %s", path, strerror(errno));
            return -1;
        }
        pid_t owner = lock_owner(fd);
        if (owner != 0 && waited >= LOCK_DYING) {
            snprintf(error_r, error_size,
                     "another bellhop serve (process %d) runs in this instance; stop it first",
                     (int)owner);
            return -1;
        }
        if (waited >= LOCK_PATIENCE) {
            snprintf(error_r, error_size,
                     "programs of an earlier bellhop serve, which is gone, still run in this "
                     "instance; end them first (fuser %s shows them)",
                     path);
            return -1;
        }
        wait_a_step();
    }
    return 0;
}

int lock_take(const char *path, char *error_r, size_t error_size)
{
    owner_begin();
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    owner_end();
    if (fd < 0) {
        snprintf(error_r, error_size, "cannot open %s: %s; %s", path, strerror(errno),
                 errno == ENOENT ? "\"bellhop init\" completes an instance"
                                 : "the user of bellhop serve must be able to write there");
        return -1;
    }
    if (acquire(fd, path, error_r, error_size) < 0) {
        close(fd);
        return -1;
    }
    struct flock lock = whole();
    if (fcntl(fd, F_SETLK, &lock) < 0 || ftruncate(fd, 0) < 0 ||
        dprintf(fd, "%d\n", (int)getpid()) < 0) {
        snprintf(error_r, error_size, "cannot write to %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}
