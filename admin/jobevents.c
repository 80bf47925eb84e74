#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "admin/admin.h"
#include "admin/bulk.h"
#include "admin/jobevents.h"
#include "admin/jobs.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/stream.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* In ms, as the rest: from one look at the jobs to the next. */
#define TICK 500

/* A comment, so that neither side takes silence for the end. */
#define COMMENT_EVERY 15000

/* Then the client comes again, and it is looked at whether its key is still good. */
#define LIFE 600000

/* At once: of all, and of one key or person. */
#define LISTENERS_MAX    200
#define LISTENERS_OF_ONE 10

struct listener {
    struct listener *prev;
    struct listener *next;
    struct jobevents *events;
    struct stream *stream;
    uint64_t job;
    uint64_t key;
    uint64_t person;  /* an admin user; 0: a key's */
    uint64_t end;     /* of its life */
    uint64_t written; /* the last time */
    char last[64];    /* the id of the last event */
    bool over;
};

struct jobevents {
    struct admin *admin;
    struct listener *listeners;
    unsigned count;
    bool stopping;
    struct event *tick;
};

static void wait_for_tick(struct jobevents *events)
{
    static const struct timeval pause = {.tv_usec = TICK * 1000};

    event_add(events->tick, &pause);
}

/* Where a job stands. */
static void name_state(const struct db_job *job, const struct bulk_progress *progress,
                       char id_r[64])
{
    snprintf(id_r, 64, "%s-%u-%u-%u", db_job_state_name(job->state), progress->percent,
             progress->rows, job->made);
}

static void send_job(struct listener *listener, const struct db_job *job)
{
    const struct bulk *bulk = listener->events->admin->bulk;
    json_t *object = job_object(bulk, job);
    char *text = json_dumps(object, JSON_COMPACT);

    json_decref(object);
    if (text == NULL)
        log_panic("out of memory, or no JSON");
    char *event = xasprintf("id: %s\nevent: %s\ndata: %s\n\n", listener->last,
                            db_job_is_over(job) ? "end" : "progress", text);
    stream_write(listener->stream, event);
    listener->written = clock_milliseconds();
    free(event);
    free(text);
}

static void end(struct listener *listener)
{
    listener->over = true;
    stream_end(listener->stream);
}

/* Tells what has changed since the last time. */
static void look(struct listener *listener)
{
    struct admin *admin = listener->events->admin;
    struct bulk_progress progress;
    struct db_job job;
    char id[sizeof(listener->last)];

    enum db_result result = db_operator_job_find(admin->db, listener->job, &job);
    if (result != DB_OK) {
        if (result == DB_NONE)
            end(listener);
        return;
    }
    bulk_progress(admin->bulk, &job, &progress);
    name_state(&job, &progress, id);
    if (strcmp(id, listener->last) != 0) {
        memcpy(listener->last, id, sizeof(id));
        send_job(listener, &job);
    }
    if (db_job_is_over(&job))
        end(listener);
}

static void tend(struct listener *listener, uint64_t now)
{
    if (listener->over)
        return;
    look(listener);
    if (listener->over)
        return;
    if (listener->end <= now)
        end(listener);
    else if (listener->written + COMMENT_EVERY <= now) {
        stream_write(listener->stream, ":\n\n");
        listener->written = now;
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct jobevents *events = context;
    struct listener *listener;
    uint64_t now = clock_milliseconds();
    (void)fd;
    (void)what;

    DL_FOREACH (events->listeners, listener)
        tend(listener, now);
    if (events->count > 0)
        wait_for_tick(events);
}

struct jobevents *jobevents_new(struct admin *admin)
{
    struct jobevents *events = xcalloc(1, sizeof(*events));

    events->admin = admin;
    events->tick = evtimer_new(admin->child.base, on_tick, events);
    if (events->tick == NULL)
        log_fatal("cannot make a timer: out of memory");
    return events;
}

void jobevents_stop(struct jobevents *events)
{
    struct listener *listener;

    events->stopping = true;
    DL_FOREACH (events->listeners, listener)
        end(listener);
}

void jobevents_free(struct jobevents *events)
{
    event_free(events->tick);
    free(events);
}

/* --- the route */

static void on_gone(void *context)
{
    struct listener *listener = context;

    DL_DELETE(listener->events->listeners, listener);
    listener->events->count--;
    free(listener);
}

static bool has_room(const struct jobevents *events, const struct request *request)
{
    const struct listener *listener;
    unsigned own = 0;

    DL_FOREACH (events->listeners, listener)
        own += listener->key == request->key.id &&
               listener->person == request->session.person.admin_user;
    return events->count < LISTENERS_MAX && own < LISTENERS_OF_ONE && !events->stopping;
}

static void begin_listening(struct jobevents *events, struct request *request, const char *last)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->events = events;
    listener->job = request->job.id;
    listener->key = request->key.id;
    listener->person = request->session.person.admin_user;
    listener->end = clock_milliseconds() + LIFE;
    listener->written = clock_milliseconds();
    snprintf(listener->last, sizeof(listener->last), "%s", last == NULL ? "" : last);
    listener->stream = stream_answer(request, JOBEVENTS_TYPE, on_gone, listener);
    DL_APPEND(events->listeners, listener);
    if (events->count++ == 0)
        wait_for_tick(events);
    stream_write(listener->stream, "retry: 2000\n\n");
    look(listener);
}

void job_events_show(struct admin *admin, struct request *request)
{
    const char *last = request_header(request, "Last-Event-ID");
    struct bulk_progress progress;
    char id[64];

    bulk_progress(admin->bulk, &request->job, &progress);
    name_state(&request->job, &progress, id);
    if (db_job_is_over(&request->job) && last != NULL && strcmp(last, id) == 0) {
        request_set(request, 204, NULL);
    } else if (has_room(admin->jobevents, request)) {
        begin_listening(admin->jobevents, request, last);
    } else {
        problem_set(request, PROBLEM_BUSY, "too many listen to jobs; ask with GET /jobs/{job}");
        request->answer.retry_after = 5;
    }
}
