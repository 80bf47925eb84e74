/*
 * Starts the programs, and starts again what crashed. Parses nothing that comes from the network:
 * its inputs are signals, and files of the instance's owner on SIGHUP.
 */
#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "cli/inventory.h"
#include "cli/material.h"
#include "cli/process.h"
#include "cli/rotation.h"
#include "cli/supervisor.h"
#include "lib/child.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/ticketkeys.h"
#include "lib/xalloc.h"

/* In ms. A stop takes less than 5 s; what the fronts leave of it is for authd and stored. */
#define DRAIN_FRONTS 4000
#define DRAIN_ALL    4700

/* Slot 0 of the counters is the supervisor's own; lib/conf.c allows 64 processes of pop3d. */
#define PROCESSES_MAX  (METRICS_SLOTS - 1)
#define POP3_PROCESSES 64

/* In the order of starting. */
static const struct program programs[] = {
    {"stored", STAGE_BACK, {"key", "deliver", "front", "control"}},
    {"authd", STAGE_BACK, {"key", "auth", "auth-front", "auth-control"}},
    {"lmtpd", STAGE_FRONT, {"lmtp", "lmtp-unix", "text"}},
    {"pop3d", STAGE_FRONT, {"tls", "tickets", "pop3", "pop3s"}},
    {"admin", STAGE_WRITER, {"http"}},
};

#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

enum supervisor_state { STATE_SERVING, STATE_DRAINING_FRONTS, STATE_DRAINING_BACKS };

struct supervisor {
    struct event_base *base;
    struct inventory *inventory;
    struct material *material;
    struct conf running; /* as the programs were started with */
    enum supervisor_state state;
    int result;
    unsigned process_count;
    struct process processes[PROCESSES_MAX];
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

static bool any_runs(const struct supervisor *supervisor, enum program_stage stage)
{
    for (unsigned i = 0; i < supervisor->process_count; i++)
        if (supervisor->processes[i].pid > 0 && supervisor->processes[i].program->stage == stage)
            return true;
    return false;
}

static void signal_stage(const struct supervisor *supervisor, enum program_stage stage, int number)
{
    for (unsigned i = 0; i < supervisor->process_count; i++)
        if (supervisor->processes[i].pid > 0 && supervisor->processes[i].program->stage == stage)
            kill(supervisor->processes[i].pid, number);
}

static void kill_stage(struct supervisor *supervisor, enum program_stage stage)
{
    for (unsigned i = 0; i < supervisor->process_count; i++) {
        const struct process *process = &supervisor->processes[i];
        if (process->pid == 0 || process->program->stage != stage)
            continue;
        log_warning("killing %s[%d], which has not ended", process->program->name,
                    (int)process->pid);
        kill(process->pid, SIGKILL);
        supervisor->result = 1;
    }
}

/* Goes on as far as the programs that still run allow. */
static void drain_step(struct supervisor *supervisor)
{
    if (supervisor->state == STATE_DRAINING_FRONTS && !any_runs(supervisor, STAGE_FRONT)) {
        supervisor->state = STATE_DRAINING_BACKS;
        signal_stage(supervisor, STAGE_BACK, SIGTERM);
    }
    if (supervisor->state == STATE_DRAINING_BACKS && !any_runs(supervisor, STAGE_BACK) &&
        !any_runs(supervisor, STAGE_WRITER))
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

static void drain_begin(struct supervisor *supervisor)
{
    const struct timeval fronts = interval(DRAIN_FRONTS);
    const struct timeval all = interval(DRAIN_ALL);

    supervisor->state = STATE_DRAINING_FRONTS;
    sd_notify(0, "STOPPING=1");
    for (unsigned i = 0; i < supervisor->process_count; i++)
        process_cancel(&supervisor->processes[i]);
    close_client_sockets(supervisor);
    event_add(supervisor->fronts_late, &fronts);
    event_add(supervisor->all_late, &all);
    signal_stage(supervisor, STAGE_FRONT, SIGTERM);
    signal_stage(supervisor, STAGE_WRITER, SIGTERM);
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
    supervisor->state = STATE_DRAINING_BACKS;
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

static void on_end(struct supervisor *supervisor, struct process *process, int status)
{
    bool gave_up = process_ended(process, status);

    if (supervisor->state != STATE_SERVING) {
        drain_step(supervisor);
    } else if (gave_up) {
        log_error("%s cannot run here, see its own line above; stopping everything",
                  process->program->name);
        supervisor->result = 1;
        drain_begin(supervisor);
    } else {
        process_restart(process);
    }
}

static void on_child(evutil_socket_t number, short what, void *context)
{
    struct supervisor *supervisor = context;
    int status;
    pid_t pid;
    (void)number;
    (void)what;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < supervisor->process_count; i++)
            if (supervisor->processes[i].pid == pid)
                on_end(supervisor, &supervisor->processes[i], status);
}

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

/* The programs were started with these, so they stay until the next start. */
static void warn_unchangeable(const struct conf *running, const struct conf *wanted)
{
    if (strcmp(running->pop3_listen, wanted->pop3_listen) != 0 ||
        strcmp(running->pop3s_listen, wanted->pop3s_listen) != 0 ||
        strcmp(running->lmtp_listen, wanted->lmtp_listen) != 0 ||
        strcmp(running->http_listen, wanted->http_listen) != 0 ||
        running->pop3_processes != wanted->pop3_processes)
        log_warning("the changed *_listen or pop3_processes settings count from the next start of "
                    "bellhop serve");
}

static void notify_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
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
    if (material_load_conf(supervisor->material, error, sizeof(error)) < 0)
        log_error("the configuration stays as it was: %s", error);
    else
        warn_unchangeable(&supervisor->running, &supervisor->material->conf);
    if (material_load_tls(supervisor->material, error, sizeof(error)) < 0)
        log_error("the TLS certificate stays as it was: %s", error);
    if (material_load_texts(supervisor->material, error, sizeof(error)) < 0)
        log_error("the texts of warnings are not what they should be: %s", error);
    signal_stage(supervisor, STAGE_BACK, SIGHUP);
    signal_stage(supervisor, STAGE_FRONT, SIGHUP);
    signal_stage(supervisor, STAGE_WRITER, SIGHUP);
    log_info("loaded again after signal %d", SIGHUP);
    sd_notify(0, "READY=1");
}

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
}

static void supervisor_fini(struct supervisor *supervisor)
{
    for (unsigned i = 0; i < supervisor->process_count; i++)
        process_fini(&supervisor->processes[i]);
    event_free(supervisor->child);
    event_free(supervisor->hangup);
    event_free(supervisor->terminate);
    event_free(supervisor->interrupt);
    event_free(supervisor->fronts_late);
    event_free(supervisor->all_late);
    rotation_free(supervisor->rotation);
    event_base_free(supervisor->base);
}

static unsigned program_count(const struct program *program, const struct conf *conf)
{
    if (strcmp(program->name, "pop3d") != 0)
        return 1;
    unsigned count = child_per_core(conf->pop3_processes);
    return count < POP3_PROCESSES ? count : POP3_PROCESSES;
}

/* Returns 0, or -1 after a log line. */
static int start_program(struct supervisor *supervisor, const struct program *program)
{
    for (unsigned i = 0; i < program_count(program, &supervisor->running); i++) {
        struct process *process = &supervisor->processes[supervisor->process_count++];
        process_init(process, supervisor->base, program, supervisor->inventory,
                     supervisor->process_count);
        if (process_start(process) < 0)
            return -1;
    }
    return 0;
}

int supervisor_run(struct inventory *inventory, struct material *material, const char *serving)
{
    struct supervisor *supervisor = xcalloc(1, sizeof(*supervisor));

    supervisor->inventory = inventory;
    supervisor->material = material;
    supervisor->running = material->conf;
    supervisor_init(supervisor);
    for (size_t i = 0; i < PROGRAMS && supervisor->result == 0; i++)
        if (start_program(supervisor, &programs[i]) < 0)
            supervisor->result = 1;
    if (supervisor->result == 0) {
        /* All sockets listen and all programs are executed: whoever connects now is served. */
        log_info("serving %s", serving);
        sd_notify(0, "READY=1");
    } else {
        drain_begin(supervisor);
    }
    event_base_dispatch(supervisor->base);
    int result = supervisor->result;
    supervisor_fini(supervisor);
    free(supervisor);
    return result;
}
