#ifndef AUTHD_PAGELOGIN_H
#define AUTHD_PAGELOGIN_H

#include "authd/check.h"

struct channel;
struct channel_message;
struct report;

/*
 * Logins of people to the API and its pages, which admin asks about over the control socket
 * (lib/authmsg.h), because passwords are checked here and nowhere else: with the same throttling,
 * the same memory of good and of wrong ones, and the same events as for mail.
 */
struct pagelogin;

/*
 * Begins the check of an AUTH_CHECK and adds it to the connection's list until it is answered.
 * Returns 0, or -1 for a malformed one.
 */
int pagelogin_start(struct pagelogin **list, struct checker *checker, struct report *report,
                    struct channel *channel, const struct channel_message *message);

/* Before the channel's end: forgets those that are being checked. */
void pagelogin_cancel(struct pagelogin **list, struct checker *checker);

/* Answers an AUTH_KEY. Returns 0, or -1 for a malformed one. */
int pagelogin_key(struct checker *checker, struct channel *channel,
                  const struct channel_message *message);

#endif
