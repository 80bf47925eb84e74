#ifndef LIB_STOREMSG_H
#define LIB_STOREMSG_H

#include <stdint.h>

#include "lib/capability.h"

/*
 * What stored's three sockets speak (over lib/channel.h). The listening socket that a connection
 * came through decides which requests are allowed on it:
 *
 *   run/stored-deliver.sock  lmtpd   HELLO, USAGE and DELIVER_*
 *   run/stored-front.sock    pop3d   HELLO, MEMORY, OPEN, READ, EXPUNGE, CLOSE
 *   run/stored-control.sock  admin, bellhop   HELLO, PING, USAGE, DROP, EXPIRE, HOLD, SESSIONS,
 *                                             LOGOUT, CROSSINGS, IMPORT with DELIVER_DATA, _COMMIT
 * and _ABORT
 *
 * Any other type, or a payload of another size than the one given here, closes the connection.
 * Connections are shared: the message's id tells what a request is about, a delivery or a session
 * (chosen by the requester, unique on the connection while in use). Structs have no holes.
 */

/*
 * The version of all below and of struct capability. It grows with each release that changes the
 * meaning or the form of any of them, or SURROGATE_VERSION: programs of two versions meet after an
 * upgrade, and each new connection begins with the question which one stored speaks. HELLO and its
 * answer never change.
 */
#define STORE_VERSION 1

enum store_type {
    /* deliver and control */
    STORE_USAGE = 1, /* struct store_mailbox_id   -> STORE_USAGE_IS */
    STORE_USAGE_IS,  /* struct store_usage_is */

    /* deliver; id names the delivery from DELIVER_BEGIN to DELIVERED */
    STORE_DELIVER_BEGIN,  /* struct store_deliver_begin, then `count` struct store_recipient */
    STORE_DELIVER_DATA,   /* octets of the body, in stored form (lib/message.h) */
    STORE_DELIVER_COMMIT, /* struct store_deliver_commit -> STORE_DELIVERED */
    STORE_DELIVER_ABORT,  /* empty; nothing is kept, no answer */
    STORE_DELIVERED,      /* a struct store_delivered for each recipient, in order */

    /* front; the connection's own memory, see below */
    STORE_MEMORY,    /* empty, once                -> STORE_MEMORY_IS, or no answer */
    STORE_MEMORY_IS, /* empty; a descriptor comes with it */

    /* front; id names the session */
    STORE_OPEN,       /* struct store_open           -> the mailbox as below, or STORE_FAILED */
    STORE_OPENING,    /* struct store_totals, first: of a mailbox whose entries take their time */
    STORE_ENTRIES,    /* 1 or more struct store_entry, in the order of the uids */
    STORE_UNIQUE_IDS, /* 1 or more struct store_unique_id and their text: of entries before it */
    STORE_OPENED,     /* struct store_totals: that was all */
    STORE_READ,       /* struct store_read           -> STORE_DATA, _PLACED or _FAILED */
    STORE_DATA,       /* struct store_data, then octets of the body */
    STORE_PLACED,     /* struct store_placed: they are in the connection's memory */
    STORE_EXPUNGE,    /* 1 or more uint32_t message indexes -> STORE_EXPUNGED or STORE_FAILED */
    STORE_EXPUNGED,   /* empty: the deletions are durable */
    STORE_CLOSE,      /* empty, no answer: releases the lock, also while the mailbox is opened */
    STORE_FAILED,     /* struct store_failed */

    /* control: is anybody there */
    STORE_PING, /* empty                       -> STORE_PONG or STORE_FAILED */
    STORE_PONG, /* empty: the store can read and write */

    /* control */
    STORE_DROP,    /* struct store_mailbox_id     -> STORE_DROPPED or STORE_FAILED */
    STORE_DROPPED, /* empty: all mail of the mailbox is gone, durably */
    STORE_EXPIRE,  /* struct store_expire         -> STORE_EXPIRED or STORE_FAILED */
    STORE_EXPIRED, /* struct store_expired */
    STORE_HOLD,    /* empty                       -> STORE_HELD; see below */
    STORE_HELD,    /* empty */

    /* A delivery with a past: instead of DELIVER_BEGIN, for one mailbox. id as there. */
    STORE_IMPORT,    /* struct store_import -> STORE_IMPORTING, or STORE_DELIVERED when refused */
    STORE_IMPORTING, /* empty: DELIVER_DATA and DELIVER_COMMIT may come */

    /* front, in answer to STORE_OPEN */
    STORE_GROWTHS, /* 1 or more struct store_growth: of entries before it */

    /* front; see below */
    STORE_ENDED, /* empty */

    /* control; each with at most STORE_MAILBOXES_MAX of what it speaks of */
    STORE_SESSIONS,     /* 1 or more struct store_mailbox_id -> STORE_SESSIONS_ARE */
    STORE_SESSIONS_ARE, /* a struct store_session_is for each that has a session, in order */
    STORE_LOGOUT,       /* 1 or more struct store_logout     -> STORE_LOGGED_OUT */
    STORE_LOGGED_OUT,   /* struct store_logged_out */

    /* control; see below */
    STORE_CROSSINGS,     /* empty -> STORE_CROSSINGS_ARE, when there are any */
    STORE_CROSSINGS_ARE, /* up to STORE_CROSSINGS_MAX struct store_crossing, the oldest first */

    /* all; with the id 0, which names nothing else, first on a new connection */
    STORE_HELLO = 254,   /* empty                  -> STORE_HELLO_IS, at once */
    STORE_HELLO_IS = 255 /* struct store_hello */
};

struct store_hello {
    uint32_t version; /* STORE_VERSION of stored */
};

/*
 * From STORE_HELD until the connection ends, nothing is moved, punched or removed in store/, so
 * that its files can be read beside the service by whoever owns them.
 */

/* The three failures (docs/DESIGN.md) with the details that a reply on the wire needs. */
enum store_result {
    STORE_OK = 0,
    STORE_NO_CAPABILITY, /* no: forged or expired */
    STORE_NO_MESSAGE,    /* no: not a message of this session */
    STORE_OVER_QUOTA,    /* no: this mailbox is full */
    STORE_TOO_LARGE,     /* no: the message is larger than this mailbox takes */
    STORE_NO_MAILBOX,    /* no: the mailbox has been dropped */
    STORE_EXISTS,        /* no: the mailbox has a message with this unique-id */
    STORE_IN_USE,        /* not now: another session holds the mailbox */
    STORE_TOO_SOON,      /* not now: the mailbox's plan wants more time between two logins */
    STORE_BUSY,          /* not now: a limit of stored's own is reached */
    STORE_FULL,          /* not now: the disk is full */
    STORE_DAMAGED,       /* ours: the message on disk is damaged */
    STORE_BROKEN         /* ours: the disk or the index fails */
};

struct store_failed {
    uint8_t result; /* enum store_result */
    uint8_t zero[3];
    uint32_t seconds; /* IN_USE: since the lock was taken; TOO_SOON: until it is not; else 0 */
};

struct store_mailbox_id {
    uint64_t mailbox;
};

struct store_usage_is {
    uint64_t octets;
    uint64_t messages;
};

/* Most recipients of one delivery: RFC 5321 section 4.5.3.1.8 asks for at least 100. */
#define STORE_RECIPIENTS_MAX 1000

/* A mailbox that stands twice among the recipients gets the message once, and both get STORE_OK. */
struct store_deliver_begin {
    uint32_t count;
    uint32_t zero;
    uint64_t size; /* the octets that the sender announced (MAIL SIZE=), 0 if unknown */
};

struct store_recipient {
    uint64_t mailbox;
    uint64_t quota_octets; /* the plan's limits, as lmtpd has just read them */
    uint64_t quota_messages;
    uint64_t octets_max; /* of one message, with what lmtpd has put in front of it */
};

struct store_delivered {
    uint8_t result;  /* enum store_result */
    uint8_t crossed; /* the highest of STORE_QUOTA_LINES that this message has crossed, or 0 */
    uint8_t zero[6];
    struct store_usage_is usage; /* of the mailbox with this message; zeros if it did not get it */
};

/* Who opens a mailbox, for the list of sessions. */
struct store_open {
    struct capability capability;
    uint8_t remote[16]; /* the client's address; IPv4 as ::ffff:192.0.2.1, zeros: not known */
    uint16_t tls;       /* the version of TLS as it goes over the wire: 0x0304 is 1.3; 0: none */
    uint8_t zero[6];
};

#define STORE_MAILBOXES_MAX 4096

struct store_session_is {
    uint64_t mailbox;
    uint64_t session; /* of the capability: its name in all programs' logs */
    uint64_t seconds; /* since it has had the mailbox, at least 1 */
    uint64_t octets;  /* of messages that have been read for it, also ahead */
    uint32_t messages;
    uint16_t tls; /* these two as the front has told */
    uint8_t zero[2];
    uint8_t remote[16];
};

/*
 * Ends the session of a mailbox, unless its login has known of this logout (struct capability),
 * and with STORE_BUSY the opens that wait for the mailbox and have not known of it either. What is
 * being expunged at the moment is answered before. The front is told by STORE_ENDED: nothing of the
 * session is answered any more, and the front closes it (STORE_CLOSE) as any other. The lock is
 * free already, and the next login need not wait for the plan's time between two.
 */
struct store_logout {
    uint64_t mailbox;
    uint64_t number; /* db/logout.h */
};

struct store_logged_out {
    uint32_t sessions; /* that there were, also those that still expunge */
    uint32_t zero;
};

/* Percent of a mailbox's quota, in octets or in messages, at which its owner is warned. */
#define STORE_QUOTA_LINES                                                                          \
    {                                                                                              \
        80, 95                                                                                     \
    }

/*
 * A mailbox that a delivery has filled up to a line of its quota, with what lmtpd is told of it in
 * STORE_DELIVERED. Each is told once: stored forgets what it has answered. It answers when there
 * are any, one connection at a time: the one that asked before the last is told of none.
 */
struct store_crossing {
    uint64_t mailbox;
    struct store_usage_is usage; /* with that message */
    uint64_t quota_octets;
    uint64_t quota_messages;
    uint8_t percent; /* of STORE_QUOTA_LINES */
    uint8_t zero[7];
};

#define STORE_CROSSINGS_MAX 256

/* RFC 1939 section 7: 1 to 70 octets from 0x21 to 0x7e. */
#define STORE_UNIQUE_ID_MAX 70

struct store_import {
    struct store_recipient recipient;
    uint64_t size;      /* the octets that will come, about; 0 if unknown */
    char unique_id[72]; /* NUL padded; empty: stored gives its own */
};

/*
 * Looks at some messages of a mailbox in the order of their uids and expunges those older than
 * `before`: STORE_IN_USE where there are such and somebody has the mailbox open.
 */
struct store_expire {
    uint64_t mailbox;
    uint64_t before; /* microseconds since 1970 */
    uint64_t after;  /* begin behind this uid: 0, or the last answer's `next` */
};

struct store_expired {
    uint32_t count; /* expunged, durably */
    uint32_t more;  /* 1: there are messages behind `next`; ask again */
    uint64_t next;
};

/* What has been found out of a message's surrogate (lib/surrogate.h) when it came. */
struct store_surrogate {
    int64_t growth;  /* octets that LIST says more of it; also fewer; 0 where there is none */
    uint8_t version; /* SURROGATE_VERSION of who has looked; 0: nobody has */
    uint8_t needed;  /* 1: without UTF8, a surrogate is sent; 0: the message as it is */
    uint8_t zero[6];
};

/* Far more than is told (lib/growth.h), and what is added up of it stays far from its limit. */
#define STORE_GROWTH_MAX (INT64_C(1) << 38)

struct store_deliver_commit {
    uint64_t octets;     /* of the message as LIST says: CRLF lines, not dot-stuffed */
    uint64_t top_length; /* of the header section with its blank line, in stored form */
    uint64_t time;       /* microseconds since 1970, of an import; 0: now */
    struct store_surrogate surrogate;
};

/* The message with index i (from 0) is RFC 1939's message-number i + 1. */
struct store_entry {
    uint64_t uid;
    uint64_t time; /* microseconds since 1970 */
    uint64_t octets;
};

/*
 * What the entries come to. STORE_OPENING says it beforehand, so that a front need not wait for
 * them; STORE_OPENED says the same again, or the index is damaged. At most UINT32_MAX messages.
 */
struct store_totals {
    uint32_t messages;
    uint32_t zero;
    uint64_t octets;
    int64_t growth; /* of all surrogates that STORE_GROWTHS tells of */
};

/*
 * What LIST says more of a message that has a surrogate, to a client without UTF8. Of those that
 * are not named the surrogate is not known, or there is none. Messages ascend.
 */
struct store_growth {
    uint32_t message; /* index */
    uint32_t zero;
    int64_t growth; /* at most STORE_GROWTH_MAX, and no octets less than the message has */
};

/*
 * The unique-id that a message was imported with, which then is the one to show; a message without
 * one has its uid and time for that. `length` octets of text follow, packed. Messages ascend.
 */
struct store_unique_id {
    uint32_t message; /* index */
    uint32_t length;  /* 1 to STORE_UNIQUE_ID_MAX */
};

/*
 * Memory of so many octets, made by stored for one connection: stored alone writes, the front reads
 * (lib/bodies.h). The front says with each read where in it the octets are to be put, or that they
 * are to come in the answer. So a place is the front's to give out: nothing is written to one but
 * between a read that names it and its answer, or the end of its session.
 */
#define STORE_MEMORY_SIZE (4 * 1024 * 1024)
#define STORE_NO_PLACE    UINT32_MAX

/*
 * Asks for up to `room` octets of the body from `offset` on. The first read of a message checks
 * its checksum whole before anything is answered.
 */
struct store_read {
    uint32_t message;
    uint32_t room; /* at most STORE_READ_MAX */
    uint64_t offset;
    uint32_t place; /* in the connection's memory, where there is `room`; or STORE_NO_PLACE */
    uint32_t ahead; /* 1: nobody has asked for the message yet, so its damage is not told */
};

#define STORE_READ_MAX (128 * 1024)

struct store_data {
    uint64_t length;     /* of the whole body, in stored form */
    uint64_t top_length; /* as in struct store_deliver_commit */
    uint8_t form;        /* enum store_form */
    uint8_t zero[7];
};

/* What a client without UTF8 gets. */
enum store_form {
    STORE_FORM_UNKNOWN, /* nobody has looked, or with another SURROGATE_VERSION */
    STORE_FORM_ORIGINAL,
    STORE_FORM_SURROGATE
};

struct store_placed {
    struct store_data data;
    uint64_t octets; /* of the body, at the place that the read has named */
};

/*
 * Most message indexes in one STORE_EXPUNGE; a session with more sends several. So many keep stored
 * from other work for some milliseconds.
 */
#define STORE_EXPUNGE_MAX 2048

#endif
