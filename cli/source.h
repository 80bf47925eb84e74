#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/uniqueid.h"

struct importer;

/*
 * Where an import's messages come from: a maildir, an mbox file, another POP3 server. A source
 * knows all its messages, in the order in which the other server shows them, before the first one
 * is read.
 */

struct source_message {
    char unique_id[UNIQUEID_SIZE];
    uint64_t time;  /* microseconds since 1970; 0: transfer() tells it, or now */
    uint64_t size;  /* octets in the source, about */
    uint64_t place; /* the source's own */
    char *name;     /* for messages to people; a maildir finds the file by it */
};

enum source_result {
    SOURCE_DONE,    /* the whole message has been written to the importer */
    SOURCE_GONE,    /* it is not there any more: somebody has removed it */
    SOURCE_REFUSED, /* it cannot be read or is no message, as one line has said; others may be */
    SOURCE_ENDED    /* nothing more can be read, as one line has said */
};

struct source {
    struct source_message *messages;
    size_t count;
    uint64_t size;       /* of all messages together, for the progress bar */
    uint64_t octets_max; /* of the mailbox's largest message; the importer sets it */
    /*
     * NULL, or: finds out a message's unique-id, which the list does not have; called before the
     * message is imported, and its transfer() before that of the next.
     */
    enum source_result (*identify)(struct source *source, struct source_message *message);
    /* Writes a message to the importer, with LF or CRLF lines. */
    enum source_result (*transfer)(struct source *source, const struct source_message *message,
                                   struct importer *importer);
    void (*free)(struct source *source);
};

/* Takes a new message into the list; it and its name are the source's then. */
struct source_message *source_add(struct source *source, const struct source_message *message);

/* Frees the list, and calls the source's own free(). NULL is allowed. */
void source_free(struct source *source);

#endif
