#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/networks.h"
#include "lib/xalloc.h"
#include "pop3d/login.h"
#include "pop3d/server.h"
#include "pop3d/tlsbinding.h"

void login_forget_user(struct session *session)
{
    free(session->user);
    session->user = NULL;
}

enum reply login_stls(struct session *session, const struct words *words)
{
    (void)words;
    if (session->tls != NULL)
        return REPLY_TLS_ACTIVE;
    /* RFC 6856 section 2.1 forbids it to the client. */
    if (session->utf8)
        return REPLY_UTF8_ACTIVE;
    session_begin_tls(session);
    return REPLY_BEGIN_TLS;
}

enum reply login_user(struct session *session, const struct words *words)
{
    login_forget_user(session);
    if (words->arguments[0][0] == '\0')
        return REPLY_ARGUMENTS;
    session->user = xstrdup(words->arguments[0]);
    return REPLY_SEND_PASSWORD;
}

/* The login did not succeed, for whatever reason; `reply` tells the client which. */
static enum reply refuse(struct session *session, enum reply reply)
{
    char line[REPLY_LINE_MAX];

    session->state = SESSION_AUTHORIZATION;
    session->wait = SESSION_READY;
    maildrop_clear(&session->maildrop);
    metric_add(METRIC_POP3_LOGIN_FAILURES, 1);
    reply_format(line, reply, tongue_get(0), session->told_seconds);
    log_info("session=%016" PRIx64 " address=%s login refused: %s", session->id, session->peer.text,
             line);
    return reply;
}

static enum reply open_mailbox(struct session *session, const struct capability *capability)
{
    struct store_open open = {.capability = *capability};
    struct in6_addr remote;

    session->id = capability->session;
    session->mailbox = capability->mailbox;
    session->delay = capability->delay;
    session->state = SESSION_AUTHORIZATION;
    session->wait = SESSION_OPENING;
    if (networks_parse_address(&remote, session->peer.text) == 0)
        memcpy(open.remote, &remote, sizeof(open.remote));
    if (session->tls != NULL)
        open.tls = (uint16_t)SSL_version(session->tls);
    int opened = storeclient_open(session->server->store, &session->store, &session_store_events,
                                  session, &open);
    sodium_memzero(&open, sizeof(open));
    if (opened < 0)
        return refuse(session, REPLY_LOGIN_UNAVAILABLE);
    return REPLY_LATER;
}

static enum reply ask_client(struct session *session, const char *challenge)
{
    session->state = SESSION_RESPONSE;
    session->wait = SESSION_READY;
    reply_add_challenge(session_output(session), challenge, strlen(challenge));
    return REPLY_SENT;
}

static enum reply judge(struct session *session, const struct auth_answer *answer)
{
    switch (answer->outcome) {
    case AUTH_OK:
        session->retention_days = answer->retention_days;
        session->language = answer->language;
        return open_mailbox(session, &answer->capability);
    case AUTH_CHALLENGE: return ask_client(session, answer->challenge);
    case AUTH_REFUSED:
        return refuse(session, session->proves ? REPLY_WRONG_PROOF : REPLY_WRONG_PASSWORD);
    case AUTH_MALFORMED: return refuse(session, REPLY_NOT_SASL);
    case AUTH_SUSPENDED: return refuse(session, REPLY_SUSPENDED);
    case AUTH_FOR_ANOTHER: return refuse(session, REPLY_FOR_ANOTHER);
    case AUTH_DELAYED:
        session->told_seconds = answer->seconds;
        return refuse(session, REPLY_DELAYED);
    case AUTH_UNAVAILABLE: break;
    }
    return refuse(session, REPLY_LOGIN_UNAVAILABLE);
}

static void on_answer(void *context, const struct auth_answer *answer)
{
    struct session *session = context;

    command_answer(session, judge(session, answer));
    session_settle(session);
}

#define BINDING_TEXT_SIZE                                                                          \
    sodium_base64_ENCODED_LEN(TLS_BINDING_SIZE, sodium_base64_VARIANT_ORIGINAL)

/*
 * What a mechanism that proves the password needs to know of the connection: also the one that does
 * not bind, as it has to notice when the one that does was taken out of the list (RFC 5802 section
 * 6). Returns text_r, or NULL where there is nothing to bind to.
 */
static const char *binding_text(const struct session *session, char text_r[BINDING_TEXT_SIZE])
{
    uint8_t binding[TLS_BINDING_SIZE];

    if (!session->proves || !tls_can_bind(session->tls) || tls_binding(session->tls, binding) < 0)
        return NULL;
    sodium_bin2base64(text_r, BINDING_TEXT_SIZE, binding, sizeof(binding),
                      sodium_base64_VARIANT_ORIGINAL);
    return text_r;
}

static enum reply begin_exchange(struct session *session, const char *mechanism, bool proves,
                                 const char *response)
{
    char binding[BINDING_TEXT_SIZE];
    struct auth_origin origin = {.remote = &session->peer, .secured = session_is_private(session)};

    session->proves = proves;
    origin.binding = binding_text(session, binding);
    session->auth.answer = on_answer;
    session->auth.context = session;
    if (authclient_begin(session->server->auth, &session->auth, &origin, mechanism, response) < 0)
        return refuse(session, REPLY_LOGIN_UNAVAILABLE);
    session->wait = SESSION_CHECKING;
    return REPLY_LATER;
}

/* RFC 4616: an empty identity to act as, the user, the password, with a NUL between them. */
enum reply login_pass(struct session *session, const struct words *words)
{
    char plain[2 * LIMIT_LINE];
    char response[sodium_base64_ENCODED_LEN(sizeof(plain), sodium_base64_VARIANT_ORIGINAL)];

    if (session->user == NULL)
        return REPLY_NO_USER;
    size_t user = strlen(session->user);
    size_t password = strlen(words->arguments[0]);
    if (password == 0) /* which PLAIN has no words for */
        return refuse(session, REPLY_WRONG_PASSWORD);
    plain[0] = '\0';
    memcpy(plain + 1, session->user, user + 1);
    memcpy(plain + 1 + user + 1, words->arguments[0], password);
    sodium_bin2base64(response, sizeof(response), (const unsigned char *)plain,
                      1 + user + 1 + password, sodium_base64_VARIANT_ORIGINAL);
    enum reply reply = begin_exchange(session, "PLAIN", false, response);
    sodium_memzero(plain, sizeof(plain));
    sodium_memzero(response, sizeof(response));
    login_forget_user(session);
    return reply;
}

/*
 * Only where nobody can listen, whatever a mechanism sends: who hears a proof can try passwords on
 * it, and the mail that follows can be read (RFC 8314 section 3).
 */
static bool is_usable(const struct session *session, const struct auth_mechanism *mechanism)
{
    return session_is_private(session) && (!mechanism->binds || tls_can_bind(session->tls)) &&
           (!mechanism->tokens || authclient_plans(session->server->auth)->tokens);
}

static const struct auth_mechanism *find_mechanism(const struct session *session, const char *name)
{
    const struct auth_mechanism *mechanism;

    for (unsigned i = 0; (mechanism = authclient_mechanism(session->server->auth, i)) != NULL; i++)
        if (strcasecmp(mechanism->name, name) == 0)
            return mechanism;
    return NULL;
}

/* What old Outlooks ask: the mechanisms, one a line. */
static enum reply list_mechanisms(struct session *session)
{
    struct evbuffer *output = session_output(session);
    const struct auth_mechanism *mechanism;

    reply_add(output, REPLY_MECHANISMS, session->tongue, 0);
    for (unsigned i = 0; (mechanism = authclient_mechanism(session->server->auth, i)) != NULL; i++)
        if (is_usable(session, mechanism))
            reply_add_piece(output, "", mechanism->name, strlen(mechanism->name), "\r\n");
    evbuffer_add(output, ".\r\n", 3);
    return REPLY_SENT;
}

/* RFC 5034 section 4; "=" is an empty initial response. */
enum reply login_auth(struct session *session, const struct words *words)
{
    const char *response = words->count == 2 ? words->arguments[1] : NULL;

    if (words->count == 0)
        return list_mechanisms(session);
    const struct auth_mechanism *mechanism = find_mechanism(session, words->arguments[0]);
    if (!session_is_private(session))
        return REPLY_USE_TLS;
    if (mechanism == NULL && authclient_mechanism(session->server->auth, 0) == NULL)
        return refuse(session, REPLY_LOGIN_UNAVAILABLE); /* authd has not been heard yet */
    if (mechanism == NULL || !is_usable(session, mechanism))
        return REPLY_NO_MECHANISM;
    if (response != NULL && strcmp(response, "=") == 0)
        response = "";
    else if (response != NULL && !authline_is_base64(response))
        return REPLY_NOT_BASE64;
    return begin_exchange(session, mechanism->name, !mechanism->plaintext, response);
}

enum reply login_response(struct session *session, const char *line)
{
    if (line != NULL && strcmp(line, "*") != 0 && authline_is_base64(line)) {
        session->wait = SESSION_CHECKING;
        authclient_respond(&session->auth, line);
        return REPLY_LATER;
    }
    authclient_cancel(&session->auth);
    session->state = SESSION_AUTHORIZATION;
    if (line == NULL)
        return REPLY_TOO_LONG;
    return strcmp(line, "*") == 0 ? REPLY_CANCELLED : REPLY_NOT_BASE64;
}

enum reply login_utf8(struct session *session, const struct words *words)
{
    (void)words;
    session->utf8 = true;
    return REPLY_UTF8;
}

size_t login_utf8_user(const struct session *session, char *text_r, size_t size)
{
    static const char user[] = " USER";
    (void)session;
    (void)size;

    memcpy(text_r, user, sizeof(user) - 1);
    return sizeof(user) - 1;
}

size_t login_mechanisms(const struct session *session, char *text_r, size_t size)
{
    const struct auth_mechanism *mechanism;
    size_t length = 0;

    for (unsigned i = 0; (mechanism = authclient_mechanism(session->server->auth, i)) != NULL;
         i++) {
        size_t name = strlen(mechanism->name);
        if (!is_usable(session, mechanism) || length + 1 + name > size)
            continue;
        text_r[length++] = ' ';
        memcpy(text_r + length, mechanism->name, name);
        length += name;
    }
    return length;
}

static int refuse_too_much(struct session *session)
{
    log_error("session=%016" PRIx64 " mailbox=%" PRIu64
              " has more than %d messages, or one of more than %" PRIu64 " octets",
              session->id, session->mailbox, LIMIT_MESSAGES, LIMIT_MESSAGE);
    storeclient_close(&session->store);
    if (session->state == SESSION_TRANSACTION)
        session_end(session, SESSION_STORE_FAILED);
    else
        command_answer(session, refuse(session, REPLY_TOO_MANY_MESSAGES));
    return 0;
}

/* What LIST will come to for this client. */
static uint64_t octets_of(const struct session *session, const struct store_totals *totals)
{
    return totals->octets + (session->utf8 ? 0 : (uint64_t)totals->growth);
}

/* The login is answered here: only a command that is about messages waits for all of them. */
int login_opening(struct session *session, const struct store_totals *totals)
{
    if (session->state == SESSION_TRANSACTION || session->maildrop.listed > 0)
        return -1;
    if (maildrop_announce(&session->maildrop, totals->messages, octets_of(session, totals)) < 0)
        return refuse_too_much(session);
    session_logged_in(session);
    return 0;
}

int login_entries(struct session *session, const void *entries, size_t count)
{
    return maildrop_append(&session->maildrop, entries, count) == 0 ? 0 : refuse_too_much(session);
}

int login_growths(struct session *session, const void *growths, size_t count)
{
    return session->utf8 ? 0 : maildrop_add_growths(&session->maildrop, growths, count);
}

int login_unique_ids(struct session *session, const void *payload, size_t length)
{
    return maildrop_add_unique_ids(&session->maildrop, payload, length);
}

/* What STAT has said already must have been true. stored's log says why it was not. */
int login_opened(struct session *session, const struct store_totals *totals)
{
    const struct maildrop *maildrop = &session->maildrop;

    if (totals->messages != maildrop->listed ||
        octets_of(session, totals) != maildrop->listed_octets)
        return -1;
    if (maildrop_complete(&session->maildrop) < 0)
        session_end(session, SESSION_STORE_FAILED);
    else if (session->state == SESSION_TRANSACTION)
        session->wait = SESSION_READY;
    else
        session_logged_in(session);
    return 0;
}

/* The mailbox cannot be opened; after the login, the commands that wait for it say so. */
static void give_up(struct session *session, enum reply reply)
{
    if (session->state == SESSION_TRANSACTION)
        session->wait = SESSION_READY;
    else
        command_answer(session, refuse(session, reply));
}

int login_failed(struct session *session, const struct store_failed *failed)
{
    enum reply reply = REPLY_LOGIN_UNAVAILABLE;

    if (failed->result == STORE_IN_USE)
        reply = REPLY_IN_USE;
    else if (failed->result == STORE_TOO_SOON)
        reply = REPLY_TOO_SOON;
    session->told_seconds = failed->seconds;
    give_up(session, reply);
    return 0;
}

void login_lost(struct session *session)
{
    give_up(session, REPLY_LOGIN_UNAVAILABLE);
}
