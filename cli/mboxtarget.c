#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <uthash.h>

#include "cli/command.h"
#include "cli/file.h"
#include "cli/mbox.h"
#include "cli/target.h"
#include "lib/xalloc.h"

#define PIECE (64 * 1024)

/* A message that an earlier run has written whole. */
struct written {
    UT_hash_handle hh;
    char unique_id[UNIQUEID_SIZE];
};

struct mbox {
    struct target target; /* first: the target's functions find the mbox by it */
    char *path;
    char *part; /* its name until it is whole */
    FILE *file;
    struct written *written;
    struct mbox_quoting quoting;
    char quoted[MBOX_QUOTED_MAX(PIECE)];
};

static int failed(const struct mbox *mbox, const char *what)
{
    refuse("cannot %s %s: %s", what, mbox->part, strerror(errno));
    return -1;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool has(struct target *target, const struct export_message *message)
{
    struct written *written;

    HASH_FIND_STR(((struct mbox *)target)->written, message->unique_id, written);
    return written != NULL;
}

static int put(struct mbox *mbox, const char *octets, size_t length)
{
    if (length > 0 && fwrite(octets, length, 1, mbox->file) != 1)
        return failed(mbox, "write");
    return 0;
}

static int begin(struct target *target, const struct export_message *message)
{
    struct mbox *mbox = (struct mbox *)target;
    char line[MBOX_FROM_MAX];

    mbox_quoting_init(&mbox->quoting, true);
    size_t length = mbox_format_from(message->unique_id, (int64_t)(message->time / 1000000), line);
    return put(mbox, line, length);
}

static int write_octets(struct target *target, const char *octets, size_t length)
{
    struct mbox *mbox = (struct mbox *)target;

    while (length > 0) {
        size_t part = length < PIECE ? length : PIECE;
        if (put(mbox, mbox->quoted, mbox_quote(&mbox->quoting, octets, part, mbox->quoted)) < 0)
            return -1;
        octets += part;
        length -= part;
    }
    return 0;
}

static int end(struct target *target, const struct export_message *message)
{
    struct mbox *mbox = (struct mbox *)target;
    (void)message;

    if (put(mbox, mbox->quoted, mbox_quote_end(&mbox->quoting, mbox->quoted)) < 0)
        return -1;
    return put(mbox, "\n", 1);
}

/* --- the end ---------------------------------------------------------------------------------- */

static int sync_folder_of(const char *path)
{
    char *copy = xstrdup(path);

    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    int result = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return result;
}

static int finish(struct target *target)
{
    struct mbox *mbox = (struct mbox *)target;

    if (fflush(mbox->file) != 0 || fsync(fileno(mbox->file)) < 0)
        return failed(mbox, "write");
    if (renameat2(AT_FDCWD, mbox->part, AT_FDCWD, mbox->path, RENAME_NOREPLACE) < 0 ||
        sync_folder_of(mbox->path) < 0)
        return failed(mbox, "name");
    return 0;
}

static void mbox_free(struct target *target)
{
    struct mbox *mbox = (struct mbox *)target;
    struct written *written;

    while ((written = mbox->written) != NULL) {
        HASH_DEL(mbox->written, written);
        free(written);
    }
    if (mbox->file != NULL)
        (void)fclose(mbox->file);
    free(mbox->part);
    free(mbox);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void note(struct mbox *mbox, const char *unique_id)
{
    struct written *written;

    HASH_FIND_STR(mbox->written, unique_id, written);
    if (written != NULL)
        return;
    written = xcalloc(1, sizeof(*written));
    memcpy(written->unique_id, unique_id, strlen(unique_id) + 1);
    HASH_ADD_STR(mbox->written, unique_id, written);
}

/* Reads a line; a long one is cut. Returns its length without LF, or -1 at the file's end. */
static int read_line(FILE *file, char line_r[MBOX_FROM_MAX + 1])
{
    int length = 0, octet;

    while ((octet = getc_unlocked(file)) != EOF) {
        if (octet == '\n')
            return length;
        if (length < MBOX_FROM_MAX)
            line_r[length++] = (char)octet;
    }
    return -1;
}

/*
 * What an earlier run has written: each message that another one follows is whole. The last one is
 * written again. No line of a message begins with "From ", for those are quoted.
 */
static int take_up(struct mbox *mbox)
{
    char line[MBOX_FROM_MAX + 1], unique_id[UNIQUEID_SIZE] = "";
    off_t last = 0;
    int64_t time;
    int length;

    while ((length = read_line(mbox->file, line)) >= 0)
        if (mbox_is_from(line, (size_t)length)) {
            if (unique_id[0] != '\0')
                note(mbox, unique_id);
            mbox_parse_from(line, (size_t)length, &time, unique_id);
            last = ftello(mbox->file) - length - 1;
        }
    if (ferror(mbox->file) || fseeko(mbox->file, last, SEEK_SET) < 0 ||
        ftruncate(fileno(mbox->file), last) < 0)
        return failed(mbox, "go on with");
    return 0;
}

static int open_part(struct mbox *mbox)
{
    if (file_exists(mbox->path)) {
        refuse("%s is there already; an export makes a new file", mbox->path);
        return -1;
    }
    int fd = open(mbox->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    mbox->file = fd >= 0 ? fdopen(fd, "r+") : NULL;
    if (mbox->file == NULL)
        return failed(mbox, "make");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        refuse("another export into %s is running", mbox->path);
        return -1;
    }
    return take_up(mbox);
}

struct target *mboxtarget_open(const char *path, uint64_t mailbox)
{
    struct mbox *mbox = xcalloc(1, sizeof(*mbox));

    mbox->target = (struct target){has, begin, write_octets, end, finish, mbox_free};
    mbox->path = (char *)(uintptr_t)path;
    mbox->part = xasprintf("%s.%" PRIu64 ".part", path, mailbox);
    if (open_part(mbox) == 0)
        return &mbox->target;
    mbox_free(&mbox->target);
    return NULL;
}
