#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "authd/accounts.h"
#include "authd/bearer.h"
#include "authd/cache.h"
#include "authd/check.h"
#include "authd/hashpool.h"
#include "authd/keymaker.h"
#include "authd/memory.h"
#include "authd/pending.h"
#include "authd/report.h"
#include "authd/scheme.h"
#include "authd/typed.h"
#include "authd/upgrade.h"
#include "db/apppassword.h"
#include "lib/address.h"
#include "lib/adminlogin.h"
#include "lib/authmsg.h"
#include "lib/child.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/networks.h"
#include "lib/scramkeys.h"
#include "lib/xalloc.h"

/* So many passwords may wait even where they cannot be hashed within PENDING_SECONDS. */
#define QUEUE_LEAST 16

struct checker {
    struct accounts *accounts;
    struct cache *cache;
    struct throttle *throttle;
    struct hashpool *pool;
    struct keymaker *keymaker;
    struct upgrader *upgrader;
    struct report *report;
    struct memory *memory;
    struct bearer bearer;
    struct pendings *pendings;
    unsigned threads;
    uint64_t nobody_operations; /* the cost of nobody_hash */
    uint64_t nobody_memory;
    char nobody_hash[DB_HASH_SIZE];
    uint8_t key[TYPED_KEY_SIZE];
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
    double limit = PENDING_SECONDS * (double)threads / (seconds > 1e-6 ? seconds : 1e-6);

    return limit < QUEUE_LEAST    ? QUEUE_LEAST
           : limit > PENDING_MOST ? PENDING_MOST
                                  : (unsigned)limit;
}

static void on_upgraded(void *context, const struct upgrade *upgrade);
static const struct pendings_events pendings_events;

struct checker *checker_new(struct event_base *base, const struct conf *conf, struct report *report,
                            struct memory *memory)
{
    struct checker *checker = xcalloc(1, sizeof(*checker));

    checker->accounts = accounts_new();
    checker->memory = memory;
    memory_secret(memory, MEMORY_SECRET_CREDENTIALS, checker->key, sizeof(checker->key));
    checker->threads = child_per_core(conf->hash_threads);
    checker->throttle = throttle_new(memory);
    checker->cache = cache_new(memory, conf->auth_cache_entries, (uint32_t)conf->auth_cache_time);
    double seconds = make_nobody_hash(checker, conf);
    if (seconds < 0)
        log_fatal("there is not enough memory for one password hash; lower hash_memory");
    scheme_init();
    checker->pool = hashpool_new(base, checker->threads, queue_limit(checker->threads, seconds),
                                 checker->threads * conf->hash_memory);
    checker->pendings =
        pendings_new(checker->throttle, checker->cache, checker->pool, &pendings_events, checker);
    checker->keymaker = keymaker_new(checker->pool, report);
    checker->report = report;
    checker->upgrader = upgrader_new(checker->pool, report, on_upgraded, checker);
    checker->bearer = (struct bearer){.accounts = checker->accounts,
                                      .cache = checker->cache,
                                      .report = report,
                                      .key = checker->key};
    return checker;
}

struct taken_over {
    struct checker *checker;
    uint64_t credentials;
    uint64_t others;
};

static void on_remembered(void *context, enum memory_table table, const void *record)
{
    struct taken_over *taken = context;
    struct checker *checker = taken->checker;
    uint32_t now = clock_seconds();

    if (table == MEMORY_CREDENTIALS)
        taken->credentials += cache_take_over(checker->cache, record, now);
    else
        taken->others += throttle_take_over(checker->throttle, table, record, now);
}

void checker_take_over(struct checker *checker)
{
    struct taken_over taken = {.checker = checker};

    memory_take_over(checker->memory, on_remembered, &taken);
    if (taken.credentials > 0 || taken.others > 0)
        log_info("took over what the last one knew: %" PRIu64 " good credentials, %" PRIu64
                 " records of wrong ones and of networks",
                 taken.credentials, taken.others);
}

void checker_free(struct checker *checker)
{
    hashpool_free(checker->pool);
    keymaker_free(checker->keymaker);
    upgrader_free(checker->upgrader);
    pendings_free(checker->pendings);
    cache_free(checker->cache);
    throttle_free(checker->throttle);
    accounts_free(checker->accounts);
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
    return pendings_count(checker->pendings);
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

uint32_t checker_wrong_key(struct checker *checker, const char *remote, const uint8_t digest[32],
                           bool *blocked_r)
{
    const struct throttle_login login = {.remote = remote, .digest = digest, .digest_length = 32};
    uint32_t now = clock_seconds();
    struct throttle_wait wait;
    struct throttle_try try;

    *blocked_r = false;
    throttle_prepare(checker->throttle, &login, now, &try);
    if (throttle_judge(checker->throttle, &try, now, &wait) == THROTTLE_WAIT)
        return wait.seconds;
    *blocked_r = throttle_note(checker->throttle, &try, THROTTLE_WRONG, now) != 0;
    return 0;
}

int checker_plans(struct checker *checker, struct db_plan_range *range_r)
{
    return accounts_plans(checker->accounts, range_r) == DB_OK ? 0 : -1;
}

void checker_begin(struct checker *checker)
{
    accounts_begin(checker->accounts);
}

void checker_end(struct checker *checker)
{
    accounts_end(checker->accounts);
}

/* Admin users log in to the pages and to nothing else. */
static enum db_result find_admin(struct checker *checker, struct check *check,
                                 struct db_login *login_r)
{
    char login[ADMINLOGIN_MAX + 1];

    if (strcmp(check->service, CHECK_PAGES) != 0 || adminlogin_parse(login, check->address) < 0)
        return DB_NONE;
    memcpy(check->address, login, sizeof(login));
    return accounts_find_admin(checker->accounts, login, login_r);
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
    enum db_result result;

    memset(login_r, 0, sizeof(*login_r));
    check->is_address =
        address_parse(&address, check->address, strlen(check->address), &error) == 0;
    if (check->is_address) {
        memcpy(check->address, address.text, sizeof(address.text));
        result = accounts_find(checker->accounts, &address, login_r);
    } else {
        result = find_admin(checker, check, login_r);
    }
    check->mailbox = login_r->mailbox;
    check->admin_user = login_r->admin_user;
    check->customer = login_r->customer;
    check->retention_days = login_r->retention_days;
    check->poll_seconds = login_r->poll_seconds;
    check->language = login_r->language;
    check->logout = login_r->logout;
    check->suspended = login_r->suspended;
    check->sending = login_r->sending;
    check->fetching = login_r->fetching;
    check->has_password = login_r->hash[0] != '\0';
    if (strcmp(check->service, CHECK_PAGES) == 0)
        crypto_generichash(check->fitted, sizeof(check->fitted), (const uint8_t *)login_r->hash,
                           strlen(login_r->hash), NULL, 0);
    check->keyless = check->mailbox != 0 && check->has_password && login_r->scram[0] == '\0';
    return result;
}

static void finish(struct check *check, enum check_result result, const char *reason)
{
    if (result == CHECK_WRONG || result == CHECK_DISABLED || result == CHECK_FORBIDDEN)
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
    if (!check->is_address && check->admin_user == 0)
        reason = "the name is not an address";
    else if (check->mailbox == 0 && check->admin_user == 0)
        reason = "there is no such mailbox";
    finish(check, CHECK_WRONG, reason);
}

/* Whether who has shown the right password may use the service; why not is in *reason_r. */
static enum check_result admit(const struct check *check, const char **reason_r)
{
    *reason_r = "suspended";
    if (check->suspended)
        return CHECK_DISABLED;
    *reason_r = "POP3 is not allowed";
    if (!check->fetching && strcmp(check->service, "pop3") == 0)
        return CHECK_DISABLED;
    *reason_r = "sending is not allowed";
    if (!check->sending && strcmp(check->service, "smtp") == 0)
        return CHECK_FORBIDDEN;
    *reason_r = "";
    return CHECK_GOOD;
}

static void finish_verified(struct check *check, bool fits)
{
    const char *reason;
    enum check_result result = admit(check, &reason);

    if (!check->has_password)
        finish_wrong(check, "no password has been set");
    else if (!fits)
        finish_wrong(check, check->proves && check->keyless
                                ? "there are no keys of its password yet"
                                : "wrong password");
    else
        finish(check, result, reason);
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
    accounts_salt(checker->accounts, check->address, order.salt);
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
    struct typed typed = {.prepared_length = upgrade->password_length, .raw = ""};
    uint8_t digest[CACHE_DIGEST_SIZE];

    memcpy(typed.prepared, upgrade->password, upgrade->password_length);
    typed_digest(&typed, upgrade->address, upgrade->hash, checker->key, digest);
    cache_add(checker->cache, digest, clock_seconds());
    sodium_memzero(&typed, sizeof(typed));
    sodium_memzero(digest, sizeof(digest));
}

static bool on_compared(void *context, struct check *check, const struct hash_job *job, bool fresh)
{
    struct checker *checker = context;
    char address[sizeof(check->address)];

    if (job->result == HASH_BROKEN) {
        finish(check, CHECK_BROKEN, "the password cannot be checked");
        return false;
    }
    /* The check may be gone afterwards. */
    memcpy(address, check->address, sizeof(address));
    struct upgrade upgrade = {
        .address = address, .customer = check->customer, .mailbox = check->mailbox};
    bool fits = finish_late(checker, check, job);
    if (fits && fresh && upgrade.mailbox != 0)
        upgrade_start(checker->upgrader, job, &upgrade);
    return fits;
}

static void finish_delayed(struct check *check, const struct throttle_wait *wait)
{
    check->seconds = wait->seconds;
    finish(check, CHECK_DELAYED, throttle_reason(wait->scope));
}

static void finish_busy(struct check *check)
{
    finish(check, CHECK_BUSY, "too many passwords wait to be checked");
}

static const struct pendings_events pendings_events = {
    .compared = on_compared, .delayed = finish_delayed, .busy = finish_busy};

/*
 * Names that are no mailbox take the turns of their domain's customer as well: else, how long one
 * waits beside a customer that has many waiting would tell which names there are.
 */
static uint64_t turn_of(struct checker *checker, const struct check *check)
{
    return check->customer != 0 || !check->is_address
               ? check->customer
               : accounts_customer(checker->accounts, check->address);
}

/* Has the password hashed. */
static void enqueue(struct checker *checker, struct check *check, const char *hash,
                    const struct pending_key *key, const struct typed *typed, bool hold)
{
    const struct pending_order order = {.key = key,
                                        .customer = turn_of(checker, check),
                                        .hash = hash,
                                        .typed = typed,
                                        .operations = checker->nobody_operations,
                                        .memory = checker->nobody_memory};

    if (pendings_add(checker->pendings, check, &order, hold) < 0)
        finish_busy(check);
}

/* From memory, or by a hash thread. */
static void compare(struct checker *checker, struct check *check, const char *hash,
                    const struct pending_key *key, const struct typed *typed, bool hold)
{
    if (!hold && cache_find(checker->cache, key->digest, clock_seconds())) {
        metric_add(METRIC_AUTH_CACHE_HITS, 1);
        throttle_note(checker->throttle, &check->try, THROTTLE_GOOD, clock_seconds());
        make_keys(checker, check, hash, typed->prepared, typed->prepared_length);
        finish_verified(check, true);
    } else {
        enqueue(checker, check, hash, key, typed, hold);
    }
}

/* Whether the mailbox's customer trusts the network that the client is in. */
static bool is_trusted(struct checker *checker, const struct check *check)
{
    struct in6_addr address;

    return check->customer != 0 && networks_parse_address(&address, check->remote) == 0 &&
           accounts_trust(checker->accounts, check->customer, &address);
}

/* `digest` and `typed` are NULL where the password is not told. */
static enum throttle_verdict judge(struct checker *checker, struct check *check,
                                   const uint8_t *digest, const struct typed *typed,
                                   struct throttle_wait *wait_r)
{
    struct throttle_login login = {
        .name = check->address,
        .mailbox = check->admin_user != 0 ? AUTH_ADMIN_USER | check->admin_user : check->mailbox,
        .customer = check->customer,
        .remote = check->remote};

    if (typed != NULL) {
        const bool prepared = typed->prepared_length > 0;
        login.digest = digest;
        login.digest_length = CACHE_DIGEST_SIZE;
        login.password = prepared ? typed->prepared : typed->raw;
        login.password_length = prepared ? typed->prepared_length : typed->raw_length;
    }
    throttle_prepare(checker->throttle, &login, clock_seconds(), &check->try);
    if (check->try.stranger && is_trusted(checker, check))
        throttle_trust(&check->try);
    return throttle_judge(checker->throttle, &check->try, clock_seconds(), wait_r);
}

/*
 * Has the password compared with a hash, unless somebody is guessing. Where nobody's has to do, it
 * is not in the digest: the next authd has another, and that must not show which names there are.
 */
static void verify(struct checker *checker, struct check *check, const char *hash,
                   const struct typed *typed)
{
    const char *digested = check->has_password ? hash : "";
    struct pending_key key;
    struct throttle_wait wait;

    typed_digest(typed, check->address, digested, checker->key, key.digest);
    enum throttle_verdict verdict = judge(checker, check, key.digest, typed, &wait);
    memcpy(key.guess, check->try.guess, sizeof(key.guess));
    switch (verdict) {
    case THROTTLE_PASS: compare(checker, check, hash, &key, typed, false); break;
    case THROTTLE_HOLD: compare(checker, check, hash, &key, typed, true); break;
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

static void note_use(const struct checker *checker, const struct check *check,
                     const struct db_app_password *password)
{
    if (password->used + USED_PRECISION <= (uint64_t)time(NULL))
        report_used(checker->report, check->customer, password->id, check->remote);
}

static void finish_app_password(struct checker *checker, struct check *check,
                                const struct db_app_password *password)
{
    memcpy(check->credential, password->name, sizeof(check->credential));
    const char *reason = find_fault(check, password);
    enum check_result result = CHECK_WRONG;
    if (reason == NULL)
        result = admit(check, &reason);
    if (result == CHECK_GOOD)
        note_use(checker, check, password);
    finish(check, result, reason);
}

/* Names that are unknown have no app passwords either, and are looked up like the others. */
static void check_app_password(struct checker *checker, struct check *check,
                               const uint8_t octets[APPPASSWORD_OCTETS])
{
    struct db_app_password password;

    enum db_result found =
        accounts_find_app_password(checker->accounts, check->mailbox, octets, &password);
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
    struct typed typed;
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
        typed_prepare(&typed, hash, password, password_length);
        verify(checker, check, hash, &typed);
    }
    sodium_memzero(&login, sizeof(login));
    sodium_memzero(octets, sizeof(octets));
    sodium_memzero(&typed, sizeof(typed));
}

static void finish_token(struct checker *checker, struct check *check, enum bearer_result result,
                         const char *reason)
{
    if (result == BEARER_GOOD && check->mailbox == 0)
        result = BEARER_UNFIT;
    if (result == BEARER_GOOD || result == BEARER_FORGED)
        check->delays =
            throttle_note(checker->throttle, &check->try,
                          result == BEARER_GOOD ? THROTTLE_GOOD : THROTTLE_WRONG, clock_seconds());
    if (result == BEARER_GOOD) {
        enum check_result admitted = admit(check, &reason);
        finish(check, admitted, reason);
    } else if (result == BEARER_BROKEN) {
        finish(check, CHECK_BROKEN, "the account database cannot be read");
    } else if (result == BEARER_NO_KEYS) {
        finish(check, CHECK_BROKEN, reason);
    } else {
        finish_wrong(check, reason);
    }
}

/*
 * Not held back while others are checked, since it costs no hash. For a name that is no mailbox the
 * issuers are those of its domain's customer, so that answer and time do not tell who exists.
 */
static void judge_token(struct checker *checker, struct check *check, const struct typed *token)
{
    struct bearer_try try = {check->customer, check->address, token->raw, token->raw_length};
    uint8_t digest[CACHE_DIGEST_SIZE];
    struct throttle_wait wait;
    const char *reason = "it was refused before";
    enum bearer_result result = BEARER_FORGED;

    typed_digest(token, check->address, "token", checker->key, digest);
    enum throttle_verdict verdict = judge(checker, check, digest, token, &wait);
    if (verdict == THROTTLE_WAIT) {
        finish_delayed(check, &wait);
        return;
    }
    if (check->mailbox == 0 && check->is_address)
        try.customer = accounts_customer(checker->accounts, check->address);
    if (verdict == THROTTLE_KNOWN_WRONG)
        metric_add(METRIC_AUTH_KNOWN_WRONG, 1);
    else
        result = bearer_check(&checker->bearer, &try, &reason);
    finish_token(checker, check, result, reason);
}

void check_token(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *token, size_t token_length)
{
    const struct typed typed = {.raw = token, .raw_length = token_length};
    struct db_login login;

    metric_add(METRIC_AUTH_CHECKS, 1);
    memcpy(check->address, name, name_length);
    check->address[name_length] = '\0';
    memcpy(check->credential, "token", sizeof("token"));
    enum db_result found = find_login(checker, check, &login);
    sodium_memzero(&login, sizeof(login));
    if (found == DB_OK || found == DB_NONE)
        judge_token(checker, check, &typed);
    else
        finish(check, CHECK_BROKEN, "the account database cannot be read");
}

void checker_issuer(struct checker *checker, const struct check *check,
                    char issuer_r[DB_ISSUER_MAX + 1])
{
    const char *domain = strrchr(check->address, '@');

    if (!check->is_address ||
        accounts_issuer_of_domain(checker->accounts, domain + 1, issuer_r) != DB_OK)
        issuer_r[0] = '\0';
}

int checker_takes_tokens(struct checker *checker)
{
    bool any = false;

    return accounts_issuers(checker->accounts, &any) == DB_OK ? any : -1;
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
        accounts_salt(checker->accounts, check->address, keys_r->salt);
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
int check_may_know(struct checker *checker, struct check *check)
{
    struct throttle_wait wait;

    if (throttle_judge(checker->throttle, &check->try, clock_seconds(), &wait) != THROTTLE_WAIT)
        return 0;
    finish_delayed(check, &wait);
    return -1;
}

void check_proved(struct checker *checker, struct check *check, bool fits,
                  const uint8_t *stored_key)
{
    struct db_login login;
    struct scramkeys keys;

    if (check_may_know(checker, check) < 0)
        return;
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
    pendings_cancel(checker->pendings, check);
}
