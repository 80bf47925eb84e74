#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "authd/login.h"
#include "authd/pagelogin.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/xalloc.h"

_Static_assert(AUTH_LOGIN_MAX <= MECHANISM_NAME_MAX && AUTH_PASSWORD_MAX <= MECHANISM_PASSWORD_MAX,
               "what is asked can be checked");

_Static_assert(AUTH_FITTED_SIZE == sizeof(((struct check *)NULL)->fitted), "it fits");

struct pagelogin {
    struct pagelogin *prev;
    struct pagelogin *next;
    struct pagelogin **list;
    struct report *report;
    struct channel *channel;
    uint32_t id;
    struct login login;
};

static const enum auth_answer answers[] = {
    [CHECK_GOOD] = AUTH_ANSWER_GOOD,         [CHECK_WRONG] = AUTH_ANSWER_WRONG,
    [CHECK_DISABLED] = AUTH_ANSWER_DISABLED, [CHECK_FORBIDDEN] = AUTH_ANSWER_DISABLED,
    [CHECK_DELAYED] = AUTH_ANSWER_DELAYED,   [CHECK_BUSY] = AUTH_ANSWER_BUSY,
    [CHECK_BROKEN] = AUTH_ANSWER_BROKEN,
};

static void pagelogin_free(struct pagelogin *pagelogin)
{
    DL_DELETE(*pagelogin->list, pagelogin);
    free(pagelogin);
}

/* That somebody is let in is told by admin, which asks for more than the password. */
static void on_checked(struct check *check, enum check_result result)
{
    struct pagelogin *pagelogin =
        (struct pagelogin *)(void *)((char *)check - offsetof(struct pagelogin, login.check));
    struct auth_checked checked = {.answer = answers[result]};

    if (result == CHECK_GOOD) {
        checked.customer = check->customer;
        checked.admin_user = check->admin_user;
        checked.mailbox = check->mailbox;
        memcpy(checked.fitted, check->fitted, sizeof(checked.fitted));
    } else {
        login_refused(&pagelogin->login, pagelogin->report, result);
    }
    if (result == CHECK_DELAYED)
        checked.seconds = check->seconds;
    channel_send(pagelogin->channel, AUTH_CHECKED, pagelogin->id, &checked, sizeof(checked), NULL,
                 0);
    pagelogin_free(pagelogin);
}

int pagelogin_start(struct pagelogin **list, struct checker *checker, struct report *report,
                    struct channel *channel, const struct channel_message *message)
{
    struct auth_check fixed;

    if (message->length < sizeof(fixed))
        return -1;
    memcpy(&fixed, message->payload, sizeof(fixed));
    const char *login = (const char *)message->payload + sizeof(fixed);
    if (message->length - sizeof(fixed) != (size_t)fixed.login_length + fixed.password_length ||
        fixed.login_length > AUTH_LOGIN_MAX || fixed.password_length > AUTH_PASSWORD_MAX ||
        memchr(login, '\0', fixed.login_length) != NULL ||
        memchr(fixed.remote, '\0', sizeof(fixed.remote)) == NULL)
        return -1;
    struct pagelogin *pagelogin = xcalloc(1, sizeof(*pagelogin));
    pagelogin->list = list;
    pagelogin->report = report;
    pagelogin->channel = channel;
    pagelogin->id = message->id;
    login_init(&pagelogin->login, CHECK_PAGES, fixed.remote[0] != '\0' ? fixed.remote : NULL);
    pagelogin->login.mechanism = "password";
    pagelogin->login.check.done = on_checked;
    DL_APPEND(*list, pagelogin);
    check_start(checker, &pagelogin->login.check, login, fixed.login_length,
                login + fixed.login_length, fixed.password_length);
    return 0;
}

void pagelogin_cancel(struct pagelogin **list, struct checker *checker)
{
    while (*list != NULL) {
        check_cancel(checker, &(*list)->login.check);
        pagelogin_free(*list);
    }
}

int pagelogin_key(struct checker *checker, struct channel *channel,
                  const struct channel_message *message)
{
    struct auth_checked checked = {.answer = AUTH_ANSWER_WRONG};
    struct auth_key key;
    bool blocked;

    memcpy(&key, message->payload, sizeof(key));
    if (memchr(key.remote, '\0', sizeof(key.remote)) == NULL)
        return -1;
    checked.seconds = checker_wrong_key(checker, key.remote, key.digest, &blocked);
    if (checked.seconds > 0)
        checked.answer = AUTH_ANSWER_DELAYED;
    if (blocked)
        log_info("blocked rip=%s service=api reason=%s", key.remote,
                 throttle_reason(THROTTLE_NETWORK));
    channel_send(channel, AUTH_CHECKED, message->id, &checked, sizeof(checked), NULL, 0);
    return 0;
}
