#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/notice.h"
#include "lib/utf8.h"

/* The assembler takes the files in as they are; paths are relative to the top of the tree. */
#define TEXT(symbol, file)                                                                         \
    __asm__(".pushsection .rodata\n"                                                               \
            ".globl " #symbol "\n"                                                                 \
            ".hidden " #symbol "\n" #symbol ":\n"                                                  \
            ".incbin \"texts/" file "\"\n"                                                         \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const char symbol[] __attribute__((visibility("hidden")))

TEXT(text_en, "quota-warning.en.txt");
TEXT(text_de, "quota-warning.de.txt");
TEXT(text_fr, "quota-warning.fr.txt");
TEXT(text_es, "quota-warning.es.txt");
TEXT(text_it, "quota-warning.it.txt");
TEXT(text_nl, "quota-warning.nl.txt");
TEXT(text_pt, "quota-warning.pt.txt");

static const char *const texts[LANGUAGE__MAX] = {
    [LANGUAGE_EN] = text_en, [LANGUAGE_DE] = text_de, [LANGUAGE_FR] = text_fr,
    [LANGUAGE_ES] = text_es, [LANGUAGE_IT] = text_it, [LANGUAGE_NL] = text_nl,
    [LANGUAGE_PT] = text_pt,
};

static const char *const names[NOTICE_VALUES] = {
    [NOTICE_ADDRESS] = "{address}",   [NOTICE_PERCENT] = "{percent}",
    [NOTICE_USED] = "{used}",         [NOTICE_QUOTA] = "{quota}",
    [NOTICE_MESSAGES] = "{messages}", [NOTICE_MESSAGE_QUOTA] = "{message_quota}",
};

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define SUBJECT         "Subject:"
#define BLANK           " \t\r\n"

const char *notice_builtin(enum language language)
{
    return texts[language];
}

/* The placeholder that the text begins with, or NOTICE_VALUES. */
static enum notice_value find_value(const char *text, size_t length)
{
    unsigned value = 0;

    while (value < NOTICE_VALUES &&
           (length < strlen(names[value]) || memcmp(text, names[value], strlen(names[value])) != 0))
        value++;
    return (enum notice_value)value;
}

static unsigned line_of(const char *text, const char *at)
{
    unsigned line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

static int check_characters(const char *text, size_t length, char *error_r, size_t error_size)
{
    if (!utf8_is_valid(text, length)) {
        snprintf(error_r, error_size, "it is not UTF-8; save it in that encoding");
        return -1;
    }
    for (size_t i = 0; i < length; i++) {
        bool ends_line = text[i] == '\r' && i + 1 < length && text[i + 1] == '\n';
        if (((unsigned char)text[i] < ' ' || text[i] == 0x7f) && text[i] != '\n' &&
            text[i] != '\t' && !ends_line) {
            snprintf(error_r, error_size, "line %u: there is a control character in it",
                     line_of(text, text + i));
            return -1;
        }
    }
    return 0;
}

static int check_placeholders(const char *text, size_t length, char *error_r, size_t error_size)
{
    const char *end = text + length;

    for (const char *at = text; (at = memchr(at, '{', (size_t)(end - at))) != NULL; at++) {
        if (find_value(at, (size_t)(end - at)) < NOTICE_VALUES)
            continue;
        snprintf(error_r, error_size,
                 "line %u: after \"{\" comes one of address}, percent}, used}, quota}, "
                 "messages} and message_quota}",
                 line_of(text, at));
        return -1;
    }
    return 0;
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && strchr(BLANK, **text) != NULL) {
        ++*text;
        --*length;
    }
    while (*length > 0 && strchr(BLANK, (*text)[*length - 1]) != NULL)
        --*length;
}

static int find_parts(struct notice *notice, const char *text, size_t length, char *error_r,
                      size_t error_size)
{
    const char *newline = memchr(text, '\n', length);
    size_t first = newline != NULL ? (size_t)(newline - text) : length;

    notice->subject_length = 0;
    if (first >= strlen(SUBJECT) && strncasecmp(text, SUBJECT, strlen(SUBJECT)) == 0) {
        notice->subject = text + strlen(SUBJECT);
        notice->subject_length = first - strlen(SUBJECT);
        trim(&notice->subject, &notice->subject_length);
    }
    if (notice->subject_length == 0 || notice->subject_length > NOTICE_SUBJECT_MAX) {
        snprintf(error_r, error_size,
                 "line 1: it begins with \"Subject:\" and 1 to %d octets behind that",
                 NOTICE_SUBJECT_MAX);
        return -1;
    }
    notice->body = text + first;
    notice->body_length = length - first;
    trim(&notice->body, &notice->body_length);
    if (notice->body_length == 0) {
        snprintf(error_r, error_size, "there is no message behind the line with the subject");
        return -1;
    }
    return 0;
}

int notice_parse(struct notice *notice_r, const char *text, size_t length, char *error_r,
                 size_t error_size)
{
    if (length > NOTICE_TEXT_MAX) {
        snprintf(error_r, error_size, "it is longer than %d octets", NOTICE_TEXT_MAX);
        return -1;
    }
    if (length >= strlen(BYTE_ORDER_MARK) &&
        memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
        text += strlen(BYTE_ORDER_MARK);
        length -= strlen(BYTE_ORDER_MARK);
    }
    return check_characters(text, length, error_r, error_size) == 0 &&
                   check_placeholders(text, length, error_r, error_size) == 0
               ? find_parts(notice_r, text, length, error_r, error_size)
               : -1;
}

void notice_write(const char *text, size_t length, const char *const values[NOTICE_VALUES],
                  FILE *file)
{
    while (length > 0) {
        size_t plain = 0;
        while (plain < length && find_value(text + plain, length - plain) == NOTICE_VALUES)
            plain++;
        fwrite(text, 1, plain, file);
        text += plain;
        length -= plain;
        if (length == 0)
            break;
        enum notice_value value = find_value(text, length);
        fputs(values[value], file);
        text += strlen(names[value]);
        length -= strlen(names[value]);
    }
}
