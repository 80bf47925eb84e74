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

/* Seconds; what authd cannot answer within 8 it refuses at once. */
#define PATIENCE 15

/* Wrong keys that authd is being told of; more at a time are not worth telling. */
#define PENDING_MAX 4096

struct pending {
    struct pending *prev;
    struct pending *next;
    struct authask *authask;
    uint32_t id;
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

static void pending_free(struct pending *pending)
{
    DL_DELETE(pending->authask->pendings, pending);
    pending->authask->count--;
    event_free(pending->late);
    free(pending);
}

static void pending_end(struct pending *pending, const struct auth_checked *checked)
{
    const struct authask_caller caller = pending->caller;

    pending_free(pending);
    caller.done(caller.context, checked);
}

static void give_up(struct pending *pending)
{
    pending_end(pending, &(struct auth_checked){.answer = AUTH_ANSWER_BUSY});
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    give_up(context);
}

static int on_message(void *context, const struct channel_message *message)
{
    struct authask *authask = context;
    struct auth_checked checked;
    struct pending *pending;

    if (message->type != AUTH_CHECKED || message->length != sizeof(checked))
        return -1;
    memcpy(&checked, message->payload, sizeof(checked));
    if (checked.answer >= AUTH_ANSWER__MAX)
        return -1;
    DL_SEARCH_SCALAR(authask->pendings, pending, id, message->id);
    if (pending != NULL) /* else it has been given up */
        pending_end(pending, &checked);
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
static struct pending *pending_new(struct authask *authask, struct authask_caller caller)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    const struct timeval limit = {.tv_sec = authask->channel != NULL ? PATIENCE : 0};

    pending->authask = authask;
    pending->id = ++authask->last_id;
    pending->caller = caller;
    pending->late = evtimer_new(authask->base, on_late, pending);
    if (pending->late == NULL || event_add(pending->late, &limit) < 0)
        log_fatal("cannot set a time limit: out of memory");
    DL_APPEND(authask->pendings, pending);
    authask->count++;
    return pending;
}

void authask_password(struct authask *authask, const char *remote, const char *login,
                      const char *password, struct authask_caller caller)
{
    struct auth_check fixed = {.login_length = (uint16_t)strlen(login),
                               .password_length = (uint16_t)strlen(password)};
    char texts[AUTH_LOGIN_MAX + AUTH_PASSWORD_MAX];

    if (fixed.login_length > AUTH_LOGIN_MAX || fixed.password_length > AUTH_PASSWORD_MAX)
        log_panic("a password that was not checked by the caller");
    connect_anew(authask);
    const struct pending *pending = pending_new(authask, caller);
    if (authask->channel == NULL)
        return;
    snprintf(fixed.remote, sizeof(fixed.remote), "%s", remote);
    memcpy(texts, login, fixed.login_length);
    memcpy(texts + fixed.login_length, password, fixed.password_length);
    channel_send(authask->channel, AUTH_CHECK, pending->id, &fixed, sizeof(fixed), texts,
                 (size_t)fixed.login_length + fixed.password_length);
    sodium_memzero(texts, sizeof(texts));
}

int authask_key(struct authask *authask, const char *remote, const char *key,
                struct authask_caller caller)
{
    struct auth_key fixed = {0};

    if (authask->count >= PENDING_MAX)
        return -1;
    connect_anew(authask);
    const struct pending *pending = pending_new(authask, caller);
    if (authask->channel == NULL)
        return 0;
    snprintf(fixed.remote, sizeof(fixed.remote), "%s", remote);
    crypto_generichash(fixed.digest, sizeof(fixed.digest), (const unsigned char *)key, strlen(key),
                       NULL, 0);
    channel_send(authask->channel, AUTH_KEY, pending->id, &fixed, sizeof(fixed), NULL, 0);
    return 0;
}
