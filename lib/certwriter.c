#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>
#include <uthash.h>

#include "lib/certbundle.h"
#include "lib/certlayout.h"
#include "lib/xalloc.h"

/* The certificate of an issuer is written once, however many it has issued. */
struct issuer {
    struct certlayout_piece piece;
    UT_hash_handle hh;
    uint8_t hash[CERTBUNDLE_HASH_SIZE];
};

/* A name of an entry; the text is in the entry's copy. */
struct row {
    const char *text;
    struct certlayout_piece piece;
    uint32_t item;
};

struct certwriter {
    int fd;
    int error; /* errno of the first failure */
    uint64_t start;
    uint64_t length;
    struct certlayout_item *items;
    char **names; /* of each item, a copy */
    uint32_t item_count;
    struct row *rows;
    uint32_t row_count;
    struct issuer *issuers;
    int64_t now;
};

/* Memory for one more, in steps of powers of two. */
static void *grow(void *array, uint32_t count, size_t size)
{
    return (count & (count - 1)) != 0 ? array : xrealloc(array, (count > 0 ? 2 * count : 1) * size);
}

static uint64_t page_up(uint64_t octets)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    return (octets + page - 1) / page * page;
}

struct certwriter *certwriter_begin(int fd)
{
    struct certwriter *writer = xcalloc(1, sizeof(*writer));
    struct stat status;

    writer->fd = fd;
    if (fstat(fd, &status) < 0)
        writer->error = errno;
    else
        writer->start = page_up(status.st_size > 0 ? (uint64_t)status.st_size : 1);
    return writer;
}

static void write_at(struct certwriter *writer, uint64_t at, const void *octets, size_t length)
{
    for (size_t done = 0; done < length && writer->error == 0;) {
        ssize_t part =
            pwrite(writer->fd, (const char *)octets + done, length - done, (off_t)(at + done));
        if (part > 0)
            done += (size_t)part;
        else if (part < 0 && errno != EINTR)
            writer->error = errno;
    }
}

static struct certlayout_piece put(struct certwriter *writer, const void *octets, size_t length)
{
    const struct certlayout_piece piece = {(uint32_t)writer->length, (uint32_t)length};

    if (length > UINT32_MAX || writer->length > UINT32_MAX - length) {
        writer->error = EFBIG;
        return (struct certlayout_piece){0};
    }
    write_at(writer, writer->start + writer->length, octets, length);
    writer->length += length;
    return piece;
}

static struct certlayout_piece put_issuer(struct certwriter *writer,
                                          const struct certbundle_octets *octets)
{
    uint8_t hash[CERTBUNDLE_HASH_SIZE];
    struct issuer *issuer;

    crypto_generichash(hash, sizeof(hash), octets->octets, octets->length, NULL, 0);
    HASH_FIND(hh, writer->issuers, hash, sizeof(hash), issuer);
    if (issuer == NULL) {
        issuer = xcalloc(1, sizeof(*issuer));
        memcpy(issuer->hash, hash, sizeof(hash));
        issuer->piece = put(writer, octets->octets, octets->length);
        HASH_ADD(hh, writer->issuers, hash, sizeof(hash), issuer);
    }
    return issuer->piece;
}

/* The rows of an entry's names, whose texts stand one after another. */
static void add_rows(struct certwriter *writer, uint32_t item)
{
    const struct certlayout_piece piece = writer->items[item].names;
    const char *text = writer->names[item];

    for (uint32_t done = 0, length; done < piece.length; done += length + 1) {
        length = (uint32_t)strlen(text + done);
        writer->rows = grow(writer->rows, writer->row_count, sizeof(*writer->rows));
        writer->rows[writer->row_count++] =
            (struct row){text + done, {piece.at + done, length}, item};
    }
}

void certwriter_add(struct certwriter *writer, const struct certbundle_entry *entry)
{
    const uint32_t number = writer->item_count;

    writer->items = grow(writer->items, number, sizeof(*writer->items));
    writer->names = grow(writer->names, number, sizeof(*writer->names));
    struct certlayout_item *item = &writer->items[number];
    memset(item, 0, sizeof(*item));
    item->not_before = entry->not_before;
    item->not_after = entry->not_after;
    memcpy(item->stamp, entry->stamp, sizeof(item->stamp));
    memcpy(item->hash, entry->hash, sizeof(item->hash));
    item->kind = entry->kind;
    item->label = put(writer, entry->label, strlen(entry->label) + 1);
    item->names = put(writer, entry->names.octets, entry->names.length);
    item->certificate = put(writer, entry->certificate.octets, entry->certificate.length);
    item->key = put(writer, entry->key.octets, entry->key.length);
    item->issuer_count = entry->issuer_count;
    for (unsigned i = 0; i < entry->issuer_count; i++)
        item->issuers[i] = put_issuer(writer, &entry->issuers[i]);
    writer->names[number] = xmalloc(entry->names.length + 1);
    if (entry->names.length > 0)
        memcpy(writer->names[number], entry->names.octets, entry->names.length);
    writer->item_count++;
    add_rows(writer, number);
}

/* Of two entries of one kind for one name, the greater serves it. */
static int64_t rank(const struct certwriter *writer, uint32_t number)
{
    const struct certlayout_item *item = &writer->items[number];
    const bool valid = item->not_before <= writer->now && writer->now < item->not_after;

    if (number == 0)
        return valid ? 0 : -2;
    if (!valid)
        return -1;
    return item->not_before > 1 ? item->not_before : 1;
}

/* In the order in which certbundle_find() looks; for one name the best of a kind comes first. */
static int compare_rows(const void *one, const void *other, void *context)
{
    const struct row *a = one;
    const struct row *b = other;

    if (a->piece.length != b->piece.length)
        return a->piece.length < b->piece.length ? -1 : 1;
    int order = memcmp(a->text, b->text, a->piece.length);
    if (order != 0)
        return order;
    int64_t rank_a = rank(context, a->item);
    int64_t rank_b = rank(context, b->item);
    if (rank_a != rank_b)
        return rank_a > rank_b ? -1 : 1;
    return a->item < b->item ? -1 : a->item > b->item;
}

/* Writes one name for all rows of it, and how many names there are. */
static void put_names(struct certwriter *writer, struct certlayout_head *head)
{
    struct certlayout_name name;
    const struct row *last = NULL;

    for (uint32_t i = 0; i < writer->row_count; i++) {
        const struct row *row = &writer->rows[i];
        if (last == NULL || last->piece.length != row->piece.length ||
            memcmp(last->text, row->text, row->piece.length) != 0) {
            if (last != NULL)
                (void)put(writer, &name, sizeof(name));
            head->name_count++;
            memset(&name, 0xff, sizeof(name));
            name.text = row->piece;
            last = row;
        }
        uint32_t *entry = &name.choice.entries[writer->items[row->item].kind];
        if (*entry == CERTBUNDLE_NONE)
            *entry = row->item;
    }
    if (last != NULL)
        (void)put(writer, &name, sizeof(name));
}

static uint32_t align(struct certwriter *writer)
{
    static const char zeros[8];

    (void)put(writer, zeros, (8 - writer->length % 8) % 8);
    return (uint32_t)writer->length;
}

static void put_tables(struct certwriter *writer, uint64_t *head_at_r)
{
    struct certlayout_head head = {.magic = CERTLAYOUT_MAGIC, .start = writer->start};

    head.item_count = writer->item_count;
    head.items = align(writer);
    (void)put(writer, writer->items, writer->item_count * sizeof(*writer->items));
    head.names = align(writer);
    if (writer->row_count > 0)
        qsort_r(writer->rows, writer->row_count, sizeof(*writer->rows), compare_rows, writer);
    put_names(writer, &head);
    *head_at_r = writer->start + align(writer);
    head.length = writer->length + sizeof(head);
    (void)put(writer, &head, sizeof(head));
}

static void give_back(const struct certwriter *writer, uint64_t from, uint64_t to)
{
    if (from < to)
        (void)fallocate(writer->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                        (off_t)(to - from));
}

/* Where the present contents begin, or 0. */
static uint64_t present_start(const struct certwriter *writer)
{
    struct certlayout_head head;
    uint64_t at;

    return certlayout_read_head(writer->fd, &at, &head) == 0 ? head.start : 0;
}

static void writer_free(struct certwriter *writer)
{
    struct issuer *issuer, *next;

    HASH_ITER (hh, writer->issuers, issuer, next) {
        HASH_DEL(writer->issuers, issuer);
        free(issuer);
    }
    for (uint32_t i = 0; i < writer->item_count; i++)
        free(writer->names[i]);
    free(writer->names);
    free(writer->items);
    free(writer->rows);
    free(writer);
}

int certwriter_end(struct certwriter *writer, int64_t now)
{
    uint64_t head_at = 0;

    writer->now = now;
    put_tables(writer, &head_at);
    if (writer->error == 0) {
        uint64_t present = present_start(writer);
        write_at(writer, 0, &head_at, sizeof(head_at));
        if (writer->error == 0)
            give_back(writer, page_up(1), present);
    }
    int error = writer->error;
    if (error != 0) {
        certwriter_cancel(writer);
        errno = error;
        return -1;
    }
    writer_free(writer);
    return 0;
}

void certwriter_cancel(struct certwriter *writer)
{
    give_back(writer, writer->start, writer->start + page_up(writer->length));
    writer_free(writer);
}
