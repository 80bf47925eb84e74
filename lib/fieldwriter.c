#include <ctype.h>
#include <event2/buffer.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/fieldtoken.h"
#include "lib/fieldwriter.h"
#include "lib/log.h"
#include "lib/utf8.h"

#define LINE_OCTETS 76 /* octets, without CRLF */

/* The least code that is worth beginning: the longest character of UTF-8. */
#define CODE_LEAST 12

/* "=?", "?q?" and "?=" */
#define WORD_FRAME 7
#define WORD_MAX   75

struct coding {
    const char *charset;
    bool utf8;
    bool base64;
};

void field_writer_init(struct field_writer *writer, struct evbuffer *output)
{
    *writer = (struct field_writer){.output = output};
}

void field_space(struct field_writer *writer, const char *space, size_t length)
{
    writer->space = space;
    writer->space_length = length;
}

static void put(struct field_writer *writer, const char *text, size_t length)
{
    /* Lines that are folded begin with white space, so only the field's first octet can be a dot.
     */
    bool stuffed = writer->octets == 0 && length > 0 && *text == '.';

    if ((stuffed && evbuffer_add(writer->output, ".", 1) != 0) ||
        evbuffer_add(writer->output, text, length) != 0)
        log_fatal("out of memory");
    writer->octets += length;
    writer->column += length;
}

/* Writes the white space, in a new line when less than `wanted` octets have room in this one. */
static void begin(struct field_writer *writer, size_t wanted)
{
    if (writer->space_length == 0)
        return;
    if (writer->column > 0 && writer->column + writer->space_length + wanted > LINE_OCTETS) {
        put(writer, "\r\n", 2);
        writer->column = 0;
    }
    put(writer, writer->space, writer->space_length);
    writer->space_length = 0;
}

/* The end of the word that begins here, or of the white space. */
static const char *word_end(const char *at, const char *end)
{
    bool space = field_is_space(*at);

    while (at < end && field_is_space(*at) == space)
        at++;
    return at;
}

void field_add(struct field_writer *writer, const char *text, size_t length)
{
    const char *end = text + length;

    while (text < end) {
        const char *next = word_end(text, end);
        if (field_is_space(*text)) {
            field_space(writer, text, (size_t)(next - text));
        } else {
            begin(writer, (size_t)(next - text));
            put(writer, text, (size_t)(next - text));
        }
        text = next;
    }
}

/* What may stand in the "Q" encoding anywhere (RFC 2047 section 5, 3). */
static bool is_plain(unsigned char octet)
{
    return octet < 0x80 && octet != '\0' && (isalnum(octet) || strchr("!*+-/", octet) != NULL);
}

static size_t q_length(const char *text, size_t length)
{
    size_t sum = 0;

    for (size_t i = 0; i < length; i++)
        sum += is_plain((unsigned char)text[i]) || text[i] == ' ' ? 1 : 3;
    return sum;
}

static size_t base64_length(size_t length)
{
    return (length + 2) / 3 * 4;
}

static struct coding coding_of(const char *text, size_t length)
{
    struct coding coding = {.utf8 = utf8_is_valid(text, length)};

    coding.charset = coding.utf8 ? "utf-8" : "unknown-8bit";
    coding.base64 = base64_length(length) < q_length(text, length);
    return coding;
}

static size_t character_length(const struct coding *coding, const char *text, size_t length)
{
    uint32_t character;

    return coding->utf8 ? utf8_decode(text, length, &character) : 1;
}

/* How much of the text has room in so many octets of code; whole characters only. */
static size_t fitting(const struct coding *coding, const char *text, size_t length, size_t room)
{
    size_t taken = 0;
    size_t code = 0;

    while (taken < length) {
        size_t step = character_length(coding, text + taken, length - taken);
        code = coding->base64 ? base64_length(taken + step) : code + q_length(text + taken, step);
        if (code > room)
            break;
        taken += step;
    }
    return taken;
}

static void put_code(struct field_writer *writer, const struct coding *coding, const char *text,
                     size_t length)
{
    char code[WORD_MAX + 1];
    char *at = code;

    if (coding->base64) {
        sodium_bin2base64(code, sizeof(code), (const unsigned char *)text, length,
                          sodium_base64_VARIANT_ORIGINAL);
        put(writer, code, strlen(code));
        return;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        if (octet == ' ')
            *at++ = '_';
        else if (is_plain(octet))
            *at++ = text[i];
        else
            at += snprintf(at, 4, "=%02X", octet);
    }
    put(writer, code, (size_t)(at - code));
}

/* As many encoded-words as the text needs. */
static void add_encoded(struct field_writer *writer, const char *text, size_t length)
{
    struct coding coding = coding_of(text, length);
    size_t frame = strlen(coding.charset) + WORD_FRAME;

    while (length > 0) {
        begin(writer, frame + CODE_LEAST);
        size_t room = writer->column < LINE_OCTETS ? LINE_OCTETS - writer->column : 0;
        if (room > WORD_MAX)
            room = WORD_MAX;
        if (room < frame + CODE_LEAST)
            room = frame + CODE_LEAST;
        size_t taken = fitting(&coding, text, length, room - frame);
        put(writer, "=?", 2);
        put(writer, coding.charset, strlen(coding.charset));
        put(writer, coding.base64 ? "?b?" : "?q?", 3);
        put_code(writer, &coding, text, taken);
        put(writer, "?=", 2);
        text += taken;
        length -= taken;
        field_space(writer, " ", 1);
    }
    field_space(writer, NULL, 0);
}

static bool is_encoded_word(const char *at, const char *end)
{
    size_t length = (size_t)(end - at);
    unsigned marks = 0;

    if (length < WORD_FRAME || memcmp(at, "=?", 2) != 0 || memcmp(end - 2, "?=", 2) != 0)
        return false;
    for (const char *mark = at; mark < end; mark++)
        marks += *mark == '?';
    return marks == 4 && field_is_ascii(at, end);
}

/* Whether a word cannot stand in this place as it is. */
static bool is_foreign(const char *at, const char *end, enum field_place place)
{
    static const char *const special[] = {
        [FIELD_TEXT] = "", [FIELD_PHRASE] = "()<>[]:;@\\,.\"", [FIELD_COMMENT] = "()\\"};

    if (!field_is_ascii(at, end))
        return true;
    for (; at < end; at++)
        if (*at != '\0' && strchr(special[place], *at) != NULL)
            return true;
    return false;
}

/*
 * The end of what is encoded together from here on: the last foreign word before an encoded-word.
 * White space between two encoded-words is not shown (RFC 2047 section 6.2), so it belongs to it.
 */
static const char *run_end(const char *at, const char *end, enum field_place place)
{
    const char *foreign = at; /* the end of the last such word */
    const char *word = at;    /* of any */

    while (at < end) {
        const char *next = word_end(at, end);
        if (is_encoded_word(at, next))
            return foreign == word ? at : foreign;
        if (!field_is_space(*at)) {
            word = next;
            if (is_foreign(at, next, place))
                foreign = next;
        }
        at = next;
    }
    return foreign;
}

static bool ends_in_space(const char *at, const char *end)
{
    return end > at && field_is_space(end[-1]);
}

void field_add_words(struct field_writer *writer, const char *text, size_t length,
                     enum field_place place)
{
    const char *end = text + length;
    const char *space = text; /* what lies before the word, if it is white space */
    bool encoded = false;     /* the word before */

    while (text < end) {
        const char *next = word_end(text, end);
        if (field_is_space(*text)) {
            space = text;
            field_space(writer, text, (size_t)(next - text));
        } else if (is_encoded_word(text, next) || !is_foreign(text, next, place)) {
            encoded = is_encoded_word(text, next);
            field_add(writer, text, (size_t)(next - text));
        } else {
            const char *from = encoded ? space : text;
            next = run_end(text, end, place);
            if (encoded)
                field_space(writer, " ", 1);
            add_encoded(writer, from, (size_t)(next - from));
            if (ends_in_space(text, next))
                field_space(writer, " ", 1);
            space = next;
            encoded = true;
        }
        text = next;
    }
}

void field_add_comment(struct field_writer *writer, const char *text, size_t length)
{
    bool closed = length > 1 && text[length - 1] == ')';

    if (field_is_ascii(text, text + length)) {
        field_add(writer, text, length);
        return;
    }
    begin(writer, LINE_OCTETS / 2);
    put(writer, "(", 1);
    field_add_words(writer, text + 1, length - 1 - (closed ? 1 : 0), FIELD_COMMENT);
    field_space(writer, NULL, 0);
    put(writer, ")", 1);
}

/* attribute-char of RFC 2231 section 7. */
static bool is_attribute(unsigned char octet)
{
    return octet < 0x80 && octet != '\0' &&
           (isalnum(octet) || strchr("!#$&+-.^_`{|}~", octet) != NULL);
}

static void put_percent(struct field_writer *writer, const char *text, size_t length)
{
    char code[4];

    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)text[i];
        snprintf(code, sizeof(code), is_attribute(octet) ? "%c" : "%%%02X", octet);
        put(writer, code, strlen(code));
    }
}

/* How much of a value has room in so many octets; one character at least. */
static size_t fitting_percent(const struct coding *coding, const char *text, size_t length,
                              size_t room)
{
    size_t taken = 0;
    size_t code = 0;

    while (taken < length) {
        size_t step = character_length(coding, text + taken, length - taken);
        for (size_t i = taken; i < taken + step; i++)
            code += is_attribute((unsigned char)text[i]) ? 1 : 3;
        if (code > room && taken > 0)
            break;
        taken += step;
    }
    return taken;
}

void field_add_parameter(struct field_writer *writer, const char *name, size_t name_length,
                         const char *value, size_t length)
{
    struct coding coding = coding_of(value, length);
    size_t frame = name_length + strlen("*10*=;") + strlen(coding.charset) + strlen("''") + 1;
    size_t room = frame < LINE_OCTETS ? LINE_OCTETS - frame : 0;
    char number[24] = "*=";
    unsigned part = 0;
    bool whole = fitting_percent(&coding, value, length, room) == length;

    do {
        size_t taken = fitting_percent(&coding, value, length, room);
        if (!whole)
            snprintf(number, sizeof(number), "*%u*=", part);
        if (part > 0)
            put(writer, ";", 1);
        field_space(writer, " ", 1);
        begin(writer, LINE_OCTETS);
        put(writer, name, name_length);
        put(writer, number, strlen(number));
        if (part++ == 0) {
            put(writer, coding.charset, strlen(coding.charset));
            put(writer, "''", 2);
        }
        put_percent(writer, value, taken);
        value += taken;
        length -= taken;
    } while (length > 0);
}

void field_end(struct field_writer *writer)
{
    put(writer, "\r\n", 2);
    writer->column = 0;
    writer->space_length = 0;
}
