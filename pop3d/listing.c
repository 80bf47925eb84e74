#include <string.h>

#include "pop3d/listing.h"
#include "pop3d/number.h"
#include "pop3d/session.h"

/* Lines are collected here and added to the output many at a time. */
#define BATCH 8192

/* The longest line: two numbers or a number and a unique-id, a space, CRLF. */
#define LINE_MOST (NUMBER_MAX + 1 + MAILDROP_UNIQUE_ID_MAX + 2)

static size_t format_line(char *text_r, const struct maildrop *maildrop, enum listing_kind kind,
                          uint32_t index)
{
    size_t length = number_format(text_r, index + 1);
    text_r[length++] = ' ';
    if (kind == LISTING_SIZES)
        length += number_format(text_r + length, maildrop_octets(maildrop, index));
    else
        length += maildrop_unique_id(maildrop, index, text_r + length);
    text_r[length++] = '\r';
    text_r[length++] = '\n';
    return length;
}

static void add_batch(struct session *session)
{
    struct listing *listing = &session->listing;
    const struct maildrop *maildrop = &session->maildrop;
    char text[BATCH];
    size_t length = 0;

    while (listing->next < maildrop->count && length + LINE_MOST + 3 <= sizeof(text)) {
        uint32_t index = listing->next++;
        if (!maildrop_deleted(maildrop, index))
            length += format_line(text + length, maildrop, listing->kind, index);
    }
    if (listing->next == maildrop->count) {
        memcpy(text + length, ".\r\n", 3);
        length += 3;
        session->wait = SESSION_READY;
    }
    evbuffer_add(session_output(session), text, length);
}

void listing_continue(struct session *session)
{
    while (session->wait == SESSION_LISTING && session_has_room(session))
        add_batch(session);
}

void listing_begin(struct session *session, enum listing_kind kind)
{
    session->listing.kind = kind;
    session->listing.next = 0;
    session->wait = SESSION_LISTING;
    listing_continue(session);
}

void listing_one(struct session *session, enum listing_kind kind, uint32_t index)
{
    char text[4 + LINE_MOST] = "+OK ";

    size_t length = 4 + format_line(text + 4, &session->maildrop, kind, index);
    evbuffer_add(session_output(session), text, length);
}
