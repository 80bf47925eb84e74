#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;

/*
 * Typed, length-checked messages between two programs over a connected Unix stream socket.
 *
 * A message is a header of 12 octets (payload length, version, type, id) and its payload. The
 * type says what the payload is (lib/storemsg.h); the id is the sender's and comes back with the
 * answer. Numbers are in the machine's own order: both ends run on one machine.
 *
 * Messages sent during one turn of the event loop leave with one write. Messages that came with
 * one read are handled in one go.
 */

#define CHANNEL_PAYLOAD_MAX (256 * 1024)

struct channel;

struct channel_message {
    uint8_t type;
    uint32_t id;
    const void *payload; /* aligned to 4 octets only: copy structs out of it */
    size_t length;
};

struct channel_events {
    /*
     * One message. Returns 0, or -1 for one that the peer may not send or that is malformed: the
     * channel is then closed and `closed` is called. May send; may not free the channel.
     */
    int (*message)(void *context, const struct channel_message *message);
    /* The peer is gone or broke the rules. The owner frees the channel, now or later. */
    void (*closed)(void *context);
    /*
     * All that waited has been written; for a sender that held back. May send; may not free the
     * channel. NULL: nobody wants to know.
     */
    void (*drained)(void *context);
};

/*
 * Takes over a connected non-blocking socket; channel_free() closes it. `events` is not copied.
 */
struct channel *channel_new(struct event_base *base, int fd, const struct channel_events *events,
                            void *context);

/*
 * Connects to the Unix socket at `path` and makes a channel of it. NULL: no connection (errno).
 * From then on the process ignores SIGPIPE: `closed` tells of a peer that has ended.
 */
struct channel *channel_connect(struct event_base *base, const char *path,
                                const struct channel_events *events, void *context);

/* Closes and frees; what is not written yet is lost. NULL is allowed. Does not call `closed`. */
void channel_free(struct channel *channel);

/*
 * Sends one message made of two parts (a fixed struct and what follows it; either may be empty).
 * Never blocks and never fails: a broken channel reports `closed` from the event loop. The payload
 * is at most CHANNEL_PAYLOAD_MAX octets.
 */
void channel_send(struct channel *channel, uint8_t type, uint32_t id, const void *fixed,
                  size_t fixed_length, const void *rest, size_t rest_length);

/*
 * The same without a copy: channel_begin() returns room for a payload of up to `room` octets, to
 * be filled before anything else is sent on this channel; channel_end() sends the first `length`
 * of them, channel_cancel() none.
 */
void *channel_begin(struct channel *channel, size_t room);
void channel_end(struct channel *channel, uint8_t type, uint32_t id, size_t length);
void channel_cancel(struct channel *channel);

/* Whether the peer has hung up already, behind what has come from it and is not handled yet. */
bool channel_is_hung_up(const struct channel *channel);

/* Writes what waits now, not at the end of the turn, as far as the socket takes it. */
void channel_flush(struct channel *channel);

/*
 * A message that another thread sends in the loop's stead, because what it tells is known there
 * first and the loop would only have to be woken for it. One at a time.
 */
struct channel_loan;

#define CHANNEL_LOAN_MAX 1024 /* octets of its payload */

struct channel_loan *channel_loan_new(void);

/* Not while it may be used. NULL is allowed. */
void channel_loan_free(struct channel_loan *loan);

/*
 * Lends the channel for this one message. False: something else waits to be written, or the message
 * is too long. When the channel has anything to write itself, or is freed, the loan is over.
 */
bool channel_lend(struct channel *channel, struct channel_loan *loan, uint8_t type, uint32_t id,
                  const void *payload, size_t length);

/*
 * The other thread's call: sends the message, unless the loan is over or the socket is full.
 * Returns whether it has.
 */
bool channel_loan_use(struct channel_loan *loan);

/* The loan is over. Returns whether the message has been sent. */
bool channel_loan_end(struct channel_loan *loan);

/*
 * A descriptor travels with the next octets that are sent, so it is there before a message that is
 * sent after it. The sender's is closed. One at a time: the one before has left.
 */
void channel_send_descriptor(struct channel *channel, int fd);

/* From now on one descriptor may come; whatever else comes as one is the kernel's to close. */
void channel_expect_descriptor(struct channel *channel);

/* The one that has come, which is the caller's then; -1: none. No more may come. */
int channel_take_descriptor(struct channel *channel);

/* How many octets wait to be written: the measure for holding back. */
size_t channel_pending(const struct channel *channel);

/*
 * Stops (and resumes) handing on messages, for a receiver that is full. The peer then blocks when
 * the socket's buffers are full. Pausing within `message` takes effect after that message.
 */
void channel_pause(struct channel *channel);
void channel_resume(struct channel *channel);

#endif
