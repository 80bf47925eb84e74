#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cli/lock.h"

/* Programs whose supervisor died get SIGTERM at once and have ended after this many ms. */
#define LOCK_PATIENCE 6000
#define LOCK_STEP     50

static pid_t lock_owner(int fd)
{
    char text[24] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) < 0)
        return 0;
    return (pid_t)strtol(text, NULL, 10);
}

static bool process_lives(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
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
        if (process_lives(owner)) {
            snprintf(error_r, error_size,
                     "another bellhop serve (process %d) runs in this instance; stop it first",
                     (int)owner);
            return -1;
        }
        if (waited >= LOCK_PATIENCE) {
            snprintf(error_r, error_size,
                     "programs of an earlier bellhop serve (process %d, which is gone) still run "
                     "in this instance; end them first (fuser %s shows them)",
                     (int)owner, path);
            return -1;
        }
        wait_a_step();
    }
    return 0;
}

int lock_take(const char *path, char *error_r, size_t error_size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        snprintf(error_r, error_size, "cannot open %s: %s; \"bellhop init\" completes an instance",
                 path, strerror(errno));
        return -1;
    }
    if (acquire(fd, path, error_r, error_size) < 0) {
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        snprintf(error_r, error_size, "cannot write to %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}
