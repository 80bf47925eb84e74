#ifndef POP3D_AUTHCLIENT_H
#define POP3D_AUTHCLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "pop3d/authline.h"
#include "pop3d/peer.h"

struct event_base;

/*
 * The connection to authd that all sessions of this process share (run/auth-front.sock). Relays
 * SASL exchanges and knows no mechanism. When the connection is lost, every exchange in progress
 * ends with AUTH_UNAVAILABLE; a new connection is made at once (lib/reconnect.h).
 */
struct authclient;

/* One exchange; lives in the session, begins zeroed. */
struct auth_request {
    struct authclient *client;
    uint32_t id; /* 0: no exchange is going on */
    void (*answer)(void *context, const struct auth_answer *answer);
    void *context;
    UT_hash_handle hh;
};

/* From where somebody logs in, for authd's log. */
struct auth_origin {
    const struct peer *remote;
    bool secured;        /* a password may travel on this connection */
    const char *binding; /* what a mechanism can bind to, in base64; NULL: nothing */
};

/*
 * heard() is called from the event loop when authd has told what it offers, and when it turns out
 * that nothing may come of that; more than once. `path` is not copied.
 */
struct authclient *authclient_new(struct event_base *base, const char *path,
                                  void (*heard)(void *context), void *context);

/* All exchanges have been cancelled before. NULL is allowed. */
void authclient_free(struct authclient *client);

/* The number-th (from 0) mechanism that authd offers, or NULL after the last one. */
const struct auth_mechanism *authclient_mechanism(const struct authclient *client, unsigned number);

/* What all plans have in common, as authd told last. */
const struct auth_plans *authclient_plans(const struct authclient *client);

/*
 * Begins an exchange: answer() is called once from the event loop, and after AUTH_CHALLENGE once
 * more for each authclient_respond(). `response` is base64 (checked by the caller) or NULL when the
 * client has sent none. Returns 0, or -1 when there is no connection now.
 */
int authclient_begin(struct authclient *client, struct auth_request *request,
                     const struct auth_origin *origin, const char *mechanism, const char *response);

/* Sends the client's response to a challenge, in base64. */
void authclient_respond(struct auth_request *request, const char *response);

/* answer() is not called any more. Safe at any time. */
void authclient_cancel(struct auth_request *request);

#endif
