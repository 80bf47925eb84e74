#include <event2/buffer.h>
#include <string.h>

#include "lib/log.h"
#include "pop3d/number.h"
#include "pop3d/reply.h"

static const struct {
    const char *text;
    unsigned flags;
} replies[REPLY__MAX] = {
    [REPLY_OK] = {"+OK", 0},
    /* Without "<": a client could take the greeting for an APOP challenge (RFC 1939 section 7). */
    [REPLY_GREETING] = {"+OK Bellhop ready", 0},
    [REPLY_CAPABILITIES] = {"+OK capabilities follow", 0},
    [REPLY_SEND_PASSWORD] = {"+OK send the password", 0},
    [REPLY_BEGIN_TLS] = {"+OK begin TLS", 0},
    [REPLY_GOODBYE] = {"+OK goodbye", REPLY_LAST},
    [REPLY_DELETED] = {"+OK marked as deleted", 0},
    [REPLY_RESET] = {"+OK no message is marked as deleted", 0},

    [REPLY_UNKNOWN_COMMAND] = {"-ERR unknown command here", REPLY_BAD},
    [REPLY_ARGUMENTS] = {"-ERR wrong arguments for this command", REPLY_BAD},
    [REPLY_NOT_A_NUMBER] = {"-ERR not a number", REPLY_BAD},
    [REPLY_TOO_LONG] = {"-ERR line too long", REPLY_BAD},
    [REPLY_NUL] = {"-ERR a line may not hold a NUL", REPLY_BAD},
    [REPLY_TOO_MANY_BAD] = {"-ERR too many bad commands, closing", REPLY_LAST},

    [REPLY_USE_TLS] = {"-ERR use TLS first: STLS, or the port for POP3 over TLS", REPLY_BAD},
    [REPLY_NO_USER] = {"-ERR send USER right before PASS", REPLY_BAD},
    [REPLY_TLS_ACTIVE] = {"-ERR TLS is active already", REPLY_BAD},
    [REPLY_NO_MECHANISM] = {"-ERR no such authentication mechanism here", REPLY_BAD},
    [REPLY_NOT_BASE64] = {"-ERR not base64", REPLY_BAD},
    [REPLY_CANCELLED] = {"-ERR authentication cancelled", REPLY_BAD},
    [REPLY_WRONG_PASSWORD] = {"-ERR [AUTH] wrong user name or password", REPLY_FAILED_LOGIN},
    [REPLY_SUSPENDED] = {"-ERR [SYS/PERM] this mailbox is suspended, ask your provider", 0},
    [REPLY_IN_USE] = {"-ERR [IN-USE] another session has had this mailbox open for {}, try again "
                      "later",
                      0},
    [REPLY_TOO_SOON] = {"-ERR [LOGIN-DELAY] the next login is possible in {}", 0},
    [REPLY_TOO_MANY_MESSAGES] = {"-ERR [SYS/PERM] this mailbox has too many messages to be opened, "
                                 "ask your provider",
                                 0},
    [REPLY_LOGIN_UNAVAILABLE] = {"-ERR [SYS/TEMP] logins are not possible now, try again later", 0},

    [REPLY_NO_MESSAGE] = {"-ERR no such message", 0},
    [REPLY_IS_DELETED] = {"-ERR this message is marked as deleted", 0},
    [REPLY_DAMAGED] = {"-ERR [SYS/PERM] this message is damaged on the server", 0},
    [REPLY_READ_FAILED] = {"-ERR [SYS/TEMP] this message cannot be read now, try again later", 0},
    [REPLY_STORE_UNAVAILABLE] = {"-ERR [SYS/TEMP] the mailbox cannot be reached now, try again "
                                 "later",
                                 REPLY_LAST},
    [REPLY_NOT_REMOVED] = {"-ERR [SYS/TEMP] some deleted messages not removed", REPLY_LAST},
};

unsigned reply_flags(enum reply reply)
{
    return replies[reply].flags;
}

const char *reply_text(enum reply reply)
{
    return replies[reply].text;
}

static size_t add_text(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return length;
}

/* In the unit in which a person would say it; rounded up, so that a wait is never too short. */
static size_t format_span(char *text_r, uint32_t seconds)
{
    static const struct {
        uint32_t below; /* seconds */
        uint32_t unit;
        const char *name;
    } units[] = {
        {120, 1, " s"},
        {120 * 60, 60, " min"},
        {48 * 3600, 3600, " h"},
        {UINT32_MAX, 24 * 3600, " d"},
    };
    size_t i = 0;

    while (seconds >= units[i].below && units[i].below < UINT32_MAX)
        i++;
    size_t length = number_format(text_r, seconds / units[i].unit + (seconds % units[i].unit > 0));
    return length + add_text(text_r + length, units[i].name);
}

size_t reply_format(char line_r[REPLY_LINE_MAX], enum reply reply, uint32_t seconds)
{
    const char *text = replies[reply].text;
    const char *gap = strstr(text, "{}");
    size_t length = 0;

    if (gap != NULL) {
        length = (size_t)(gap - text);
        memcpy(line_r, text, length);
        length += format_span(line_r + length, seconds);
        text = gap + 2;
    }
    length += add_text(line_r + length, text);
    line_r[length] = '\0';
    return length;
}

void reply_add(struct evbuffer *output, enum reply reply, uint32_t seconds)
{
    char line[REPLY_LINE_MAX];

    size_t length = reply_format(line, reply, seconds);
    length += add_text(line + length, "\r\n");
    evbuffer_add(output, line, length);
}

/* before FIRST between SECOND after: small enough for one local buffer. */
static void add_two_numbers(struct evbuffer *output, uint64_t first, const char *between,
                            uint64_t second, const char *after)
{
    char text[2 * NUMBER_MAX + 64];

    size_t length = add_text(text, "+OK ");
    length += number_format(text + length, first);
    length += add_text(text + length, between);
    length += number_format(text + length, second);
    length += add_text(text + length, after);
    evbuffer_add(output, text, length);
}

void reply_add_numbers(struct evbuffer *output, uint64_t first, uint64_t second)
{
    add_two_numbers(output, first, " ", second, "\r\n");
}

void reply_add_maildrop(struct evbuffer *output, uint64_t messages, uint64_t octets)
{
    add_two_numbers(output, messages, " messages (", octets, " octets)\r\n");
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
