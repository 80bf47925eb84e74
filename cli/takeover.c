#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/takeover.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* In seconds: a start on a busy machine, with stored coming back from a crash meanwhile; and for an
 * authd to say that it has stopped accepting, which takes it a moment. */
#define PREPARE_TIME 30
#define HAND_TIME    5

#define SENTENCE_MAX (CHILD_SENTENCE_MAX + 128)

static void end(struct takeover *takeover, const char *refusal)
{
    event_del(takeover->late);
    program_close_binaries(takeover->binaries);
    takeover->state = TAKEOVER_NONE;
    takeover->events->ended(takeover->context, refusal);
}

/* No client has met those that come, so they need no time. */
static void end_what_comes(struct takeover *takeover)
{
    FLEET_EACH (takeover->fleet, process) {
        if (process->role != PROCESS_COMING)
            continue;
        if (process->pid > 0) {
            kill(process->pid, SIGKILL);
            process->role = PROCESS_LEAVING; /* its end is nothing to a reload that comes next */
        } else {
            process_fini(process);
        }
    }
}

__attribute__((format(printf, 2, 3))) static void give_up(struct takeover *takeover,
                                                          const char *format, ...)
{
    char sentence[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    end_what_comes(takeover);
    end(takeover, sentence);
}

static void wait_at_most(struct takeover *takeover, int seconds)
{
    const struct timeval limit = {.tv_sec = seconds};

    if (event_add(takeover->late, &limit) < 0)
        log_fatal("cannot set a timer: out of memory");
}

/* --- handing over */

static void keep_binaries(struct takeover *takeover)
{
    for (int i = 0; i < PROGRAMS; i++) {
        if (takeover->binaries[i] < 0)
            continue;
        close(takeover->fleet->binaries[i]);
        takeover->fleet->binaries[i] = takeover->binaries[i];
        takeover->binaries[i] = -1;
    }
}

/* One that has just ended and was to be started again has nobody to wait for. */
static void retire(struct process *process)
{
    if (process->pid == 0) {
        process_fini(process);
        return;
    }
    process->role = PROCESS_LEAVING;
    if (process->words >= 0)
        process_tell(process, CHILD_RETIRE);
    else /* it has said what it had no reason to say, and is not listened to any more */
        kill(process->pid, SIGTERM);
}

static bool is_replaced(const struct takeover *takeover, const struct process *process)
{
    return process->role == PROCESS_SERVING && takeover->binaries[process->program - programs] >= 0;
}

static void hand_over(struct takeover *takeover)
{
    FLEET_EACH (takeover->fleet, process)
        if (is_replaced(takeover, process))
            retire(process);
    keep_binaries(takeover);
    FLEET_EACH (takeover->fleet, process) {
        if (process->role != PROCESS_COMING)
            continue;
        process->role = PROCESS_SERVING;
        if (process->pid > 0)
            process_tell(process, CHILD_SERVE);
        else
            process_restart(process);
    }
    end(takeover, NULL);
}

/*
 * Both authd accept on the same sockets, and a front connects once and for long: so the old one has
 * to have stopped before the new fronts are told to serve.
 */
static void begin_to_hand_over(struct takeover *takeover)
{
    bool waits = false;

    FLEET_EACH (takeover->fleet, process)
        if (process->program == &programs[PROGRAM_AUTHD] && is_replaced(takeover, process)) {
            retire(process);
            waits = process->role == PROCESS_LEAVING;
        }
    takeover->state = TAKEOVER_HANDING;
    if (waits)
        wait_at_most(takeover, HAND_TIME);
    else
        hand_over(takeover);
}

static bool all_ready(const struct takeover *takeover)
{
    FLEET_EACH (takeover->fleet, process)
        if (process->role == PROCESS_COMING && !process->ready)
            return false;
    return true;
}

/* Whether it is an authd that was told to retire and has not said that it has. Those of earlier
 * reloads have, and may end at any time. */
static bool lets_wait(const struct process *process)
{
    return process->program == &programs[PROGRAM_AUTHD] && process->role == PROCESS_LEAVING &&
           process->pid > 0 && !process->retired;
}

static bool authd_accepts(const struct takeover *takeover)
{
    FLEET_EACH (takeover->fleet, process)
        if (lets_wait(process))
            return true;
    return false;
}

void takeover_told(struct takeover *takeover, enum child_word word)
{
    if (takeover->state == TAKEOVER_PREPARING && word == CHILD_READY && all_ready(takeover))
        begin_to_hand_over(takeover);
    else if (takeover->state == TAKEOVER_HANDING && word == CHILD_RETIRED &&
             !authd_accepts(takeover))
        hand_over(takeover);
}

void takeover_lost(struct takeover *takeover, const struct process *process)
{
    const char *name = process->program->name;

    if (takeover->state == TAKEOVER_HANDING && !authd_accepts(takeover))
        hand_over(takeover);
    else if (takeover->state != TAKEOVER_PREPARING || process->role != PROCESS_COMING)
        return;
    else if (process->sentence[0] != '\0')
        give_up(takeover, "the new %s cannot serve: %s", name, process->sentence);
    else
        give_up(takeover, "the new %s has ended, as its lines in the log say", name);
}

/* An authd that hangs lets nobody log in anyway; takeover_lost() goes on when it is gone. */
static void kill_hanging(struct takeover *takeover)
{
    FLEET_EACH (takeover->fleet, process)
        if (lets_wait(process)) {
            log_error("killing authd[%d], which does not let go of its sockets", (int)process->pid);
            kill(process->pid, SIGKILL);
        }
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
    struct takeover *takeover = context;
    (void)fd;
    (void)what;

    if (takeover->state == TAKEOVER_HANDING) {
        kill_hanging(takeover);
        return;
    }
    FLEET_EACH (takeover->fleet, process)
        if (process->role == PROCESS_COMING && !process->ready) {
            give_up(takeover,
                    "the new %s has not become ready within %d s: it, or stored, hangs; the log "
                    "may say why",
                    process->program->name, PREPARE_TIME);
            return;
        }
}

/* --- preparing */

static bool same_file(int one, int other)
{
    struct stat a, b;

    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/*
 * stored has the store and every session's lock, so it stays. authd has what it remembers of good
 * and of bad passwords, so it stays as long as it would be the same.
 */
static void leave_out_what_stays(struct takeover *takeover)
{
    static const int stays[] = {PROGRAM_STORED, PROGRAM_AUTHD};
    const int *served = takeover->fleet->binaries;

    for (size_t i = 0; i < sizeof(stays) / sizeof(stays[0]); i++) {
        int *binary = &takeover->binaries[stays[i]];
        bool same = same_file(*binary, served[stays[i]]);
        if (!same && stays[i] == PROGRAM_STORED)
            takeover->events->progress(
                takeover->context, "stored on disk is another one than the one that runs: it and "
                                   "the supervisor go on as they are until bellhop serve is "
                                   "restarted");
        if (!same && stays[i] != PROGRAM_STORED)
            continue;
        close(*binary);
        *binary = -1;
    }
}

static void tell_what_comes(struct takeover *takeover)
{
    char *list = xstrdup("");

    FLEET_EACH (takeover->fleet, process) {
        if (process->role != PROCESS_COMING)
            continue;
        char *longer = xasprintf("%s%s%s[%d]", list, list[0] != '\0' ? ", " : "",
                                 process->program->name, (int)process->pid);
        free(list);
        list = longer;
    }
    char *sentence = xasprintf("started %s", list);
    takeover->events->progress(takeover->context, sentence);
    free(sentence);
    free(list);
}

static unsigned count_needed(const struct takeover *takeover, const struct conf *conf)
{
    unsigned needed = 0;

    for (int i = 0; i < PROGRAMS; i++)
        if (takeover->binaries[i] >= 0)
            needed += program_count(&programs[i], conf);
    return needed;
}

void takeover_begin(struct takeover *takeover, const struct conf *conf)
{
    char error[SENTENCE_MAX];

    takeover->state = TAKEOVER_PREPARING;
    if (program_open_binaries(takeover->binaries, error, sizeof(error)) < 0) {
        give_up(takeover, "%s", error);
        return;
    }
    leave_out_what_stays(takeover);
    if (count_needed(takeover, conf) > fleet_room(takeover->fleet)) {
        give_up(takeover, "too many processes of earlier reloads still serve their last sessions; "
                          "wait until they have ended, or restart bellhop serve");
        return;
    }
    wait_at_most(takeover, PREPARE_TIME);
    for (int i = 0; i < PROGRAMS; i++)
        if (takeover->binaries[i] >= 0 && fleet_start(takeover->fleet, &programs[i], conf,
                                                      PROCESS_COMING, takeover->binaries[i]) < 0) {
            give_up(takeover, "the new %s cannot be started, as the log says", programs[i].name);
            return;
        }
    tell_what_comes(takeover);
}

void takeover_cancel(struct takeover *takeover, const char *why)
{
    if (takeover->state != TAKEOVER_NONE)
        give_up(takeover, "%s", why);
}

void takeover_init(struct takeover *takeover, struct event_base *base, struct fleet *fleet,
                   const struct takeover_events *events, void *context)
{
    memset(takeover, 0, sizeof(*takeover));
    takeover->fleet = fleet;
    takeover->events = events;
    takeover->context = context;
    for (int i = 0; i < PROGRAMS; i++)
        takeover->binaries[i] = -1;
    takeover->late = evtimer_new(base, on_late, takeover);
    if (takeover->late == NULL)
        log_fatal("cannot make a timer: out of memory");
}

void takeover_fini(struct takeover *takeover)
{
    program_close_binaries(takeover->binaries);
    event_free(takeover->late);
}
