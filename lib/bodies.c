#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bodies.h"
#include "lib/storemsg.h"

/* Linux 5.1; the mapping that is there stays as it is. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static uint8_t *map(int fd, int protection)
{
    void *bodies = mmap(NULL, STORE_MEMORY_SIZE, protection, MAP_SHARED, fd, 0);

    if (bodies == MAP_FAILED)
        return NULL;
    (void)madvise(bodies, STORE_MEMORY_SIZE, MADV_DONTDUMP); /* mail has no place in a core dump */
    return bodies;
}

uint8_t *bodies_make(int *fd_r)
{
    uint8_t *bodies = NULL;

    int fd = memfd_create("bodies", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return NULL;
    if (ftruncate(fd, STORE_MEMORY_SIZE) == 0)
        bodies = map(fd, PROT_READ | PROT_WRITE);
    if (bodies != NULL && fcntl(fd, F_ADD_SEALS, SEALS) == 0) {
        *fd_r = fd;
        return bodies;
    }
    int error = errno;
    bodies_detach(bodies);
    close(fd);
    errno = error;
    return NULL;
}

const uint8_t *bodies_attach(int fd)
{
    const uint8_t *bodies = NULL;
    struct stat status;

    int seals = fcntl(fd, F_GET_SEALS);
    if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, &status) == 0 &&
        status.st_size == STORE_MEMORY_SIZE)
        bodies = map(fd, PROT_READ);
    else
        errno = EINVAL;
    close(fd);
    return bodies;
}

void bodies_detach(const uint8_t *bodies)
{
    if (bodies != NULL)
        munmap((void *)(uintptr_t)bodies, STORE_MEMORY_SIZE);
}
