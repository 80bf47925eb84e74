#include <string.h>

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
