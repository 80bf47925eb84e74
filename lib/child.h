#ifndef LIB_CHILD_H
#define LIB_CHILD_H

#include <stdbool.h>

#include "lib/conf.h"

struct event;
struct event_base;

/*
 * How a program of Bellhop begins, the same for all of them. The supervisor starts it in the
 * instance's directory with its descriptors already open and named (systemd's LISTEN_FDS and
 * LISTEN_FDNAMES protocol, see sd_listen_fds(3)), so that it needs no file name and no privilege:
 *
 *   conf                    the configuration's text
 *   metrics                 the shared counters (lib/metrics.h); BELLHOP_SLOT is its slot
 *   lock                    the instance's lock, held through it for as long as any program runs
 *   supervisor              a connection to the supervisor: words, see below
 *   key                     authd, stored: the capability key, CAPABILITY_KEY_SIZE octets
 *   tls                     pop3d: certificates and their keys (lib/certbundle.h)
 *   tickets                 pop3d: the keys of session tickets (lib/ticketkeys.h)
 *   pop3, pop3s             pop3d: listening TCP sockets
 *   lmtp, lmtp-unix         lmtpd: listening sockets
 *   policy, map             lmtpd: listening Unix sockets for mail servers that ask
 *   text                    lmtpd: texts of warnings, one for each enum language (lib/notice.h)
 *   auth, auth-front        authd: listening Unix sockets; answers on the second carry capabilities
 *   auth-control            authd: listening Unix socket (lib/authmsg.h)
 *   memory                  authd: an empty memfd of its own, for what the next one is to know
 *   last                    authd: that of the one before, to be read; none: nobody was before
 *   nginx                   authd: listening Unix socket for nginx's mail proxy
 *   deliver, front, control stored: listening Unix sockets (lib/storemsg.h)
 *   http, https             admin: listening TCP sockets; the second one only where it is asked for
 *   https-tls               admin: as tls, where there is https
 *   fetch                   fetchd: listening Unix socket (lib/fetchmsg.h)
 *   authorities             fetchd: certificates of authorities, in PEM
 *
 * Some names may stand several times (an IPv4 and an IPv6 socket).
 *
 * It starts with SIGHUP blocked; child_init() unblocks it once it is watched, so that a reload
 * during the start is neither lost nor deadly.
 *
 * A program may be started to take over from one that serves (`bellhop reload`). So it first makes
 * everything ready without taking a client's connection, says so, and serves when it is told to.
 * Who retires takes no new connection any more and ends with its last client. Where nobody serves
 * yet, as at the start, the word to serve is there from the beginning.
 */

/* What goes over that connection, one octet a packet. A longer packet is the sentence of
 * log_fatal(), of a program that cannot serve. */
enum child_word {
    CHILD_READY = 'R',   /* to the supervisor: all is prepared */
    CHILD_RETIRED = 'T', /* to the supervisor: from now on it accepts nothing */
    CHILD_SERVE = 'S',   /* to the program */
    CHILD_RETIRE = 'E'   /* to the program */
};

#define CHILD_SENTENCE_MAX 512

/* Who has retired and still has clients after so many seconds ends as after SIGTERM. */
#define CHILD_RETIRE_TIME (2 * 3600)

struct child {
    const char *name;
    struct event_base *base;
    struct conf conf;
    void (*reload)(void *context); /* after SIGHUP, with `conf` read anew; NULL: nothing to do */
    void (*drain)(void *context);  /* after SIGTERM or SIGINT: finish, then event_base_loopexit() */
    void (*serve)(void *context);  /* begin to accept; NULL: it does so anyway */
    void (*retire)(void *context); /* accept nothing more, event_base_loopexit() after the last */
    void *context;
    struct event *hangup;
    struct event *terminate;
    struct event *interrupt;
    struct event *word;    /* NULL: nobody speaks to it */
    struct event *overdue; /* pending: it has retired */
};

/*
 * Takes over what the supervisor prepared: logging, descriptors, counters, configuration, event
 * base; becomes the instance's owner (lib/owner.h), sets no_new_privs and a umask for files of its
 * own, and ignores SIGPIPE and SIGXFSZ. `name` is not copied. Exits with a clear line when the
 * program was not started by the supervisor. The caller sets reload, drain, serve, retire and
 * context before it runs the loop.
 */
void child_init(struct child *child, const char *name);

/* All is prepared: tells the supervisor, the first time that it is called. */
void child_ready(void);

/* Runs the event loop until event_base_loopexit() or event_base_loopbreak(). */
void child_run(struct child *child);

/* Frees the event base; everything that was on it must be gone. */
void child_fini(struct child *child);

/*
 * The number-th (from 0) descriptor with this name, non-blocking and close-on-exec, or -1. It
 * stays open for the life of the process.
 */
int child_descriptor(const char *name, unsigned number);

/* Reads a small descriptor (conf, key) whole from offset 0. Returns the octets read, or -1. */
long child_read(int fd, void *buffer_r, size_t size);

/* conf value, or the number of cores this process may run on where it is 0. */
unsigned child_per_core(uint64_t configured);

#endif
