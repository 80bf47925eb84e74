#include <stdbool.h>
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
        return result_of(scram_last(&exchange->scram, response, length, outcome_r->text));
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

/* A client that takes the first that it knows takes one for which no keys need be there. */
const struct mechanism mechanisms[] = {
    {"PLAIN", "plaintext", false, step_plain},
    {"LOGIN", "plaintext", false, step_login},
    {"SCRAM-SHA-256", "mutual-auth", false, step_scram},
    {"SCRAM-SHA-256-PLUS", "mutual-auth\tchannel-binding", true, step_scram_plus},
    {NULL, NULL, false, NULL},
};

const struct mechanism *mechanism_find(const char *name)
{
    for (const struct mechanism *mechanism = mechanisms; mechanism->name != NULL; mechanism++)
        if (strcasecmp(mechanism->name, name) == 0)
            return mechanism;
    return NULL;
}
