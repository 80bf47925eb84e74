#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include <sodium.h>

#include "admin/authask.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/xalloc.h"

#define CONTROL_PATH "run/auth-control.sock"

/* Seconds. A password that authd cannot check within 8 it refuses at once; anything else it answers
 * within milliseconds and, while it is started again, within a second or two. */
#define CHECK_PATIENCE 15
#define BLOCK_PATIENCE 5

/* Wrong keys that authd is being told of; more at a time are not worth telling. */
#define PENDING_MAX 4096

struct question {
    uint8_t type;
    uint8_t awaited; /* the type of the answer's end */
    time_t patience;
};

struct pending {
    struct pending *prev;
    struct pending *next;
    struct authask *authask;
    uint32_t id;
    uint8_t awaited;
    struct authask_answer answer;
    struct authask_caller caller;
    struct event *late;
};

struct authask {
    struct event_base *base;
    struct channel *channel; /* NULL: not connected */
    struct pending *pendings;
    unsigned count;
    uint32_t last_id;
};

static void pending_end(struct pending *pending)
{
    const struct authask_caller caller = pending->caller;
    struct authask_answer answer = pending->answer;

    DL_DELETE(pending->authask->pendings, pending);
    pending->authask->count--;
    event_free(pending->late);
    free(pending);
    caller.done(caller.context, &answer);
    free(answer.blocks);
}

static void give_up(struct pending *pending)
{
    free(pending->answer.blocks);
    pending->answer =
        (struct authask_answer){.away = true, .checked = {.answer = AUTH_ANSWER_BUSY}};
    pending_end(pending);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    give_up(context);
}

static int add_block(struct authask_answer *answer, const struct channel_message *message)
{
    const size_t count = answer->count;

    if (message->length != sizeof(answer->blocks[0]) || count == AUTH_BLOCKS_MAX)
        return -1;
    if ((count & (count - 1)) == 0) /* full, at 0 and each power of two */
        answer->blocks =
            xrealloc(answer->blocks, (count > 0 ? 2 * count : 1) * sizeof(answer->blocks[0]));
    memcpy(&answer->blocks[answer->count++], message->payload, message->length);
    return 0;
}

static int take_end(struct authask_answer *answer, const struct channel_message *message)
{
    const bool checked = message->type == AUTH_CHECKED;
    void *part = checked ? (void *)&answer->checked : &answer->number;

    if (message->length != (checked ? sizeof(answer->checked) : sizeof(answer->number)))
        return -1;
    memcpy(part, message->payload, message->length);
    return answer->checked.answer < AUTH_ANSWER__MAX ? 0 : -1;
}

static int on_message(void *context, const struct channel_message *message)
{
    struct authask *authask = context;
    struct pending *pending;

    DL_SEARCH_SCALAR(authask->pendings, pending, id, message->id);
    if (pending == NULL) /* it has been given up */
        return 0;
    if (message->type == AUTH_BLOCK && pending->awaited == AUTH_LISTED)
        return add_block(&pending->answer, message);
    if (message->type != pending->awaited || take_end(&pending->answer, message) < 0)
        return -1;
    pending_end(pending);
    return 0;
}

/* What is asked from within the callbacks goes over a new connection. */
static void on_closed(void *context)
{
    struct authask *authask = context;
    const uint32_t last = authask->last_id;
    struct pending *pending;
    struct pending *next;

    channel_free(authask->channel);
    authask->channel = NULL;
    DL_FOREACH_SAFE(authask->pendings, pending, next)
    {
        if ((int32_t)(pending->id - last) <= 0)
            give_up(pending);
    }
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

struct authask *authask_new(struct event_base *base)
{
    struct authask *authask = xcalloc(1, sizeof(*authask));

    authask->base = base;
    return authask;
}

void authask_free(struct authask *authask)
{
    if (authask == NULL)
        return;
    channel_free(authask->channel);
    authask->channel = NULL;
    while (authask->pendings != NULL)
        give_up(authask->pendings);
    free(authask);
}

static void connect_anew(struct authask *authask)
{
    if (authask->pendings != NULL && authask->channel != NULL)
        return;
    channel_free(authask->channel);
    authask->channel = channel_connect(authask->base, CONTROL_PATH, &events, authask);
}

/* Without a connection it is given up in the next turn of the event loop. */
static void ask(struct authask *authask, const struct question *question, const void *payload,
                size_t length, struct authask_caller caller)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    struct timeval limit = {.tv_sec = question->patience};

    connect_anew(authask);
    pending->authask = authask;
    pending->id = ++authask->last_id;
    pending->awaited = question->awaited;
    pending->caller = caller;
    DL_APPEND(authask->pendings, pending);
    authask->count++;
    if (authask->channel != NULL)
        channel_send(authask->channel, question->type, pending->id, payload, length, NULL, 0);
    else
        limit.tv_sec = 0;
    pending->late = evtimer_new(authask->base, on_late, pending);
    if (pending->late == NULL || event_add(pending->late, &limit) < 0)
        log_fatal("cannot set a time limit: out of memory");
}

void authask_password(struct authask *authask, const char *remote, const char *login,
                      const char *password, struct authask_caller caller)
{
    static const struct question question = {AUTH_CHECK, AUTH_CHECKED, CHECK_PATIENCE};
    struct {
        struct auth_check fixed;
        char texts[AUTH_LOGIN_MAX + AUTH_PASSWORD_MAX];
    } check = {.fixed = {.login_length = (uint16_t)strlen(login),
                         .password_length = (uint16_t)strlen(password)}};
    const size_t login_length = check.fixed.login_length;
    const size_t password_length = check.fixed.password_length;

    if (login_length > AUTH_LOGIN_MAX || password_length > AUTH_PASSWORD_MAX)
        log_panic("a password that was not checked by the caller");
    snprintf(check.fixed.remote, sizeof(check.fixed.remote), "%s", remote);
    memcpy(check.texts, login, login_length);
    memcpy(check.texts + login_length, password, password_length);
    ask(authask, &question, &check, sizeof(check.fixed) + login_length + password_length, caller);
    sodium_memzero(&check, sizeof(check));
}

int authask_key(struct authask *authask, const char *remote, const char *key,
                struct authask_caller caller)
{
    static const struct question question = {AUTH_KEY, AUTH_CHECKED, CHECK_PATIENCE};
    struct auth_key told = {0};

    if (authask->count >= PENDING_MAX)
        return -1;
    snprintf(told.remote, sizeof(told.remote), "%s", remote);
    crypto_generichash(told.digest, sizeof(told.digest), (const unsigned char *)key, strlen(key),
                       NULL, 0);
    ask(authask, &question, &told, sizeof(told), caller);
    return 0;
}

void authask_list(struct authask *authask, uint64_t customer, struct authask_caller caller)
{
    static const struct question question = {AUTH_LIST, AUTH_LISTED, BLOCK_PATIENCE};
    const struct auth_list list = {.customer = customer};

    ask(authask, &question, &list, sizeof(list), caller);
}

void authask_lift(struct authask *authask, const struct auth_lift *lift,
                  struct authask_caller caller)
{
    static const struct question question = {AUTH_LIFT, AUTH_LIFTED, BLOCK_PATIENCE};

    ask(authask, &question, lift, sizeof(*lift), caller);
}
