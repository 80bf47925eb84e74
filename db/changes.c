#include "db/changes.h"

/* Debian's SQLite is built with it. */
#define SQLITE_ENABLE_PREUPDATE_HOOK

#include <sodium.h>
#include <sqlite3.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/handle.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"

/* What the audit does not follow: it, and what is no business of anybody's. */
static const char *const ignored[] = {"audit",    "event",     "mailbox_drop", "idempotency_key",
                                      "secret",   "logout",    "outbox",       "removal",
                                      "job_part", "job_error", "job_hash"};

/* Beside all that is a BLOB. */
static const struct {
    const char *table;
    const char *column;
} secrets[] = {{"credential", "hash"}, {"credential", "scram"}, {"admin_user", "hash"}};

/* Which columns hold a row's number for what people call by a name. */
static const struct {
    const char *table;
    const char *column;
    enum statement_id name;
} references[] = {{"customer", "plan", STATEMENT_CHANGES_PLAN},
                  {"address", "domain", STATEMENT_CHANGES_DOMAIN},
                  {"domain", "catch_all", STATEMENT_CHANGES_ADDRESS},
                  {"address_target", "mailbox", STATEMENT_CHANGES_MAILBOX}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct column {
    char *name;
    char *missing; /* in rows from before it was added: its default as SQL has it, or NULL */
    bool key;
    bool left_out;
    bool secret;
    enum statement_id reference; /* STATEMENT__MAX: none */
};

struct table {
    char *name;
    const char *shown; /* without the "any_" of those that hold what was removed, too */
    struct column *columns;
    unsigned count;
};

/* What a column holds. */
struct value {
    int type;           /* SQLite's */
    int64_t number;     /* of what is no text and no BLOB */
    const char *octets; /* with a NUL behind them */
    size_t length;
};

/* One row of a table that is written. */
struct entry {
    const struct table *table;
    const struct value *before; /* of each column; NULL: there was no row */
    const struct value *after;
};

/* Memory for what is noted until it is forgotten. The last piece stays for the next change. */
struct piece {
    struct piece *next;
    size_t room;
    size_t used;
    alignas(max_align_t) char octets[];
};

#define PIECE_ROOM 16384

struct text {
    char *octets;
    size_t length;
    size_t room;
};

struct changes {
    struct table *tables;
    unsigned table_count;
    struct entry entries[DB_CHANGES_MAX];
    unsigned count;
    uint64_t more;
    bool counting;
    struct piece *pieces; /* the newest first */
    struct text text;
};

/* --- the tables */

static bool is_ignored(const char *table)
{
    for (size_t i = 0; i < COUNT(ignored); i++) {
        if (strcmp(ignored[i], table) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_secret(const char *table, const char *column)
{
    for (size_t i = 0; i < COUNT(secrets); i++) {
        if (strcmp(secrets[i].table, table) == 0 && strcmp(secrets[i].column, column) == 0) {
            return true;
        }
    }
    return false;
}

static enum statement_id find_reference(const char *table, const char *column)
{
    for (size_t i = 0; i < COUNT(references); i++) {
        if (strcmp(references[i].table, table) == 0 && strcmp(references[i].column, column) == 0) {
            return references[i].name;
        }
    }
    return STATEMENT__MAX;
}

static void add_column(struct table *table, const char *name, struct sqlite3_stmt *row)
{
    const char *missing = (const char *)sqlite3_column_text(row, 2);
    table->columns = xrealloc(table->columns, (table->count + 1) * sizeof(*table->columns));
    struct column *column = &table->columns[table->count++];
    *column = (struct column){.name = xstrdup(name),
                              .missing = missing == NULL ? NULL : xstrdup(missing),
                              .key = statement_bool(row, 3)};
    column->left_out =
        strcmp(column->name, "customer") == 0 || strcmp(column->name, "removed") == 0;
    column->secret = is_secret(table->shown, column->name);
    column->reference = find_reference(table->shown, column->name);
}

static void add(struct changes *changes, struct sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    const char *column = (const char *)sqlite3_column_text(row, 1);
    struct table *last =
        changes->table_count > 0 ? &changes->tables[changes->table_count - 1] : NULL;
    if (name == NULL || column == NULL || is_ignored(name)) {
        return;
    }
    if (last == NULL || strcmp(last->name, name) != 0) {
        changes->tables =
            xrealloc(changes->tables, (changes->table_count + 1) * sizeof(*changes->tables));
        last = &changes->tables[changes->table_count++];
        *last = (struct table){.name = xstrdup(name)};
        last->shown = last->name + (strncmp(last->name, "any_", 4) == 0 ? 4 : 0);
    }
    add_column(last, column, row);
}

static const struct table *find_table(const struct changes *changes, const char *name)
{
    for (unsigned i = 0; i < changes->table_count; i++) {
        if (strcmp(changes->tables[i].name, name) == 0) {
            return &changes->tables[i];
        }
    }
    return NULL;
}

/* --- what is noted */

static void *take(struct changes *changes, size_t size)
{
    struct piece *piece = changes->pieces;
    size += -size % alignof(max_align_t);
    if (piece == NULL || piece->room - piece->used < size) {
        size_t room = size > PIECE_ROOM ? size : PIECE_ROOM;
        piece = xmalloc(sizeof(*piece) + room);
        *piece = (struct piece){.next = changes->pieces, .room = room};
        changes->pieces = piece;
    }
    void *taken = piece->octets + piece->used;
    piece->used += size;
    return taken;
}

static void copy_value(struct changes *changes, sqlite3_value *from, struct value *value_r)
{
    int type = sqlite3_value_type(from);
    *value_r = (struct value){.type = type};
    if (type != SQLITE_TEXT && type != SQLITE_BLOB) {
        value_r->number = sqlite3_value_int64(from);
        return;
    }
    const void *octets =
        type == SQLITE_TEXT ? (const void *)sqlite3_value_text(from) : sqlite3_value_blob(from);
    value_r->length = (size_t)sqlite3_value_bytes(from);
    char *copy = take(changes, value_r->length + 1);
    if (value_r->length > 0) {
        memcpy(copy, octets, value_r->length);
    }
    copy[value_r->length] = '\0';
    value_r->octets = copy;
}

typedef int (*value_get)(struct sqlite3 *, int, sqlite3_value **);

static const struct value *copy_row(struct changes *changes, struct sqlite3 *sqlite, value_get get,
                                    unsigned count)
{
    struct value *values = take(changes, count * sizeof(*values));
    for (unsigned i = 0; i < count; i++) {
        sqlite3_value *value;
        if (get(sqlite, (int)i, &value) == SQLITE_OK) {
            copy_value(changes, value, &values[i]);
        } else {
            values[i] = (struct value){.type = SQLITE_NULL};
        }
    }
    return values;
}

static void on_row(void *context, struct sqlite3 *sqlite, int operation, const char *database,
                   const char *name, sqlite3_int64 from, sqlite3_int64 to)
{
    struct changes *changes = context;
    const struct table *table = changes->counting ? find_table(changes, name) : NULL;
    (void)database;
    (void)from;
    (void)to;
    if (table == NULL) {
        return;
    }
    if (changes->count == DB_CHANGES_MAX) {
        changes->more++;
        return;
    }
    struct entry *entry = &changes->entries[changes->count++];
    *entry = (struct entry){.table = table};
    if (operation != SQLITE_INSERT) {
        entry->before = copy_row(changes, sqlite, sqlite3_preupdate_old, table->count);
    }
    if (operation != SQLITE_DELETE) {
        entry->after = copy_row(changes, sqlite, sqlite3_preupdate_new, table->count);
    }
}

/* --- the text */

static void append(struct text *text, const char *octets, size_t length)
{
    if (text->room - text->length < length) {
        text->room = 2 * (text->room + length);
        text->octets = xrealloc(text->octets, text->room);
    }
    memcpy(text->octets + text->length, octets, length);
    text->length += length;
}

static void append_all(struct text *text, const char *what)
{
    append(text, what, strlen(what));
}

static void append_number(struct text *text, int64_t number)
{
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    char digits[20];
    size_t begin = sizeof(digits);
    do {
        digits[--begin] = (char)('0' + rest % 10);
    } while ((rest /= 10) > 0);
    append(text, "-", number < 0 ? 1 : 0);
    append(text, digits + begin, sizeof(digits) - begin);
}

static void write_text(struct text *out, const char *text, size_t length)
{
    if (!utf8_is_valid(text, length)) {
        append_all(out, "\"not UTF-8\"");
        return;
    }
    append(out, "\"", 1);
    size_t plain = 0; /* where what needs no escape begins */
    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        char escape[8];
        if (octet >= ' ' && octet != '"' && octet != '\\') {
            continue;
        }
        append(out, text + plain, i - plain);
        plain = i + 1;
        snprintf(escape, sizeof(escape), octet < ' ' ? "\\u%04x" : "\\%c", octet);
        append_all(out, escape);
    }
    append(out, text + plain, length - plain);
    append(out, "\"", 1);
}

static bool is_null(const struct value *value)
{
    return value->type == SQLITE_NULL;
}

/* What is written while a text is made. */
struct writer {
    struct text *out;
    struct db *db;
    enum db_result result;
};

/* The name of what the number stands for; false: there is none. */
static bool write_name(struct writer *writer, enum statement_id id, int64_t number)
{
    struct sqlite3_stmt *find = statement_get(writer->db, id);
    statement_bind_number(find, 1, (uint64_t)number);
    enum db_result found = statement_row(writer->db, find);
    if (found == DB_OK) {
        const char *name = (const char *)sqlite3_column_text(find, 0);
        write_text(writer->out, name, (size_t)sqlite3_column_bytes(find, 0));
        statement_reset(find);
    } else if (found != DB_NONE) {
        writer->result = found;
    }
    return found == DB_OK;
}

static bool is_hidden(const struct column *column, const struct value *value)
{
    return column->secret || value->type == SQLITE_BLOB;
}

static void write_value(struct writer *writer, const struct column *column,
                        const struct value *value)
{
    if (is_null(value)) {
        append_all(writer->out, "null");
    } else if (is_hidden(column, value)) {
        append_all(writer->out, "\"set\"");
    } else if (value->type == SQLITE_TEXT) {
        write_text(writer->out, value->octets, value->length);
    } else if (column->reference == STATEMENT__MAX ||
               !write_name(writer, column->reference, value->number)) {
        append_number(writer->out, value->number);
    }
}

/*
 * SQLite tells NULL for what is not in the row because the column was added to the table later:
 * then it is the column's default.
 */
static bool is_default(const struct column *column, const struct value *value)
{
    return is_null(value) && column->missing != NULL;
}

static bool is_literal(const char *literal, const struct value *value)
{
    char *said = value->type == SQLITE_INTEGER ? sqlite3_mprintf("%lld", (long long)value->number)
                                               : sqlite3_mprintf("%Q", value->octets);
    bool same = said != NULL && strcmp(said, literal) == 0;
    sqlite3_free(said);
    return same;
}

/* Defaults are numbers and short plain texts. */
static void write_literal(struct text *out, const char *literal)
{
    if (literal[0] == '\'') {
        write_text(out, literal + 1, strlen(literal) - 2);
    } else {
        append_all(out, literal);
    }
}

static bool is_same(const struct column *column, const struct value *before,
                    const struct value *after)
{
    if (is_default(column, before) && !is_null(after)) {
        return is_literal(column->missing, after);
    }
    return before->type == after->type && before->number == after->number &&
           before->length == after->length &&
           (before->length == 0 || memcmp(before->octets, after->octets, before->length) == 0);
}

static void write_name_of(struct writer *writer, const struct column *column)
{
    append(writer->out, "\"", 1);
    append_all(writer->out, column->name);
    append(writer->out, "\":", 2);
}

/* Whether it is written into "before" or "after" of the entry. */
static bool is_told(const struct entry *entry, unsigned i, bool after)
{
    const struct column *column = &entry->table->columns[i];
    const struct value *row = after ? entry->after : entry->before;
    const struct value *other = after ? entry->before : entry->after;
    if (row == NULL || column->key || column->left_out) {
        return false;
    }
    return other == NULL ? !is_null(&row[i])
                         : !is_same(column, &entry->before[i], &entry->after[i]);
}

static bool differs(const struct entry *entry)
{
    bool told = entry->before == NULL || entry->after == NULL;
    for (unsigned i = 0; i < entry->table->count && !told; i++) {
        told = is_told(entry, i, true);
    }
    return told;
}

static void write_row(struct writer *writer, const struct entry *entry, bool after)
{
    const struct value *row = after ? entry->after : entry->before;
    const char *separator = "";
    if (row == NULL) {
        return;
    }
    append_all(writer->out, after ? ",\"after\":{" : ",\"before\":{");
    for (unsigned i = 0; i < entry->table->count; i++) {
        const struct column *column = &entry->table->columns[i];
        if (!is_told(entry, i, after)) {
            continue;
        }
        append_all(writer->out, separator);
        separator = ",";
        write_name_of(writer, column);
        if (!after && is_default(column, &row[i])) {
            write_literal(writer->out, column->missing);
        } else if (after && entry->before != NULL && is_hidden(column, &row[i])) {
            append_all(writer->out, "\"changed\"");
        } else {
            write_value(writer, column, &row[i]);
        }
    }
    append(writer->out, "}", 1);
}

static void write_entry(struct writer *writer, const struct entry *entry)
{
    const struct table *table = entry->table;
    const struct value *row = entry->after != NULL ? entry->after : entry->before;
    append_all(writer->out, writer->out->length > 1 ? ",{\"of\":\"" : "{\"of\":\"");
    append_all(writer->out, table->shown);
    append(writer->out, "\"", 1);
    for (unsigned i = 0; i < table->count; i++) {
        if (table->columns[i].key && !table->columns[i].left_out) {
            append(writer->out, ",", 1);
            write_name_of(writer, &table->columns[i]);
            write_value(writer, &table->columns[i], &row[i]);
        }
    }
    write_row(writer, entry, false);
    write_row(writer, entry, true);
    append(writer->out, "}", 1);
}

/* --- the life of it */

/* There may be hashes of passwords among it. */
static void forget(struct changes *changes)
{
    struct piece *piece = changes->pieces;
    for (; piece != NULL && piece->next != NULL; piece = changes->pieces) {
        changes->pieces = piece->next;
        sodium_memzero(piece->octets, piece->used);
        free(piece);
    }
    if (piece != NULL) {
        sodium_memzero(piece->octets, piece->used);
        piece->used = 0;
    }
    changes->count = 0;
    changes->more = 0;
    changes->counting = false;
}

struct changes *changes_open(struct db *db)
{
    struct changes *changes = xcalloc(1, sizeof(*changes));
    struct sqlite3_stmt *columns = statement_get(db, STATEMENT_CHANGES_COLUMNS);
    enum db_result result;
    while ((result = statement_row(db, columns)) == DB_OK) {
        add(changes, columns);
    }
    if (result != DB_NONE) {
        changes_close(changes);
        return NULL;
    }
    sqlite3_preupdate_hook(db->sqlite, on_row, changes);
    return changes;
}

void changes_close(struct changes *changes)
{
    if (changes == NULL) {
        return;
    }
    forget(changes);
    for (unsigned i = 0; i < changes->table_count; i++) {
        struct table *table = &changes->tables[i];
        for (unsigned k = 0; k < table->count; k++) {
            free(table->columns[k].name);
            free(table->columns[k].missing);
        }
        free(table->columns);
        free(table->name);
    }
    free(changes->tables);
    free(changes->pieces);
    free(changes->text.octets);
    free(changes);
}

void changes_begin(struct changes *changes)
{
    forget(changes);
    changes->counting = true;
}

void changes_drop(struct changes *changes)
{
    forget(changes);
}

static bool is_other(const struct entry *entry)
{
    bool other = entry->before == NULL || entry->after == NULL;
    for (unsigned i = 0; i < entry->table->count && !other; i++) {
        other = !is_same(&entry->table->columns[i], &entry->before[i], &entry->after[i]);
    }
    return other;
}

bool changes_any(const struct changes *changes)
{
    bool any = changes->more > 0;
    for (unsigned i = 0; i < changes->count && !any; i++) {
        any = is_other(&changes->entries[i]);
    }
    return any;
}

const char *changes_end(struct db *db, struct changes *changes)
{
    struct text *text = &changes->text;
    struct writer writer = {.out = text, .db = db, .result = DB_OK};
    changes->counting = false;
    text->length = 0;
    append(text, "[", 1);
    for (unsigned i = 0; i < changes->count; i++) {
        if (differs(&changes->entries[i])) {
            write_entry(&writer, &changes->entries[i]);
        }
    }
    if (changes->more > 0) {
        append_all(text, text->length > 1 ? ",{\"more\":" : "{\"more\":");
        append_number(text, (int64_t)changes->more);
        append(text, "}", 1);
    }
    bool empty = text->length == 1;
    append(text, "]", 2); /* with its NUL */
    forget(changes);
    if (writer.result != DB_OK) {
        return NULL;
    }
    return empty ? "" : text->octets;
}
