#ifndef LIB_WELCOMECARDS_H
#define LIB_WELCOMECARDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/language.h"

/*
 * A sheet of cards for the owners of mailboxes, as an HTML page to print: on each the address, the
 * link with which the password is chosen (lib/invitation.h) as text and as a QR code, and what a
 * mail program asks for. Eight fill a page of A4 and of Letter alike; their borders are where to
 * cut. It asks for nothing else: no script, font or image from elsewhere.
 */

/* What it needs of a browser (Content-Security-Policy); it says so itself, too. */
#define WELCOMECARDS_POLICY "default-src 'none'; style-src 'unsafe-inline'"

/* HOST:PORT, as the settings have it, or empty: it does not stand on the cards. */
struct welcomecards {
    FILE *file;
    enum language language; /* of what stands around the cards */
    const char *customer;   /* its name */
    const char *pop3_server;
    const char *smtp_server;
    unsigned count; /* 0 at first */
};

struct welcomecard {
    const char *address;
    const char *name;
    const char *link; /* up to QRCODE_TEXT_MAX octets */
    uint64_t until;   /* seconds since 1970 */
    enum language language;
    bool sending; /* or else no SMTP server stands on it */
};

/* Texts are UTF-8 and hold what they like. Whether all could be written, ferror() tells. */
void welcomecards_begin(struct welcomecards *cards);
void welcomecards_add(struct welcomecards *cards, const struct welcomecard *card);
void welcomecards_end(struct welcomecards *cards);

#endif
