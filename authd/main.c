/*
 * authd: checks every credential. It opens accounts.db to read, and holds the key that seals
 * capabilities; it trusts nothing that comes over its sockets but the login data of fronts about
 * their own clients (address, service), which only appear in the log.
 */
#include <event2/event.h>
#include <sodium.h>

#include "authd/check.h"
#include "authd/control.h"
#include "authd/listener.h"
#include "authd/mailproxy.h"
#include "authd/memory.h"
#include "authd/plans.h"
#include "authd/report.h"
#include "authd/service.h"
#include "lib/capability.h"
#include "lib/child.h"
#include "lib/confine.h"
#include "lib/log.h"

/* The supervisor gives authd 3 seconds; a hash that runs at the end of these 2 is waited for. */
#define DRAIN_TICKS 100
static const struct timeval drain_tick = {.tv_usec = 20 * 1000};

/*
 * Postfix's smtpd and Exim hold one connection a process, with one exchange at a time, beside those
 * that Postfix's clients have broken off; a few more are theirs to ask for.
 */
#define MTA_CONNECTIONS_MAX 1000
#define MTA_REQUESTS_MAX    100

/* A pop3d has one connection, with up to an exchange for each session. */
#define FRONT_CONNECTIONS_MAX 256
#define FRONT_REQUESTS_MAX    32768

/* nginx has one for each client that has just logged in; further ones wait. 8 KiB each. */
#define NGINX_CONNECTIONS_MAX 1000

struct authd {
    struct child child;
    struct memory *memory;
    struct checker *checker;
    struct plans *plans;
    struct report *report;
    struct control *control;
    struct service mta;
    struct service front;
    struct service nginx;
    struct listener *mta_listener;
    struct listener *front_listener;
    struct mailproxy *mailproxy;
    bool retired;
    struct event *tick;
    unsigned ticks;
    uint8_t key[CAPABILITY_KEY_SIZE];
};

static void on_reload(void *context)
{
    struct authd *authd = context;

    checker_configure(authd->checker, &authd->child.conf);
    log_info("the configuration has been read anew");
}

static void stop(struct authd *authd)
{
    listener_free(authd->mta_listener);
    listener_free(authd->front_listener);
    mailproxy_free(authd->mailproxy);
    plans_free(authd->plans);
    control_free(authd->control);
    checker_free(authd->checker);
    memory_free(authd->memory);
    report_free(authd->report);
    event_free(authd->tick);
    sodium_memzero(authd->key, sizeof(authd->key));
}

/* Whoever writes may be being started; so it is waited for, within the ticks. */
static bool is_reporting(struct report *report)
{
    return !report_is_written(report, report_flush(report));
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct authd *authd = context;
    (void)fd;
    (void)what;

    bool busy = checker_pending(authd->checker) > 0 || listener_has_output(authd->mta_listener) ||
                listener_has_output(authd->front_listener) || is_reporting(authd->report);
    if (busy && ++authd->ticks < DRAIN_TICKS)
        return;
    event_base_loopbreak(authd->child.base);
}

static void on_drain(void *context)
{
    struct authd *authd = context;

    listener_drain(authd->mta_listener);
    listener_drain(authd->front_listener);
    mailproxy_set_open(authd->mailproxy, false);
    event_add(authd->tick, &drain_tick);
}

static void set_open(struct authd *authd, bool open)
{
    listener_set_open(authd->mta_listener, open);
    listener_set_open(authd->front_listener, open);
    mailproxy_set_open(authd->mailproxy, open);
    control_set_open(authd->control, open);
}

static void on_serve(void *context)
{
    struct authd *authd = context;

    checker_take_over(authd->checker);
    set_open(authd, !authd->retired);
}

static void end_when_idle(void *context)
{
    struct authd *authd = context;

    if (authd->retired && listener_is_idle(authd->mta_listener) &&
        listener_is_idle(authd->front_listener) && mailproxy_is_idle(authd->mailproxy))
        on_drain(authd); /* what is reported has still to be written */
}

/* Who is connected goes on asking here: a login that is under way is no login that fails. */
static void on_retire(void *context)
{
    struct authd *authd = context;

    authd->retired = true;
    set_open(authd, false);
    end_when_idle(authd);
}

static void start(struct authd *authd)
{
    struct event_base *base = authd->child.base;

    if (child_read(child_descriptor("key", 0), authd->key, sizeof(authd->key)) !=
        sizeof(authd->key))
        log_fatal("the supervisor has not passed the key");
    authd->report = report_new(base);
    authd->memory = memory_new(child_descriptor("memory", 0), child_descriptor("last", 0));
    authd->checker = checker_new(base, &authd->child.conf, authd->report, authd->memory);
    authd->plans = plans_new(base, authd->checker);
    authd->control = control_new(base, authd->report, authd->checker);
    authd->mta = (struct service){.name = "auth",
                                  .base = base,
                                  .checker = authd->checker,
                                  .report = authd->report,
                                  .connections_max = MTA_CONNECTIONS_MAX,
                                  .hangs_up = true,
                                  .expires = true,
                                  .asks = true,
                                  .requests_max = MTA_REQUESTS_MAX};
    authd->front = (struct service){.name = "auth-front",
                                    .base = base,
                                    .checker = authd->checker,
                                    .report = authd->report,
                                    .key = authd->key,
                                    .binds = true,
                                    .plans = authd->plans,
                                    .connections_max = FRONT_CONNECTIONS_MAX,
                                    .requests_max = FRONT_REQUESTS_MAX};
    authd->nginx = (struct service){.name = "nginx",
                                    .base = base,
                                    .checker = authd->checker,
                                    .report = authd->report,
                                    .connections_max = NGINX_CONNECTIONS_MAX};
    authd->mta_listener = listener_new(&authd->mta, end_when_idle, authd);
    authd->front_listener = listener_new(&authd->front, end_when_idle, authd);
    authd->mailproxy =
        mailproxy_new(&authd->nginx, authd->child.conf.pop3_listen, end_when_idle, authd);
    plans_watch(authd->plans, authd->front_listener);
    authd->tick = event_new(base, -1, EV_PERSIST, on_tick, authd);
    if (authd->tick == NULL)
        log_fatal("out of memory");
}

static const struct confine_profile profile = {
    .calls = {.files = CALLFILTER_READ, .threads = true},
    .paths = {CONFINE_DATABASE(LANDLOCK_READ)},
};

int main(void)
{
    static struct authd authd;

    child_init(&authd.child, "authd");
    confine(&profile);
    start(&authd);
    authd.child.reload = on_reload;
    authd.child.drain = on_drain;
    authd.child.serve = on_serve;
    authd.child.retire = on_retire;
    authd.child.context = &authd;
    child_ready();
    child_run(&authd.child);
    stop(&authd);
    child_fini(&authd.child);
    return 0;
}
