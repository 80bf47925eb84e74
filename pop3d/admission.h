#ifndef POP3D_ADMISSION_H
#define POP3D_ADMISSION_H

#include <uthash.h>

#include "pop3d/peer.h"
#include "pop3d/reply.h"

struct session;

/* The connections from one network (struct peer): an IPv4 address, or a /64 of IPv6. */
struct origin {
    uint8_t network[PEER_NETWORK_SIZE];
    unsigned connections;
    UT_hash_handle hh;
};

/* Who is inside, of one process. Begins zeroed. */
struct admission {
    struct origin *origins;
    unsigned strangers; /* connections that have not logged in */
    unsigned refused;   /* of these, those for which there was no room when they came */
};

/*
 * A client has come: REPLY_GREETING, or why it cannot stay. Either way admission_leave() follows in
 * the end. Connections from this machine (a webmail's) or a proxy share no address's limit.
 */
enum reply admission_enter(struct session *session);

/*
 * Whether it can be told why it cannot stay although it has to shake hands first, as too many do
 * not wait for that already. False: it is to be closed.
 */
bool admission_can_tell(const struct session *session);

/*
 * It is `peer`, for whom it has been speaking: REPLY_OK, or why that one cannot stay. Before the
 * login.
 */
enum reply admission_rename(struct session *session, const struct peer *peer);

/* It has logged in. */
void admission_know(struct session *session);

void admission_leave(struct session *session);

#endif
