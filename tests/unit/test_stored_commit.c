/*
 * Group commit on a disk that the test commands: the calls that matter are counted and made to
 * fail here (the program's own definitions take the place of libc's).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/segment.h"
#include "stored/store.h"
#include "stored/trouble.h"
#include "tests/unit/scratch.h"

/* --- the disk --------------------------------------------------------------------------------- */

/* How many calls from now on fail, and with what; 0: none. */
static atomic_int sync_error, write_error, allocate_error;
static atomic_int syncs, writes;
static atomic_int unsynced; /* writes since the last sync that succeeded */

static int failing(atomic_int *error)
{
    int number = atomic_exchange(error, 0);

    if (number != 0)
        errno = number;
    return number;
}

static atomic_bool sync_waits;  /* a sync does not end before */
static atomic_int hearing = -1; /* where the thread tells */
static atomic_bool told_too_soon;

int fdatasync(int fd)
{
    char octet;

    atomic_fetch_add(&syncs, 1);
    while (atomic_load(&sync_waits))
        sched_yield();
    if (hearing >= 0 && recv(hearing, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
        atomic_store(&told_too_soon, true);
    if (failing(&sync_error) != 0)
        return -1;
    atomic_store(&unsynced, 0);
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    atomic_fetch_add(&writes, 1);
    atomic_fetch_add(&unsynced, 1);
    if (failing(&write_error) != 0)
        return -1;
    return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}

static _Atomic uint64_t free_octets;

int fstatvfs(int fd, struct statvfs *disk_r)
{
    (void)fd;
    *disk_r = (struct statvfs){.f_frsize = 1, .f_bavail = free_octets};
    return 0;
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    if (failing(&allocate_error) != 0)
        return errno;
    if ((uint64_t)length > free_octets)
        return ENOSPC;
    return syscall(SYS_fallocate, fd, 0, offset, length) == 0 ? 0 : errno;
}

static atomic_int hours_passed;

int clock_gettime(clockid_t clock, struct timespec *time_r)
{
    long result = syscall(SYS_clock_gettime, clock, time_r);

    time_r->tv_sec += 3600 * (time_t)hours_passed;
    return (int)result;
}

/* In place of the store's own: nothing is logged, and how often a full disk is told to be over. */
static bool told_full;
static unsigned told_passed;

void trouble_tell(enum trouble kind, const char *what, int error)
{
    (void)what;
    (void)error;
    told_full |= kind == TROUBLE_FULL;
}

void trouble_passed(enum trouble kind)
{
    if (kind != TROUBLE_FULL || !told_full)
        return;
    told_full = false;
    told_passed++;
}

/* --- the store -------------------------------------------------------------------------------- */

#define SEGMENT_SIZE (4 * 1024 * 1024)
#define BODY         "Subject: test\r\n\r\ntext\r\n"

struct sent {
    struct commit commit;
    enum store_result result;
    bool durable;
    bool done;
};

static struct store store;
static unsigned waiting;
static unsigned durable; /* since the store was told last */
static uint64_t entered; /* in the index then */
static uint64_t next_uid;

static int open_store(void **state)
{
    if (scratch_enter(state) != 0 || mkdir("store", 0700) != 0)
        return -1;
    memset(&store, 0, sizeof(store));
    store.base = event_base_new();
    store.segment_size = SEGMENT_SIZE;
    recovery_run(&store);
    store.commits = commits_new(&store);
    next_uid = 1;
    free_octets = UINT64_MAX;
    told_full = false;
    told_passed = 0;
    sync_error = write_error = allocate_error = syncs = writes = unsynced = 0;
    return 0;
}

static void shut_store(void)
{
    commits_free(store.commits);
    index_close(store.index);
    event_base_free(store.base);
}

static int close_store(void **state)
{
    shut_store();
    return scratch_leave(state);
}

static uint64_t listed(void)
{
    struct index_mailbox mailbox;

    assert_int_equal(index_get_mailbox(store.index, 1, &mailbox), 0);
    return mailbox.messages;
}

static void on_durable(struct commit *commit)
{
    struct sent *sent = (struct sent *)(void *)commit;

    assert_int_equal(unsynced, 0);
    assert_false(sent->durable || sent->done);
    sent->durable = true;
    durable++;
}

static void on_done(struct commit *commit, enum store_result result)
{
    struct sent *sent = (struct sent *)(void *)commit;

    if (commit->durable != NULL)
        assert_int_equal(sent->durable, result == STORE_OK);
    /* The rule of the house: nothing is acknowledged before it is durable. */
    if (result == STORE_OK)
        assert_int_equal(unsynced, 0);
    sent->result = result;
    sent->done = true;
    waiting--;
}

static void add(struct sent *sent, enum record_type type, uint64_t uid, const char *body)
{
    struct record_header *header = record_new(type, 1, NULL);

    memset(sent, 0, sizeof(*sent));
    record_refs(header)[0] = (struct record_ref){1, uid};
    header->body_length = header->octets = body != NULL ? strlen(body) : 0;
    sent->commit.header = header;
    sent->commit.body = body;
    sent->commit.frees_space = type != RECORD_MESSAGE;
    sent->commit.durable = type == RECORD_MESSAGE ? on_durable : NULL;
    sent->commit.done = on_done;
    waiting++;
    commit_add(store.commits, &sent->commit);
}

static void run(void)
{
    alarm(20); /* a test that hangs ends */
    while (waiting > 0)
        event_base_loop(store.base, EVLOOP_ONCE);
    alarm(0);
}

static enum store_result deliver(uint64_t *segment_r)
{
    struct sent sent;

    add(&sent, RECORD_MESSAGE, next_uid++, BODY);
    run();
    if (segment_r != NULL)
        *segment_r = sent.commit.header->segment;
    free(sent.commit.header);
    return sent.result;
}

/* --- the cases -------------------------------------------------------------------------------- */

static void one_sync_serves_the_whole_group(void **state)
{
    struct sent sent[100];
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK); /* makes the first segment */
    syncs = writes = 0;
    for (int i = 0; i < 100; i++)
        add(&sent[i], RECORD_MESSAGE, next_uid++, BODY);
    run();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(sent[i].result, STORE_OK);
        free(sent[i].commit.header);
    }
    assert_int_equal(syncs, 1);
    assert_int_equal(writes, 1);
    assert_int_equal(listed(), 101);
}

static void on_group(void *context)
{
    (void)context;
    assert_int_equal(durable, 3);
    durable = 0;
    entered = listed();
}

static void a_group_is_told_before_it_enters_the_index(void **state)
{
    struct sent sent[3];
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK);
    durable = 0;
    store.durable = on_group;
    for (int i = 0; i < 3; i++)
        add(&sent[i], RECORD_MESSAGE, next_uid++, BODY);
    run();
    assert_int_equal(durable, 0);
    assert_int_equal(entered, 1);
    assert_int_equal(listed(), 4);
    for (int i = 0; i < 3; i++)
        free(sent[i].commit.header);
}

/* --- what the thread tells */

static struct channel *telling;

static void on_promise(struct commit *commit, struct channel_loan *loan)
{
    (void)commit;
    assert_true(channel_lend(telling, loan, 1, 1, "durable", 7));
    atomic_store(&sync_waits, false);
}

static int refuse_message(void *context, const struct channel_message *message)
{
    (void)context;
    (void)message;
    return -1;
}

static void begin_telling(void)
{
    static const struct channel_events events = {.message = refuse_message};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    telling = channel_new(store.base, fds[0], &events, NULL);
    hearing = fds[1];
}

static void end_telling(void)
{
    channel_free(telling);
    run();
    close(hearing);
    hearing = -1;
    assert_false(told_too_soon);
}

static ssize_t heard(void)
{
    char octets[64];

    return recv(hearing, octets, sizeof(octets), MSG_DONTWAIT);
}

/* The turn of the loop in which the disk begins, and the thread is done with it. */
static void deliver_with_a_promise(struct sent *sent)
{
    atomic_store(&sync_waits, true);
    add(sent, RECORD_MESSAGE, next_uid++, BODY);
    sent->commit.promise = on_promise;
    event_base_loop(store.base, EVLOOP_NONBLOCK);
    assert_false(atomic_load(&sync_waits));
}

static void a_record_that_is_alone_is_told_of_by_the_thread(void **state)
{
    struct sent sent;
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK);
    begin_telling();
    deliver_with_a_promise(&sent);
    while (heard() < 0)
        sched_yield();
    /* Whoever has heard of it may ask for it. */
    assert_int_equal(listed(), 1);
    commits_catch_up(store.commits);
    assert_true(sent.durable && sent.done && sent.commit.answered);
    assert_int_equal(listed(), 2);
    commits_catch_up(store.commits);
    event_base_loop(store.base, EVLOOP_NONBLOCK);
    assert_int_equal(heard(), -1);
    free(sent.commit.header);
    end_telling();
}

static void the_thread_does_not_tell_of_a_failure(void **state)
{
    struct sent sent;
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK);
    begin_telling();
    sync_error = EIO;
    deliver_with_a_promise(&sent);
    run();
    assert_int_equal(sent.result, STORE_BROKEN);
    assert_false(sent.commit.answered);
    assert_int_equal(heard(), -1);
    free(sent.commit.header);
    end_telling();
}

/* Nor of one of several, nor where the loop has something to say first. */
static void the_loop_tells_of_what_the_thread_cannot(void **state)
{
    struct sent sent[2];
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK);
    begin_telling();
    for (int i = 0; i < 2; i++) {
        add(&sent[i], RECORD_MESSAGE, next_uid++, BODY);
        sent[i].commit.promise = on_promise;
    }
    run();
    for (int i = 0; i < 2; i++) {
        assert_true(sent[i].durable && !sent[i].commit.answered);
        free(sent[i].commit.header);
    }
    assert_int_equal(heard(), -1);
    add(&sent[0], RECORD_MESSAGE, next_uid++, BODY);
    sent[0].commit.promise = on_promise;
    atomic_store(&sync_waits, true);
    while (atomic_load(&sync_waits))
        event_base_loop(store.base, EVLOOP_NONBLOCK);
    end_telling();
    assert_int_equal(sent[0].result, STORE_OK);
    free(sent[0].commit.header);
}

static void a_failed_sync_is_not_tried_again_on_the_file(void **state)
{
    uint64_t before, after;
    (void)state;

    assert_int_equal(deliver(&before), STORE_OK);
    sync_error = EIO;
    assert_int_equal(deliver(NULL), STORE_BROKEN);
    assert_false(commits_healthy(store.commits));
    assert_int_equal(listed(), 1);
    assert_int_equal(deliver(&after), STORE_OK);
    assert_int_not_equal(before, after);
    assert_true(commits_healthy(store.commits));
    assert_int_equal(listed(), 2);
}

static void what_was_refused_does_not_come_back(void **state)
{
    (void)state;
    assert_int_equal(deliver(NULL), STORE_OK);
    sync_error = EIO;
    assert_int_equal(deliver(NULL), STORE_BROKEN);
    assert_int_equal(deliver(NULL), STORE_OK);
    shut_store();
    unlink(INDEX_PATH);
    memset(&store, 0, sizeof(store));
    recovery_run(&store);
    assert_int_equal(listed(), 2);
    store.base = event_base_new();
    store.commits = commits_new(&store);
}

static void a_failed_write_ends_the_segment(void **state)
{
    uint64_t before, after;
    (void)state;

    assert_int_equal(deliver(&before), STORE_OK);
    write_error = EIO;
    assert_int_equal(deliver(NULL), STORE_BROKEN);
    assert_int_equal(deliver(&after), STORE_OK);
    assert_int_not_equal(before, after);
}

static void a_disk_that_cannot_begin_goes_on_later(void **state)
{
    (void)state;
    sync_error = EIO;
    assert_int_equal(deliver(NULL), STORE_BROKEN);
    assert_int_equal(deliver(NULL), STORE_OK);
    assert_int_equal(listed(), 1);
}

/* Fills the first segment up to its reserve, and has the next one refused. Returns its id. */
static uint64_t fill_segment(int error, enum store_result expected)
{
    static char body[1000001];
    enum store_result result;
    uint64_t segment = 0, first = 0;

    memset(body, 'x', sizeof(body) - 1);
    do {
        struct sent sent;
        allocate_error = first == 0 ? 0 : error;
        add(&sent, RECORD_MESSAGE, next_uid++, body);
        run();
        result = sent.result;
        segment = sent.commit.header->segment;
        first = first == 0 ? segment : first;
        free(sent.commit.header);
    } while (result == STORE_OK && segment == first);
    assert_int_equal(result, expected);
    allocate_error = 0;
    return first;
}

static void fill_the_disk(void)
{
    fill_segment(ENOSPC, STORE_FULL);
}

/* Also where it is not the disk that is full: a quota, the largest file, descriptors, a bad disk.
 */
static void a_segment_that_cannot_be_made_does_no_harm_to_the_last(void **state)
{
    static const struct {
        int error;
        enum store_result result;
    } cases[] = {{ENOSPC, STORE_FULL}, {EDQUOT, STORE_FULL},   {EFBIG, STORE_FULL},
                 {EIO, STORE_BROKEN},  {EMFILE, STORE_BROKEN}, {EROFS, STORE_BROKEN}};
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sent expunge;
        uint64_t uid = next_uid;
        uint64_t segment = fill_segment(cases[i].error, cases[i].result);
        uint64_t before = listed();
        add(&expunge, RECORD_EXPUNGE, uid, NULL);
        run();
        assert_int_equal(expunge.result, STORE_OK);
        assert_true(expunge.commit.header->segment == segment);
        free(expunge.commit.header);
        assert_int_equal(listed(), before - 1);
        hours_passed++;
    }
}

/* Neither in the rest of a segment, nor in a small one: then it is refused, and not tried for ever.
 */
static void an_expunge_that_finds_no_place_is_refused(void **state)
{
    static const int errors[] = {ENOSPC, EIO};
    (void)state;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct sent expunge;
        free_octets = errors[i] == ENOSPC ? 0 : UINT64_MAX;
        write_error = EIO;
        (void)deliver(NULL); /* no segment is open from here on */
        write_error = errors[i] == EIO ? EIO : 0;
        add(&expunge, RECORD_EXPUNGE, 1, NULL);
        run();
        assert_int_equal(expunge.result, errors[i] == ENOSPC ? STORE_FULL : STORE_BROKEN);
        free(expunge.commit.header);
        write_error = 0;
    }
}

static void mail_can_be_deleted_on_a_full_disk(void **state)
{
    struct sent expunge;
    (void)state;

    fill_the_disk();
    uint64_t before = listed();
    assert_true(before >= 3);
    add(&expunge, RECORD_EXPUNGE, 1, NULL);
    run();
    assert_int_equal(expunge.result, STORE_OK);
    free(expunge.commit.header);
    assert_int_equal(listed(), before - 1);
}

static void mail_can_be_deleted_on_a_full_disk_after_a_restart(void **state)
{
    struct sent expunge;
    (void)state;

    assert_int_equal(deliver(NULL), STORE_OK);
    shut_store();
    memset(&store, 0, sizeof(store));
    recovery_run(&store);
    store.base = event_base_new();
    store.segment_size = SEGMENT_SIZE;
    store.commits = commits_new(&store);
    free_octets = SEGMENT_SIZE - 1;
    assert_int_equal(deliver(NULL), STORE_FULL);
    for (uint64_t uid = 1; uid < 3; uid++) {
        add(&expunge, RECORD_EXPUNGE, uid, NULL);
        run();
        assert_int_equal(expunge.result, STORE_OK);
        free(expunge.commit.header);
    }
    assert_int_equal(listed(), 0);
    hours_passed++;
    assert_int_equal(deliver(NULL), STORE_FULL);
    free_octets = UINT64_MAX;
    hours_passed++;
    assert_int_equal(deliver(NULL), STORE_OK);
}

static void room_is_left_for_the_index(void **state)
{
    (void)state;
    free_octets = 2 * SEGMENT_SIZE - 1;
    assert_int_equal(deliver(NULL), STORE_FULL);
    hours_passed++;
    free_octets = 2 * SEGMENT_SIZE;
    assert_int_equal(deliver(NULL), STORE_OK);
}

static void an_expunge_beside_a_refused_delivery_is_done(void **state)
{
    static char body[1000001];
    struct sent delivery, expunge;
    (void)state;

    fill_the_disk();
    memset(body, 'x', sizeof(body) - 1);
    hours_passed++; /* the disk counts as full for a moment; then it is asked again */
    allocate_error = ENOSPC;
    add(&delivery, RECORD_MESSAGE, next_uid++, body);
    add(&expunge, RECORD_EXPUNGE, 1, NULL);
    run();
    assert_int_equal(delivery.result, STORE_FULL);
    assert_int_equal(expunge.result, STORE_OK);
    free(delivery.commit.header);
    free(expunge.commit.header);
}

/* A copy leaves a part of the disk free; an expunge that came with it needs not. */
static void an_expunge_beside_a_refused_copy_is_done(void **state)
{
    static char rest[1000001], more[400001];
    struct sent first, copy, expunge;
    (void)state;

    fill_the_disk();
    free_octets = SEGMENT_SIZE / 4;
    add(&first, RECORD_EXPUNGE, 1, memset(rest, 'x', sizeof(rest) - 1));
    run();
    assert_int_equal(first.result, STORE_OK); /* nothing fits the segment any more */
    add(&copy, RECORD_MESSAGE, next_uid++, BODY);
    copy.commit.moves = true;
    add(&expunge, RECORD_EXPUNGE, 2, memset(more, 'x', sizeof(more) - 1));
    run();
    assert_int_equal(copy.result, STORE_FULL);
    assert_int_equal(expunge.result, STORE_OK);
    free(first.commit.header);
    free(copy.commit.header);
    free(expunge.commit.header);
}

/* While others are refused, one that finds room does not make the disk count as good again. */
static void a_large_message_does_not_end_what_is_told_of_a_full_disk(void **state)
{
    struct sent large;
    (void)state;

    free_octets = SEGMENT_SIZE;
    assert_int_equal(deliver(NULL), STORE_FULL);
    for (int i = 0; i < 2; i++) {
        struct segment own = {.id = store.next_segment++, .seed = store.seed, .size = 4096};
        assert_int_equal(segment_create(&own, 0), 0);
        hours_passed++;
        add(&large, RECORD_MESSAGE, next_uid++, NULL);
        large.commit.own = &own;
        run();
        assert_int_equal(large.result, STORE_OK);
        free(large.commit.header);
        segment_close(&own);
        assert_true(commits_full(store.commits));
        assert_int_equal(told_passed, 0);
    }
    free_octets = UINT64_MAX;
    hours_passed++;
    assert_int_equal(deliver(NULL), STORE_OK);
    assert_int_equal(told_passed, 1);
}

/* Who sent it has gone, and sends it again. What is on its way to the disk already stays. */
static void what_is_abandoned_in_time_is_not_written(void **state)
{
    struct sent sent[3];
    (void)state;

    for (int i = 0; i < 3; i++) {
        add(&sent[i], RECORD_MESSAGE, next_uid++, BODY);
        sent[i].commit.abandoned = i != 1;
    }
    run();
    assert_int_equal(sent[0].result, STORE_BROKEN);
    assert_int_equal(sent[1].result, STORE_OK);
    assert_int_equal(sent[2].result, STORE_BROKEN);
    assert_int_equal(commits_waiting(store.commits), 0);
    for (int i = 0; i < 3; i++)
        free(sent[i].commit.header);
    assert_int_equal(listed(), 1);
    add(&sent[0], RECORD_MESSAGE, next_uid++, BODY);
    sent[0].commit.abandoned = true; /* alone, it leaves an empty group */
    run();
    assert_int_equal(sent[0].result, STORE_BROKEN);
    free(sent[0].commit.header);
    assert_int_equal(deliver(NULL), STORE_OK);
}

static void uids_and_order_survive_a_roll(void **state)
{
    uint64_t first, last = 0;
    static char body[900001];
    (void)state;

    memset(body, 'y', sizeof(body) - 1);
    assert_int_equal(deliver(&first), STORE_OK);
    for (int i = 0; i < 8; i++) {
        struct sent sent;
        add(&sent, RECORD_MESSAGE, next_uid++, body);
        run();
        assert_int_equal(sent.result, STORE_OK);
        last = sent.commit.header->segment;
        free(sent.commit.header);
    }
    assert_true(last > first);
    assert_int_equal(listed(), 9);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_sync_serves_the_whole_group),
        CASE(a_group_is_told_before_it_enters_the_index),
        CASE(a_record_that_is_alone_is_told_of_by_the_thread),
        CASE(the_thread_does_not_tell_of_a_failure),
        CASE(the_loop_tells_of_what_the_thread_cannot),
        CASE(a_failed_sync_is_not_tried_again_on_the_file),
        CASE(what_was_refused_does_not_come_back),
        CASE(a_failed_write_ends_the_segment),
        CASE(a_disk_that_cannot_begin_goes_on_later),
        CASE(a_segment_that_cannot_be_made_does_no_harm_to_the_last),
        CASE(an_expunge_that_finds_no_place_is_refused),
        CASE(mail_can_be_deleted_on_a_full_disk),
        CASE(mail_can_be_deleted_on_a_full_disk_after_a_restart),
        CASE(room_is_left_for_the_index),
        CASE(an_expunge_beside_a_refused_delivery_is_done),
        CASE(an_expunge_beside_a_refused_copy_is_done),
        CASE(a_large_message_does_not_end_what_is_told_of_a_full_disk),
        CASE(what_is_abandoned_in_time_is_not_written),
        CASE(uids_and_order_survive_a_roll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
