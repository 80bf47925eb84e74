/*
 * stored's three sockets from a peer that breaks every rule. The first octet of the input names the
 * socket (F front, D deliver, else control); the rest are messages as they travel, but for what
 * nobody can make up: the capability of an open of the right length whose tag begins with S is
 * sealed, for one of a few mailboxes.
 */
#include <assert.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/capability.h"
#include "lib/channel.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/mailbox.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/frame.h"
#include "tests/unit/service.h"

#define MAILBOXES 3

/* The store is made anew after so many inputs: what they leave behind stays small. */
#define INPUTS_MAX 500

static bool opened;

static void close_store(void)
{
    if (opened)
        service_close(NULL);
    opened = false;
}

static void open_store(void)
{
    static const char body[] = "Subject: test\r\n\r\ntext\r\n";

    if (service_open(NULL) != 0)
        abort();
    opened = true;
    for (uint64_t mailbox = 1; mailbox < MAILBOXES; mailbox++)
        for (unsigned i = 0; i < 3; i++)
            peer_deliver(mailbox, body, sizeof(body) - 1, 0);
}

int LLVMFuzzerInitialize(const int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    service_prepare();
    atexit(close_store);
    return 0;
}

static void seal(uint8_t *payload)
{
    struct capability capability;

    memcpy(&capability, payload, sizeof(capability));
    if (capability.tag[0] != 'S')
        return;
    capability.mailbox = 1 + capability.mailbox % MAILBOXES;
    capability.expires = (uint64_t)time(NULL) + CAPABILITY_LIFETIME;
    capability_seal(&capability, store.key);
    memcpy(payload, &capability, sizeof(capability));
}

static void seal_all(uint8_t *octets, size_t size)
{
    struct frame frame;

    for (size_t at = 0; size - at >= sizeof(frame); at += sizeof(frame) + frame.length) {
        memcpy(&frame, octets + at, sizeof(frame));
        if (frame.length > size - at - sizeof(frame))
            return;
        if (frame.type == STORE_OPEN && frame.length == sizeof(struct store_open))
            seal(octets + at + sizeof(frame));
    }
}

/* --- what the peer hears */

static const struct {
    enum store_type type;
    size_t least;
    size_t most;
} answers[] = {
    {STORE_USAGE_IS, sizeof(struct store_usage_is), sizeof(struct store_usage_is)},
    {STORE_DELIVERED, sizeof(struct store_delivered),
     STORE_RECIPIENTS_MAX * sizeof(struct store_delivered)},
    {STORE_MEMORY_IS, 0, 0},
    {STORE_OPENING, sizeof(struct store_totals), sizeof(struct store_totals)},
    {STORE_ENTRIES, sizeof(struct store_entry), CHANNEL_PAYLOAD_MAX},
    {STORE_GROWTHS, sizeof(struct store_growth), CHANNEL_PAYLOAD_MAX},
    {STORE_UNIQUE_IDS, sizeof(struct store_unique_id) + 1, CHANNEL_PAYLOAD_MAX},
    {STORE_OPENED, sizeof(struct store_totals), sizeof(struct store_totals)},
    {STORE_DATA, sizeof(struct store_data), sizeof(struct store_data) + STORE_READ_MAX},
    {STORE_PLACED, sizeof(struct store_placed), sizeof(struct store_placed)},
    {STORE_EXPUNGED, 0, 0},
    {STORE_FAILED, sizeof(struct store_failed), sizeof(struct store_failed)},
    {STORE_HELLO_IS, sizeof(struct store_hello), sizeof(struct store_hello)},
    {STORE_PONG, 0, 0},
    {STORE_DROPPED, 0, 0},
    {STORE_EXPIRED, sizeof(struct store_expired), sizeof(struct store_expired)},
    {STORE_HELD, 0, 0},
    {STORE_IMPORTING, 0, 0},
    {STORE_ENDED, 0, 0},
    {STORE_SESSIONS_ARE, 0, STORE_MAILBOXES_MAX * sizeof(struct store_session_is)},
    {STORE_LOGGED_OUT, sizeof(struct store_logged_out), sizeof(struct store_logged_out)},
};

#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

static void check_answer(const struct frame *frame)
{
    size_t i = 0;

    assert(frame->version == 1 && frame->zero == 0);
    while (i < ANSWERS && answers[i].type != frame->type)
        i++;
    assert(i < ANSWERS);
    assert(frame->length >= answers[i].least && frame->length <= answers[i].most);
}

static struct ear {
    uint8_t octets[sizeof(struct frame)];
    size_t have;      /* of a header */
    size_t to_skip;   /* of a payload */
    unsigned answers; /* heard whole */
} ear;

static void take(const uint8_t *octets, size_t length)
{
    struct frame frame;

    while (length > 0) {
        size_t room = ear.to_skip > 0 ? ear.to_skip : sizeof(frame) - ear.have;
        size_t part = length < room ? length : room;
        if (ear.to_skip > 0) {
            ear.to_skip -= part;
        } else {
            memcpy(ear.octets + ear.have, octets, part);
            ear.have += part;
        }
        octets += part;
        length -= part;
        if (ear.have < sizeof(frame))
            continue;
        memcpy(&frame, ear.octets, sizeof(frame));
        check_answer(&frame);
        ear.have = 0;
        ear.to_skip = frame.length;
        ear.answers++;
    }
}

static void hear(int fd)
{
    static uint8_t room[64 * 1024];
    ssize_t got;

    while ((got = recv(fd, room, sizeof(room), MSG_DONTWAIT)) > 0)
        take(room, (size_t)got);
}

/* --- the connection */

static void tell(int fd, const uint8_t *octets, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, octets, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return; /* it has been closed */
        octets += sent;
        size -= (size_t)sent;
        event_base_loop(child.base, EVLOOP_NONBLOCK);
        hear(fd);
    }
}

/* Nothing of the connection is left: no lock, no waiter, nothing that waits for the disk. */
static void check_rest(void)
{
    while (commits_waiting(store.commits) > 0)
        event_base_loop(child.base, EVLOOP_ONCE);
    event_base_loop(child.base, EVLOOP_NONBLOCK);
    for (uint64_t id = 1; id <= MAILBOXES; id++) {
        struct mailbox *mailbox = mailbox_get(store.mailboxes, id);
        assert(mailbox != NULL && mailbox->waiting == 0);
        assert(mailbox->waiting_messages == 0 && mailbox->waiting_octets == 0);
        mailbox_put(store.mailboxes, mailbox);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs;

    if (size < 1)
        return 0;
    if (inputs++ % INPUTS_MAX == 0) {
        close_store();
        open_store();
    }
    uint8_t *octets = xmalloc(size);
    memcpy(octets, data + 1, size - 1);
    seal_all(octets, size - 1);
    ear = (struct ear){0};
    int fd = peer_connect(data[0] == 'F' ? FRONT_FD : data[0] == 'D' ? DELIVER_FD : CONTROL_FD);
    tell(fd, octets, size - 1);
    for (unsigned turns = 0; turns < 4; turns++) {
        event_base_loop(child.base, EVLOOP_NONBLOCK);
        hear(fd);
    }
    close(fd);
    event_base_loop(child.base, EVLOOP_NONBLOCK);
    check_rest();
    free(octets);
    return 0;
}
