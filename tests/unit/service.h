#ifndef TESTS_UNIT_SERVICE_H
#define TESTS_UNIT_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/child.h"
#include "lib/storemsg.h"
#include "stored/store.h"

/*
 * The store with its three sockets, in the test's own process, and peers of it: a test writes what
 * a peer would write, lets the event loop run, and reads the answers. What may not happen fails the
 * test.
 */

/* --- the service */

extern struct child child;
extern struct store store;

/* The sockets, and what else the supervisor hands on, by number. */
enum { CONF_FD = 3, METRICS_FD, DELIVER_FD, FRONT_FD, CONTROL_FD };

/* What the supervisor does before the program starts; once, first. child_fini() ends it. */
void service_prepare(void);

/* A new store in a folder of its own; for cmocka's set-up and tear-down. */
int service_open(void **state);
int service_close(void **state);

/* Milliseconds of a clock that only goes forward. */
uint64_t service_clock(void);

/* Lets the event loop run for so many milliseconds; 0: one turn. */
void service_run(unsigned long duration);

/* --- a peer: a descriptor, which the test closes */

int peer_connect(int listener);
void peer_tell(int fd, enum store_type type, uint32_t id, const void *payload, size_t length);
bool peer_has_answer(int fd);

/*
 * Runs the loop until one more message is there; its payload, as much as there is room for, goes to
 * payload_r, which may be NULL. 0: the connection has ended.
 */
enum store_type peer_hear(int fd, void *payload_r, size_t room);

/* A delivery to one mailbox without a quota; in pieces, */
void peer_begin(int fd, uint32_t id, uint64_t mailbox, uint64_t announced);
void peer_data(int fd, uint32_t id, const char *body, size_t length);
void peer_commit(int fd, uint32_t id, size_t length);
enum store_result peer_delivered(int fd);

/* or whole, over a connection of its own. */
enum store_result peer_deliver(uint64_t mailbox, const char *body, size_t length,
                               uint64_t announced);

/* The newest logout that the capabilities of all peers know of. */
#define PEER_LOGOUT 7

void peer_ask_open(int fd, uint32_t id, uint64_t mailbox);

/* On a plan that wants so many seconds between two logins. */
void peer_ask_open_after(int fd, uint32_t id, uint64_t mailbox, uint64_t delay);

/* The messages of a mailbox that is being opened, or -1 for a refusal. */
int peer_opened(int fd);

/* The same over a connection of its own, which is closed again. */
int peer_open_anew(uint64_t mailbox);

#endif
