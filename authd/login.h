#ifndef AUTHD_LOGIN_H
#define AUTHD_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "authd/check.h"
#include "lib/authmsg.h"

struct report;

/*
 * One attempt to log in, whatever protocol it is asked in: who comes from where, and what becomes
 * of it in the log and as an event that the customer sees.
 */
struct login {
    struct check check;    /* done() is set by its caller */
    const char *mechanism; /* for the log and the event; set by its caller */
    bool rip_is_address;
    char protocol[AUTH_PROTOCOL_MAX + 1]; /* as the server that asks calls it */
    char rip[AUTH_REMOTE_MAX + 1];        /* the client's address, or "-" */
};

/*
 * Sets these in a zeroed struct, and what the check is to know of them. `protocol` and `rip` came
 * from outside; NULL where they were not told.
 */
void login_init(struct login *login, const char *protocol, const char *rip);

/* A good check. `session` is the one that begins with it; 0: it is somebody else's. */
void login_granted(const struct login *login, struct report *report, uint64_t session);

/* One with another result. */
void login_refused(const struct login *login, struct report *report, enum check_result result);

/* A client's data that made no check; `reason` is for the log alone. */
void login_malformed(const struct login *login, const char *reason);

#define LOGIN_REASON_SIZE 80

/*
 * What the client is told, a sentence; "" for a wrong password, which is to tell nothing. Not of
 * CHECK_GOOD.
 */
void login_reason(const struct login *login, enum check_result result,
                  char text_r[LOGIN_REASON_SIZE]);

#endif
