/* What authd reports: in batches, each thing once, bounded, and again when it was not answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "authd/report.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/metrics.h"

/* The clock on the wall can be set by a test. */
static time_t set_forward;

int clock_gettime(clockid_t clock, struct timespec *now_r)
{
    long result = syscall(SYS_clock_gettime, clock, now_r);

    if (clock == CLOCK_REALTIME)
        now_r->tv_sec += set_forward;
    return (int)result;
}

/* One who writes, at the other end of a connection, and what has come in the last batch. */
struct writer {
    struct channel *near;
    struct channel *far;
    unsigned count;
    bool whole;
    uint32_t batch;
    struct {
        uint8_t type;
        size_t length;
        _Alignas(uint64_t) uint8_t payload[1024];
    } items[AUTH_BATCH_MAX];
};

static struct event_base *base;
static struct report *report;

static int on_message(void *context, const struct channel_message *message)
{
    struct writer *writer = context;

    if (writer->whole)
        writer->count = 0;
    writer->whole = message->type == AUTH_BATCH;
    writer->batch = message->id;
    if (writer->whole)
        return 0;
    assert_true(writer->count < AUTH_BATCH_MAX);
    assert_true(message->length <= sizeof(writer->items[0].payload));
    writer->items[writer->count].type = message->type;
    writer->items[writer->count].length = message->length;
    memcpy(writer->items[writer->count++].payload, message->payload, message->length);
    return 0;
}

static int on_nothing(void *context, const struct channel_message *message)
{
    (void)context;
    (void)message;
    return -1;
}

static void on_closed(void *context)
{
    (void)context;
}

static void connect_writer(struct writer *writer)
{
    static const struct channel_events far = {.message = on_message, .closed = on_closed};
    static const struct channel_events near = {.message = on_nothing, .closed = on_closed};
    int fds[2];

    memset(writer, 0, sizeof(*writer));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    writer->near = channel_new(base, fds[0], &near, writer);
    writer->far = channel_new(base, fds[1], &far, writer);
    report_set_writer(report, writer->near);
}

static void disconnect(struct writer *writer)
{
    report_set_writer(report, NULL);
    channel_free(writer->near);
    channel_free(writer->far);
}

/* Until a batch is whole. */
static void hear(struct writer *writer)
{
    writer->whole = false;
    writer->count = 0;
    while (!writer->whole)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
}

/* Nothing comes that has not been asked for. */
static void hear_nothing(struct writer *writer)
{
    writer->count = 0;
    for (unsigned i = 0; i < 20; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(writer->count, 0);
}

static const struct auth_event *event_of(const struct writer *writer, unsigned number)
{
    assert_true(number < writer->count);
    assert_int_equal(writer->items[number].type, AUTH_EVENT);
    return (const struct auth_event *)(const void *)writer->items[number].payload;
}

static int set_up(void **state)
{
    (void)state;
    set_forward = 0;
    base = event_base_new();
    report = report_new(base);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    report_free(report);
    event_base_free(base);
    return 0;
}

static void log_in(unsigned mailbox)
{
    const struct report_event event = {.kind = DB_EVENT_LOGIN,
                                       .customer = 3,
                                       .mailbox = mailbox,
                                       .address = "anna@ours.example",
                                       .remote = "192.0.2.7",
                                       .protocol = "pop3",
                                       .mechanism = "PLAIN",
                                       .credential = "password"};
    report_event(report, &event);
}

static void tells_what_happened(void **state)
{
    struct writer writer;
    char reason[AUTH_REASON_MAX + 50];
    struct report_event event = {.kind = DB_EVENT_REFUSED, .address = "anna@ours.example"};
    time_t before = time(NULL);
    (void)state;

    connect_writer(&writer);
    log_in(7);
    memset(reason, 'x', sizeof(reason));
    reason[sizeof(reason) - 1] = '\0';
    event.reason = reason;
    report_event(report, &event);
    hear(&writer);
    assert_int_equal(writer.count, 2);
    const struct auth_event *login = event_of(&writer, 0);
    assert_int_equal(login->kind, DB_EVENT_LOGIN);
    assert_int_equal(login->customer, 3);
    assert_int_equal(login->mailbox, 7);
    assert_int_equal(login->count, 1);
    assert_in_range(login->time, before, before + 10);
    assert_int_equal(login->id / 1000000, login->time);
    assert_int_equal(writer.items[0].length, sizeof(*login) + strlen("anna@ours.example192.0.2.7"
                                                                     "pop3PLAINpassword"));
    assert_memory_equal(login + 1, "anna@ours.example192.0.2.7pop3PLAINpassword",
                        writer.items[0].length - sizeof(*login));
    const struct auth_event *refused = event_of(&writer, 1);
    assert_true(refused->id > login->id);
    assert_int_equal(refused->lengths[AUTH_TEXT_REMOTE], 0);
    assert_int_equal(refused->lengths[AUTH_TEXT_REASON], AUTH_REASON_MAX);
    disconnect(&writer);
}

/* The first time is told at once, the others when they are asked for. */
static void counts_what_happens_again(void **state)
{
    struct writer writer;
    (void)state;

    connect_writer(&writer);
    log_in(7);
    hear(&writer);
    uint64_t id = event_of(&writer, 0)->id;
    log_in(7); /* before the answer */
    assert_int_equal(report_written(report, writer.batch), 0);
    log_in(7); /* and after it */
    log_in(8);
    hear(&writer);
    assert_int_equal(writer.count, 1);
    assert_int_equal(event_of(&writer, 0)->mailbox, 8);
    assert_int_equal(report_written(report, writer.batch), 0);
    hear_nothing(&writer);

    uint64_t flushed = report_flush(report);
    assert_false(report_is_written(report, flushed));
    hear(&writer);
    assert_int_equal(writer.count, 1);
    assert_int_equal(event_of(&writer, 0)->id, id);
    assert_int_equal(event_of(&writer, 0)->count, 3);
    assert_false(report_is_written(report, flushed));
    assert_int_equal(report_written(report, writer.batch), 0);
    assert_true(report_is_written(report, flushed));
    assert_true(report_is_written(report, report_flush(report)));
    disconnect(&writer);
}

static void begins_a_new_row_after_its_span(void **state)
{
    struct writer writer;
    (void)state;

    connect_writer(&writer);
    log_in(7);
    hear(&writer);
    uint64_t id = event_of(&writer, 0)->id;
    assert_int_equal(report_written(report, writer.batch), 0);
    set_forward = DB_EVENT_SPAN - 1;
    log_in(7);
    hear_nothing(&writer);
    set_forward = DB_EVENT_SPAN + 1;
    log_in(7);
    (void)report_flush(report);
    hear(&writer);
    assert_int_equal(writer.count, 2);
    assert_int_equal(event_of(&writer, 0)->count + event_of(&writer, 1)->count, 3);
    assert_true((event_of(&writer, 0)->id == id) != (event_of(&writer, 1)->id == id));
    disconnect(&writer);
}

static void sends_one_batch_at_a_time(void **state)
{
    struct writer writer;
    (void)state;

    connect_writer(&writer);
    for (unsigned i = 1; i <= 2 * AUTH_BATCH_MAX + 1; i++)
        log_in(i);
    hear(&writer);
    assert_int_equal(writer.count, AUTH_BATCH_MAX);
    assert_int_equal(report_written(report, writer.batch + 1), -1);
    hear_nothing(&writer);
    assert_int_equal(report_written(report, writer.batch), 0);
    hear(&writer);
    assert_int_equal(writer.count, AUTH_BATCH_MAX);
    assert_int_equal(event_of(&writer, 0)->mailbox, AUTH_BATCH_MAX + 1);
    assert_int_equal(report_written(report, writer.batch), 0);
    assert_int_equal(report_written(report, writer.batch), -1);
    hear(&writer);
    assert_int_equal(writer.count, 1);
    disconnect(&writer);
}

/* Over a new connection, with its latest count, and in its order. */
static void comes_again_when_it_was_not_answered(void **state)
{
    struct writer writer;
    (void)state;

    connect_writer(&writer);
    log_in(7);
    report_upgrade(report, 3, 7, "old", "new");
    hear(&writer);
    assert_int_equal(writer.count, 2);
    uint64_t id = event_of(&writer, 0)->id;
    log_in(8);
    log_in(7);
    disconnect(&writer);
    assert_int_equal(report_written(report, writer.batch), -1);
    connect_writer(&writer);
    hear(&writer);
    assert_int_equal(writer.count, 3);
    assert_int_equal(event_of(&writer, 0)->id, id);
    assert_int_equal(event_of(&writer, 0)->count, 2);
    assert_int_equal(writer.items[1].type, AUTH_UPGRADE);
    assert_int_equal(event_of(&writer, 2)->mailbox, 8);
    disconnect(&writer);
}

static void notes_are_whole(void **state)
{
    struct writer writer;
    const struct auth_upgrade upgrade = {3, 7, "$old$", "$new$"};
    const struct auth_scram scram = {3, 7, "$hash$", "4096,a,b,c"};
    struct auth_used used = {3, 11, 0, "192.0.2.7"};
    (void)state;

    connect_writer(&writer);
    report_upgrade(report, 3, 7, "$old$", "$new$");
    report_scram(report, 3, 7, "$hash$", "4096,a,b,c");
    report_used(report, 3, 11, "192.0.2.7");
    hear(&writer);
    assert_int_equal(writer.count, 3);
    assert_int_equal(writer.items[0].type, AUTH_UPGRADE);
    assert_int_equal(writer.items[0].length, sizeof(upgrade));
    assert_memory_equal(writer.items[0].payload, &upgrade, sizeof(upgrade));
    assert_int_equal(writer.items[1].type, AUTH_SCRAM);
    assert_int_equal(writer.items[1].length, sizeof(scram));
    assert_memory_equal(writer.items[1].payload, &scram, sizeof(scram));
    assert_int_equal(writer.items[2].type, AUTH_USED);
    assert_int_equal(writer.items[2].length, sizeof(used));
    used.time = ((const struct auth_used *)(const void *)writer.items[2].payload)->time;
    assert_in_range(used.time, time(NULL) - 10, time(NULL));
    assert_memory_equal(writer.items[2].payload, &used, sizeof(used));
    disconnect(&writer);
}

/* With nobody to write, the oldest goes. */
static void what_waits_is_bounded(void **state)
{
    struct writer writer;
    int64_t before = metric_sum(METRIC_AUTH_EVENTS_DROPPED);
    (void)state;

    for (unsigned i = 1; i <= REPORT_ITEMS_MAX + 10; i++)
        log_in(i);
    assert_int_equal(metric_sum(METRIC_AUTH_EVENTS_DROPPED) - before, 10);
    connect_writer(&writer);
    hear(&writer);
    assert_int_equal(event_of(&writer, 0)->mailbox, 11);
    disconnect(&writer);
}

/* What has been written makes room first, and none of it is lost. */
static void what_is_written_makes_room(void **state)
{
    struct writer writer;
    int64_t before = metric_sum(METRIC_AUTH_EVENTS_DROPPED);
    (void)state;

    connect_writer(&writer);
    for (unsigned i = 1; i <= REPORT_ITEMS_MAX + AUTH_BATCH_MAX; i++) {
        log_in(i);
        if (i % AUTH_BATCH_MAX == 0) {
            hear(&writer);
            assert_int_equal(event_of(&writer, AUTH_BATCH_MAX - 1)->mailbox, i);
            assert_int_equal(report_written(report, writer.batch), 0);
        }
    }
    assert_int_equal(metric_sum(METRIC_AUTH_EVENTS_DROPPED), before);
    disconnect(&writer);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_what_happened),
        TEST(counts_what_happens_again),
        TEST(begins_a_new_row_after_its_span),
        TEST(sends_one_batch_at_a_time),
        TEST(comes_again_when_it_was_not_answered),
        TEST(notes_are_whole),
        TEST(what_waits_is_bounded),
        TEST(what_is_written_makes_room),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
