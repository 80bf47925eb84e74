#ifndef LIB_EXPORTMSG_H
#define LIB_EXPORTMSG_H

#include <stdint.h>

/*
 * What `stored export MAILBOX` writes to the pipe that `bellhop mailbox export` reads: an
 * export_begin; for each message, in the order of POP3, an export_message and its body in stored
 * form (lib/message.h); an export_message with uid 0. Without that last one it is not whole.
 */

#define EXPORT_MAGIC UINT32_C(0x31785842) /* "BXx1" */

struct export_begin {
    uint32_t magic;
    uint32_t messages;
    uint64_t octets; /* of all bodies together */
};

struct export_message {
    uint32_t magic;
    uint32_t damaged; /* 1: named on standard error; no body follows */
    uint64_t uid;
    uint64_t time; /* microseconds since 1970 */
    uint64_t octets;
    uint64_t body_length;
    char unique_id[72]; /* as UIDL shows it, NUL padded */
};

#endif
