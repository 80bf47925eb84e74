#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/exportmsg.h"

/*
 * Where an export writes to: a maildir or an mbox file. What is written has its name only when it
 * is whole and durable; what an earlier run left is gone on with. Functions return 0, or -1 after
 * refuse().
 */
struct target {
    /* Whether an earlier run has written this message. */
    bool (*has)(struct target *target, const struct export_message *message);
    int (*begin)(struct target *target, const struct export_message *message);
    int (*write)(struct target *target, const char *octets, size_t length); /* LF lines */
    int (*end)(struct target *target, const struct export_message *message);
    int (*finish)(struct target *target); /* all messages are there */
    void (*free)(struct target *target);
};

/*
 * A new maildir at `path`, or one that an earlier export of this mailbox left unfinished. Files get
 * the messages' times; a dovecot-uidlist gives them their unique-ids. Returns NULL after refuse().
 */
struct target *maildirtarget_open(const char *path, uint64_t mailbox);

/* A new mbox file (mbox.h) at `path`; until it is whole it is "PATH.MAILBOX.part". As above. */
struct target *mboxtarget_open(const char *path, uint64_t mailbox);

#endif
