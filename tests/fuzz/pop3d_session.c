/*
 * A POP3 session over a socket, against an authd and a stored that are faked here: authclient_*()
 * and storeclient_*() of this file take the place of the true ones when the program is linked.
 * What they answer is drawn from the script; mailbox and messages are always the same.
 */
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/acceptor.h"
#include "lib/bodies.h"
#include "lib/tls.h"
#include "lib/xalloc.h"
#include "pop3d/authclient.h"
#include "pop3d/limits.h"
#include "pop3d/regions.h"
#include "pop3d/server.h"
#include "pop3d/session.h"
#include "pop3d/storeclient.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/script.h"

static struct script script;
static struct child child;
static struct server server;
static SSL_CTX *tls;

/* --- authd */

static const struct auth_answer auth_answers[] = {
    {.outcome = AUTH_OK, .capability = {.mailbox = 1, .session = 2}},
    {.outcome = AUTH_CHALLENGE, .challenge = "UGFzc3dvcmQ6"},
    {.outcome = AUTH_REFUSED},
    {.outcome = AUTH_MALFORMED},
    {.outcome = AUTH_SUSPENDED},
    {.outcome = AUTH_UNAVAILABLE},
    {.outcome = AUTH_OK, .retention_days = 30, .language = LANGUAGE_IT},
    {.outcome = AUTH_FOR_ANOTHER},
};
#define AUTH_ANSWERS (sizeof(auth_answers) / sizeof(auth_answers[0]))

static struct auth_request *asked; /* NULL: nobody waits for an answer */
static unsigned logins;            /* good ones */

const struct auth_mechanism *authclient_mechanism(const struct authclient *client, unsigned number)
{
    static const struct auth_mechanism mechanisms[] = {{"PLAIN", true, false, false},
                                                       {"LOGIN", true, false, false},
                                                       {"X-TOKEN", false, false, true},
                                                       {"X-BOUND", false, true, false}};
    (void)client;

    return number < sizeof(mechanisms) / sizeof(mechanisms[0]) ? &mechanisms[number] : NULL;
}

const struct auth_plans *authclient_plans(const struct authclient *client)
{
    static const struct auth_plans plans[] = {
        {.known = false}, {true, 0, 0, 0, 0, true}, {true, 0, 30, 60, 600, true}};
    (void)client;

    return &plans[script_draw(&script, sizeof(plans) / sizeof(plans[0]))];
}

int authclient_begin(struct authclient *client, struct auth_request *request,
                     const struct auth_origin *origin, const char *mechanism, const char *response)
{
    (void)client;
    assert(asked == NULL && mechanism[0] != '\0' && origin->remote != NULL);
    assert(response == NULL || strpbrk(response, "\t\r\n") == NULL);
    /* The session has no TLS, so there is nothing to bind to. */
    assert(origin->binding == NULL && strcmp(mechanism, "X-BOUND") != 0);
    if (script_draw(&script, 8) == 7)
        return -1;
    request->id = 1;
    asked = request;
    return 0;
}

void authclient_respond(struct auth_request *request, const char *response)
{
    assert(request->id != 0 && asked == NULL && strpbrk(response, "\t\r\n") == NULL);
    asked = request;
}

void authclient_cancel(struct auth_request *request)
{
    request->id = 0;
    asked = NULL;
}

static void answer_login(void)
{
    const struct auth_answer *answer = &auth_answers[script_draw(&script, AUTH_ANSWERS)];
    struct auth_request *request = asked;

    asked = NULL;
    if (answer->outcome != AUTH_CHALLENGE)
        request->id = 0;
    logins += answer->outcome == AUTH_OK;
    request->answer(request->context, answer);
}

/* --- stored */

#define MESSAGES  6
#define LONG_BODY (70 * 1000)

static struct body {
    const char *text; /* in stored form; no line of it begins as a status does */
    uint64_t octets;  /* as LIST says */
    uint64_t length;
    uint64_t top_length;
} bodies[MESSAGES] = {
    {.text = "Subject: one\r\n\r\ntext\r\n"},
    {.text =
         "Subject: Gr\u00fc\u00dfe\r\nFrom: Zo\u00eb <\u00e9@x.example>\r\n\r\n..\r\n...two\r\n"},
    {.text = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: \u00fc\r\n\r\n"
             "x\r\n--b--\r\n"},
    {.text = "\r\n"},
    {.text = "Subject: all of it is \xfc header\r\n"},
    {0}, /* longer than one piece */
};

enum { ASK_OPEN, ASK_REST, ASK_READ, ASK_EXPUNGE };

struct ask {
    int what;
    struct store_read read;
};

#define ASKS_MAX (2 * LIMIT_FETCHES + 2 * LIMIT_AHEAD_MESSAGES)

static struct store_session *opened;
static struct ask asks[ASKS_MAX];
static unsigned ask_count;
static struct regions *regions;
static uint8_t *memory;

static void add_ask(int what, const struct store_read *read)
{
    assert(ask_count < ASKS_MAX);
    asks[ask_count].what = what;
    if (read != NULL)
        asks[ask_count].read = *read;
    ask_count++;
}

int storeclient_open(struct storeclient *client, struct store_session *session,
                     const struct store_events *events, void *context,
                     const struct store_open *open)
{
    (void)client;
    assert(opened == NULL && logins > 0 && open->capability.mailbox <= 1);
    if (script_draw(&script, 8) == 7)
        return -1;
    *session = (struct store_session){.id = 1, .events = events, .context = context};
    opened = session;
    add_ask(ASK_OPEN, NULL);
    return 0;
}

bool storeclient_is_open(const struct store_session *session)
{
    return session->id != 0;
}

struct regions *storeclient_regions(const struct store_session *session)
{
    assert(session == opened);
    return regions;
}

void storeclient_read(struct store_session *session, const struct store_read *request)
{
    assert(session == opened && request->room <= STORE_READ_MAX);
    assert(request->message < MESSAGES);
    assert(request->offset <= bodies[request->message].length);
    add_ask(ASK_READ, request);
}

void storeclient_expunge(struct store_session *session, const uint32_t *messages, size_t count)
{
    assert(session == opened && count >= 1 && count <= MESSAGES);
    for (size_t i = 0; i < count; i++)
        assert(messages[i] < MESSAGES && (i == 0 || messages[i] > messages[i - 1]));
    add_ask(ASK_EXPUNGE, NULL);
}

static struct store_session *forget(void)
{
    struct store_session *session = opened;

    session->id = 0;
    opened = NULL;
    ask_count = 0;
    return session;
}

void storeclient_close(struct store_session *session)
{
    if (session->id == 0)
        return;
    assert(session == opened);
    forget();
}

static void lose_store(void)
{
    struct store_session *session = forget();

    session->events->lost(session->context);
}

static int end(void)
{
    struct store_session *session = forget();

    session->events->ended(session->context);
    return 0;
}

static int fail(enum store_result result)
{
    const struct store_failed failed = {.result = (uint8_t)result, .seconds = 100};
    struct store_session *session = opened;

    if (session->opened)
        return session->events->failed(session->context, &failed);
    forget();
    return session->events->failed(session->context, &failed);
}

static struct store_totals totals(void)
{
    struct store_totals totals = {.messages = MESSAGES};

    for (unsigned i = 0; i < MESSAGES; i++)
        totals.octets += bodies[i].octets;
    return totals;
}

static int tell_entries(void)
{
    static const struct {
        struct store_unique_id id;
        char text[8];
    } unique_id = {{.message = 1, .length = 8}, {'i', 'm', 'p', 'o', 'r', 't', 'e', 'd'}};
    const struct store_events *events = opened->events;
    struct store_entry entries[MESSAGES];
    void *context = opened->context;

    for (unsigned i = 0; i < MESSAGES; i++)
        entries[i] =
            (struct store_entry){.uid = i + 10, .time = 1700000000, .octets = bodies[i].octets};
    if (events->entries(context, entries, MESSAGES) < 0)
        return -1;
    return opened == NULL ? 0 : events->unique_ids(context, &unique_id, sizeof(unique_id));
}

static int answer_rest(bool wrong)
{
    struct store_totals all = totals();

    if (tell_entries() < 0)
        return -1;
    if (opened == NULL)
        return 0;
    all.octets += wrong;
    opened->opened = true;
    return opened->events->opened(opened->context, &all);
}

static int answer_late(void)
{
    switch (script_draw(&script, 5)) {
    case 3: return fail(STORE_BROKEN);
    case 4: return end();
    default: return answer_rest(false);
    }
}

static int answer_open(void)
{
    struct store_totals all = totals();

    switch (script_draw(&script, 7)) {
    case 1: return fail(STORE_IN_USE);
    case 2: return fail(STORE_TOO_SOON);
    case 3: return fail(STORE_BROKEN);
    case 4: return -1;
    case 5: return answer_rest(true);
    case 6: break;
    default: return answer_rest(false);
    }
    /* A large mailbox: the rest comes later, if at all. */
    add_ask(ASK_REST, NULL);
    return opened->events->opening(opened->context, &all);
}

static int answer_read(const struct store_read *read)
{
    const struct body *body = &bodies[read->message];
    const struct store_data data = {.length = body->length, .top_length = body->top_length};
    uint64_t left = body->length - read->offset;
    size_t length = left < read->room ? (size_t)left : read->room;
    unsigned how = script_draw(&script, 7);

    if (how == 1)
        return fail(STORE_DAMAGED);
    if (how == 2)
        return fail(STORE_BROKEN);
    if (how == 3)
        return -1;
    if (how == 4 && length > 1)
        length /= 2;
    if (how == 6)
        return end();
    if (read->place == STORE_NO_PLACE)
        return opened->events->data(opened->context, &data, body->text + read->offset, length);
    assert(read->place <= STORE_MEMORY_SIZE - read->room);
    memcpy(memory + read->place, body->text + read->offset, length);
    return opened->events->data(opened->context, &data, NULL, length);
}

static int answer_expunge(void)
{
    switch (script_draw(&script, 5)) {
    case 3: return fail(STORE_BROKEN);
    case 4: return end();
    default: return opened->events->expunged(opened->context);
    }
}

static void answer_ask(void)
{
    struct ask ask = asks[0];
    int result = -1;

    memmove(asks, asks + 1, --ask_count * sizeof(asks[0]));
    switch (ask.what) {
    case ASK_OPEN: result = answer_open(); break;
    case ASK_REST: result = answer_late(); break;
    case ASK_READ: result = answer_read(&ask.read); break;
    default: result = answer_expunge();
    }
    if (result < 0 && opened != NULL)
        lose_store();
}

/* --- what the client hears */

#define STATUS_MAX 512

static struct ear {
    char line[STATUS_MAX];
    size_t length;
    bool cut;      /* the line is longer than there is room */
    bool may_list; /* a status with + has come: lines may follow */
    bool listing;  /* within an answer of several lines */
    bool deaf;     /* TLS has begun */
    unsigned statuses;
} ear;

static bool begins(const char *text)
{
    return ear.length >= strlen(text) && memcmp(ear.line, text, strlen(text)) == 0;
}

/* RFC 1939 section 3. */
static void hear_line(void)
{
    bool good = begins("+OK"), status = good || begins("-ERR") || begins("+ ");

    if (ear.listing) {
        assert(!status);
        if (ear.line[0] == '.')
            assert(ear.length > 2 ? ear.line[1] == '.' : true);
        ear.listing = !(begins(".\r") && ear.length == 2);
    } else if (status) {
        assert(!ear.cut && memchr(ear.line, '\0', ear.length) == NULL);
        ear.statuses++;
        ear.may_list = good;
    } else {
        assert(ear.may_list);
        ear.may_list = false;
        ear.listing = true;
        hear_line();
    }
    ear.length = 0;
    ear.cut = false;
}

/* Adds a part of a line, without its LF. */
static void add_part(const char *part, size_t length)
{
    size_t room = sizeof(ear.line) - ear.length;
    size_t taken = length < room ? length : room;

    memcpy(ear.line + ear.length, part, taken);
    ear.length += taken;
    ear.cut = ear.cut || taken < length;
}

static void hear_octets(const char *octets, size_t length)
{
    while (length > 0 && !ear.deaf) {
        const char *end = memchr(octets, '\n', length);
        size_t part = end != NULL ? (size_t)(end - octets) : length;
        if (ear.length == 0 && (octets[0] == 0x15 || octets[0] == 0x16))
            ear.deaf = true; /* a record of TLS */
        add_part(octets, part);
        if (end == NULL)
            return;
        assert(ear.deaf || ear.cut || (ear.length > 0 && ear.line[ear.length - 1] == '\r'));
        if (!ear.deaf)
            hear_line();
        octets = end + 1;
        length -= part + 1;
    }
}

static void hear(int client)
{
    static char room[64 * 1024];
    ssize_t got;

    while ((got = recv(client, room, sizeof(room), MSG_DONTWAIT)) > 0)
        hear_octets(room, (size_t)got);
}

/* --- the session */

void server_session_gone(struct server *gone)
{
    gone->session_count--;
}

static void on_full(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

static void measure(struct body *body)
{
    const char *end = strstr(body->text, "\r\n\r\n");

    body->length = body->octets = strlen(body->text);
    body->top_length = body->length;
    if (memcmp(body->text, "\r\n", 2) == 0)
        body->top_length = 2;
    else if (end != NULL)
        body->top_length = (uint64_t)(end - body->text) + 4;
    for (const char *at = body->text; (at = strstr(at, "\r\n..")) != NULL; at++)
        body->octets--;
}

/* Without a certificate: no handshake succeeds. */
SSL *tls_connection(struct tls *unused)
{
    (void)unused;
    return SSL_new(tls);
}

int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    static const struct timeval never = {.tv_sec = 3600};
    static char text[LONG_BODY] = "Subject: long\r\n\r\n";
    int fd;
    (void)count;
    (void)arguments;

    memset(text + strlen(text), 'x', sizeof(text) - 1 - strlen(text));
    for (size_t at = 1000; at < sizeof(text); at += 1000)
        memcpy(text + at - 5, "\r\n...", 5);
    memcpy(text + sizeof(text) - 3, "\r\n", 3);
    bodies[MESSAGES - 1].text = text;
    for (unsigned i = 0; i < MESSAGES; i++)
        measure(&bodies[i]);
    memory = bodies_make(&fd);
    regions = regions_new(fd);
    child.base = event_base_new();
    conf_default(&child.conf);
    server.child = &child;
    tls = SSL_CTX_new(TLS_server_method());
    server.acceptor = acceptor_new(child.base);
    server.full = evtimer_new(child.base, on_full, NULL);
    for (int i = 0; i < SERVER__TIMEOUTS; i++)
        server.timeouts[i] = &never;
    assert(memory != NULL && regions != NULL && tls != NULL);
    return 0;
}

static int begin(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr = {htonl(script_draw(&script, 4) == 3 ? 0xc0000201 : 0x7f000001)}};
    struct peer peer;
    int pair[2];

    asked = NULL;
    opened = NULL;
    ask_count = 0;
    logins = 0;
    ear = (struct ear){0};
    server.session_count = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        abort();
    peer_set(&peer, (const struct sockaddr *)&address);
    session_start(&server, pair[1], &peer, script_draw(&script, 8) == 7);
    return pair[0];
}

/* One turn of the event loop, then an answer of authd or stored, if one is due. */
static void turn(int client)
{
    event_base_loop(child.base, EVLOOP_NONBLOCK);
    hear(client);
    if (asked != NULL)
        answer_login();
    else if (ask_count > 0)
        answer_ask();
}

static bool is_under_way(void)
{
    return asked != NULL || ask_count > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned lines = 1;

    script_begin(&script, &data, &size);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    int client = begin();
    while (size > 0 && server.sessions != NULL) {
        ssize_t sent =
            send(client, data, script_piece(&script, data, size), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        turn(client);
    }
    /* A client that sends nothing any more, and reads what there is, leaves nothing behind. */
    shutdown(client, SHUT_WR);
    for (unsigned turns = 0; server.sessions != NULL && turns < 10000; turns++)
        turn(client);
    assert(server.sessions == NULL && server.session_count == 0);
    hear(client);
    assert(ear.deaf || ear.statuses <= lines + 1);
    assert(!is_under_way() && opened == NULL);
    assert(regions_taken(regions) == 0 && server.admission.strangers == 0);
    close(client);
    return 0;
}
