#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "authd/token.h"
#include "lib/address.h"

/* RFC 9068 section 2.1, RFC 7519 section 5.1. Anything else is a token for something else. */
static bool is_type(const char *type)
{
    static const char *const types[] = {"", "JWT", "at+jwt", "application/at+jwt"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcasecmp(types[i], type) == 0)
            return true;
    return false;
}

int token_parse(struct token *token_r, const char *text, size_t length, const char **fault_r)
{
    memset(token_r, 0, sizeof(*token_r));
    if (jws_parse(&token_r->jws, text, length, fault_r) < 0)
        goto fail;
    *fault_r = "it is a token for something else";
    if (!is_type(token_r->jws.type))
        goto fail;
    token_r->claims =
        json_loadb(token_r->jws.payload, token_r->jws.payload_length, JSON_REJECT_DUPLICATES, NULL);
    *fault_r = "it names no issuer";
    if (!json_is_string(json_object_get(token_r->claims, "iss")))
        goto fail;
    return 0;
fail:
    token_free(token_r);
    return -1;
}

void token_free(struct token *token)
{
    json_decref(token->claims);
    sodium_memzero(token, sizeof(*token));
}

const char *token_issuer(const struct token *token)
{
    return json_string_value(json_object_get(token->claims, "iss"));
}

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* RFC 7519 section 4.1.3: one, or an array of them. */
static bool is_for(const json_t *audience, const char *wanted)
{
    const json_t *each;
    size_t i;

    json_array_foreach(audience, i, each) if (is_text(each, wanted)) return true;
    return is_text(audience, wanted);
}

/* NumericDate: seconds, perhaps with a fraction. False: it is there and none. */
static bool read_time(const json_t *claims, const char *name, double missing, double *time_r)
{
    const json_t *time = json_object_get(claims, name);

    *time_r = time != NULL ? json_number_value(time) : missing;
    return time == NULL || json_is_number(time);
}

static const char *time_fault(const json_t *claims, double now)
{
    double expires;
    double begins;
    double issued;

    if (!read_time(claims, "exp", -1, &expires) || !read_time(claims, "nbf", 0, &begins) ||
        !read_time(claims, "iat", 0, &issued))
        return "its times are not numbers";
    if (expires < 0)
        return "it never expires";
    if (now >= expires + TOKEN_LEEWAY)
        return "it has expired";
    if (now < begins - TOKEN_LEEWAY || now < issued - TOKEN_LEEWAY)
        return "it is not good yet";
    return NULL;
}

/* What one writes so in another case, or with another form of the domain, is the same address. */
static bool is_address(const json_t *value, const char *wanted)
{
    struct address address;
    const char *error;

    return json_is_string(value) &&
           address_parse(&address, json_string_value(value), json_string_length(value), &error) ==
               0 &&
           strcmp(address.text, wanted) == 0;
}

/* Some issuers let their users write any address, and say here whether it is theirs. */
static bool is_verified(const json_t *verified)
{
    return verified == NULL || json_is_true(verified) || is_text(verified, "true");
}

const char *token_fault(const struct token *token, const struct token_rules *rules)
{
    const json_t *claims = token->claims;

    if (!is_for(json_object_get(claims, "aud"), rules->audience))
        return "it is for another service";
    /* Good only for who also shows a key or a certificate (RFC 7800), which nobody can here. */
    if (json_object_get(claims, "cnf") != NULL)
        return "it is bound to a key";
    if (!is_address(json_object_get(claims, rules->claim), rules->address))
        return "it is for another address";
    if (!is_verified(json_object_get(claims, "email_verified")))
        return "its address has not been verified";
    return time_fault(claims, (double)rules->now);
}
