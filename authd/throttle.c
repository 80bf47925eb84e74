#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "authd/slots.h"
#include "authd/throttle.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

_Static_assert(THROTTLE_KEY_SIZE == SLOTS_KEY_SIZE, "a key is what names a slot");
_Static_assert(THROTTLE_KEY_SIZE == crypto_shorthash_siphashx24_BYTES, "a key is one digest");

/* For 100,000 entries, with a quarter free. */
#define TABLE_SLOTS 131072

/* Seconds after its last try until a wrong password is forgotten: phones are off at night. */
#define GUESS_TIME (48U * 3600)

/* Seconds after the last good login until a network is no longer the owner's. */
#define HOME_TIME (30U * 24 * 3600)

/* Of an IPv6 address: what one household is given. */
#define SOURCE_BITS 64

/* Seconds without a wrong one from an address, after which known mailboxes forgive anew. */
#define FORGIVEN_TIME 3600

/* Networks that one owner has: at home, at work, and what telephones have on the way. */
#define HOMES 8

/*
 * What counts for how much; docs/DESIGN.md has the same table with the reasons. So many wrong
 * passwords are free, the next one delays for `first` seconds, each `step` further ones for twice
 * as long, up to `longest`. One is forgotten in each `forget` seconds, and no more is ever counted
 * than leads to the longest delay.
 */
static const struct rule {
    unsigned free, step, most;
    uint32_t first, longest, forget;
} rules[THROTTLE_SCOPES] = {
    [THROTTLE_PAIR] =
        {.free = 5, .first = 15, .step = 1, .longest = 900, .forget = 1800, .most = 11},
    [THROTTLE_NETWORK] =
        {.free = 9, .first = 60, .step = 1, .longest = 60, .forget = 60, .most = 9},
    [THROTTLE_MAILBOX] =
        {.free = 20, .first = 30, .step = 8, .longest = 300, .forget = 600, .most = 52},
    [THROTTLE_PASSWORD] =
        {.free = 10, .first = 30, .step = 4, .longest = 600, .forget = 600, .most = 30},
};

const char *throttle_reason(enum throttle_scope scope)
{
    static const char *const reasons[THROTTLE_SCOPES] = {
        [THROTTLE_PAIR] = "too many wrong passwords for this mailbox from this address",
        [THROTTLE_NETWORK] = "too many wrong passwords from this address",
        [THROTTLE_MAILBOX] = "too many wrong passwords for this mailbox",
        [THROTTLE_PASSWORD] = "this password is being tried on many mailboxes",
    };

    return reasons[scope];
}

struct meter {
    uint32_t when;   /* the last one was counted */
    uint16_t flying; /* being checked */
    uint8_t count;
    uint8_t scope;
};

/* What all records begin with that count. */
struct counted {
    uint8_t key[THROTTLE_KEY_SIZE];
    struct meter meter;
};

/* Of a pair, a network or a password. */
struct penalty {
    struct counted counted;
    uint64_t mailbox;
    struct in6_addr source;
    uint64_t customers[THROTTLE_CUSTOMERS]; /* the latest first */
    /* A bit for each mailbox: a password counts once for each, an address is forgiven once. */
    uint64_t marks;
};

struct home {
    uint32_t network;
    uint32_t seen; /* 0: none */
};

struct mailbox {
    struct counted counted;
    uint64_t mailbox;
    uint64_t customer;
    struct home homes[HOMES];
};

enum guess_state { GUESS_FLYING = 1, GUESS_WRONG };

struct guess {
    uint8_t key[THROTTLE_KEY_SIZE];
    uint32_t seen;
    uint32_t state;
};

struct throttle {
    struct slots *guesses;
    struct slots *penalties;
    struct slots *mailboxes;
    uint8_t secret[crypto_shorthash_siphashx24_KEYBYTES];
};

_Static_assert(TABLE_SLOTS *(sizeof(struct guess) + sizeof(struct penalty) +
                             sizeof(struct mailbox)) <= THROTTLE_MEMORY,
               "what the header promises");

static const uint8_t nothing[THROTTLE_KEY_SIZE];

/* --- counting */

static unsigned count_now(const struct meter *meter, uint32_t now)
{
    uint32_t forgotten = (now - meter->when) / rules[meter->scope].forget;

    return meter->count > forgotten ? meter->count - forgotten : 0;
}

static uint32_t delay_of(const struct rule *rule, unsigned count)
{
    if (count < rule->free)
        return 0;
    uint32_t delay = rule->first << (count - rule->free) / rule->step;
    return delay < rule->longest ? delay : rule->longest;
}

/* Seconds until the next may be tried. */
static uint32_t meter_wait(const struct meter *meter, uint32_t now)
{
    uint32_t delay = delay_of(&rules[meter->scope], meter->count);
    uint32_t passed = now - meter->when;

    return delay > passed ? delay - passed : 0;
}

/* Whether as many are being checked as may be wrong without a delay, or one after a delay. */
static bool meter_is_full(const struct meter *meter, uint32_t now)
{
    unsigned most = rules[meter->scope].free;
    unsigned count = count_now(meter, now);

    return meter->flying >= (count < most ? most - count : 1);
}

/* Returns whether it delays now and did not before. */
static bool meter_add(struct meter *meter, uint32_t now)
{
    const struct rule *rule = &rules[meter->scope];
    unsigned before = count_now(meter, now);

    meter->count = (uint8_t)(before < rule->most ? before + 1 : before);
    meter->when = now;
    return delay_of(rule, before) == 0 && delay_of(rule, meter->count) > 0;
}

/* --- what is displaced last: what is being checked, then what counts most, then the latest */

#define WEIGHT_FLYING (UINT64_C(2) << 60)
#define WEIGHT_HOME   (UINT64_C(1) << 60)

static uint64_t weigh_meter(const struct meter *meter, uint32_t now)
{
    return (meter->flying > 0 ? WEIGHT_FLYING : 0) | (uint64_t)count_now(meter, now) << 32 |
           meter->when;
}

static uint64_t weigh_penalty(const void *record, uint32_t now)
{
    const struct penalty *penalty = record;

    return weigh_meter(&penalty->counted.meter, now);
}

static bool is_live(const struct home *home, uint32_t now)
{
    return home->seen > 0 && now - home->seen < HOME_TIME;
}

/* Where an owner is known, strangers' tries on names without owners do not wash that out. */
static uint64_t weigh_mailbox(const void *record, uint32_t now)
{
    const struct mailbox *mailbox = record;
    uint32_t latest = 0;

    for (unsigned i = 0; i < HOMES; i++)
        if (is_live(&mailbox->homes[i], now) && mailbox->homes[i].seen > latest)
            latest = mailbox->homes[i].seen;
    return latest > 0 ? WEIGHT_HOME | latest : weigh_meter(&mailbox->counted.meter, now);
}

static uint64_t weigh_guess(const void *record, uint32_t now)
{
    const struct guess *guess = record;
    (void)now;

    return (guess->state == GUESS_FLYING ? WEIGHT_FLYING : 0) | guess->seen;
}

static struct slots *table_new(struct memory *memory, enum memory_table table, uint64_t size,
                               slots_weigh *weigh)
{
    return slots_new(memory_take(memory, table, TABLE_SLOTS, size), TABLE_SLOTS, size, weigh);
}

struct throttle *throttle_new(struct memory *memory)
{
    struct throttle *throttle = xcalloc(1, sizeof(*throttle));

    throttle->guesses = table_new(memory, MEMORY_GUESSES, sizeof(struct guess), weigh_guess);
    throttle->penalties =
        table_new(memory, MEMORY_PENALTIES, sizeof(struct penalty), weigh_penalty);
    throttle->mailboxes =
        table_new(memory, MEMORY_MAILBOXES, sizeof(struct mailbox), weigh_mailbox);
    memory_secret(memory, MEMORY_SECRET_THROTTLE, throttle->secret, sizeof(throttle->secret));
    return throttle;
}

void throttle_free(struct throttle *throttle)
{
    if (throttle == NULL)
        return;
    slots_free(throttle->guesses);
    slots_free(throttle->penalties);
    slots_free(throttle->mailboxes);
    sodium_memzero(throttle, sizeof(*throttle));
    free(throttle);
}

/* --- keys */

static void digest(const struct throttle *throttle, const void *data, size_t length,
                   uint8_t key_r[THROTTLE_KEY_SIZE])
{
    crypto_shorthash_siphashx24(key_r, data, length, throttle->secret);
}

/* What a key is made of: which kind of key it is, and digests or an address. */
struct parts {
    uint8_t kind;
    uint8_t part[3][THROTTLE_KEY_SIZE];
};

/* Kinds beyond the scopes. */
enum { KIND_GUESS = THROTTLE_SCOPES, KIND_HOME, KIND_PAIR_NOT_TOLD, KIND_NETWORK_NOT_TOLD };

static void cut(struct in6_addr *address, unsigned bits)
{
    memset(&address->s6_addr[bits / 8], 0, sizeof(*address) - bits / 8);
}

/* Returns whether it is the address of a client and not that of this machine. */
static bool parse_source(const char *text, struct in6_addr *source_r, struct in6_addr *home_r)
{
    if (networks_parse_address(source_r, text) < 0) {
        memset(source_r, 0, sizeof(*source_r));
        *home_r = *source_r;
        return false;
    }
    *home_r = *source_r;
    if (IN6_IS_ADDR_V4MAPPED(source_r)) {
        cut(home_r, 96 + 24);
        return source_r->s6_addr[12] != IN_LOOPBACKNET;
    }
    if (IN6_IS_ADDR_LOOPBACK(source_r))
        return false;
    cut(source_r, SOURCE_BITS);
    cut(home_r, 48);
    return true;
}

static void make_keys(const struct throttle *throttle, const struct throttle_login *login,
                      const struct in6_addr *home, bool network, struct throttle_try *try)
{
    const bool told = login->password != NULL || login->name == NULL;
    struct parts parts = {.kind = told ? THROTTLE_PAIR : KIND_PAIR_NOT_TOLD};
    uint8_t key[THROTTLE_KEY_SIZE];

    memcpy(parts.part[1], &try->source, sizeof(try->source));
    if (login->name != NULL) {
        digest(throttle, login->name, strlen(login->name), parts.part[0]);
        digest(throttle, &parts, sizeof(parts), try->keys[THROTTLE_PAIR]);
        memcpy(try->keys[THROTTLE_MAILBOX], parts.part[0], THROTTLE_KEY_SIZE);
    }
    if (told) {
        parts.kind = KIND_GUESS;
        digest(throttle, login->digest, login->digest_length, parts.part[2]);
        digest(throttle, &parts, sizeof(parts), try->guess);
    }
    if (login->password != NULL)
        digest(throttle, login->password, login->password_length, try->keys[THROTTLE_PASSWORD]);
    parts = (struct parts){.kind = told ? THROTTLE_NETWORK : KIND_NETWORK_NOT_TOLD};
    memcpy(parts.part[0], &try->source, sizeof(try->source));
    if (network)
        digest(throttle, &parts, sizeof(parts), try->keys[THROTTLE_NETWORK]);
    parts.kind = KIND_HOME;
    memcpy(parts.part[0], home, sizeof(*home));
    digest(throttle, &parts, sizeof(parts), key);
    memcpy(&try->home, key, sizeof(try->home));
}

static struct home *find_home(struct mailbox *mailbox, uint32_t network, uint32_t now)
{
    for (unsigned i = 0; mailbox != NULL && i < HOMES; i++)
        if (mailbox->homes[i].network == network && is_live(&mailbox->homes[i], now))
            return &mailbox->homes[i];
    return NULL;
}

void throttle_prepare(const struct throttle *throttle, const struct throttle_login *login,
                      uint32_t now, struct throttle_try *try_r)
{
    struct in6_addr home;

    memset(try_r, 0, sizeof(*try_r));
    try_r->mailbox = login->mailbox;
    try_r->customer = login->customer;
    bool network = parse_source(login->remote, &try_r->source, &home);
    make_keys(throttle, login, &home, network, try_r);
    struct mailbox *mailbox =
        login->name == NULL ? NULL : slots_find(throttle->mailboxes, try_r->keys[THROTTLE_MAILBOX]);
    try_r->stranger = find_home(mailbox, try_r->home, now) == NULL;
}

void throttle_trust(struct throttle_try *try)
{
    try->stranger = false;
}

/* --- where a try counts */

static struct slots *slots_of(const struct throttle *throttle, enum throttle_scope scope)
{
    return scope == THROTTLE_MAILBOX ? throttle->mailboxes : throttle->penalties;
}

static bool is_set(const uint8_t key[THROTTLE_KEY_SIZE])
{
    return memcmp(key, nothing, THROTTLE_KEY_SIZE) != 0;
}

static bool counts_for(const struct throttle_try *try, enum throttle_scope scope)
{
    return is_set(try->keys[scope]) && (scope == THROTTLE_PAIR || try->stranger);
}

/* NULL: nothing is known there. */
static struct meter *find_meter(const struct throttle *throttle, const struct throttle_try *try,
                                enum throttle_scope scope)
{
    if (!counts_for(try, scope))
        return NULL;
    struct counted *counted = slots_find(slots_of(throttle, scope), try->keys[scope]);
    return counted != NULL ? &counted->meter : NULL;
}

/* The latest first, each once. */
static void note_customer(struct penalty *penalty, uint64_t customer)
{
    unsigned i = 0;

    while (i < THROTTLE_CUSTOMERS - 1 && penalty->customers[i] != customer)
        i++;
    memmove(&penalty->customers[1], &penalty->customers[0], i * sizeof(penalty->customers[0]));
    penalty->customers[0] = customer;
}

static struct mailbox *take_mailbox(struct throttle *throttle, const struct throttle_try *try,
                                    uint32_t now)
{
    struct mailbox *mailbox = slots_take(throttle->mailboxes, try->keys[THROTTLE_MAILBOX], now);

    mailbox->counted.meter.scope = THROTTLE_MAILBOX;
    mailbox->mailbox = try->mailbox;
    mailbox->customer = try->customer;
    return mailbox;
}

static struct penalty *take_penalty(struct throttle *throttle, const struct throttle_try *try,
                                    enum throttle_scope scope, uint32_t now)
{
    struct penalty *penalty = slots_take(throttle->penalties, try->keys[scope], now);

    penalty->counted.meter.scope = (uint8_t)scope;
    if (scope == THROTTLE_PAIR)
        penalty->mailbox = try->mailbox;
    if (scope != THROTTLE_PASSWORD)
        penalty->source = try->source;
    if (try->customer != 0)
        note_customer(penalty, try->customer);
    return penalty;
}

static struct meter *take_meter(struct throttle *throttle, const struct throttle_try *try,
                                enum throttle_scope scope, uint32_t now)
{
    if (scope == THROTTLE_MAILBOX)
        return &take_mailbox(throttle, try, now)->counted.meter;
    return &take_penalty(throttle, try, scope, now)->counted.meter;
}

/* --- the life of a try */

static struct guess *find_guess(const struct throttle *throttle, const struct throttle_try *try,
                                uint32_t now)
{
    if (!is_set(try->guess))
        return NULL;
    struct guess *guess = slots_find(throttle->guesses, try->guess);
    return guess != NULL && now - guess->seen < GUESS_TIME ? guess : NULL;
}

static void set_guess(struct throttle *throttle, const struct throttle_try *try,
                      enum guess_state state, uint32_t now)
{
    if (!is_set(try->guess))
        return;
    struct guess *guess = slots_take(throttle->guesses, try->guess, now);
    guess->state = state;
    guess->seen = now;
}

enum throttle_verdict throttle_judge(const struct throttle *throttle,
                                     const struct throttle_try *try, uint32_t now,
                                     struct throttle_wait *wait_r)
{
    const struct guess *guess = find_guess(throttle, try, now);
    bool full = false;

    if (guess != NULL) /* who tries what is being checked already adds nothing */
        return guess->state == GUESS_WRONG ? THROTTLE_KNOWN_WRONG : THROTTLE_PASS;
    *wait_r = (struct throttle_wait){0};
    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        const struct meter *meter = find_meter(throttle, try, scope);
        if (meter == NULL)
            continue;
        uint32_t seconds = meter_wait(meter, now);
        if (seconds > wait_r->seconds)
            *wait_r = (struct throttle_wait){.scope = scope, .seconds = seconds};
        full = full || meter_is_full(meter, now);
    }
    if (wait_r->seconds > 0)
        return THROTTLE_WAIT;
    return full ? THROTTLE_HOLD : THROTTLE_PASS;
}

void throttle_begin(struct throttle *throttle, struct throttle_try *try, uint32_t now)
{
    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++)
        if (counts_for(try, scope))
            take_meter(throttle, try, scope, now)->flying++;
    set_guess(throttle, try, GUESS_FLYING, now);
    try->begun = true;
}

/* An entry that was displaced meanwhile has forgotten it. */
static void land(struct throttle *throttle, struct throttle_try *try)
{
    if (!try->begun)
        return;
    try->begun = false;
    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        struct meter *meter = find_meter(throttle, try, scope);
        if (meter != NULL && meter->flying > 0)
            meter->flying--;
    }
}

/* Makes room where nothing counts; but an owner stays known. */
static void tidy(struct throttle *throttle, const struct throttle_try *try)
{
    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        if (scope == THROTTLE_MAILBOX || !counts_for(try, scope))
            continue;
        struct penalty *penalty = slots_find(throttle->penalties, try->keys[scope]);
        if (penalty != NULL && penalty->counted.meter.flying == 0 &&
            penalty->counted.meter.count == 0 && penalty->marks == 0)
            memset(penalty, 0, sizeof(*penalty));
    }
}

/* Returns whether the mailbox had its mark already; two in one bit are taken for one. */
static bool mark(struct penalty *penalty, const struct throttle_try *try)
{
    uint64_t bit = UINT64_C(1) << (try->keys[THROTTLE_MAILBOX][0] & 63);
    bool marked = (penalty->marks & bit) != 0;

    penalty->marks |= bit;
    return marked;
}

/* A password counts once for each mailbox. */
static bool is_counted(struct throttle *throttle, const struct throttle_try *try, uint32_t now)
{
    struct penalty *penalty = take_penalty(throttle, try, THROTTLE_PASSWORD, now);

    if (count_now(&penalty->counted.meter, now) == 0)
        penalty->marks = 0;
    return mark(penalty, try);
}

static void renew_marks(struct throttle *throttle, const struct throttle_try *try, uint32_t now)
{
    struct penalty *penalty = take_penalty(throttle, try, THROTTLE_NETWORK, now);

    if (now - penalty->counted.meter.when >= FORGIVEN_TIME)
        penalty->marks = 0;
}

static unsigned count(struct throttle *throttle, const struct throttle_try *try, uint32_t now)
{
    unsigned delayed = 0;

    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        if (!counts_for(try, scope))
            continue;
        if (scope == THROTTLE_PASSWORD && is_counted(throttle, try, now))
            continue;
        if (scope == THROTTLE_NETWORK)
            renew_marks(throttle, try, now);
        if (meter_add(take_meter(throttle, try, scope, now), now))
            delayed |= 1U << scope;
    }
    return delayed;
}

/*
 * Among neighbours most are right, and of a guesser's tries next to none: so each mailbox that
 * becomes known takes back one wrong password of the address, once. Marks are few, and are kept
 * when nothing is counted any more: who guesses gains little by mailboxes of his own.
 */
static void forgive_network(const struct throttle *throttle, const struct throttle_try *try,
                            uint32_t now)
{
    struct penalty *penalty = counts_for(try, THROTTLE_NETWORK)
                                  ? slots_find(throttle->penalties, try->keys[THROTTLE_NETWORK])
                                  : NULL;

    if (penalty == NULL)
        return;
    struct meter *meter = &penalty->counted.meter;
    if (count_now(meter, now) > 0 && !mark(penalty, try))
        meter->count--;
}

/* The owner is known from now on, and what he mistyped before that is forgiven, once. */
static void welcome(struct throttle *throttle, const struct throttle_try *try, uint32_t now)
{
    struct mailbox *mailbox = take_mailbox(throttle, try, now);
    struct home *home = find_home(mailbox, try->home, now);

    if (home == NULL) {
        struct meter *pair = find_meter(throttle, try, THROTTLE_PAIR);
        if (pair != NULL)
            pair->count = 0;
        forgive_network(throttle, try, now);
        home = &mailbox->homes[0];
        for (unsigned i = 1; i < HOMES; i++)
            if (mailbox->homes[i].seen < home->seen)
                home = &mailbox->homes[i];
    }
    *home = (struct home){.network = try->home, .seen = now};
}

unsigned throttle_note(struct throttle *throttle, struct throttle_try *try,
                       enum throttle_outcome outcome, uint32_t now)
{
    struct guess *guess = find_guess(throttle, try, now);
    bool known = guess != NULL && guess->state == GUESS_WRONG;
    bool begun = try->begun;
    unsigned delayed = 0;

    land(throttle, try);
    if (outcome == THROTTLE_WRONG) {
        delayed = known ? 0 : count(throttle, try, now);
        set_guess(throttle, try, GUESS_WRONG, now);
        return delayed;
    }
    if (guess != NULL && begun)
        memset(guess, 0, sizeof(*guess));
    if (outcome == THROTTLE_GOOD)
        welcome(throttle, try, now);
    if (begun)
        tidy(throttle, try);
    return 0;
}

bool throttle_is_beside(const struct throttle_try *one, const struct throttle_try *other)
{
    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++)
        if (counts_for(one, scope) && counts_for(other, scope) &&
            memcmp(one->keys[scope], other->keys[scope], THROTTLE_KEY_SIZE) == 0)
            return true;
    return false;
}

/* --- taking over */

/* Whether there is anything in it that counts; it is made such as this program would have it. */
static bool meter_take_over(struct meter *meter, uint32_t now)
{
    const bool known = meter->scope < THROTTLE_SCOPES && meter->when <= now;

    meter->flying = 0;
    if (!known || meter->count > rules[meter->scope].most || count_now(meter, now) == 0)
        meter->count = 0;
    return meter->count > 0;
}

static bool take_over_guess(struct throttle *throttle, const struct guess *record, uint32_t now)
{
    if (record->state != GUESS_WRONG || record->seen > now || now - record->seen >= GUESS_TIME)
        return false;
    *(struct guess *)slots_take(throttle->guesses, record->key, now) = *record;
    return true;
}

static bool take_over_penalty(struct throttle *throttle, struct penalty penalty, uint32_t now)
{
    if (penalty.counted.meter.scope == THROTTLE_MAILBOX ||
        !meter_take_over(&penalty.counted.meter, now))
        return false;
    *(struct penalty *)slots_take(throttle->penalties, penalty.counted.key, now) = penalty;
    return true;
}

static bool take_over_mailbox(struct throttle *throttle, struct mailbox mailbox, uint32_t now)
{
    struct meter *meter = &mailbox.counted.meter;
    bool live = false;

    if (meter->scope != THROTTLE_MAILBOX)
        return false;
    for (unsigned i = 0; i < HOMES; i++) {
        if (mailbox.homes[i].seen > now || !is_live(&mailbox.homes[i], now))
            mailbox.homes[i] = (struct home){0};
        live = live || mailbox.homes[i].seen > 0;
    }
    if (!meter_take_over(meter, now) && !live)
        return false;
    *(struct mailbox *)slots_take(throttle->mailboxes, mailbox.counted.key, now) = mailbox;
    return true;
}

bool throttle_take_over(struct throttle *throttle, enum memory_table table, const void *record,
                        uint32_t now)
{
    switch (table) {
    case MEMORY_GUESSES: return take_over_guess(throttle, record, now);
    case MEMORY_PENALTIES: return take_over_penalty(throttle, *(const struct penalty *)record, now);
    case MEMORY_MAILBOXES: return take_over_mailbox(throttle, *(const struct mailbox *)record, now);
    default: return false;
    }
}

/* --- for people */

unsigned throttle_source_bits(const struct in6_addr *source)
{
    return IN6_IS_ADDR_V4MAPPED(source) || IN6_IS_ADDR_LOOPBACK(source) ? 128 : SOURCE_BITS;
}

static struct throttle_block describe(const struct meter *meter, uint32_t now)
{
    return (struct throttle_block){.scope = (enum throttle_scope)meter->scope,
                                   .count = count_now(meter, now),
                                   .seconds = meter_wait(meter, now)};
}

void throttle_each(const struct throttle *throttle, uint32_t now,
                   void (*tell)(void *context, const struct throttle_block *block), void *context)
{
    const struct penalty *penalty;
    const struct mailbox *mailbox;

    for (uint64_t slot = 0; (penalty = slots_next(throttle->penalties, &slot)) != NULL;) {
        struct throttle_block block = describe(&penalty->counted.meter, now);
        block.mailbox = penalty->mailbox;
        block.source = penalty->source;
        memcpy(block.customers, penalty->customers, sizeof(block.customers));
        if (block.seconds > 0)
            tell(context, &block);
    }
    for (uint64_t slot = 0; (mailbox = slots_next(throttle->mailboxes, &slot)) != NULL;) {
        struct throttle_block block = describe(&mailbox->counted.meter, now);
        block.mailbox = mailbox->mailbox;
        block.customers[0] = mailbox->customer;
        if (block.seconds > 0)
            tell(context, &block);
    }
}

static unsigned lift(struct meter *meter, uint32_t now)
{
    unsigned delayed = meter_wait(meter, now) > 0;

    meter->count = 0;
    return delayed;
}

unsigned throttle_lift_mailbox(struct throttle *throttle, uint64_t mailbox, uint32_t now)
{
    struct penalty *penalty;
    struct mailbox *record;
    unsigned lifted = 0;

    for (uint64_t slot = 0; (penalty = slots_next(throttle->penalties, &slot)) != NULL;)
        if (penalty->counted.meter.scope == THROTTLE_PAIR && penalty->mailbox == mailbox)
            lifted += lift(&penalty->counted.meter, now);
    for (uint64_t slot = 0; (record = slots_next(throttle->mailboxes, &slot)) != NULL;)
        if (record->mailbox == mailbox)
            lifted += lift(&record->counted.meter, now);
    return lifted;
}

unsigned throttle_lift_networks(struct throttle *throttle, const struct networks *networks,
                                uint32_t now)
{
    struct networks sources = *networks;
    struct penalty *penalty;
    unsigned lifted = 0;

    for (unsigned i = 0; i < sources.count; i++)
        if (!IN6_IS_ADDR_V4MAPPED(&sources.list[i].address) && sources.list[i].bits > SOURCE_BITS) {
            cut(&sources.list[i].address, SOURCE_BITS);
            sources.list[i].bits = SOURCE_BITS;
        }

    for (uint64_t slot = 0; (penalty = slots_next(throttle->penalties, &slot)) != NULL;)
        if (penalty->counted.meter.scope != THROTTLE_PASSWORD &&
            networks_hold_mapped(&sources, &penalty->source))
            lifted += lift(&penalty->counted.meter, now);
    return lifted;
}
