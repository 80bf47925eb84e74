#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "authd/mechanism.h"

static bool is_name(const char *name, size_t length)
{
    return length > 0 && length <= MECHANISM_NAME_MAX && memchr(name, '\0', length) == NULL;
}

static bool is_password(const char *password, size_t length)
{
    return length > 0 && length <= MECHANISM_PASSWORD_MAX && memchr(password, '\0', length) == NULL;
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd */
static enum mechanism_result step_plain(struct exchange *exchange, const char *response,
                                        size_t length, struct mechanism_outcome *outcome_r)
{
    (void)exchange;
    if (response == NULL) {
        outcome_r->challenge = "";
        return MECHANISM_CHALLENGE;
    }
    const char *end = response + length;
    const char *name = memchr(response, '\0', length);
    if (name == NULL)
        return MECHANISM_MALFORMED;
    size_t authzid = (size_t)(name - response);
    name++;
    const char *password = memchr(name, '\0', (size_t)(end - name));
    if (password == NULL)
        return MECHANISM_MALFORMED;
    outcome_r->name = name;
    outcome_r->name_length = (size_t)(password - name);
    outcome_r->password = ++password;
    outcome_r->password_length = (size_t)(end - password);
    if (!is_name(name, outcome_r->name_length) ||
        !is_password(password, outcome_r->password_length))
        return MECHANISM_MALFORMED;
    if (authzid > 0 && (authzid != outcome_r->name_length || memcmp(response, name, authzid) != 0))
        return MECHANISM_AUTHZ;
    return MECHANISM_CREDENTIALS;
}

enum { LOGIN_BEGIN, LOGIN_NAME, LOGIN_PASSWORD };

/*
 * LOGIN is older than the RFCs and has none. Its clients compare these two challenges literally.
 * Some send the name as an initial response; an empty one is as good as none.
 */
static enum mechanism_result step_login(struct exchange *exchange, const char *response,
                                        size_t length, struct mechanism_outcome *outcome_r)
{
    if (exchange->step == LOGIN_BEGIN && length == 0) {
        exchange->step = LOGIN_NAME;
        outcome_r->challenge = "Username:";
        return MECHANISM_CHALLENGE;
    }
    if (exchange->step != LOGIN_PASSWORD) {
        if (!is_name(response, length))
            return MECHANISM_MALFORMED;
        memcpy(exchange->name, response, length);
        exchange->name_length = length;
        exchange->step = LOGIN_PASSWORD;
        outcome_r->challenge = "Password:";
        return MECHANISM_CHALLENGE;
    }
    outcome_r->name = exchange->name;
    outcome_r->name_length = exchange->name_length;
    outcome_r->password = response;
    outcome_r->password_length = length;
    return is_password(response, length) ? MECHANISM_CREDENTIALS : MECHANISM_MALFORMED;
}

enum { SCRAM_BEGIN, SCRAM_ASKED, SCRAM_LAST, SCRAM_TOLD };

static enum mechanism_result result_of(enum scram_result result)
{
    switch (result) {
    case SCRAM_GOOD: return MECHANISM_CHALLENGE;
    case SCRAM_AUTHZ: return MECHANISM_AUTHZ;
    case SCRAM_DOWNGRADE: return MECHANISM_DOWNGRADE;
    case SCRAM_WRONG: return MECHANISM_WRONG;
    case SCRAM_MALFORMED: break;
    }
    return MECHANISM_MALFORMED;
}

static enum mechanism_result begin_scram(struct exchange *exchange, const char *response,
                                         size_t length, struct mechanism_outcome *outcome_r,
                                         bool plus)
{
    enum scram_result result =
        scram_first(&exchange->scram, &outcome_r->first, exchange->name, sizeof(exchange->name),
                    response, length, exchange->bound ? exchange->binding : NULL, plus);
    exchange->step = SCRAM_LAST;
    outcome_r->name = exchange->name;
    outcome_r->name_length = outcome_r->first.name_length;
    return result == SCRAM_GOOD ? MECHANISM_NAME : result_of(result);
}

/*
 * RFC 5802 section 3. Neither SMTP nor POP3 sends anything with the good end, so the server's proof
 * is a challenge, which the client answers with nothing (RFC 4422 section 3.7).
 */
static enum mechanism_result step_any_scram(struct exchange *exchange, const char *response,
                                            size_t length, struct mechanism_outcome *outcome_r,
                                            bool plus)
{
    enum scram_result result;

    switch (exchange->step) {
    case SCRAM_BEGIN:
        if (response != NULL)
            return begin_scram(exchange, response, length, outcome_r, plus);
        exchange->step = SCRAM_ASKED;
        outcome_r->challenge = "";
        return MECHANISM_CHALLENGE;
    case SCRAM_ASKED: return begin_scram(exchange, response, length, outcome_r, plus);
    case SCRAM_LAST:
        exchange->step = SCRAM_TOLD;
        outcome_r->challenge = outcome_r->text;
        result = scram_last(&exchange->scram, response, length, outcome_r->text);
        return result == SCRAM_GOOD ? MECHANISM_FITS : result_of(result);
    default: return length == 0 ? MECHANISM_PROVED : MECHANISM_MALFORMED;
    }
}

static enum mechanism_result step_scram(struct exchange *exchange, const char *response,
                                        size_t length, struct mechanism_outcome *outcome_r)
{
    return step_any_scram(exchange, response, length, outcome_r, false);
}

static enum mechanism_result step_scram_plus(struct exchange *exchange, const char *response,
                                             size_t length, struct mechanism_outcome *outcome_r)
{
    return step_any_scram(exchange, response, length, outcome_r, true);
}

void mechanism_keys(struct exchange *exchange, const struct scramkeys *keys,
                    struct mechanism_outcome *outcome)
{
    char nonce[SCRAM_SERVER_NONCE_SIZE];

    scram_draw(nonce);
    scram_challenge(&exchange->scram, &outcome->first, keys, nonce, outcome->text);
    outcome->challenge = outcome->text;
}

enum { TOKEN_BEGIN, TOKEN_ASKED, TOKEN_REFUSED };

void mechanism_refuse(struct exchange *exchange)
{
    exchange->step = TOKEN_REFUSED;
}

/* What stands between the parts of a message (RFC 7628 section 3.1). */
#define KVSEP '\1'

struct words {
    const char *at;
    const char *end;
};

/* The words up to the next KVSEP; NULL at the end, or without one. */
static const char *next_words(struct words *words, size_t *length_r)
{
    const char *begin = words->at;
    const char *end = memchr(begin, KVSEP, (size_t)(words->end - begin));

    if (end == NULL)
        return NULL;
    *length_r = (size_t)(end - begin);
    words->at = end + 1;
    return begin;
}

static bool begins_with(const char *text, size_t length, const char *prefix)
{
    return length >= strlen(prefix) && strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* RFC 6750 section 2.1; once. */
static bool take_bearer(struct mechanism_outcome *outcome, const char *text, size_t length)
{
    static const char bearer[] = "auth=Bearer ";

    if (outcome->token != NULL || !begins_with(text, length, bearer))
        return false;
    outcome->token = text + sizeof(bearer) - 1;
    outcome->token_length = length - (sizeof(bearer) - 1);
    return outcome->token_length > 0 && memchr(outcome->token, '\0', outcome->token_length) == NULL;
}

/* *(key "=" value KVSEP) KVSEP, of which "auth" counts and must be there; "host" and "port" are
 * what the client thinks. */
static bool take_pairs(struct words *words, struct mechanism_outcome *outcome)
{
    const char *pair;
    size_t length = 0;

    while ((pair = next_words(words, &length)) != NULL && length > 0)
        if (begins_with(pair, length, "auth=") && !take_bearer(outcome, pair, length))
            return false;
    return pair != NULL && words->at == words->end && outcome->token != NULL;
}

/* RFC 5801 section 4: "=2C" is a comma and "=3D" is "=". Returns whether it is a name. */
static bool take_authzid(struct exchange *exchange, const char *text, size_t length)
{
    size_t size = 0;

    for (size_t i = 0; i < length; i++, size++) {
        if (size == sizeof(exchange->name) || text[i] == '\0' || text[i] == ',')
            return false;
        exchange->name[size] = text[i];
        if (text[i] != '=')
            continue;
        if (length - i < 3 ||
            (strncasecmp(text + i, "=2C", 3) != 0 && strncasecmp(text + i, "=3D", 3) != 0))
            return false;
        exchange->name[size] = text[i + 1] == '2' ? ',' : '=';
        i += 2;
    }
    exchange->name_length = size;
    return size > 0;
}

/*
 * gs2-header KVSEP *kvpair KVSEP. The name that the header may leave out (section 3.1 lets a server
 * ask for it) says whose issuers are believed. There is nothing to bind to.
 */
static enum mechanism_result take_oauthbearer(struct exchange *exchange, struct words *words,
                                              struct mechanism_outcome *outcome_r)
{
    size_t length;

    const char *header = next_words(words, &length);
    if (header == NULL || length < strlen("n,a=x,") || (header[0] != 'n' && header[0] != 'y') ||
        strncmp(header + 1, ",a=", 3) != 0 || header[length - 1] != ',' ||
        !take_authzid(exchange, header + 4, length - 5) || !take_pairs(words, outcome_r))
        return MECHANISM_MALFORMED;
    outcome_r->name = exchange->name;
    outcome_r->name_length = exchange->name_length;
    return MECHANISM_TOKEN;
}

/* "user=" name KVSEP "auth=Bearer " token KVSEP KVSEP, as Google and Microsoft document it. */
static enum mechanism_result take_xoauth2(struct exchange *exchange, struct words *words,
                                          struct mechanism_outcome *outcome_r)
{
    static const char prefix[] = "user=";
    size_t length;
    (void)exchange;

    const char *user = next_words(words, &length);
    if (user == NULL || !begins_with(user, length, prefix))
        return MECHANISM_MALFORMED;
    outcome_r->name = user + sizeof(prefix) - 1;
    outcome_r->name_length = length - (sizeof(prefix) - 1);
    return is_name(outcome_r->name, outcome_r->name_length) && take_pairs(words, outcome_r)
               ? MECHANISM_TOKEN
               : MECHANISM_MALFORMED;
}

/* Exim says an empty initial response where its client has sent none. */
static enum mechanism_result step_token(
    struct exchange *exchange, const char *response, size_t length,
    struct mechanism_outcome *outcome_r,
    enum mechanism_result (*take)(struct exchange *exchange, struct words *words,
                                  struct mechanism_outcome *outcome_r))
{
    if (exchange->step == TOKEN_REFUSED)
        return MECHANISM_REFUSED;
    if (exchange->step == TOKEN_BEGIN && length == 0) {
        exchange->step = TOKEN_ASKED;
        outcome_r->challenge = "";
        return MECHANISM_CHALLENGE;
    }
    struct words words = {response, response + length};
    return take(exchange, &words, outcome_r);
}

static enum mechanism_result step_oauthbearer(struct exchange *exchange, const char *response,
                                              size_t length, struct mechanism_outcome *outcome_r)
{
    return step_token(exchange, response, length, outcome_r, take_oauthbearer);
}

static enum mechanism_result step_xoauth2(struct exchange *exchange, const char *response,
                                          size_t length, struct mechanism_outcome *outcome_r)
{
    return step_token(exchange, response, length, outcome_r, take_xoauth2);
}

/* The scope that brings the usual claim; an issuer's text needs no escapes (db/issuer.h). */
#define SCOPE "\"scope\":\"openid email\""

/* RFC 7628 section 3.2.2 */
static void refuse_oauthbearer(char *text_r, size_t size, const char *issuer)
{
    const size_t length = strlen(issuer);
    const int kept = (int)(length > 0 && issuer[length - 1] == '/' ? length - 1 : length);

    if (kept == 0)
        snprintf(text_r, size, "{\"status\":\"invalid_token\"," SCOPE "}");
    else
        snprintf(text_r, size,
                 "{\"status\":\"invalid_token\"," SCOPE ",\"openid-configuration\":"
                 "\"%.*s/.well-known/openid-configuration\"}",
                 kept, issuer);
}

static void refuse_xoauth2(char *text_r, size_t size, const char *issuer)
{
    (void)issuer;
    snprintf(text_r, size, "{\"status\":\"401\",\"schemes\":\"bearer\"," SCOPE "}");
}

/* A client that takes the first that it knows takes one for which no keys need be there. */
const struct mechanism mechanisms[] = {
    {"PLAIN", "plaintext", false, NULL, step_plain},
    {"LOGIN", "plaintext", false, NULL, step_login},
    {"SCRAM-SHA-256", "mutual-auth", false, NULL, step_scram},
    {"SCRAM-SHA-256-PLUS", "mutual-auth\tchannel-binding", true, NULL, step_scram_plus},
    {"OAUTHBEARER", "plaintext", false, refuse_oauthbearer, step_oauthbearer},
    {"XOAUTH2", "plaintext", false, refuse_xoauth2, step_xoauth2},
    {NULL, NULL, false, NULL, NULL},
};

const struct mechanism *mechanism_find(const char *name)
{
    for (const struct mechanism *mechanism = mechanisms; mechanism->name != NULL; mechanism++)
        if (strcasecmp(mechanism->name, name) == 0)
            return mechanism;
    return NULL;
}
