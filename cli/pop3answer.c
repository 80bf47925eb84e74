#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <curl/curl.h>

#include "cli/number.h"
#include "cli/pop3answer.h"

int pop3answer_host(const char *text, char host_r[256], unsigned *port_r)
{
    const char *end = *text == '[' ? strchr(text, ']') : NULL;
    uint64_t port = 0;

    size_t length = end != NULL ? (size_t)(end - text) + 1 : strcspn(text, ":");
    if (length == 0 || length >= 256 || strcspn(text, "/@?#%\\ \t\r\n") < strlen(text))
        return -1;
    if (text[length] == ':' && number_parse(text + length + 1, 1, 65535, &port) < 0)
        return -1;
    if (text[length] != ':' && text[length] != '\0')
        return -1;
    memcpy(host_r, text, length);
    host_r[length] = '\0';
    *port_r = (unsigned)port;
    return 0;
}

int pop3answer_line(char *line, unsigned *number_r, char **word_r)
{
    char *end;

    line[strcspn(line, "\r\n")] = '\0';
    if (*line < '0' || *line > '9')
        return -1;
    errno = 0;
    unsigned long number = strtoul(line, &end, 10);
    if (errno != 0 || number == 0 || number > 100000000 || *end != ' ')
        return -1;
    while (*end == ' ')
        end++;
    /* What follows the word is of no interest; RFC 1939 has room for it. */
    end[strcspn(end, " ")] = '\0';
    *number_r = (unsigned)number;
    *word_r = end;
    return *end != '\0' ? 0 : -1;
}

/* A date with comments taken out, which curl_getdate() does not know; 0: none. */
static int64_t parse_date(const char *text, size_t length)
{
    char date[128];
    size_t end = 0;
    int depth = 0;

    for (size_t i = 0; i < length && end + 1 < sizeof(date); i++) {
        depth += text[i] == '(';
        if (depth == 0)
            date[end++] = isspace((unsigned char)text[i]) ? ' ' : text[i];
        depth -= depth > 0 && text[i] == ')';
    }
    date[end] = '\0';
    time_t time = curl_getdate(date, NULL);
    return time > 0 ? time : 0;
}

/* The octets of the header field that begins at `line`, with its folded lines. */
static size_t field_length(const char *line, const char *end)
{
    const char *at = line;

    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        at = feed != NULL ? feed + 1 : end;
        if (at < end && *at != ' ' && *at != '\t')
            break;
    }
    return (size_t)(at - line);
}

int64_t pop3answer_received(const char *header, size_t length)
{
    static const char name[] = "Received:";
    const char *end = header + length;

    for (const char *line = header; line < end; line += field_length(line, end)) {
        if (*line == '\r' || *line == '\n')
            return 0;
        size_t size = field_length(line, end);
        if (size <= strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
            continue;
        const char *date = memrchr(line, ';', size);
        return date != NULL ? parse_date(date + 1, (size_t)(line + size - date) - 1) : 0;
    }
    return 0;
}
