#include <event2/event.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "authd/cache.h"
#include "authd/check.h"
#include "authd/hashpool.h"
#include "authd/keymaker.h"
#include "authd/report.h"
#include "authd/scheme.h"
#include "authd/upgrade.h"
#include "db/apppassword.h"
#include "db/login.h"
#include "db/plan.h"
#include "db/secret.h"
#include "db/transaction.h"
#include "db/trusted.h"
#include "lib/address.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/networks.h"
#include "lib/saslprep.h"
#include "lib/scramkeys.h"
#include "lib/xalloc.h"

#define ACCOUNTS_PATH "accounts.db"

/*
 * Only as many passwords wait as can be hashed within this many seconds: Postfix gives up after 10,
 * and an answer that nobody waits for has cost somebody else's.
 */
#define QUEUE_SECONDS 8
#define QUEUE_LEAST   16
#define QUEUE_MOST    4096

/* Seconds between two attempts to open a database that could not be opened. */
#define REOPEN_SECONDS 1

/* Which checks may share a hash: of the same credentials, and from the same address. */
struct pending_key {
    uint8_t digest[CACHE_DIGEST_SIZE];
    uint8_t guess[THROTTLE_KEY_SIZE];
};

/* A hash that is being computed, or is held back until others are done; and who waits for it. */
struct pending {
    struct hash_job job; /* first, so that the job's address is this one's */
    struct pending_key key;
    struct throttle_try try;
    struct checker *checker;
    struct check *checks;
    bool upgraded; /* its password is being hashed anew, if need be */
    bool held;
    uint32_t since;       /* it is held */
    struct pending *prev; /* of those held */
    struct pending *next;
    UT_hash_handle hh;
};

struct checker {
    struct db *db; /* NULL: broken, opened again at the next check after `reopen` */
    uint32_t reopen;
    bool together; /* between checker_begin() and checker_end(), with the database open */
    struct cache *cache;
    struct throttle *throttle;
    struct hashpool *pool;
    struct keymaker *keymaker;
    struct upgrader *upgrader;
    struct report *report;
    struct pending *pendings; /* by key */
    struct pending *held;
    unsigned threads;
    uint64_t nobody_operations; /* the cost of nobody_hash */
    uint64_t nobody_memory;
    char nobody_hash[DB_HASH_SIZE];
    uint8_t key[crypto_generichash_KEYBYTES];
    uint8_t salt_secret[DB_SECRET_SIZE]; /* these two are of the database that was open last */
    uint8_t app_key[APPPASSWORD_KEY_SIZE];
};

/* Makes the hash for nobody at the configured cost; returns the seconds that it took, or -1. */
static double make_nobody_hash(struct checker *checker, const struct conf *conf)
{
    char hash[crypto_pwhash_STRBYTES];
    char password[32];
    uint64_t begin = clock_microseconds();

    _Static_assert(sizeof(hash) <= DB_HASH_SIZE, "one of libsodium's can be a stored hash");
    randombytes_buf(password, sizeof(password));
    int result = crypto_pwhash_str(hash, password, sizeof(password), conf->hash_operations,
                                   (size_t)conf->hash_memory);
    sodium_memzero(password, sizeof(password));
    if (result != 0)
        return -1;
    memcpy(checker->nobody_hash, hash, sizeof(hash));
    checker->nobody_operations = conf->hash_operations;
    checker->nobody_memory = conf->hash_memory;
    return (double)(clock_microseconds() - begin) / 1e6;
}

static unsigned queue_limit(unsigned threads, double seconds)
{
    double limit = QUEUE_SECONDS * (double)threads / (seconds > 1e-6 ? seconds : 1e-6);

    return limit < QUEUE_LEAST ? QUEUE_LEAST : limit > QUEUE_MOST ? QUEUE_MOST : (unsigned)limit;
}

/* Opens the database, and reads what it keeps for checks. Returns 0, or -1 with a sentence. */
static int open_accounts(struct checker *checker, char *error_r, size_t error_size)
{
    checker->db = db_open(ACCOUNTS_PATH, DB_READ, error_r, error_size);
    if (checker->db == NULL)
        return -1;
    if (db_secret_find(checker->db, DB_SECRET_APP_PASSWORD, checker->app_key) == DB_OK &&
        db_secret_find(checker->db, DB_SECRET_SCRAM_SALT, checker->salt_secret) == DB_OK)
        return 0;
    snprintf(error_r, error_size, "%s does not tell the instance's secrets", ACCOUNTS_PATH);
    db_close(checker->db);
    checker->db = NULL;
    return -1;
}

static void on_upgraded(void *context, const struct upgrade *upgrade);

struct checker *checker_new(struct event_base *base, const struct conf *conf, struct report *report)
{
    struct checker *checker = xcalloc(1, sizeof(*checker));
    char error[256];

    if (open_accounts(checker, error, sizeof(error)) < 0)
        log_fatal("%s", error);
    crypto_generichash_keygen(checker->key);
    checker->threads = child_per_core(conf->hash_threads);
    checker->throttle = throttle_new();
    checker->cache = cache_new(conf->auth_cache_entries, (uint32_t)conf->auth_cache_time);
    double seconds = make_nobody_hash(checker, conf);
    if (seconds < 0)
        log_fatal("there is not enough memory for one password hash; lower hash_memory");
    scheme_init();
    checker->pool = hashpool_new(base, checker->threads, queue_limit(checker->threads, seconds),
                                 checker->threads * conf->hash_memory);
    checker->keymaker = keymaker_new(checker->pool, report);
    checker->report = report;
    checker->upgrader = upgrader_new(checker->pool, report, on_upgraded, checker);
    return checker;
}

static void pending_free(struct pending *pending)
{
    if (pending->held)
        DL_DELETE(pending->checker->held, pending);
    HASH_DEL(pending->checker->pendings, pending);
    sodium_memzero(pending, sizeof(*pending));
    free(pending);
}

void checker_free(struct checker *checker)
{
    struct pending *pending;
    struct pending *next;

    hashpool_free(checker->pool);
    keymaker_free(checker->keymaker);
    upgrader_free(checker->upgrader);
    HASH_ITER (hh, checker->pendings, pending, next) {
        pending_free(pending);
    }
    cache_free(checker->cache);
    throttle_free(checker->throttle);
    db_close(checker->db);
    sodium_memzero(checker, sizeof(*checker));
    free(checker);
}

void checker_configure(struct checker *checker, const struct conf *conf)
{
    cache_set_time(checker->cache, (uint32_t)conf->auth_cache_time);
    if (conf->hash_operations == checker->nobody_operations &&
        conf->hash_memory == checker->nobody_memory)
        return;
    double seconds = make_nobody_hash(checker, conf);
    if (seconds < 0)
        log_error("there is not enough memory for one password hash; lower hash_memory");
    else
        hashpool_configure(checker->pool, queue_limit(checker->threads, seconds),
                           checker->threads * conf->hash_memory);
}

unsigned checker_pending(const struct checker *checker)
{
    return HASH_COUNT(checker->pendings);
}

void checker_each_block(const struct checker *checker,
                        void (*tell)(void *context, const struct throttle_block *block),
                        void *context)
{
    throttle_each(checker->throttle, clock_seconds(), tell, context);
}

unsigned checker_lift_mailbox(struct checker *checker, uint64_t mailbox)
{
    return throttle_lift_mailbox(checker->throttle, mailbox, clock_seconds());
}

unsigned checker_lift_networks(struct checker *checker, const struct networks *networks)
{
    return throttle_lift_networks(checker->throttle, networks, clock_seconds());
}

/* Opens the database where it is not open. Returns 0, or -1 (logged, or too soon to try again). */
static int reopen(struct checker *checker)
{
    char error[256];

    if (checker->db != NULL)
        return 0;
    if (clock_seconds() < checker->reopen)
        return -1;
    if (open_accounts(checker, error, sizeof(error)) == 0)
        return 0;
    log_error("%s", error);
    checker->reopen = clock_seconds() + REOPEN_SECONDS;
    return -1;
}

/* The next one who asks opens it anew. */
static void give_up(struct checker *checker)
{
    db_close(checker->db);
    checker->db = NULL;
    checker->together = false;
}

int checker_plans(struct checker *checker, struct db_plan_range *range_r)
{
    if (reopen(checker) < 0)
        return -1;
    enum db_result result = db_plan_range(checker->db, range_r);
    if (result == DB_BROKEN)
        give_up(checker);
    return result == DB_OK ? 0 : -1;
}

void checker_begin(struct checker *checker)
{
    checker->together = reopen(checker) == 0;
    if (checker->together)
        db_read_begin(checker->db);
}

void checker_end(struct checker *checker)
{
    if (checker->together)
        db_read_end(checker->db);
    checker->together = false;
}

/*
 * Asks the database about a name; login_r is all zero where nothing was found. DB_OK or DB_NONE,
 * the latter for what is no address too; anything else is a failure.
 */
static enum db_result find_login(struct checker *checker, struct check *check,
                                 struct db_login *login_r)
{
    struct address address;
    const char *error;

    memset(login_r, 0, sizeof(*login_r));
    check->is_address =
        address_parse(&address, check->address, strlen(check->address), &error) == 0;
    if (!check->is_address)
        return DB_NONE;
    memcpy(check->address, address.text, sizeof(address.text));
    if (reopen(checker) < 0)
        return DB_BROKEN;
    enum db_result result = db_login_find(checker->db, &address, login_r);
    if (result == DB_BROKEN)
        give_up(checker);
    check->mailbox = login_r->mailbox;
    check->customer = login_r->customer;
    check->retention_days = login_r->retention_days;
    check->poll_seconds = login_r->poll_seconds;
    check->language = login_r->language;
    check->suspended = login_r->suspended;
    check->has_password = login_r->hash[0] != '\0';
    check->keyless = check->has_password && login_r->scram[0] == '\0';
    return result;
}

static void add_part(crypto_generichash_state *state, const char *part, size_t length)
{
    uint32_t prefix = (uint32_t)length;

    crypto_generichash_update(state, (const uint8_t *)&prefix, sizeof(prefix));
    crypto_generichash_update(state, (const uint8_t *)part, length);
}

/*
 * A password in the form that SASLprep gives it, and as it was sent. Ours are hashed in the first
 * form, other servers' in whatever was typed. Wiped by its owner.
 */
struct secret {
    char prepared[MECHANISM_PASSWORD_MAX + 1];
    size_t prepared_length; /* 0: it has no such form */
    const char *raw;
    size_t raw_length; /* 0: it need not be tried */
};

static void prepare(struct secret *secret_r, const char *hash, const char *password, size_t length)
{
    struct storedhash stored;
    const char *error;

    long prepared = saslprep(secret_r->prepared, MECHANISM_PASSWORD_MAX + 1, password, length);
    secret_r->prepared_length = prepared > 0 ? (size_t)prepared : 0;
    secret_r->raw = password;
    secret_r->raw_length = 0;
    if (secret_r->prepared_length == length && memcmp(secret_r->prepared, password, length) == 0)
        return;
    /* What has no form is tried nevertheless: a quick "no" would tell that the hash is ours. */
    if (prepared <= 0 ||
        (storedhash_parse(&stored, hash, &error) == 0 && stored.kind != STOREDHASH_OWN))
        secret_r->raw_length = length;
    sodium_memzero(&stored, sizeof(stored));
}

static void make_digest(const struct checker *checker, const char *address, const char *hash,
                        const struct secret *secret, uint8_t digest_r[CACHE_DIGEST_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, checker->key, sizeof(checker->key), CACHE_DIGEST_SIZE);
    add_part(&state, address, strlen(address));
    add_part(&state, hash, strlen(hash));
    add_part(&state, secret->prepared, secret->prepared_length);
    add_part(&state, secret->raw, secret->raw_length);
    crypto_generichash_final(&state, digest_r, CACHE_DIGEST_SIZE);
    sodium_memzero(&state, sizeof(state));
}

static void finish(struct check *check, enum check_result result, const char *reason)
{
    if (result == CHECK_WRONG || result == CHECK_DISABLED)
        metric_add(METRIC_AUTH_REFUSED, 1);
    if (result == CHECK_BUSY)
        metric_add(METRIC_AUTH_BUSY, 1);
    if (result == CHECK_DELAYED)
        metric_add(METRIC_AUTH_DELAYED, 1);
    check->reason = reason;
    check->done(check, result);
}

/* `reason`: what is wrong where there is such a mailbox */
static void finish_wrong(struct check *check, const char *reason)
{
    if (!check->is_address)
        reason = "the name is not an address";
    else if (check->mailbox == 0)
        reason = "there is no such mailbox";
    finish(check, CHECK_WRONG, reason);
}

static void finish_verified(struct check *check, bool fits)
{
    if (!check->has_password)
        finish_wrong(check, "no password has been set");
    else if (!fits)
        finish_wrong(check, check->proves && check->keyless
                                ? "there are no keys of its password yet"
                                : "wrong password");
    else if (check->suspended)
        finish(check, CHECK_DISABLED, "suspended");
    else
        finish(check, CHECK_GOOD, "");
}

/* After a good password: makes the keys for SCRAM of it, where there are none. */
static void make_keys(struct checker *checker, const struct check *check, const char *hash,
                      const char *password, size_t length)
{
    struct keymaker_order order = {.customer = check->customer,
                                   .mailbox = check->mailbox,
                                   .hash = hash,
                                   .password = password,
                                   .password_length = length};

    if (!check->keyless || length == 0)
        return;
    scramkeys_salt(order.salt, checker->salt_secret, check->address);
    keymaker_make(checker->keymaker, &order);
}

/*
 * A check may have waited for seconds, so what was read before may be out of date. Reads it again:
 * nobody is let in with what was changed meanwhile. Returns whether the password is the mailbox's
 * now too.
 */
static bool finish_late(struct checker *checker, struct check *check, const struct hash_job *job)
{
    struct db_login login;
    bool fits = false;

    enum db_result found = find_login(checker, check, &login);
    if (found == DB_OK || found == DB_NONE) {
        fits = job->result == HASH_FITS && strcmp(login.hash, job->hash) == 0;
        if (fits)
            make_keys(checker, check, job->hash, job->password, job->password_length);
        finish_verified(check, fits);
    } else {
        finish(check, CHECK_BROKEN, "the account database cannot be read");
    }
    sodium_memzero(&login, sizeof(login));
    return fits;
}

/* The next login with this password finds the new hash, and need not compute it. */
static void on_upgraded(void *context, const struct upgrade *upgrade)
{
    struct checker *checker = context;
    struct secret secret = {.prepared_length = upgrade->password_length, .raw = ""};
    uint8_t digest[CACHE_DIGEST_SIZE];

    memcpy(secret.prepared, upgrade->password, upgrade->password_length);
    make_digest(checker, upgrade->address, upgrade->hash, &secret, digest);
    cache_add(checker->cache, digest, clock_seconds());
    sodium_memzero(&secret, sizeof(secret));
    sodium_memzero(digest, sizeof(digest));
}

static void finish_hashed(struct pending *pending, struct check *check)
{
    struct checker *checker = pending->checker;
    char address[sizeof(check->address)];

    if (pending->job.result == HASH_BROKEN) {
        finish(check, CHECK_BROKEN, "the password cannot be checked");
        return;
    }
    /* The check may be gone afterwards. */
    memcpy(address, check->address, sizeof(address));
    struct upgrade upgrade = {
        .address = address, .customer = check->customer, .mailbox = check->mailbox};
    if (finish_late(checker, check, &pending->job) && !pending->upgraded) {
        pending->upgraded = true;
        upgrade_start(checker->upgrader, &pending->job, &upgrade);
    }
}

static const char busy[] = "too many passwords wait to be checked";

static void finish_delayed(struct check *check, const struct throttle_wait *wait)
{
    check->seconds = wait->seconds;
    finish(check, CHECK_DELAYED, throttle_reason(wait->scope));
}

static struct check *take_check(struct pending *pending)
{
    struct check *check = pending->checks;

    if (check != NULL) {
        DL_DELETE(pending->checks, check);
        check->pending = NULL;
    }
    return check;
}

/* Has the password hashed. Returns 0, or -1 when the queue is full. */
static int submit(struct pending *pending)
{
    struct checker *checker = pending->checker;

    throttle_begin(checker->throttle, &pending->try, clock_seconds());
    if (hashpool_submit(checker->pool, &pending->job) == 0)
        return 0;
    throttle_note(checker->throttle, &pending->try, THROTTLE_UNDECIDED, clock_seconds());
    return -1;
}

/* Answers everybody who waits for one that is held back, and forgets it. */
static void dismiss(struct pending *pending, enum throttle_verdict verdict,
                    const struct throttle_wait *wait, bool good)
{
    struct checker *checker = pending->checker;
    struct check *check;

    pending->job.result = good ? HASH_FITS : HASH_WRONG;
    if (good)
        throttle_note(checker->throttle, &pending->try, THROTTLE_GOOD, clock_seconds());
    while ((check = take_check(pending)) != NULL) {
        if (verdict == THROTTLE_WAIT)
            finish_delayed(check, wait);
        else if (verdict == THROTTLE_PASS && !good)
            finish(check, CHECK_BUSY, busy);
        else
            finish_late(checker, check, &pending->job);
    }
    pending_free(pending);
}

/* The end of another check may let one pass that is held back. */
static void release(struct pending *pending)
{
    struct checker *checker = pending->checker;
    uint32_t now = clock_seconds();
    struct throttle_wait wait;

    enum throttle_verdict verdict = throttle_judge(checker->throttle, &pending->try, now, &wait);
    if (verdict == THROTTLE_HOLD)
        return;
    bool good = verdict == THROTTLE_PASS && cache_find(checker->cache, pending->key.digest, now);
    if (verdict != THROTTLE_PASS || good || now - pending->since >= QUEUE_SECONDS ||
        submit(pending) < 0) {
        dismiss(pending, verdict, &wait, good);
        return;
    }
    DL_DELETE(checker->held, pending);
    pending->held = false;
}

static void release_beside(struct checker *checker, const struct throttle_try *done)
{
    struct pending *pending;
    struct pending *next;

    DL_FOREACH_SAFE(checker->held, pending, next)
    {
        if (throttle_is_beside(&pending->try, done))
            release(pending);
    }
}

static void on_hashed(struct hash_job *job)
{
    static const enum throttle_outcome outcomes[] = {[HASH_FITS] = THROTTLE_GOOD,
                                                     [HASH_WRONG] = THROTTLE_WRONG,
                                                     [HASH_BROKEN] = THROTTLE_UNDECIDED};
    struct pending *pending = (struct pending *)job;
    struct checker *checker = pending->checker;
    struct throttle_try try = pending->try;
    struct check *check;

    unsigned delays =
        throttle_note(checker->throttle, &try, outcomes[job->result], clock_seconds());
    if (job->result == HASH_FITS)
        cache_add(checker->cache, pending->key.digest, clock_seconds());
    if (pending->checks != NULL)
        pending->checks->delays = delays;
    while ((check = take_check(pending)) != NULL) {
        finish_hashed(pending, check);
    }
    pending_free(pending);
    release_beside(checker, &try);
}

static struct pending *pending_new(struct checker *checker, const struct pending_key *key,
                                   const struct throttle_try *try)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));

    pending->checker = checker;
    pending->key = *key;
    pending->try = *try;
    pending->job.done = on_hashed;
    HASH_ADD(hh, checker->pendings, key, sizeof(*key), pending);
    return pending;
}

static void fill_in(struct hash_job *job, const struct checker *checker, const char *hash,
                    const struct secret *secret)
{
    memcpy(job->hash, hash, strlen(hash) + 1);
    memcpy(job->password, secret->prepared, secret->prepared_length);
    job->password_length = secret->prepared_length;
    memcpy(job->raw, secret->raw, secret->raw_length);
    job->raw_length = secret->raw_length;
    job->operations = checker->nobody_operations;
    job->memory = checker->nobody_memory;
}

/*
 * Has the password hashed, at once or when others are done; checks of the same credentials (a
 * client that opens several connections at once) share one hash. Returns 0, or -1 when too many
 * wait.
 */
static int enqueue(struct checker *checker, struct check *check, const char *hash,
                   const struct pending_key *key, const struct secret *secret, bool hold)
{
    struct pending *pending;

    HASH_FIND(hh, checker->pendings, key, sizeof(*key), pending);
    if (pending == NULL) {
        if (hold && HASH_COUNT(checker->pendings) >= QUEUE_MOST)
            return -1;
        pending = pending_new(checker, key, &check->try);
        fill_in(&pending->job, checker, hash, secret);
        if (hold) {
            pending->held = true;
            pending->since = clock_seconds();
            DL_APPEND(checker->held, pending);
        } else if (submit(pending) < 0) {
            pending_free(pending);
            return -1;
        }
    }
    check->pending = pending;
    DL_APPEND(pending->checks, check);
    return 0;
}

/* From memory, or by a hash thread. */
static void compare(struct checker *checker, struct check *check, const char *hash,
                    const struct pending_key *key, const struct secret *secret, bool hold)
{
    if (!hold && cache_find(checker->cache, key->digest, clock_seconds())) {
        metric_add(METRIC_AUTH_CACHE_HITS, 1);
        throttle_note(checker->throttle, &check->try, THROTTLE_GOOD, clock_seconds());
        make_keys(checker, check, hash, secret->prepared, secret->prepared_length);
        finish_verified(check, true);
    } else if (enqueue(checker, check, hash, key, secret, hold) < 0) {
        finish(check, CHECK_BUSY, busy);
    }
}

/* Whether the mailbox's customer trusts the network that the client is in. */
static bool is_trusted(struct checker *checker, const struct check *check)
{
    struct in6_addr address;

    if (check->customer == 0 || networks_parse_address(&address, check->remote) < 0)
        return false;
    enum db_result result = db_trusted_holds(checker->db, check->customer, &address);
    if (result == DB_BROKEN)
        give_up(checker);
    return result == DB_OK;
}

/* `digest` and `secret` are NULL where the password is not told. */
static enum throttle_verdict judge(struct checker *checker, struct check *check,
                                   const uint8_t *digest, const struct secret *secret,
                                   struct throttle_wait *wait_r)
{
    struct throttle_login login = {.name = check->address,
                                   .mailbox = check->mailbox,
                                   .customer = check->customer,
                                   .remote = check->remote};

    if (secret != NULL) {
        const bool prepared = secret->prepared_length > 0;
        login.digest = digest;
        login.digest_length = CACHE_DIGEST_SIZE;
        login.password = prepared ? secret->prepared : secret->raw;
        login.password_length = prepared ? secret->prepared_length : secret->raw_length;
    }
    throttle_prepare(checker->throttle, &login, clock_seconds(), &check->try);
    if (check->try.stranger && is_trusted(checker, check))
        throttle_trust(&check->try);
    return throttle_judge(checker->throttle, &check->try, clock_seconds(), wait_r);
}

/* Has the password compared with a hash, unless somebody is guessing. */
static void verify(struct checker *checker, struct check *check, const char *hash,
                   const struct secret *secret)
{
    struct pending_key key;
    struct throttle_wait wait;

    make_digest(checker, check->address, hash, secret, key.digest);
    enum throttle_verdict verdict = judge(checker, check, key.digest, secret, &wait);
    memcpy(key.guess, check->try.guess, sizeof(key.guess));
    switch (verdict) {
    case THROTTLE_PASS: compare(checker, check, hash, &key, secret, false); break;
    case THROTTLE_HOLD: compare(checker, check, hash, &key, secret, true); break;
    case THROTTLE_WAIT: finish_delayed(check, &wait); break;
    case THROTTLE_KNOWN_WRONG:
        metric_add(METRIC_AUTH_KNOWN_WRONG, 1);
        throttle_note(checker->throttle, &check->try, THROTTLE_WRONG, clock_seconds());
        finish_verified(check, false);
    }
    sodium_memzero(&key, sizeof(key));
}

/* The stored time of the last use is at most so old, in seconds. */
#define USED_PRECISION 300

/* Why an app password that there is does not open this, or NULL. */
static const char *find_fault(const struct check *check, const struct db_app_password *password)
{
    bool pop3 = strcmp(check->service, "pop3") == 0;
    bool smtp = strcmp(check->service, "smtp") == 0;

    if (password->expires != 0 && password->expires <= (uint64_t)time(NULL))
        return "the app password has expired";
    if (pop3 ? password->pop3 : smtp && password->smtp)
        return NULL;
    return pop3   ? "the app password is not for pop3"
           : smtp ? "the app password is not for smtp"
                  : "app passwords are not for this";
}

static void finish_used(struct checker *checker, struct check *check,
                        const struct db_app_password *password)
{
    if (password->used + USED_PRECISION <= (uint64_t)time(NULL))
        report_used(checker->report, check->customer, password->id, check->remote);
    finish(check, CHECK_GOOD, "");
}

static void finish_app_password(struct checker *checker, struct check *check,
                                const struct db_app_password *password)
{
    memcpy(check->credential, password->name, sizeof(check->credential));
    const char *fault = find_fault(check, password);
    if (fault != NULL)
        finish(check, CHECK_WRONG, fault);
    else if (check->suspended)
        finish(check, CHECK_DISABLED, "suspended");
    else
        finish_used(checker, check, password);
}

/* Names that are unknown have no app passwords either, and are looked up like the others. */
static void check_app_password(struct checker *checker, struct check *check,
                               const uint8_t octets[APPPASSWORD_OCTETS])
{
    uint8_t digest[APPPASSWORD_DIGEST_SIZE];
    struct db_app_password password;

    apppassword_digest(digest, checker->app_key, check->mailbox, octets);
    enum db_result found = DB_BROKEN;
    if (reopen(checker) == 0)
        found = db_app_password_find(checker->db, check->mailbox, digest, &password);
    sodium_memzero(digest, sizeof(digest));
    if (found == DB_BROKEN)
        give_up(checker);
    if (found == DB_OK)
        finish_app_password(checker, check, &password);
    else if (found == DB_NONE)
        finish_wrong(check, "there is no such app password");
    else
        finish(check, CHECK_BROKEN, "the account database cannot be read");
}

void check_start(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *password, size_t password_length)
{
    uint8_t octets[APPPASSWORD_OCTETS];
    struct secret secret;
    struct db_login login;

    metric_add(METRIC_AUTH_CHECKS, 1);
    memcpy(check->address, name, name_length);
    check->address[name_length] = '\0';
    check->credential[0] = '\0';
    enum db_result found = find_login(checker, check, &login);
    if (found != DB_OK && found != DB_NONE) {
        finish(check, CHECK_BROKEN, "the account database cannot be read");
    } else if (apppassword_parse(octets, password, password_length) == 0) {
        check_app_password(checker, check, octets);
    } else {
        const char *hash = check->has_password ? login.hash : checker->nobody_hash;
        prepare(&secret, hash, password, password_length);
        verify(checker, check, hash, &secret);
    }
    sodium_memzero(&login, sizeof(login));
    sodium_memzero(octets, sizeof(octets));
    sodium_memzero(&secret, sizeof(secret));
}

/* The keys that are stored for a login; false: there are none that can be used. */
static bool read_keys(const struct db_login *login, struct scramkeys *keys_r)
{
    if (login->scram[0] == '\0')
        return false;
    if (scramkeys_parse(keys_r, login->scram) == 0)
        return true;
    log_error("the stored SCRAM keys of mailbox %" PRIu64 " are damaged; set its password anew",
              login->mailbox);
    return false;
}

int check_keys(struct checker *checker, struct check *check, const char *name, size_t name_length,
               struct scramkeys *keys_r)
{
    struct throttle_wait wait;
    struct db_login login;

    metric_add(METRIC_AUTH_CHECKS, 1);
    check->proves = true;
    memcpy(check->address, name, name_length);
    check->address[name_length] = '\0';
    enum db_result found = find_login(checker, check, &login);
    if (!read_keys(&login, keys_r)) {
        scramkeys_salt(keys_r->salt, checker->salt_secret, check->address);
        scramkeys_make_nobody(keys_r);
    }
    sodium_memzero(&login, sizeof(login));
    if (found != DB_OK && found != DB_NONE)
        finish(check, CHECK_BROKEN, "the account database cannot be read");
    else if (judge(checker, check, NULL, NULL, &wait) == THROTTLE_WAIT)
        finish_delayed(check, &wait);
    else
        return 0;
    return -1;
}

/*
 * It costs no hash, so nothing is held back: of proofs that are begun at once, each is judged by
 * what has become of those before it.
 */
void check_proved(struct checker *checker, struct check *check, bool fits,
                  const uint8_t *stored_key)
{
    struct throttle_wait wait;
    struct db_login login;
    struct scramkeys keys;

    if (throttle_judge(checker->throttle, &check->try, clock_seconds(), &wait) == THROTTLE_WAIT) {
        finish_delayed(check, &wait);
        return;
    }
    if (!fits) {
        check->delays =
            throttle_note(checker->throttle, &check->try, THROTTLE_WRONG, clock_seconds());
        finish_verified(check, false);
        return;
    }
    enum db_result found = find_login(checker, check, &login);
    fits = found == DB_OK && read_keys(&login, &keys) &&
           sodium_memcmp(keys.stored_key, stored_key, sizeof(keys.stored_key)) == 0;
    if (fits)
        throttle_note(checker->throttle, &check->try, THROTTLE_GOOD, clock_seconds());
    if (found == DB_OK || found == DB_NONE)
        finish_verified(check, fits);
    else
        finish(check, CHECK_BROKEN, "the account database cannot be read");
    sodium_memzero(&login, sizeof(login));
    sodium_memzero(&keys, sizeof(keys));
}

void check_cancel(struct checker *checker, struct check *check)
{
    struct pending *pending = check->pending;

    if (pending == NULL)
        return;
    check->pending = NULL;
    DL_DELETE(pending->checks, check);
    if (pending->checks != NULL)
        return;
    /* Nobody waits for it: it need not be hashed, unless a thread is at it already. */
    if (pending->held) {
        pending_free(pending);
    } else if (hashpool_withdraw(checker->pool, &pending->job) == 0) {
        struct throttle_try try = pending->try;
        throttle_note(checker->throttle, &try, THROTTLE_UNDECIDED, clock_seconds());
        pending_free(pending);
        release_beside(checker, &try);
    }
}
