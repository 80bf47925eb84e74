#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "authd/client.h"
#include "authd/fields.h"
#include "authd/login.h"
#include "authd/mechanism.h"
#include "authd/request.h"
#include "authd/service.h"
#include "lib/capability.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"

struct request {
    unsigned id;
    UT_hash_handle hh;
    struct request_table *table;
    uint32_t since; /* seconds; its client's last word */
    const struct mechanism *mechanism;
    struct exchange exchange;
    struct login login;
};

/* How a refusal is told; docs/DESIGN.md's three failures on this protocol. */
#define TEMPORARY "\ttemp\tcode=temp_fail"

static const char *const parameters[] = {
    [CHECK_WRONG] = "",
    [CHECK_DISABLED] = "\tcode=user_disabled",
    [CHECK_FORBIDDEN] = "\tcode=authz_fail",
    [CHECK_DELAYED] = TEMPORARY, /* see refuse() */
    [CHECK_BUSY] = TEMPORARY,
    [CHECK_BROKEN] = TEMPORARY,
};

static void request_free(struct request *request)
{
    HASH_DEL(request->table->requests, request);
    sodium_memzero(&request->exchange, sizeof(request->exchange));
    free(request);
}

static void send_failure(const struct request *request, const char *user, const char *how,
                         const char *reason)
{
    char escaped[FIELDS_ESCAPED_SIZE(MECHANISM_NAME_MAX)];

    fields_escape(escaped, user, strlen(user));
    client_answer(request->table->client, "FAIL\t%u%s%s%s%s%s\n", request->id,
                  escaped[0] != '\0' ? "\tuser=" : "", escaped, how,
                  reason[0] != '\0' ? "\treason=" : "", reason);
}

/* A response that is none: the client program's fault, so nobody's name is worth a line. */
static void refuse_response(struct request *request, const char *how, const char *reason)
{
    login_malformed(&request->login, reason);
    send_failure(request, "", how, reason);
    request_free(request);
}

/* It only has to be another one than any other: a draw for each would be a system call for each. */
static uint64_t next_session(void)
{
    static uint64_t last;

    if (last == 0)
        randombytes_buf(&last, sizeof(last));
    return ++last;
}

static void send_success(const struct request *request)
{
    const struct service *service = request->table->service;
    const struct check *check = &request->login.check;
    struct capability capability = {
        .mailbox = check->mailbox, .delay = check->poll_seconds, .logout = check->logout};
    char text[CAPABILITY_TEXT_SIZE];

    if (service->key == NULL) {
        login_granted(&request->login, service->report, 0);
        client_answer(request->table->client, "OK\t%u\tuser=%s\n", request->id, check->address);
        return;
    }
    capability.session = next_session();
    capability.expires = (uint64_t)time(NULL) + CAPABILITY_LIFETIME;
    capability_seal(&capability, service->key);
    capability_format(&capability, text);
    login_granted(&request->login, service->report, capability.session);
    client_answer(request->table->client, "OK\t%u\tuser=%s\tcap=%s\tretention=%u\tlang=%s\n",
                  request->id, check->address, text, check->retention_days,
                  language_code(check->language));
    sodium_memzero(text, sizeof(text));
    sodium_memzero(&capability, sizeof(capability));
}

/* Octets of what a refused token's client is told, with a NUL: more than any other challenge. */
#define CHALLENGE_MAX 512

static void send_challenge(const struct request *request, const char *challenge)
{
    char text[sodium_base64_ENCODED_LEN(CHALLENGE_MAX, sodium_base64_VARIANT_ORIGINAL)];

    sodium_bin2base64(text, sizeof(text), (const uint8_t *)challenge, strlen(challenge),
                      sodium_base64_VARIANT_ORIGINAL);
    client_answer(request->table->client, "CONT\t%u\t%s\n", request->id, text);
}

/* RFC 7628 section 3.2.3: in JSON first. The exchange is over when the client has answered that. */
static void refuse_token(struct request *request)
{
    const struct service *service = request->table->service;
    char issuer[DB_ISSUER_MAX + 1];
    char text[CHALLENGE_MAX];

    login_refused(&request->login, service->report, CHECK_WRONG);
    checker_issuer(service->checker, &request->login.check, issuer);
    request->mechanism->refusal(text, sizeof(text), issuer);
    mechanism_refuse(&request->exchange);
    send_challenge(request, text);
}

/* Whether another one is being checked, and not only waits for its client. */
static bool has_company(const struct request *request)
{
    const struct request *other;

    for (other = request->table->requests; other != NULL; other = other->hh.next)
        if (other != request && other->login.check.pending != NULL)
            return true;
    return false;
}

/*
 * Whether the client's connection ends instead of an answer. Postfix 3.7 and Exim 4.96 make the
 * refusal of a wrong password of every FAIL, whatever it says, and a temporary one of a lost
 * connection. They have one request on each, and Postfix others that its clients have broken off,
 * for it does not say CANCEL.
 */
static bool hangs_up(const struct request *request, enum check_result result)
{
    const struct request_table *table = request->table;

    return table->service->hangs_up && strcmp(parameters[result], TEMPORARY) == 0 &&
           !has_company(request) && client_hang_up(table->client);
}

/* `wait` is a field of our own, for the fronts. */
static void refuse(const struct request *request, enum check_result result)
{
    const struct login *login = &request->login;
    char reason[LOGIN_REASON_SIZE];
    char how[64];

    login_refused(login, request->table->service->report, result);
    if (hangs_up(request, result))
        return;
    login_reason(login, result, reason);
    snprintf(how, sizeof(how), "%s", parameters[result]);
    if (result == CHECK_DELAYED)
        snprintf(how, sizeof(how), "%s\twait=%" PRIu32, parameters[result], login->check.seconds);
    send_failure(request, login->check.address, how, reason);
}

static void on_checked(struct check *check, enum check_result result)
{
    struct request *request =
        (struct request *)(void *)((char *)check - offsetof(struct request, login.check));

    if (result == CHECK_WRONG && request->mechanism->refusal != NULL) {
        refuse_token(request);
        return;
    }
    if (result == CHECK_GOOD)
        send_success(request);
    else
        refuse(request, result);
    request_free(request);
}

static void refuse_authzid(struct request *request, const struct mechanism_outcome *outcome)
{
    char user[MECHANISM_NAME_MAX + 1];

    memcpy(user, outcome->name, outcome->name_length);
    user[outcome->name_length] = '\0';
    login_malformed(&request->login, "asks to act for somebody else");
    send_failure(request, user, "\tcode=authz_fail", "Nobody can log in for somebody else here.");
    request_free(request);
}

/* The name is known: on with what its owner has to prove. May free the request. */
static void give_keys(struct request *request, struct mechanism_outcome *outcome)
{
    struct scramkeys keys;

    if (check_keys(request->table->service->checker, &request->login.check, outcome->name,
                   outcome->name_length, &keys) < 0)
        return;
    mechanism_keys(&request->exchange, &keys, outcome);
    sodium_memzero(&keys, sizeof(keys));
    send_challenge(request, outcome->challenge);
}

/* Makes one step. `response` is NULL where there is none. May free the request. */
static void step(struct request *request, const char *response, size_t length)
{
    struct checker *checker = request->table->service->checker;
    struct mechanism_outcome outcome = {0};

    enum mechanism_result result =
        request->mechanism->step(&request->exchange, response, length, &outcome);
    switch (result) {
    case MECHANISM_CHALLENGE: send_challenge(request, outcome.challenge); break;
    case MECHANISM_CREDENTIALS:
        check_start(checker, &request->login.check, outcome.name, outcome.name_length,
                    outcome.password, outcome.password_length);
        break;
    case MECHANISM_TOKEN:
        check_token(checker, &request->login.check, outcome.name, outcome.name_length,
                    outcome.token, outcome.token_length);
        break;
    case MECHANISM_REFUSED:
        send_failure(request, request->login.check.address, parameters[CHECK_WRONG], "");
        request_free(request);
        break;
    case MECHANISM_NAME: give_keys(request, &outcome); break;
    case MECHANISM_FITS:
        if (check_may_know(checker, &request->login.check) == 0)
            send_challenge(request, outcome.challenge);
        break;
    case MECHANISM_PROVED:
    case MECHANISM_WRONG:
        check_proved(checker, &request->login.check, result == MECHANISM_PROVED,
                     request->exchange.scram.stored_key);
        break;
    case MECHANISM_AUTHZ: refuse_authzid(request, &outcome); break;
    case MECHANISM_DOWNGRADE:
        refuse_response(request, "\tcode=malformed",
                        "Your program was not shown SCRAM-SHA-256-PLUS, which is offered here.");
        break;
    case MECHANISM_MALFORMED:
        refuse_response(request, "\tcode=malformed",
                        "The login data is not what this mechanism sends.");
        break;
    }
}

/* Decodes a response and makes a step with it. May free the request. */
static void respond(struct request *request, const char *base64)
{
    char response[CLIENT_LINE_MAX];
    size_t length;

    if (sodium_base642bin((uint8_t *)response, sizeof(response), base64, strlen(base64), NULL,
                          &length, NULL, sodium_base64_VARIANT_ORIGINAL) == 0) {
        step(request, response, length);
        sodium_memzero(response, length);
    } else {
        sodium_memzero(response, sizeof(response));
        refuse_response(request, "\tcode=invalid_base64", "The login data is not base64.");
    }
}

static struct request *request_find(const struct request_table *table, const char *text)
{
    struct request *request = NULL;
    unsigned id;

    if (fields_number(text, &id) == 0)
        HASH_FIND(hh, table->requests, &id, sizeof(id), request);
    return request;
}

static struct request *request_new(struct request_table *table, unsigned id, char *fields[],
                                   int count)
{
    struct request *request = xcalloc(1, sizeof(*request));

    request->id = id;
    request->table = table;
    request->since = clock_seconds();
    request->login.check.done = on_checked;
    login_init(&request->login, fields_find(fields, count, 3, "service"),
               fields_find(fields, count, 3, "rip"));
    HASH_ADD(hh, table->requests, id, sizeof(request->id), request);
    return request;
}

/* What a front's client can bind to. One that is no such thing is none. */
static void take_binding(struct request *request, const char *base64)
{
    struct exchange *exchange = &request->exchange;
    size_t length;

    exchange->bound =
        base64 != NULL && request->table->service->binds &&
        sodium_base642bin(exchange->binding, sizeof(exchange->binding), base64, strlen(base64),
                          NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
        length == sizeof(exchange->binding);
}

/* Whether there is room for one more, which the oldest may have to make that its client left. */
static bool make_room(struct request_table *table)
{
    struct request *oldest = table->requests; /* in the order in which they came */

    if (HASH_COUNT(table->requests) < table->service->requests_max)
        return true;
    while (oldest != NULL && oldest->login.check.pending != NULL)
        oldest = oldest->hh.next;
    if (oldest == NULL || !table->service->expires)
        return false;
    request_free(oldest);
    return true;
}

int request_auth(struct request_table *table, char *fields[], int count, const char **error_r)
{
    static const struct login nobody;
    char reason[LOGIN_REASON_SIZE];
    unsigned id;

    *error_r = "AUTH without an id and a mechanism";
    if (count < 3 || fields_number(fields[1], &id) < 0)
        return -1;
    *error_r = "AUTH with the id of another request";
    if (request_find(table, fields[1]) != NULL)
        return -1;
    if (!make_room(table)) {
        login_reason(&nobody, CHECK_BUSY, reason);
        log_warning("a client of %s has %u requests open", table->service->name,
                    table->service->requests_max);
        client_answer(table->client, "FAIL\t%u%s\treason=%s\n", id, parameters[CHECK_BUSY], reason);
        return 0;
    }
    const struct mechanism *mechanism = mechanism_find(fields[2]);
    if (mechanism == NULL || (mechanism->binds && !table->service->binds)) {
        log_info("refused service=%s reason=there is no such mechanism", table->service->name);
        client_answer(table->client, "FAIL\t%u\treason=There is no such mechanism here.\n", id);
        return 0;
    }
    struct request *request = request_new(table, id, fields, count);
    request->mechanism = mechanism;
    request->login.mechanism = mechanism->name;
    take_binding(request, fields_find(fields, count, 3, "cbind"));
    const char *response = fields_find(fields, count, 3, "resp");
    if (response == NULL || (response[0] == '\0' && table->service->asks))
        step(request, NULL, 0);
    else
        respond(request, response);
    return 0;
}

int request_continue(struct request_table *table, char *fields[], int count, const char **error_r)
{
    *error_r = "CONT without an id and a response";
    if (count != 3)
        return -1;
    struct request *request = request_find(table, fields[1]);
    *error_r = "CONT for a request that expects none";
    if (request == NULL || request->login.check.pending != NULL)
        return -1;
    request->since = clock_seconds();
    respond(request, fields[2]);
    return 0;
}

int request_cancel(struct request_table *table, char *fields[], int count, const char **error_r)
{
    unsigned id;

    *error_r = "CANCEL without an id";
    if (count != 2 || fields_number(fields[1], &id) < 0)
        return -1;
    /* It may have been answered while the line was on its way. */
    struct request *request = request_find(table, fields[1]);
    if (request == NULL)
        return 0;
    check_cancel(table->service->checker, &request->login.check);
    request_free(request);
    return 0;
}

void request_expire(struct request_table *table, uint32_t now)
{
    struct request *request;
    struct request *next;

    HASH_ITER (hh, table->requests, request, next) {
        if (request->login.check.pending == NULL && now - request->since >= REQUEST_SECONDS)
            request_free(request);
    }
}

void request_cancel_all(struct request_table *table)
{
    struct request *request;
    struct request *next;

    HASH_ITER (hh, table->requests, request, next) {
        check_cancel(table->service->checker, &request->login.check);
        request_free(request);
    }
}
