#include <sodium.h>
#include <string.h>

#include "authd/typed.h"
#include "lib/saslprep.h"
#include "lib/storedhash.h"

void typed_prepare(struct typed *typed_r, const char *hash, const char *password, size_t length)
{
    struct storedhash stored;
    const char *error;

    long prepared = saslprep(typed_r->prepared, MECHANISM_PASSWORD_MAX + 1, password, length);
    typed_r->prepared_length = prepared > 0 ? (size_t)prepared : 0;
    typed_r->raw = password;
    typed_r->raw_length = 0;
    if (typed_r->prepared_length == length && memcmp(typed_r->prepared, password, length) == 0)
        return;
    /* What has no form is tried nevertheless: a quick "no" would tell that the hash is ours. */
    if (prepared <= 0 ||
        (storedhash_parse(&stored, hash, &error) == 0 && stored.kind != STOREDHASH_OWN))
        typed_r->raw_length = length;
    sodium_memzero(&stored, sizeof(stored));
}

static void add_part(crypto_generichash_state *state, const char *part, size_t length)
{
    uint32_t prefix = (uint32_t)length;

    crypto_generichash_update(state, (const uint8_t *)&prefix, sizeof(prefix));
    crypto_generichash_update(state, (const uint8_t *)part, length);
}

void typed_digest(const struct typed *typed, const char *address, const char *hash,
                  const uint8_t key[TYPED_KEY_SIZE], uint8_t digest_r[CACHE_DIGEST_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, key, TYPED_KEY_SIZE, CACHE_DIGEST_SIZE);
    add_part(&state, address, strlen(address));
    add_part(&state, hash, strlen(hash));
    add_part(&state, typed->prepared, typed->prepared_length);
    add_part(&state, typed->raw, typed->raw_length);
    crypto_generichash_final(&state, digest_r, CACHE_DIGEST_SIZE);
    sodium_memzero(&state, sizeof(state));
}
