#include <ctype.h>
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

/* Octets of a line that may be a boundary: with its dashes, CRLF, and white space of whoever pads
 * it. */
#define DASHES_MAX 256

/* Octets of a parameter's name, which is written again for every few octets of its value. */
#define PARAMETER_NAME_MAX 32

/* A field that is not ASCII. */
struct field {
    const char *name; /* with its colon; NULL: it has none */
    size_t name_length;
    const char *value; /* unfolded, without the last CRLF */
    size_t length;
};

/* Writes the field; false: it has no form in ASCII, and nothing is written. */
typedef bool field_rule(struct field_writer *writer, const struct field *field);

static void add_name(struct field_writer *writer, const struct field *field)
{
    if (field->name == NULL)
        return;
    field_add(writer, field->name, field->name_length);
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

/*
 * ";" and a parameter, which has no form when its name is not ASCII, is longer than any that is in
 * use, or says that it has been encoded.
 */
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
    if (equals == end || at == name_end || name_end[-1] == '*' ||
        name_end - at > PARAMETER_NAME_MAX || !field_is_ascii(at, name_end))
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

/* Returns how many octets it has become, without stuffing. */
static size_t write_field(char *octets, size_t length, struct evbuffer *output)
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
            return 0; /* there is no other form for a name */
        rule = rule_of(&field);
    }
    field_writer_init(&writer, output);
    if (rule(&writer, &field))
        field_end(&writer);
    return writer.octets;
}

static void put(struct evbuffer *output, const char *octets, size_t length)
{
    if (evbuffer_add(output, octets, length) != 0)
        log_fatal("out of memory");
}

/* What stays as it is. */
static void add(const struct surrogate *surrogate, struct evbuffer *output, const char *octets,
                size_t length)
{
    if (!surrogate->changes_only)
        put(output, octets, length);
}

/* Passes on what there is of a field that is too long. */
static void add_masked(struct surrogate *surrogate, struct evbuffer *output)
{
    for (size_t i = 0; i < surrogate->length; i++)
        if ((unsigned char)surrogate->field[i] >= 0x80) {
            surrogate->field[i] = '?';
            surrogate->changed = true;
        }
    add(surrogate, output, surrogate->field, surrogate->length);
    surrogate->length = 0;
}

/* The value of a parameter, or NULL; to be freed. */
static char *parameter_of(const char *at, const char *end, const char *name)
{
    while ((at = field_find(at, end, ";")) < end) {
        const char *next = field_find(++at, end, ";");
        const char *equals = field_find(at, next, "=");
        const char *name_end = equals;
        field_trim(&at, &name_end);
        if (equals < next && strlen(name) == (size_t)(name_end - at) &&
            strncasecmp(at, name, strlen(name)) == 0) {
            char *value = xcalloc(1, (size_t)(next - equals));
            const char *from = equals + 1;
            field_trim(&from, &next);
            field_unquote(from, next, value);
            return value;
        }
        at = next;
    }
    return NULL;
}

static void note_multipart(struct surrogate *surrogate, const char *value, const char *end)
{
    char *boundary = parameter_of(value, end, "boundary");

    if (boundary != NULL && boundary[0] != '\0' && strlen(boundary) <= SURROGATE_BOUNDARY_MAX &&
        surrogate->depth < SURROGATE_DEPTH) {
        memcpy(surrogate->boundaries[surrogate->depth], boundary, strlen(boundary) + 1);
        surrogate->type = SURROGATE_MULTIPART;
    }
    free(boundary);
}

static bool begins_with(const char *at, const char *end, const char *word)
{
    return (size_t)(end - at) >= strlen(word) && strncasecmp(at, word, strlen(word)) == 0;
}

/* What the field says of the body that follows its header. */
static void note_type(struct surrogate *surrogate, const char *octets, size_t length)
{
    if (!begins_with(octets, octets + length, "Content-Type:"))
        return;
    char *value = xmalloc(length);
    memcpy(value, octets, length);
    const char *at = value + strlen("Content-Type:");
    const char *end = value + unfold(value, length);
    field_trim(&at, &end);
    surrogate->type = SURROGATE_LEAF;
    if (begins_with(at, end, "multipart/"))
        note_multipart(surrogate, at, end);
    else if (begins_with(at, end, "message/rfc822") || begins_with(at, end, "message/global"))
        surrogate->type = SURROGATE_MESSAGE;
    free(value);
}

/* The field has something that a client without UTF8 cannot be sent. */
static void change_field(struct surrogate *surrogate, char *octets, size_t length,
                         struct evbuffer *output)
{
    surrogate->changed = true;
    surrogate->rewritten += length;
    surrogate->growth -= (int64_t)length;
    if (!surrogate->begun && length >= 3 && memcmp(octets, BYTE_ORDER_MARK, 3) == 0) {
        octets += 3;
        length -= 3;
    } else if (octets[0] == '.') { /* the line is dot-stuffed */
        surrogate->growth++;
        octets++;
        length--;
    }
    note_type(surrogate, octets, length);
    if (!field_is_ascii(octets, octets + length)) {
        surrogate->growth += (int64_t)write_field(octets, length, output);
    } else if (length > 2) { /* with nothing else in the line, it would be the blank one */
        put(output, ".", octets[0] == '.' ? 1 : 0);
        put(output, octets, length);
        surrogate->growth += (int64_t)length;
    }
}

/* The field is complete. */
static void end_field(struct surrogate *surrogate, struct evbuffer *output)
{
    const char *octets = surrogate->field;
    size_t length = surrogate->length;

    if (surrogate->too_long) {
        add_masked(surrogate, output);
    } else if (field_is_ascii(octets, octets + length)) {
        note_type(surrogate, octets, length);
        add(surrogate, output, octets, length);
    } else {
        change_field(surrogate, surrogate->field, length, output);
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

void surrogate_init(struct surrogate *surrogate)
{
    *surrogate = (struct surrogate){.place = SURROGATE_HEADER};
}

void surrogate_clear(struct surrogate *surrogate)
{
    free(surrogate->field);
    surrogate_init(surrogate);
}

bool surrogate_has_parts(const void *header, size_t length)
{
    static const char name[] = "Content-Type:";
    const char *at = header;
    const char *end = at + length;

    while (at < end) {
        const char *value = at + strlen(name);
        bool named = (*at | 0x20) == 'c' && begins_with(at, end, name);
        while (named && value < end && isspace((unsigned char)*value))
            value++;
        if (named && (begins_with(value, end, "multipart/") || begins_with(value, end, "message/")))
            return true;
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        at = feed != NULL ? feed + 1 : end;
    }
    return false;
}

bool surrogate_is_needed(const void *piece, size_t length, uint64_t top_length)
{
    const char *at = piece;

    return top_length > length || !field_is_ascii(at, at + top_length) ||
           (surrogate_has_parts(at, top_length) && !field_is_ascii(at, at + length));
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

/* The blank line has come, or the message is all header. */
static void end_header(struct surrogate *surrogate)
{
    if (surrogate->type == SURROGATE_MULTIPART)
        surrogate->depth++;
    surrogate->place = surrogate->type == SURROGATE_MESSAGE ? SURROGATE_HEADER : SURROGATE_BODY;
    surrogate->type = SURROGATE_LEAF;
}

static const char *take_header(struct surrogate *surrogate, const char *at, const char *end,
                               struct evbuffer *output)
{
    const char *next = take_line(surrogate, at, end, output);

    if (surrogate->inside || surrogate->too_long || surrogate->length != 2 ||
        surrogate->field[0] != '\r')
        return next;
    end_field(surrogate, output);
    end_header(surrogate);
    return next;
}

/* A line that begins with "--" ends or begins a part if one of the boundaries follows. */
static void match_boundary(struct surrogate *surrogate)
{
    const char *line = surrogate->field;
    const char *end = line + surrogate->length - 2; /* without CRLF */

    for (unsigned i = surrogate->depth; i-- > 0;) {
        const char *boundary = surrogate->boundaries[i];
        const char *at = line + 2 + strlen(boundary);
        if (at > end || memcmp(line, "--", 2) != 0 ||
            memcmp(line + 2, boundary, strlen(boundary)) != 0)
            continue;
        bool last = end - at >= 2 && memcmp(at, "--", 2) == 0;
        if (last)
            at += 2;
        field_trim(&at, &end);
        if (at < end)
            continue;
        surrogate->depth = last ? i : i + 1;
        surrogate->place = last ? SURROGATE_BODY : SURROGATE_HEADER;
        return;
    }
}

/* A line of a body that begins with "-" is kept until it is complete. */
static const char *take_dashes(struct surrogate *surrogate, const char *at, const char *end,
                               struct evbuffer *output)
{
    const char *feed = memchr(at, '\n', (size_t)(end - at));
    const char *next = feed != NULL ? feed + 1 : end;

    if (surrogate->length + (size_t)(next - at) > DASHES_MAX) {
        add(surrogate, output, surrogate->field, surrogate->length);
        surrogate->length = 0;
        surrogate->inside = true;
        return at;
    }
    keep(surrogate, at, (size_t)(next - at), output);
    if (feed != NULL) {
        add(surrogate, output, surrogate->field, surrogate->length);
        match_boundary(surrogate);
        surrogate->length = 0;
    }
    return next;
}

/* The next line that begins with "-", or `end`; `inside`: the first one has begun before. */
static const char *find_dashes(const char *at, const char *end, bool inside)
{
    const char *dash = at;

    while ((dash = memchr(dash, '-', (size_t)(end - dash))) != NULL) {
        if (dash == at ? !inside : dash[-1] == '\n')
            return dash;
        dash++;
    }
    return end;
}

/* Passes on all before the next line that begins with "-". */
static const char *take_body(struct surrogate *surrogate, const char *at, const char *end,
                             struct evbuffer *output)
{
    const char *next = find_dashes(at, end, surrogate->inside);

    surrogate->inside = next[-1] != '\n';
    add(surrogate, output, at, (size_t)(next - at));
    return next;
}

void surrogate_take(struct surrogate *surrogate, const void *piece, size_t length,
                    struct evbuffer *output)
{
    const char *at = piece;
    const char *end = at + length;

    while (at < end) {
        if (surrogate->place == SURROGATE_HEADER) {
            at = take_header(surrogate, at, end, output);
        } else if (surrogate->depth == 0) {
            add(surrogate, output, at, (size_t)(end - at));
            at = end;
        } else if (!surrogate->inside && (surrogate->length > 0 || *at == '-')) {
            at = take_dashes(surrogate, at, end, output);
        } else {
            at = take_body(surrogate, at, end, output);
        }
    }
}

void surrogate_end(struct surrogate *surrogate, struct evbuffer *output)
{
    if (surrogate->length == 0)
        return;
    if (surrogate->place == SURROGATE_BODY)
        add(surrogate, output, surrogate->field, surrogate->length);
    else
        end_field(surrogate, output);
    surrogate->length = 0;
}
