#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "cli/file.h"
#include "cli/uidlist.h"
#include "lib/xalloc.h"

/* A million messages with long names. */
#define FILE_MAX (256 * 1024 * 1024)

#define DOVECOT "dovecot-uidlist"
#define COURIER "courierpop3dsizelist"

struct row {
    struct uidlist_entry entry;
    UT_hash_handle hh;
    char name[]; /* then its unique-id */
};

struct uidlist {
    struct row *rows;
    uint32_t validity;
    void (*take_line)(struct uidlist *list, char *line);
};

/* What stands between `text` and the next space, which becomes its end; NULL at the line's end. */
static char *next_word(char **text)
{
    return strsep(text, " ");
}

/* A whole decimal number of 32 bits, as both servers have them. */
static bool parse_number(const char *text, uint32_t *number_r)
{
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *number_r = (uint32_t)number;
    return errno == 0 && *end == '\0' && number <= UINT32_MAX;
}

/* A file that stands twice has what its last line says, as with Dovecot. */
static void add_row(struct uidlist *list, const char *name, const char *unique_id, uint64_t rank)
{
    size_t name_length = strcspn(name, ":"), length = unique_id != NULL ? strlen(unique_id) + 1 : 0;
    struct row *row = xcalloc(1, sizeof(*row) + name_length + 1 + length), *old;

    memcpy(row->name, name, name_length);
    row->entry.rank = rank;
    if (unique_id != NULL) {
        memcpy(row->name + name_length + 1, unique_id, length);
        row->entry.unique_id = row->name + name_length + 1;
    }
    HASH_FIND(hh, list->rows, row->name, name_length, old);
    if (old != NULL) {
        HASH_DEL(list->rows, old);
        free(old);
    }
    HASH_ADD_KEYPTR(hh, list->rows, row->name, name_length, row);
}

/* --- dovecot-uidlist -------------------------------------------------------------------------- */

/* "uid [fields] :name"; version 1 has "uid name", which has no fields. */
static void take_dovecot(struct uidlist *list, char *line)
{
    char standard[2 * 8 + 1];
    const char *unique_id = standard;
    uint32_t uid, order;

    if (!parse_number(next_word(&line), &uid) || uid == 0 || line == NULL)
        return;
    snprintf(standard, sizeof(standard), "%08" PRIx32 "%08" PRIx32, uid, list->validity);
    uint64_t rank = ((uint64_t)1 << 32) + uid; /* behind all that have an order */
    while (line != NULL && *line >= 'A' && *line <= 'Z') {
        const char *field = next_word(&line);
        if (*field == 'P')
            unique_id = field[1] != '\0' ? field + 1 : NULL;
        else if (*field == 'O' && parse_number(field + 1, &order))
            rank = order;
    }
    if (line == NULL)
        return;
    add_row(list, line + (*line == ':'), unique_id, rank);
}

static void take_dovecot_1(struct uidlist *list, char *line)
{
    char standard[2 * 8 + 1];
    uint32_t uid;

    if (!parse_number(next_word(&line), &uid) || uid == 0 || line == NULL)
        return;
    snprintf(standard, sizeof(standard), "%08" PRIx32 "%08" PRIx32, uid, list->validity);
    add_row(list, line, standard, uid);
}

/* "3 V<validity> N<next uid> ..." or "1 <validity> <next uid>" */
static bool take_dovecot_header(struct uidlist *list, char *line)
{
    const char *version = next_word(&line), *field;

    if (strcmp(version, "1") == 0) {
        list->take_line = take_dovecot_1;
        return parse_number(next_word(&line), &list->validity);
    }
    if (strcmp(version, "3") != 0)
        return false;
    list->take_line = take_dovecot;
    while ((field = next_word(&line)) != NULL)
        if (*field == 'V')
            return parse_number(field + 1, &list->validity);
    return false;
}

/* --- courierpop3dsizelist --------------------------------------------------------------------- */

/* "name size number:validity" and in version 3 ":utf8"; a name may hold spaces. */
static void take_courier(struct uidlist *list, char *line)
{
    char unique_id[2 * 10 + 8];
    uint32_t number, validity;

    char *numbers = strrchr(line, ' ');
    if (numbers == NULL)
        return;
    *numbers++ = '\0';
    char *size = strrchr(line, ' ');
    if (size == NULL || size == line)
        return;
    *size = '\0';
    const char *first = strsep(&numbers, ":");
    if (!parse_number(first, &number) || !parse_number(strsep(&numbers, ":"), &validity))
        return;
    if (validity != 0)
        snprintf(unique_id, sizeof(unique_id), "UID%" PRIu32 "-%" PRIu32, number, validity);
    else
        snprintf(unique_id, sizeof(unique_id), "UID%" PRIu32, number);
    add_row(list, line, number != 0 ? unique_id : NULL, UIDLIST_NO_RANK);
}

static bool take_courier_header(struct uidlist *list, char *line)
{
    const char *version = next_word(&line);

    list->take_line = take_courier;
    return strcmp(version, "/2") == 0 || strcmp(version, "/3") == 0;
}

/* --- files ------------------------------------------------------------------------------------ */

struct uidlist *uidlist_parse(char *text, size_t length)
{
    struct uidlist *list = xcalloc(1, sizeof(*list));
    bool header = true;

    for (char *line = text, *end; line < text + length; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + length - line));
        if (end == NULL)
            break; /* the end is missing: it is just being written */
        *end = '\0';
        /* With a NUL inside, or too long, it is nothing that a server writes. */
        bool sane = strlen(line) == (size_t)(end - line) && end - line < UIDLIST_LINE_MAX;
        if (header && !(sane && (*line == '/' ? take_courier_header(list, line)
                                              : take_dovecot_header(list, line)))) {
            uidlist_free(list);
            return NULL;
        }
        if (!header && sane)
            list->take_line(list, line);
        header = false;
    }
    if (header) {
        uidlist_free(list);
        return NULL;
    }
    return list;
}

/* -1: there is no such file (ENOENT), or it is no file of the maildir's own. */
static int open_list(int folder, const char *name, struct stat *status_r)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0 && (fstat(fd, status_r) < 0 || !S_ISREG(status_r->st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

static bool is_newer(const struct stat *one, const struct stat *other)
{
    if (one->st_mtim.tv_sec != other->st_mtim.tv_sec)
        return one->st_mtim.tv_sec > other->st_mtim.tv_sec;
    return one->st_mtim.tv_nsec > other->st_mtim.tv_nsec;
}

static struct uidlist *read_list(int fd)
{
    char *text;

    ssize_t length = file_read(fd, FILE_MAX, &text);
    if (length < 0)
        return NULL;
    struct uidlist *list = uidlist_parse(text, (size_t)length);
    free(text);
    errno = 0;
    return list;
}

struct uidlist *uidlist_read(int folder, const char **name_r)
{
    struct stat dovecot_status, courier_status;
    struct uidlist *list = NULL;

    int courier = open_list(folder, COURIER, &courier_status);
    int reason = courier < 0 ? errno : ENOENT;
    *name_r = COURIER;
    int dovecot = open_list(folder, DOVECOT, &dovecot_status);
    if (dovecot < 0 && errno != ENOENT) {
        *name_r = DOVECOT;
        reason = errno;
    }
    /* One that is there and cannot be read may be the newer one. */
    if (reason == ENOENT) {
        bool take_dovecot =
            dovecot >= 0 && (courier < 0 || is_newer(&dovecot_status, &courier_status));
        *name_r = take_dovecot ? DOVECOT : courier >= 0 ? COURIER : NULL;
        list = *name_r != NULL ? read_list(take_dovecot ? dovecot : courier) : NULL;
        reason = errno;
    }
    if (courier >= 0)
        close(courier);
    if (dovecot >= 0)
        close(dovecot);
    errno = reason;
    return list;
}

void uidlist_free(struct uidlist *list)
{
    struct row *row, *next;

    if (list == NULL)
        return;
    HASH_ITER (hh, list->rows, row, next) {
        HASH_DEL(list->rows, row);
        free(row);
    }
    free(list);
}

const struct uidlist_entry *uidlist_find(const struct uidlist *list, const char *name,
                                         size_t length)
{
    struct row *row = NULL;

    if (list != NULL)
        HASH_FIND(hh, list->rows, name, length, row);
    return row != NULL ? &row->entry : NULL;
}
