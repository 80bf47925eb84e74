#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/share.h"

static int give_up(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

/* A memfd is born with mode 0777; a program of another user must not open it again for writing. */
static int memory_new(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && fchmod(fd, 0600) < 0)
        return give_up(fd);
    return fd;
}

int share_new(const char *name, const void *content, size_t length)
{
    int fd = memory_new(name);

    if (fd >= 0 && share_write(fd, content, length) < 0)
        return give_up(fd);
    return fd;
}

int share_write(int fd, const void *content, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t part = pwrite(fd, (const char *)content + done, length - done, (off_t)done);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -1;
        done += (size_t)part;
    }
    return ftruncate(fd, (off_t)length);
}

int share_reader(int fd)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

int share_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

int share_area(const char *name, size_t size)
{
    int fd = memory_new(name);

    if (fd >= 0 && (ftruncate(fd, (off_t)size) < 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0))
        return give_up(fd);
    return fd;
}
