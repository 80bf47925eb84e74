#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/file.h"
#include "lib/xalloc.h"

/* A new name is only durable when its folder is. */
static int sync_folder_of(const char *name)
{
    char path[PATH_MAX];

    if (strlen(name) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, name, strlen(name) + 1);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int result = fsync(fd);
    close(fd);
    return result;
}

FILE *file_begin(const char *name, mode_t mode)
{
    char *temporary = xasprintf("%s.new", name);

    /* What an earlier run left half-written, whatever its mode. */
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    free(temporary);
    if (fd < 0)
        return NULL;
    FILE *file = fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        close(fd);
    return file;
}

int file_end(FILE *file, const char *name)
{
    char *temporary = xasprintf("%s.new", name);

    int result = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0 ? 0 : -1;
    int reason = errno;
    if (fclose(file) != 0 && result == 0) {
        reason = errno;
        result = -1;
    }
    if (result == 0 && (rename(temporary, name) < 0 || sync_folder_of(name) < 0)) {
        reason = errno;
        result = -1;
    }
    if (result < 0)
        unlink(temporary);
    free(temporary);
    errno = reason;
    return result;
}

void file_cancel(FILE *file, const char *name)
{
    char *temporary = xasprintf("%s.new", name);

    fclose(file);
    unlink(temporary);
    free(temporary);
}

bool file_exists(const char *name)
{
    struct stat status;

    return lstat(name, &status) == 0 || errno != ENOENT;
}

int file_remove(const char *name)
{
    return unlink(name) == 0 ? sync_folder_of(name) : -1;
}

int file_make_folder(const char *name, mode_t mode)
{
    struct stat status;

    if (mkdir(name, mode) == 0)
        return chmod(name, mode) == 0 && sync_folder_of(name) == 0 ? 1 : -1;
    if (errno != EEXIST || stat(name, &status) < 0)
        return -1;
    if (!S_ISDIR(status.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return 0;
}

/* realloc() would leave a copy of the old memory behind. */
static char *grow(char *text, size_t length, size_t size)
{
    char *larger = xmalloc(size);

    if (text != NULL) {
        memcpy(larger, text, length);
        sodium_memzero(text, length);
        free(text);
    }
    return larger;
}

ssize_t file_read(int fd, size_t most, char **text_r)
{
    size_t size = most < 4096 ? most + 2 : 4096;
    size_t length = 0;
    ssize_t got;

    char *text = grow(NULL, 0, size);
    while ((got = read(fd, text + length, size - 1 - length)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        length += (size_t)got;
        if (length > most) {
            errno = EFBIG;
            got = -1;
            break;
        }
        if (length == size - 1)
            text = grow(text, length, size *= 2);
    }
    if (got < 0) {
        sodium_memzero(text, length);
        free(text);
        return -1;
    }
    text[length] = '\0';
    *text_r = text;
    return (ssize_t)length;
}
