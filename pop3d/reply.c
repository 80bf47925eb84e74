#include <event2/buffer.h>
#include <string.h>

#include "lib/log.h"
#include "pop3d/number.h"
#include "pop3d/reply.h"
#include "pop3d/tongue.h"

#define OK   "+OK "
#define ERR  "-ERR "
#define TEMP "-ERR [SYS/TEMP] "
#define PERM "-ERR [SYS/PERM] "

/* Status and code; the words behind them are in tongue.c. */
static const struct {
    const char *head;
    unsigned flags;
} replies[REPLY__MAX] = {
    [REPLY_OK] = {"+OK", 0},
    [REPLY_GREETING] = {OK, 0},
    /* Dovecot's proxies look for it here. */
    [REPLY_GREETING_XCLIENT] = {"+OK [XCLIENT] ", 0},
    [REPLY_CAPABILITIES] = {OK, 0},
    [REPLY_SEND_PASSWORD] = {OK, 0},
    [REPLY_BEGIN_TLS] = {OK, 0},
    [REPLY_GOODBYE] = {OK, REPLY_LAST},
    [REPLY_DELETED] = {OK, 0},
    [REPLY_RESET] = {OK, 0},
    [REPLY_LANGUAGES] = {OK, 0},
    [REPLY_LANGUAGE] = {OK, 0},
    [REPLY_MECHANISMS] = {OK, 0},
    [REPLY_UTF8] = {OK, 0},
    [REPLY_MAILDROP] = {OK, 0},

    [REPLY_UNKNOWN_COMMAND] = {ERR, REPLY_BAD},
    [REPLY_ARGUMENTS] = {ERR, REPLY_BAD},
    [REPLY_NOT_A_NUMBER] = {ERR, REPLY_BAD},
    [REPLY_TOO_LONG] = {ERR, REPLY_BAD},
    [REPLY_NUL] = {ERR, REPLY_BAD},
    [REPLY_TOO_MANY_BAD] = {ERR, REPLY_LAST},
    [REPLY_NO_LANGUAGE] = {ERR, 0},

    [REPLY_USE_TLS] = {ERR, REPLY_BAD},
    [REPLY_NO_USER] = {ERR, REPLY_BAD},
    [REPLY_TLS_ACTIVE] = {ERR, REPLY_BAD},
    [REPLY_UTF8_ACTIVE] = {ERR, REPLY_BAD},
    [REPLY_NO_MECHANISM] = {ERR, REPLY_BAD},
    [REPLY_NOT_BASE64] = {ERR, REPLY_BAD},
    [REPLY_NOT_SASL] = {ERR, REPLY_BAD},
    [REPLY_CANCELLED] = {ERR, REPLY_BAD},
    [REPLY_WRONG_PASSWORD] = {"-ERR [AUTH] ", REPLY_FAILED_LOGIN},
    [REPLY_WRONG_PROOF] = {"-ERR [AUTH] ", REPLY_FAILED_LOGIN},
    [REPLY_SUSPENDED] = {PERM, 0},
    /* The password is not looked at, so a client need not ask for another. */
    [REPLY_FOR_ANOTHER] = {PERM, REPLY_BAD},
    [REPLY_IN_USE] = {"-ERR [IN-USE] ", 0},
    [REPLY_TOO_SOON] = {"-ERR [LOGIN-DELAY] ", 0},
    [REPLY_TOO_MANY_MESSAGES] = {PERM, 0},
    [REPLY_DELAYED] = {TEMP, 0},
    [REPLY_LOGIN_UNAVAILABLE] = {TEMP, 0},
    [REPLY_FULL] = {TEMP, REPLY_LAST},
    [REPLY_COME_AGAIN] = {TEMP, REPLY_LAST},
    [REPLY_ADDRESS_FULL] = {TEMP, REPLY_LAST},

    [REPLY_NO_MESSAGE] = {ERR, 0},
    [REPLY_IS_DELETED] = {ERR, 0},
    [REPLY_DAMAGED] = {PERM, 0},
    [REPLY_READ_FAILED] = {TEMP, 0},
    [REPLY_STORE_UNAVAILABLE] = {TEMP, REPLY_LAST},
    [REPLY_NOT_REMOVED] = {TEMP, REPLY_LAST},
};

unsigned reply_flags(enum reply reply)
{
    return replies[reply].flags;
}

static size_t add_text(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return length;
}

/* In the unit in which a person would say it; rounded up, so that a wait is never too short. */
static size_t format_span(char *text_r, const struct tongue *tongue, uint32_t seconds)
{
    static const struct {
        uint32_t below; /* seconds */
        uint32_t unit;
    } units[] = {{120, 1}, {120 * 60, 60}, {48 * 3600, 3600}, {UINT32_MAX, 24 * 3600}};
    size_t i = 0;

    while (seconds >= units[i].below && units[i].below < UINT32_MAX)
        i++;
    size_t length = number_format(text_r, seconds / units[i].unit + (seconds % units[i].unit > 0));
    return length + add_text(text_r + length, tongue->spans[i]);
}

static const char *words(enum reply reply, const struct tongue *tongue)
{
    const char *text = tongue->texts[reply];

    if (text == NULL)
        text = tongue_get(0)->texts[reply];
    return text != NULL ? text : "";
}

/* Copies what stands before the next "{}". Returns what stands behind it, or NULL without one. */
static const char *copy_to_gap(char *text_r, size_t *length, const char *text)
{
    const char *gap = strstr(text, "{}");
    size_t size = gap != NULL ? (size_t)(gap - text) : strlen(text);

    memcpy(text_r + *length, text, size);
    *length += size;
    return gap != NULL ? gap + 2 : NULL;
}

size_t reply_format(char line_r[REPLY_LINE_MAX], enum reply reply, const struct tongue *tongue,
                    uint32_t seconds)
{
    size_t length = add_text(line_r, replies[reply].head);
    const char *rest = copy_to_gap(line_r, &length, words(reply, tongue));

    if (rest != NULL) {
        length += format_span(line_r + length, tongue, seconds);
        length += add_text(line_r + length, rest);
    }
    line_r[length] = '\0';
    return length;
}

void reply_add(struct evbuffer *output, enum reply reply, const struct tongue *tongue,
               uint32_t seconds)
{
    char line[REPLY_LINE_MAX];

    size_t length = reply_format(line, reply, tongue, seconds);
    length += add_text(line + length, "\r\n");
    evbuffer_add(output, line, length);
}

void reply_add_numbers(struct evbuffer *output, uint64_t first, uint64_t second)
{
    char text[2 * NUMBER_MAX + 8];

    size_t length = add_text(text, OK);
    length += number_format(text + length, first);
    text[length++] = ' ';
    length += number_format(text + length, second);
    length += add_text(text + length, "\r\n");
    evbuffer_add(output, text, length);
}

void reply_add_maildrop(struct evbuffer *output, const struct tongue *tongue, uint64_t messages,
                        uint64_t octets)
{
    char line[REPLY_LINE_MAX];
    size_t length = add_text(line, OK);

    const char *rest = copy_to_gap(line, &length, words(REPLY_MAILDROP, tongue));
    length += number_format(line + length, messages);
    rest = copy_to_gap(line, &length, rest != NULL ? rest : "");
    length += number_format(line + length, octets);
    length += add_text(line + length, rest != NULL ? rest : "");
    length += add_text(line + length, "\r\n");
    evbuffer_add(output, line, length);
}

void reply_add_language(struct evbuffer *output, const struct tongue *tongue)
{
    char line[REPLY_LINE_MAX];
    size_t length = add_text(line, OK);

    length += add_text(line + length, tongue->tag);
    line[length++] = ' ';
    length += add_text(line + length, words(REPLY_LANGUAGE, tongue));
    length += add_text(line + length, "\r\n");
    evbuffer_add(output, line, length);
}

void reply_add_challenge(struct evbuffer *output, const char *text, size_t length)
{
    reply_add_piece(output, "+ ", text, length, "\r\n");
}

void reply_add_piece(struct evbuffer *output, const char *head, const void *piece, size_t length,
                     const char *tail)
{
    size_t head_length = strlen(head);
    size_t tail_length = strlen(tail);
    struct evbuffer_iovec room;

    if (evbuffer_reserve_space(output, (ev_ssize_t)(head_length + length + tail_length), &room,
                               1) != 1)
        log_fatal("out of memory");
    char *at = room.iov_base;
    memcpy(at, head, head_length);
    if (length > 0)
        memcpy(at + head_length, piece, length);
    memcpy(at + head_length + length, tail, tail_length);
    room.iov_len = head_length + length + tail_length;
    evbuffer_commit_space(output, &room, 1);
}
