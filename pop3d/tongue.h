#ifndef POP3D_TONGUE_H
#define POP3D_TONGUE_H

#include "pop3d/reply.h"

/*
 * The languages of answers (RFC 6856 section 3). A new one is a table in tongue.c. English is
 * ASCII, the others are UTF-8: a client hears them only after LANG.
 */
struct tongue {
    const char *tag;      /* RFC 5646; one that lib/language.h has too has its code there */
    const char *name;     /* in the language itself */
    const char *spans[4]; /* what stands behind a number of seconds, minutes, hours, days */
    /* Without status and code. "{}" is where something is filled in. NULL: as in English. */
    const char *texts[REPLY__MAX];
};

/* The number-th (from 0), or NULL after the last one. The first is English. */
const struct tongue *tongue_get(unsigned number);

/*
 * The one for a basic language range as a client sends it ("de", "de-AT"; not "*"), by the lookup
 * of RFC 4647 section 3.4; or NULL.
 */
const struct tongue *tongue_find(const char *range);

#endif
