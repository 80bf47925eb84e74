#include <string.h>

#include "lmtpd/content.h"

/*
 * Finds the first dot that begins a line; NULL: there is none. `state` is that before the input,
 * and not CONTENT_LINE_START with a dot. By line ends, which most texts have fewer of than dots.
 */
static const char *find_line_dot(enum content_state state, const char *input, size_t length)
{
    const char *last = input + length - 1;

    for (const char *at = input; (at = memchr(at, '\n', (size_t)(last - at))) != NULL; at++)
        if (at[1] == '.' && (at == input ? state == CONTENT_CR : at[-1] == '\r'))
            return at + 1;
    return NULL;
}

static enum content_state state_after(enum content_state state, const char *text, size_t length)
{
    char last = text[length - 1];

    if (last == '\r')
        return CONTENT_CR;
    if (last == '\n' && (length == 1 ? state == CONTENT_CR : text[length - 2] == '\r'))
        return CONTENT_LINE_START;
    return CONTENT_TEXT;
}

static size_t take_text(enum content_state *state, const char *input, size_t length,
                        struct content_span *span_r)
{
    const char *dot = find_line_dot(*state, input, length);

    span_r->text = input;
    if (dot != NULL) {
        span_r->length = (size_t)(dot - input);
        *state = CONTENT_DOT;
        return span_r->length + 1;
    }
    span_r->length = length;
    *state = state_after(*state, input, length);
    return length;
}

size_t content_take(enum content_state *state, const char *input, size_t length,
                    struct content_span *span_r)
{
    *span_r = (struct content_span){.text = "", .length = 0};
    if (length == 0)
        return 0;
    switch (*state) {
    case CONTENT_LINE_START:
        if (*input == '.') {
            *state = CONTENT_DOT;
            return 1;
        }
        break;
    case CONTENT_DOT:
        if (*input == '\r') {
            *state = CONTENT_DOT_CR;
            return 1;
        }
        /* RFC 5321 section 4.5.2: the dot is dropped, whatever follows it. */
        *state = CONTENT_TEXT;
        break;
    case CONTENT_DOT_CR:
        if (*input == '\n') {
            *state = CONTENT_ENDED;
            return 1;
        }
        *state = CONTENT_CR;
        *span_r = (struct content_span){.text = "\r", .length = 1};
        return 0;
    case CONTENT_TEXT:
    case CONTENT_CR: break;
    case CONTENT_ENDED: return 0;
    }
    return take_text(state, input, length, span_r);
}
