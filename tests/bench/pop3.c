#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"
#include "tests/bench/pop3.h"

size_t pop3_reply(const struct client *client, const char *data, size_t length, bool multiline)
{
    static const char end_mark[] = "\r\n.\r\n";
    const char *end;

    const char *newline = memchr(data, '\n', length);
    if (newline == NULL)
        return 0;
    if (strncmp(data, "+OK", 3) != 0)
        client_wrong(client, "+OK", data, (size_t)(newline - data));
    if (!multiline)
        return (size_t)(newline - data) + 1;
    /* The mark's first CRLF may be the one of the status line. */
    end = memmem(newline - 1, length - (size_t)(newline - 1 - data), end_mark, strlen(end_mark));
    return end == NULL ? 0 : (size_t)(end - data) + strlen(end_mark);
}

static uint64_t read_number(const struct client *client, const char *text, char **end_r)
{
    uint64_t value = strtoull(text, end_r, 10);

    if (*end_r == text)
        client_wrong(client, "a number", text, strcspn(text, "\r"));
    return value;
}

void pop3_read_list(const struct client *client, struct pop3_sizes *sizes, const char *data,
                    size_t length)
{
    const char *end = data + length - POP3_DOT_LENGTH;
    const char *line = (const char *)memchr(data, '\n', length) + 1;
    char *space;

    sizes->count = 0;
    sizes->total = 0;
    for (; line < end; line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1) {
        if (sizes->count == sizes->room) {
            sizes->room = sizes->room == 0 ? 64 : 2 * sizes->room;
            sizes->octets = xrealloc(sizes->octets, sizes->room * sizeof(uint64_t));
        }
        if (read_number(client, line, &space) != sizes->count + 1)
            client_wrong(client, "the next message", line, (size_t)(end - line));
        sizes->octets[sizes->count] = read_number(client, space, &space);
        sizes->total += sizes->octets[sizes->count++];
    }
}

unsigned pop3_lines(const char *data, size_t length)
{
    unsigned lines = 0;

    for (const char *at = data; (at = memchr(at, '\n', length - (size_t)(at - data))) != NULL; at++)
        lines++;
    return lines - 2;
}

size_t pop3_body(const struct client *client, uint64_t *left, const char *data, size_t length)
{
    if (*left > POP3_DOT_LENGTH) {
        uint64_t more = *left - POP3_DOT_LENGTH;
        size_t used = length < more ? length : (size_t)more;
        if (used == more && data[used - 1] != '\n')
            client_wrong(client, "the end of the message's last line where LIST says",
                         data + used - (used < 40 ? used : 40), used < 40 ? used : 40);
        *left -= used;
        return used;
    }
    size_t known = length < POP3_DOT_LENGTH ? length : POP3_DOT_LENGTH;
    if (memcmp(data, POP3_DOT, known) != 0)
        client_wrong(client, "the message's end where LIST says", data, length);
    if (known < POP3_DOT_LENGTH)
        return 0;
    *left = 0;
    return POP3_DOT_LENGTH;
}

size_t pop3_login_input(struct client *client, enum pop3_login *login, const char *data,
                        size_t length)
{
    size_t used = pop3_reply(client, data, length, false);

    if (used == 0)
        return 0;
    switch (++*login) {
    case POP3_USER: client_send(client, "USER %s\r\n", client->account->address); break;
    case POP3_PASS: client_send(client, "PASS %s\r\n", client->account->password); break;
    default: break;
    }
    return used;
}

void pop3_closed(struct client *client, bool answered)
{
    if (!answered)
        client_wrong(client, "a reply", "(closed)", strlen("(closed)"));
    client_open(client);
}
