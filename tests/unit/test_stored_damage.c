/*
 * Damage: every bit of a small store's segment flipped in turn, segments that are not where they
 * belong, an index of another store, and a disk that does not give back what it holds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "stored/index.h"
#include "stored/record.h"
#include "stored/recovery.h"
#include "stored/report.h"
#include "stored/segment.h"
#include "tests/unit/scratch.h"

#define SEED  UINT64_C(0xfeedface01)
#define OTHER UINT64_C(0xfeedface02)
/* Of a message for one mailbox. */
#define HEADER_LENGTH (sizeof(struct record_header) + sizeof(struct record_ref) + sizeof(int64_t))

#define SIZE 4096

/* Reads that touch this octet fail, so many times. The test's own definition goes before libc's. */
#define ANYWHERE UINT64_MAX
static uint64_t unreadable;
static unsigned failures;

ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset)
{
    uint64_t length = 0;

    for (int i = 0; i < count; i++)
        length += pieces[i].iov_len;
    if (failures > 0 && (unreadable == ANYWHERE || (unreadable >= (uint64_t)offset &&
                                                    unreadable - (uint64_t)offset < length))) {
        failures--;
        errno = EIO;
        return -1;
    }
    return syscall(SYS_preadv, fd, pieces, count, offset, 0);
}

static struct segment segment;
static uint64_t end, group;

static void begin_segment(uint64_t id, uint64_t seed)
{
    segment = (struct segment){.id = id, .seed = seed, .size = SIZE, .fd = -1};
    assert_int_equal(segment_create(&segment, 0), 0);
    end = SEGMENT_START;
    group++;
}

static uint64_t append(struct record_header *header, const char *body)
{
    struct iovec pieces[2] = {{header, header->length}, {(void *)(uintptr_t)body, 0}};
    uint64_t offset = end;

    header->body_length = header->octets = body != NULL ? strlen(body) : 0;
    header->body_sum = record_sum(segment.seed, body, header->body_length);
    header->commit = group;
    header->time = 1;
    pieces[1].iov_len = header->body_length;
    record_seal(header, segment.id, offset, segment.seed);
    assert_int_equal(segment_write(&segment, pieces, 2, offset), 0);
    end += record_span(header);
    free(header);
    return offset;
}

static uint64_t message(uint64_t mailbox, uint64_t uid, const char *body)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);

    record_refs(header)[0] = (struct record_ref){mailbox, uid};
    return append(header, body);
}

/* The index, or what it lists as "mailbox:uid ", or NULL when recovery gives up. */
static int collect(void *context, const struct index_message *row)
{
    char *text = context;
    size_t length = strlen(text);

    snprintf(text + length, 256 - length, "%llu:%llu ", (unsigned long long)row->mailbox,
             (unsigned long long)row->uid);
    return 0;
}

static const char *recovered(void)
{
    static char text[256];
    struct store store = {0};

    text[0] = '\0';
    recovery_run(&store);
    assert_int_equal(index_each_on_disk(store.index, collect, text), 0);
    index_close(store.index);
    return text;
}

static void lose_index(void)
{
    (void)unlink(INDEX_PATH);
    (void)unlink(INDEX_PATH "-wal");
    (void)unlink(INDEX_PATH "-shm");
}

static void flip(uint64_t id, uint64_t offset, unsigned bit)
{
    char name[SEGMENT_NAME_SIZE];
    uint8_t octet;

    segment_name(id, name);
    int fd = open(name, O_RDWR);
    assert_int_equal(pread(fd, &octet, 1, (off_t)offset), 1);
    octet ^= (uint8_t)(1U << bit);
    assert_int_equal(pwrite(fd, &octet, 1, (off_t)offset), 1);
    close(fd);
}

/* Whether `store verify` finds all well; what it and recovery say is not of interest here. */
static bool verified(void)
{
    fflush(stdout);
    int out = dup(STDOUT_FILENO), nothing = open("/dev/null", O_WRONLY);

    dup2(nothing, STDOUT_FILENO);
    int status = report_verify(false);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nothing);
    return status == 0;
}

static int set_up(void **state)
{
    group = 0;
    failures = 0;
    return scratch_enter(state) == 0 && mkdir("store", 0700) == 0 ? 0 : -1;
}

/* --- every bit -------------------------------------------------------------------------------- */

/* A record of each kind; every body but one leaves padding. */
static uint64_t starts[8], ends[8];
static unsigned record_count;

static void add_record(struct record_header *header, const char *body)
{
    uint64_t length = header->length + (body != NULL ? strlen(body) : 0);

    starts[record_count] = append(header, body);
    ends[record_count] = starts[record_count] + length;
    record_count++;
    group++;
}

static void write_every_kind(void)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 2, NULL);

    record_count = 0;
    begin_segment(1, SEED);
    record_refs(header)[0] = (struct record_ref){1, 1};
    record_refs(header)[1] = (struct record_ref){2, 1};
    add_record(header, "Subject: a\r\n\r\nfor two\r\n");
    header = record_new(RECORD_MESSAGE, 1, "imported-id");
    record_refs(header)[0] = (struct record_ref){1, 2};
    add_record(header, "b\r\n");
    header = record_new(RECORD_MESSAGE, 1, NULL);
    record_refs(header)[0] = (struct record_ref){3, 1};
    add_record(header, "\r\nnine\r\n");
    header = record_new(RECORD_EXPUNGE, 1, NULL);
    record_refs(header)[0] = (struct record_ref){2, 1};
    record_places(header)[0] = 1;
    add_record(header, NULL);
    header = record_new(RECORD_DROP, 1, NULL);
    record_refs(header)[0].mailbox = 3;
    add_record(header, NULL);
    segment_close(&segment);
}

/* A record whose message was taken away is read by nobody: only its header says anything. */
static bool counts(uint64_t octet)
{
    if (octet < SEGMENT_START)
        return true;
    for (unsigned i = 0; i < record_count; i++)
        if (octet >= starts[i] && octet < ends[i])
            return i != 2 || octet < ends[i] - strlen("\r\nnine\r\n");
    return false;
}

static void every_flipped_bit_is_noticed_or_counts_for_nothing(void **state)
{
    (void)state;
    write_every_kind();
    assert_string_equal(recovered(), "1:1 1:2 ");
    assert_true(verified());
    for (uint64_t octet = 0; octet < end; octet++)
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(1, octet, bit);
            bool noticed = !verified();
            flip(1, octet, bit);
            if (noticed != counts(octet))
                fail_msg("octet %llu bit %u", (unsigned long long)octet, bit);
        }
    assert_true(verified());
}

/* Without the index, from the log alone: what is not damaged is all there. */
static void a_flipped_bit_costs_recovery_no_other_message(void **state)
{
    (void)state;
    write_every_kind();
    for (uint64_t octet = 0; octet < end; octet += 11) {
        flip(1, octet, octet % 8);
        lose_index();
        if (octet < SEGMENT_START) {
            /* With the only header, the seed is gone: only an index could tell it. */
            flip(1, octet, octet % 8);
            continue;
        }
        const char *listed = recovered();
        flip(1, octet, octet % 8);
        for (unsigned i = 0; i < 2; i++)
            if (octet < starts[i] || octet >= ends[i])
                assert_non_null(strstr(listed, i == 0 ? "1:1 " : "1:2 "));
        segment_remove(1);
        write_every_kind();
    }
}

/* --- files that are not where they belong ----------------------------------------------------- */

static void write_segment(uint64_t id, uint64_t mailbox, uint64_t seed)
{
    begin_segment(id, seed);
    message(mailbox, 1, "text\r\n");
    segment_close(&segment);
}

static void a_stranger_is_left_alone(void **state)
{
    (void)state;
    write_segment(1, 1, SEED);
    assert_string_equal(recovered(), "1:1 ");
    write_segment(2, 2, OTHER);
    begin_segment(3, OTHER); /* nothing in it */
    segment_close(&segment);
    assert_string_equal(recovered(), "1:1 ");
    assert_int_equal(segment_file_size(2), SIZE);
    assert_int_equal(segment_file_size(3), SIZE);
    assert_false(verified());
    write_segment(4, 1, SEED); /* two of ours against two of theirs, and no index */
    assert_int_equal(segment_remove(3), 0);
    lose_index();
    assert_string_equal(recovered(), "1:1 ");
    assert_int_equal(segment_file_size(2), SIZE);
}

static void an_index_that_knows_no_segment_makes_none_its_own(void **state)
{
    struct store store = {0};
    (void)state;

    recovery_run(&store);
    index_close(store.index);
    write_segment(2, 2, store.seed + 1);
    assert_string_equal(recovered(), "");
    assert_int_equal(segment_file_size(2), SIZE);
}

static void an_index_of_another_store_is_built_anew(void **state)
{
    (void)state;
    write_segment(1, 7, OTHER);
    assert_string_equal(recovered(), "7:1 ");
    assert_int_equal(segment_remove(1), 0);
    write_segment(1, 1, SEED);
    write_segment(2, 2, SEED);
    assert_string_equal(recovered(), "1:1 2:1 ");
    assert_true(verified());
}

static void swapped_segments_are_left_alone(void **state)
{
    (void)state;
    write_segment(1, 1, SEED);
    write_segment(2, 2, SEED);
    assert_string_equal(recovered(), "1:1 2:1 ");
    assert_int_equal(rename("store/00000001.seg", "store/00000009"), 0);
    assert_int_equal(rename("store/00000002.seg", "store/00000001.seg"), 0);
    assert_int_equal(rename("store/00000009", "store/00000002.seg"), 0);
    assert_string_equal(recovered(), "1:1 2:1 ");
    assert_false(verified());
    assert_int_equal(rename("store/00000001.seg", "store/00000009"), 0);
    assert_int_equal(rename("store/00000002.seg", "store/00000001.seg"), 0);
    assert_int_equal(rename("store/00000009", "store/00000002.seg"), 0);
    assert_string_equal(recovered(), "1:1 2:1 ");
    assert_true(verified());
}

static void what_a_crash_at_the_very_first_leaves_is_no_damage(void **state)
{
    (void)state;
    int fd = open("store/00000001.seg", O_RDWR | O_CREAT, 0600);

    assert_int_equal(ftruncate(fd, SIZE), 0);
    close(fd);
    assert_string_equal(recovered(), "");
    assert_int_equal(segment_file_size(1), 0);
}

static void a_missing_segment_is_named_by_verify(void **state)
{
    (void)state;
    write_segment(1, 1, SEED);
    write_segment(2, 2, SEED);
    recovered();
    assert_int_equal(segment_remove(1), 0);
    assert_string_equal(recovered(), "1:1 2:1 ");
    assert_false(verified());
}

/* --- a disk that does not give it back -------------------------------------------------------- */

/* Nobody knows what was in it, so it is not taken for unfinished, not even at the log's end. */
static void an_unreadable_body_is_not_struck_out(void **state)
{
    (void)state;
    begin_segment(1, SEED);
    message(1, 1, "one\r\n");
    uint64_t last = message(1, 2, "two\r\n");
    segment_close(&segment);
    unreadable = last + HEADER_LENGTH;
    failures = UINT32_MAX;
    assert_string_equal(recovered(), "1:1 1:2 ");
    failures = 0;
    assert_true(verified());
    lose_index();
    assert_string_equal(recovered(), "1:1 1:2 ");
}

/* An error that passes at once costs nothing, wherever it is. */
static void an_error_that_passes_costs_nothing(void **state)
{
    (void)state;
    begin_segment(1, SEED);
    message(1, 1, "one\r\n");
    message(1, 2, "two\r\n");
    message(1, 3, "three\r\n");
    segment_close(&segment);
    for (unreadable = SEGMENT_START; unreadable < end; unreadable += 8) {
        lose_index();
        failures = 2;
        assert_string_equal(recovered(), "1:1 1:2 1:3 ");
        assert_true(verified());
    }
}

/* With uids that are given out again, what it holds would be lost when it comes back. */
static void a_disk_that_gives_nothing_back_is_waited_for(void **state)
{
    int status;
    (void)state;

    write_segment(1, 1, SEED);
    recovered();
    write_segment(2, 2, SEED);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        unreadable = ANYWHERE;
        failures = UINT32_MAX;
        recovered();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EX_TEMPFAIL);
    assert_string_equal(recovered(), "1:1 2:1 ");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_flipped_bit_is_noticed_or_counts_for_nothing),
        CASE(a_flipped_bit_costs_recovery_no_other_message),
        CASE(a_stranger_is_left_alone),
        CASE(an_index_that_knows_no_segment_makes_none_its_own),
        CASE(an_index_of_another_store_is_built_anew),
        CASE(swapped_segments_are_left_alone),
        CASE(what_a_crash_at_the_very_first_leaves_is_no_damage),
        CASE(a_missing_segment_is_named_by_verify),
        CASE(an_unreadable_body_is_not_struck_out),
        CASE(an_error_that_passes_costs_nothing),
        CASE(a_disk_that_gives_nothing_back_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
