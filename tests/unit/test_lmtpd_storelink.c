/* The link to a stored that answers, goes away, or says nothing at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/storelink.h"
#include "tests/unit/scratch.h"

#define SOCKET_PATH "stored.sock"

/* A stored of this file's own: a channel that the link has connected to. */
struct stored {
    struct event_base *base;
    int listener;
    struct channel *channel;
    unsigned asked;
    unsigned lost; /* connections */
    bool answers;
};

struct question {
    struct store_call call;
    struct stored *stored;
    unsigned answers;
    unsigned losses;
};

struct hold {
    struct store_waiter waiter;
    struct stored *stored;
    unsigned ready;
};

static int on_message(void *context, const struct channel_message *message)
{
    struct stored *stored = context;
    struct store_usage_is usage = {.octets = 7};

    const struct store_hello hello = {.version = STORE_VERSION};

    if (message->type == STORE_HELLO)
        channel_send(stored->channel, STORE_HELLO_IS, message->id, &hello, sizeof(hello), NULL, 0);
    if (message->type != STORE_USAGE)
        return 0;
    stored->asked++;
    if (stored->answers)
        channel_send(stored->channel, STORE_USAGE_IS, message->id, &usage, sizeof(usage), NULL, 0);
    return 0;
}

static void on_closed(void *context)
{
    struct stored *stored = context;

    channel_free(stored->channel);
    stored->channel = NULL;
    stored->lost++;
    event_base_loopbreak(stored->base);
}

static const struct channel_events events = {.message = on_message, .closed = on_closed};

static int on_answer(struct store_call *call, const struct channel_message *message)
{
    struct question *question = (struct question *)(void *)call;

    if (message != NULL)
        question->answers++;
    else
        question->losses++;
    event_base_loopbreak(question->stored->base);
    return 0;
}

static void on_ready(struct store_waiter *waiter)
{
    struct hold *hold = (struct hold *)(void *)waiter;

    hold->ready++;
    event_base_loopbreak(hold->stored->base);
}

static void stored_open(struct stored *stored)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};

    *stored = (struct stored){.base = event_base_new(), .answers = true};
    stored->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stored->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(stored->listener, 4), 0);
}

static void stored_accept(struct stored *stored)
{
    int fd = accept4(stored->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert_true(fd >= 0);
    stored->channel = channel_new(stored->base, fd, &events, stored);
}

static void stored_close(struct stored *stored, struct store_link *link)
{
    store_link_free(link);
    channel_free(stored->channel);
    close(stored->listener);
    event_base_free(stored->base);
}

static void ask(struct store_link *link, struct question *question, struct stored *stored)
{
    struct store_mailbox_id id = {.mailbox = 1};

    *question = (struct question){.stored = stored};
    assert_int_equal(store_link_call(link, &question->call, on_answer), 0);
    store_link_ask(link, &question->call, STORE_USAGE, &id, sizeof(id));
}

static void gets_answers(void **state)
{
    static const struct timeval patience = {.tv_sec = 20};
    struct stored stored;
    struct question first, second, forgotten;
    (void)state;

    stored_open(&stored);
    struct store_link *link = store_link_new(stored.base, SOCKET_PATH, &patience);
    stored_accept(&stored);
    ask(link, &first, &stored);
    ask(link, &forgotten, &stored);
    ask(link, &second, &stored);
    store_link_forget(link, &forgotten.call);
    store_link_forget(link, &forgotten.call);
    while (first.answers == 0 || second.answers == 0)
        event_base_dispatch(stored.base);
    assert_int_equal(stored.asked, 3);
    assert_int_equal(first.answers + second.answers, 2);
    assert_int_equal(first.losses + second.losses + forgotten.answers + forgotten.losses, 0);
    stored_close(&stored, link);
}

static void tells_that_stored_is_gone_and_comes_back(void **state)
{
    static const struct timeval patience = {.tv_sec = 20};
    struct stored stored;
    struct question question;
    (void)state;

    stored_open(&stored);
    stored.answers = false;
    struct store_link *link = store_link_new(stored.base, SOCKET_PATH, &patience);
    stored_accept(&stored);
    ask(link, &question, &stored);
    channel_free(stored.channel);
    stored.channel = NULL;
    while (question.losses == 0)
        event_base_dispatch(stored.base);
    /* Whether it connects at once is a question of time here: test_reconnect.c. */
    while (store_link_call(link, &question.call, on_answer) < 0)
        event_base_loop(stored.base, EVLOOP_ONCE);
    store_link_forget(link, &question.call);
    stored.answers = true;
    stored_accept(&stored);
    ask(link, &question, &stored);
    while (question.answers == 0)
        event_base_dispatch(stored.base);
    assert_int_equal(question.losses, 0);
    stored_close(&stored, link);
}

/* The limit runs from the question on, not from the beginning of the call. */
static void gives_up_a_stored_that_does_not_answer(void **state)
{
    static const struct timeval patience = {.tv_usec = 100 * 1000};
    struct stored stored;
    struct question asked, begun = {0}, forgotten;
    (void)state;

    stored_open(&stored);
    stored.answers = false;
    struct store_link *link = store_link_new(stored.base, SOCKET_PATH, &patience);
    stored_accept(&stored);
    begun.stored = &stored;
    assert_int_equal(store_link_call(link, &begun.call, on_answer), 0);
    ask(link, &forgotten, &stored);
    store_link_forget(link, &forgotten.call);
    /* Nobody has been waiting for an answer: nothing happens in three times the limit. */
    static const struct timeval pause = {.tv_usec = 300 * 1000};
    event_base_loopexit(stored.base, &pause);
    event_base_dispatch(stored.base);
    assert_int_equal(begun.losses, 0);
    assert_non_null(stored.channel);
    ask(link, &asked, &stored);
    while (asked.losses == 0 || begun.losses == 0 || stored.lost == 0)
        event_base_dispatch(stored.base);
    assert_int_equal(asked.answers + begun.answers + forgotten.answers + forgotten.losses, 0);
    assert_int_equal(asked.losses + begun.losses, 2);
    stored_close(&stored, link);
}

static void gives_up_a_stored_that_takes_nothing(void **state)
{
    static const struct timeval patience = {.tv_usec = 100 * 1000};
    struct stored stored;
    struct question begun = {0};
    struct hold hold = {0}, other = {0};
    char *piece = xcalloc(1, PIECE_SIZE);
    (void)state;

    stored_open(&stored);
    struct store_link *link = store_link_new(stored.base, SOCKET_PATH, &patience);
    begun.stored = hold.stored = other.stored = &stored;
    assert_int_equal(store_link_call(link, &begun.call, on_answer), 0);
    while (!store_link_full(link))
        store_link_send(link, &begun.call, STORE_DELIVER_DATA, piece, PIECE_SIZE, NULL, 0);
    store_link_wait(link, &hold.waiter, on_ready);
    store_link_wait(link, &other.waiter, on_ready);
    store_link_wait_end(link, &other.waiter);
    while (hold.ready == 0 || begun.losses == 0)
        event_base_dispatch(stored.base);
    assert_int_equal(hold.ready, 1);
    assert_int_equal(other.ready, 0);
    assert_false(store_link_full(link));
    free(piece);
    stored_close(&stored, link);
}

static void lets_go_on_what_waited_for_place(void **state)
{
    static const struct timeval patience = {.tv_sec = 20};
    struct stored stored;
    struct question begun = {0};
    struct hold hold = {0};
    char *piece = xcalloc(1, PIECE_SIZE);
    (void)state;

    stored_open(&stored);
    struct store_link *link = store_link_new(stored.base, SOCKET_PATH, &patience);
    stored_accept(&stored);
    begun.stored = hold.stored = &stored;
    assert_int_equal(store_link_call(link, &begun.call, on_answer), 0);
    while (!store_link_full(link))
        store_link_send(link, &begun.call, STORE_DELIVER_DATA, piece, PIECE_SIZE, NULL, 0);
    store_link_wait(link, &hold.waiter, on_ready);
    while (hold.ready == 0)
        event_base_dispatch(stored.base);
    assert_int_equal(begun.losses, 0);
    assert_non_null(stored.channel);
    store_link_forget(link, &begun.call);
    free(piece);
    stored_close(&stored, link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gets_answers, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(tells_that_stored_is_gone_and_comes_back, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(gives_up_a_stored_that_does_not_answer, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(gives_up_a_stored_that_takes_nothing, scratch_enter,
                                        scratch_leave),
        cmocka_unit_test_setup_teardown(lets_go_on_what_waited_for_place, scratch_enter,
                                        scratch_leave),
    };
    /* As in every program: lib/child.c. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("lmtpd storelink", tests, NULL, NULL);
}
