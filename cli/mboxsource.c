#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/command.h"
#include "cli/importer.h"
#include "cli/mbox.h"
#include "cli/mboxsource.h"
#include "lib/xalloc.h"

#define PIECE  (64 * 1024)
#define DIGEST 16

struct mbox {
    struct source source; /* first: the source's functions find the mbox by it */
    const char *path;
    int fd;
    uint64_t size;
    int64_t time;
    unsigned char (*digests)[DIGEST]; /* of each message */
};

/* The octets of a message as they go to the importer, and their digest. */
struct content {
    crypto_generichash_state digest; /* first, for its alignment */
    struct mbox_quoting quoting;
    char octets[MBOX_QUOTED_MAX(PIECE)];
};

static void content_begin(struct content *content)
{
    mbox_quoting_init(&content->quoting, false);
    crypto_generichash_init(&content->digest, NULL, 0, DIGEST);
}

/* Returns how many octets the piece gave, in content->octets. */
static size_t content_take(struct content *content, const char *piece, size_t length)
{
    size_t taken = mbox_quote(&content->quoting, piece, length, content->octets);

    crypto_generichash_update(&content->digest, (const unsigned char *)content->octets, taken);
    return taken;
}

static size_t content_end(struct content *content, unsigned char digest_r[DIGEST])
{
    size_t taken = mbox_quote_end(&content->quoting, content->octets);

    crypto_generichash_update(&content->digest, (const unsigned char *)content->octets, taken);
    crypto_generichash_final(&content->digest, digest_r, DIGEST);
    return taken;
}

/* --- finding the messages --------------------------------------------------------------------- */

struct scan {
    struct content content; /* first, for its alignment */
    struct mbox *mbox;
    struct uniqueids *ids;
    /* What is read; a line that does not fit comes in several parts. */
    char piece[PIECE];
    size_t start, end;
    uint64_t offset; /* of the file behind what is read */
    bool line_begins;
    /* The message in hand. */
    bool inside;
    bool header;
    bool internal; /* what a server keeps for itself in a message that it does not show */
    uint64_t from; /* where its content begins */
    char blank[2]; /* a blank line that has come, and is the message's if another line follows */
    size_t blank_length;
    int64_t time;
    char own[UNIQUEID_SIZE];
    char field[UNIQUEID_SIZE];
};

static void end_message(struct scan *scan, uint64_t end)
{
    struct mbox *mbox = scan->mbox;
    unsigned char digest[DIGEST];
    char derived[2 * DIGEST + 1];
    int64_t time = scan->time > 0 ? scan->time : mbox->time;
    struct source_message message = {
        .time = (uint64_t)time * 1000000, .place = scan->from, .size = end - scan->from};

    content_end(&scan->content, digest);
    if (!scan->inside || scan->internal)
        return;
    sodium_bin2hex(derived, sizeof(derived), digest, sizeof(digest));
    const char *given = scan->own[0] != '\0' ? scan->own : scan->field;
    if (given[0] == '\0')
        uniqueids_add(scan->ids, derived, strlen(derived), message.unique_id);
    else if (!uniqueids_add(scan->ids, given, strlen(given), message.unique_id))
        refuse("the unique-id \"%s\" stands at more than one message; one gets %s", given,
               message.unique_id);
    mbox->digests = xrealloc(mbox->digests, (mbox->source.count + 1) * sizeof(mbox->digests[0]));
    memcpy(mbox->digests[mbox->source.count], digest, sizeof(digest));
    source_add(&mbox->source, &message);
}

static void begin_message(struct scan *scan, const char *line, size_t length, uint64_t from)
{
    content_begin(&scan->content);
    mbox_parse_from(line, length, &scan->time, scan->own);
    scan->field[0] = '\0';
    scan->inside = scan->header = true;
    scan->internal = false;
    scan->from = from;
    scan->blank_length = 0;
}

static bool is_field(const char *line, size_t length, const char *name)
{
    return length > strlen(name) && strncasecmp(line, name, strlen(name)) == 0;
}

static void look_at_field(struct scan *scan, const char *line, size_t length)
{
    static const char name[] = "X-UIDL:";

    if (scan->mbox->source.count == 0 &&
        is_field(line, length, "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA"))
        scan->internal = true;
    if (scan->field[0] != '\0' || !is_field(line, length, name))
        return;
    const char *value = line + strlen(name), *end = line + length;
    while (value < end && isspace((unsigned char)*value))
        value++;
    while (end > value && isspace((unsigned char)end[-1]))
        end--;
    if (!uniqueid_is_valid(value, (size_t)(end - value)))
        return;
    memcpy(scan->field, value, (size_t)(end - value));
    scan->field[end - value] = '\0';
}

static void take_content(struct scan *scan, const char *part, size_t length)
{
    if (scan->blank_length > 0)
        content_take(&scan->content, scan->blank, scan->blank_length);
    scan->blank_length = 0;
    content_take(&scan->content, part, length);
}

/*
 * A line, or a part of a long one, that ends at `end` of the file. Returns -1 when it should be the
 * first of a message and is not.
 */
static int take_line(struct scan *scan, const char *part, size_t length, bool whole, uint64_t end)
{
    size_t text = length;

    while (whole && text > 0 && (part[text - 1] == '\n' || part[text - 1] == '\r'))
        text--;
    bool first = end == length;
    if (scan->line_begins && whole && (first || scan->blank_length > 0) &&
        mbox_is_from(part, text)) {
        if (!first)
            end_message(scan, end - length - scan->blank_length);
        begin_message(scan, part, text, end);
        return 0;
    }
    if (first)
        return -1;
    if (scan->line_begins && whole && text == 0 && length <= sizeof(scan->blank)) {
        if (scan->blank_length > 0)
            take_content(scan, "", 0);
        memcpy(scan->blank, part, length);
        scan->blank_length = length;
        scan->header = false;
        return 0;
    }
    if (scan->line_begins && scan->header)
        look_at_field(scan, part, text);
    take_content(scan, part, length);
    return 0;
}

/* Reads on; returns how many octets there are now, 0 at the end, -1 (errno). */
static ssize_t fill(struct scan *scan)
{
    size_t rest = scan->end - scan->start;
    uint64_t left = scan->mbox->size - scan->offset;
    size_t room = sizeof(scan->piece) - rest;
    ssize_t got;

    memmove(scan->piece, scan->piece + scan->start, rest);
    do
        got = pread(scan->mbox->fd, scan->piece + rest, left < room ? (size_t)left : room,
                    (off_t)scan->offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;
    scan->start = 0;
    scan->end = rest + (size_t)got;
    scan->offset += (uint64_t)got;
    return (ssize_t)scan->end;
}

static int scan_file(struct scan *scan)
{
    ssize_t there;

    scan->line_begins = true;
    while ((there = fill(scan)) > 0) {
        size_t before = scan->start;
        bool last = scan->offset == scan->mbox->size;
        while (scan->start < scan->end) {
            const char *part = scan->piece + scan->start;
            const char *feed = memchr(part, '\n', scan->end - scan->start);
            size_t length = feed != NULL ? (size_t)(feed - part) + 1 : scan->end - scan->start;
            /* Without its end, only what fills the buffer, or the file's last line. */
            if (feed == NULL && !last && length < sizeof(scan->piece))
                break;
            uint64_t end = scan->offset - (scan->end - scan->start) + length;
            if (take_line(scan, part, length, feed != NULL, end) < 0)
                return refuse("%s is no mbox file: it does not begin with a line \"From ADDRESS "
                              "DATE\"",
                              scan->mbox->path);
            scan->line_begins = feed != NULL;
            scan->start += length;
        }
        if (scan->start == before && last)
            break;
    }
    if (there < 0)
        return refuse("cannot read %s: %s", scan->mbox->path, strerror(errno));
    if (scan->inside)
        end_message(scan, scan->offset - scan->blank_length);
    return EXIT_DONE;
}

static int find_messages(struct mbox *mbox)
{
    struct scan *scan = xcalloc(1, sizeof(*scan));

    scan->mbox = mbox;
    scan->ids = uniqueids_new();
    int done = scan_file(scan);
    uniqueids_free(scan->ids);
    free(scan);
    return done;
}

/* --- reading one ------------------------------------------------------------------------------ */

static enum source_result changed(const struct mbox *mbox)
{
    refuse("%s is being changed: stop whatever uses it, and run the same command again",
           mbox->path);
    return SOURCE_ENDED;
}

static enum source_result transfer(struct source *source, const struct source_message *message,
                                   struct importer *importer)
{
    static struct content content;
    static char piece[PIECE];
    struct mbox *mbox = (struct mbox *)source;
    unsigned char digest[DIGEST];

    content_begin(&content);
    for (uint64_t done = 0; done < message->size;) {
        uint64_t left = message->size - done;
        ssize_t got = pread(mbox->fd, piece, left < PIECE ? (size_t)left : PIECE,
                            (off_t)(message->place + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            return changed(mbox);
        if (got < 0) {
            refuse("cannot read %s: %s", mbox->path, strerror(errno));
            return SOURCE_ENDED;
        }
        size_t taken = content_take(&content, piece, (size_t)got);
        if (!importer_write(importer, content.octets, taken))
            return SOURCE_DONE;
        done += (uint64_t)got;
    }
    size_t taken = content_end(&content, digest);
    importer_write(importer, content.octets, taken);
    bool same = memcmp(digest, mbox->digests[message - source->messages], DIGEST) == 0;
    return same ? SOURCE_DONE : changed(mbox);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void mbox_free(struct source *source)
{
    struct mbox *mbox = (struct mbox *)source;

    if (mbox->fd >= 0)
        close(mbox->fd);
    free(mbox->digests);
    free(mbox);
}

static int open_file(struct mbox *mbox)
{
    struct stat status;

    mbox->fd = open(mbox->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (mbox->fd < 0 || fstat(mbox->fd, &status) < 0)
        return refuse("cannot open %s: %s", mbox->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return refuse("%s is no plain file; a maildir is imported with --maildir", mbox->path);
    mbox->size = (uint64_t)status.st_size;
    mbox->time = status.st_mtim.tv_sec > 0 ? status.st_mtim.tv_sec : 1;
    return EXIT_DONE;
}

struct source *mboxsource_open(const char *path)
{
    struct mbox *mbox = xcalloc(1, sizeof(*mbox));

    mbox->source.transfer = transfer;
    mbox->source.free = mbox_free;
    mbox->path = path;
    mbox->fd = -1;
    if (open_file(mbox) == EXIT_DONE && find_messages(mbox) == EXIT_DONE)
        return &mbox->source;
    source_free(&mbox->source);
    return NULL;
}
