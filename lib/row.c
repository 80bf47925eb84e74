#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <sodium.h>

#include "lib/csv.h"
#include "lib/jsonlist.h"
#include "lib/row.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"

#define BLANKS " \t"

enum kind { KIND_TEXT, KIND_NUMBER, KIND_FLAG, KIND_TEXTS };

/* A row that is being read, and where its targets go. */
struct reading {
    struct row *row;
    struct address *targets;
    unsigned columns;
};

struct value {
    const char *text; /* KIND_TEXT: ends in NUL, and holds none before */
    size_t length;
    uint64_t number;
    bool flag;
};

static void take_address(struct reading *reading, const struct value *value);
static void take_customer(struct reading *reading, const struct value *value);
static void take_name(struct reading *reading, const struct value *value);
static void take_target(struct reading *reading, const struct value *value);
static void take_quota(struct reading *reading, const struct value *value);
static void take_language(struct reading *reading, const struct value *value);
static void take_pop3(struct reading *reading, const struct value *value);
static void take_smtp(struct reading *reading, const struct value *value);
static void take_invite(struct reading *reading, const struct value *value);
static void take_generate(struct reading *reading, const struct value *value);
static void take_hash(struct reading *reading, const struct value *value);
static void take_password(struct reading *reading, const struct value *value);

static const struct column {
    const char *name;
    enum kind kind;
    void (*take)(struct reading *reading, const struct value *value); /* KIND_TEXTS: of each */
} known[ROW_COLUMNS] = {
    [ROW_ADDRESS] = {"address", KIND_TEXT, take_address},
    [ROW_CUSTOMER] = {"customer", KIND_NUMBER, take_customer},
    [ROW_NAME] = {"name", KIND_TEXT, take_name},
    [ROW_TARGETS] = {"targets", KIND_TEXTS, take_target},
    [ROW_QUOTA_BYTES] = {"quota_bytes", KIND_NUMBER, take_quota},
    [ROW_LANGUAGE] = {"language", KIND_TEXT, take_language},
    [ROW_POP3] = {"pop3", KIND_FLAG, take_pop3},
    [ROW_SMTP] = {"smtp", KIND_FLAG, take_smtp},
    [ROW_INVITE] = {"invite", KIND_FLAG, take_invite},
    [ROW_GENERATE] = {"generate", KIND_FLAG, take_generate},
    [ROW_HASH] = {"hash", KIND_TEXT, take_hash},
    [ROW_PASSWORD] = {"password", KIND_TEXT, take_password},
};

const char *row_column_name(enum row_column column)
{
    return known[column].name;
}

/* --- mistakes */

void row_wrong(struct row *row, const char *column, const char *code, const char *format, ...)
{
    va_list arguments;

    for (unsigned i = 0; i < row->error_count; i++)
        if (strcmp(row->errors[i].column, column) == 0)
            return;
    if (row->error_count == ROW_ERRORS_MAX)
        return;
    struct row_error *error = &row->errors[row->error_count++];
    snprintf(error->column, sizeof(error->column), "%s", column);
    error->code = code;
    va_start(arguments, format);
    vsnprintf(error->reason, sizeof(error->reason), format, arguments);
    va_end(arguments);
    /* Where it had to be cut, that may be within a character. */
    size_t length = strlen(error->reason);
    while (!utf8_is_valid(error->reason, length))
        error->reason[--length] = '\0';
}

static void wrong(const struct reading *reading, enum row_column column, const char *code,
                  const char *reason)
{
    row_wrong(reading->row, known[column].name, code, "%s", reason);
}

/* "address, name and so on": what may be named. */
static void list_columns(char text_r[ROW_REASON_SIZE], unsigned columns)
{
    size_t length = 0;

    text_r[0] = '\0';
    for (unsigned i = 0; i < ROW_COLUMNS; i++)
        if ((columns & 1U << i) != 0)
            length += (size_t)snprintf(text_r + length, ROW_REASON_SIZE - length, "%s%s",
                                       length > 0 ? ", " : "", known[i].name);
}

/*
 * What could be a column's name: a table without its first line has passwords and addresses there.
 */
static bool is_name(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789 _-");

    return length > 0 && length <= ROW_COLUMN_MAX && text[length] == '\0';
}

static void unknown_column(const struct reading *reading, const char *name, unsigned place)
{
    char there[ROW_REASON_SIZE];

    list_columns(there, reading->columns);
    if (is_name(name))
        row_wrong(reading->row, name, "unknown", "there is no \"%s\"; there are: %s", name, there);
    else
        row_wrong(reading->row, "", "unknown", "the name of no. %u is none of these: %s", place,
                  there);
}

/* --- what a row says */

static void take_address(struct reading *reading, const struct value *value)
{
    const char *error;

    if (address_parse(&reading->row->address, value->text, value->length, &error) == 0)
        return;
    reading->row->address.text[0] = '\0';
    wrong(reading, ROW_ADDRESS, "address", error);
}

static void take_customer(struct reading *reading, const struct value *value)
{
    reading->row->customer = value->number;
}

static void take_name(struct reading *reading, const struct value *value)
{
    if (value->length > ROW_NAME_MAX)
        wrong(reading, ROW_NAME, "too-long", "a name has 200 octets at most");
    else
        memcpy(reading->row->name, value->text, value->length + 1);
}

static void take_target(struct reading *reading, const struct value *value)
{
    struct row *row = reading->row;
    const char *error;

    if (row->target_count == ROW_TARGETS_MAX)
        wrong(reading, ROW_TARGETS, "too-long", "an alias leads to 100 mailboxes at most");
    else if (address_parse(&reading->targets[row->target_count], value->text, value->length,
                           &error) < 0)
        row_wrong(row, known[ROW_TARGETS].name, "address", "no. %u: %s", row->target_count + 1,
                  error);
    else
        row->target_count++;
}

static void take_quota(struct reading *reading, const struct value *value)
{
    reading->row->quota_bytes = value->number;
}

static void take_language(struct reading *reading, const struct value *value)
{
    if (language_parse(value->text, &reading->row->language) < 0)
        row_wrong(reading->row, known[ROW_LANGUAGE].name, "word", "it is %s", language_list());
}

static void take_pop3(struct reading *reading, const struct value *value)
{
    reading->row->pop3 = value->flag;
}

static void take_smtp(struct reading *reading, const struct value *value)
{
    reading->row->smtp = value->flag;
}

static void take_login(const struct reading *reading, enum row_column column, enum row_login login)
{
    struct row *row = reading->row;

    if (row->login != ROW_LOGIN_NONE)
        wrong(reading, column, "both",
              "there is more than one of invite, generate, hash and password; leave one");
    else
        row->login = login;
}

static void take_invite(struct reading *reading, const struct value *value)
{
    if (value->flag)
        take_login(reading, ROW_INVITE, ROW_LOGIN_INVITE);
}

static void take_generate(struct reading *reading, const struct value *value)
{
    if (value->flag)
        take_login(reading, ROW_GENERATE, ROW_LOGIN_GENERATE);
}

static void take_hash(struct reading *reading, const struct value *value)
{
    const char *error;

    if (storedhash_import(reading->row->hash, value->text, &error) < 0)
        wrong(reading, ROW_HASH, "hash", error);
    take_login(reading, ROW_HASH, ROW_LOGIN_HASH);
}

static void take_password(struct reading *reading, const struct value *value)
{
    struct password *password = &reading->row->password;
    const char *error = password_check(value->text, value->length);

    if (error != NULL) {
        wrong(reading, ROW_PASSWORD, "password", error);
    } else {
        memcpy(password->text, value->text, value->length + 1);
        password->length = value->length;
    }
    take_login(reading, ROW_PASSWORD, ROW_LOGIN_PASSWORD);
}

/* What is told only when all of the row is known. */
static void finish(struct reading *reading)
{
    static const unsigned of_mailbox = ROW_BIT(NAME) | ROW_BIT(QUOTA_BYTES) | ROW_BIT(LANGUAGE) |
                                       ROW_BIT(POP3) | ROW_BIT(SMTP) | ROW_BIT(INVITE) |
                                       ROW_BIT(GENERATE) | ROW_BIT(HASH) | ROW_BIT(PASSWORD);
    struct row *row = reading->row;

    row->targets = reading->targets;
    if ((row->given & ROW_BIT(ADDRESS)) == 0)
        wrong(reading, ROW_ADDRESS, "missing", "the address is missing");
    if ((row->given & ROW_BIT(TARGETS)) == 0)
        return;
    if (row->target_count == 0)
        wrong(reading, ROW_TARGETS, "missing", "an alias leads to one mailbox at least");
    for (unsigned i = 0; i < ROW_COLUMNS; i++)
        if ((row->given & of_mailbox & 1U << i) != 0)
            wrong(reading, (enum row_column)i, "both",
                  "it does not go together with targets: an alias has no mailbox");
}

/* Notes that the row says something of a column, unless that is no more than "no". */
static void give(struct reading *reading, enum row_column column, const struct value *value)
{
    bool no = (column == ROW_INVITE || column == ROW_GENERATE) && !value->flag;

    if (no)
        return;
    reading->row->given |= 1U << column;
    if (known[column].kind != KIND_TEXTS)
        known[column].take(reading, value);
}

/* Wipes what was there and begins another one. */
static void begin(struct reading *reading, unsigned number, unsigned line)
{
    struct row *row = reading->row;

    sodium_memzero(row, sizeof(*row));
    row->number = number;
    row->line = line;
    row->pop3 = row->smtp = true;
}

/* --- as text */

static int parse_number(struct value *value)
{
    char *end;

    if (value->text[strspn(value->text, "0123456789")] != '\0' || value->length > 18)
        return -1;
    value->number = strtoull(value->text, &end, 10);
    return value->number > 0 ? 0 : -1;
}

/* As spreadsheets write them in the languages of lib/language.h, and as people do. */
static int parse_flag(struct value *value)
{
    static const char *const words[][2] = {
        {"true", "false"},   {"yes", "no"},           {"1", "0"},           {"wahr", "falsch"},
        {"ja", "nein"},      {"vrai", "faux"},        {"oui", "non"},       {"verdadero", "falso"},
        {"s\xc3\xad", "no"}, {"vero", "falso"},       {"s\xc3\xac", "no"},  {"waar", "onwaar"},
        {"ja", "nee"},       {"verdadeiro", "falso"}, {"sim", "n\xc3\xa3o"}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        value->flag = strcasecmp(value->text, words[i][0]) == 0;
        if (value->flag || strcasecmp(value->text, words[i][1]) == 0)
            return 0;
    }
    return -1;
}

static bool is_between_targets(char octet)
{
    return octet != '\0' && strchr(" \t\r\n,;", octet) != NULL;
}

/* Addresses with something between them; a quoted local part may hold the same. */
static void take_targets(struct reading *reading, const char *text)
{
    for (;;) {
        while (is_between_targets(*text))
            text++;
        if (*text == '\0')
            return;
        const char *end = text;
        bool quoted = false;
        for (; *end != '\0' && (quoted || !is_between_targets(*end)); end++) {
            if (*end == '"')
                quoted = !quoted;
            else if (quoted && *end == '\\' && end[1] != '\0')
                end++;
        }
        const struct value value = {.text = text, .length = (size_t)(end - text)};
        take_target(reading, &value);
        text = end;
    }
}

static void take_field(struct reading *reading, enum row_column column,
                       const struct csv_field *field)
{
    struct value value = {.text = field->text, .length = field->length};

    if (field->length == 0)
        return;
    if (!utf8_is_valid(field->text, field->length)) {
        reading->row->given |= 1U << column;
        wrong(reading, column, "utf-8", "it is not UTF-8; save the table as \"CSV UTF-8\"");
    } else if (known[column].kind == KIND_NUMBER && parse_number(&value) < 0) {
        wrong(reading, column, "number", "it is a whole number above 0, written in digits alone");
    } else if (known[column].kind == KIND_FLAG && parse_flag(&value) < 0) {
        wrong(reading, column, "flag", "it is true or false");
    } else {
        give(reading, column, &value);
        if (known[column].kind == KIND_TEXTS)
            take_targets(reading, field->text);
    }
}

/* --- as JSON */

static void take_list(struct reading *reading, const json_t *list)
{
    const json_t *member;
    size_t i;

    json_array_foreach(list, i, member)
    {
        const struct value value = {json_string_value(member), json_string_length(member), 0,
                                    false};
        if (value.text == NULL)
            wrong(reading, ROW_TARGETS, "type", "it is a list of texts");
        else
            take_target(reading, &value);
    }
}

static void take_json(struct reading *reading, enum row_column column, const json_t *json)
{
    struct value value = {json_string_value(json), json_string_length(json),
                          (uint64_t)json_integer_value(json), json_is_true(json)};

    switch (known[column].kind) {
    case KIND_TEXT:
        if (json_is_string(json))
            give(reading, column, &value);
        else
            wrong(reading, column, "type", "it is a text");
        return;
    case KIND_NUMBER:
        if (json_is_integer(json) && json_integer_value(json) > 0)
            give(reading, column, &value);
        else
            wrong(reading, column, "number", "it is a whole number above 0");
        return;
    case KIND_FLAG:
        if (json_is_boolean(json))
            give(reading, column, &value);
        else
            wrong(reading, column, "type", "it is true or false");
        return;
    case KIND_TEXTS:
        give(reading, column, &value);
        if (json_is_array(json))
            take_list(reading, json);
        else
            wrong(reading, column, "type", "it is a list of texts");
        return;
    }
}

/* ROW_COLUMNS: it is none of those that may be named. */
static unsigned find_column(const char *name, unsigned columns,
                            int (*compare)(const char *, const char *))
{
    for (unsigned i = 0; i < ROW_COLUMNS; i++)
        if ((columns & 1U << i) != 0 && compare(known[i].name, name) == 0)
            return i;
    return ROW_COLUMNS;
}

static void read_object(struct reading *reading, json_t *object)
{
    const char *name;
    json_t *member;
    unsigned place = 0;

    json_object_foreach(object, name, member)
    {
        unsigned column = find_column(name, reading->columns, strcmp);
        place++;
        if (column == ROW_COLUMNS)
            unknown_column(reading, name, place);
        else if (!json_is_null(member))
            take_json(reading, (enum row_column)column, member);
    }
    finish(reading);
}

void row_read_object(struct row *row, struct address targets[ROW_TARGETS_MAX], unsigned columns,
                     const struct json_t *object)
{
    struct reading reading = {row, targets, columns};

    row->pop3 = row->smtp = true;
    if (json_is_object(object))
        read_object(&reading, (json_t *)object);
    else
        row_wrong(row, "", "type", "it is an object");
}

/* --- one after the other */

struct row_reader {
    enum row_format format;
    struct csv *csv;       /* ROW_CSV */
    struct jsonlist *list; /* or else */
    const char *octets;
    size_t length;
    bool ended;  /* nothing follows `octets` */
    bool header; /* ROW_CSV: the columns are known */
    bool broken;
    unsigned number;
    size_t fields;
    unsigned field_columns[CSV_FIELDS_MAX]; /* enum row_column of each; ROW_COLUMNS: none */
    struct reading reading;
    struct row row;
    struct address targets[ROW_TARGETS_MAX];
};

struct row_reader *row_reader_new(enum row_format format, unsigned columns)
{
    struct row_reader *reader = xcalloc(1, sizeof(*reader));

    reader->format = format;
    if (format == ROW_CSV)
        reader->csv = csv_new(ROW_OCTETS_MAX);
    else
        reader->list =
            jsonlist_new(format == ROW_JSON ? JSONLIST_ARRAY : JSONLIST_LINES, ROW_OCTETS_MAX);
    reader->reading = (struct reading){&reader->row, reader->targets, columns};
    return reader;
}

void row_reader_free(struct row_reader *reader)
{
    if (reader == NULL)
        return;
    csv_free(reader->csv);
    jsonlist_free(reader->list);
    sodium_memzero(reader, sizeof(*reader));
    free(reader);
}

void row_reader_feed(struct row_reader *reader, const char *octets, size_t length)
{
    reader->octets = octets;
    reader->length = length;
}

void row_reader_end(struct row_reader *reader)
{
    reader->ended = true;
}

static enum rows break_off(struct row_reader *reader)
{
    reader->broken = true;
    reader->row.number = 0;
    return ROWS_BROKEN;
}

/* Begins the next row of what was sent, or says that there are too many. */
static enum rows count_row(struct row_reader *reader, unsigned line)
{
    begin(&reader->reading, ++reader->number, line);
    if (reader->number <= ROWS_MAX)
        return ROWS_ROW;
    row_wrong(&reader->row, "", "too-many", "there are %d rows at most", ROWS_MAX);
    return break_off(reader);
}

/* --- a table */

/* Spreadsheets write columns that are empty: without a name they say nothing. */
static void read_header_field(struct row_reader *reader, const struct csv_row *csv, size_t i)
{
    const char *name = csv->fields[i].text;
    unsigned column = ROW_COLUMNS;

    if (name[0] != '\0') {
        column = find_column(name, reader->reading.columns, strcasecmp);
        if (column == ROW_COLUMNS)
            unknown_column(&reader->reading, name, (unsigned)i + 1);
        else if ((reader->row.given & 1U << column) != 0)
            wrong(&reader->reading, (enum row_column)column, "twice", "this column is there twice");
        else
            reader->row.given |= 1U << column;
    }
    reader->field_columns[i] = column;
}

/* The columns may stand in any order; only the address must be there. */
static enum rows read_header(struct row_reader *reader, const struct csv_row *csv)
{
    struct row *row = &reader->row;

    begin(&reader->reading, 0, csv->line);
    /* One is told: what follows it may be a password. */
    for (size_t i = 0; i < csv->count && row->error_count == 0; i++)
        read_header_field(reader, csv, i);
    if (row->error_count == 0 && (row->given & ROW_BIT(ADDRESS)) == 0)
        wrong(&reader->reading, ROW_ADDRESS, "missing",
              "the first line names the columns, and the column address is missing");
    if (row->error_count > 0)
        return break_off(reader);
    reader->fields = csv->count;
    reader->header = true;
    return ROWS_MORE;
}

/* What people leave in cells without seeing it; a password may have it. */
static void trim(const struct row_reader *reader, struct csv_row *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        struct csv_field *field = &csv->fields[i];
        if (reader->header && i < reader->fields && reader->field_columns[i] == ROW_PASSWORD)
            continue;
        size_t blanks = strspn(field->text, BLANKS);
        field->text += blanks;
        field->length -= blanks;
        while (field->length > 0 && strchr(BLANKS, field->text[field->length - 1]) != NULL)
            field->length--;
        field->text[field->length] = '\0';
    }
}

/* As spreadsheets write a row without anything. */
static bool is_blank(const struct csv_row *csv)
{
    for (size_t i = 0; i < csv->count; i++)
        if (csv->fields[i].length > 0)
            return false;
    return true;
}

/* A row may end early: spreadsheets leave separators out behind the last field that says something.
 */
static void read_fields(struct row_reader *reader, const struct csv_row *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        unsigned column = i < reader->fields ? reader->field_columns[i] : ROW_COLUMNS;
        if (column < ROW_COLUMNS)
            take_field(&reader->reading, (enum row_column)column, &csv->fields[i]);
        else if (csv->fields[i].length > 0)
            row_wrong(&reader->row, "", "fields",
                      "its field %zu stands in a column that the first line does not name", i + 1);
    }
    finish(&reader->reading);
}

static enum rows take_row(struct row_reader *reader, struct csv_row *csv)
{
    trim(reader, csv);
    if (!reader->header)
        return read_header(reader, csv);
    if (is_blank(csv))
        return ROWS_MORE;
    enum rows result = count_row(reader, csv->line);
    if (result == ROWS_ROW)
        read_fields(reader, csv);
    return result;
}

static enum rows bad_row(struct row_reader *reader, const struct csv_row *csv, const char *error)
{
    if (reader->header) {
        enum rows result = count_row(reader, csv->line);
        if (result == ROWS_ROW)
            row_wrong(&reader->row, "", "csv", "%s", error);
        return result;
    }
    begin(&reader->reading, 0, csv->line);
    row_wrong(&reader->row, "", "csv", "%s", error);
    return break_off(reader);
}

static enum rows end_of_table(struct row_reader *reader)
{
    if (reader->header)
        return ROWS_END;
    begin(&reader->reading, 0, 1);
    row_wrong(&reader->row, "", "empty", "it is empty; the first line names the columns");
    return break_off(reader);
}

static enum rows next_of_table(struct row_reader *reader)
{
    struct csv_row csv;
    const char *error;
    enum rows result = ROWS_MORE;

    while (result == ROWS_MORE) {
        int got = csv_next(reader->csv, &reader->octets, &reader->length, &csv, &error);
        if (got == 0 && !reader->ended)
            return ROWS_MORE;
        if (got == 0)
            got = csv_end(reader->csv, &csv, &error);
        if (got == 0)
            return end_of_table(reader);
        result = got > 0 ? take_row(reader, &csv) : bad_row(reader, &csv, error);
    }
    return result;
}

/* --- objects */

/* `error` says something only where nothing could be read. */
static const char *json_fault(const json_t *json, const json_error_t *error)
{
    switch (json == NULL ? json_error_code(error) : json_error_unknown) {
    case json_error_duplicate_key: return "a member is there twice";
    case json_error_numeric_overflow: return "a number is too large";
    case json_error_null_character: return "it has \\u0000, which nothing can hold";
    case json_error_invalid_utf8: return "it is not UTF-8";
    default: return "it is no object of JSON";
    }
}

static enum rows take_item(struct row_reader *reader, const struct jsonlist_item *item,
                           const char *wrong_item)
{
    json_error_t error;

    if (count_row(reader, item->line) != ROWS_ROW)
        return ROWS_BROKEN;
    if (wrong_item != NULL) {
        row_wrong(&reader->row, "", "json", "%s", wrong_item);
        return ROWS_ROW;
    }
    json_t *object = json_loadb(item->text, item->length, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(object))
        read_object(&reader->reading, object);
    else
        row_wrong(&reader->row, "", "json", "%s, from its character %d on",
                  json_fault(object, &error), error.position);
    json_decref(object);
    return ROWS_ROW;
}

static enum rows next_of_list(struct row_reader *reader)
{
    struct jsonlist_item item;
    const char *error = NULL;

    enum jsonlist_result result =
        jsonlist_next(reader->list, &reader->octets, &reader->length, &item, &error);
    if (result == JSONLIST_MORE && reader->ended)
        result = jsonlist_end(reader->list, &item, &error);
    switch (result) {
    case JSONLIST_ITEM: return take_item(reader, &item, NULL);
    case JSONLIST_WRONG: return take_item(reader, &item, error);
    case JSONLIST_MORE: return ROWS_MORE;
    case JSONLIST_END: return ROWS_END;
    default: break;
    }
    begin(&reader->reading, 0, item.line);
    row_wrong(&reader->row, "", "json", "%s", error);
    return break_off(reader);
}

enum rows row_reader_next(struct row_reader *reader, struct row **row_r)
{
    *row_r = &reader->row;
    if (reader->broken)
        return ROWS_BROKEN;
    return reader->format == ROW_CSV ? next_of_table(reader) : next_of_list(reader);
}
