/*
 * A connection of authd over a socket, against a checker that is faked here: checker_*() and
 * check_*() of this file take the place of the true ones when the program is linked. What a check
 * comes to, and when, is drawn from the script.
 */
#include <assert.h>
#include <ctype.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "authd/check.h"
#include "authd/client.h"
#include "authd/plans.h"
#include "authd/report.h"
#include "authd/service.h"
#include "lib/capability.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/script.h"

#define REQUESTS_MAX 4

static struct script script;

/* --- the checker */

static struct check *checks; /* that wait */
static unsigned good;        /* how many were so */
static int reading;

void checker_begin(struct checker *checker)
{
    (void)checker;
    reading++;
}

void checker_end(struct checker *checker)
{
    (void)checker;
    reading--;
    assert(reading == 0);
}

static void finish(struct check *check, enum check_result result)
{
    check->mailbox = result == CHECK_GOOD ? 1 : 0;
    check->reason = "a reason";
    check->is_address = result != CHECK_WRONG;
    good += result == CHECK_GOOD;
    check->done(check, result);
}

/* The service has none. */
void plans_tell(const struct plans *plans, struct client *client)
{
    (void)plans;
    (void)client;
    abort();
}

/* No octet of a client's may become a line or a field of its own. */
static void assert_word(const char *text)
{
    for (; *text != '\0'; text++)
        assert((unsigned char)*text > ' ' && (unsigned char)*text < 0x7f);
}

void report_event(struct report *report, const struct report_event *event)
{
    (void)report;
    assert(event->kind < DB_EVENT__MAX && strlen(event->address) <= MECHANISM_NAME_MAX);
    assert_word(event->remote);
    assert_word(event->protocol);
    assert_word(event->mechanism);
    assert((event->kind == DB_EVENT_LOGIN) == (event->reason[0] == '\0'));
}

/* What only has to differ from NULL. */
static struct pending *const is_pending = (struct pending *)&good;

/* It is over at once, or waits. */
static void begin(struct check *check, const char *name, size_t name_length)
{
    unsigned drawn = script_draw(&script, CHECK_BROKEN + 2);

    assert(name_length <= MECHANISM_NAME_MAX && memchr(name, '\0', name_length) == NULL);
    memcpy(check->address, name, name_length);
    check->address[name_length] = '\0';
    if (drawn <= CHECK_BROKEN) {
        finish(check, (enum check_result)drawn);
        return;
    }
    check->pending = is_pending;
    DL_APPEND(checks, check);
}

void check_start(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *password, size_t password_length)
{
    (void)checker;

    assert(password_length <= MECHANISM_PASSWORD_MAX);
    assert(password_length == 0 || password != NULL);
    begin(check, name, name_length);
}

void check_token(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *token, size_t token_length)
{
    (void)checker;

    assert(token_length > 0 && token_length < CLIENT_LINE_MAX);
    assert(memchr(token, '\0', token_length) == NULL);
    begin(check, name, name_length);
}

void checker_issuer(struct checker *checker, const struct check *check,
                    char issuer_r[DB_ISSUER_MAX + 1])
{
    (void)checker;
    (void)check;
    memset(issuer_r, 'a', DB_ISSUER_MAX);
    issuer_r[DB_ISSUER_MAX] = '\0';
}

int checker_takes_tokens(struct checker *checker)
{
    (void)checker;
    return 1;
}

/* Those of RFC 7677 section 3. */
int check_keys(struct checker *checker, struct check *check, const char *name, size_t name_length,
               struct scramkeys *keys_r)
{
    (void)checker;
    assert(name_length > 0 && name_length <= MECHANISM_NAME_MAX);
    assert(memchr(name, '\0', name_length) == NULL);
    memcpy(check->address, name, name_length);
    check->address[name_length] = '\0';
    if (script_draw(&script, 4) == 3) {
        finish(check, CHECK_BROKEN);
        return -1;
    }
    int result = scramkeys_parse(
        keys_r, "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    assert(result == 0);
    return 0;
}

int check_may_know(struct checker *checker, struct check *check)
{
    (void)checker;
    assert(check->pending == NULL);
    if (script_draw(&script, 4) != 3)
        return 0;
    finish(check, CHECK_DELAYED);
    return -1;
}

void check_proved(struct checker *checker, struct check *check, bool fits,
                  const uint8_t *stored_key)
{
    (void)checker;
    (void)stored_key;
    assert(check->pending == NULL);
    finish(check, fits ? CHECK_GOOD : CHECK_WRONG);
}

void check_cancel(struct checker *checker, struct check *check)
{
    (void)checker;
    if (check->pending == NULL)
        return;
    check->pending = NULL;
    DL_DELETE(checks, check);
}

static void finish_one(void)
{
    struct check *check = checks;

    if (check == NULL)
        return;
    DL_DELETE(checks, check);
    check->pending = NULL;
    finish(check, (enum check_result)script_draw(&script, CHECK_BROKEN + 1));
}

/* --- what the client hears */

static struct ear {
    char line[CLIENT_LINE_MAX];
    size_t length;
    unsigned good;
    unsigned ends; /* of exchanges */
} ear;

enum { WORD_OK = 6, WORD_FAIL, WORD_CONT, WORDS };

static void hear_line(void)
{
    static const char *const words[WORDS] = {"VERSION\t", "MECH\t", "SPID\t", "CUID\t", "COOKIE\t",
                                             "DONE",      "OK\t",   "FAIL\t", "CONT\t"};
    size_t i = 0;

    ear.line[ear.length] = '\0';
    assert(strlen(ear.line) == ear.length);
    while (i < WORDS && strncmp(ear.line, words[i], strlen(words[i])) != 0)
        i++;
    assert(i < WORDS);
    ear.good += i == WORD_OK;
    ear.ends += i == WORD_OK || i == WORD_FAIL;
    if (i >= WORD_OK)
        assert(isdigit((unsigned char)ear.line[strlen(words[i])]));
    ear.length = 0;
}

/* Returns whether the connection is still there. */
static bool hear(int fd)
{
    static char room[16 * 1024];
    ssize_t got;

    while ((got = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (room[i] == '\n')
                hear_line();
            else
                ear.line[ear.length++] = room[i];
            assert(ear.length < sizeof(ear.line));
        }
    return got != 0;
}

/* --- the connection */

static struct event_base *base;
static struct client *client;
static uint8_t key[CAPABILITY_KEY_SIZE];

/* The server's nonce is the same each time, so that an input can hold a whole exchange of SCRAM. */
static const char *random_name(void)
{
    return "none";
}

static uint32_t random_number(void)
{
    return 0;
}

static void random_octets(void *const octets, const size_t size)
{
    memset(octets, 0, size);
}

static struct randombytes_implementation no_chance = {
    .implementation_name = random_name, .random = random_number, .buf = random_octets};

int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    int chosen = randombytes_set_implementation(&no_chance);
    assert(chosen == 0);
    base = event_base_new();
    assert(base != NULL);
    return 0;
}

static void on_closed(struct client *closed, void *context)
{
    (void)context;
    client_free(closed);
    client = NULL;
}

static void run(int fd, const uint8_t *data, size_t size)
{
    while (size > 0 && client != NULL) {
        ssize_t sent =
            send(fd, data, script_piece(&script, data, size), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        event_base_loop(base, EVLOOP_NONBLOCK);
        hear(fd);
        if (script_draw(&script, 4) != 3)
            finish_one();
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct client_events events = {.closed = on_closed};
    unsigned exchanges = 0;
    int pair[2];

    script_begin(&script, &data, &size);
    struct service service = {.name = "auth-front", .base = base, .requests_max = REQUESTS_MAX};
    if (script_draw(&script, 2) == 0)
        service.key = key;
    service.binds = service.key != NULL;
    service.hangs_up = service.key == NULL;
    good = 0;
    ear.length = ear.good = ear.ends = 0;
    for (size_t i = 0; i < size; i++)
        exchanges += data[i] == '\n';
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
        abort();
    client = client_new(&service, pair[1], &events, NULL);
    run(pair[0], data, size);
    /* What the client was not told of a check that was good, it is not told later. */
    client_free(client);
    client = NULL;
    hear(pair[0]);
    close(pair[0]);
    assert(checks == NULL && reading == 0 && ear.length == 0);
    assert(ear.good <= good && ear.ends <= exchanges);
    return 0;
}
