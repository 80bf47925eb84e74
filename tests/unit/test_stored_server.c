/*
 * The store's three sockets from outside, in one process: the test writes what a peer would write,
 * lets the event loop run, and reads the answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/capability.h"
#include "lib/child.h"
#include "lib/metrics.h"
#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/record.h"
#include "stored/recovery.h"
#include "stored/scan.h"
#include "stored/segments.h"
#include "stored/server.h"
#include "stored/store.h"
#include "tests/unit/scratch.h"

#define CONF    "segment_size = 4M\n"
#define BODY    "Subject: test\r\n\r\ntext\r\n"
#define SECONDS 10 /* no answer takes longer */

/* --- what the supervisor prepares ---------------------------------------------------------------
 */

static const char *const names[] = {"conf", "metrics", "deliver", "front", "control"};

enum { CONF_FD = 3, METRICS_FD, DELIVER_FD, FRONT_FD, CONTROL_FD };

static struct child child;

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

static void prepare(void)
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

static struct store store;
static struct server *server;

static void on_group(void *context)
{
    (void)context;
    server_commits_done(server);
}

static int open_store(void **state)
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

static int close_store(void **state)
{
    server_free(server);
    openings_free(store.openings);
    commits_free(store.commits);
    segments_free(store.segments);
    mailboxes_free(store.mailboxes);
    index_close(store.scans);
    index_close(store.index);
    return scratch_leave(state);
}

static uint64_t milliseconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void run_for(unsigned long duration)
{
    uint64_t end = milliseconds() + duration;

    do
        event_base_loop(child.base, EVLOOP_NONBLOCK);
    while (milliseconds() < end);
}

/* --- a peer -------------------------------------------------------------------------------------
 */

struct frame {
    uint32_t length;
    uint8_t version;
    uint8_t type;
    uint16_t zero;
    uint32_t id;
};

static int connect_to(int listener)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), room = 8 << 20;

    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, length), 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    run_for(0);
    return fd;
}

static void tell(int fd, enum store_type type, uint32_t id, const void *payload, size_t length)
{
    struct frame frame = {(uint32_t)length, 1, (uint8_t)type, 0, id};

    assert_int_equal(send(fd, &frame, sizeof(frame), 0), sizeof(frame));
    for (size_t done = 0; done < length;) {
        ssize_t part =
            send(fd, (const uint8_t *)payload + done, length - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (part > 0)
            done += (size_t)part;
        else
            run_for(1);
    }
}

static bool has_answer(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, 0) == 1;
}

/* Runs the loop until the peer has one more message; *payload_r may be NULL. 0: the end. */
static enum store_type hear(int fd, void *payload_r, size_t room)
{
    uint64_t end = milliseconds() + 1000 * SECONDS;
    static uint8_t rest[CHANNEL_PAYLOAD_MAX];
    struct frame frame;

    while (!has_answer(fd)) {
        assert_true(milliseconds() < end);
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

static void begin(int fd, uint32_t id, uint64_t mailbox, uint64_t announced)
{
    struct {
        struct store_deliver_begin begin;
        struct store_recipient recipient;
    } message = {{.count = 1, .size = announced}, {mailbox, UINT64_MAX, UINT64_MAX, UINT64_MAX}};

    tell(fd, STORE_DELIVER_BEGIN, id, &message, sizeof(message));
}

static void data(int fd, uint32_t id, const char *body, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t part = length - done < 65536 ? length - done : 65536;
        tell(fd, STORE_DELIVER_DATA, id, body + done, part);
        done += part;
    }
}

static void commit(int fd, uint32_t id, size_t length)
{
    struct store_deliver_commit end = {.octets = length};

    tell(fd, STORE_DELIVER_COMMIT, id, &end, sizeof(end));
}

static enum store_result delivered(int fd)
{
    struct store_delivered delivered = {.result = UINT8_MAX};

    assert_int_equal(hear(fd, &delivered, sizeof(delivered)), STORE_DELIVERED);
    return delivered.result;
}

static enum store_result deliver(uint64_t mailbox, const char *body, size_t length,
                                 uint64_t announced)
{
    int fd = connect_to(DELIVER_FD);

    begin(fd, 1, mailbox, announced);
    data(fd, 1, body, length);
    commit(fd, 1, length);
    enum store_result result = delivered(fd);
    close(fd);
    return result;
}

static void ask_open(int fd, uint32_t id, uint64_t mailbox)
{
    struct capability capability = {mailbox, 1, (uint64_t)time(NULL) + 20, {0}};

    capability_seal(&capability, store.key);
    tell(fd, STORE_OPEN, id, &capability, sizeof(capability));
}

/* The messages of a mailbox that is being opened, or -1 for a refusal. */
static int opened(int fd)
{
    struct store_opened totals = {0};
    enum store_type type;

    do
        type = hear(fd, &totals, sizeof(totals));
    while (type == STORE_OPENING || type == STORE_ENTRIES || type == STORE_UNIQUE_IDS);
    return type == STORE_OPENED ? (int)totals.messages : -1;
}

static int open_anew(uint64_t mailbox)
{
    int fd = connect_to(FRONT_FD);

    ask_open(fd, 1, mailbox);
    int messages = opened(fd);
    close(fd);
    run_for(0);
    return messages;
}

/* --- the cases ----------------------------------------------------------------------------------
 */

static void the_end_of_who_waits_for_a_lock_is_harmless(void **state)
{
    int holder = connect_to(FRONT_FD), waits = connect_to(FRONT_FD);
    (void)state;

    ask_open(holder, 1, 1);
    assert_int_equal(opened(holder), 0);
    ask_open(waits, 1, 1);
    run_for(10);
    assert_false(has_answer(waits));
    close(waits);
    run_for(600); /* longer than an open waits */
    close(holder);
    assert_int_equal(open_anew(1), 0);
}

static void a_lock_ends_with_the_connection_that_also_waits_for_it(void **state)
{
    int fd = connect_to(FRONT_FD);
    (void)state;

    ask_open(fd, 1, 1);
    assert_int_equal(opened(fd), 0);
    ask_open(fd, 2, 1);
    run_for(10);
    close(fd);
    assert_int_equal(open_anew(1), 0);
}

static const uint64_t announcements[] = {0,         1,          100000,         3000000,
                                         200000000, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX - 4096};

static void an_announced_size_is_only_a_hint(void **state)
{
    static const size_t lengths[] = {1, 100000, 3000000};
    char *body = xcalloc(1, 3000000);
    int messages = 0;
    (void)state;

    memset(body, 'x', 3000000);
    for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]); i++)
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            assert_int_equal(deliver(1, body, lengths[k], announcements[i]), STORE_OK);
            messages++;
        }
    assert_int_equal(open_anew(1), messages);
    free(body);
}

/* Stuffing adds one octet to a line of three or more; quotas and LIST count on it. */
static void a_size_that_cannot_be_is_no_size(void **state)
{
    static const struct {
        uint64_t octets;
        bool taken;
    } sizes[] = {{0, false},   {749, false},  {750, true},
                 {1000, true}, {1001, false}, {UINT64_MAX, false}};
    char body[1000];
    (void)state;

    memset(body, '.', sizeof(body));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int fd = connect_to(DELIVER_FD);
        begin(fd, 1, 1, 0);
        data(fd, 1, body, sizeof(body));
        commit(fd, 1, sizes[i].octets);
        assert_int_equal(hear(fd, NULL, 0), sizes[i].taken ? STORE_DELIVERED : 0);
        close(fd);
    }
}

static void usage(uint64_t mailbox, struct store_usage_is *usage_r)
{
    int fd = connect_to(CONTROL_FD);
    struct store_mailbox_id id = {mailbox};

    tell(fd, STORE_USAGE, 1, &id, sizeof(id));
    assert_int_equal(hear(fd, usage_r, sizeof(*usage_r)), STORE_USAGE_IS);
    close(fd);
}

static void usage_is_exact_when_mail_comes_and_goes_in_one_group(void **state)
{
    int front = connect_to(FRONT_FD), sender = connect_to(DELIVER_FD);
    size_t length = strlen(BODY);
    struct store_usage_is now;
    uint32_t first = 0;
    (void)state;

    assert_int_equal(deliver(1, BODY, length, 0), STORE_OK);
    ask_open(front, 1, 1);
    assert_int_equal(opened(front), 1);
    tell(front, STORE_EXPUNGE, 1, &first, sizeof(first));
    begin(sender, 1, 1, 0);
    data(sender, 1, BODY, length);
    commit(sender, 1, length);
    assert_int_equal(hear(front, NULL, 0), STORE_EXPUNGED);
    assert_int_equal(delivered(sender), STORE_OK);
    usage(1, &now);
    assert_int_equal(now.messages, 1);
    assert_int_equal(now.octets, length);
    close(front);
    close(sender);
}

/* 10 deliveries of a tenth of the quota each, all before any is durable. */
static void a_line_is_crossed_once_by_parallel_deliveries(void **state)
{
    struct {
        struct store_deliver_begin begin;
        struct store_recipient recipient;
    } message = {{.count = 1}, {1, 10 * strlen(BODY), 100, UINT64_MAX}};
    static const uint8_t expected[11] = {[7] = 80, [9] = 95};
    int fd = connect_to(DELIVER_FD);
    (void)state;

    for (uint32_t i = 0; i < 11; i++) {
        tell(fd, STORE_DELIVER_BEGIN, i, &message, sizeof(message));
        data(fd, i, BODY, strlen(BODY));
        commit(fd, i, strlen(BODY));
    }
    for (uint32_t i = 0, full = 0; i < 11; i++) {
        struct store_delivered result;
        assert_int_equal(hear(fd, &result, sizeof(result)), STORE_DELIVERED);
        if (result.result == STORE_OVER_QUOTA) {
            assert_int_equal(full++ + result.crossed, 0);
            continue;
        }
        assert_int_equal(result.result, STORE_OK);
        assert_int_equal(result.crossed, expected[i - full]);
        assert_int_equal(result.messages, result.crossed > 0 ? i - full + 1 : 0);
        assert_int_equal(result.octets, result.messages * strlen(BODY));
    }
    close(fd);
}

/* --- retention */

static uint64_t microseconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static void deliver_many(uint64_t mailbox, uint32_t count)
{
    int fd = connect_to(DELIVER_FD);

    for (uint32_t i = 0; i < count; i++) {
        begin(fd, i, mailbox, 0);
        data(fd, i, BODY, strlen(BODY));
        commit(fd, i, strlen(BODY));
        if (i % 100 == 99)
            run_for(1);
    }
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(delivered(fd), STORE_OK);
    close(fd);
}

static void ask_expire(int fd, uint64_t mailbox, uint64_t before, uint64_t after)
{
    struct store_expire request = {mailbox, before, after};

    tell(fd, STORE_EXPIRE, 1, &request, sizeof(request));
}

/* STORE_OK, or why it was refused. */
static enum store_result expired(int fd, struct store_expired *expired_r)
{
    uint8_t payload[sizeof(*expired_r)] = {0};
    enum store_type type = hear(fd, payload, sizeof(payload));

    memcpy(expired_r, payload, sizeof(payload));
    if (type == STORE_EXPIRED)
        return STORE_OK;
    assert_int_equal(type, STORE_FAILED);
    return payload[0];
}

static void assert_usage(uint64_t mailbox, uint64_t messages)
{
    struct store_usage_is now;

    usage(mailbox, &now);
    assert_int_equal(now.messages, messages);
    assert_int_equal(now.octets, messages * strlen(BODY));
}

static void what_is_too_old_goes_and_nothing_else(void **state)
{
    int fd = connect_to(CONTROL_FD);
    struct store_expired answer;
    (void)state;

    deliver_many(1, 3);
    deliver_many(2, 3);
    uint64_t before = microseconds();
    run_for(1);
    deliver_many(1, 2);
    ask_expire(fd, 1, before, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 3);
    assert_int_equal(answer.more, 0);
    assert_usage(1, 2);
    assert_usage(2, 3);
    ask_expire(fd, 1, before, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count + answer.more, 0);
    assert_int_equal(open_anew(1), 2);
    assert_int_equal(open_anew(2), 3);
    close(fd);
}

static void an_open_session_keeps_what_it_sees(void **state)
{
    int fd = connect_to(CONTROL_FD), front = connect_to(FRONT_FD);
    struct store_read request = {.message = 1, .room = STORE_READ_MAX};
    struct store_expired answer;
    (void)state;

    deliver_many(1, 2);
    ask_open(front, 1, 1);
    assert_int_equal(opened(front), 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    assert_int_equal(expired(fd, &answer), STORE_IN_USE);
    tell(front, STORE_READ, 1, &request, sizeof(request));
    assert_int_equal(hear(front, NULL, 0), STORE_DATA);
    assert_usage(1, 2);
    /* Where nothing is too old, nobody needs the lock. */
    ask_expire(fd, 1, 1, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    tell(front, STORE_CLOSE, 1, NULL, 0);
    ask_expire(fd, 1, UINT64_MAX, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 2);
    close(front);
    close(fd);
}

static void who_opens_meanwhile_waits_and_sees_the_rest(void **state)
{
    int fd = connect_to(CONTROL_FD), front = connect_to(FRONT_FD);
    struct store_expired answer;
    (void)state;

    deliver_many(1, 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    while (commits_waiting(store.commits) == 0)
        event_base_loop(child.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    ask_open(front, 1, 1);
    assert_int_equal(opened(front), 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 2);
    close(front);
    close(fd);
}

static void a_large_mailbox_goes_in_batches(void **state)
{
    static const uint32_t counts[] = {256, 256, 88};
    int fd = connect_to(CONTROL_FD);
    struct store_expired answer = {0};
    uint64_t left = 600;
    (void)state;

    deliver_many(1, 600);
    for (size_t i = 0; i < 3; i++) {
        ask_expire(fd, 1, UINT64_MAX, answer.next);
        assert_int_equal(expired(fd, &answer), STORE_OK);
        assert_int_equal(answer.count, counts[i]);
        assert_int_equal(answer.more, i < 2);
        left -= answer.count;
        assert_usage(1, left);
        assert_int_equal(open_anew(1), left);
    }
    /* The uids are not given out again. */
    deliver_many(1, 1);
    ask_expire(fd, 1, UINT64_MAX, 600);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.next, 601);
    close(fd);
}

static void many_young_messages_are_looked_at_in_parts(void **state)
{
    int fd = connect_to(CONTROL_FD);
    struct store_expired answer;
    (void)state;

    deliver_many(1, 4100);
    ask_expire(fd, 1, 1, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.more, 1);
    assert_int_equal(answer.next, 4096);
    ask_expire(fd, 1, 1, answer.next);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.more, 0);
    close(fd);
}

static void who_asked_may_be_gone_when_it_is_done(void **state)
{
    int fd = connect_to(CONTROL_FD);
    (void)state;

    deliver_many(1, 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    close(fd);
    run_for(50);
    assert_usage(1, 0);
    assert_int_equal(open_anew(1), 0);
}

static void a_long_check_leaves_the_loop_its_turns(void **state)
{
    struct store_read request = {.room = STORE_READ_MAX};
    size_t length = 4 << 20;
    char *body = xcalloc(1, length);
    int fd = connect_to(FRONT_FD);
    (void)state;

    assert_int_equal(deliver(1, body, length, length), STORE_OK);
    ask_open(fd, 1, 1);
    assert_int_equal(opened(fd), 1);
    tell(fd, STORE_READ, 1, &request, sizeof(request));
    for (int turn = 0; turn < 4; turn++) {
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        assert_false(has_answer(fd));
    }
    assert_int_equal(hear(fd, NULL, 0), STORE_DATA);
    close(fd);
    free(body);
}

static void a_session_may_end_in_the_middle_of_a_check(void **state)
{
    struct store_read request = {.room = STORE_READ_MAX};
    size_t length = 4 << 20;
    char *body = xcalloc(1, length);
    (void)state;

    assert_int_equal(deliver(1, body, length, length), STORE_OK);
    for (int by_close = 0; by_close < 2; by_close++) {
        int fd = connect_to(FRONT_FD);
        ask_open(fd, 1, 1);
        assert_int_equal(opened(fd), 1);
        for (int i = 0; i < 16; i++)
            tell(fd, STORE_READ, 1, &request, sizeof(request));
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (by_close)
            tell(fd, STORE_CLOSE, 1, NULL, 0);
        else
            close(fd);
        run_for(20);
        assert_int_equal(open_anew(1), 1);
        if (by_close)
            close(fd);
    }
    free(body);
}

/* Reads all messages of mailbox 1 from their beginning; how many could be read. */
static int read_all(int messages)
{
    int fd = connect_to(FRONT_FD), good = 0;

    ask_open(fd, 1, 1);
    assert_int_equal(opened(fd), messages);
    for (int i = 0; i < messages; i++) {
        struct store_read request = {.message = (uint32_t)i, .room = STORE_READ_MAX};
        tell(fd, STORE_READ, 1, &request, sizeof(request));
        good += hear(fd, NULL, 0) == STORE_DATA;
    }
    close(fd);
    run_for(0);
    return good;
}

static void reading_needs_few_descriptors(void **state)
{
    enum { MESSAGES = 40 };
    size_t length = (1 << 20) + 1; /* a segment of its own */
    char *body = xcalloc(1, length);
    struct rlimit before, few;
    (void)state;

    for (int i = 0; i < MESSAGES; i++)
        assert_int_equal(deliver(1, body, length, length), STORE_OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 40;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int good = read_all(MESSAGES);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(good, MESSAGES);
    free(body);
}

/* --- imports ------------------------------------------------------------------------------------
 */

static enum store_type ask_import(int fd, uint32_t id, uint64_t mailbox, const char *unique_id)
{
    struct store_import import = {.recipient = {mailbox, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    struct store_delivered answer = {.result = UINT8_MAX};

    memcpy(import.unique_id, unique_id, strlen(unique_id));
    tell(fd, STORE_IMPORT, id, &import, sizeof(import));
    enum store_type type = hear(fd, &answer, sizeof(answer));
    if (type == STORE_DELIVERED)
        assert_int_equal(answer.result, STORE_EXISTS);
    return type;
}

static void finish_import(int fd, uint32_t id, uint64_t time)
{
    struct store_deliver_commit end = {.octets = strlen(BODY), .time = time};

    data(fd, id, BODY, strlen(BODY));
    tell(fd, STORE_DELIVER_COMMIT, id, &end, sizeof(end));
}

static void import(uint64_t mailbox, const char *unique_id, uint64_t time)
{
    int fd = connect_to(CONTROL_FD);

    assert_int_equal(ask_import(fd, 1, mailbox, unique_id), STORE_IMPORTING);
    finish_import(fd, 1, time);
    assert_int_equal(delivered(fd), STORE_OK);
    close(fd);
}

static const struct index_range first_message = {.mailbox = 1, .to = INT64_MAX, .most = 1};

static int check_import(void *context, const struct index_message *message)
{
    const struct index_message *expected = context;

    assert_int_equal(message->time, expected->time);
    assert_string_equal(message->unique_id, expected->unique_id);
    return 1;
}

static void an_import_keeps_its_unique_id_and_its_time(void **state)
{
    struct index_message expected = {.time = 1234567890123456, .unique_id = "UID1-1234"};
    (void)state;

    import(1, "UID1-1234", expected.time);
    assert_int_equal(index_each_message(store.index, &first_message, check_import, &expected), 1);
}

static void an_import_comes_once_into_a_mailbox(void **state)
{
    int fd = connect_to(CONTROL_FD);
    (void)state;

    import(1, "twice", 1);
    assert_int_equal(ask_import(fd, 1, 1, "twice"), STORE_DELIVERED);
    assert_int_equal(ask_import(fd, 1, 1, "twic"), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 2, "twice"), STORE_IMPORTING);
    close(fd);
    run_for(0);
}

static void an_import_on_its_way_to_the_disk_counts(void **state)
{
    int fd = connect_to(CONTROL_FD);
    enum store_result first, second;
    (void)state;

    assert_int_equal(ask_import(fd, 1, 1, "raced"), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 1, "raced"), STORE_IMPORTING);
    finish_import(fd, 1, 1);
    finish_import(fd, 2, 1);
    first = delivered(fd);
    second = delivered(fd);
    assert_true((first == STORE_OK && second == STORE_EXISTS) ||
                (first == STORE_EXISTS && second == STORE_OK));
    close(fd);
    run_for(0);
    assert_int_equal(open_anew(1), 1);
}

static int note_time(void *context, const struct index_message *message)
{
    *(uint64_t *)context = message->time;
    return 1;
}

static void the_stores_own_unique_id_counts_as_well(void **state)
{
    char own[48], other[48];
    uint64_t time;
    (void)state;

    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(index_each_message(store.index, &first_message, note_time, &time), 1);
    snprintf(own, sizeof(own), "1.%" PRIx64, time);
    snprintf(other, sizeof(other), "01.%" PRIx64, time);
    int fd = connect_to(CONTROL_FD);
    assert_int_equal(ask_import(fd, 1, 1, own), STORE_DELIVERED);
    assert_int_equal(ask_import(fd, 1, 1, other), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 2, own), STORE_IMPORTING);
    close(fd);
    run_for(0);
}

static const char *const bad_unique_ids[] = {"a b", "\x7f", "\xc3\xa9", "a\tb"};

static void what_is_no_unique_id_ends_the_connection(void **state)
{
    struct store_import good = {.recipient = {1, UINT64_MAX, UINT64_MAX, UINT64_MAX}}, bad;
    (void)state;

    for (size_t i = 0; i < sizeof(bad_unique_ids) / sizeof(bad_unique_ids[0]) + 2; i++) {
        int fd = connect_to(CONTROL_FD);
        bad = good;
        if (i < sizeof(bad_unique_ids) / sizeof(bad_unique_ids[0]))
            memcpy(bad.unique_id, bad_unique_ids[i], strlen(bad_unique_ids[i]));
        else if (i % 2 == 0)
            memset(bad.unique_id, 'a', STORE_UNIQUE_ID_MAX + 1);
        else
            bad.unique_id[1] = 'a';
        tell(fd, STORE_IMPORT, 1, &bad, sizeof(bad));
        assert_int_equal(hear(fd, NULL, 0), 0);
        close(fd);
    }
    int fd = connect_to(DELIVER_FD);
    tell(fd, STORE_IMPORT, 1, &good, sizeof(good));
    assert_int_equal(hear(fd, NULL, 0), 0);
    close(fd);
}

/* --- large mailboxes ----------------------------------------------------------------------------
 */

/* Messages that are in the index alone: enough to be listed. */
static void list_messages(uint64_t mailbox, uint64_t count)
{
    index_begin(store.index);
    for (uint64_t uid = 1; uid <= count; uid++) {
        struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);
        record_refs(header)->mailbox = mailbox;
        record_refs(header)->uid = uid;
        header->segment = 1;
        header->offset = 8 * uid;
        header->time = 1000000 + uid;
        header->octets = uid;
        index_apply(store.index, header);
        free(header);
    }
    index_commit(store.index);
}

/* Reads what has come of an opening. Returns how many STORE_ENTRIES; *over_r: STORE_OPENED came. */
static unsigned hear_entries(int fd, struct store_opened *totals_r, bool *over_r)
{
    unsigned pieces = 0;

    while (!*over_r && has_answer(fd)) {
        enum store_type type = hear(fd, totals_r, sizeof(*totals_r));
        pieces += type == STORE_ENTRIES;
        *over_r = type == STORE_OPENED;
    }
    return pieces;
}

static void a_large_mailbox_is_opened_in_many_turns(void **state)
{
    enum { MESSAGES = 40000 };
    struct store_opened totals = {0};
    unsigned pieces = 0, turns = 0;
    bool over = false;
    (void)state;

    list_messages(1, MESSAGES);
    int fd = connect_to(FRONT_FD);
    ask_open(fd, 1, 1);
    for (; !over; turns++) {
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        unsigned now = hear_entries(fd, &totals, &over);
        assert_true(now <= 1);
        pieces += now;
    }
    assert_true(pieces >= 10 && turns >= pieces);
    assert_int_equal(totals.messages, MESSAGES);
    assert_int_equal(totals.octets, (uint64_t)MESSAGES * (MESSAGES + 1) / 2);
    close(fd);
}

/* Two fronts have as many turns each, and neither waits for the other's whole mailbox. */
static void large_mailboxes_are_opened_side_by_side(void **state)
{
    enum { MESSAGES = 40000 };
    struct store_opened totals;
    bool over[2] = {false, false};
    unsigned pieces[2] = {0, 0};
    int fds[2];
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        list_messages(1 + i, MESSAGES);
        fds[i] = connect_to(FRONT_FD);
        ask_open(fds[i], 1, 1 + i);
    }
    while (!over[0] && !over[1]) {
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        for (unsigned i = 0; i < 2; i++)
            pieces[i] += hear_entries(fds[i], &totals, &over[i]);
    }
    assert_true(pieces[0] <= pieces[1] + 2 && pieces[1] <= pieces[0] + 2);
    close(fds[0]);
    close(fds[1]);
}

static void who_does_not_read_costs_little(void **state)
{
    enum { MESSAGES = 200000, OCTETS = 8 * MESSAGES + 2200000 };
    (void)state;

    list_messages(1, MESSAGES);
    int fd = connect_to(FRONT_FD);
    struct mallinfo2 before = mallinfo2();
    ask_open(fd, 1, 1);
    run_for(50);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd + OCTETS);
    assert_int_equal(opened(fd), MESSAGES);
    close(fd);
}

static void a_session_may_end_in_the_middle_of_its_opening(void **state)
{
    enum { MESSAGES = 40000 };
    (void)state;

    list_messages(1, MESSAGES);
    for (int by_close = 0; by_close < 2; by_close++) {
        int fd = connect_to(FRONT_FD);
        ask_open(fd, 1, 1);
        for (int turn = 0; turn < 4; turn++)
            event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (by_close)
            tell(fd, STORE_CLOSE, 1, NULL, 0);
        else
            close(fd);
        run_for(20);
        assert_int_equal(open_anew(1), MESSAGES);
        if (by_close)
            close(fd);
    }
}

static void mail_that_comes_during_an_opening_is_for_the_next_session(void **state)
{
    enum { MESSAGES = 40000 };
    (void)state;

    list_messages(1, MESSAGES);
    int fd = connect_to(FRONT_FD);
    ask_open(fd, 1, 1);
    for (int turn = 0; turn < 2; turn++)
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(opened(fd), MESSAGES);
    close(fd);
    run_for(0);
    assert_int_equal(open_anew(1), MESSAGES + 1);
}

/* What the index has not committed yet counts as well, though it is read in another way. */
static void mail_that_came_a_moment_ago_is_in_a_large_mailbox(void **state)
{
    enum { MESSAGES = 10000 };
    (void)state;

    list_messages(1, MESSAGES);
    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(open_anew(1), MESSAGES + 1);
}

static void nothing_is_asked_of_a_mailbox_that_is_being_opened(void **state)
{
    static const enum store_type types[] = {STORE_READ, STORE_EXPUNGE};
    struct store_read request = {.room = STORE_READ_MAX};
    (void)state;

    list_messages(1, 40000);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int fd = connect_to(FRONT_FD);
        enum store_type type;
        ask_open(fd, 1, 1);
        tell(fd, types[i], 1, &request,
             types[i] == STORE_READ ? sizeof(request) : sizeof(uint32_t));
        while ((type = hear(fd, NULL, 0)) != 0)
            assert_int_not_equal(type, STORE_OPENED);
        close(fd);
        run_for(0);
    }
}

/* In a process of its own, which is to end so that the supervisor starts another. */
static void open_from_damaged_index(void)
{
    char rubbish[4096];
    int fd = open(INDEX_PATH, O_WRONLY);

    event_reinit(child.base);
    memset(rubbish, 0xff, sizeof(rubbish));
    for (off_t page = 40; page < 80; page++)
        if (pwrite(fd, rubbish, sizeof(rubbish), 4096 * page) != sizeof(rubbish))
            _exit(1);
    ask_open(connect_to(FRONT_FD), 1, 1);
    run_for(1000);
    _exit(2);
}

static void a_damaged_index_is_given_up_in_the_middle_of_an_opening(void **state)
{
    int status;
    (void)state;

    list_messages(1, 40000);
    index_close(store.scans); /* the last to close moves everything into the file */
    index_close(store.index);
    store.index = index_open(INDEX_PATH, INDEX_WRITE);
    store.scans = index_open(INDEX_PATH, INDEX_SCAN);
    mailboxes_free(store.mailboxes);
    store.mailboxes = mailboxes_new(store.index);
    pid_t pid = fork();
    if (pid == 0)
        open_from_damaged_index();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
    assert_int_equal(access(INDEX_PATH, F_OK), -1);
}

/* --- what an opening and a reading look up ------------------------------------------------------
 */

static void unique_ids_of_imports_follow_their_entries(void **state)
{
    struct {
        struct store_unique_id first;
        char text[9];
        uint8_t second[sizeof(struct store_unique_id)];
        char other[1];
    } __attribute__((packed)) told;
    struct store_unique_id second;
    struct store_opening begun;
    int fd = connect_to(FRONT_FD);
    (void)state;

    import(1, "UID1-1234", 1000000);
    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    import(1, "~", 3000000);
    ask_open(fd, 1, 1);
    assert_int_equal(hear(fd, &begun, sizeof(begun)), STORE_OPENING);
    assert_int_equal(begun.messages, 3);
    assert_int_equal(hear(fd, NULL, 0), STORE_ENTRIES);
    assert_int_equal(hear(fd, &told, sizeof(told)), STORE_UNIQUE_IDS);
    assert_int_equal(told.first.message, 0);
    assert_int_equal(told.first.length, 9);
    assert_memory_equal(told.text, "UID1-1234", 9);
    memcpy(&second, told.second, sizeof(second));
    assert_int_equal(second.message, 2);
    assert_int_equal(second.length, 1);
    assert_int_equal(told.other[0], '~');
    assert_int_equal(hear(fd, NULL, 0), STORE_OPENED);
    close(fd);
}

static void read_numbered(int fd, uint32_t message)
{
    struct store_read request = {.message = message, .room = STORE_READ_MAX};
    struct {
        struct store_data data;
        char body[16];
    } answer = {0};
    char expected[16];

    snprintf(expected, sizeof(expected), "%u\r\n", message);
    tell(fd, STORE_READ, 1, &request, sizeof(request));
    assert_int_equal(hear(fd, &answer, sizeof(answer)), STORE_DATA);
    assert_string_equal(answer.body, expected);
}

static void messages_are_found_in_any_order(void **state)
{
    enum { MESSAGES = 300 };
    char body[16];
    int sender = connect_to(DELIVER_FD);
    (void)state;

    for (uint32_t i = 0; i < MESSAGES; i++) {
        snprintf(body, sizeof(body), "%u\r\n", i);
        begin(sender, i, 1, 0);
        data(sender, i, body, strlen(body));
        commit(sender, i, strlen(body));
    }
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(delivered(sender), STORE_OK);
    int fd = connect_to(FRONT_FD);
    ask_open(fd, 1, 1);
    assert_int_equal(opened(fd), MESSAGES);
    for (uint32_t i = 0; i < MESSAGES; i++)
        read_numbered(fd, i);
    for (uint32_t i = MESSAGES; i-- > 0;)
        read_numbered(fd, i);
    for (uint32_t i = 0; i < MESSAGES; i++)
        read_numbered(fd, 97 * i % MESSAGES);
    close(fd);
    close(sender);
}

static const char *const wrong_rows[] = {"octets = octets + 1", "time = time + 1",
                                         "body_length = body_length - 1", "offset = offset + 8",
                                         "uid = uid + 1"};

static void a_row_that_does_not_fit_its_record_is_damage(void **state)
{
    struct store_read request = {.room = STORE_READ_MAX};
    uint8_t result = 0;
    char sql[96];
    sqlite3 *db;
    (void)state;

    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    index_commit(store.index);
    assert_int_equal(sqlite3_open(INDEX_PATH, &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof(wrong_rows) / sizeof(wrong_rows[0]); i++) {
        snprintf(sql, sizeof(sql), "BEGIN; UPDATE message SET %s; COMMIT", wrong_rows[i]);
        assert_int_equal(
            sqlite3_exec(db, "CREATE TEMP TABLE kept AS SELECT * FROM message", NULL, NULL, NULL),
            SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_exec(db, "UPDATE mailbox SET uid_next = 9", NULL, NULL, NULL);
        mailboxes_free(store.mailboxes);
        store.mailboxes = mailboxes_new(store.index);
        int fd = connect_to(FRONT_FD);
        ask_open(fd, 1, 1);
        assert_int_equal(opened(fd), 1);
        tell(fd, STORE_READ, 1, &request, sizeof(request));
        assert_int_equal(hear(fd, &result, sizeof(result)), STORE_FAILED);
        assert_int_equal(result, STORE_DAMAGED);
        close(fd);
        run_for(0);
        assert_int_equal(sqlite3_exec(db,
                                      "DELETE FROM message; INSERT INTO message SELECT * FROM kept;"
                                      "DROP TABLE kept",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
    }
    sqlite3_close(db);
    assert_int_equal(read_all(1), 1);
}

struct expunged {
    uint64_t places[2];
    unsigned count;
};

static void note_expunge(void *context, const struct record_header *header, enum scan_body body)
{
    struct expunged *expunged = context;

    assert_int_equal(body, SCAN_GOOD);
    for (uint32_t i = 0; header->type == RECORD_EXPUNGE && i < header->ref_count; i++)
        expunged->places[expunged->count++ % 2] = record_places(header)[i];
}

static void fail_at_gap(void *context, uint64_t from, uint64_t to)
{
    (void)context;
    fail_msg("a gap from %llu to %llu", (unsigned long long)from, (unsigned long long)to);
}

static const struct scan_events expunge_events = {note_expunge, fail_at_gap};

/* A large message has a segment of its own. */
static void an_expunge_says_where_its_messages_were(void **state)
{
    size_t length = 2 << 20;
    char *body = xcalloc(1, length);
    int fd = connect_to(FRONT_FD);
    static const uint32_t messages[] = {1, 0};
    struct expunged expunged = {0};
    struct index_place places[2];
    (void)state;

    assert_int_equal(deliver(1, body, length, length), STORE_OK);
    assert_int_equal(deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(index_find_place(store.index, 1, 1 + i, &places[i]), 1);
    assert_true(places[0].segment != places[1].segment);
    ask_open(fd, 1, 1);
    assert_int_equal(opened(fd), 2);
    tell(fd, STORE_EXPUNGE, 1, messages, sizeof(messages));
    assert_int_equal(hear(fd, NULL, 0), STORE_EXPUNGED);
    for (uint64_t id = 1; id < store.next_segment; id++) {
        struct segment segment = {.id = id, .seed = store.seed};
        uint64_t end, dirt;
        assert_int_equal(segment_open(&segment), 0);
        assert_int_equal(
            scan_segment(&segment, SEGMENT_START, true, &expunge_events, &expunged, &end, &dirt),
            0);
        segment_close(&segment);
    }
    assert_int_equal(expunged.count, 2);
    assert_int_equal(expunged.places[0], places[1].segment);
    assert_int_equal(expunged.places[1], places[0].segment);
    close(fd);
    free(body);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_end_of_who_waits_for_a_lock_is_harmless),
        CASE(a_lock_ends_with_the_connection_that_also_waits_for_it),
        CASE(an_announced_size_is_only_a_hint),
        CASE(a_size_that_cannot_be_is_no_size),
        CASE(usage_is_exact_when_mail_comes_and_goes_in_one_group),
        CASE(a_line_is_crossed_once_by_parallel_deliveries),
        CASE(what_is_too_old_goes_and_nothing_else),
        CASE(an_open_session_keeps_what_it_sees),
        CASE(who_opens_meanwhile_waits_and_sees_the_rest),
        CASE(a_large_mailbox_goes_in_batches),
        CASE(many_young_messages_are_looked_at_in_parts),
        CASE(who_asked_may_be_gone_when_it_is_done),
        CASE(a_long_check_leaves_the_loop_its_turns),
        CASE(a_session_may_end_in_the_middle_of_a_check),
        CASE(reading_needs_few_descriptors),
        CASE(an_import_keeps_its_unique_id_and_its_time),
        CASE(an_import_comes_once_into_a_mailbox),
        CASE(an_import_on_its_way_to_the_disk_counts),
        CASE(the_stores_own_unique_id_counts_as_well),
        CASE(what_is_no_unique_id_ends_the_connection),
        CASE(a_large_mailbox_is_opened_in_many_turns),
        CASE(large_mailboxes_are_opened_side_by_side),
        CASE(who_does_not_read_costs_little),
        CASE(a_session_may_end_in_the_middle_of_its_opening),
        CASE(mail_that_comes_during_an_opening_is_for_the_next_session),
        CASE(mail_that_came_a_moment_ago_is_in_a_large_mailbox),
        CASE(nothing_is_asked_of_a_mailbox_that_is_being_opened),
        CASE(a_damaged_index_is_given_up_in_the_middle_of_an_opening),
        CASE(unique_ids_of_imports_follow_their_entries),
        CASE(messages_are_found_in_any_order),
        CASE(a_row_that_does_not_fit_its_record_is_damage),
        CASE(an_expunge_says_where_its_messages_were),
    };

    prepare();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    child_fini(&child);
    return failed;
}
