#ifndef TESTS_CRASH_SERVICE_H
#define TESTS_CRASH_SERVICE_H

#include "lib/child.h"
#include "stored/store.h"

struct reclaim;
struct server;
struct sqlite3;

/* stored in this process, as its main() starts and stops it, on the folder store/. */
struct service {
    struct child child;
    struct store store;
    struct server *server;
    struct reclaim *reclaim;
    struct sqlite3 *index; /* the database below store.index */
};

enum service_socket { SERVICE_DELIVER, SERVICE_FRONT, SERVICE_CONTROL };

/* What the supervisor prepares. Once in a process, before anything has a descriptor above 2. */
void service_prepare(struct service *service);

/* Recovers the store; then it can be looked at, and service_serve() goes on. */
void service_recover(struct service *service);
void service_serve(struct service *service);

/* Gives no more space back; for an orderly end, when nobody asks for anything any more. */
void service_drain(struct service *service);

/* Nothing may be under way. */
void service_stop(struct service *service);

/* A non-blocking connection to one of the sockets. */
int service_connect(enum service_socket which);

#endif
