#include "db/eventtype.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Characters of a type that a sentence repeats, where it is one that somebody has mistyped. */
#define SHOWN_MAX 40

/* clang-format off */
const char *const db_eventtypes[] = {
    "*",
    "customer.*", "customer.add", "customer.name", "customer.language", "customer.plan",
    "customer.suspend", "customer.resume", "customer.remove", "customer.restore", "customer.purge",
    "domain.*", "domain.add", "domain.catch-all", "domain.remove", "domain.restore",
    "domain.purge",
    "address.*", "address.add", "address.invite", "address.name", "address.settings",
    "address.password", "address.suspend", "address.over-plan", "address.within-plan",
    "address.resume", "address.remove", "address.restore", "address.purge",
    "alias.*", "alias.add", "alias.set",
    "mailbox.*", "mailbox.quota-crossed",
    "login.*", "login.blocked",
    "app_password.*", "app_password.add", "app_password.remove",
    "invitation.*", "invitation.take",
    "session.*", "session.begin", "session.end", "session.end-all",
    "second-factor.*", "second-factor.begin", "second-factor.confirm", "second-factor.recover",
    "second-factor.recovery-codes", "second-factor.remove",
    "admin-user.*", "admin-user.add", "admin-user.invite", "admin-user.set", "admin-user.password",
    "admin-user.remove",
    "api_key.*", "api_key.add", "api_key.set", "api_key.remove",
    "job.*", "job.start", "job.done", "job.fail", "job.cancel", "job.result", "job.cards",
    "removal.*", "removal.purge",
    "plan.*", "plan.add", "plan.set", "plan.remove",
    "token_issuer.*", "token_issuer.add", "token_issuer.remove",
    "trusted_network.*", "trusted_network.add", "trusted_network.remove",
    "webhook.*", "webhook.add", "webhook.set", "webhook.secret", "webhook.enable",
    "webhook.replay", "webhook.disable", "webhook.remove",
    NULL};
/* clang-format on */

static bool is_known(const char *type, size_t length)
{
    for (const char *const *known = db_eventtypes; *known != NULL; known++) {
        if (strlen(*known) == length && memcmp(*known, type, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Those that begin as the wrong one does, up to its dot; the patterns where none does. */
static size_t list(const char *type, size_t kind, char *text_r, size_t size)
{
    size_t used = 0;
    for (const char *const *known = db_eventtypes; *known != NULL; known++) {
        bool wanted = kind > 0 ? strncmp(*known, type, kind) == 0 : strchr(*known, '*') != NULL;
        if (wanted && used < size) {
            used +=
                (size_t)snprintf(text_r + used, size - used, "%s%s", used > 0 ? ", " : "", *known);
        }
    }
    return used;
}

static void explain(const char *type, size_t length, char error_r[DB_EVENTTYPE_ERROR_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.*";
    bool shown = length > 0 && length <= SHOWN_MAX && strspn(type, letters) >= length;
    const char *dot = memchr(type, '.', length);
    size_t used =
        (size_t)snprintf(error_r, DB_EVENTTYPE_ERROR_SIZE, "there is no %s%.*s%s; there are ",
                         shown ? "type of events \"" : "such type of events",
                         shown ? (int)length : 0, type, shown ? "\"" : "");
    size_t size = DB_EVENTTYPE_ERROR_SIZE - used;
    if (dot == NULL || list(type, (size_t)(dot - type) + 1, error_r + used, size) == 0) {
        list(type, 0, error_r + used, size);
    }
}

int db_eventtype_check(const char *types, char error_r[DB_EVENTTYPE_ERROR_SIZE])
{
    for (;;) {
        size_t length = strcspn(types, ",");
        if (!is_known(types, length)) {
            explain(types, length, error_r);
            return -1;
        }
        if (types[length] == '\0') {
            return 0;
        }
        types += length + 1;
    }
}

bool db_eventtype_wants(const char *types, const char *type)
{
    for (const char *at = types; *at != '\0';) {
        size_t length = strcspn(at, ",");
        bool star = length > 0 && at[length - 1] == '*';
        if (star ? strncmp(type, at, length - 1) == 0
                 : strlen(type) == length && strncmp(type, at, length) == 0) {
            return true;
        }
        at += length + (at[length] == ',');
    }
    return false;
}
