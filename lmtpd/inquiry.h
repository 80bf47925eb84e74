#ifndef LMTPD_INQUIRY_H
#define LMTPD_INQUIRY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/address.h"
#include "lmtpd/reply.h"

struct evbuffer;
struct event_base;
struct inquiry;
struct server;

/*
 * Mail servers that ask before they accept mail, over Unix sockets that the group of run/ may
 * connect to: whether a recipient's mailbox takes mail (lmtpd/policy.h), and what domains and
 * addresses there are (lmtpd/socketmap.h). A connection is question, answer, question, answer; a
 * client that breaks its protocol is logged and closed.
 */
struct inquiries;

/* One for each socket. */
struct inquiry_protocol {
    const char *socket; /* its name, as in lib/child.h */
    /*
     * Takes one question off the input: 1, 0 when it is not there whole, -1 when it breaks the
     * protocol. After 1 inquiry_answer() is due, and may have been called already.
     */
    int (*take)(struct inquiry *inquiry, struct evbuffer *input);
    /* Writes an answer as the protocol has it. */
    void (*frame)(struct evbuffer *output, const char *answer, size_t length);
};

/* Accepts nothing yet. Exits with a clear line where a socket or memory is missing. */
struct inquiries *inquiries_new(struct event_base *base, const struct server *server);

/* Forgets what waits for stored. NULL is allowed. */
void inquiries_free(struct inquiries *inquiries);

/* Begins to accept. */
void inquiries_serve(struct inquiries *inquiries);

/* Accepts nothing more; each connection is closed as soon as it has no question open. */
void inquiries_drain(struct inquiries *inquiries);

/* For protocols: what to look things up with. */
const struct server *inquiry_server(const struct inquiry *inquiry);

/* For protocols: the answer to the question that was taken; of any length. */
void inquiry_answer(struct inquiry *inquiry, const char *answer);

/*
 * For protocols: has the recipient judged as RCPT would with a message of `declared` octets (0: not
 * known). `judged` is called with the reply, possibly before this returns, and is to answer.
 */
void inquiry_judge(struct inquiry *inquiry, const struct address *recipient, uint64_t declared,
                   void (*judged)(struct inquiry *inquiry, const struct address *recipient,
                                  enum reply reply));

#endif
