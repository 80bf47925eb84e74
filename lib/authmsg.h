#ifndef LIB_AUTHMSG_H
#define LIB_AUTHMSG_H

#include <stdint.h>

/*
 * What authd's control socket run/auth-control.sock speaks (over lib/channel.h): with admin, which
 * writes for authd, because authd opens accounts.db to read; and with bellhop. Only the instance's
 * owner may connect. Any other type, or a payload of another size than the one given here, closes
 * the connection. Structs have no holes.
 *
 * What is to be written comes in batches, one at a time. One that has not been answered when the
 * connection ends comes again over the next one, so whoever writes must bear to write a thing
 * twice.
 */

enum auth_type {
    /* all; with the id 0: is anybody there */
    AUTH_PING = 1, /* empty                     -> AUTH_PONG */
    AUTH_PONG,     /* empty */

    /* admin */
    AUTH_TAKE,    /* empty: what is to be written comes over this connection from now on */
    AUTH_TAKEN,   /* empty: from now on it goes over somebody else's, until that one is gone */
    AUTH_EVENT,   /* struct auth_event, then its texts */
    AUTH_UPGRADE, /* struct auth_upgrade */
    AUTH_SCRAM,   /* struct auth_scram */
    AUTH_USED,    /* struct auth_used */
    AUTH_BATCH,   /* empty, ends up to AUTH_BATCH_MAX of these five, all with its id -> AUTH_WRITTEN
                   */
    AUTH_WRITTEN, /* empty: the batch with this id is in the database */

    /* bellhop */
    AUTH_FLUSH,   /* empty                      -> AUTH_FLUSHED */
    AUTH_FLUSHED, /* empty: what has happened before has been written */
    AUTH_LIST,    /* struct auth_list           -> struct auth_block each, then AUTH_LISTED */
    AUTH_BLOCK,   /* struct auth_block */
    AUTH_LISTED,  /* struct auth_listed: that was all */
    AUTH_LIFT,    /* struct auth_lift           -> AUTH_LIFTED */
    AUTH_LIFTED,  /* struct auth_lifted */

    /* admin */
    AUTH_WANTED, /* struct auth_wanted */
    AUTH_CHECK,  /* struct auth_check, then its texts -> AUTH_CHECKED */
    AUTH_KEY,    /* struct auth_key            -> AUTH_CHECKED */
    AUTH_CHECKED /* struct auth_checked */
};

/* Short enough for one transaction to be in nobody's way. */
#define AUTH_BATCH_MAX 200

/* The texts of an event, in the order in which they follow it, without any octet between them. */
enum auth_text {
    AUTH_TEXT_ADDRESS,    /* in its one form (lib/address.h) */
    AUTH_TEXT_REMOTE,     /* where the client is */
    AUTH_TEXT_PROTOCOL,   /* pop3, smtp: as the server that asks calls it */
    AUTH_TEXT_MECHANISM,  /* PLAIN */
    AUTH_TEXT_CREDENTIAL, /* password, token, or the name of the app password */
    AUTH_TEXT_REASON,     /* of a refusal */
    AUTH_TEXT__MAX
};

/* Octets of each but the address; what is longer is cut. */
#define AUTH_REMOTE_MAX     63
#define AUTH_PROTOCOL_MAX   31
#define AUTH_MECHANISM_MAX  31
#define AUTH_CREDENTIAL_MAX 100
#define AUTH_REASON_MAX     100

/*
 * Something that happened with a credential, and how often since its first time: sent again with
 * the same id, it takes the place of what was sent before. What does not change when it is sent
 * again begins with `kind`.
 */
struct auth_event {
    uint64_t
        id; /* microseconds since 1970 of the first time; no two events of authd's have the same */
    uint64_t time; /* seconds since 1970, of the last time */
    uint64_t count;
    uint64_t kind;     /* enum db_event_kind */
    uint64_t customer; /* 0: that of the address's domain, if anybody's */
    uint64_t mailbox;  /* 0: there is none */
    uint16_t lengths[AUTH_TEXT__MAX];
    uint16_t zero[2];
};

/* A hash that can stand in the account database, with its NUL; NUL padded. */
#define AUTH_HASH_SIZE 256

/* Replaces a mailbox's stored hash, where it is still the old one. */
struct auth_upgrade {
    uint64_t customer;
    uint64_t mailbox;
    char old_hash[AUTH_HASH_SIZE];
    char new_hash[AUTH_HASH_SIZE];
};

/* Sets the keys of SCRAM beside a stored hash, where it is still this one. */
struct auth_scram {
    uint64_t customer;
    uint64_t mailbox;
    char hash[AUTH_HASH_SIZE];
    char keys[AUTH_HASH_SIZE]; /* as in migrations/0003-credentials.sql */
};

/* An app password has been used. */
struct auth_used {
    uint64_t customer;
    uint64_t app_password;
    uint64_t time; /* seconds since 1970 */
    char remote[AUTH_REMOTE_MAX + 1];
};

/* A key of a token issuer's is missing: its keys are to be fetched soon. */
struct auth_wanted {
    uint64_t customer;
    uint64_t issuer; /* the id of db/issuer.h */
};

/* Asks what is delayed now because of wrong passwords. */
struct auth_list {
    uint64_t customer; /* about whose mailboxes; 0: all */
};

enum auth_scope { AUTH_SCOPE_PAIR, AUTH_SCOPE_NETWORK, AUTH_SCOPE_MAILBOX, AUTH_SCOPE_PASSWORD };

#define AUTH_BLOCK_CUSTOMERS 4

/* More are not told of: a botnet makes as many as there are addresses. */
#define AUTH_BLOCKS_MAX 10000

/* Of an admin user, in place of a mailbox: the user's id with this. */
#define AUTH_ADMIN_USER (UINT64_C(1) << 63)

struct auth_block {
    uint32_t scope; /* enum auth_scope */
    uint32_t count; /* wrong passwords that are not forgotten yet */
    uint32_t seconds;
    uint32_t bits;      /* of the source */
    uint64_t mailbox;   /* of PAIR and MAILBOX; 0: there is none of the name that was tried */
    uint8_t source[16]; /* of PAIR and NETWORK; IPv4 as ::ffff:192.0.2.1 */
    uint64_t customers[AUTH_BLOCK_CUSTOMERS]; /* whose mailboxes it is about; zeros at the end */
};

/*
 * The order in which lists show them, for qsort(): by what is delayed, then by whose it is. Those
 * of names that are no mailbox, and of passwords, may be alike.
 */
int auth_block_compare(const void *one, const void *other);

struct auth_listed {
    uint64_t left_off; /* how many were not told of */
};

/* Room for any address (lib/address.h), a multiple of 8. */
#define AUTH_ADDRESS_SIZE 320

/* Ends what delays a mailbox or an admin user, or all that comes from a network. */
struct auth_lift {
    uint64_t customer; /* of the mailbox */
    uint64_t mailbox;  /* 0: of a network */
    uint8_t network[16];
    uint32_t bits;
    uint32_t zero;
    char address[AUTH_ADDRESS_SIZE]; /* of the mailbox, or a login, for the event; NUL padded */
};

struct auth_lifted {
    uint64_t count; /* delays that have ended */
};

/* Octets of a login and of a password that are checked. */
#define AUTH_LOGIN_MAX    512
#define AUTH_PASSWORD_MAX 512

/*
 * Asks whether somebody who uses the pages, an admin user or a mailbox's owner, has this password:
 * login and password follow, without any octet between them. The login holds no NUL. What is
 * refused is an event and counts against who tries; what is good is neither: a second factor may
 * follow.
 */
struct auth_check {
    char remote[AUTH_REMOTE_MAX + 1];
    uint16_t login_length;
    uint16_t password_length;
    uint16_t zero[2];
};

/* Tells of a key for the API that opens nothing: it counts for the network that it came from. */
struct auth_key {
    char remote[AUTH_REMOTE_MAX + 1];
    uint8_t digest[32]; /* of the key: the same again does not count */
};

enum auth_answer {
    AUTH_ANSWER_GOOD,
    AUTH_ANSWER_WRONG,
    AUTH_ANSWER_DISABLED, /* the password is right, but its owner is suspended */
    AUTH_ANSWER_DELAYED,  /* too many wrong ones: it was not looked at */
    AUTH_ANSWER_BUSY,     /* too much waits */
    AUTH_ANSWER_BROKEN,   /* it cannot be checked now */
    AUTH_ANSWER__MAX
};

#define AUTH_FITTED_SIZE 32

struct auth_checked {
    uint32_t answer;     /* enum auth_answer */
    uint32_t seconds;    /* of AUTH_ANSWER_DELAYED: until it is worth while to come again */
    uint64_t customer;   /* this and what follows of AUTH_ANSWER_GOOD: whose password it is */
    uint64_t admin_user; /* as in db/person.h */
    uint64_t mailbox;
    uint8_t fitted[AUTH_FITTED_SIZE]; /* BLAKE2b of what is stored of it */
};

#endif
