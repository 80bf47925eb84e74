#include "lib/password.h"

#include <string.h>

#include <sodium.h>

#include "lib/apppassword.h"
#include "lib/saslprep.h"
#include "lib/text.h"

_Static_assert(STOREDHASH_MAX + 1 >= crypto_pwhash_STRBYTES, "a hash fits");

void password_wipe(struct password *password)
{
    sodium_memzero(password, sizeof(*password));
}

#define TOO_SHORT "the password is too short; take at least 8 characters"
#define TOO_LONG  "the password is too long; take at most 248 octets, as one line of POP3 takes"

_Static_assert(PASSWORD_LEAST == 8 && PASSWORD_MOST == 248, "the sentences say so");

static size_t count_characters(const char *text, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* What mail programs type must come to the same octets on each system. */
static const char *check_prepared(const char *text, size_t length)
{
    char prepared[SASLPREP_GROWTH * PASSWORD_MOST + 1];
    const char *error = NULL;

    long size = saslprep(prepared, sizeof(prepared), text, length);
    if (size < 0)
        error = "the password holds characters that mail programs cannot send alike (SASLprep, RFC "
                "4013: private or invisible ones, or mixed writing directions); take others";
    else if (count_characters(prepared, (size_t)size) < PASSWORD_LEAST)
        error = TOO_SHORT;
    else if (size > PASSWORD_MOST)
        error = TOO_LONG;
    sodium_memzero(prepared, sizeof(prepared));
    return error;
}

const char *password_check(const char *text, size_t length)
{
    uint8_t octets[APPPASSWORD_OCTETS];

    if (length > PASSWORD_MOST)
        return TOO_LONG;
    if (apppassword_parse(octets, text, length) == 0)
        return "the password has the form of an app password, and would be taken for one; take "
               "another";
    switch (text_check(text, length)) {
    case TEXT_GOOD: return length > 0 ? check_prepared(text, length) : TOO_SHORT;
    case TEXT_CONTROL:
        return "the password holds a control character (a tab or a newline, for example); take "
               "one without";
    case TEXT_NOT_UTF8: break;
    }
    return "the password is not valid UTF-8; type it on a terminal set to UTF-8";
}

void password_make(struct password *password_r, const uint8_t octets[PASSWORD_OCTETS])
{
    /* 32 characters, 5 bits each, none that looks like another one. */
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
    char *at = password_r->text;

    for (int i = 0; i < PASSWORD_OCTETS; i++) {
        if (i > 0 && i % 4 == 0)
            *at++ = '-';
        *at++ = alphabet[octets[i] % (sizeof(alphabet) - 1)];
    }
    *at = '\0';
    password_r->length = (size_t)(at - password_r->text);
}

void password_generate(struct password *password_r)
{
    uint8_t octets[PASSWORD_OCTETS];

    randombytes_buf(octets, sizeof(octets));
    password_make(password_r, octets);
    sodium_memzero(octets, sizeof(octets));
}

static int make_scram(struct password_kept *kept_r, const struct password_cost *cost,
                      const char *address, const char *prepared, size_t length)
{
    struct scramkeys keys;

    scramkeys_salt(keys.salt, cost->salt_secret, address);
    int result = scramkeys_make(&keys, prepared, length, SCRAMKEYS_ITERATIONS);
    if (result == 0)
        scramkeys_format(&keys, kept_r->scram);
    sodium_memzero(&keys, sizeof(keys));
    return result;
}

/* In the form in which authd compares it. password_check() has seen that it has one. */
int password_hash(struct password_kept *kept_r, const struct password_cost *cost,
                  const struct password *password, const char *address)
{
    char prepared[PASSWORD_MOST + 1];
    int result = -1;

    long length = saslprep(prepared, sizeof(prepared), password->text, password->length);
    if (length >= 0 && crypto_pwhash_str(kept_r->hash, prepared, (size_t)length, cost->operations,
                                         cost->memory) == 0)
        result = make_scram(kept_r, cost, address, prepared, (size_t)length);
    sodium_memzero(prepared, sizeof(prepared));
    return result;
}
