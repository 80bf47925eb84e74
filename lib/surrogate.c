#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/fieldtoken.h"
#include "lib/fieldwriter.h"
#include "lib/log.h"
#include "lib/mailboxes.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define DOWNGRADED      "Downgraded-"

/* A field that is not ASCII. */
struct field {
    const char *name; /* with its colon */
    size_t name_length;
    const char *value; /* unfolded, without the last CRLF */
    size_t length;
};

/* Writes the field; false: it has no form in ASCII, and nothing is written. */
typedef bool field_rule(struct field_writer *writer, const struct field *field);

static void add_name(struct field_writer *writer, const struct field *field)
{
    field_add(writer, field->name, field->name_length);
    if (field->name_length > 0)
        field_space(writer, " ", 1);
}

static bool text(struct field_writer *writer, const struct field *field)
{
    const char *at = field->value;
    const char *end = at + field->length;

    field_trim(&at, &end);
    add_name(writer, field);
    field_add_words(writer, at, (size_t)(end - at), FIELD_TEXT);
    return true;
}

static bool mailboxes(struct field_writer *writer, const struct field *field)
{
    add_name(writer, field);
    mailboxes_write(writer, field->value, field->length);
    return true;
}

static bool path(struct field_writer *writer, const struct field *field)
{
    add_name(writer, field);
    mailboxes_write_path(writer, field->value, field->length);
    return true;
}

/* Only comments can have encoded-words. */
static bool structured(struct field_writer *writer, const struct field *field)
{
    const char *end = field->value + field->length;

    for (const char *at = field->value; at < end; at = field_token(at, end))
        if (*at != '(' && !field_is_ascii(at, field_token(at, end)))
            return false;
    add_name(writer, field);
    for (const char *at = field->value; at < end;) {
        const char *next = field_find(at, end, "(");
        field_add(writer, at, (size_t)(next - at));
        at = next;
        if (at < end) {
            next = field_token(at, end);
            field_add_comment(writer, at, (size_t)(next - at));
            at = next;
        }
    }
    return true;
}

static bool identifiers(struct field_writer *writer, const struct field *field)
{
    if (structured(writer, field))
        return true;
    field_add(writer, DOWNGRADED, strlen(DOWNGRADED));
    return text(writer, field);
}

/* ";" and a parameter, which has no form when its name is not ASCII or says that it has been
 * encoded. */
static void parameter(struct field_writer *writer, const char *at, const char *end)
{
    field_trim(&at, &end);
    if (field_is_ascii(at, end)) {
        field_add(writer, ";", 1);
        field_space(writer, " ", 1);
        field_add(writer, at, (size_t)(end - at));
        return;
    }
    const char *equals = field_find(at, end, "=");
    const char *name_end = equals;
    field_trim(&at, &name_end);
    if (equals == end || at == name_end || name_end[-1] == '*' || !field_is_ascii(at, name_end))
        return;
    char *value = xmalloc((size_t)(end - equals));
    const char *from = value;
    const char *to = value + field_unquote(equals + 1, end, value);
    field_trim(&from, &to);
    field_add(writer, ";", 1);
    field_add_parameter(writer, at, (size_t)(name_end - at), from, (size_t)(to - from));
    free(value);
}

static bool parameters(struct field_writer *writer, const struct field *field)
{
    const char *at = field->value;
    const char *end = at + field->length;
    const char *next = field_find(at, end, ";");

    if (!field_is_ascii(at, next))
        return false;
    add_name(writer, field);
    const char *first_end = next;
    field_trim(&at, &first_end);
    field_add(writer, at, (size_t)(first_end - at));
    while (next < end) {
        at = next + 1;
        next = field_find(at, end, ";");
        parameter(writer, at, next);
    }
    return true;
}

/* All others are text. */
static const struct {
    const char *name;
    field_rule *rule;
} rules[] = {
    {"From", mailboxes},
    {"Sender", mailboxes},
    {"Reply-To", mailboxes},
    {"To", mailboxes},
    {"Cc", mailboxes},
    {"Bcc", mailboxes},
    {"Resent-From", mailboxes},
    {"Resent-Sender", mailboxes},
    {"Resent-To", mailboxes},
    {"Resent-Cc", mailboxes},
    {"Resent-Bcc", mailboxes},
    {"Disposition-Notification-To", mailboxes},
    {"Return-Path", path},
    {"Content-Type", parameters},
    {"Content-Disposition", parameters},
    {"Message-ID", identifiers},
    {"In-Reply-To", identifiers},
    {"References", identifiers},
    {"Received", structured},
    {"Date", structured},
    {"Resent-Date", structured},
    {"Resent-Message-ID", structured},
    {"MIME-Version", structured},
    {"Content-Transfer-Encoding", structured},
    {"Content-ID", structured},
    {"DKIM-Signature", structured},
    {"ARC-Seal", structured},
    {"ARC-Message-Signature", structured},
    {"ARC-Authentication-Results", structured},
    {"Authentication-Results", structured},
    {"Received-SPF", structured},
    {"List-Id", structured},
    {"List-Post", structured},
    {"List-Unsubscribe", structured},
};

static field_rule *rule_of(const struct field *field)
{
    const char *at = field->name;
    const char *end = at + field->name_length - 1;

    field_trim(&at, &end);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strlen(rules[i].name) == (size_t)(end - at) &&
            strncasecmp(rules[i].name, at, (size_t)(end - at)) == 0)
            return rules[i].rule;
    return text;
}

/* Takes the line ends out. The text has the last one still. Returns the new length. */
static size_t unfold(char *octets, size_t length)
{
    size_t kept = 0;

    for (size_t i = 0; i < length; i++)
        if (octets[i] != '\r' && octets[i] != '\n')
            octets[kept++] = octets[i];
    return kept;
}

static void write_field(char *octets, size_t length, struct evbuffer *output)
{
    size_t kept = unfold(octets, length);
    const char *colon = memchr(octets, ':', kept);
    struct field field = {.value = octets, .length = kept};
    struct field_writer writer;
    field_rule *rule = text;

    if (colon != NULL) {
        field.name = octets;
        field.value = colon + 1;
        field.name_length = (size_t)(field.value - octets);
        field.length = kept - field.name_length;
        if (!field_is_ascii(octets, colon))
            return; /* there is no other form for a name */
        rule = rule_of(&field);
    }
    field_writer_init(&writer, output);
    if (rule(&writer, &field))
        field_end(&writer);
}

static void add(struct evbuffer *output, const char *octets, size_t length)
{
    if (evbuffer_add(output, octets, length) != 0)
        log_fatal("out of memory");
}

/* Passes on what there is of a field that is too long. */
static void add_masked(struct surrogate *surrogate, struct evbuffer *output)
{
    for (size_t i = 0; i < surrogate->length; i++)
        if ((unsigned char)surrogate->field[i] >= 0x80)
            surrogate->field[i] = '?';
    add(output, surrogate->field, surrogate->length);
    surrogate->length = 0;
}

/* The field is complete. */
static void end_field(struct surrogate *surrogate, struct evbuffer *output)
{
    char *octets = surrogate->field;
    size_t length = surrogate->length;

    if (surrogate->too_long) {
        add_masked(surrogate, output);
    } else {
        if (!surrogate->begun && length >= 3 && memcmp(octets, BYTE_ORDER_MARK, 3) == 0) {
            octets += 3;
            length -= 3;
        }
        if (field_is_ascii(octets, octets + length))
            add(output, octets, length);
        else
            write_field(octets, length, output);
    }
    surrogate->begun = true;
    surrogate->too_long = false;
    surrogate->length = 0;
}

static void keep(struct surrogate *surrogate, const char *octets, size_t length,
                 struct evbuffer *output)
{
    while (length > 0) {
        size_t part = length;
        if (surrogate->room == 0)
            surrogate->field = xmalloc(surrogate->room = SURROGATE_FIELD_MAX);
        if (part > surrogate->room - surrogate->length)
            part = surrogate->room - surrogate->length;
        memcpy(surrogate->field + surrogate->length, octets, part);
        surrogate->length += part;
        octets += part;
        length -= part;
        if (surrogate->length == surrogate->room) {
            surrogate->too_long = true;
            add_masked(surrogate, output);
        }
    }
}

void surrogate_init(struct surrogate *surrogate, uint64_t top_length)
{
    *surrogate = (struct surrogate){.header_left = top_length};
}

void surrogate_clear(struct surrogate *surrogate)
{
    free(surrogate->field);
    surrogate_init(surrogate, 0);
}

bool surrogate_is_needed(const void *piece, size_t length, uint64_t top_length)
{
    const char *at = piece;

    return top_length > length || !field_is_ascii(at, at + top_length);
}

/* Takes the next line, or the part of one that is there. Returns where the next one begins. */
static const char *take_line(struct surrogate *surrogate, const char *at, const char *end,
                             struct evbuffer *output)
{
    const char *feed = memchr(at, '\n', (size_t)(end - at));
    const char *next = feed != NULL ? feed + 1 : end;

    if (!surrogate->inside && !field_is_space(*at) &&
        (surrogate->length > 0 || surrogate->too_long))
        end_field(surrogate, output);
    keep(surrogate, at, (size_t)(next - at), output);
    surrogate->inside = feed == NULL;
    return next;
}

void surrogate_take(struct surrogate *surrogate, const void *piece, size_t length,
                    struct evbuffer *output)
{
    const char *at = piece;
    size_t header = length < surrogate->header_left ? length : (size_t)surrogate->header_left;
    const char *end = at + header;

    while (at < end)
        at = take_line(surrogate, at, end, output);
    surrogate->header_left -= header;
    if (header > 0 && surrogate->header_left == 0)
        end_field(surrogate, output);
    add(output, end, length - header);
}
