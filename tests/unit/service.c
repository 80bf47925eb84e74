#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/capability.h"
#include "lib/channel.h"
#include "lib/metrics.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/recovery.h"
#include "stored/segments.h"
#include "stored/server.h"
#include "tests/unit/frame.h"
#include "tests/unit/scratch.h"
#include "tests/unit/service.h"

#define CONF    "segment_size = 4M\n"
#define SECONDS 10 /* no answer takes longer */

/* --- what the supervisor prepares ---------------------------------------------------------------
 */

static const char *const names[] = {"conf", "metrics", "deliver", "front", "control"};

struct child child;

static void place(int fd, int number)
{
    if (fd < 0 || dup2(fd, number) < 0)
        exit(1);
    if (fd != number)
        close(fd);
}

static void listen_at(int number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    /* Without a path the kernel gives it a name that no file has. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) < 0 ||
        listen(fd, 16) < 0)
        exit(1);
    place(fd, number);
}

void service_prepare(void)
{
    char list[64] = "", pid[16], count[16];

    for (size_t i = 0, end = 0; i < sizeof(names) / sizeof(names[0]); i++)
        end += (size_t)snprintf(list + end, sizeof(list) - end, "%s%s", i > 0 ? ":" : "", names[i]);
    place(memfd_create("conf", 0), CONF_FD);
    place(memfd_create("metrics", 0), METRICS_FD);
    if (write(CONF_FD, CONF, strlen(CONF)) < 0 || ftruncate(METRICS_FD, (off_t)metrics_size()) < 0)
        exit(1);
    for (int number = DELIVER_FD; number <= CONTROL_FD; number++)
        listen_at(number);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    snprintf(count, sizeof(count), "%zu", sizeof(names) / sizeof(names[0]));
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", list, 1);
    setenv("BELLHOP_SLOT", "0", 1);
    child_init(&child, "test_stored_server");
}

/* --- the store ----------------------------------------------------------------------------------
 */

struct store store;
static struct server *server;

static void on_group(void *context)
{
    (void)context;
    server_commits_done(server);
}

int service_open(void **state)
{
    if (scratch_enter(state) != 0 || mkdir("store", 0700) != 0)
        return -1;
    memset(&store, 0, sizeof(store));
    store.base = child.base;
    store.segment_size = child.conf.segment_size;
    recovery_run(&store);
    store.scans = index_open(INDEX_PATH, INDEX_SCAN);
    store.mailboxes = mailboxes_new(store.index);
    store.segments = segments_new(store.seed);
    store.commits = commits_new(&store);
    store.committed = on_group;
    store.openings = openings_new(&store);
    server = server_new(&store);
    return 0;
}

int service_close(void **state)
{
    /* Who has been answered by the thread that writes is not yet done with in the event loop. */
    while (commits_waiting(store.commits) > 0)
        event_base_loop(child.base, EVLOOP_ONCE);
    server_free(server);
    openings_free(store.openings);
    commits_free(store.commits);
    segments_free(store.segments);
    mailboxes_free(store.mailboxes);
    index_close(store.scans);
    index_close(store.index);
    return scratch_leave(state);
}

uint64_t service_clock(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

void service_run(unsigned long duration)
{
    uint64_t end = service_clock() + duration;

    do
        event_base_loop(child.base, EVLOOP_NONBLOCK);
    while (service_clock() < end);
}

/* --- a peer -------------------------------------------------------------------------------------
 */

int peer_connect(int listener)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), room = 8 << 20;

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    service_run(0);
    return fd;
}

void peer_tell(int fd, enum store_type type, uint32_t id, const void *payload, size_t length)
{
    struct frame frame = {(uint32_t)length, 1, (uint8_t)type, 0, id};

    assert_int_equal(send(fd, &frame, sizeof(frame), 0), sizeof(frame));
    for (size_t done = 0; done < length;) {
        ssize_t part =
            send(fd, (const uint8_t *)payload + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (part > 0)
            done += (size_t)part;
        else
            service_run(1);
    }
}

bool peer_has_answer(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, 0) == 1;
}

enum store_type peer_hear(int fd, void *payload_r, size_t room)
{
    uint64_t end = service_clock() + 1000 * SECONDS;
    static uint8_t rest[CHANNEL_PAYLOAD_MAX];
    struct frame frame;

    while (!peer_has_answer(fd)) {
        assert_true(service_clock() < end);
        event_base_loop(child.base, EVLOOP_NONBLOCK);
    }
    if (recv(fd, &frame, sizeof(frame), MSG_WAITALL) != sizeof(frame))
        return 0;
    for (size_t done = 0; done < frame.length;) {
        ssize_t part = recv(fd, rest + done, frame.length - done, MSG_DONTWAIT);
        if (part > 0)
            done += (size_t)part;
        else
            event_base_loop(child.base, EVLOOP_NONBLOCK);
    }
    if (payload_r != NULL)
        memcpy(payload_r, rest, frame.length < room ? frame.length : room);
    return frame.type;
}

void peer_begin(int fd, uint32_t id, uint64_t mailbox, uint64_t announced)
{
    struct {
        struct store_deliver_begin begin;
        struct store_recipient recipient;
    } message = {{.count = 1, .size = announced}, {mailbox, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

    peer_tell(fd, STORE_DELIVER_BEGIN, id, &message, sizeof(message));
}

void peer_data(int fd, uint32_t id, const char *body, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t part = length - done < 65536 ? length - done : 65536;
        peer_tell(fd, STORE_DELIVER_DATA, id, body + done, part);
        done += part;
    }
}

void peer_commit(int fd, uint32_t id, size_t length)
{
    struct store_deliver_commit end = {.octets = length};

    peer_tell(fd, STORE_DELIVER_COMMIT, id, &end, sizeof(end));
}

enum store_result peer_delivered(int fd)
{
    struct store_delivered delivered = {.result = UINT8_MAX};

    assert_int_equal(peer_hear(fd, &delivered, sizeof(delivered)), STORE_DELIVERED);
    /* As before anything that somebody asks now. */
    commits_catch_up(store.commits);
    return delivered.result;
}

enum store_result peer_deliver(uint64_t mailbox, const char *body, size_t length,
                               uint64_t announced)
{
    int fd = peer_connect(DELIVER_FD);

    peer_begin(fd, 1, mailbox, announced);
    peer_data(fd, 1, body, length);
    peer_commit(fd, 1, length);
    enum store_result result = peer_delivered(fd);
    close(fd);
    return result;
}

void peer_ask_open(int fd, uint32_t id, uint64_t mailbox)
{
    peer_ask_open_after(fd, id, mailbox, 0);
}

void peer_ask_open_after(int fd, uint32_t id, uint64_t mailbox, uint64_t delay)
{
    struct store_open open = {
        .capability = {mailbox, 1, (uint64_t)time(NULL) + 20, delay, PEER_LOGOUT, {0}}};

    capability_seal(&open.capability, store.key);
    peer_tell(fd, STORE_OPEN, id, &open, sizeof(open));
}

int peer_opened(int fd)
{
    struct store_totals totals = {0};
    enum store_type type;

    do
        type = peer_hear(fd, &totals, sizeof(totals));
    while (type == STORE_OPENING || type == STORE_ENTRIES || type == STORE_UNIQUE_IDS ||
           type == STORE_GROWTHS);
    return type == STORE_OPENED ? (int)totals.messages : -1;
}

int peer_open_anew(uint64_t mailbox)
{
    int fd = peer_connect(FRONT_FD);

    peer_ask_open(fd, 1, mailbox);
    int messages = peer_opened(fd);
    close(fd);
    service_run(0);
    return messages;
}
