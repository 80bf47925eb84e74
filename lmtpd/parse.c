#include <string.h>
#include <strings.h>

#include "lib/utf8.h"
#include "lmtpd/limits.h"
#include "lmtpd/parse.h"

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void skip(struct text *text, size_t length)
{
    text->at += length;
    text->length -= length;
}

static void skip_spaces(struct text *text)
{
    while (text->length > 0 && *text->at == ' ')
        skip(text, 1);
}

bool text_is(struct text text, const char *word)
{
    return text.length == strlen(word) && strncasecmp(text.at, word, text.length) == 0;
}

bool text_is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return false;
    return true;
}

static struct text cut_word(struct text *text)
{
    const char *space = memchr(text->at, ' ', text->length);
    struct text word = *text;

    if (space != NULL)
        word.length = (size_t)(space - text->at);
    skip(text, word.length);
    return word;
}

struct text parse_word(struct text *text_r)
{
    struct text word = cut_word(text_r);

    skip_spaces(text_r);
    return word;
}

/* The octets up to the `stop` that no quotes enclose, or -1: there is none, or a bad octet. */
static int find_unquoted(struct text text, char stop, size_t *offset_r)
{
    bool quoted = false;

    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (is_control(c) || (c == ' ' && !quoted))
            return -1;
        if (c == stop && !quoted) {
            *offset_r = i;
            return 0;
        }
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted && i + 1 < text.length && !is_control(text.at[i + 1]))
            i++;
    }
    return -1;
}

int parse_path(struct text *text_r, const char *keyword, struct text *path_r)
{
    size_t length = strlen(keyword);

    if (text_r->length < length || strncasecmp(text_r->at, keyword, length) != 0)
        return -1;
    skip(text_r, length);
    /* RFC 5321 section 3.3 allows no space here; people who type by hand do it all the same. */
    skip_spaces(text_r);
    if (text_r->length == 0 || *text_r->at != '<')
        return -1;
    skip(text_r, 1);
    if (find_unquoted(*text_r, '>', &length) < 0 || length > PATH_MAX_OCTETS)
        return -1;
    *path_r = (struct text){text_r->at, length};
    skip(text_r, length + 1);
    if (path_r->length > 0 && *path_r->at == '@') {
        if (find_unquoted(*path_r, ':', &length) < 0)
            return -1;
        skip(path_r, length + 1);
    }
    return 0;
}

bool parse_sender(struct text path)
{
    size_t at;

    if (path.length == 0)
        return true;
    /* RFC 6531 section 3.3: what is not ASCII is UTF-8. */
    if (!utf8_is_valid(path.at, path.length))
        return false;
    if (find_unquoted(path, '@', &at) < 0 || at == 0 || at + 1 == path.length)
        return false;
    return memchr(path.at + at + 1, '@', path.length - at - 1) == NULL;
}

static bool is_keyword(struct text text)
{
    if (text.length == 0 || *text.at == '-')
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!is_letter_or_digit(text.at[i]) && text.at[i] != '-')
            return false;
    return true;
}

static bool is_value(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (is_control(text.at[i]) || text.at[i] == '=')
            return false;
    return text.length > 0;
}

int parse_parameter(struct text *text_r, struct parameter *parameter_r)
{
    struct text before = *text_r;

    skip_spaces(text_r);
    if (text_r->length == 0)
        return 0;
    if (text_r->length == before.length)
        return -1;
    struct text word = cut_word(text_r);
    const char *equals = memchr(word.at, '=', word.length);
    *parameter_r = (struct parameter){.keyword = word};
    if (equals != NULL) {
        parameter_r->keyword.length = (size_t)(equals - word.at);
        parameter_r->value.at = equals + 1;
        parameter_r->value.length = word.length - parameter_r->keyword.length - 1;
        if (!is_value(parameter_r->value))
            return -1;
    }
    return is_keyword(parameter_r->keyword) ? 1 : -1;
}

int parse_size(struct text text, uint64_t *size_r)
{
    uint64_t size = 0;

    if (text.length == 0 || text.length > 20)
        return -1;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -1;
        uint64_t digit = (uint64_t)(text.at[i] - '0');
        size = size > (UINT64_MAX - digit) / 10 ? UINT64_MAX : size * 10 + digit;
    }
    *size_r = size;
    return 0;
}

bool parse_host(struct text text)
{
    if (text.length == 0 || text.length > LHLO_MAX_OCTETS)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!is_letter_or_digit(text.at[i]) && memchr("-._:[]", text.at[i], 6) == NULL)
            return false;
    return true;
}
