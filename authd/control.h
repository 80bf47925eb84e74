#ifndef AUTHD_CONTROL_H
#define AUTHD_CONTROL_H

#include <stdbool.h>

struct checker;
struct control;
struct event_base;
struct report;

/* The control socket (lib/authmsg.h): admin, which writes what is reported, and bellhop. */

/* `report` and `checker` outlive it. Accepts nothing yet. */
struct control *control_new(struct event_base *base, struct report *report,
                            struct checker *checker);

/* Whether it accepts; who is connected stays. */
void control_set_open(struct control *control, bool open);

/* Closes the connections. NULL is allowed. */
void control_free(struct control *control);

#endif
