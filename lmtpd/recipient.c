#include <stdlib.h>
#include <string.h>

#include "db/route.h"
#include "lib/conf.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "lmtpd/lookup.h"
#include "lmtpd/recipient.h"
#include "lmtpd/storelink.h"
#include "lmtpd/usage.h"

/* One mailbox behind the address. */
struct probe {
    struct store_call call; /* first: on_usage() finds the probe by it */
    struct recipient_check *check;
    struct db_route route;
    enum reply reply;
};

struct recipient_check {
    const struct server *server;
    struct transaction *transaction;
    void (*done)(void *context, const char *address, enum reply reply);
    void *context;
    char address[ADDRESS_MAX + 1];
    unsigned unanswered;
    unsigned count;
    struct probe probes[];
};

static void finish(struct recipient_check *check)
{
    struct db_route accepted[DB_ROUTE_MAX];
    unsigned count = 0;
    enum reply reply = REPLY__MAX;

    for (unsigned i = 0; i < check->count; i++) {
        reply = reply_combine(reply, check->probes[i].reply);
        if (check->probes[i].reply == REPLY_RECIPIENT_OK)
            accepted[count++] = check->probes[i].route;
    }
    if (reply == REPLY_RECIPIENT_OK)
        reply = transaction_add(check->transaction, check->address, accepted, count);
    check->done(check->context, check->address, reply);
    free(check);
}

/* The quota is checked again at the end of DATA, by stored, exactly. */
static int on_usage(struct store_call *call, const struct channel_message *message)
{
    struct probe *probe = (struct probe *)(void *)call;
    struct recipient_check *check = probe->check;
    uint64_t declared = transaction_declared(check->transaction);
    struct store_usage_is usage;
    int result = 0;

    if (message != NULL) {
        if (message->type == STORE_USAGE_IS && message->length == sizeof(usage)) {
            memcpy(&usage, message->payload, sizeof(usage));
            usages_learn(check->server->usages, probe->route.mailbox, &usage);
            if (!usage_leaves_room(&usage, probe->route.quota_octets, probe->route.quota_messages,
                                   declared)) {
                metric_add(METRIC_LMTP_OVER_QUOTA, 1);
                probe->reply = REPLY_OVER_QUOTA;
            }
        } else {
            result = -1;
        }
    }
    if (--check->unanswered == 0)
        finish(check);
    return result;
}

/* What was said when it was suspended, or else the configuration. */
static enum db_suspended_mail mail_of(const struct db_route *route, const struct conf *conf)
{
    static const enum db_suspended_mail configured[] = {
        [CONF_SUSPENDED_DEFER] = DB_SUSPENDED_DEFER,
        [CONF_SUSPENDED_REFUSE] = DB_SUSPENDED_REFUSE,
        [CONF_SUSPENDED_KEEP] = DB_SUSPENDED_KEEP,
    };

    return route->suspended_mail != DB_SUSPENDED_AS_CONFIGURED ? route->suspended_mail
                                                               : configured[conf->suspended];
}

static enum reply judge(const struct recipient_check *check, const struct db_route *route)
{
    enum db_suspended_mail mail = mail_of(route, check->server->conf);

    if (route->suspended && mail != DB_SUSPENDED_KEEP)
        return mail == DB_SUSPENDED_REFUSE ? REPLY_SUSPENDED : REPLY_SUSPENDED_FOR_NOW;
    if (transaction_declared(check->transaction) > route->message_octets_max)
        return REPLY_TOO_LARGE;
    return REPLY_RECIPIENT_OK;
}

static void ask_usage(struct recipient_check *check, struct probe *probe)
{
    struct store_link *store = check->server->store;
    struct store_mailbox_id id = {.mailbox = probe->route.mailbox};

    if (transaction_has_mailbox(check->transaction, probe->route.mailbox) ||
        usages_leave_room(check->server->usages, &probe->route,
                          transaction_declared(check->transaction)) ||
        store_link_call(store, &probe->call, on_usage) < 0)
        return;
    store_link_ask(store, &probe->call, STORE_USAGE, &id, sizeof(id));
    check->unanswered++;
}

/* A database that fails never looks like an address that does not exist. */
static enum reply reply_of_db(enum db_result result)
{
    switch (result) {
    case DB_OK: return REPLY_RECIPIENT_OK;
    case DB_NONE: return REPLY_NO_MAILBOX;
    default: return REPLY_FAILURE;
    }
}

struct recipient_check *recipient_check_start(
    const struct server *server, struct transaction *transaction, const struct address *address,
    void (*done)(void *context, const char *address, enum reply reply), void *context)
{
    struct db_route routes[DB_ROUTE_MAX];
    unsigned count = 0;

    enum reply reply = reply_of_db(lookup_route(server->lookup, address, routes, &count));
    if (reply != REPLY_RECIPIENT_OK) {
        done(context, address->text, reply);
        return NULL;
    }
    struct recipient_check *check = xcalloc(1, sizeof(*check) + count * sizeof(struct probe));
    check->server = server;
    check->transaction = transaction;
    check->done = done;
    check->context = context;
    check->count = count;
    memcpy(check->address, address->text, sizeof(check->address));
    for (unsigned i = 0; i < count; i++) {
        struct probe *probe = &check->probes[i];
        probe->check = check;
        probe->route = routes[i];
        probe->reply = judge(check, &routes[i]);
        if (probe->reply == REPLY_RECIPIENT_OK)
            ask_usage(check, probe);
    }
    if (check->unanswered > 0)
        return check;
    finish(check);
    return NULL;
}

void recipient_check_cancel(struct recipient_check *check)
{
    if (check == NULL)
        return;
    for (unsigned i = 0; i < check->count; i++)
        store_link_forget(check->server->store, &check->probes[i].call);
    free(check);
}
