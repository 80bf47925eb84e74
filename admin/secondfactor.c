#include <ctype.h>
#include <sodium.h>
#include <string.h>

#include "admin/secondfactor.h"
#include "db/secondfactor.h"

#define WAIT_LEAST 60
#define WAIT_MOST  3600

/* Octets of a code as it is compared: no spaces, no dashes. */
#define TYPED_MAX 16

static enum second_factor_result result_of(enum db_result result)
{
    switch (result) {
    case DB_OK: return SECOND_FACTOR_GOOD;
    case DB_NONE: return SECOND_FACTOR_NONE;
    case DB_TAKEN: return SECOND_FACTOR_TAKEN;
    case DB_BUSY: return SECOND_FACTOR_BUSY;
    default: return SECOND_FACTOR_BROKEN;
    }
}

enum second_factor_result second_factor_begin(struct db *db, const struct db_person *person,
                                              uint8_t secret_r[TOTP_SECRET_SIZE])
{
    _Static_assert(TOTP_SECRET_SIZE == DB_SECOND_FACTOR_SECRET_SIZE, "one size");
    randombytes_buf(secret_r, TOTP_SECRET_SIZE);
    return result_of(db_second_factor_begin(db, person, secret_r));
}

/* Leaves out what people type between groups. False: it is too long for a code. */
static bool compact(const char *text, char typed_r[TYPED_MAX + 1])
{
    size_t length = 0;

    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '-')
            continue;
        if (length == TYPED_MAX)
            return false;
        typed_r[length++] = (char)tolower((unsigned char)*text);
    }
    typed_r[length] = '\0';
    return true;
}

static void make_digest(const char *typed, uint8_t digest_r[DB_DIGEST_SIZE])
{
    crypto_generichash(digest_r, DB_DIGEST_SIZE, (const uint8_t *)typed, strlen(typed), NULL, 0);
}

/* 80 random bits; no letter that is easily taken for another. */
static void draw_code(char code_r[SECOND_FACTOR_RECOVERY_CODE_SIZE])
{
    static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz023456789";
    _Static_assert(sizeof(alphabet) - 1 == 32, "five bits a letter");

    for (size_t i = 0; i < SECOND_FACTOR_RECOVERY_CODE_SIZE - 1; i++)
        code_r[i] = i % 5 == 4 ? '-' : alphabet[randombytes_uniform(sizeof(alphabet) - 1)];
    code_r[SECOND_FACTOR_RECOVERY_CODE_SIZE - 1] = '\0';
}

static enum db_result set_recovery_codes(struct db *db, const struct db_person *person,
                                         second_factor_recovery_codes codes_r)
{
    uint8_t digests[SECOND_FACTOR_RECOVERY_CODES][DB_DIGEST_SIZE];
    char typed[TYPED_MAX + 1];

    for (unsigned i = 0; i < SECOND_FACTOR_RECOVERY_CODES; i++) {
        draw_code(codes_r[i]);
        compact(codes_r[i], typed);
        make_digest(typed, digests[i]);
    }
    sodium_memzero(typed, sizeof(typed));
    return db_second_factor_recovery_codes(db, person, digests, SECOND_FACTOR_RECOVERY_CODES);
}

/* Takes what was typed, whichever it is. DB_NONE: it is wrong, or was taken before. */
static enum db_result take(struct db *db, const struct db_person *person,
                           const struct db_second_factor *factor, const char *text, uint64_t now)
{
    char typed[TYPED_MAX + 1];
    uint8_t digest[DB_DIGEST_SIZE];
    enum db_result result = DB_NONE;

    if (!compact(text, typed))
        return DB_NONE;
    uint64_t step = totp_step(factor->secret, typed, now);
    if (step > 0) {
        result = db_second_factor_take(db, person, step);
    } else if (strlen(typed) == TYPED_MAX && factor->confirmed != 0) {
        make_digest(typed, digest);
        result = db_second_factor_recover(db, person, digest);
        if (result == DB_OK && factor->wrong > 0)
            result = db_second_factor_wrong(db, person, 0, 0);
    }
    sodium_memzero(typed, sizeof(typed));
    return result;
}

static enum db_result note_wrong(struct db *db, const struct db_person *person,
                                 const struct db_second_factor *factor, uint64_t now,
                                 uint64_t *wait_r)
{
    unsigned wrong = factor->wrong + 1;
    uint64_t wait = WAIT_LEAST;

    if (wrong < SECOND_FACTOR_TRIES)
        return db_second_factor_wrong(db, person, wrong, 0);
    for (unsigned i = SECOND_FACTOR_TRIES; i < wrong && wait < WAIT_MOST; i++)
        wait *= 2;
    *wait_r = wait < WAIT_MOST ? wait : WAIT_MOST;
    return db_second_factor_wrong(db, person, wrong, now + *wait_r);
}

/* Nobody waits for longer than the longest time: the clock was ahead then, and has been set right.
 */
static bool is_blocked(const struct db_second_factor *factor, uint64_t now)
{
    return now < factor->blocked && factor->blocked - now <= WAIT_MOST;
}

static enum second_factor_result judge(struct db *db, const struct db_person *person,
                                       const char *text, uint64_t now, uint64_t *wait_r)
{
    struct db_second_factor factor;
    enum second_factor_result judged = SECOND_FACTOR_GOOD;

    *wait_r = 0;
    enum db_result result = db_second_factor_find(db, person, &factor);
    if (result == DB_OK && is_blocked(&factor, now)) {
        *wait_r = factor.blocked - now;
        judged = SECOND_FACTOR_WAIT;
    } else if (result == DB_OK) {
        result = take(db, person, &factor, text, now);
        if (result == DB_NONE) {
            result = note_wrong(db, person, &factor, now, wait_r);
            judged = SECOND_FACTOR_WRONG;
        }
    }
    sodium_memzero(factor.secret, sizeof(factor.secret));
    return result == DB_OK ? judged : result_of(result);
}

static bool is_confirmed(struct db *db, const struct db_person *person)
{
    struct db_second_factor factor;

    enum db_result result = db_second_factor_find(db, person, &factor);
    sodium_memzero(factor.secret, sizeof(factor.secret));
    return result == DB_OK && factor.confirmed != 0;
}

enum second_factor_result second_factor_confirm(struct db *db, const struct db_person *person,
                                                const char *code, uint64_t now,
                                                second_factor_recovery_codes codes_r)
{
    uint64_t wait;

    if (is_confirmed(db, person))
        return SECOND_FACTOR_TAKEN;
    enum second_factor_result judged = judge(db, person, code, now, &wait);
    if (judged != SECOND_FACTOR_GOOD)
        return judged;
    enum db_result result = db_second_factor_confirm(db, person, now);
    if (result == DB_OK)
        result = set_recovery_codes(db, person, codes_r);
    return result_of(result);
}

enum second_factor_result second_factor_check(struct db *db, const struct db_person *person,
                                              const char *text, uint64_t now, uint64_t *wait_r)
{
    *wait_r = 0;
    return is_confirmed(db, person) ? judge(db, person, text, now, wait_r) : SECOND_FACTOR_NONE;
}

enum second_factor_result second_factor_renew(struct db *db, const struct db_person *person,
                                              second_factor_recovery_codes codes_r)
{
    return is_confirmed(db, person) ? result_of(set_recovery_codes(db, person, codes_r))
                                    : SECOND_FACTOR_NONE;
}

enum second_factor_result second_factor_remove(struct db *db, const struct db_person *person)
{
    return result_of(db_second_factor_remove(db, person));
}
