/*
 * Messages between programs; see channel.h. Nothing that comes in is trusted: the length is
 * checked before anything is waited for, and each program checks each payload's exact size.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/log.h"
#include "lib/unixsocket.h"
#include "lib/xalloc.h"

#define CHANNEL_VERSION 1

/* Two of the largest messages: one being handled, one arriving. */
#define INPUT_SIZE (2 * (CHANNEL_PAYLOAD_MAX + sizeof(struct frame_header)))

struct frame_header {
    uint32_t length; /* of the payload */
    uint8_t version;
    uint8_t type;
    uint16_t zero;
    uint32_t id;
};

struct channel {
    int fd;
    const struct channel_events *events;
    void *context;
    struct event *readable;
    struct event *writable; /* pending only while the socket is full */
    struct event *turn;     /* runs once at the end of this turn of the loop */
    struct evbuffer *output;
    struct evbuffer_iovec room; /* between channel_begin() and channel_end() */
    size_t start;               /* of what is read and not handled, in input */
    size_t end;
    bool paused;
    bool broken;
    bool unheard; /* the peer reads no more; what is sent is thrown away */
    bool flush_wanted;
    bool handling;
    bool expecting; /* a descriptor may come */
    int sending;    /* a descriptor that leaves with the next octets; -1: none */
    int received;   /* one that has come and is not taken; -1: none */
    struct channel_loan *loan;
    uint8_t *input;
};

struct channel_loan {
    pthread_mutex_t mutex;
    struct channel *channel; /* the loop's; NULL: the loan is over */
    /* Behind the mutex. */
    int fd; /* -1: nothing may be sent */
    bool sent;
    size_t length;
    uint8_t message[sizeof(struct frame_header) + CHANNEL_LOAN_MAX];
};

union descriptor_control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void schedule(struct channel *channel)
{
    event_active(channel->turn, EV_WRITE, 0);
}

static void break_off(struct channel *channel)
{
    if (channel->broken)
        return;
    channel->broken = true;
    event_del(channel->readable);
    event_del(channel->writable);
    evbuffer_drain(channel->output, evbuffer_get_length(channel->output));
    schedule(channel);
}

/* From now on only the loop writes. */
static void recall(struct channel *channel)
{
    struct channel_loan *loan = channel->loan;

    if (loan == NULL)
        return;
    pthread_mutex_lock(&loan->mutex);
    loan->fd = -1;
    pthread_mutex_unlock(&loan->mutex);
    loan->channel = NULL;
    channel->loan = NULL;
}

static int write_with_descriptor(struct channel *channel)
{
    union descriptor_control control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                                   .cmsg_level = SOL_SOCKET,
                                                   .cmsg_type = SCM_RIGHTS}};
    struct evbuffer_iovec piece;
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    memcpy(CMSG_DATA(&control.header), &channel->sending, sizeof(int));
    evbuffer_peek(channel->output, 1, NULL, &piece, 1);
    ssize_t written = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
    if (written < 0)
        return -1;
    close(channel->sending);
    channel->sending = -1;
    evbuffer_drain(channel->output, (size_t)written);
    return (int)written;
}

/* Returns whether nothing waits any more. */
static bool write_output(struct channel *channel)
{
    if (evbuffer_get_length(channel->output) > 0)
        recall(channel);
    while (evbuffer_get_length(channel->output) > 0) {
        int written = channel->sending >= 0 ? write_with_descriptor(channel)
                                            : evbuffer_write(channel->output, channel->fd);
        if (written > 0 || (written < 0 && errno == EINTR))
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(channel->writable, NULL);
            return false;
        }
        /* The peer is gone. What it sent before is still to be read, and behind that its end. */
        channel->unheard = true;
        evbuffer_drain(channel->output, evbuffer_get_length(channel->output));
        return false;
    }
    return true;
}

static void flush(struct channel *channel)
{
    if (write_output(channel) && channel->events->drained != NULL)
        channel->events->drained(channel->context);
}

/* Handles the messages that are in the input whole. */
static void handle_input(struct channel *channel)
{
    struct frame_header header;

    channel->handling = true;
    while (!channel->paused && channel->end - channel->start >= sizeof(header)) {
        memcpy(&header, channel->input + channel->start, sizeof(header));
        if (header.version != CHANNEL_VERSION || header.zero != 0 ||
            header.length > CHANNEL_PAYLOAD_MAX) {
            log_error("a message of version %u with %u octets came over a channel; closing it",
                      header.version, header.length);
            break_off(channel);
            break;
        }
        if (channel->end - channel->start < sizeof(header) + header.length)
            break;
        struct channel_message message = {
            .type = header.type,
            .id = header.id,
            .payload = channel->input + channel->start + sizeof(header),
            .length = header.length,
        };
        channel->start += sizeof(header) + header.length;
        if (channel->events->message(channel->context, &message) < 0) {
            log_error("a message of type %u with %u octets broke the rules of its channel; "
                      "closing it",
                      header.type, header.length);
            break_off(channel);
            break;
        }
    }
    channel->handling = false;
}

/* Moves the unhandled rest to the front once the space behind it is too small for a message. */
static void make_room(struct channel *channel)
{
    if (channel->start == channel->end) {
        channel->start = channel->end = 0;
    } else if (INPUT_SIZE - channel->end < INPUT_SIZE / 2) {
        memmove(channel->input, channel->input + channel->start, channel->end - channel->start);
        channel->end -= channel->start;
        channel->start = 0;
    }
}

/* As read(), which throws descriptors away. */
static ssize_t read_with_descriptor(struct channel *channel, void *octets, size_t room)
{
    union descriptor_control control;
    struct iovec piece = {octets, room};
    /* Room for one: the kernel closes further ones. */
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};

    ssize_t got = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(int)))
        return got;
    close_one(channel->received);
    memcpy(&channel->received, CMSG_DATA(header), sizeof(int));
    return got;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct channel *channel = context;
    (void)what;

    make_room(channel);
    uint8_t *octets = channel->input + channel->end;
    size_t space = INPUT_SIZE - channel->end;
    ssize_t got =
        channel->expecting ? read_with_descriptor(channel, octets, space) : read(fd, octets, space);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        break_off(channel);
        return;
    }
    channel->end += (size_t)got;
    handle_input(channel);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    flush(context);
}

static void on_turn(evutil_socket_t fd, short what, void *context)
{
    struct channel *channel = context;
    (void)fd;
    (void)what;

    channel->flush_wanted = false;
    if (channel->broken) {
        channel->events->closed(channel->context);
        return;
    }
    if (!channel->paused && channel->start < channel->end)
        handle_input(channel);
    if (!channel->broken && !event_pending(channel->writable, EV_WRITE, NULL))
        flush(channel);
}

struct channel *channel_new(struct event_base *base, int fd, const struct channel_events *events,
                            void *context)
{
    struct channel *channel = xcalloc(1, sizeof(*channel));

    channel->fd = fd;
    channel->events = events;
    channel->context = context;
    channel->sending = channel->received = -1;
    channel->input = xmalloc(INPUT_SIZE);
    channel->output = evbuffer_new();
    channel->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, channel);
    channel->writable = event_new(base, fd, EV_WRITE, on_writable, channel);
    channel->turn = event_new(base, -1, 0, on_turn, channel);
    if (channel->output == NULL || channel->readable == NULL || channel->writable == NULL ||
        channel->turn == NULL || event_add(channel->readable, NULL) < 0)
        log_fatal("cannot watch a socket: out of memory or descriptors");
    return channel;
}

struct channel *channel_connect(struct event_base *base, const char *path,
                                const struct channel_events *events, void *context)
{
    signal(SIGPIPE, SIG_IGN);
    int fd = unixsocket_connect(path);
    return fd >= 0 ? channel_new(base, fd, events, context) : NULL;
}

void channel_free(struct channel *channel)
{
    if (channel == NULL)
        return;
    recall(channel);
    event_free(channel->readable);
    event_free(channel->writable);
    event_free(channel->turn);
    evbuffer_free(channel->output);
    close_one(channel->sending);
    close_one(channel->received);
    close(channel->fd);
    free(channel->input);
    free(channel);
}

void *channel_begin(struct channel *channel, size_t room)
{
    if (room > CHANNEL_PAYLOAD_MAX)
        log_panic("a message of %zu octets is too long for a channel", room);
    if (evbuffer_reserve_space(channel->output, (ev_ssize_t)(room + sizeof(struct frame_header)),
                               &channel->room, 1) != 1)
        log_fatal("out of memory");
    return (uint8_t *)channel->room.iov_base + sizeof(struct frame_header);
}

void channel_end(struct channel *channel, uint8_t type, uint32_t id, size_t length)
{
    struct frame_header header = {
        .length = (uint32_t)length, .version = CHANNEL_VERSION, .type = type, .id = id};

    if (channel->broken || channel->unheard) {
        channel_cancel(channel);
        return;
    }
    memcpy(channel->room.iov_base, &header, sizeof(header));
    channel->room.iov_len = sizeof(header) + length;
    evbuffer_commit_space(channel->output, &channel->room, 1);
    if (!channel->flush_wanted) {
        channel->flush_wanted = true;
        schedule(channel);
    }
}

void channel_cancel(struct channel *channel)
{
    channel->room.iov_len = 0;
    evbuffer_commit_space(channel->output, &channel->room, 1);
}

void channel_send(struct channel *channel, uint8_t type, uint32_t id, const void *fixed,
                  size_t fixed_length, const void *rest, size_t rest_length)
{
    uint8_t *payload = channel_begin(channel, fixed_length + rest_length);

    if (fixed_length > 0)
        memcpy(payload, fixed, fixed_length);
    if (rest_length > 0)
        memcpy(payload + fixed_length, rest, rest_length);
    channel_end(channel, type, id, fixed_length + rest_length);
}

bool channel_is_hung_up(const struct channel *channel)
{
    struct pollfd peer = {.fd = channel->fd};

    return poll(&peer, 1, 0) == 1 && (peer.revents & POLLHUP) != 0;
}

void channel_flush(struct channel *channel)
{
    if (!channel->broken && !event_pending(channel->writable, EV_WRITE, NULL))
        (void)write_output(channel);
}

struct channel_loan *channel_loan_new(void)
{
    struct channel_loan *loan = xcalloc(1, sizeof(*loan));

    loan->fd = -1;
    if (pthread_mutex_init(&loan->mutex, NULL) != 0)
        log_fatal("out of memory");
    return loan;
}

void channel_loan_free(struct channel_loan *loan)
{
    if (loan == NULL)
        return;
    (void)channel_loan_end(loan);
    pthread_mutex_destroy(&loan->mutex);
    free(loan);
}

bool channel_lend(struct channel *channel, struct channel_loan *loan, uint8_t type, uint32_t id,
                  const void *payload, size_t length)
{
    struct frame_header header = {
        .length = (uint32_t)length, .version = CHANNEL_VERSION, .type = type, .id = id};

    if (channel->broken || channel->unheard || length > CHANNEL_LOAN_MAX || channel->loan != NULL ||
        evbuffer_get_length(channel->output) > 0)
        return false;
    channel->loan = loan;
    loan->channel = channel;
    pthread_mutex_lock(&loan->mutex);
    memcpy(loan->message, &header, sizeof(header));
    memcpy(loan->message + sizeof(header), payload, length);
    loan->length = sizeof(header) + length;
    loan->fd = channel->fd;
    loan->sent = false;
    pthread_mutex_unlock(&loan->mutex);
    return true;
}

bool channel_loan_use(struct channel_loan *loan)
{
    ssize_t sent = -1;

    pthread_mutex_lock(&loan->mutex);
    if (loan->fd >= 0) {
        sent = send(loan->fd, loan->message, loan->length, MSG_DONTWAIT | MSG_NOSIGNAL);
        loan->fd = -1;
        loan->sent = sent >= 0;
        /* The kernel takes so little whole or not at all. */
        if (sent >= 0 && (size_t)sent < loan->length)
            log_panic("only a part of a message of %zu octets has left", loan->length);
    }
    pthread_mutex_unlock(&loan->mutex);
    return sent >= 0;
}

bool channel_loan_end(struct channel_loan *loan)
{
    if (loan->channel != NULL)
        recall(loan->channel);
    pthread_mutex_lock(&loan->mutex);
    bool sent = loan->sent;
    loan->sent = false;
    pthread_mutex_unlock(&loan->mutex);
    return sent;
}

void channel_send_descriptor(struct channel *channel, int fd)
{
    close_one(channel->sending);
    channel->sending = fd;
}

void channel_expect_descriptor(struct channel *channel)
{
    channel->expecting = true;
}

int channel_take_descriptor(struct channel *channel)
{
    int fd = channel->received;

    channel->received = -1;
    channel->expecting = false;
    return fd;
}

size_t channel_pending(const struct channel *channel)
{
    return evbuffer_get_length(channel->output);
}

void channel_pause(struct channel *channel)
{
    channel->paused = true;
    event_del(channel->readable);
}

void channel_resume(struct channel *channel)
{
    if (!channel->paused || channel->broken)
        return;
    channel->paused = false;
    event_add(channel->readable, NULL);
    /* From the loop, so that the caller is not entered again from within. */
    if (!channel->handling)
        schedule(channel);
}
