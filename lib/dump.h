#ifndef LIB_DUMP_H
#define LIB_DUMP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The stream in which a store's mail leaves `stored dump` and enters `stored load`: frames, each a
 * type, a length and a payload, over pipes. bellhop keeps the frames in a backup's file
 * (cli/archive.h), so this is a format on disk as well. Numbers are little-endian.
 *
 *   dump gets      CONTENTS and MAILBOXES of the backup that it builds on, if any, and GO
 *   dump sends     READY, and after GO: SNAPSHOT, CONTENTS, MAILBOXES, MANIFEST, BODIES, END
 *   load gets      MAILBOXES and MANIFEST of the newest backup, BODIES of it and of those that it
 *                  builds on, newest first, and END
 *   load sends     END
 */

enum dump_type {
    DUMP_READY = 1, /* empty: from now on nothing of the store is moved or removed */
    DUMP_GO,        /* empty: take the snapshot */
    DUMP_SNAPSHOT,  /* empty: what follows is the store as it is at this moment */
    DUMP_ACCOUNTS,  /* octets of the account database's image; for the file only */
    DUMP_CONTENTS,  /* struct dump_contents */
    DUMP_MAILBOXES, /* 1 or more struct dump_mailbox, ascending */
    DUMP_MANIFEST,  /* 1 or more struct dump_ref: every message there is, also older ones */
    DUMP_BODIES,    /* octets of: struct dump_message, the growth of its surrogate (int64_t) where
                       it has one, its references, its unique-id, its body */
    DUMP_END        /* struct dump_end */
};

#define DUMP_STORE_SIZE 16

struct dump_contents {
    uint8_t store[DUMP_STORE_SIZE]; /* tells one store from another */
    uint64_t mailboxes;
    uint64_t messages; /* in the manifest */
    uint64_t octets;   /* in BODIES, about */
};

struct dump_mailbox {
    uint64_t mailbox;
    uint64_t uid_next; /* messages from here on came later */
    uint64_t dropped;  /* 1: gone with all its mail */
};

struct dump_ref {
    uint64_t mailbox;
    uint64_t uid;
};

struct dump_message {
    uint32_t ref_count;
    uint8_t unique_id_length;  /* at most STORE_UNIQUE_ID_MAX; 0: stored's own */
    uint8_t surrogate_version; /* as in struct store_surrogate; zeros in a file of version 1 */
    uint8_t surrogate_needed;
    uint8_t zero;
    uint64_t time;   /* microseconds since 1970 */
    uint64_t octets; /* what LIST says */
    uint64_t top_length;
    uint64_t body_length; /* in stored form (lib/message.h) */
};

struct dump_end {
    uint64_t messages; /* dumped or loaded, in all mailboxes */
    uint64_t damaged;  /* dump: left out; load: in the manifest and in no file */
};

/* Most octets in one frame. */
#define DUMP_FRAME_MAX (1024 * 1024)

struct dump_frame {
    uint32_t type;
    uint32_t length;
};

/* Returns 0, or -1 (errno; EINTR when a signal was caught, and the stream is of no use then). */
int dump_send(int fd, enum dump_type type, const void *payload, size_t length);

/*
 * Waits for the next frame; payload_r has room for DUMP_FRAME_MAX octets. Returns 1, 0 at the
 * stream's end between two frames, or -1 (errno, as above; EBADMSG: it is no such stream).
 */
int dump_receive(int fd, struct dump_frame *frame_r, void *payload_r);

/*
 * The writing end of a stream of small things: gathers them into frames. A frame holds things of
 * one type.
 */
struct dump_writer {
    int fd;
    enum dump_type type;
    size_t length;
    uint8_t *payload; /* DUMP_FRAME_MAX octets */
};

void dump_writer_init(struct dump_writer *writer, int fd);
void dump_writer_fini(struct dump_writer *writer);

/* Both as dump_send(). A thing may be cut in two only where `type` is one of octets. */
int dump_write(struct dump_writer *writer, enum dump_type type, const void *data, size_t length);
int dump_flush(struct dump_writer *writer);

#endif
