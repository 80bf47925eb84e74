#include "db/changes.h"

/* Debian's SQLite is built with it. */
#define SQLITE_ENABLE_PREUPDATE_HOOK

#include <sqlite3.h>
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

/* One row of a table that is written. */
struct entry {
    const struct table *table;
    sqlite3_value **before; /* of each column; NULL: there was no row */
    sqlite3_value **after;
};

struct changes {
    struct table *tables;
    unsigned table_count;
    struct entry entries[DB_CHANGES_MAX];
    unsigned count;
    uint64_t more;
    bool counting;
    char *text;
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

typedef int (*value_get)(struct sqlite3 *, int, sqlite3_value **);

static sqlite3_value **copy_row(struct sqlite3 *sqlite, value_get get, unsigned count)
{
    sqlite3_value **values = xcalloc(count, sizeof(sqlite3_value *));
    for (unsigned i = 0; i < count; i++) {
        sqlite3_value *value;
        if (get(sqlite, (int)i, &value) == SQLITE_OK) {
            values[i] = sqlite3_value_dup(value);
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
        entry->before = copy_row(sqlite, sqlite3_preupdate_old, table->count);
    }
    if (operation != SQLITE_DELETE) {
        entry->after = copy_row(sqlite, sqlite3_preupdate_new, table->count);
    }
}

static void free_row(sqlite3_value **values, unsigned count)
{
    for (unsigned i = 0; values != NULL && i < count; i++) {
        sqlite3_value_free(values[i]);
    }
    free(values);
}

/* --- the text */

static void write_text(sqlite3_str *out, const char *text, size_t length)
{
    if (!utf8_is_valid(text, length)) {
        sqlite3_str_appendall(out, "\"not UTF-8\"");
        return;
    }
    sqlite3_str_appendchar(out, 1, '"');
    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        if (octet < ' ') {
            sqlite3_str_appendf(out, "\\u%04x", octet);
            continue;
        }
        if (octet == '"' || octet == '\\') {
            sqlite3_str_appendchar(out, 1, '\\');
        }
        sqlite3_str_appendchar(out, 1, text[i]);
    }
    sqlite3_str_appendchar(out, 1, '"');
}

static bool is_null(sqlite3_value *value)
{
    return value == NULL || sqlite3_value_type(value) == SQLITE_NULL;
}

/* What is written while a text is made. */
struct writer {
    sqlite3_str *out;
    struct db *db;
    enum db_result result;
};

/* The name of what the number stands for; false: there is none. */
static bool write_name(struct writer *writer, enum statement_id id, sqlite3_value *number)
{
    struct sqlite3_stmt *find = statement_get(writer->db, id);
    statement_bind_number(find, 1, (uint64_t)sqlite3_value_int64(number));
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

static bool is_hidden(const struct column *column, sqlite3_value *value)
{
    return column->secret || sqlite3_value_type(value) == SQLITE_BLOB;
}

static void write_value(struct writer *writer, const struct column *column, sqlite3_value *value)
{
    if (is_null(value)) {
        sqlite3_str_appendall(writer->out, "null");
    } else if (is_hidden(column, value)) {
        sqlite3_str_appendall(writer->out, "\"set\"");
    } else if (sqlite3_value_type(value) == SQLITE_TEXT) {
        const char *text = (const char *)sqlite3_value_text(value);
        write_text(writer->out, text, (size_t)sqlite3_value_bytes(value));
    } else if (column->reference == STATEMENT__MAX ||
               !write_name(writer, column->reference, value)) {
        sqlite3_str_appendf(writer->out, "%lld", sqlite3_value_int64(value));
    }
}

/*
 * SQLite tells NULL for what is not in the row because the column was added to the table later:
 * then it is the column's default.
 */
static bool is_default(const struct column *column, sqlite3_value *value)
{
    return is_null(value) && column->missing != NULL;
}

static bool is_literal(const char *literal, sqlite3_value *value)
{
    char *said = sqlite3_value_type(value) == SQLITE_INTEGER
                     ? sqlite3_mprintf("%lld", sqlite3_value_int64(value))
                     : sqlite3_mprintf("%Q", sqlite3_value_text(value));
    bool same = said != NULL && strcmp(said, literal) == 0;
    sqlite3_free(said);
    return same;
}

/* Defaults are numbers and short plain texts. */
static void write_literal(sqlite3_str *out, const char *literal)
{
    if (literal[0] == '\'') {
        write_text(out, literal + 1, strlen(literal) - 2);
    } else {
        sqlite3_str_appendall(out, literal);
    }
}

static bool is_same(const struct column *column, sqlite3_value *before, sqlite3_value *after)
{
    if (is_default(column, before) && !is_null(after)) {
        return is_literal(column->missing, after);
    }
    if (is_null(before) || is_null(after)) {
        return is_null(before) && is_null(after);
    }
    if (sqlite3_value_type(before) == SQLITE_INTEGER) {
        return sqlite3_value_int64(before) == sqlite3_value_int64(after);
    }
    const void *octets = sqlite3_value_blob(before);
    int length = sqlite3_value_bytes(before);
    return length == sqlite3_value_bytes(after) &&
           (length == 0 || memcmp(octets, sqlite3_value_blob(after), (size_t)length) == 0);
}

static void write_member(struct writer *writer, const struct column *column, sqlite3_value *value)
{
    sqlite3_str_appendf(writer->out, "\"%s\":", column->name);
    write_value(writer, column, value);
}

/* Whether it is written into "before" or "after" of the entry. */
static bool is_told(const struct entry *entry, unsigned i, bool after)
{
    const struct column *column = &entry->table->columns[i];
    if (column->key || column->left_out) {
        return false;
    }
    if (entry->before == NULL || entry->after == NULL) {
        return !is_null(after ? entry->after[i] : entry->before[i]);
    }
    return !is_same(column, entry->before[i], entry->after[i]);
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
    sqlite3_value **row = after ? entry->after : entry->before;
    const char *separator = "";
    if (row == NULL) {
        return;
    }
    sqlite3_str_appendf(writer->out, ",\"%s\":{", after ? "after" : "before");
    for (unsigned i = 0; i < entry->table->count; i++) {
        const struct column *column = &entry->table->columns[i];
        if (!is_told(entry, i, after)) {
            continue;
        }
        sqlite3_str_appendall(writer->out, separator);
        separator = ",";
        if (!after && is_default(column, row[i])) {
            sqlite3_str_appendf(writer->out, "\"%s\":", column->name);
            write_literal(writer->out, column->missing);
        } else if (after && entry->before != NULL && is_hidden(column, row[i])) {
            sqlite3_str_appendf(writer->out, "\"%s\":\"changed\"", column->name);
        } else {
            write_member(writer, column, row[i]);
        }
    }
    sqlite3_str_appendchar(writer->out, 1, '}');
}

static void write_entry(struct writer *writer, const struct entry *entry)
{
    const struct table *table = entry->table;
    sqlite3_value **row = entry->after != NULL ? entry->after : entry->before;
    sqlite3_str_appendf(writer->out, "%s{\"of\":\"%s\"",
                        sqlite3_str_length(writer->out) > 1 ? "," : "", table->shown);
    for (unsigned i = 0; i < table->count; i++) {
        if (table->columns[i].key && !table->columns[i].left_out) {
            sqlite3_str_appendchar(writer->out, 1, ',');
            write_member(writer, &table->columns[i], row[i]);
        }
    }
    write_row(writer, entry, false);
    write_row(writer, entry, true);
    sqlite3_str_appendchar(writer->out, 1, '}');
}

/* --- the life of it */

static void forget(struct changes *changes)
{
    for (unsigned i = 0; i < changes->count; i++) {
        struct entry *entry = &changes->entries[i];
        free_row(entry->before, entry->table->count);
        free_row(entry->after, entry->table->count);
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
    sqlite3_free(changes->text);
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
        other = !is_same(&entry->table->columns[i], entry->before[i], entry->after[i]);
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
    struct writer writer = {.out = sqlite3_str_new(NULL), .db = db, .result = DB_OK};
    changes->counting = false;
    sqlite3_str_appendchar(writer.out, 1, '[');
    for (unsigned i = 0; i < changes->count; i++) {
        if (differs(&changes->entries[i])) {
            write_entry(&writer, &changes->entries[i]);
        }
    }
    if (changes->more > 0) {
        sqlite3_str_appendf(writer.out, ",{\"more\":%llu}", (unsigned long long)changes->more);
    }
    bool empty = sqlite3_str_length(writer.out) == 1;
    sqlite3_str_appendchar(writer.out, 1, ']');
    forget(changes);
    sqlite3_free(changes->text);
    changes->text = sqlite3_str_finish(writer.out);
    if (writer.result != DB_OK || changes->text == NULL) {
        return NULL;
    }
    return empty ? "" : changes->text;
}
