#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "authd/throttle.h"
#include "lib/networks.h"

#define BEGIN 1000000U

static struct memory *memory;
static struct throttle *throttle;

static void forget(void)
{
    throttle_free(throttle);
    memory_free(memory);
}

static void begin_anew(void)
{
    forget();
    memory = memory_new(-1, -1);
    throttle = throttle_new(memory);
}

static int set_up(void **state)
{
    (void)state;
    begin_anew();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget();
    throttle = NULL;
    memory = NULL;
    return 0;
}

/* --- what happens in time, as data */

/* What a step's try comes to. */
enum expected {
    WRONG,   /* it may pass, and is wrong */
    GOOD,    /* it may pass, and is good */
    PASSES,  /* it may pass, and nobody finds out what it is */
    KNOWN,   /* it is known to be wrong */
    PAIR,    /* it must wait for what is counted there */
    NETWORK, /* as above, and so on */
    MAILBOX,
    PASSWORD
};

/*
 * `times` tries from the second `at` on, `every` so many seconds. A '#' in a string is the number
 * of the try. NULL for the password: it is not told.
 */
struct step {
    const char *mailbox;
    const char *remote;
    const char *password;
    const char *hash; /* NULL: as always */
    unsigned at, every, times;
    enum expected expected;
    unsigned seconds; /* to wait; 0: not looked at */
    bool trusted;
};

#define TRY_AND(at_, every_, times_, mailbox_, remote_, password_, expected_, ...)                 \
    {                                                                                              \
        .at = (at_), .every = (every_), .times = (times_), .mailbox = (mailbox_),                  \
        .remote = (remote_), .password = (password_), .expected = (expected_), __VA_ARGS__         \
    }
#define TRY(at_, every_, times_, mailbox_, remote_, password_, expected_)                          \
    TRY_AND(at_, every_, times_, mailbox_, remote_, password_, expected_, .seconds = 0)

static const struct step stale[] = {
    TRY(0, 0, 1, "old@a", "192.0.2.1", "last week's", WRONG),
    TRY(1, 1, 600, "old@a", "192.0.2.1", "last week's", KNOWN),
    TRY(1, 1, 600, "new#@a", "192.0.2.1", "right#", GOOD),
    /* Each other one counts, and so does the same from elsewhere. */
    TRY(602, 1, 4, "old@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(606, 1, 1, "old@a", "192.0.2.1", "right", PAIR, .seconds = 14),
    TRY(606, 1, 1, "old@a", "192.0.2.1", "last week's", KNOWN),
    TRY(606, 1, 1, "old@a", "192.0.2.2", "last week's", WRONG),
    /* Again after a night, and not for ever. */
    TRY(80000, 1, 1, "old@a", "192.0.2.1", "last week's", KNOWN),
    TRY(80000 + 172801, 1, 1, "old@a", "192.0.2.1", "last week's", WRONG),
    {0},
};

static const struct step password_changed[] = {
    TRY(0, 0, 1, "old@a", "192.0.2.1", "next", WRONG),
    TRY(1, 0, 1, "old@a", "192.0.2.1", "next", KNOWN),
    TRY_AND(2, 0, 1, "old@a", "192.0.2.1", "next", GOOD, .hash = "new"),
    {0},
};

static const struct step one_guesser[] = {
    TRY(0, 0, 5, "desk@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 15),
    TRY_AND(14, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 1),
    TRY(15, 0, 1, "desk@a", "192.0.2.1", "more", WRONG),
    TRY_AND(15, 0, 1, "desk@a", "192.0.2.1", "still more", PAIR, .seconds = 30),
    TRY(45, 0, 1, "desk@a", "192.0.2.1", "still more", WRONG),
    TRY_AND(45, 0, 1, "desk@a", "192.0.2.1", "yet more", PAIR, .seconds = 60),
    /* It does not delay others at the mailbox, nor those who are known at the address. */
    TRY(45, 0, 1, "desk@a", "198.51.100.1", "right", GOOD),
    {0},
};

static const struct step longest_delay[] = {
    TRY(0, 900, 20, "desk@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(17101, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 899),
    /* Half an hour takes one away; after hours nothing is left. */
    TRY(17100 + 11 * 1800, 0, 5, "desk@a", "192.0.2.1", "later#", WRONG),
    TRY_AND(17100 + 11 * 1800, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 15),
    {0},
};

/* Over many mailboxes from one address; who has logged in from there before is not met. */
static const struct step one_network[] = {
    TRY(0, 0, 1, "guest@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 9, "desk#@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk9@a", "192.0.2.1", "guess", NETWORK, .seconds = 60),
    TRY(0, 0, 1, "guest@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 1, "guest@a", "192.0.2.99", "right", GOOD),
    TRY(0, 0, 1, "desk9@a", "192.0.2.2", "guess", WRONG),
    TRY(60, 60, 100, "next#@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(60 + 99 * 60 + 1, 0, 1, "last@a", "192.0.2.1", "guess", NETWORK, .seconds = 59),
    TRY(60 + 99 * 60 + 9 * 60, 0, 9, "later#@a", "192.0.2.1", "guess#", WRONG),
    {0},
};

/* As many as one of eight have last week's password: whatever their order, others need not wait. */
static const struct step hotel[] = {
    TRY(0, 0, 8, "old#@a", "192.0.2.1", "last week's #", WRONG),
    TRY(0, 0, 56, "new#@a", "192.0.2.1", "right#", GOOD),
    TRY(1, 1, 60, "old7@a", "192.0.2.1", "last week's 7", KNOWN),
    TRY(1, 0, 8, "more#@a", "192.0.2.1", "last week's #", WRONG),
    {0},
};

/* More of them than are free, who come first, cost the others one delay. */
static const struct step large_hotel[] = {
    TRY(0, 0, 9, "old#@a", "192.0.2.1", "last week's #", WRONG),
    TRY_AND(1, 0, 1, "new@a", "192.0.2.1", "right", NETWORK, .seconds = 59),
    TRY(60, 0, 5, "new1#@a", "192.0.2.1", "right#", GOOD),
    TRY(60, 0, 2, "older#@a", "192.0.2.1", "last week's #", WRONG),
    TRY(60, 0, 5, "new2#@a", "192.0.2.1", "right#", GOOD),
    TRY(60, 0, 3, "oldest#@a", "192.0.2.1", "last week's #", WRONG),
    TRY(60, 0, 1, "new@a", "192.0.2.1", "right", GOOD),
    {0},
};

/* Who is known already forgives nothing, nor does who comes a second time. */
static const struct step forgiven_by_one[] = {
    TRY(0, 0, 1, "mine@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 8, "desk#@a", "192.0.2.1", "guess#", WRONG),
    TRY(0, 0, 9, "mine@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 1, "next@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 9, "next@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 2, "last#@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", "guess", NETWORK, .seconds = 60),
    {0},
};

static const struct step trusted[] = {
    TRY_AND(0, 0, 100, "desk#@a", "192.0.2.1", "guess#", WRONG, .trusted = true),
    TRY_AND(0, 0, 5, "desk@a", "192.0.2.1", "guess#", WRONG, .trusted = true),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 15, .trusted = true),
    /* Nor does it count for those who do not trust it. */
    TRY(0, 0, 9, "other#@b", "192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "other9@b", "192.0.2.1", "guess9", NETWORK, .seconds = 60),
    TRY_AND(0, 0, 1, "desk7@a", "192.0.2.1", "guess77", WRONG, .trusted = true),
    {0},
};

static const struct step botnet_on_a_mailbox[] = {
    TRY(0, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 20, "desk@a", "198.51.100.#", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "203.0.113.1", "guess", MAILBOX, .seconds = 30),
    TRY_AND(0, 0, 1, "desk@a", "203.0.113.1", "right", MAILBOX, .seconds = 30),
    TRY(0, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 1, "desk@a", "192.0.2.7", "right", GOOD), /* his telephone's next address */
    TRY_AND(0, 0, 1, "desk@a", "203.0.113.1", "right", GOOD, .trusted = true),
    TRY(0, 0, 1, "next@a", "198.51.100.1", "guess", WRONG),
    /* Known for 30 days. */
    TRY(29 * 86400, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY(58 * 86400, 0, 20, "desk@a", "198.51.100.#", "again#", WRONG),
    TRY(58 * 86400, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY_AND(58 * 86400, 0, 1, "desk@a", "203.0.113.1", "right", MAILBOX, .seconds = 30),
    {0},
};

/* After one password was wrong for many mailboxes, see below. */
static const struct step one_password[] = {
    TRY_AND(1, 0, 1, "new@a", "192.0.2.77", "summer", PASSWORD, .seconds = 29),
    TRY(1, 0, 1, "new@a", "192.0.2.77", "winter", GOOD),
    TRY_AND(1, 0, 1, "new2@a", "192.0.2.77", "summer", GOOD, .trusted = true),
    TRY(1, 0, 1, "known@a", "192.0.2.1", "summer", GOOD),
    TRY(31, 0, 1, "new3@a", "192.0.2.77", "summer", PASSES),
    {0},
};

/* The same mailbox again and again is one mailbox. */
static const struct step one_password_from_many[] = {
    TRY(0, 0, 15, "desk@a", "198.51.100.#", "summer", WRONG),
    TRY(0, 0, 1, "new@a", "192.0.2.77", "summer", GOOD),
    {0},
};

/* What was mistyped before the first login is forgiven, and then nothing more. */
static const struct step forgiven_once[] = {
    TRY(0, 0, 4, "desk@a", "192.0.2.1", "typo#", WRONG),
    TRY(0, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY(0, 0, 5, "desk@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", "right", PAIR, .seconds = 15),
    TRY(15, 0, 1, "desk@a", "192.0.2.1", "right", GOOD),
    TRY(15, 0, 1, "desk@a", "192.0.2.1", "guess6", WRONG),
    TRY_AND(15, 0, 1, "desk@a", "192.0.2.1", "right", PAIR, .seconds = 30),
    {0},
};

static const struct step ipv6[] = {
    TRY(0, 0, 5, "desk@a", "2001:db8:0:1::#", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "2001:db8:0:1:ffff::", "more", PAIR, .seconds = 15),
    TRY(0, 0, 4, "next#@a", "2001:db8:0:1::#", "guess#", WRONG),
    TRY_AND(0, 0, 1, "next@a", "2001:db8:0:1::99", "more", NETWORK, .seconds = 60),
    TRY(0, 0, 1, "next@a", "2001:db8:0:2::1", "more", WRONG),
    TRY(0, 0, 1, "desk@a", "2001:db8:0:2::1", "more", WRONG),
    {0},
};

/* IPv4 in IPv6's form is IPv4. */
static const struct step mapped[] = {
    TRY(0, 0, 5, "desk@a", "::ffff:192.0.2.1", "guess#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", "more", PAIR, .seconds = 15),
    TRY(0, 0, 1, "desk@a", "::ffff:192.0.2.2", "more", WRONG),
    {0},
};

/* What comes from this machine, or from nobody knows where, comes for many. */
static const struct step no_address[] = {
    TRY(0, 0, 30, "desk#@a", "127.0.0.1", "guess#", WRONG),
    TRY(0, 0, 30, "desk#@a", "::1", "guess#", WRONG),
    TRY(0, 0, 30, "desk#@a", "-", "guess#", WRONG),
    TRY(0, 0, 5, "desk@a", "-", "guess1#", WRONG),
    TRY_AND(0, 0, 1, "desk@a", "-", "more", PAIR, .seconds = 15),
    {0},
};

static const struct step undecided[] = {
    TRY(0, 0, 20, "desk@a", "192.0.2.1", "guess#", PASSES),
    TRY(0, 0, 1, "desk@a", "192.0.2.1", "guess1", PASSES),
    TRY(0, 0, 5, "desk@a", "192.0.2.1", "guess#", WRONG),
    {0},
};

static const struct step not_told[] = {
    TRY(0, 0, 5, "desk@a", "192.0.2.1", NULL, WRONG),
    TRY_AND(0, 0, 1, "desk@a", "192.0.2.1", NULL, PAIR, .seconds = 15),
    TRY(15, 0, 1, "desk@a", "192.0.2.1", NULL, GOOD),
    TRY(15, 0, 5, "desk@a", "192.0.2.1", NULL, WRONG),
    TRY(15, 0, 5, "old#@a", "192.0.2.1", NULL, WRONG),
    TRY_AND(15, 0, 1, "new@a", "192.0.2.1", NULL, NETWORK, .seconds = 60),
    /* Who sends passwords is not met. */
    TRY(15, 0, 9, "next#@a", "192.0.2.1", "guess#", WRONG),
    TRY_AND(15, 0, 1, "new@a", "192.0.2.1", "right", NETWORK, .seconds = 60),
    {0},
};

static void fill_in(char *text_r, size_t size, const char *pattern, unsigned number)
{
    const char *hash = strchr(pattern, '#');
    int before = hash != NULL ? (int)(hash - pattern) : (int)strlen(pattern);

    if (hash == NULL)
        snprintf(text_r, size, "%s", pattern);
    else
        snprintf(text_r, size, "%.*s%u%s", before, pattern, number, hash + 1);
}

static void prepare(const struct step *step, unsigned number, uint64_t mailbox, uint32_t now,
                    struct throttle_try *try_r)
{
    char name[64];
    char remote[64];
    char password[64];
    char digest[200];

    fill_in(name, sizeof(name), step->mailbox, number);
    fill_in(remote, sizeof(remote), step->remote, number);
    fill_in(password, sizeof(password), step->password != NULL ? step->password : "", number);
    snprintf(digest, sizeof(digest), "%s %s %s", name, step->hash != NULL ? step->hash : "hash",
             password);
    const struct throttle_login login = {
        .name = name,
        .mailbox = mailbox,
        .customer = mailbox,
        .remote = remote,
        .digest = (const uint8_t *)digest,
        .digest_length = strlen(digest),
        .password = step->password != NULL ? password : NULL,
        .password_length = strlen(password),
    };
    throttle_prepare(throttle, &login, now, try_r);
    if (step->trusted)
        throttle_trust(try_r);
}

static void check_verdict(const struct step *step, enum throttle_verdict verdict,
                          const struct throttle_wait *wait)
{
    switch (step->expected) {
    case WRONG:
    case GOOD:
    case PASSES: assert_int_equal(verdict, THROTTLE_PASS); return;
    case KNOWN: assert_int_equal(verdict, THROTTLE_KNOWN_WRONG); return;
    default: break;
    }
    assert_int_equal(verdict, THROTTLE_WAIT);
    assert_int_equal(wait->scope, (unsigned)step->expected - PAIR);
    if (step->seconds > 0)
        assert_int_equal(wait->seconds, step->seconds);
}

static void take(const struct step *step, unsigned number, uint64_t mailbox)
{
    uint32_t now = BEGIN + step->at + number * step->every;
    struct throttle_wait wait;
    struct throttle_try try;

    prepare(step, number, mailbox, now, &try);
    check_verdict(step, throttle_judge(throttle, &try, now, &wait), &wait);
    if (step->expected > KNOWN)
        return;
    if (step->expected != KNOWN)
        throttle_begin(throttle, &try, now);
    throttle_note(throttle, &try,
                  step->expected == GOOD     ? THROTTLE_GOOD
                  : step->expected == PASSES ? THROTTLE_UNDECIDED
                                             : THROTTLE_WRONG,
                  now);
}

/* Everything is the same for a mailbox that does not exist: 0. */
static void play(const struct step *steps, uint64_t mailbox)
{
    begin_anew();
    for (const struct step *step = steps; step->mailbox != NULL; step++)
        for (unsigned number = 0; number < step->times; number++)
            take(step, number, mailbox);
}

static void test_scenarios(void **state)
{
    static const struct {
        const char *name;
        const struct step *steps;
    } scenarios[] = {
        {"stale", stale},
        {"password_changed", password_changed},
        {"one_guesser", one_guesser},
        {"longest_delay", longest_delay},
        {"one_network", one_network},
        {"hotel", hotel},
        {"large_hotel", large_hotel},
        {"forgiven_by_one", forgiven_by_one},
        {"trusted", trusted},
        {"botnet_on_a_mailbox", botnet_on_a_mailbox},
        {"one_password_from_many", one_password_from_many},
        {"forgiven_once", forgiven_once},
        {"ipv6", ipv6},
        {"mapped", mapped},
        {"no_address", no_address},
        {"undecided", undecided},
        {"not_told", not_told},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        print_message("%s\n", scenarios[i].name);
        play(scenarios[i].steps, 7);
        play(scenarios[i].steps, 0);
    }
}

/* --- what needs more than a list */

/* One try as it would be made; returns whether it cost a hash. */
static bool guess(const char *mailbox, const char *remote, const char *password, unsigned number,
                  uint32_t now)
{
    const struct step step = {.mailbox = mailbox, .remote = remote, .password = password};
    struct throttle_wait wait;
    struct throttle_try try;

    prepare(&step, number, 7, now, &try);
    if (throttle_judge(throttle, &try, now, &wait) != THROTTLE_PASS)
        return false;
    throttle_begin(throttle, &try, now);
    throttle_note(throttle, &try, THROTTLE_WRONG, now);
    return true;
}

static void test_one_password_over_many_mailboxes(void **state)
{
    const struct step known = {.times = 1,
                               .mailbox = "known@a",
                               .remote = "192.0.2.1",
                               .password = "summer",
                               .expected = GOOD};
    unsigned hashes = 0;

    (void)state;
    take(&known, 0, 7);
    while (hashes < 64 && guess("desk#@a", "198.51.100.#", "summer", hashes, BEGIN))
        hashes++;
    /* Ten, and some that fell into one bit. */
    assert_in_range(hashes, 10, 30);
    for (const struct step *step = one_password; step->mailbox != NULL; step++)
        take(step, 0, 7);
}

/* Whoever guesses from one address, as fast as he can: under 10 hashes in any minute. */
static void test_rate(void **state)
{
    static const char *const mailboxes[] = {"desk@a", "desk#@a"};
    enum { SECONDS = 7200 };
    static unsigned hashes[SECONDS];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        uint32_t begin = BEGIN + (uint32_t)i * 100 * SECONDS;
        for (unsigned number = 0; number < SECONDS; number++) {
            hashes[number] = 0;
            for (unsigned again = 0; again < 20; again++)
                hashes[number] +=
                    guess(mailboxes[i], "192.0.2.1", "guess#", 20 * number + again, begin + number);
        }
        for (unsigned first = 0; first + 60 <= SECONDS; first++) {
            unsigned sum = 0;
            for (unsigned number = first; number < first + 60; number++)
                sum += hashes[number];
            assert_in_range(sum, 0, 9);
        }
    }
}

/*
 * Who has mailboxes of his own, as many as he likes, and shows one of them after each guess: what
 * that buys is bounded, however long it goes on.
 */
static void test_own_mailboxes(void **state)
{
    enum { SECONDS = 6 * 3600, TRIES = 3 };
    unsigned hashes = 0;
    unsigned own = 0;

    (void)state;
    for (unsigned number = 0; number < SECONDS; number++) {
        for (unsigned again = 0; again < TRIES; again++) {
            const struct step good = {
                .mailbox = "own#@b", .remote = "192.0.2.1", .password = "mine#"};
            struct throttle_wait wait;
            struct throttle_try try;
            hashes +=
                guess("desk#@a", "192.0.2.1", "guess#", TRIES * number + again, BEGIN + number);
            prepare(&good, own, 8, BEGIN + number, &try);
            if (throttle_judge(throttle, &try, BEGIN + number, &wait) != THROTTLE_PASS)
                continue;
            own++;
            throttle_begin(throttle, &try, BEGIN + number);
            throttle_note(throttle, &try, THROTTLE_GOOD, BEGIN + number);
        }
    }
    print_message("%u guesses, %u good logins\n", hashes, own);
    assert_in_range(hashes, 9, SECONDS / 60 + 9 + 64);
}

/* Tries that are made at once are no more than may be wrong, and good ones cost nothing. */
static void test_at_once(void **state)
{
    const struct step step = {.mailbox = "desk#@a", .remote = "192.0.2.1", .password = "right"};
    const struct step other = {.mailbox = "desk@b", .remote = "192.0.2.2", .password = "other"};
    struct throttle_try tries[12];
    struct throttle_try try;
    struct throttle_wait wait;

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 9; i++) {
            prepare(&step, 10 * round + i, 7, BEGIN, &tries[i]);
            assert_int_equal(throttle_judge(throttle, &tries[i], BEGIN, &wait), THROTTLE_PASS);
            throttle_begin(throttle, &tries[i], BEGIN);
        }
        prepare(&step, 10 * round + 9, 7, BEGIN, &try);
        assert_int_equal(throttle_judge(throttle, &try, BEGIN, &wait), THROTTLE_HOLD);
        assert_true(throttle_is_beside(&tries[0], &try));
        /* Who tries what is being checked already may wait for that. */
        prepare(&step, 10 * round + 8, 7, BEGIN, &tries[9]);
        assert_int_equal(throttle_judge(throttle, &tries[9], BEGIN, &wait), THROTTLE_PASS);
        prepare(&other, 0, 7, BEGIN, &tries[10]);
        assert_int_equal(throttle_judge(throttle, &tries[10], BEGIN, &wait), THROTTLE_PASS);
        assert_false(throttle_is_beside(&tries[0], &tries[10]));
        throttle_note(throttle, &tries[0], THROTTLE_GOOD, BEGIN);
        assert_int_equal(throttle_judge(throttle, &try, BEGIN, &wait), THROTTLE_PASS);
        for (unsigned i = 1; i < 9; i++)
            throttle_note(throttle, &tries[i], i % 2 ? THROTTLE_GOOD : THROTTLE_UNDECIDED, BEGIN);
    }
    for (unsigned i = 0; i < 9; i++) {
        prepare(&step, 5000 + i, 7, BEGIN, &tries[i]);
        throttle_begin(throttle, &tries[i], BEGIN);
    }
    prepare(&step, 6000, 7, BEGIN, &try);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(throttle_judge(throttle, &try, BEGIN, &wait), THROTTLE_HOLD);
        unsigned delayed = throttle_note(throttle, &tries[i], THROTTLE_WRONG, BEGIN);
        assert_int_equal(delayed, i == 8 ? 1U << THROTTLE_NETWORK : 0);
    }
    assert_int_equal(throttle_judge(throttle, &try, BEGIN, &wait), THROTTLE_WAIT);
    /* Then one at a time. */
    assert_int_equal(throttle_judge(throttle, &try, BEGIN + 60, &wait), THROTTLE_PASS);
    throttle_begin(throttle, &try, BEGIN + 60);
    prepare(&step, 6001, 7, BEGIN + 60, &tries[0]);
    assert_int_equal(throttle_judge(throttle, &tries[0], BEGIN + 60, &wait), THROTTLE_HOLD);
}

struct told {
    unsigned count;
    struct throttle_block last;
};

static void on_block(void *context, const struct throttle_block *block)
{
    struct told *told = context;

    told->count++;
    told->last = *block;
}

static struct told blocks(uint32_t now)
{
    struct told told = {0};

    throttle_each(throttle, now, on_block, &told);
    return told;
}

static void make_guesses(const struct step *step, uint64_t mailbox)
{
    for (unsigned number = 0; number < step->times; number++)
        take(step, number, mailbox);
}

static void test_list_and_lift(void **state)
{
    const struct step home = {.times = 1,
                              .mailbox = "desk@a",
                              .remote = "2001:db8:1::1",
                              .password = "x",
                              .expected = GOOD};
    const struct step pair = {.times = 6,
                              .mailbox = "desk@a",
                              .remote = "2001:db8:1::2",
                              .password = "#",
                              .expected = WRONG,
                              .every = 15};
    const struct step network = {.times = 9,
                                 .mailbox = "desk#@b",
                                 .remote = "192.0.2.1",
                                 .password = "#",
                                 .expected = WRONG};
    const struct step mailbox = {.times = 20,
                                 .mailbox = "bar@b",
                                 .remote = "198.51.100.#",
                                 .password = "#",
                                 .expected = WRONG};
    struct networks networks;
    struct told told;

    (void)state;
    make_guesses(&home, 7);
    make_guesses(&pair, 7);
    told = blocks(BEGIN + 75);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.scope, THROTTLE_PAIR);
    assert_int_equal(told.last.mailbox, 7);
    assert_int_equal(told.last.customers[0], 7);
    assert_int_equal(told.last.customers[1], 0);
    assert_int_equal(told.last.count, 6);
    assert_int_equal(told.last.seconds, 30);
    assert_int_equal(throttle_lift_mailbox(throttle, 8, BEGIN + 75), 0);
    assert_int_equal(throttle_lift_mailbox(throttle, 7, BEGIN + 75), 1);
    assert_int_equal(blocks(BEGIN + 75).count, 0);

    make_guesses(&network, 9);
    told = blocks(BEGIN);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.scope, THROTTLE_NETWORK);
    assert_int_equal(told.last.mailbox, 0);
    assert_int_equal(told.last.customers[0], 9);
    networks_parse(&networks, "192.0.2.2");
    assert_int_equal(throttle_lift_networks(throttle, &networks, BEGIN), 0);
    networks_parse(&networks, "192.0.2.0/24");
    assert_int_equal(throttle_lift_networks(throttle, &networks, BEGIN), 1);
    assert_int_equal(blocks(BEGIN).count, 0);

    make_guesses(&mailbox, 10);
    told = blocks(BEGIN);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.last.scope, THROTTLE_MAILBOX);
    assert_int_equal(told.last.mailbox, 10);
    assert_int_equal(throttle_lift_mailbox(throttle, 10, BEGIN), 1);
    assert_int_equal(blocks(BEGIN).count, 0);
}

/* An address of the household is lifted for the household. */
static void test_lift_ipv6(void **state)
{
    const struct step step = {.times = 9,
                              .mailbox = "desk#@b",
                              .remote = "2001:db8:1::#",
                              .password = "#",
                              .expected = WRONG};
    struct networks networks;

    (void)state;
    make_guesses(&step, 9);
    networks_parse(&networks, "2001:db8:2::7");
    assert_int_equal(throttle_lift_networks(throttle, &networks, BEGIN), 0);
    networks_parse(&networks, "2001:db8:1::7");
    assert_int_equal(throttle_lift_networks(throttle, &networks, BEGIN), 1);
}

/* --- memory */

static long resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char line[128] = "";

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    return strtol(strchr(line, ' '), NULL, 10) * sysconf(_SC_PAGESIZE);
}

#define MANY 100000U

static void flood(const char *mailbox, unsigned first, unsigned count)
{
    char remote[64];

    for (unsigned i = first; i < first + count; i++) {
        snprintf(remote, sizeof(remote), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        guess(mailbox, remote, "guess#", i, BEGIN + 100);
    }
}

/* Of each kind of entry; that as many are held shows in what is known of the first. */
static void test_memory(void **state)
{
    const struct step step = {.mailbox = "desk#@a", .remote = "10.0.0.1", .password = "guess#"};
    struct throttle_wait wait;
    struct throttle_try try;
    long before = resident();
    unsigned known = 0;

    (void)state;
    flood("desk#@a", 0, MANY);
    long after = resident();
    print_message("%u mailboxes, addresses and passwords: %ld octets\n", MANY, after - before);
    for (unsigned i = 0; i < MANY; i++) {
        char remote[64];
        snprintf(remote, sizeof(remote), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
        const struct step mine = {
            .mailbox = step.mailbox, .remote = remote, .password = step.password};
        prepare(&mine, i, 7, BEGIN + 100, &try);
        known += throttle_judge(throttle, &try, BEGIN + 100, &wait) == THROTTLE_KNOWN_WRONG;
    }
    print_message("%u of them are still known\n", known);
    assert_in_range(known, MANY * 99 / 100, MANY);
#if !defined(BELLHOP_SANITIZED)
    assert_in_range(after - before, 1, 32 * 1000 * 1000);
#endif
}

/* A flood of others displaces neither who is delayed nor who is known. */
static void test_washing_out(void **state)
{
    const struct step owner = {.times = 1,
                               .mailbox = "owner@a",
                               .remote = "192.0.2.1",
                               .password = "right",
                               .expected = GOOD};
    const struct step guesser = {.times = 5,
                                 .mailbox = "desk@a",
                                 .remote = "198.51.100.1",
                                 .password = "#",
                                 .expected = WRONG};
    struct throttle_wait wait;
    struct throttle_try try;

    (void)state;
    make_guesses(&owner, 7);
    make_guesses(&guesser, 7);
    flood("desk#@b", 0, 10 * MANY);
    prepare(&guesser, 9, 7, BEGIN + 1, &try);
    assert_int_equal(throttle_judge(throttle, &try, BEGIN + 1, &wait), THROTTLE_WAIT);
    prepare(&owner, 0, 7, BEGIN + 1, &try);
    assert_false(try.stranger);
}

/* What was being checked when it was displaced does no harm when it is done. */
static void test_displaced_in_flight(void **state)
{
    static struct throttle_try tries[3 * MANY];
    const struct step step = {.mailbox = "desk#@a", .remote = "-", .password = "guess#"};

    (void)state;
    for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        prepare(&step, i, 7, BEGIN, &tries[i]);
        throttle_begin(throttle, &tries[i], BEGIN);
    }
    for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
        throttle_note(throttle, &tries[i], i % 2 ? THROTTLE_GOOD : THROTTLE_UNDECIDED, BEGIN);
    make_guesses(one_guesser, 7);
    assert_int_equal(blocks(BEGIN).count, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_memory), /* first, before memory has been used and freed */
        TEST(test_scenarios),
        TEST(test_one_password_over_many_mailboxes),
        TEST(test_rate),
        TEST(test_own_mailboxes),
        TEST(test_at_once),
        TEST(test_list_and_lift),
        TEST(test_lift_ipv6),
        TEST(test_washing_out),
        TEST(test_displaced_in_flight),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
