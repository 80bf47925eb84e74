#ifndef LIB_CHILD_H
#define LIB_CHILD_H

#include <stdbool.h>

#include "lib/conf.h"

struct event_base;

/*
 * How a program of Bellhop begins, the same for all of them. The supervisor starts it in the
 * instance's directory with its descriptors already open and named (systemd's LISTEN_FDS and
 * LISTEN_FDNAMES protocol, see sd_listen_fds(3)), so that it needs no file name and no privilege:
 *
 *   conf                    the configuration's text
 *   metrics                 the shared counters (lib/metrics.h); BELLHOP_SLOT is its slot
 *   lock                    the instance's lock, held through it for as long as any program runs
 *   key                     authd, stored: the capability key, CAPABILITY_KEY_SIZE octets
 *   tls                     pop3d: PEM certificate chain and private key
 *   tickets                 pop3d: the keys of session tickets (lib/ticketkeys.h)
 *   pop3, pop3s             pop3d: listening TCP sockets
 *   lmtp, lmtp-unix         lmtpd: listening sockets
 *   text                    lmtpd: texts of warnings, one for each enum language (lib/notice.h)
 *   auth, auth-front        authd: listening Unix sockets; answers on the second carry capabilities
 *   auth-control            authd: listening Unix socket (lib/authmsg.h)
 *   deliver, front, control stored: listening Unix sockets (lib/storemsg.h)
 *   http                    admin: listening TCP socket
 *
 * Some names may stand several times (an IPv4 and an IPv6 socket).
 *
 * It starts with SIGHUP blocked; child_init() unblocks it once it is watched, so that a reload
 * during the start is neither lost nor deadly.
 */

struct child {
    const char *name;
    struct event_base *base;
    struct conf conf;
    void (*reload)(void *context); /* after SIGHUP, with `conf` read anew; NULL: nothing to do */
    void (*drain)(void *context);  /* after SIGTERM or SIGINT: finish, then event_base_loopexit() */
    void *context;
    struct event *hangup;
    struct event *terminate;
    struct event *interrupt;
};

/*
 * Takes over what the supervisor prepared: logging, descriptors, counters, configuration, event
 * base; becomes the instance's owner (lib/owner.h), sets no_new_privs and a umask for files of its
 * own, and ignores SIGPIPE and SIGXFSZ. `name` is not copied. Exits with a clear line when the
 * program was not started by the supervisor. The caller sets reload, drain and context before it
 * runs the loop.
 */
void child_init(struct child *child, const char *name);

/* Runs the event loop until event_base_loopexit() or event_base_loopbreak(). */
void child_run(struct child *child);

/* Frees the event base; everything that was on it must be gone. */
void child_fini(struct child *child);

/*
 * The number-th (from 0) descriptor with this name, non-blocking and close-on-exec, or -1. It
 * stays open for the life of the process.
 */
int child_descriptor(const char *name, unsigned number);

/* Reads a small descriptor (key, tls) whole from offset 0. Returns the octets read, or -1. */
long child_read(int fd, void *buffer_r, size_t size);

/* conf value, or the number of cores this process may run on where it is 0. */
unsigned child_per_core(uint64_t configured);

#endif
