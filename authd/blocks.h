#ifndef AUTHD_BLOCKS_H
#define AUTHD_BLOCKS_H

struct auth_lift;
struct channel;
struct channel_message;
struct checker;
struct report;

/*
 * What is delayed because of wrong passwords, for people to see and to end (AUTH_LIST and AUTH_LIFT
 * of lib/authmsg.h). Both answer a message of the right size.
 */
void blocks_list(const struct checker *checker, struct channel *channel,
                 const struct channel_message *message);

/* Returns 0, or -1 for what is no network. What has ended is told in the log and as an event. */
int blocks_lift(struct checker *checker, struct report *report, struct channel *channel,
                const struct channel_message *message);

#endif
