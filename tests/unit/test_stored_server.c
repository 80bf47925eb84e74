/* The store's three sockets from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "lib/capability.h"
#include "lib/channel.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/mailbox.h"
#include "stored/opening.h"
#include "stored/record.h"
#include "stored/recovery.h"
#include "stored/scan.h"
#include "stored/segments.h"
#include "tests/unit/service.h"

#define BODY "Subject: test\r\n\r\ntext\r\n"

/* --- the disk --------------------------------------------------------------------------------- */

static atomic_bool sync_fails; /* the next one, a while later */

int fdatasync(int fd)
{
    if (!atomic_exchange(&sync_fails, false))
        return (int)syscall(SYS_fdatasync, fd);
    usleep(50000);
    errno = EIO;
    return -1;
}

/* --- the cases ----------------------------------------------------------------------------------
 */

static void the_end_of_who_waits_for_a_lock_is_harmless(void **state)
{
    int holder = peer_connect(FRONT_FD), waits = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open(holder, 1, 1);
    assert_int_equal(peer_opened(holder), 0);
    peer_ask_open(waits, 1, 1);
    service_run(10);
    assert_false(peer_has_answer(waits));
    close(waits);
    service_run(600); /* longer than an open waits */
    close(holder);
    assert_int_equal(peer_open_anew(1), 0);
}

static void a_lock_ends_with_the_connection_that_also_waits_for_it(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 0);
    peer_ask_open(fd, 2, 1);
    service_run(10);
    close(fd);
    assert_int_equal(peer_open_anew(1), 0);
}

static struct store_failed refused(int fd)
{
    struct store_failed failed = {0};

    assert_int_equal(peer_hear(fd, &failed, sizeof(failed)), STORE_FAILED);
    return failed;
}

static void who_finds_the_lock_taken_is_told_for_how_long(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 0);
    struct mailbox *mailbox = mailbox_get(store.mailboxes, 1);
    mailbox->locked_at -= 200;
    peer_ask_open(fd, 2, 1);
    struct store_failed failed = refused(fd);
    assert_int_equal(failed.result, STORE_IN_USE);
    assert_in_range(failed.seconds, 200, 230);
    mailbox_put(store.mailboxes, mailbox);
    close(fd);
}

static void only_some_wait_for_a_lock(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 0);
    for (uint32_t id = 2; id <= 9; id++)
        peer_ask_open(fd, id, 1);
    service_run(0);
    assert_false(peer_has_answer(fd));
    peer_ask_open(fd, 10, 1);
    assert_int_equal(refused(fd).result, STORE_IN_USE);
    struct mailbox *mailbox = mailbox_get(store.mailboxes, 1);
    assert_in_range(mailbox->waiting, 0, 8);
    mailbox_put(store.mailboxes, mailbox);
    close(fd);
    assert_int_equal(peer_open_anew(1), 0);
}

static void close_session(int fd, uint32_t id)
{
    peer_tell(fd, STORE_CLOSE, id, NULL, 0);
    service_run(1);
}

/* RFC 2449 section 6.5: from the answer to a login, and what was refused is no login. */
static void the_next_login_waits_as_the_plan_wants(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open_after(fd, 1, 1, 60);
    assert_int_equal(peer_opened(fd), 0);
    peer_ask_open_after(fd, 2, 1, 60);
    assert_int_equal(refused(fd).result, STORE_TOO_SOON);
    close_session(fd, 1);
    struct mailbox *mailbox = mailbox_get(store.mailboxes, 1);
    mailbox->logged_in_at -= 30;
    for (uint32_t id = 3; id < 6; id++) {
        peer_ask_open_after(fd, id, 1, 60);
        struct store_failed failed = refused(fd);
        assert_int_equal(failed.result, STORE_TOO_SOON);
        assert_in_range(failed.seconds, 1, 30);
    }
    peer_ask_open_after(fd, 6, 2, 60); /* another mailbox */
    assert_int_equal(peer_opened(fd), 0);
    close_session(fd, 6);
    mailbox->logged_in_at -= 30;
    peer_ask_open_after(fd, 7, 1, 60);
    assert_int_equal(peer_opened(fd), 0);
    close_session(fd, 7);
    peer_ask_open_after(fd, 8, 1, 0); /* the plan has been changed */
    assert_int_equal(peer_opened(fd), 0);
    mailbox_put(store.mailboxes, mailbox);
    close(fd);
}

/* Two wait for a session that began long ago; the first one's login is the second one's last. */
static void who_waits_is_judged_when_the_lock_comes(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open_after(fd, 1, 1, 60);
    assert_int_equal(peer_opened(fd), 0);
    struct mailbox *mailbox = mailbox_get(store.mailboxes, 1);
    mailbox->logged_in_at -= 60;
    peer_ask_open_after(fd, 2, 1, 60);
    peer_ask_open_after(fd, 3, 1, 60);
    peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
    assert_int_equal(peer_opened(fd), 0);
    peer_tell(fd, STORE_CLOSE, 2, NULL, 0);
    assert_int_equal(refused(fd).result, STORE_TOO_SOON);
    peer_ask_open_after(fd, 4, 1, 0);
    assert_int_equal(peer_opened(fd), 0);
    mailbox_put(store.mailboxes, mailbox);
    close(fd);
}

/* What ended was the front. */
static void who_lost_the_front_may_come_back_at_once(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    peer_ask_open_after(fd, 1, 1, 60);
    assert_int_equal(peer_opened(fd), 0);
    close(fd);
    service_run(10);
    fd = peer_connect(FRONT_FD);
    peer_ask_open_after(fd, 1, 1, 60);
    assert_int_equal(peer_opened(fd), 0);
    close(fd);
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
            assert_int_equal(peer_deliver(1, body, lengths[k], announcements[i]), STORE_OK);
            messages++;
        }
    assert_int_equal(peer_open_anew(1), messages);
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
        int fd = peer_connect(DELIVER_FD);
        peer_begin(fd, 1, 1, 0);
        peer_data(fd, 1, body, sizeof(body));
        peer_commit(fd, 1, sizes[i].octets);
        assert_int_equal(peer_hear(fd, NULL, 0), sizes[i].taken ? STORE_DELIVERED : 0);
        close(fd);
    }
}

static void usage(uint64_t mailbox, struct store_usage_is *usage_r)
{
    int fd = peer_connect(CONTROL_FD);
    struct store_mailbox_id id = {mailbox};

    peer_tell(fd, STORE_USAGE, 1, &id, sizeof(id));
    assert_int_equal(peer_hear(fd, usage_r, sizeof(*usage_r)), STORE_USAGE_IS);
    close(fd);
}

static size_t hear_crossings(int fd, struct store_crossing found_r[STORE_CROSSINGS_MAX])
{
    struct store_crossing none = {0};
    size_t count = 0;

    memset(found_r, 0, STORE_CROSSINGS_MAX * sizeof(*found_r));
    assert_int_equal(peer_hear(fd, found_r, STORE_CROSSINGS_MAX * sizeof(*found_r)),
                     STORE_CROSSINGS_ARE);
    while (count < STORE_CROSSINGS_MAX && memcmp(&found_r[count], &none, sizeof(none)) != 0)
        count++;
    return count;
}

static int ask_crossings(void)
{
    int fd = peer_connect(CONTROL_FD);

    peer_tell(fd, STORE_CROSSINGS, 1, NULL, 0);
    service_run(10);
    return fd;
}

/* Each once, in their order; of too many the oldest are forgotten. */
static void mailboxes_that_cross_a_line_are_told(void **state)
{
    struct store_crossing found[STORE_CROSSINGS_MAX];
    struct store_crossing crossing = {.percent = 80};
    size_t told = 0;
    (void)state;

    for (unsigned i = 1; i <= CROSSINGS_MAX + 7; i++) {
        crossing.mailbox = i;
        crossings_add(&store.crossings, &crossing);
    }
    while (told < CROSSINGS_MAX) {
        int fd = ask_crossings();
        size_t count = hear_crossings(fd, found);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(found[i].mailbox, 7 + ++told);
        close(fd);
    }
    assert_int_equal(store.crossings.count, 0);
}

/* Who asked last, if he is still there; the one before him is told of none. */
static void who_waits_for_a_crossing_is_told(void **state)
{
    struct store_crossing found[STORE_CROSSINGS_MAX];
    struct store_crossing crossing = {.percent = 80};
    (void)state;

    int first = ask_crossings();
    int second = ask_crossings();
    assert_int_equal(hear_crossings(first, found), 0);
    crossing.mailbox = 1;
    crossings_add(&store.crossings, &crossing);
    assert_int_equal(hear_crossings(second, found), 1);
    assert_int_equal(found[0].mailbox, 1);

    peer_tell(first, STORE_CROSSINGS, 1, NULL, 0);
    service_run(10);
    close(first);
    service_run(10);
    crossing.mailbox = 2;
    crossings_add(&store.crossings, &crossing);
    peer_tell(second, STORE_CROSSINGS, 1, NULL, 0);
    assert_int_equal(hear_crossings(second, found), 1);
    assert_int_equal(found[0].mailbox, 2);
    close(second);
}

/* Who gave up a store that hung has told its client to come again. */
static void a_delivery_whose_sender_has_hung_up_is_left_out(void **state)
{
    struct store_usage_is usage_is;
    int fd = peer_connect(DELIVER_FD);
    (void)state;

    peer_begin(fd, 1, 1, 0);
    peer_data(fd, 1, BODY, strlen(BODY));
    peer_commit(fd, 1, strlen(BODY));
    close(fd);
    service_run(100);
    usage(1, &usage_is);
    assert_int_equal(usage_is.messages, 0);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    usage(1, &usage_is);
    assert_int_equal(usage_is.messages, 1);
}

static void usage_is_exact_when_mail_comes_and_goes_in_one_group(void **state)
{
    int front = peer_connect(FRONT_FD), sender = peer_connect(DELIVER_FD);
    size_t length = strlen(BODY);
    struct store_usage_is now;
    uint32_t first = 0;
    (void)state;

    assert_int_equal(peer_deliver(1, BODY, length, 0), STORE_OK);
    peer_ask_open(front, 1, 1);
    assert_int_equal(peer_opened(front), 1);
    peer_tell(front, STORE_EXPUNGE, 1, &first, sizeof(first));
    peer_begin(sender, 1, 1, 0);
    peer_data(sender, 1, BODY, length);
    peer_commit(sender, 1, length);
    assert_int_equal(peer_hear(front, NULL, 0), STORE_EXPUNGED);
    assert_int_equal(peer_delivered(sender), STORE_OK);
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
    int fd = peer_connect(DELIVER_FD);
    (void)state;

    for (uint32_t i = 0; i < 11; i++) {
        peer_tell(fd, STORE_DELIVER_BEGIN, i, &message, sizeof(message));
        peer_data(fd, i, BODY, strlen(BODY));
        peer_commit(fd, i, strlen(BODY));
    }
    for (uint32_t i = 0, full = 0; i < 11; i++) {
        struct store_delivered result;
        assert_int_equal(peer_hear(fd, &result, sizeof(result)), STORE_DELIVERED);
        if (result.result == STORE_OVER_QUOTA) {
            assert_int_equal(full++ + result.crossed, 0);
            continue;
        }
        assert_int_equal(result.result, STORE_OK);
        assert_int_equal(result.crossed, expected[i - full]);
        assert_int_equal(result.usage.messages, i - full + 1);
        assert_int_equal(result.usage.octets, result.usage.messages * strlen(BODY));
    }
    close(fd);
}

/* Whatever had been put ready to be told of it. */
static void a_delivery_that_fails_crosses_no_line(void **state)
{
    static const struct store_usage_is nothing;
    struct {
        struct store_deliver_begin begin;
        struct store_recipient recipient;
    } message = {{.count = 1}, {1, strlen(BODY), 1, UINT64_MAX}};
    int fd = peer_connect(DELIVER_FD);
    (void)state;

    assert_int_equal(peer_deliver(2, BODY, strlen(BODY), 0), STORE_OK); /* makes the segment */
    for (uint32_t id = 1; id <= 2; id++) {
        struct store_delivered result;
        bool fails = id == 1;
        atomic_store(&sync_fails, fails);
        peer_tell(fd, STORE_DELIVER_BEGIN, id, &message, sizeof(message));
        peer_data(fd, id, BODY, strlen(BODY));
        peer_commit(fd, id, strlen(BODY));
        assert_int_equal(peer_hear(fd, &result, sizeof(result)), STORE_DELIVERED);
        assert_int_equal(result.result, fails ? STORE_BROKEN : STORE_OK);
        assert_int_equal(result.crossed, fails ? 0 : 95);
        assert_int_equal(memcmp(&result.usage, &nothing, sizeof(nothing)) == 0, fails);
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
    int fd = peer_connect(DELIVER_FD);

    for (uint32_t i = 0; i < count; i++) {
        peer_begin(fd, i, mailbox, 0);
        peer_data(fd, i, BODY, strlen(BODY));
        peer_commit(fd, i, strlen(BODY));
        if (i % 100 == 99)
            service_run(1);
    }
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(peer_delivered(fd), STORE_OK);
    close(fd);
}

static void ask_expire(int fd, uint64_t mailbox, uint64_t before, uint64_t after)
{
    struct store_expire request = {mailbox, before, after};

    peer_tell(fd, STORE_EXPIRE, 1, &request, sizeof(request));
}

/* STORE_OK, or why it was refused. */
static enum store_result expired(int fd, struct store_expired *expired_r)
{
    uint8_t payload[sizeof(*expired_r)] = {0};
    enum store_type type = peer_hear(fd, payload, sizeof(payload));

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
    int fd = peer_connect(CONTROL_FD);
    struct store_expired answer;
    (void)state;

    deliver_many(1, 3);
    deliver_many(2, 3);
    uint64_t before = microseconds();
    service_run(1);
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
    assert_int_equal(peer_open_anew(1), 2);
    assert_int_equal(peer_open_anew(2), 3);
    close(fd);
}

static void an_open_session_keeps_what_it_sees(void **state)
{
    int fd = peer_connect(CONTROL_FD), front = peer_connect(FRONT_FD);
    struct store_read request = {.message = 1, .room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    struct store_expired answer;
    (void)state;

    deliver_many(1, 2);
    peer_ask_open(front, 1, 1);
    assert_int_equal(peer_opened(front), 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    assert_int_equal(expired(fd, &answer), STORE_IN_USE);
    peer_tell(front, STORE_READ, 1, &request, sizeof(request));
    assert_int_equal(peer_hear(front, NULL, 0), STORE_DATA);
    assert_usage(1, 2);
    /* Where nothing is too old, nobody needs the lock. */
    ask_expire(fd, 1, 1, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    peer_tell(front, STORE_CLOSE, 1, NULL, 0);
    ask_expire(fd, 1, UINT64_MAX, 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 2);
    close(front);
    close(fd);
}

static void who_opens_meanwhile_waits_and_sees_the_rest(void **state)
{
    int fd = peer_connect(CONTROL_FD), front = peer_connect(FRONT_FD);
    struct store_expired answer;
    (void)state;

    deliver_many(1, 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    while (commits_waiting(store.commits) == 0)
        event_base_loop(child.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    peer_ask_open(front, 1, 1);
    assert_int_equal(peer_opened(front), 0);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 2);
    close(front);
    close(fd);
}

static void a_large_mailbox_goes_in_batches(void **state)
{
    static const uint32_t counts[] = {256, 256, 88};
    int fd = peer_connect(CONTROL_FD);
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
        assert_int_equal(peer_open_anew(1), left);
    }
    /* The uids are not given out again. */
    deliver_many(1, 1);
    ask_expire(fd, 1, UINT64_MAX, 600);
    assert_int_equal(expired(fd, &answer), STORE_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.next, 601);
    close(fd);
}

/* Others get their turn between the parts of a large mailbox; nobody sees a part of it. */
static void a_large_mailbox_is_dropped_in_parts(void **state)
{
    const struct store_mailbox_id id = {1};
    int fd = peer_connect(CONTROL_FD), other = peer_connect(DELIVER_FD);
    struct index_totals totals;
    uint8_t result;
    (void)state;

    deliver_many(1, 5000);
    peer_tell(fd, STORE_DROP, 1, &id, sizeof(id));
    while (commits_waiting(store.commits) == 0)
        event_base_loop(child.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    peer_begin(other, 1, 2, 0);
    peer_data(other, 1, BODY, strlen(BODY));
    peer_commit(other, 1, strlen(BODY));
    /* One turn at a time: the loop would go on to the end while the disk keeps up with it. */
    while (!peer_has_answer(other))
        event_base_loop(child.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
    assert_false(peer_has_answer(fd));
    assert_int_equal(peer_delivered(other), STORE_OK);
    assert_int_equal(peer_open_anew(1), -1);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_NO_MAILBOX);
    assert_int_equal(peer_hear(fd, &result, sizeof(result)), STORE_DROPPED);
    assert_usage(1, 0);
    assert_usage(2, 1);
    assert_int_equal(index_get_totals(store.index, true, &totals), 0);
    assert_int_equal(totals.wrong_usage, 0);
    assert_int_equal(totals.messages, 1);
    close(other);
    close(fd);
}

static void many_young_messages_are_looked_at_in_parts(void **state)
{
    int fd = peer_connect(CONTROL_FD);
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
    int fd = peer_connect(CONTROL_FD);
    struct store_usage_is now;
    uint64_t deadline = service_clock() + 10000;
    (void)state;

    deliver_many(1, 2);
    ask_expire(fd, 1, UINT64_MAX, 0);
    close(fd);
    do {
        service_run(10);
        usage(1, &now);
    } while (now.messages > 0 && service_clock() < deadline);
    assert_usage(1, 0);
    assert_int_equal(peer_open_anew(1), 0);
}

static void a_long_check_leaves_the_loop_its_turns(void **state)
{
    struct store_read request = {.room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    size_t length = 4 << 20;
    char *body = xcalloc(1, length);
    int fd = peer_connect(FRONT_FD);
    (void)state;

    assert_int_equal(peer_deliver(1, body, length, length), STORE_OK);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 1);
    peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
    for (int turn = 0; turn < 4; turn++) {
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        assert_false(peer_has_answer(fd));
    }
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_DATA);
    close(fd);
    free(body);
}

static void a_session_may_end_in_the_middle_of_a_check(void **state)
{
    struct store_read request = {.room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    size_t length = 4 << 20;
    char *body = xcalloc(1, length);
    (void)state;

    assert_int_equal(peer_deliver(1, body, length, length), STORE_OK);
    for (int by_close = 0; by_close < 2; by_close++) {
        int fd = peer_connect(FRONT_FD);
        peer_ask_open(fd, 1, 1);
        assert_int_equal(peer_opened(fd), 1);
        for (int i = 0; i < 16; i++)
            peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (by_close)
            peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
        else
            close(fd);
        service_run(20);
        assert_int_equal(peer_open_anew(1), 1);
        if (by_close)
            close(fd);
    }
    free(body);
}

/* Reads all messages of mailbox 1 from their beginning; how many could be read. */
static int read_all(int messages)
{
    int fd = peer_connect(FRONT_FD), good = 0;

    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), messages);
    for (int i = 0; i < messages; i++) {
        struct store_read request = {
            .message = (uint32_t)i, .room = STORE_READ_MAX, .place = STORE_NO_PLACE};
        peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
        good += peer_hear(fd, NULL, 0) == STORE_DATA;
    }
    close(fd);
    service_run(0);
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
        assert_int_equal(peer_deliver(1, body, length, length), STORE_OK);
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
    peer_tell(fd, STORE_IMPORT, id, &import, sizeof(import));
    enum store_type type = peer_hear(fd, &answer, sizeof(answer));
    if (type == STORE_DELIVERED)
        assert_int_equal(answer.result, STORE_EXISTS);
    return type;
}

static void finish_import(int fd, uint32_t id, uint64_t time)
{
    struct store_deliver_commit end = {.octets = strlen(BODY), .time = time};

    peer_data(fd, id, BODY, strlen(BODY));
    peer_tell(fd, STORE_DELIVER_COMMIT, id, &end, sizeof(end));
}

static void import(uint64_t mailbox, const char *unique_id, uint64_t time)
{
    int fd = peer_connect(CONTROL_FD);

    assert_int_equal(ask_import(fd, 1, mailbox, unique_id), STORE_IMPORTING);
    finish_import(fd, 1, time);
    assert_int_equal(peer_delivered(fd), STORE_OK);
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
    int fd = peer_connect(CONTROL_FD);
    (void)state;

    import(1, "twice", 1);
    assert_int_equal(ask_import(fd, 1, 1, "twice"), STORE_DELIVERED);
    assert_int_equal(ask_import(fd, 1, 1, "twic"), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 2, "twice"), STORE_IMPORTING);
    close(fd);
    service_run(0);
}

static void an_import_on_its_way_to_the_disk_counts(void **state)
{
    int fd = peer_connect(CONTROL_FD);
    enum store_result first, second;
    (void)state;

    assert_int_equal(ask_import(fd, 1, 1, "raced"), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 1, "raced"), STORE_IMPORTING);
    finish_import(fd, 1, 1);
    finish_import(fd, 2, 1);
    first = peer_delivered(fd);
    second = peer_delivered(fd);
    assert_true((first == STORE_OK && second == STORE_EXISTS) ||
                (first == STORE_EXISTS && second == STORE_OK));
    close(fd);
    service_run(0);
    assert_int_equal(peer_open_anew(1), 1);
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

    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(index_each_message(store.index, &first_message, note_time, &time), 1);
    snprintf(own, sizeof(own), "1.%" PRIx64, time);
    snprintf(other, sizeof(other), "01.%" PRIx64, time);
    int fd = peer_connect(CONTROL_FD);
    assert_int_equal(ask_import(fd, 1, 1, own), STORE_DELIVERED);
    assert_int_equal(ask_import(fd, 1, 1, other), STORE_IMPORTING);
    assert_int_equal(ask_import(fd, 2, 2, own), STORE_IMPORTING);
    close(fd);
    service_run(0);
}

static const char *const bad_unique_ids[] = {"a b", "\x7f", "\xc3\xa9", "a\tb"};

static void what_is_no_unique_id_ends_the_connection(void **state)
{
    struct store_import good = {.recipient = {1, UINT64_MAX, UINT64_MAX, UINT64_MAX}}, bad;
    (void)state;

    for (size_t i = 0; i < sizeof(bad_unique_ids) / sizeof(bad_unique_ids[0]) + 2; i++) {
        int fd = peer_connect(CONTROL_FD);
        bad = good;
        if (i < sizeof(bad_unique_ids) / sizeof(bad_unique_ids[0]))
            memcpy(bad.unique_id, bad_unique_ids[i], strlen(bad_unique_ids[i]));
        else if (i % 2 == 0)
            memset(bad.unique_id, 'a', STORE_UNIQUE_ID_MAX + 1);
        else
            bad.unique_id[1] = 'a';
        peer_tell(fd, STORE_IMPORT, 1, &bad, sizeof(bad));
        assert_int_equal(peer_hear(fd, NULL, 0), 0);
        close(fd);
    }
    int fd = peer_connect(DELIVER_FD);
    peer_tell(fd, STORE_IMPORT, 1, &good, sizeof(good));
    assert_int_equal(peer_hear(fd, NULL, 0), 0);
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
static unsigned hear_entries(int fd, struct store_totals *totals_r, bool *over_r)
{
    unsigned pieces = 0;

    while (!*over_r && peer_has_answer(fd)) {
        enum store_type type = peer_hear(fd, totals_r, sizeof(*totals_r));
        pieces += type == STORE_ENTRIES;
        *over_r = type == STORE_OPENED;
    }
    return pieces;
}

static void expect_totals(int fd, enum store_type type, uint32_t messages, uint64_t octets)
{
    struct store_totals totals;
    enum store_type told;

    do
        told = peer_hear(fd, &totals, sizeof(totals));
    while (told == STORE_ENTRIES);
    assert_int_equal(told, type);
    assert_int_equal(totals.messages, messages);
    assert_int_equal(totals.octets, octets);
}

static void a_large_mailbox_is_announced(void **state)
{
    enum { MESSAGES = 40000 };
    const uint64_t octets = (uint64_t)MESSAGES * (MESSAGES + 1) / 2;
    int fd = peer_connect(FRONT_FD);
    (void)state;

    list_messages(1, MESSAGES);
    list_messages(2, 10);
    peer_ask_open(fd, 1, 1);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_true(peer_has_answer(fd));
    expect_totals(fd, STORE_OPENING, MESSAGES, octets);
    expect_totals(fd, STORE_OPENED, MESSAGES, octets);
    peer_ask_open(fd, 2, 2);
    expect_totals(fd, STORE_OPENED, 10, 55);
    close(fd);
}

/* A uid that was given out before the opening, and whose message is durable in its middle. */
static void what_was_announced_stays_true(void **state)
{
    enum { MESSAGES = 40000 };
    const uint64_t octets = (uint64_t)MESSAGES * (MESSAGES + 1) / 2;
    int fd = peer_connect(FRONT_FD);
    (void)state;

    list_messages(1, MESSAGES);
    struct mailbox *mailbox = mailbox_get(store.mailboxes, 1);
    mailbox->uid_next++;
    peer_ask_open(fd, 1, 1);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    list_messages(1, MESSAGES + 1);
    expect_totals(fd, STORE_OPENING, MESSAGES, octets);
    expect_totals(fd, STORE_OPENED, MESSAGES, octets);
    mailbox_put(store.mailboxes, mailbox);
    close(fd);
}

static void count_one_more(uint64_t mailbox)
{
    char sql[128];
    sqlite3 *db;

    snprintf(sql, sizeof(sql),
             "UPDATE mailbox SET messages = messages + 1 WHERE mailbox = %" PRIu64, mailbox);
    assert_int_equal(sqlite3_open(INDEX_PATH, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* The front ends that session. For the next one nothing is announced: the mail can still be had. */
static void a_mailbox_that_is_counted_wrongly_is_told_whole(void **state)
{
    enum { MESSAGES = 10000 };
    const uint64_t octets = (uint64_t)MESSAGES * (MESSAGES + 1) / 2;
    int fd = peer_connect(FRONT_FD);
    (void)state;

    list_messages(1, MESSAGES);
    count_one_more(1);
    peer_ask_open(fd, 1, 1);
    expect_totals(fd, STORE_OPENING, MESSAGES + 1, octets);
    expect_totals(fd, STORE_OPENED, MESSAGES, octets);
    peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
    peer_ask_open(fd, 2, 1);
    expect_totals(fd, STORE_OPENED, MESSAGES, octets);
    close(fd);
}

static void a_mailbox_is_not_dropped_in_the_middle_of_its_opening(void **state)
{
    enum { MESSAGES = 40000 };
    const uint64_t octets = (uint64_t)MESSAGES * (MESSAGES + 1) / 2;
    int fd = peer_connect(FRONT_FD), control = peer_connect(CONTROL_FD);
    struct store_mailbox_id id = {1};
    uint8_t result;
    (void)state;

    list_messages(1, MESSAGES);
    peer_ask_open(fd, 1, 1);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    peer_tell(control, STORE_DROP, 1, &id, sizeof(id));
    assert_int_equal(peer_hear(control, &result, 1), STORE_FAILED);
    assert_int_equal(result, STORE_IN_USE);
    expect_totals(fd, STORE_OPENING, MESSAGES, octets);
    expect_totals(fd, STORE_OPENED, MESSAGES, octets);
    close(fd);
    close(control);
}

static void a_large_mailbox_is_opened_in_many_turns(void **state)
{
    enum { MESSAGES = 40000 };
    struct store_totals totals = {0};
    unsigned pieces = 0, turns = 0;
    bool over = false;
    (void)state;

    list_messages(1, MESSAGES);
    int fd = peer_connect(FRONT_FD);
    peer_ask_open(fd, 1, 1);
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
    struct store_totals totals;
    bool over[2] = {false, false};
    unsigned pieces[2] = {0, 0};
    int fds[2];
    (void)state;

    for (unsigned i = 0; i < 2; i++) {
        list_messages(1 + i, MESSAGES);
        fds[i] = peer_connect(FRONT_FD);
        peer_ask_open(fds[i], 1, 1 + i);
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
    int fd = peer_connect(FRONT_FD);
    struct mallinfo2 before = mallinfo2();
    peer_ask_open(fd, 1, 1);
    service_run(50);
    struct mallinfo2 after = mallinfo2();
    assert_true(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd + OCTETS);
    assert_int_equal(peer_opened(fd), MESSAGES);
    close(fd);
}

static void a_session_may_end_in_the_middle_of_its_opening(void **state)
{
    enum { MESSAGES = 40000 };
    (void)state;

    list_messages(1, MESSAGES);
    for (int by_close = 0; by_close < 2; by_close++) {
        int fd = peer_connect(FRONT_FD);
        peer_ask_open(fd, 1, 1);
        for (int turn = 0; turn < 4; turn++)
            event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
        if (by_close)
            peer_tell(fd, STORE_CLOSE, 1, NULL, 0);
        else
            close(fd);
        service_run(20);
        assert_int_equal(peer_open_anew(1), MESSAGES);
        if (by_close)
            close(fd);
    }
}

static void mail_that_comes_during_an_opening_is_for_the_next_session(void **state)
{
    enum { MESSAGES = 40000 };
    (void)state;

    list_messages(1, MESSAGES);
    int fd = peer_connect(FRONT_FD);
    peer_ask_open(fd, 1, 1);
    for (int turn = 0; turn < 2; turn++)
        event_base_loop(child.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(peer_opened(fd), MESSAGES);
    close(fd);
    service_run(0);
    assert_int_equal(peer_open_anew(1), MESSAGES + 1);
}

/* What the index has not committed yet counts as well, though it is read in another way. */
static void mail_that_came_a_moment_ago_is_in_a_large_mailbox(void **state)
{
    enum { MESSAGES = 10000 };
    (void)state;

    list_messages(1, MESSAGES);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(peer_open_anew(1), MESSAGES + 1);
}

static void nothing_is_asked_of_a_mailbox_that_is_being_opened(void **state)
{
    static const enum store_type types[] = {STORE_READ, STORE_EXPUNGE};
    struct store_read request = {.room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    (void)state;

    list_messages(1, 40000);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int fd = peer_connect(FRONT_FD);
        enum store_type type;
        peer_ask_open(fd, 1, 1);
        peer_tell(fd, types[i], 1, &request,
                  types[i] == STORE_READ ? sizeof(request) : sizeof(uint32_t));
        while ((type = peer_hear(fd, NULL, 0)) != 0)
            assert_int_not_equal(type, STORE_OPENED);
        close(fd);
        service_run(0);
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
    peer_ask_open(peer_connect(FRONT_FD), 1, 1);
    service_run(1000);
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
    int fd = peer_connect(FRONT_FD);
    (void)state;

    import(1, "UID1-1234", 1000000);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    import(1, "~", 3000000);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_ENTRIES);
    assert_int_equal(peer_hear(fd, &told, sizeof(told)), STORE_UNIQUE_IDS);
    assert_int_equal(told.first.message, 0);
    assert_int_equal(told.first.length, 9);
    assert_memory_equal(told.text, "UID1-1234", 9);
    memcpy(&second, told.second, sizeof(second));
    assert_int_equal(second.message, 2);
    assert_int_equal(second.length, 1);
    assert_int_equal(told.other[0], '~');
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_OPENED);
    close(fd);
}

static void read_numbered(int fd, uint32_t message)
{
    struct store_read request = {
        .message = message, .room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    struct {
        struct store_data data;
        char body[16];
    } answer = {0};
    char expected[16];

    snprintf(expected, sizeof(expected), "%u\r\n", message);
    peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
    assert_int_equal(peer_hear(fd, &answer, sizeof(answer)), STORE_DATA);
    assert_string_equal(answer.body, expected);
}

static void messages_are_found_in_any_order(void **state)
{
    enum { MESSAGES = 300 };
    char body[16];
    int sender = peer_connect(DELIVER_FD);
    (void)state;

    for (uint32_t i = 0; i < MESSAGES; i++) {
        snprintf(body, sizeof(body), "%u\r\n", i);
        peer_begin(sender, i, 1, 0);
        peer_data(sender, i, body, strlen(body));
        peer_commit(sender, i, strlen(body));
    }
    for (uint32_t i = 0; i < MESSAGES; i++)
        assert_int_equal(peer_delivered(sender), STORE_OK);
    int fd = peer_connect(FRONT_FD);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), MESSAGES);
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
    struct store_read request = {.room = STORE_READ_MAX, .place = STORE_NO_PLACE};
    uint8_t result = 0;
    char sql[96];
    sqlite3 *db;
    (void)state;

    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
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
        int fd = peer_connect(FRONT_FD);
        peer_ask_open(fd, 1, 1);
        assert_int_equal(peer_opened(fd), 1);
        peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
        assert_int_equal(peer_hear(fd, &result, sizeof(result)), STORE_FAILED);
        assert_int_equal(result, STORE_DAMAGED);
        close(fd);
        service_run(0);
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
    int fd = peer_connect(FRONT_FD);
    static const uint32_t messages[] = {1, 0};
    struct expunged expunged = {0};
    struct index_place places[2];
    (void)state;

    assert_int_equal(peer_deliver(1, body, length, length), STORE_OK);
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(index_find_place(store.index, 1, 1 + i, &places[i]), 1);
    assert_true(places[0].segment != places[1].segment);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 2);
    peer_tell(fd, STORE_EXPUNGE, 1, messages, sizeof(messages));
    assert_int_equal(peer_hear(fd, NULL, 0), STORE_EXPUNGED);
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

/* --- memory shared with a front */

/* Runs the loop until the memory has come; what peer_hear() reads would throw the descriptor away.
 */
static int front_memory(int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char octets[64];
    struct iovec piece = {octets, sizeof(octets)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int memory;

    peer_tell(fd, STORE_MEMORY, 7, NULL, 0);
    while (!peer_has_answer(fd))
        event_base_loop(child.base, EVLOOP_NONBLOCK);
    assert_int_equal(recvmsg(fd, &message, 0), 12);
    assert_int_equal(octets[5], STORE_MEMORY_IS);
    assert_int_equal(octets[8], 7);
    assert_int_equal(message.msg_controllen, CMSG_SPACE(sizeof(int)));
    memcpy(&memory, CMSG_DATA(&control.header), sizeof(memory));
    return memory;
}

static const uint8_t *map_memory(int memory)
{
    const uint8_t *bodies = mmap(NULL, STORE_MEMORY_SIZE, PROT_READ, MAP_SHARED, memory, 0);

    assert_true(bodies != MAP_FAILED);
    return bodies;
}

/* Two messages to the lowest and the highest place, and a piece of the second between. */
static void a_front_reads_out_of_its_memory(void **state)
{
    static const struct store_read requests[] = {
        {.message = 0, .room = 4096, .place = 0},
        {.message = 1, .room = 4096, .place = STORE_MEMORY_SIZE - 4096},
        {.message = 1, .room = 2, .offset = 3, .place = 4097},
    };
    static const char *const bodies[] = {BODY, "A: second\r\n\r\n"};
    static const char *const expected[] = {BODY, "A: second\r\n\r\n", "se"};
    int fd = peer_connect(FRONT_FD);
    struct store_placed placed;
    (void)state;

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(peer_deliver(1, bodies[i], strlen(bodies[i]), 0), STORE_OK);
    int memory = front_memory(fd);
    const uint8_t *octets = map_memory(memory);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 2);
    for (size_t i = 0; i < 3; i++)
        peer_tell(fd, STORE_READ, 1, &requests[i], sizeof(requests[i]));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(peer_hear(fd, &placed, sizeof(placed)), STORE_PLACED);
        assert_int_equal(placed.octets, strlen(expected[i]));
        assert_int_equal(placed.data.length, strlen(bodies[requests[i].message]));
    }
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(octets + requests[i].place, expected[i], strlen(expected[i]));
    close(memory);
    close(fd);
    service_run(0);
    /* It is still there for who has it mapped. */
    assert_memory_equal(octets, BODY, strlen(BODY));
    munmap((void *)(uintptr_t)octets, STORE_MEMORY_SIZE);
}

static void a_front_cannot_change_its_memory(void **state)
{
    int fd = peer_connect(FRONT_FD);
    (void)state;

    int memory = front_memory(fd);
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED);
    assert_int_equal(pwrite(memory, "x", 1, 0), -1);
    assert_int_equal(ftruncate(memory, 4096), -1);
    assert_int_equal(ftruncate(memory, 2 * STORE_MEMORY_SIZE), -1);
    assert_int_equal(fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    assert_int_equal(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), -1);
    uint8_t *octets = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, 0);
    assert_true(octets != MAP_FAILED);
    assert_int_equal(mprotect(octets, 4096, PROT_READ | PROT_WRITE), -1);
    munmap(octets, 4096);
    close(memory);
    close(fd);
}

/* What one front reads, no other sees. */
static void each_front_has_memory_of_its_own(void **state)
{
    static const struct store_read request = {.room = 4096};
    int one = peer_connect(FRONT_FD), other = peer_connect(FRONT_FD);
    static const uint8_t zeros[4096];
    (void)state;

    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    int memory = front_memory(one), others = front_memory(other);
    peer_ask_open(one, 1, 1);
    assert_int_equal(peer_opened(one), 1);
    peer_tell(one, STORE_READ, 1, &request, sizeof(request));
    assert_int_equal(peer_hear(one, NULL, 0), STORE_PLACED);
    const uint8_t *octets = map_memory(others);
    assert_memory_equal(octets, zeros, sizeof(zeros));
    munmap((void *)(uintptr_t)octets, STORE_MEMORY_SIZE);
    close(memory);
    close(others);
    close(one);
    close(other);
}

static const struct {
    const char *what;
    bool memory; /* it has some */
    struct store_read request;
} wrong_reads[] = {
    {"a place without memory", false, {.room = 4096}},
    {"the end of the room is behind the memory", true, {.room = 4096, .place = (4 << 20) - 4095}},
    {"the place is behind the memory", true, {.room = 1, .place = 4 << 20}},
    {"place and room overflow", true, {.room = 4096, .place = UINT32_MAX - 1}},
    {"no room", true, {.place = 0}},
    {"a large room", true, {.room = STORE_READ_MAX + 1}},
    {"neither ahead nor not", true, {.room = 1, .ahead = 2}},
};

static void a_wrong_place_ends_the_connection(void **state)
{
    (void)state;

    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    for (size_t i = 0; i < sizeof(wrong_reads) / sizeof(wrong_reads[0]); i++) {
        int fd = peer_connect(FRONT_FD);
        if (wrong_reads[i].memory)
            close(front_memory(fd));
        peer_ask_open(fd, 1, 1);
        assert_int_equal(peer_opened(fd), 1);
        peer_tell(fd, STORE_READ, 1, &wrong_reads[i].request, sizeof(wrong_reads[i].request));
        if (peer_hear(fd, NULL, 0) != 0)
            fail_msg("taken: %s", wrong_reads[i].what);
        close(fd);
        service_run(0);
    }
    int fd = peer_connect(FRONT_FD);
    close(front_memory(fd));
    peer_tell(fd, STORE_MEMORY, 8, NULL, 0);
    assert_int_equal(peer_hear(fd, NULL, 0), 0);
    close(fd);
    assert_int_equal(peer_open_anew(1), 1);
}

/* Nobody has asked for it yet: it is told, and counted, when somebody does. */
static void damage_found_ahead_is_not_told(void **state)
{
    struct store_read request = {.room = 4096, .place = STORE_NO_PLACE, .ahead = 1};
    int fd = peer_connect(FRONT_FD);
    struct index_place place;
    uint8_t result = 0;
    (void)state;

    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(index_find_place(store.index, 1, 1, &place), 1);
    const struct segment *segment = segments_get(store.segments, place.segment);
    off_t body = (off_t)(place.offset + sizeof(struct record_header) + sizeof(struct record_ref) +
                         sizeof(int64_t));
    assert_int_equal(pwrite(segment->fd, "X", 1, body), 1);
    peer_ask_open(fd, 1, 1);
    assert_int_equal(peer_opened(fd), 1);
    for (request.ahead = 1; request.ahead < 2; request.ahead--) {
        int64_t before = metric_sum(METRIC_STORE_DAMAGED);
        peer_tell(fd, STORE_READ, 1, &request, sizeof(request));
        assert_int_equal(peer_hear(fd, &result, sizeof(result)), STORE_FAILED);
        assert_int_equal(result, STORE_DAMAGED);
        assert_int_equal(metric_sum(METRIC_STORE_DAMAGED) - before, 1 - request.ahead);
    }
    close(fd);
}

/* --- what a peer may not say --------------------------------------------------------------------
 */

enum { DELIVER = 1, FRONT = 2, CONTROL = 4 };

/* Each request with the sockets that it may come through and its least and most octets. */
static const struct {
    enum store_type type;
    unsigned sockets;
    size_t least, most;
} rules[] = {
    {STORE_USAGE, DELIVER | CONTROL, 8, 8},
    {STORE_DELIVER_BEGIN, DELIVER, 48, 16 + 1000 * 32},
    {STORE_OPEN, FRONT, sizeof(struct store_open), sizeof(struct store_open)},
    {STORE_MEMORY, FRONT, 0, 0},
    {STORE_READ, FRONT, 24, 24},
    {STORE_EXPUNGE, FRONT, 4, 2048 * 4},
    {STORE_CLOSE, FRONT, 0, 0},
    {STORE_HELLO, DELIVER | FRONT | CONTROL, 0, 0},
    {STORE_PING, CONTROL, 0, 0},
    {STORE_CROSSINGS, CONTROL, 0, 0},
    {STORE_DROP, CONTROL, 8, 8},
    {STORE_EXPIRE, CONTROL, 24, 24},
    {STORE_HOLD, CONTROL, 0, 0},
    {STORE_SESSIONS, CONTROL, 8, 4096 * 8},
    {STORE_LOGOUT, CONTROL, 16, 4096 * 16},
    {STORE_IMPORT, CONTROL, 112, 112},
    {STORE_DELIVER_DATA, DELIVER | CONTROL, 1, CHANNEL_PAYLOAD_MAX},
    {STORE_DELIVER_COMMIT, DELIVER | CONTROL, 40, 40},
    {STORE_DELIVER_ABORT, DELIVER | CONTROL, 0, 0},
};

/* A delivery or a session with this id is there, so that only what is told next can be wrong. */
static int connect_and_begin(int listener, uint32_t id)
{
    struct store_import import = {.recipient = {1, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    int fd = peer_connect(listener);

    if (listener == DELIVER_FD) {
        peer_begin(fd, id, 1, 0);
    } else if (listener == CONTROL_FD) {
        peer_tell(fd, STORE_IMPORT, id, &import, sizeof(import));
        assert_int_equal(peer_hear(fd, NULL, 0), STORE_IMPORTING);
    } else {
        peer_ask_open(fd, id, 1);
        assert_true(peer_opened(fd) >= 0);
    }
    return fd;
}

static void assert_ends(int listener, enum store_type type, size_t length)
{
    static const uint8_t zeros[CHANNEL_PAYLOAD_MAX];
    int fd = connect_and_begin(listener, 1);

    peer_tell(fd, type, 1, zeros, length);
    enum store_type heard = peer_hear(fd, NULL, 0);
    if (heard != 0)
        fail_msg("type %d with %zu octets through socket %d was answered with %d", type, length,
                 listener, heard);
    close(fd);
    service_run(0);
}

static void what_a_peer_may_not_say_ends_the_connection(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (int listener = DELIVER_FD; listener <= CONTROL_FD; listener++) {
            if ((rules[i].sockets & 1U << (listener - DELIVER_FD)) == 0) {
                assert_ends(listener, rules[i].type, rules[i].least);
                continue;
            }
            if (rules[i].least > 0)
                assert_ends(listener, rules[i].type, rules[i].least - 1);
            if (rules[i].most < CHANNEL_PAYLOAD_MAX)
                assert_ends(listener, rules[i].type, rules[i].most + 1);
        }
    assert_int_equal(peer_deliver(1, BODY, strlen(BODY), 0), STORE_OK);
    assert_int_equal(peer_open_anew(1), 1);
}

static void what_no_request_is_ends_the_connection(void **state)
{
    (void)state;

    for (int type = 0; type <= UINT8_MAX; type++) {
        bool is_rule = false;
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
            is_rule |= rules[i].type == (enum store_type)type;
        if (!is_rule)
            for (int listener = DELIVER_FD; listener <= CONTROL_FD; listener++)
                assert_ends(listener, (enum store_type)type, 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_end_of_who_waits_for_a_lock_is_harmless),
        CASE(a_lock_ends_with_the_connection_that_also_waits_for_it),
        CASE(who_finds_the_lock_taken_is_told_for_how_long),
        CASE(only_some_wait_for_a_lock),
        CASE(the_next_login_waits_as_the_plan_wants),
        CASE(who_waits_is_judged_when_the_lock_comes),
        CASE(who_lost_the_front_may_come_back_at_once),
        CASE(an_announced_size_is_only_a_hint),
        CASE(a_size_that_cannot_be_is_no_size),
        CASE(mailboxes_that_cross_a_line_are_told),
        CASE(who_waits_for_a_crossing_is_told),
        CASE(a_delivery_whose_sender_has_hung_up_is_left_out),
        CASE(usage_is_exact_when_mail_comes_and_goes_in_one_group),
        CASE(a_line_is_crossed_once_by_parallel_deliveries),
        CASE(a_delivery_that_fails_crosses_no_line),
        CASE(what_is_too_old_goes_and_nothing_else),
        CASE(an_open_session_keeps_what_it_sees),
        CASE(who_opens_meanwhile_waits_and_sees_the_rest),
        CASE(a_large_mailbox_goes_in_batches),
        CASE(a_large_mailbox_is_dropped_in_parts),
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
        CASE(a_large_mailbox_is_announced),
        CASE(what_was_announced_stays_true),
        CASE(a_mailbox_that_is_counted_wrongly_is_told_whole),
        CASE(a_mailbox_is_not_dropped_in_the_middle_of_its_opening),
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
        CASE(a_front_reads_out_of_its_memory),
        CASE(a_front_cannot_change_its_memory),
        CASE(each_front_has_memory_of_its_own),
        CASE(a_wrong_place_ends_the_connection),
        CASE(damage_found_ahead_is_not_told),
        CASE(what_a_peer_may_not_say_ends_the_connection),
        CASE(what_no_request_is_ends_the_connection),
    };

    service_prepare();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    child_fini(&child);
    return failed;
}
