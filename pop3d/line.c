#include <event2/buffer.h>
#include <sodium.h>
#include <string.h>

#include "pop3d/line.h"

enum line_result line_peek(struct evbuffer *input, bool *skipping_r, struct line *line_r)
{
    struct evbuffer_ptr end = evbuffer_search_eol(input, NULL, NULL, EVBUFFER_EOL_LF);

    if (end.pos < 0) {
        size_t partial = evbuffer_get_length(input);
        if (*skipping_r || partial >= LIMIT_LONG_LINE) {
            *skipping_r = true;
            evbuffer_drain(input, partial);
        }
        return LINE_NONE;
    }
    line_r->taken = (size_t)end.pos + 1;
    line_r->length = 0;
    line_r->text[0] = '\0';
    if (*skipping_r || line_r->taken > LIMIT_LONG_LINE)
        return LINE_TOO_LONG;
    evbuffer_copyout(input, line_r->text, (size_t)end.pos);
    line_r->length = (size_t)end.pos;
    if (line_r->length > 0 && line_r->text[line_r->length - 1] == '\r')
        line_r->length--;
    line_r->text[line_r->length] = '\0';
    return strlen(line_r->text) < line_r->length ? LINE_NUL : LINE_OK;
}

static void wipe_front(struct evbuffer *input, size_t length)
{
    struct evbuffer_iovec part;

    while (length > 0 && evbuffer_peek(input, (ev_ssize_t)length, NULL, &part, 1) > 0) {
        size_t size = part.iov_len < length ? part.iov_len : length;
        sodium_memzero(part.iov_base, size);
        evbuffer_drain(input, size);
        length -= size;
    }
}

void line_drop(struct evbuffer *input, bool *skipping_r, const struct line *line, bool wipe)
{
    *skipping_r = false;
    if (wipe)
        wipe_front(input, line->taken);
    else
        evbuffer_drain(input, line->taken);
}

char *line_split_keyword(char *text)
{
    char *space = strchr(text, ' ');

    if (space == NULL)
        return NULL;
    *space = '\0';
    return space + 1;
}

static void trim_end(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == ' ')
        text[--length] = '\0';
}

int line_split_arguments(char *text, bool whole, struct words *words_r)
{
    *words_r = (struct words){0};
    if (text == NULL)
        return 0;
    if (whole) {
        words_r->arguments[words_r->count++] = text;
        return 0;
    }
    trim_end(text);
    if (*text == '\0')
        return 0;
    while (text != NULL) {
        if (words_r->count == LINE_ARGUMENTS)
            return -1;
        char *next = line_split_keyword(text);
        if (*text == '\0')
            return -1;
        words_r->arguments[words_r->count++] = text;
        text = next;
    }
    return 0;
}
