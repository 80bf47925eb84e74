#include <stdlib.h>
#include <string.h>

#include "lib/address.h"
#include "lib/fieldtoken.h"
#include "lib/fieldwriter.h"
#include "lib/mailboxes.h"
#include "lib/xalloc.h"

static void add_text(struct field_writer *writer, const char *text)
{
    field_add(writer, text, strlen(text));
}

/* Adds the comments that stand between other tokens, each behind a space. */
static void add_comments(struct field_writer *writer, const char *at, const char *end)
{
    while (at < end) {
        const char *next = field_token(at, end);
        if (*at == '(') {
            field_space(writer, " ", 1);
            field_add_comment(writer, at, (size_t)(next - at));
        }
        at = next;
    }
}

/* A display name, or the name of a group. */
static void add_phrase(struct field_writer *writer, const char *at, const char *end)
{
    field_trim(&at, &end);
    if (field_is_ascii(at, end)) {
        field_add(writer, at, (size_t)(end - at));
        return;
    }
    char *text = xmalloc((size_t)(end - at));
    const char *from = text;
    const char *to = text + field_unquote(at, end, text);
    field_trim(&from, &to);
    field_add_words(writer, from, (size_t)(to - from), FIELD_PHRASE);
    add_comments(writer, at, end);
    free(text);
}

/* local@domain, where its local part is ASCII, with the domain as A-labels; else NULL. */
static char *convert(const char *at, const char *end)
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *error;
    const char *sign = field_find(at, end, "@");

    if (sign == at || sign == end || !field_is_ascii(at, sign) ||
        address_parse_domain(domain, sign + 1, (size_t)(end - sign - 1), &error) != 0)
        return NULL;
    return xasprintf("<%.*s@%s>", (int)(sign - at), at, domain);
}

/* <address> in ASCII, to be freed; NULL: it has no such form. */
static char *address_of(const char *at, const char *end)
{
    field_trim(&at, &end);
    if (!field_is_ascii(at, end))
        return convert(at, end);
    return xasprintf("<%.*s>", (int)(end - at), at);
}

/* The whole as a name, in front of an address that leads nowhere. */
static void add_nowhere(struct field_writer *writer, const char *at, const char *end)
{
    char *text = xmalloc((size_t)(end - at));
    const char *from = text;
    const char *to = text + field_unquote(at, end, text);

    field_trim(&from, &to);
    if (to - from > 2 && *from == '<' && to[-1] == '>') {
        from++;
        to--;
    }
    field_add_words(writer, from, (size_t)(to - from), FIELD_PHRASE);
    field_space(writer, " ", 1);
    add_text(writer, "<" MAILBOXES_NOWHERE ">");
    free(text);
}

/* name <address> (comment) */
static void add_angle(struct field_writer *writer, const char *at, const char *open,
                      const char *behind, const char *end)
{
    const char *close = behind[-1] == '>' && behind - open > 1 ? behind - 1 : behind;
    char *address = address_of(open + 1, close);

    if (address != NULL) {
        add_phrase(writer, at, open);
        field_space(writer, " ", 1);
        add_text(writer, address);
    } else {
        add_nowhere(writer, at, behind);
        add_comments(writer, at, open);
    }
    add_comments(writer, behind, end);
    free(address);
}

/* address (comment): the address alone, where it has a form in ASCII. */
static void add_bare(struct field_writer *writer, const char *at, const char *end)
{
    char *text = xmalloc((size_t)(end - at));
    char *to = text;

    for (const char *token = at; token < end;) {
        const char *next = field_token(token, end);
        if (*token != '(') {
            memcpy(to, token, (size_t)(next - token));
            to += next - token;
        }
        token = next;
    }
    char *address = address_of(text, to);
    if (address != NULL)
        add_text(writer, address);
    else
        add_nowhere(writer, text, to);
    add_comments(writer, at, end);
    free(address);
    free(text);
}

static void add_mailbox(struct field_writer *writer, const char *at, const char *end)
{
    field_trim(&at, &end);
    if (field_is_ascii(at, end)) {
        field_add(writer, at, (size_t)(end - at));
        return;
    }
    const char *open = field_find(at, end, "<");
    if (open < end)
        add_angle(writer, at, open, field_token(open, end), end);
    else
        add_bare(writer, at, end);
}

void mailboxes_write(struct field_writer *writer, const char *value, size_t length)
{
    const char *end = value + length;

    while (value < end) {
        const char *next = field_find(value, end, ",;:");
        field_space(writer, " ", 1);
        if (next < end && *next == ':')
            add_phrase(writer, value, next);
        else
            add_mailbox(writer, value, next);
        if (next == end)
            break;
        field_space(writer, NULL, 0);
        field_add(writer, next, 1);
        value = next + 1;
    }
}

void mailboxes_write_path(struct field_writer *writer, const char *value, size_t length)
{
    const char *end = value + length;
    const char *at = field_find(value, end, "<");

    field_space(writer, " ", 1);
    if (at < end) {
        end = field_token(at, end);
        at++;
        if (end > at && end[-1] == '>')
            end--;
    } else {
        at = value;
    }
    char *address = address_of(at, end);
    add_text(writer, address != NULL ? address : "<" MAILBOXES_NOWHERE ">");
    free(address);
}
