/*
 * Starts the programs, starts again what crashed, and lets new ones take over. Parses nothing that
 * comes from the network: its inputs are signals, the words of lib/child.h, a request of the
 * instance's owner (cli/callers.h), and his files on SIGHUP and such a request.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "cli/callers.h"
#include "cli/fdstore.h"
#include "cli/fleet.h"
#include "cli/inventory.h"
#include "cli/material.h"
#include "cli/rotation.h"
#include "cli/supervisor.h"
#include "cli/takeover.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/ticketkeys.h"
#include "lib/xalloc.h"

/* In ms. A stop takes less than 5 s; what the fronts leave of it is for authd and stored. */
#define DRAIN_FRONTS 4000
#define DRAIN_ALL    4700

enum supervisor_state {
    STATE_SERVING,
    STATE_DRAINING_FRONTS,
    STATE_DRAINING_BACKS,
    STATE_DRAINING_WRITER
};

struct supervisor {
    struct event_base *base;
    struct inventory *inventory;
    struct material *material;
    struct conf running; /* as the programs were started with */
    uint64_t coming;     /* pop3_processes of the reload that is under way */
    enum supervisor_state state;
    int result;
    struct fleet fleet;
    struct takeover takeover;
    struct callers *callers; /* NULL: it is being stopped */
    struct event *child;
    struct event *hangup;
    struct event *terminate;
    struct event *interrupt;
    struct event *fronts_late;
    struct event *all_late;
    struct rotation *rotation;
};

static struct timeval interval(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void kill_stage(struct supervisor *supervisor, enum program_stage stage)
{
    if (fleet_kill(&supervisor->fleet, stage))
        supervisor->result = 1;
}

/* Goes on as far as the programs that still run allow. */
static void drain_step(struct supervisor *supervisor)
{
    struct fleet *fleet = &supervisor->fleet;

    if (supervisor->state == STATE_DRAINING_FRONTS && !fleet_any_runs(fleet, STAGE_FRONT)) {
        supervisor->state = STATE_DRAINING_BACKS;
        fleet_signal(fleet, STAGE_BACK, SIGTERM);
    }
    if (supervisor->state == STATE_DRAINING_BACKS && !fleet_any_runs(fleet, STAGE_BACK)) {
        supervisor->state = STATE_DRAINING_WRITER;
        fleet_signal(fleet, STAGE_WRITER, SIGTERM);
    }
    if (supervisor->state == STATE_DRAINING_WRITER && !fleet_any_runs(fleet, STAGE_FRONT) &&
        !fleet_any_runs(fleet, STAGE_BACK) && !fleet_any_runs(fleet, STAGE_WRITER))
        event_base_loopexit(supervisor->base, NULL);
}

/* Clients that come now are refused at once, and not left waiting for a program that goes. */
static void close_client_sockets(struct supervisor *supervisor)
{
    for (size_t i = 0; i < PROGRAMS; i++)
        for (size_t j = 0; programs[i].descriptors[j] != NULL; j++)
            if (programs[i].stage != STAGE_BACK)
                inventory_close(supervisor->inventory, programs[i].descriptors[j]);
}

static void stop_listening(struct supervisor *supervisor)
{
    if (supervisor->callers != NULL)
        callers_free(supervisor->callers);
    supervisor->callers = NULL;
    inventory_close(supervisor->inventory, "callers");
}

static void drain_begin(struct supervisor *supervisor)
{
    const struct timeval fronts = interval(DRAIN_FRONTS);
    const struct timeval all = interval(DRAIN_ALL);

    supervisor->state = STATE_DRAINING_FRONTS;
    takeover_cancel(&supervisor->takeover, "the service is being stopped");
    sd_notify(0, "STOPPING=1");
    stop_listening(supervisor);
    FLEET_EACH (&supervisor->fleet, process)
        process_cancel(process);
    close_client_sockets(supervisor);
    event_add(supervisor->fronts_late, &fronts);
    event_add(supervisor->all_late, &all);
    fleet_signal(&supervisor->fleet, STAGE_FRONT, SIGTERM);
    drain_step(supervisor);
}

static void on_fronts_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    kill_stage(context, STAGE_FRONT);
}

static void kill_all(struct supervisor *supervisor)
{
    supervisor->state = STATE_DRAINING_WRITER;
    kill_stage(supervisor, STAGE_FRONT);
    kill_stage(supervisor, STAGE_BACK);
    kill_stage(supervisor, STAGE_WRITER);
}

static void on_all_late(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    kill_all(context);
}

/* takeover_lost() may have freed an ended one's place already. */
static bool gives_up_place(const struct supervisor *supervisor, const struct process *process)
{
    return process->role == PROCESS_LEAVING ||
           (process->role == PROCESS_COMING && supervisor->takeover.state != TAKEOVER_HANDING);
}

static void on_end(struct supervisor *supervisor, struct process *process, int status)
{
    const char *name = process->program->name;
    bool gave_up = process_ended(process, status);

    takeover_lost(&supervisor->takeover, process);
    if (gives_up_place(supervisor, process))
        process_fini(process);
    if (supervisor->state != STATE_SERVING) {
        drain_step(supervisor);
    } else if (gave_up) {
        log_error("%s cannot run here, see its own line above; stopping everything", name);
        supervisor->result = 1;
        drain_begin(supervisor);
    } else if (process->role == PROCESS_SERVING) {
        process_restart(process);
    }
}

static void on_child(evutil_socket_t number, short what, void *context)
{
    struct supervisor *supervisor = context;
    struct process *process;
    int status;
    pid_t pid;
    (void)number;
    (void)what;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if ((process = fleet_find(&supervisor->fleet, pid)) != NULL)
            on_end(supervisor, process, status);
}

static void on_again(void *context, struct process *process)
{
    struct supervisor *supervisor = context;

    fleet_start_again(&supervisor->fleet, process);
}

static void on_told(void *context, struct process *process, enum child_word word)
{
    struct supervisor *supervisor = context;
    (void)process;

    takeover_told(&supervisor->takeover, word);
}

static const struct process_events process_events = {.again = on_again, .told = on_told};

static void on_terminate(evutil_socket_t number, short what, void *context)
{
    struct supervisor *supervisor = context;
    (void)what;

    if (supervisor->state == STATE_SERVING) {
        log_info("stopping after signal %d", (int)number);
        drain_begin(supervisor);
    } else {
        log_warning("signal %d came again: ending at once", (int)number);
        kill_all(supervisor);
    }
}

/* The sockets were opened with these, so they stay until the next start. */
static bool listens_elsewhere(const struct conf *running, const struct conf *wanted)
{
    return strcmp(running->pop3_listen, wanted->pop3_listen) != 0 ||
           strcmp(running->pop3s_listen, wanted->pop3s_listen) != 0 ||
           strcmp(running->lmtp_listen, wanted->lmtp_listen) != 0 ||
           strcmp(running->http_listen, wanted->http_listen) != 0 ||
           strcmp(running->https_listen, wanted->https_listen) != 0;
}

/* Says it where it has to wait. */
static void tell_what_waits(struct supervisor *supervisor)
{
    static const char restart[] = "the changed *_listen settings count from the next start of "
                                  "bellhop serve";
    const struct conf *running = &supervisor->running;
    const struct conf *wanted = &supervisor->material->conf;

    if (listens_elsewhere(running, wanted)) {
        log_warning("%s", restart);
        callers_tell(supervisor->callers, CALLERS_PROGRESS, restart);
    }
}

/* The end of a reload that is under way decides what runs. */
static void tell_processes(const struct supervisor *supervisor)
{
    if (supervisor->takeover.state == TAKEOVER_NONE &&
        supervisor->running.pop3_processes != supervisor->material->conf.pop3_processes)
        log_warning("the changed pop3_processes counts from the next bellhop reload");
}

static void notify_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_microseconds());
}

/*
 * Reads all files again, and has the programs read what has become of them. Returns 0, or -1 when a
 * file is not what it should be, with one sentence in error_r: that one stays as it was.
 */
static int load_again(struct supervisor *supervisor, char *error_r, size_t error_size)
{
    struct material *material = supervisor->material;
    char error[512];
    int result = 0;

    if (material_load_conf(material, error, sizeof(error)) < 0) {
        log_error("the configuration stays as it was: %s", error);
        snprintf(error_r, error_size, "%s", error);
        result = -1;
    } else {
        tell_what_waits(supervisor);
    }
    if (material_load_tls(material, error, sizeof(error)) < 0) {
        log_error("the TLS certificate stays as it was: %s", error);
        snprintf(error_r, error_size, "%s", error);
        result = -1;
    }
    if (material_load_texts(material, error, sizeof(error)) < 0)
        log_error("the texts of warnings are not what they should be: %s", error);
    if (material_load_authorities(material, error, sizeof(error)) < 0)
        log_error("the authorities stay as they were: %s", error);
    fleet_signal(&supervisor->fleet, STAGE_BACK, SIGHUP);
    fleet_signal(&supervisor->fleet, STAGE_FRONT, SIGHUP);
    fleet_signal(&supervisor->fleet, STAGE_WRITER, SIGHUP);
    return result;
}

static void on_hangup(evutil_socket_t number, short what, void *context)
{
    struct supervisor *supervisor = context;
    char error[512];
    (void)number;
    (void)what;

    if (supervisor->state != STATE_SERVING)
        return;
    notify_reloading();
    (void)load_again(supervisor, error, sizeof(error));
    tell_processes(supervisor);
    log_info("loaded again after signal %d", SIGHUP);
    if (supervisor->takeover.state == TAKEOVER_NONE)
        sd_notify(0, "READY=1");
}

/* A command asks for it. */
static void on_reload(void *context)
{
    struct supervisor *supervisor = context;
    char error[512];

    notify_reloading();
    log_info("reloading, as a command asks");
    if (load_again(supervisor, error, sizeof(error)) == 0) {
        callers_tell(supervisor->callers, CALLERS_PROGRESS,
                     "read the configuration, the certificate and the texts");
        supervisor->coming = supervisor->material->conf.pop3_processes;
        takeover_begin(&supervisor->takeover, &supervisor->material->conf);
    } else {
        callers_tell(supervisor->callers, CALLERS_REFUSED, error);
        sd_notify(0, "READY=1");
    }
}

static void on_progress(void *context, const char *sentence)
{
    struct supervisor *supervisor = context;

    callers_tell(supervisor->callers, CALLERS_PROGRESS, sentence);
}

static unsigned count_leaving(struct fleet *fleet)
{
    unsigned count = 0;

    FLEET_EACH (fleet, process)
        count += process->role == PROCESS_LEAVING;
    return count;
}

static void on_taken_over(void *context, const char *refusal)
{
    struct supervisor *supervisor = context;
    char sentence[1024];

    if (refusal != NULL) {
        snprintf(sentence, sizeof(sentence), "%s; the programs that served go on", refusal);
        log_error("nothing has been taken over: %s", sentence);
    } else {
        supervisor->running.pop3_processes = supervisor->coming;
        snprintf(sentence, sizeof(sentence),
                 "they serve now; %u earlier processes end with their last clients",
                 count_leaving(&supervisor->fleet));
        log_info("reloaded: %s", sentence);
    }
    tell_processes(supervisor);
    callers_tell(supervisor->callers, refusal == NULL ? CALLERS_DONE : CALLERS_REFUSED, sentence);
    sd_notify(0, "READY=1");
}

static const struct takeover_events takeover_events = {.progress = on_progress,
                                                       .ended = on_taken_over};

static struct event *watch(struct supervisor *supervisor, int number, event_callback_fn callback)
{
    struct event *event = evsignal_new(supervisor->base, number, callback, supervisor);

    if (event == NULL || event_add(event, NULL) < 0)
        log_fatal("cannot watch signal %d", number);
    return event;
}

static struct event *timer(struct supervisor *supervisor, event_callback_fn callback)
{
    struct event *event = evtimer_new(supervisor->base, callback, supervisor);

    if (event == NULL)
        log_fatal("cannot make a timer: out of memory");
    return event;
}

static void supervisor_init(struct supervisor *supervisor)
{
    supervisor->base = event_base_new();
    if (supervisor->base == NULL)
        log_fatal("cannot make an event loop");
    signal(SIGPIPE, SIG_IGN);
    supervisor->child = watch(supervisor, SIGCHLD, on_child);
    supervisor->hangup = watch(supervisor, SIGHUP, on_hangup);
    supervisor->terminate = watch(supervisor, SIGTERM, on_terminate);
    supervisor->interrupt = watch(supervisor, SIGINT, on_terminate);
    supervisor->fronts_late = timer(supervisor, on_fronts_late);
    supervisor->all_late = timer(supervisor, on_all_late);
    supervisor->rotation =
        rotation_new(supervisor->base, supervisor->material->ticketkeys, TICKETKEYS_PERIOD * 1000);
    supervisor->callers = callers_new(
        supervisor->base, inventory_find(supervisor->inventory, "callers"), on_reload, supervisor);
    takeover_init(&supervisor->takeover, supervisor->base, &supervisor->fleet, &takeover_events,
                  supervisor);
}

static void supervisor_fini(struct supervisor *supervisor)
{
    takeover_fini(&supervisor->takeover);
    fleet_fini(&supervisor->fleet);
    event_free(supervisor->child);
    event_free(supervisor->hangup);
    event_free(supervisor->terminate);
    event_free(supervisor->interrupt);
    event_free(supervisor->fronts_late);
    event_free(supervisor->all_late);
    rotation_free(supervisor->rotation);
    event_base_free(supervisor->base);
}

/* Returns 0, or -1 after a log line. */
static int start_all(struct supervisor *supervisor)
{
    const struct process_setting setting = {.base = supervisor->base,
                                            .inventory = supervisor->inventory,
                                            .events = &process_events,
                                            .context = supervisor};
    struct fleet *fleet = &supervisor->fleet;
    char error[512];

    if (fleet_init(fleet, &setting, error, sizeof(error)) < 0) {
        log_error("%s", error);
        return -1;
    }
    for (int i = 0; i < PROGRAMS; i++)
        if (fleet_start(fleet, &programs[i], &supervisor->running, PROCESS_SERVING,
                        fleet->binaries[i]) < 0)
            return -1;
    inventory_close(supervisor->inventory, "last");
    return 0;
}

int supervisor_run(struct inventory *inventory, struct material *material, const char *serving)
{
    struct supervisor *supervisor = xcalloc(1, sizeof(*supervisor));

    supervisor->inventory = inventory;
    supervisor->material = material;
    supervisor->running = material->conf;
    supervisor_init(supervisor);
    if (start_all(supervisor) == 0) {
        /* All sockets listen and all programs are executed: whoever connects now is served. */
        log_info("serving %s", serving);
        sd_notify(0, "READY=1");
    } else {
        supervisor->result = 1;
        drain_begin(supervisor);
    }
    event_base_dispatch(supervisor->base);
    int memory = fleet_memory(&supervisor->fleet, &programs[PROGRAM_AUTHD]);
    if (memory >= 0)
        fdstore_put(memory);
    int result = supervisor->result;
    supervisor_fini(supervisor);
    free(supervisor);
    return result;
}
