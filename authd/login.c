#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "authd/login.h"
#include "authd/report.h"
#include "lib/log.h"

/* What is shown of a name in the log. */
#define LOG_NAME_MAX 320

static const struct {
    const char *reason;
    enum db_event_kind kind;
} refusals[] = {
    [CHECK_WRONG] = {"", DB_EVENT_REFUSED},
    [CHECK_DISABLED] = {"This account is suspended.", DB_EVENT_REFUSED},
    [CHECK_FORBIDDEN] = {"This account may not send mail.", DB_EVENT_REFUSED},
    [CHECK_DELAYED] = {"", DB_EVENT_DELAYED}, /* login_reason() has the time */
    [CHECK_BUSY] = {"Too many logins at once, try again later.", DB_EVENT_DELAYED},
    [CHECK_BROKEN] = {"Logins cannot be checked now, try again later.", DB_EVENT_DELAYED},
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

void login_init(struct login *login, const char *protocol, const char *rip)
{
    copy_ascii(login->protocol, sizeof(login->protocol), protocol != NULL ? protocol : "-");
    copy_ascii(login->rip, sizeof(login->rip), rip != NULL ? rip : "-");
    login->rip_is_address = is_ip_address(login->rip);
    login->check.service = login->protocol;
    login->check.remote = login->rip_is_address ? login->rip : "";
}

/* What the client has shown: the mailbox's password, or an app password by its name. */
static const char *credential_of(const struct check *check)
{
    return check->credential[0] != '\0' ? check->credential : "password";
}

/* What else was sent may be a password, typed into the wrong field. */
static bool is_name(const struct check *check)
{
    return check->is_address || check->admin_user != 0;
}

/* What is no address of a mailbox's or of a customer's domain is nobody's event. */
static void report_result(const struct login *login, struct report *report, enum db_event_kind kind,
                          const char *reason)
{
    const struct check *check = &login->check;
    const struct report_event event = {
        .kind = kind,
        .customer = check->customer,
        .mailbox = check->mailbox,
        .address = check->address,
        .remote = login->rip_is_address ? login->rip : "",
        .protocol = login->protocol,
        .mechanism = login->mechanism,
        .credential = credential_of(check),
        .reason = reason,
    };

    if (is_name(check))
        report_event(report, &event);
}

void login_granted(const struct login *login, struct report *report, uint64_t session)
{
    const struct check *check = &login->check;
    char name[LOG_NAME_MAX];
    char credential[sizeof(check->credential)];
    char told[sizeof(" session=") + 16] = "";

    copy_word(name, sizeof(name), check->address);
    copy_word(credential, sizeof(credential), credential_of(check));
    if (session != 0)
        snprintf(told, sizeof(told), " session=%016" PRIx64, session);
    log_info("login address=%s mailbox=%" PRIu64 "%s rip=%s service=%s mechanism=%s credential=%s",
             name, check->mailbox, told, login->rip, login->protocol, login->mechanism, credential);
    report_result(login, report, DB_EVENT_LOGIN, "");
}

/* This wrong password was the one from which on there is a delay. */
static void report_delays(const struct login *login, struct report *report, const char *name)
{
    const struct check *check = &login->check;

    for (enum throttle_scope scope = 0; scope < THROTTLE_SCOPES; scope++) {
        if ((check->delays & 1U << scope) == 0)
            continue;
        log_info("blocked address=%s mailbox=%" PRIu64 " rip=%s service=%s reason=%s", name,
                 check->mailbox, login->rip, login->protocol, throttle_reason(scope));
        report_result(login, report, DB_EVENT_BLOCKED, throttle_reason(scope));
    }
}

void login_refused(const struct login *login, struct report *report, enum check_result result)
{
    const struct check *check = &login->check;
    char name[LOG_NAME_MAX];

    copy_word(name, sizeof(name), is_name(check) ? check->address : "-");
    log_info("refused address=%s mailbox=%" PRIu64 " rip=%s service=%s mechanism=%s reason=%s",
             name, check->mailbox, login->rip, login->protocol, login->mechanism, check->reason);
    report_result(login, report, refusals[result].kind, check->reason);
    report_delays(login, report, name);
}

void login_malformed(const struct login *login, const char *reason)
{
    log_info("refused mechanism=%s rip=%s service=%s reason=%s", login->mechanism, login->rip,
             login->protocol, reason);
}

void login_reason(const struct login *login, enum check_result result,
                  char text_r[LOGIN_REASON_SIZE])
{
    uint32_t seconds = login->check.seconds;

    if (result == CHECK_DELAYED)
        snprintf(text_r, LOGIN_REASON_SIZE,
                 "Too many wrong passwords, try again in %" PRIu32 " second%s.", seconds,
                 seconds == 1 ? "" : "s");
    else
        snprintf(text_r, LOGIN_REASON_SIZE, "%s", refusals[result].reason);
}
