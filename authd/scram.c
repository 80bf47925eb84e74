#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authd/scram.h"

#define BINDING_NAME "tls-exporter"

/* The longest header that a last message repeats, with the binding behind it: a name of 512 octets
 * in which each is escaped. */
#define HEADER_MAX 2048

/* What is left of a message. */
struct cursor {
    const char *at;
    const char *end;
};

/* Part of a message. */
struct piece {
    const char *at;
    size_t length;
};

static bool take_octet(struct cursor *cursor, char octet)
{
    if (cursor->at == cursor->end || *cursor->at != octet)
        return false;
    cursor->at++;
    return true;
}

/* "X=value" up to a comma or the end; a value is never empty (attr-val). */
static bool take_value(struct cursor *cursor, char name, struct piece *value_r)
{
    if (!take_octet(cursor, name) || !take_octet(cursor, '='))
        return false;
    const char *comma = memchr(cursor->at, ',', (size_t)(cursor->end - cursor->at));
    value_r->at = cursor->at;
    cursor->at = comma != NULL ? comma : cursor->end;
    value_r->length = (size_t)(cursor->at - value_r->at);
    return value_r->length > 0 && memchr(value_r->at, '\0', value_r->length) == NULL;
}

static bool is_letter(char octet)
{
    return (octet >= 'A' && octet <= 'Z') || (octet >= 'a' && octet <= 'z');
}

/* An extension that is not mandatory means nothing to us. */
static bool take_extension(struct cursor *cursor)
{
    struct piece value;

    return cursor->at < cursor->end && is_letter(*cursor->at) && *cursor->at != 'm' &&
           take_value(cursor, *cursor->at, &value);
}

/* printable: what a nonce is made of. */
static bool is_printable(struct piece text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    return true;
}

/*
 * saslname: "=2C" and "=3D" stand for a comma and an equals sign, and no other "=" may come.
 * Returns the length, or 0 where it is none or does not fit.
 */
static size_t unescape(char *name_r, size_t size, struct piece text)
{
    size_t length = 0;

    for (size_t i = 0; i < text.length; i++) {
        char octet = text.at[i];
        if (octet == '=') {
            if (text.length - i < 3)
                return 0;
            if (memcmp(text.at + i, "=2C", 3) == 0)
                octet = ',';
            else if (memcmp(text.at + i, "=3D", 3) != 0)
                return 0;
            i += 2;
        }
        if (length == size)
            return 0;
        name_r[length++] = octet;
    }
    return length;
}

/*
 * gs2-cbind-flag, and whether it goes with the mechanism. Only the one binding is good, and only
 * where the channel has it.
 */
static enum scram_result take_flag(struct cursor *cursor, const uint8_t *binding, bool plus)
{
    struct piece name;

    if (plus)
        return binding != NULL && take_value(cursor, 'p', &name) &&
                       name.length == strlen(BINDING_NAME) &&
                       memcmp(name.at, BINDING_NAME, name.length) == 0
                   ? SCRAM_GOOD
                   : SCRAM_MALFORMED;
    if (take_octet(cursor, 'y'))
        return binding != NULL ? SCRAM_DOWNGRADE : SCRAM_GOOD;
    return take_octet(cursor, 'n') ? SCRAM_GOOD : SCRAM_MALFORMED;
}

/* The header up to its second comma. */
static enum scram_result take_header(struct cursor *cursor, struct piece *authzid_r,
                                     const uint8_t *binding, bool plus)
{
    enum scram_result result = take_flag(cursor, binding, plus);

    *authzid_r = (struct piece){0};
    if (result != SCRAM_GOOD)
        return result;
    if (!take_octet(cursor, ','))
        return SCRAM_MALFORMED;
    if (cursor->at < cursor->end && *cursor->at == 'a' && !take_value(cursor, 'a', authzid_r))
        return SCRAM_MALFORMED;
    return take_octet(cursor, ',') ? SCRAM_GOOD : SCRAM_MALFORMED;
}

/* client-first-message-bare. A mandatory extension in front is none that we know. */
static bool take_bare(struct cursor *cursor, struct piece *name_r, struct piece *nonce_r)
{
    if (!take_value(cursor, 'n', name_r) || !take_octet(cursor, ',') ||
        !take_value(cursor, 'r', nonce_r))
        return false;
    while (cursor->at < cursor->end)
        if (!take_octet(cursor, ',') || !take_extension(cursor))
            return false;
    return nonce_r->length <= SCRAM_CLIENT_NONCE_MAX && is_printable(*nonce_r);
}

/* What "c=" of the last message has to hold. */
static void keep_header(struct scram *scram, const char *header, size_t length,
                        const uint8_t *binding, bool plus)
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)header, length);
    if (plus)
        crypto_hash_sha256_update(&state, binding, SCRAM_BINDING_SIZE);
    crypto_hash_sha256_final(&state, scram->header);
}

enum scram_result scram_first(struct scram *scram, struct scram_first *first_r, char *name_r,
                              size_t size, const char *message, size_t length,
                              const uint8_t *binding, bool plus)
{
    struct cursor cursor = {message, message + length};
    struct piece authzid, name, nonce;

    enum scram_result result = take_header(&cursor, &authzid, binding, plus);
    if (result != SCRAM_GOOD)
        return result;
    first_r->bare = cursor.at;
    first_r->bare_length = (size_t)(cursor.end - cursor.at);
    keep_header(scram, message, length - first_r->bare_length, binding, plus);
    if (!take_bare(&cursor, &name, &nonce))
        return SCRAM_MALFORMED;
    first_r->name_length = unescape(name_r, size, name);
    if (first_r->name_length == 0)
        return SCRAM_MALFORMED;
    memcpy(scram->nonce, nonce.at, nonce.length);
    scram->nonce_length = nonce.length;
    if (authzid.length > 0 &&
        (authzid.length != name.length || memcmp(authzid.at, name.at, name.length) != 0))
        return SCRAM_AUTHZ;
    return SCRAM_GOOD;
}

/* AuthMessage is both sides' messages with commas between them. */
static void take_in(struct scram *scram, const char *text, size_t length)
{
    crypto_auth_hmacsha256_update(&scram->client, (const uint8_t *)text, length);
    crypto_auth_hmacsha256_update(&scram->server, (const uint8_t *)text, length);
}

void scram_draw(char nonce_r[SCRAM_SERVER_NONCE_SIZE])
{
    uint8_t drawn[SCRAM_SERVER_NONCE_OCTETS];

    randombytes_buf(drawn, sizeof(drawn));
    sodium_bin2base64(nonce_r, SCRAM_SERVER_NONCE_SIZE, drawn, sizeof(drawn),
                      sodium_base64_VARIANT_ORIGINAL);
}

void scram_challenge(struct scram *scram, const struct scram_first *first,
                     const struct scramkeys *keys, const char *nonce,
                     char message_r[SCRAM_MESSAGE_SIZE])
{
    size_t nonce_length = strlen(nonce);
    char salt[sodium_base64_ENCODED_LEN(SCRAMKEYS_SALT_SIZE, sodium_base64_VARIANT_ORIGINAL)];

    memcpy(scram->nonce + scram->nonce_length, nonce, nonce_length);
    scram->nonce_length += nonce_length;
    sodium_bin2base64(salt, sizeof(salt), keys->salt, sizeof(keys->salt),
                      sodium_base64_VARIANT_ORIGINAL);
    int length = snprintf(message_r, SCRAM_MESSAGE_SIZE, "r=%.*s,s=%s,i=%" PRIu32,
                          (int)scram->nonce_length, scram->nonce, salt, keys->iterations);
    memcpy(scram->stored_key, keys->stored_key, sizeof(scram->stored_key));
    crypto_auth_hmacsha256_init(&scram->client, keys->stored_key, sizeof(keys->stored_key));
    crypto_auth_hmacsha256_init(&scram->server, keys->server_key, sizeof(keys->server_key));
    take_in(scram, first->bare, first->bare_length);
    take_in(scram, ",", 1);
    take_in(scram, message_r, (size_t)length);
    take_in(scram, ",", 1);
}

static bool is_header(const struct scram *scram, struct piece base64)
{
    uint8_t header[HEADER_MAX];
    uint8_t digest[crypto_hash_sha256_BYTES];
    size_t length;

    if (sodium_base642bin(header, sizeof(header), base64.at, base64.length, NULL, &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    crypto_hash_sha256(digest, header, length);
    return sodium_memcmp(digest, scram->header, sizeof(digest)) == 0;
}

/*
 * client-final-message. Its end without the proof goes to without_r. The proof must be in base64;
 * whether it fits is not asked here.
 */
static enum scram_result take_last(const struct scram *scram, struct cursor cursor,
                                   struct piece *without_r, uint8_t proof_r[SCRAMKEYS_KEY_SIZE])
{
    struct piece header, nonce, proof;
    size_t size;

    without_r->at = cursor.at;
    if (!take_value(&cursor, 'c', &header) || !take_octet(&cursor, ',') ||
        !take_value(&cursor, 'r', &nonce))
        return SCRAM_MALFORMED;
    without_r->length = (size_t)(cursor.at - without_r->at);
    while (take_octet(&cursor, ',') && cursor.at < cursor.end && *cursor.at != 'p') {
        if (!take_extension(&cursor))
            return SCRAM_MALFORMED;
        without_r->length = (size_t)(cursor.at - without_r->at);
    }
    if (!take_value(&cursor, 'p', &proof) || cursor.at != cursor.end ||
        sodium_base642bin(proof_r, SCRAMKEYS_KEY_SIZE, proof.at, proof.length, NULL, &size, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        size != SCRAMKEYS_KEY_SIZE)
        return SCRAM_MALFORMED;
    if (nonce.length != scram->nonce_length || memcmp(nonce.at, scram->nonce, nonce.length) != 0 ||
        !is_header(scram, header))
        return SCRAM_WRONG;
    return SCRAM_GOOD;
}

/* RFC 5802 section 3: ClientProof is ClientKey XOR ClientSignature, StoredKey is H(ClientKey). */
static bool fits(struct scram *scram, const uint8_t proof[SCRAMKEYS_KEY_SIZE])
{
    uint8_t client_key[SCRAMKEYS_KEY_SIZE];
    uint8_t stored_key[SCRAMKEYS_KEY_SIZE];

    crypto_auth_hmacsha256_final(&scram->client, client_key);
    for (size_t i = 0; i < sizeof(client_key); i++)
        client_key[i] ^= proof[i];
    crypto_hash_sha256(stored_key, client_key, sizeof(client_key));
    sodium_memzero(client_key, sizeof(client_key));
    return sodium_memcmp(stored_key, scram->stored_key, sizeof(stored_key)) == 0;
}

enum scram_result scram_last(struct scram *scram, const char *message, size_t length,
                             char message_r[SCRAM_MESSAGE_SIZE])
{
    uint8_t octets[SCRAMKEYS_KEY_SIZE];
    struct piece without;

    enum scram_result result =
        take_last(scram, (struct cursor){message, message + length}, &without, octets);
    if (result != SCRAM_GOOD)
        return result;
    take_in(scram, without.at, without.length);
    if (!fits(scram, octets))
        return SCRAM_WRONG;
    crypto_auth_hmacsha256_final(&scram->server, octets);
    memcpy(message_r, "v=", 2);
    sodium_bin2base64(message_r + 2, SCRAM_MESSAGE_SIZE - 2, octets, sizeof(octets),
                      sodium_base64_VARIANT_ORIGINAL);
    return SCRAM_GOOD;
}
