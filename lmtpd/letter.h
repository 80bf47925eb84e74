#ifndef LMTPD_LETTER_H
#define LMTPD_LETTER_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "db/owner.h"
#include "lib/notice.h"

/* What there is to tell a mailbox's owner: how full it was when it crossed a line. */
struct letter {
    uint64_t mailbox;
    uint64_t octets;
    uint64_t messages;
    uint64_t quota_octets;
    uint64_t quota_messages;
};

/*
 * Makes the message (RFC 5322, MIME; lines end in CRLF) that tells it: in the notice's words, from
 * the postmaster of `hostname`, or of the mailbox's own domain where that is not a name of the
 * Internet's. The caller frees it.
 */
char *letter_format(const struct letter *letter, const struct db_owner *owner,
                    const struct notice *notice, const char *hostname, time_t now,
                    size_t *length_r);

/* "1.5 GB" or "1,5 Go", in the language's way; enough for any number. */
#define LETTER_SIZE_MAX 24
void letter_size(uint64_t octets, enum language language, char text_r[LETTER_SIZE_MAX]);

#endif
