#ifndef CLI_ROTATION_H
#define CLI_ROTATION_H

struct event_base;
struct rotation;
struct ticketkeys;

/* Rotates the keys of session tickets each `period` ms. Ends the process when it cannot. */
struct rotation *rotation_new(struct event_base *base, struct ticketkeys *keys, int period);

/* The keys stay as they are. */
void rotation_free(struct rotation *rotation);

#endif
