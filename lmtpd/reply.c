#include <event2/buffer.h>
#include <string.h>

#include "lmtpd/reply.h"

#define REPLY_TEXT(id, text) [REPLY_##id] = (text),
static const char *const reply_texts[REPLY__MAX] = {REPLY_TABLE(REPLY_TEXT)};
#undef REPLY_TEXT

static const enum reply store_replies[] = {
    [STORE_OK] = REPLY_DELIVERED,          [STORE_NO_CAPABILITY] = REPLY_FAILURE,
    [STORE_NO_MESSAGE] = REPLY_FAILURE,    [STORE_OVER_QUOTA] = REPLY_OVER_QUOTA,
    [STORE_NO_MAILBOX] = REPLY_NO_MAILBOX, [STORE_IN_USE] = REPLY_FAILURE,
    [STORE_BUSY] = REPLY_FAILURE,          [STORE_FULL] = REPLY_STORE_FULL,
    [STORE_DAMAGED] = REPLY_FAILURE,       [STORE_BROKEN] = REPLY_FAILURE,
    [STORE_TOO_LARGE] = REPLY_TOO_LARGE,
};

const char *reply_text(enum reply reply)
{
    return reply_texts[reply];
}

char reply_class(enum reply reply)
{
    return reply_texts[reply][0];
}

bool reply_is_protocol_error(enum reply reply)
{
    return strncmp(reply_texts[reply] + strlen("5xx "), "5.5.", 4) == 0;
}

void reply_write(struct evbuffer *output, enum reply reply)
{
    evbuffer_add(output, reply_texts[reply], strlen(reply_texts[reply]));
    evbuffer_add(output, "\r\n", 2);
}

enum reply reply_of_store(enum store_result result)
{
    if ((size_t)result >= sizeof(store_replies) / sizeof(store_replies[0]))
        return REPLY_FAILURE;
    return store_replies[result];
}

enum reply reply_combine(enum reply so_far, enum reply next)
{
    if (so_far == REPLY__MAX || reply_class(so_far) == '5')
        return next;
    if (reply_class(so_far) == '2' && reply_class(next) == '4')
        return next;
    return so_far;
}
