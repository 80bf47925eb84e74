#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/fs.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "cli/archive.h"
#include "lib/xalloc.h"

#define ARCHIVE_MAGIC   UINT64_C(0x7570626c6c656842) /* "Bhellbpu" */
#define ARCHIVE_VERSION 2

/* Tells nothing of surrogates, and is read as well (struct dump_message). */
#define ARCHIVE_VERSION_BEFORE 1

#define SUM_SIZE 32

struct chunk {
    uint32_t type; /* enum dump_type */
    uint32_t length;
    uint64_t number; /* from 0 */
};

/* The payload of the END chunk. */
struct end {
    struct dump_end end;
    uint8_t total[SUM_SIZE]; /* over the header and all chunks' checksums before */
};

_Static_assert(sizeof(struct archive_header) == 56 && sizeof(struct chunk) == 16, "no holes");

bool archive_is_whole(const struct archive_header *header)
{
    return sodium_is_zero(header->base, sizeof(header->base));
}

__attribute__((format(printf, 2, 3))) static int fail(char *error_r, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error_r, ARCHIVE_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -1;
}

/* The file's id is part of it, so that a chunk of another file does not fit. */
static void chunk_sum(const struct archive_header *header, const struct chunk *chunk,
                      const void *payload, uint8_t sum_r[SUM_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, header->id, sizeof(header->id), SUM_SIZE);
    crypto_generichash_update(&state, (const uint8_t *)chunk, sizeof(*chunk));
    crypto_generichash_update(&state, payload, chunk->length);
    crypto_generichash_final(&state, sum_r, SUM_SIZE);
}

static void total_begin(crypto_generichash_state *total, const struct archive_header *header)
{
    crypto_generichash_init(total, NULL, 0, SUM_SIZE);
    crypto_generichash_update(total, (const uint8_t *)header, sizeof(*header));
}

/* --- writing ---------------------------------------------------------------------------------- */

struct archive_writer {
    char *shown;     /* as the caller named it */
    char *name;      /* within the folder */
    char *temporary; /* "NAME.new" */
    int folder, fd;
    struct archive_header header;
    uint64_t chunks;
    crypto_generichash_state total;
};

static int write_pieces(int fd, struct iovec *pieces, int count)
{
    while (count > 0) {
        ssize_t done = writev(fd, pieces, count);
        if (done < 0)
            return -1;
        while (count > 0 && (size_t)done >= pieces->iov_len) {
            done -= (ssize_t)pieces->iov_len;
            pieces++;
            count--;
        }
        if (count > 0) {
            pieces->iov_base = (uint8_t *)pieces->iov_base + done;
            pieces->iov_len -= (size_t)done;
        }
    }
    return 0;
}

static void writer_free(struct archive_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->folder >= 0)
        close(writer->folder);
    free(writer->shown);
    free(writer->name);
    free(writer->temporary);
    free(writer);
}

/* Whether it is empty, or begins as a backup does. */
static bool is_ours(int fd)
{
    uint64_t magic = 0;
    ssize_t length = pread(fd, &magic, sizeof(magic), 0);

    return length == 0 || (length == sizeof(magic) && magic == ARCHIVE_MAGIC);
}

/*
 * Opens "NAME.new" anew. Its lock tells one that is being written from what a killed backup left;
 * the name may have gone to another file before the lock was there.
 */
static int open_temporary(struct archive_writer *writer)
{
    struct stat own, named;

    writer->fd =
        openat(writer->folder, writer->temporary, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer->fd < 0 || flock(writer->fd, LOCK_EX | LOCK_NB) < 0 || fstat(writer->fd, &own) < 0 ||
        fstatat(writer->folder, writer->temporary, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (own.st_ino != named.st_ino || own.st_dev != named.st_dev) {
        errno = EWOULDBLOCK;
        return -1;
    }
    if (!is_ours(writer->fd)) {
        errno = EEXIST;
        return -1;
    }
    if (ftruncate(writer->fd, 0) < 0 || fchmod(writer->fd, 0600) < 0)
        return -1;
    return 0;
}

static void split_name(struct archive_writer *writer, const char *name)
{
    char *copy = xstrdup(name);

    writer->shown = xstrdup(name);
    writer->folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    copy = xstrdup(name);
    writer->name = xstrdup(basename(copy));
    writer->temporary = xasprintf("%s.new", writer->name);
    free(copy);
}

static int write_header(struct archive_writer *writer, const struct archive_header *base)
{
    struct archive_header *header = &writer->header;
    struct chunk none = {0};
    uint8_t sum[SUM_SIZE];

    header->magic = ARCHIVE_MAGIC;
    header->version = ARCHIVE_VERSION;
    randombytes_buf(header->id, sizeof(header->id));
    if (base != NULL)
        memcpy(header->base, base->id, sizeof(header->base));
    header->time = (uint64_t)time(NULL);
    none.length = sizeof(*header);
    chunk_sum(header, &none, header, sum);
    total_begin(&writer->total, header);
    struct iovec pieces[] = {{header, sizeof(*header)}, {sum, sizeof(sum)}};
    return write_pieces(writer->fd, pieces, 2);
}

struct archive_writer *archive_create(const char *name, const struct archive_header *base,
                                      char *error_r)
{
    struct archive_writer *writer = xcalloc(1, sizeof(*writer));

    writer->fd = -1;
    split_name(writer, name);
    if (writer->folder >= 0 &&
        faccessat(writer->folder, writer->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        fail(error_r, "%s is there already, and a backup replaces no file: choose another name",
             name);
    } else if (writer->folder < 0 || open_temporary(writer) < 0) {
        fail(error_r,
             errno == EWOULDBLOCK ? "another backup is writing %s now"
             : errno == EEXIST    ? "%s.new is there, which is where a backup is written, and is "
                                    "none: move it away"
                                  : "cannot write %s: %s",
             name, strerror(errno));
    } else if (write_header(writer, base) < 0) {
        fail(error_r, "cannot write %s: %s", name, strerror(errno));
        archive_cancel(writer);
        return NULL;
    } else {
        return writer;
    }
    writer_free(writer);
    return NULL;
}

int archive_add(struct archive_writer *writer, const struct dump_frame *frame, const void *payload,
                char *error_r)
{
    struct chunk chunk = {frame->type, frame->length, writer->chunks++};
    uint8_t sum[SUM_SIZE];

    chunk_sum(&writer->header, &chunk, payload, sum);
    crypto_generichash_update(&writer->total, sum, sizeof(sum));
    struct iovec pieces[] = {
        {&chunk, sizeof(chunk)}, {(void *)(uintptr_t)payload, frame->length}, {sum, sizeof(sum)}};
    if (write_pieces(writer->fd, pieces, 3) == 0)
        return 0;
    return fail(error_r, "cannot write %s: %s", writer->shown, strerror(errno));
}

/* Gives the file its name, unless there is one by now. Not every file system knows the first way.
 */
static int give_name(const struct archive_writer *writer)
{
    if (renameat2(writer->folder, writer->temporary, writer->folder, writer->name,
                  RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL ||
        linkat(writer->folder, writer->temporary, writer->folder, writer->name, 0) < 0)
        return -1;
    return unlinkat(writer->folder, writer->temporary, 0);
}

int archive_finish(struct archive_writer *writer, const struct dump_end *end, char *error_r)
{
    const struct dump_frame frame = {DUMP_END, sizeof(struct end)};
    struct end payload = {.end = *end};

    crypto_generichash_final(&writer->total, payload.total, sizeof(payload.total));
    int result = archive_add(writer, &frame, &payload, error_r);
    if (result == 0 && (fsync(writer->fd) < 0 || give_name(writer) < 0))
        result = fail(error_r, "cannot write %s: %s", writer->shown, strerror(errno));
    if (result < 0) {
        archive_cancel(writer);
        return -1;
    }
    if (fsync(writer->folder) < 0)
        result = fail(error_r, "%s is whole, but its folder cannot be synced: %s", writer->shown,
                      strerror(errno));
    writer_free(writer);
    return result;
}

void archive_cancel(struct archive_writer *writer)
{
    if (writer == NULL)
        return;
    unlinkat(writer->folder, writer->temporary, 0);
    writer_free(writer);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct archive_reading {
    uint64_t at; /* in the file */
    uint64_t chunks;
    bool ended;
    crypto_generichash_state total;
};

static int damaged(const struct archive *archive, uint64_t at, char *error_r)
{
    return fail(error_r,
                "%s is damaged: the octets from %" PRIu64 " on are not what was written; take "
                "another copy of it",
                archive->name, at);
}

/* Reads at reading->at. Returns 0 or -1 after an error. */
static int read_all(struct archive *archive, void *data_r, size_t length, char *error_r)
{
    uint8_t *to = data_r;

    while (length > 0) {
        ssize_t done = pread(archive->fd, to, length, (off_t)archive->reading->at);
        if (done < 0)
            return fail(error_r, "cannot read %s: %s", archive->name, strerror(errno));
        if (done == 0)
            return fail(error_r,
                        "%s is not whole: it ends after %" PRIu64 " octets; take another "
                        "copy of it",
                        archive->name, archive->reading->at);
        to += done;
        archive->reading->at += (uint64_t)done;
        length -= (size_t)done;
    }
    return 0;
}

static int read_header(struct archive *archive, char *error_r)
{
    struct archive_header *header = &archive->header;
    struct chunk none = {.length = sizeof(*header)};
    uint8_t sum[SUM_SIZE], own[SUM_SIZE];

    if (archive->size < sizeof(*header) + SUM_SIZE)
        return fail(error_r, "%s is no backup, or not whole", archive->name);
    if (read_all(archive, header, sizeof(*header), error_r) < 0 ||
        read_all(archive, sum, sizeof(sum), error_r) < 0)
        return -1;
    if (header->magic != ARCHIVE_MAGIC)
        return fail(error_r, "%s is no backup of Bellhop", archive->name);
    chunk_sum(header, &none, header, own);
    if (memcmp(sum, own, sizeof(sum)) != 0)
        return damaged(archive, 0, error_r);
    if (header->version != ARCHIVE_VERSION && header->version != ARCHIVE_VERSION_BEFORE)
        return fail(error_r,
                    "%s has format %" PRIu32 ", and this program knows %d: install a "
                    "Bellhop as new as the one that wrote it",
                    archive->name, header->version, ARCHIVE_VERSION);
    return 0;
}

int archive_open(struct archive *archive_r, const char *name, char *error_r)
{
    struct stat status;

    *archive_r =
        (struct archive){.name = xstrdup(name), .reading = xcalloc(1, sizeof(*archive_r->reading))};
    archive_r->fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would wait */
    if (archive_r->fd < 0 || fstat(archive_r->fd, &status) < 0) {
        fail(error_r, "cannot read %s: %s", name, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        fail(error_r, "%s is no file", name);
    } else {
        archive_r->size = (uint64_t)status.st_size;
        if (read_header(archive_r, error_r) == 0) {
            archive_rewind(archive_r);
            return 0;
        }
    }
    archive_close(archive_r);
    return -1;
}

void archive_rewind(struct archive *archive)
{
    *archive->reading = (struct archive_reading){.at = sizeof(struct archive_header) + SUM_SIZE};
    total_begin(&archive->reading->total, &archive->header);
}

uint64_t archive_position(const struct archive *archive)
{
    return archive->reading->at;
}

/* The END chunk is the file's last. */
static int check_end(struct archive *archive, const void *payload, uint64_t at, char *error_r)
{
    struct end end;
    uint8_t total[SUM_SIZE];

    memcpy(&end, payload, sizeof(end));
    crypto_generichash_final(&archive->reading->total, total, sizeof(total));
    if (memcmp(end.total, total, sizeof(total)) != 0 || archive->reading->at != archive->size)
        return damaged(archive, at, error_r);
    archive->reading->ended = true;
    return 1;
}

/* Whether the chunk's head can be one; what it says is trusted only with its checksum. */
static bool head_fits(const struct archive *archive, const struct chunk *chunk)
{
    return chunk->number == archive->reading->chunks && chunk->length <= DUMP_FRAME_MAX &&
           (chunk->type != DUMP_END || chunk->length == sizeof(struct end));
}

int archive_next(struct archive *archive, enum dump_type skip, struct dump_frame *frame_r,
                 void *payload_r, char *error_r)
{
    struct archive_reading *reading = archive->reading;
    uint8_t sum[SUM_SIZE], own[SUM_SIZE];
    uint64_t at = reading->at;
    struct chunk chunk;

    if (reading->ended)
        return 0;
    if (read_all(archive, &chunk, sizeof(chunk), error_r) < 0)
        return -1;
    if (!head_fits(archive, &chunk))
        return damaged(archive, at, error_r);
    bool skipped = skip != 0 && chunk.type == skip;
    if (skipped)
        reading->at += chunk.length;
    else if (read_all(archive, payload_r, chunk.length, error_r) < 0)
        return -1;
    if (read_all(archive, sum, sizeof(sum), error_r) < 0)
        return -1;
    if (!skipped)
        chunk_sum(&archive->header, &chunk, payload_r, own);
    if (!skipped && memcmp(sum, own, sizeof(sum)) != 0)
        return damaged(archive, at, error_r);
    reading->chunks++;
    *frame_r = (struct dump_frame){chunk.type, chunk.length};
    if (chunk.type == DUMP_END)
        return check_end(archive, payload_r, at, error_r);
    crypto_generichash_update(&reading->total, sum, sizeof(sum));
    return 1;
}

void archive_close(struct archive *archive)
{
    if (archive->name == NULL)
        return;
    if (archive->fd >= 0)
        close(archive->fd);
    free(archive->name);
    free(archive->reading);
    *archive = (struct archive){.fd = -1};
}
