#ifndef AUTHD_PLANS_H
#define AUTHD_PLANS_H

struct checker;
struct client;
struct event_base;
struct listener;

/*
 * What pop3d announces before it knows who logs in (RFC 2449 sections 6.5 and 6.7): the smallest
 * and largest retention and poll interval of all plans; and whether any customer has an issuer of
 * tokens, without which the mechanisms that take them are not offered. A line of our own, for the
 * fronts alone:
 *
 *   PLANS retention=LEAST,MOST poll=LEAST,MOST tokens=no   (tabs between; days and seconds)
 *
 * in the handshake, and again when it has changed.
 */
struct plans;

/* Reads the plans. */
struct plans *plans_new(struct event_base *base, struct checker *checker);

/* From now on they are read again and again, and changes are told to the listener's clients. */
void plans_watch(struct plans *plans, struct listener *listener);

/* NULL is allowed. */
void plans_free(struct plans *plans);

/* Sends the line. */
void plans_tell(const struct plans *plans, struct client *client);

#endif
