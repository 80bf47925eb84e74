#ifndef ADMIN_JOBEVENTS_H
#define ADMIN_JOBEVENTS_H

struct admin;
struct request;

#define JOBEVENTS_TYPE "text/event-stream"

/*
 * Progress of a job as server-sent events: "progress" with the job as GET shows it, whenever that
 * has changed, and "end" with its last state. The id of an event says where it stood, so a client
 * that comes again with it (Last-Event-ID) is told what has changed since, and 204 after the end.
 */
struct jobevents;

struct jobevents *jobevents_new(struct admin *admin);

/* Ends all streams; `jobevents_free` comes when the connections have gone. */
void jobevents_stop(struct jobevents *events);
void jobevents_free(struct jobevents *events);

/* The route. */
void job_events_show(struct admin *admin, struct request *request);

#endif
