#ifndef CLI_POP3SOURCE_H
#define CLI_POP3SOURCE_H

#include <stdbool.h>

#include "cli/password.h"
#include "cli/source.h"

/*
 * The messages of a mailbox on another POP3 server, which keeps them: nothing is deleted there.
 * Unique-ids are the server's. One that gives none has every message fetched before it is known
 * whether it is there already; its unique-id is then derived from its octets. A message's time is
 * when the other server received it, as its first Received field says, else now.
 */

struct pop3source_options {
    const char *host; /* HOST or HOST:PORT; an IPv6 address in brackets */
    const char *user;
    const char *authority; /* a file of certificates, or NULL: the system's */
    enum pop3_protection { POP3_TLS, POP3_STLS, POP3_CLEARTEXT } protection;
};

/*
 * Logs in and asks for the list. The password is not kept here but by libcurl, which wipes none; so
 * the process should end soon after. Returns NULL after refuse().
 */
struct source *pop3source_open(const struct pop3source_options *options,
                               const struct password *password);

#endif
