#include <arpa/inet.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "authd/check.h"
#include "authd/client.h"
#include "authd/fields.h"
#include "authd/mechanism.h"
#include "authd/report.h"
#include "authd/request.h"
#include "authd/service.h"
#include "lib/capability.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* What is shown of a name in the log. */
#define LOG_NAME_MAX 320

struct request {
    unsigned id;
    UT_hash_handle hh;
    struct request_table *table;
    const struct mechanism *mechanism;
    struct exchange exchange;
    struct check check;
    char service[32]; /* as the client calls itself: for the log and for events */
    char rip[64];
    bool rip_is_address;
};

/* How a refusal is told; docs/DESIGN.md's three failures on this protocol. */
static const struct {
    const char *parameters;
    const char *reason; /* NULL: the client learns no more than that it failed */
    enum db_event_kind kind;
} refusals[] = {
    [CHECK_WRONG] = {"", NULL, DB_EVENT_REFUSED},
    [CHECK_DISABLED] = {"\tcode=user_disabled", "This account is suspended.", DB_EVENT_REFUSED},
    [CHECK_FORBIDDEN] = {"\tcode=authz_fail", "This account may not send mail.", DB_EVENT_REFUSED},
    [CHECK_DELAYED] = {"\ttemp\tcode=temp_fail", NULL, DB_EVENT_DELAYED}, /* see send_delay() */
    [CHECK_BUSY] = {"\ttemp\tcode=temp_fail", "Too many logins at once, try again later.",
                    DB_EVENT_DELAYED},
    [CHECK_BROKEN] = {"\ttemp\tcode=temp_fail", "Logins cannot be checked now, try again later.",
                      DB_EVENT_DELAYED},
};

/*
 * Copies what came from outside for a log line of key=value pairs: cut to size, without white
 * space, so that nobody can add a pair of his own.
 */
static void copy_word(char *word_r, size_t size, const char *text)
{
    size_t i = 0;

    for (; i < size - 1 && text[i] != '\0'; i++)
        word_r[i] = (unsigned char)text[i] > ' ' && text[i] != 0x7f ? text[i] : '?';
    word_r[i] = '\0';
}

/* The same of what nobody writes in another script than ASCII. */
static void copy_ascii(char *word_r, size_t size, const char *text)
{
    copy_word(word_r, size, text);
    for (; *word_r != '\0'; word_r++)
        if ((unsigned char)*word_r >= 0x80)
            *word_r = '?';
}

static bool is_ip_address(const char *text)
{
    struct in6_addr address;

    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static void request_free(struct request *request)
{
    HASH_DEL(request->table->requests, request);
    sodium_memzero(&request->exchange, sizeof(request->exchange));
    free(request);
}

static void send_failure(const struct request *request, const char *user, const char *parameters,
                         const char *reason)
{
    char escaped[FIELDS_ESCAPED_SIZE(MECHANISM_NAME_MAX)];

    fields_escape(escaped, user, strlen(user));
    client_answer(request->table->client, "FAIL\t%u%s%s%s%s%s\n", request->id,
                  escaped[0] != '\0' ? "\tuser=" : "", escaped, parameters,
                  reason != NULL ? "\treason=" : "", reason != NULL ? reason : "");
}

/* A response that is none: the client program's fault, so nobody's name is worth a line. */
static void refuse_response(struct request *request, const char *parameters, const char *reason)
{
    log_info("refused mechanism=%s rip=%s service=%s reason=%s", request->mechanism->name,
             request->rip, request->service, reason);
    send_failure(request, "", parameters, reason);
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

/* What the client has shown: the mailbox's password, or an app password by its name. */
static const char *credential_of(const struct check *check)
{
    return check->credential[0] != '\0' ? check->credential : "password";
}

static void send_success(const struct request *request)
{
    const struct check *check = &request->check;
    const uint8_t *key = request->table->service->key;
    struct capability capability = {
        .mailbox = check->mailbox, .delay = check->poll_seconds, .logout = check->logout};
    char text[CAPABILITY_TEXT_SIZE];
    char name[LOG_NAME_MAX];
    char credential[sizeof(check->credential)];

    copy_word(name, sizeof(name), check->address);
    copy_word(credential, sizeof(credential), credential_of(check));
    if (key == NULL) {
        log_info("login address=%s mailbox=%" PRIu64 " rip=%s service=%s mechanism=%s "
                 "credential=%s",
                 name, check->mailbox, request->rip, request->service, request->mechanism->name,
                 credential);
        client_answer(request->table->client, "OK\t%u\tuser=%s\n", request->id, check->address);
        return;
    }
    capability.session = next_session();
    capability.expires = (uint64_t)time(NULL) + CAPABILITY_LIFETIME;
    capability_seal(&capability, key);
    capability_format(&capability, text);
    log_info("login address=%s mailbox=%" PRIu64 " session=%016" PRIx64 " rip=%s service=%s "
             "mechanism=%s credential=%s",
             name, check->mailbox, capability.session, request->rip, request->service,
             request->mechanism->name, credential);
    client_answer(request->table->client, "OK\t%u\tuser=%s\tcap=%s\tretention=%u\tlang=%s\n",
                  request->id, check->address, text, check->retention_days,
                  language_code(check->language));
    sodium_memzero(text, sizeof(text));
    sodium_memzero(&capability, sizeof(capability));
}

/* What is no address of a mailbox's or of a customer's domain is nobody's event. */
static void report_result(const struct request *request, enum db_event_kind kind,
                          const char *reason)
{
    const struct check *check = &request->check;
    const struct report_event event = {
        .kind = kind,
        .customer = check->customer,
        .mailbox = check->mailbox,
        .address = check->address,
        .remote = request->rip_is_address ? request->rip : "",
        .protocol = request->service,
        .mechanism = request->mechanism->name,
        .credential = credential_of(check),
        .reason = reason,
    };

    if (check->is_address)
        report_event(request->table->service->report, &event);
}

/* `wait` is a field of our own, for the fronts. */
static void send_delay(const struct request *request)
{
    uint32_t seconds = request->check.seconds;
    char parameters[64];
    char reason[80];

    snprintf(parameters, sizeof(parameters), "%s\twait=%" PRIu32,
             refusals[CHECK_DELAYED].parameters, seconds);
    snprintf(reason, sizeof(reason), "Too many wrong passwords, try again in %" PRIu32 " second%s.",
             seconds, seconds == 1 ? "" : "s");
    send_failure(request, request->check.address, parameters, reason);
}

/* This wrong password was the one from which on there is a delay. */
static void report_delays(const struct request *request, const char *name)
{
    const struct check *check = &request->check;

    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        if ((check->delays & 1U << scope) == 0)
            continue;
        log_info("blocked address=%s mailbox=%" PRIu64 " rip=%s service=%s reason=%s", name,
                 check->mailbox, request->rip, request->service, throttle_reason(scope));
        report_result(request, DB_EVENT_BLOCKED, throttle_reason(scope));
    }
}

static void refuse(const struct request *request, enum check_result result)
{
    const struct check *check = &request->check;
    char name[LOG_NAME_MAX];

    /* What is not an address may be a password, typed into the wrong field. */
    copy_word(name, sizeof(name), check->is_address ? check->address : "-");
    log_info("refused address=%s mailbox=%" PRIu64 " rip=%s service=%s mechanism=%s reason=%s",
             name, check->mailbox, request->rip, request->service, request->mechanism->name,
             check->reason);
    if (result == CHECK_DELAYED)
        send_delay(request);
    else
        send_failure(request, check->address, refusals[result].parameters, refusals[result].reason);
    report_result(request, refusals[result].kind, check->reason);
    report_delays(request, name);
}

static void on_checked(struct check *check, enum check_result result)
{
    struct request *request =
        (struct request *)(void *)((char *)check - offsetof(struct request, check));

    if (result == CHECK_GOOD) {
        send_success(request);
        report_result(request, DB_EVENT_LOGIN, "");
    } else {
        refuse(request, result);
    }
    request_free(request);
}

static void refuse_authzid(struct request *request, const struct mechanism_outcome *outcome)
{
    char user[MECHANISM_NAME_MAX + 1];

    memcpy(user, outcome->name, outcome->name_length);
    user[outcome->name_length] = '\0';
    log_info("refused mechanism=%s rip=%s service=%s reason=asks to act for somebody else",
             request->mechanism->name, request->rip, request->service);
    send_failure(request, user, "\tcode=authz_fail", "Nobody can log in for somebody else here.");
    request_free(request);
}

static void send_challenge(const struct request *request, const char *challenge)
{
    char text[sodium_base64_ENCODED_LEN(SCRAM_MESSAGE_SIZE, sodium_base64_VARIANT_ORIGINAL)];

    sodium_bin2base64(text, sizeof(text), (const uint8_t *)challenge, strlen(challenge),
                      sodium_base64_VARIANT_ORIGINAL);
    client_answer(request->table->client, "CONT\t%u\t%s\n", request->id, text);
}

/* The name is known: on with what its owner has to prove. May free the request. */
static void give_keys(struct request *request, struct mechanism_outcome *outcome)
{
    struct scramkeys keys;

    if (check_keys(request->table->service->checker, &request->check, outcome->name,
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
        check_start(checker, &request->check, outcome.name, outcome.name_length, outcome.password,
                    outcome.password_length);
        break;
    case MECHANISM_NAME: give_keys(request, &outcome); break;
    case MECHANISM_PROVED:
    case MECHANISM_WRONG:
        check_proved(checker, &request->check, result == MECHANISM_PROVED,
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
    const char *service = fields_find(fields, count, 3, "service");
    const char *rip = fields_find(fields, count, 3, "rip");

    request->id = id;
    request->table = table;
    request->check.done = on_checked;
    copy_ascii(request->service, sizeof(request->service), service != NULL ? service : "-");
    copy_ascii(request->rip, sizeof(request->rip), rip != NULL ? rip : "-");
    request->rip_is_address = is_ip_address(request->rip);
    request->check.service = request->service;
    request->check.remote = request->rip_is_address ? request->rip : "";
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

int request_auth(struct request_table *table, char *fields[], int count, const char **error_r)
{
    unsigned id;

    *error_r = "AUTH without an id and a mechanism";
    if (count < 3 || fields_number(fields[1], &id) < 0)
        return -1;
    *error_r = "AUTH with the id of another request";
    if (request_find(table, fields[1]) != NULL)
        return -1;
    if (HASH_COUNT(table->requests) >= table->service->requests_max) {
        log_warning("a client of %s has %u requests open", table->service->name,
                    table->service->requests_max);
        client_answer(table->client, "FAIL\t%u%s\treason=%s\n", id, refusals[CHECK_BUSY].parameters,
                      refusals[CHECK_BUSY].reason);
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
    take_binding(request, fields_find(fields, count, 3, "cbind"));
    const char *response = fields_find(fields, count, 3, "resp");
    if (response != NULL)
        respond(request, response);
    else
        step(request, NULL, 0);
    return 0;
}

int request_continue(struct request_table *table, char *fields[], int count, const char **error_r)
{
    *error_r = "CONT without an id and a response";
    if (count != 3)
        return -1;
    struct request *request = request_find(table, fields[1]);
    *error_r = "CONT for a request that expects none";
    if (request == NULL || request->check.pending != NULL)
        return -1;
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
    check_cancel(table->service->checker, &request->check);
    request_free(request);
    return 0;
}

void request_cancel_all(struct request_table *table)
{
    struct request *request;
    struct request *next;

    HASH_ITER (hh, table->requests, request, next) {
        check_cancel(table->service->checker, &request->check);
        request_free(request);
    }
}
