#ifndef AUTHD_CONTROL_H
#define AUTHD_CONTROL_H

struct control;
struct event_base;
struct report;

/* The control socket (lib/authmsg.h): admin, which writes what is reported, and bellhop. */

/* Begins to accept. `report` outlives it. */
struct control *control_new(struct event_base *base, struct report *report);

/* Closes the connections. NULL is allowed. */
void control_free(struct control *control);

#endif
