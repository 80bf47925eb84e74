#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/xalloc.h"
#include "stored/checksum.h"
#include "stored/segment.h"

#define SEGMENT_MAGIC   UINT64_C(0x31677365736c6842) /* "Bhlsesg1" */
#define SEGMENT_VERSION 3

/* All of its records are of RECORD_VERSION_BEFORE. */
#define SEGMENT_VERSION_BEFORE 2

struct segment_header {
    uint64_t magic;
    uint64_t version;
    uint64_t id;
    uint64_t seed;
    uint64_t zero[3];
    uint64_t sum; /* over the rest */
};

_Static_assert(sizeof(struct segment_header) == SEGMENT_START, "records begin behind the header");

void segment_name(uint64_t id, char name_r[SEGMENT_NAME_SIZE])
{
    snprintf(name_r, SEGMENT_NAME_SIZE, "store/%08" PRIx64 ".seg", id);
}

static uint64_t header_sum(const struct segment_header *header)
{
    return XXH3_64bits(header, offsetof(struct segment_header, sum));
}

bool segment_is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

const char *segment_problem(int error)
{
    switch (error) {
    case EBADMSG: return "the segment's header is damaged";
    case EXDEV: return "the file is another segment's or another store's";
    case EPROTONOSUPPORT: return "the file has another format";
    case ENOENT: return "the file is missing";
    case ENODATA: return "the file ends too early";
    default: return strerror(error);
    }
}

static int write_header(const struct segment *segment)
{
    struct segment_header header = {.magic = SEGMENT_MAGIC,
                                    .version = SEGMENT_VERSION,
                                    .id = segment->id,
                                    .seed = segment->seed};
    struct iovec piece = {&header, sizeof(header)};

    header.sum = header_sum(&header);
    return segment_write(segment, &piece, 1, 0);
}

/* A new file's name is durable only when its folder is synced. */
static int sync_folder_now(void)
{
    int fd = open("store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    int error = fsync(fd) < 0 ? errno : 0;
    close(fd);
    return error;
}

static int sync_folder(void)
{
    return fault_try("folder.sync", sync_folder_now());
}

/* Takes `length` octets at `offset`, if `spare` are left then. */
static int allocate(const struct segment *segment, uint64_t offset, uint64_t length, uint64_t spare)
{
    struct statvfs disk;

    if (spare > 0 && fstatvfs(segment->fd, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < length + spare)
        return ENOSPC;
    return posix_fallocate(segment->fd, (off_t)offset, (off_t)length);
}

int segment_create(struct segment *segment, uint64_t spare)
{
    char name[SEGMENT_NAME_SIZE];
    int error;

    segment_name(segment->id, name);
    segment->fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (segment->fd < 0)
        return errno;
    error = fault_try("segment.allocate", allocate(segment, 0, segment->size, spare));
    if (error == 0)
        error = fault_try("segment.header", write_header(segment));
    if (error == 0)
        error = fault_try("segment.sync", fsync(segment->fd) < 0 ? errno : 0);
    if (error == 0)
        error = sync_folder();
    if (error != 0) {
        segment_close(segment);
        unlink(name);
    }
    return error;
}

/* Takes the seed out of a header that is good and of this segment. */
static int take_header(struct segment *segment, const struct segment_header *header)
{
    if (header->magic != SEGMENT_MAGIC || header->sum != header_sum(header))
        return EBADMSG;
    if (header->version != SEGMENT_VERSION && header->version != SEGMENT_VERSION_BEFORE) {
        log_error("segment %" PRIu64 " has format %" PRIu64 ", this program knows %d", segment->id,
                  header->version, SEGMENT_VERSION);
        return EPROTONOSUPPORT;
    }
    if (header->id != segment->id || (segment->seed != 0 && header->seed != segment->seed))
        return EXDEV;
    segment->seed = header->seed;
    return 0;
}

int segment_open(struct segment *segment)
{
    struct segment_header header;
    struct iovec piece = {&header, sizeof(header)};
    char name[SEGMENT_NAME_SIZE];
    struct stat status;

    segment_name(segment->id, name);
    segment->fd = open(name, O_RDWR | O_CLOEXEC);
    if (segment->fd < 0 && errno == EROFS)
        segment->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (segment->fd < 0)
        return errno;
    int error = segment_read(segment, &piece, 1, 0);
    if (error == 0)
        error = take_header(segment, &header);
    if ((error == EBADMSG || error == ENODATA || error == EIO) && segment->seed != 0) {
        log_error("the header of %s is damaged; its records are judged one by one", name);
        error = 0;
    }
    if (error == ENODATA)
        error = EBADMSG;
    if (error == 0 && fstat(segment->fd, &status) < 0)
        error = errno;
    if (error != 0)
        segment_close(segment);
    else
        segment->size = (uint64_t)status.st_size;
    return error;
}

uint64_t segment_file_size(uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];
    struct stat status;

    segment_name(id, name);
    return stat(name, &status) == 0 ? (uint64_t)status.st_size : 0;
}

void segment_close(struct segment *segment)
{
    if (segment->fd >= 0)
        close(segment->fd);
    segment->fd = -1;
}

int segment_grow(struct segment *segment, uint64_t size, uint64_t spare)
{
    if (size <= segment->size)
        return 0;
    int error = allocate(segment, segment->size, size - segment->size, spare);
    if (error == 0)
        segment->size = size;
    return error;
}

/* Moves the array's beginning past `done` octets. */
static void skip(struct iovec **pieces, int *count, size_t done)
{
    while (*count > 0 && done >= (*pieces)->iov_len) {
        done -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    if (*count > 0) {
        (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + done;
        (*pieces)->iov_len -= done;
    }
}

/* What one call may take: the kernel's IOV_MAX. */
static int at_once(int count)
{
    return count > 1024 ? 1024 : count;
}

int segment_write(const struct segment *segment, struct iovec *pieces, int count, uint64_t offset)
{
    skip(&pieces, &count, 0);
    while (count > 0) {
        ssize_t done = pwritev(segment->fd, pieces, at_once(count), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : EIO;
        offset += (uint64_t)done;
        skip(&pieces, &count, (size_t)done);
    }
    return 0;
}

int segment_sync(const struct segment *segment)
{
    return fdatasync(segment->fd) < 0 ? errno : 0;
}

int segment_read(const struct segment *segment, struct iovec *pieces, int count, uint64_t offset)
{
    skip(&pieces, &count, 0);
    while (count > 0) {
        ssize_t done = preadv(segment->fd, pieces, at_once(count), (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENODATA;
        offset += (uint64_t)done;
        skip(&pieces, &count, (size_t)done);
    }
    return 0;
}

int segment_punch(const struct segment *segment, uint64_t offset, uint64_t length)
{
    return fallocate(segment->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
                     (off_t)length) < 0
               ? errno
               : 0;
}

uint64_t segment_allocated(const struct segment *segment)
{
    struct stat status;

    return fstat(segment->fd, &status) < 0 ? segment->size : (uint64_t)status.st_blocks * 512;
}

uint64_t segment_disk_room(void)
{
    uint64_t room = UINT64_MAX;
    struct statvfs disk;
    int fd = open("store", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return room;
    if (fstatvfs(fd, &disk) == 0)
        room = (uint64_t)disk.f_bavail * disk.f_frsize;
    close(fd);
    return room;
}

int segment_trim(struct segment *segment, uint64_t end)
{
    if (end >= segment->size)
        return 0;
    if (ftruncate(segment->fd, (off_t)end) < 0)
        return errno;
    segment->size = end;
    return 0;
}

int segment_remove(uint64_t id)
{
    char name[SEGMENT_NAME_SIZE];

    segment_name(id, name);
    int error = fault_try("segment.unlink", unlink(name) < 0 ? errno : 0);
    if (error != 0 && error != ENOENT)
        return error;
    return sync_folder();
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The id in "00000001.seg", or 0. */
static uint64_t name_id(const char *name)
{
    char *end;
    uint64_t id = strtoull(name, &end, 16);
    char expected[SEGMENT_NAME_SIZE];

    if (strcmp(end, ".seg") != 0)
        return 0;
    segment_name(id, expected);
    return strcmp(expected + strlen("store/"), name) == 0 ? id : 0;
}

int segment_list(uint64_t **ids_r, size_t *count_r)
{
    struct dirent *entry;
    size_t room = 0;

    *ids_r = NULL;
    *count_r = 0;
    DIR *folder = opendir("store");
    if (folder == NULL)
        return errno;
    while ((entry = readdir(folder)) != NULL) {
        uint64_t id = name_id(entry->d_name);
        if (id == 0)
            continue;
        if (*count_r == room) {
            room = room > 0 ? 2 * room : 64;
            *ids_r = xrealloc(*ids_r, room * sizeof(**ids_r));
        }
        (*ids_r)[(*count_r)++] = id;
    }
    closedir(folder);
    if (*count_r > 0)
        qsort(*ids_r, *count_r, sizeof(**ids_r), compare);
    return 0;
}
