#ifndef AUTHD_CHECK_H
#define AUTHD_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authd/mechanism.h"
#include "authd/throttle.h"
#include "db/apppassword.h"
#include "db/issuer.h"
#include "lib/language.h"

struct conf;
struct db_plan_range;
struct event_base;
struct memory;
struct report;
struct scramkeys;

/*
 * Whether a name and a password are those of a mailbox. The account database is asked anew for each
 * check, so a changed password, a suspended customer or a removed address counts at once. A name
 * that is unknown or has no password goes the same way as a wrong password, with a hash that
 * nothing fits, and takes the same time. Who guesses is slowed down (authd/throttle.h).
 *
 * What has the form of an app password (lib/apppassword.h) is looked up as one and as nothing else,
 * known name or not: it costs a digest, and never a hash, and is neither delayed nor delays.
 */

enum check_result {
    CHECK_GOOD,
    CHECK_WRONG,     /* no: which of the reasons is for the log alone */
    CHECK_DISABLED,  /* no: the password is right, but the mailbox is suspended */
    CHECK_FORBIDDEN, /* no: the password is right, but the plan does not have this service */
    CHECK_DELAYED,   /* not now: too many wrong passwords; it says for how many seconds */
    CHECK_BUSY,      /* not now: too many passwords wait to be hashed */
    CHECK_BROKEN     /* ours: the account database or the hash failed; logged */
};

struct pending;

/* The service that is people's use of the API and its pages, where admin users log in, too. */
#define CHECK_PAGES "pages"

/*
 * One check. The caller fills in what stands before `address` and keeps it until done() or
 * check_cancel().
 */
struct check {
    void (*done)(struct check *check, enum check_result result); /* may free the check */
    const char *service; /* that the client logs in to: pop3 or smtp, which app passwords are for,
                            or CHECK_PAGES */
    const char *remote;  /* the client's address; may be empty */
    char address[MECHANISM_NAME_MAX + 1]; /* in its one form, or as sent where it is none */
    uint64_t mailbox;                     /* 0: unknown */
    uint64_t admin_user;                  /* 0: none */
    uint64_t customer;                    /* 0: unknown, or an operator's */
    unsigned retention_days;              /* these and the next three as in struct db_login */
    unsigned poll_seconds;
    enum language language;
    uint64_t logout;
    const char *reason; /* for the log, where the result is not CHECK_GOOD */
    char credential[DB_APP_PASSWORD_NAME_MAX + 1]; /* the app password's name; empty: none was */
    uint8_t fitted[32]; /* for CHECK_PAGES, of CHECK_GOOD: BLAKE2b of the stored hash */
    uint32_t seconds;   /* of CHECK_DELAYED: until it is worth while to come again */
    unsigned delays;    /* what this wrong password has made throttle_note() delay: for the log */
    bool is_address;    /* what was sent is one */
    bool has_password;  /* this and what follows are the checker's */
    bool suspended;
    bool sending;  /* the plan and the mailbox have it */
    bool fetching; /* the mailbox has POP3 */
    bool keyless;  /* there is a password, and no keys of it for SCRAM */
    bool proves;   /* begun by check_keys() */
    struct throttle_try try;
    struct pending *pending;
    struct check *prev;
    struct check *next;
};

struct checker;

/*
 * Opens accounts.db and starts the hash threads. Exits with a sentence where that fails. What is to
 * be written goes to `report`, what is remembered into `memory`; both outlive the checker.
 */
struct checker *checker_new(struct event_base *base, const struct conf *conf, struct report *report,
                            struct memory *memory);

/* Before the first check: takes over what the one before remembered last. */
void checker_take_over(struct checker *checker);

/* Waits for the hashes being computed. Checks that wait are dropped without done(). */
void checker_free(struct checker *checker);

/* Takes over what may change at run time: cache time and the cost of the hash for nobody. */
void checker_configure(struct checker *checker, const struct conf *conf);

/* What all plans have in common now (db/plan.h). Returns 0, or -1 when that cannot be read. */
int checker_plans(struct checker *checker, struct db_plan_range *range_r);

/* How many password hashes are awaited. */
unsigned checker_pending(const struct checker *checker);

/* Tells what is delayed because of wrong passwords, in no order. */
void checker_each_block(const struct checker *checker,
                        void (*tell)(void *context, const struct throttle_block *block),
                        void *context);

/* As throttle_lift_mailbox() and throttle_lift_networks(). */
unsigned checker_lift_mailbox(struct checker *checker, uint64_t mailbox);
unsigned checker_lift_networks(struct checker *checker, const struct networks *networks);

/*
 * A key for the API, by a digest, that opens nothing: counts as a wrong password of the network
 * that `remote` is in, unless it is the same again. Returns for how many seconds nothing that comes
 * from there is looked at, as the network is delayed already; and in *blocked_r whether it is from
 * now on.
 */
uint32_t checker_wrong_key(struct checker *checker, const char *remote, const uint8_t digest[32],
                           bool *blocked_r);

/*
 * Checks that are begun between these two see the account database as it is at the first of them,
 * and its lock is taken once. Only for those that have been asked for before checker_begin().
 */
void checker_begin(struct checker *checker);
void checker_end(struct checker *checker);

/*
 * Begins a check; copies what it needs. At most MECHANISM_NAME_MAX and MECHANISM_PASSWORD_MAX
 * octets, no NUL in the name. done() is called before this returns, or later from the event loop.
 */
void check_start(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *password, size_t password_length);

/*
 * The same with a token (authd/bearer.h) in place of a password; the credential is "token". What is
 * forged counts as a wrong password does.
 */
void check_token(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *token, size_t token_length);

/* An issuer whose tokens are taken for the domain of a check's address; empty: there is none. */
void checker_issuer(struct checker *checker, const struct check *check,
                    char issuer_r[DB_ISSUER_MAX + 1]);

/* Whether any tokens are taken; -1 where that cannot be read. */
int checker_takes_tokens(struct checker *checker);

/*
 * A check of somebody who proves the password without sending it, in two calls. The first finds the
 * keys that the proof is to be made with: of a name that has none, such as nothing fits, and with
 * the same salt each time. The caller wipes them. Returns 0; or -1, and done() has been called:
 * whoever guesses is slowed down here, too.
 */
int check_keys(struct checker *checker, struct check *check, const char *name, size_t name_length,
               struct scramkeys *keys_r);

/*
 * Between the two, before the client is shown that its proof fits. Returns 0; or -1, and done() has
 * been called: proofs may have been wrong since the first call, and who is delayed learns nothing.
 */
int check_may_know(struct checker *checker, struct check *check);

/*
 * The second tells whether it fits keys with this StoredKey, and calls done(). What is stored for
 * the mailbox is read again: a password that was changed meanwhile is wrong.
 */
void check_proved(struct checker *checker, struct check *check, bool fits,
                  const uint8_t *stored_key);

/* Forgets a check whose done() has not been called. */
void check_cancel(struct checker *checker, struct check *check);

#endif
