/*
 * Recovery against segments that the test writes itself: whatever a crash leaves, what was
 * acknowledged is in the index, what was not is not, and a rebuilt index is the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "lib/surrogate.h"
#include "stored/checksum.h"
#include "stored/index.h"
#include "stored/record.h"
#include "stored/recovery.h"
#include "stored/segment.h"
#include "tests/unit/scratch.h"

#define SEED UINT64_C(0xfeedface01)
#define SIZE (1024 * 1024)

/* Of a message for one mailbox. */
#define HEADER_LENGTH (sizeof(struct record_header) + sizeof(struct record_ref) + sizeof(int64_t))

/* Where a disk fails: reads that touch this octet. The test's own definition goes before libc's. */
static uint64_t unreadable;

ssize_t preadv(int fd, const struct iovec *pieces, int count, off_t offset)
{
    uint64_t length = 0;

    for (int i = 0; i < count; i++)
        length += pieces[i].iov_len;
    if (unreadable >= (uint64_t)offset && unreadable - (uint64_t)offset < length) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_preadv, fd, pieces, count, offset, 0);
}

static void copy_file(const char *from, const char *to)
{
    char octets[65536];
    ssize_t length = 0;
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    while (in >= 0 && (length = read(in, octets, sizeof(octets))) > 0)
        assert_int_equal(write(out, octets, (size_t)length), length);
    assert_int_equal(length, 0);
    close(in);
    close(out);
}

static bool recording;

/* SQLite's: what the index was when its WAL was synced last is what a power loss can leave of it.
 */
int fdatasync(int fd)
{
    char link[64], path[PATH_MAX] = "";

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof(path) - 1) > 0);
    if (recording && strstr(path, "/index.db-wal") != NULL) {
        copy_file("store/index.db", "durable.db");
        copy_file("store/index.db-wal", "durable.db-wal");
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static void lose_power_of_the_index(void)
{
    (void)unlink("store/index.db-shm");
    copy_file("durable.db", "store/index.db");
    copy_file("durable.db-wal", "store/index.db-wal");
}

/* A second passes each time that somebody looks. */
static bool time_flies;

time_t time(time_t *time_r)
{
    static time_t now = 1000000000;

    now += time_flies;
    if (time_r != NULL)
        *time_r = now;
    return now;
}

static struct segment segment;
static uint64_t end;
static uint64_t group;

static void begin_segment(uint64_t id)
{
    segment = (struct segment){.id = id, .seed = SEED, .size = SIZE, .fd = -1};
    assert_int_equal(segment_create(&segment, 0), 0);
    end = SEGMENT_START;
}

static uint64_t append(struct record_header *header, const char *body)
{
    struct iovec pieces[2] = {{header, header->length}, {(void *)(uintptr_t)body, 0}};
    uint64_t offset = end;

    header->body_length = body != NULL ? strlen(body) : 0;
    header->octets = header->body_length;
    header->body_sum = record_sum(SEED, body, header->body_length);
    header->commit = group;
    header->time = 1;
    pieces[1].iov_len = header->body_length;
    record_seal(header, segment.id, offset, SEED);
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

static void take_away(enum record_type type, uint64_t mailbox, uint64_t uid)
{
    struct record_header *header = record_new(type, 1, NULL);

    record_refs(header)[0] = (struct record_ref){mailbox, uid};
    append(header, NULL);
}

static void flip(uint64_t id, uint64_t offset)
{
    char name[SEGMENT_NAME_SIZE];
    uint8_t octet;

    segment_name(id, name);
    int fd = open(name, O_RDWR);
    assert_int_equal(pread(fd, &octet, 1, (off_t)offset), 1);
    octet ^= 4;
    assert_int_equal(pwrite(fd, &octet, 1, (off_t)offset), 1);
    close(fd);
}

static int collect(void *context, const struct index_message *row)
{
    char *text = context;
    size_t length = strlen(text);

    snprintf(text + length, 256 - length, "%llu:%llu ", (unsigned long long)row->mailbox,
             (unsigned long long)row->uid);
    return 0;
}

/* Recovers and tells what the index lists, in the order on disk, and the usage of mailbox 1. */
static void expect(const char *listed, uint64_t messages, uint64_t uid_next, bool rebuild)
{
    struct store store = {0};
    struct index_mailbox mailbox;
    struct index_totals totals;
    char text[256] = "";

    if (rebuild)
        recovery_rebuild(&store);
    recovery_run(&store);
    assert_true(store.seed == SEED);
    assert_int_equal(index_each_on_disk(store.index, collect, text), 0);
    assert_string_equal(text, listed);
    assert_int_equal(index_get_mailbox(store.index, 1, &mailbox), 0);
    assert_int_equal(mailbox.messages, messages);
    assert_int_equal(mailbox.uid_next, uid_next);
    assert_int_equal(index_get_totals(store.index, true, &totals), 0);
    assert_int_equal(totals.wrong_usage, 0);
    index_close(store.index);
}

static int set_up(void **state)
{
    group = 1;
    unreadable = UINT64_MAX;
    recording = true;
    return scratch_enter(state) == 0 && mkdir("store", 0700) == 0 ? 0 : -1;
}

static void applies_the_log_once(void **state)
{
    (void)state;
    begin_segment(1);
    message(1, 1, "one\r\n");
    message(2, 1, "two\r\n");
    group++;
    message(1, 2, "three\r\n");
    take_away(RECORD_EXPUNGE, 1, 1);
    segment_close(&segment);
    for (int i = 0; i < 3; i++)
        expect("2:1 1:2 ", 1, 3, false);
    expect("2:1 1:2 ", 1, 3, true);
}

static void the_order_of_segments_does_not_matter(void **state)
{
    (void)state;
    /* A large message's segment can be younger than the expunge of that message. */
    begin_segment(1);
    take_away(RECORD_EXPUNGE, 1, 1);
    message(1, 2, "left\r\n");
    segment_close(&segment);
    begin_segment(2);
    message(1, 1, "large\r\n");
    segment_close(&segment);
    expect("1:2 ", 1, 3, false);
    expect("1:2 ", 1, 3, true);
}

static void a_dropped_mailbox_stays_empty(void **state)
{
    (void)state;
    begin_segment(1);
    message(1, 1, "gone\r\n");
    message(2, 1, "stays\r\n");
    take_away(RECORD_DROP, 1, 0);
    segment_close(&segment);
    expect("2:1 ", 0, 2, false);
    expect("2:1 ", 0, 2, true);
}

static void a_torn_end_is_left_out(void **state)
{
    (void)state;
    begin_segment(1);
    message(1, 1, "whole\r\n");
    group++;
    uint64_t torn = message(1, 2, "this body did not reach the disk\r\n");
    segment_close(&segment);
    flip(1, torn + HEADER_LENGTH + 3);
    expect("1:1 ", 1, 2, false);
    /* What comes later goes to a new segment and finds its place. */
    group++;
    begin_segment(2);
    message(1, 3, "later\r\n");
    segment_close(&segment);
    expect("1:1 1:3 ", 2, 4, false);
    expect("1:1 1:3 ", 2, 4, true);
}

static uint64_t last_commit(void)
{
    struct store store = {0};

    recovery_run(&store);
    index_close(store.index);
    return store.last_commit;
}

static void group_numbers_grow_from_start_to_start(void **state)
{
    uint64_t before;
    (void)state;

    group = last_commit() + 1000;
    begin_segment(1);
    message(1, 1, "one\r\n");
    segment_close(&segment);
    /* The second start finds all of it in the index and nothing to read. */
    assert_true(last_commit() >= group);
    assert_true((before = last_commit()) >= group);
    group = before + 1;
    begin_segment(2);
    message(1, 2, "two\r\n");
    segment_close(&segment);
    assert_true(last_commit() >= group);
    assert_true(last_commit() >= group);
}

static void a_number_that_is_used_again_hides_nothing(void **state)
{
    struct store killed = {0}, store = {0};
    char name[SEGMENT_NAME_SIZE];
    (void)state;

    begin_segment(1);
    message(1, 1, "one\r\n");
    segment_close(&segment);
    begin_segment(2);
    take_away(RECORD_EXPUNGE, 1, 7);
    take_away(RECORD_EXPUNGE, 1, 8);
    segment_close(&segment);
    expect("1:1 ", 1, 9, false);
    segment_name(2, name);
    assert_int_equal(unlink(name), 0);
    /* The next start forgets the segment, and the one after it makes another one of its number. */
    recovery_run(&killed);
    assert_int_equal(killed.next_segment, 3);
    recovery_run(&store);
    assert_int_equal(store.next_segment, 2);
    begin_segment(2);
    take_away(RECORD_EXPUNGE, 1, 1);
    segment_close(&segment);
    recording = false;
    index_close(killed.index);
    index_close(store.index);
    lose_power_of_the_index();
    expect("", 0, 9, false);
}

static void what_cannot_be_read_costs_no_other_message(void **state)
{
    static char text[20001];
    (void)state;

    memset(text, 'x', sizeof(text) - 1);
    begin_segment(1);
    message(1, 1, "one\r\n");
    uint64_t offset = message(1, 2, text);
    message(1, 3, "three\r\n");
    segment_close(&segment);
    unreadable = offset + sizeof(struct record_header);
    expect("1:1 1:3 ", 2, 4, false);
    expect("1:1 1:3 ", 2, 4, true);
}

static void a_damaged_body_stays_listed(void **state)
{
    (void)state;
    begin_segment(1);
    uint64_t offset = message(1, 1, "damaged after it was acknowledged\r\n");
    group++;
    message(1, 2, "later\r\n");
    segment_close(&segment);
    flip(1, offset + HEADER_LENGTH + 3);
    expect("1:1 1:2 ", 2, 3, false);
    expect("1:1 1:2 ", 2, 3, true);
}

static void a_damaged_header_costs_no_other_message(void **state)
{
    (void)state;
    begin_segment(1);
    message(1, 1, "one\r\n");
    uint64_t offset = message(1, 2, "two\r\n");
    message(1, 3, "three\r\n");
    segment_close(&segment);
    flip(1, offset + 20);
    expect("1:1 1:3 ", 2, 4, false);
    expect("1:1 1:3 ", 2, 4, true);
}

static void a_damaged_segment_header_costs_nothing(void **state)
{
    (void)state;
    begin_segment(1);
    message(1, 1, "one\r\n");
    segment_close(&segment);
    begin_segment(2);
    message(1, 2, "two\r\n");
    segment_close(&segment);
    flip(1, 3);
    expect("1:1 1:2 ", 2, 3, false);
    expect("1:1 1:2 ", 2, 3, true);
}

static void an_unfinished_large_message_is_removed(void **state)
{
    struct stat status;
    static char text[100000] = "a body without a header in front";
    struct iovec piece = {text, sizeof(text)};
    (void)state;

    begin_segment(1);
    message(1, 1, "one\r\n");
    segment_close(&segment);
    begin_segment(2);
    assert_int_equal(segment_write(&segment, &piece, 1, SEGMENT_START + 200), 0);
    segment_close(&segment);
    expect("1:1 ", 1, 2, false);
    assert_int_equal(stat("store/00000002.seg", &status), -1);
    assert_int_equal(stat("store/00000001.seg", &status), 0);
    /* What was preallocated is given back. */
    assert_true(status.st_size < SIZE);
}

static void a_forged_record_in_a_body_is_text(void **state)
{
    struct record_header *forged = record_new(RECORD_MESSAGE, 1, NULL);
    static char body[512];
    (void)state;

    begin_segment(1);
    record_refs(forged)[0] = (struct record_ref){2, 9};
    /* The right place and everything, but not the seed. */
    record_seal(forged, 1, end + HEADER_LENGTH + 8, SEED + 1);
    memset(body, 'x', 8);
    memcpy(body + 8, forged, forged->length);
    free(forged);
    uint64_t offset = end;
    struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);
    record_refs(header)[0] = (struct record_ref){1, 1};
    header->body_length = header->octets = sizeof(body);
    header->body_sum = record_sum(SEED, body, sizeof(body));
    header->commit = group;
    record_seal(header, 1, offset, SEED);
    struct iovec pieces[2] = {{header, header->length}, {body, sizeof(body)}};
    assert_int_equal(segment_write(&segment, pieces, 2, offset), 0);
    end += record_span(header);
    free(header);
    message(1, 2, "after\r\n");
    segment_close(&segment);
    flip(1, offset + 10); /* the outer header: the scan now walks through the body */
    expect("1:2 ", 1, 3, false);
}

/* What a file has in the lines of progress, ascending to 100 in each part of the recovery. */
static unsigned count_progress(const char *name)
{
    unsigned long percent, last = 0;
    unsigned lines = 0;
    char line[256];
    FILE *file = fopen(name, "r");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *told = strstr(line, "recovery: ");
        char *behind;
        if (told == NULL)
            continue;
        told += strlen("recovery: ");
        percent = strtoul(told, &behind, 10);
        if (behind == told || strncmp(behind, "% of ", 5) != 0)
            continue;
        assert_non_null(strstr(line, "segment "));
        assert_in_range(percent, last, 100);
        last = percent;
        lines++;
    }
    fclose(file);
    return lines;
}

static void progress_is_told_each_second(void **state)
{
    int before = dup(STDERR_FILENO);
    (void)state;

    begin_segment(1);
    for (uint64_t uid = 1; uid <= 20; uid++)
        message(1, uid, "text\r\n");
    take_away(RECORD_EXPUNGE, 1, 1);
    segment_close(&segment);
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_int_equal(dup2(log, STDERR_FILENO), STDERR_FILENO);
    time_flies = true;
    struct store store = {0};
    recovery_run(&store);
    index_close(store.index);
    time_flies = false;
    assert_int_equal(dup2(before, STDERR_FILENO), STDERR_FILENO);
    close(before);
    close(log);
    assert_true(count_progress("log") >= 40); /* each record, in both passes */
}

static int collect_growth(void *context, uint64_t uid, int64_t growth)
{
    char *text = context;
    size_t length = strlen(text);

    snprintf(text + length, 256 - length, "%llu:%lld ", (unsigned long long)uid, (long long)growth);
    return 0;
}

/* Recovers and tells the surrogates of mailbox 1, "uid:growth ", and what they come to. */
static void expect_surrogates(const char *expected, uint64_t count, int64_t growth)
{
    const struct index_range all = {.mailbox = 1, .from = 1, .to = INT64_MAX};
    struct store store = {0};
    struct index_mailbox mailbox;
    struct index_totals totals;
    char text[256] = "";

    recovery_run(&store);
    assert_int_equal(index_each_growth(store.index, &all, collect_growth, text), 0);
    assert_string_equal(text, expected);
    assert_int_equal(index_get_mailbox(store.index, 1, &mailbox), 0);
    assert_int_equal(mailbox.surrogates, count);
    assert_int_equal(mailbox.growth, growth);
    assert_int_equal(index_get_totals(store.index, true, &totals), 0);
    assert_int_equal(totals.wrong_usage, 0);
    index_close(store.index);
}

static void rebuild(void)
{
    struct store store = {0};

    recovery_rebuild(&store);
}

static void surrogate(uint64_t mailbox, uint64_t uid, const struct store_surrogate *surrogate)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 1, NULL);

    record_refs(header)[0] = (struct record_ref){mailbox, uid};
    record_set_surrogate(header, surrogate);
    append(header, "Subject: \xc3\xbc\r\n");
}

static void write_surrogates(void)
{
    begin_segment(1);
    surrogate(1, 1, &(struct store_surrogate){.version = SURROGATE_VERSION});
    surrogate(1, 2, &(struct store_surrogate){7, SURROGATE_VERSION, 1, {0}});
    surrogate(1, 3, &(struct store_surrogate){-9, SURROGATE_VERSION, 1, {0}});
    surrogate(1, 4, &(struct store_surrogate){0, SURROGATE_VERSION, 1, {0}});
    surrogate(1, 5, &(struct store_surrogate){5, SURROGATE_VERSION + 1, 1, {0}});
    surrogate(2, 2, &(struct store_surrogate){100, SURROGATE_VERSION, 1, {0}});
    message(1, 6, "nobody has looked\r\n");
}

/* Those that this program would make otherwise count for nothing. */
static void surrogates_are_known_from_the_log(void **state)
{
    (void)state;
    write_surrogates();
    expect_surrogates("2:7 3:-9 4:0 ", 3, -2);
    rebuild();
    expect_surrogates("2:7 3:-9 4:0 ", 3, -2);
    segment_close(&segment);
    begin_segment(2);
    group++;
    take_away(RECORD_EXPUNGE, 1, 3);
    take_away(RECORD_EXPUNGE, 1, 6);
    expect_surrogates("2:7 4:0 ", 2, 7);
    rebuild();
    expect_surrogates("2:7 4:0 ", 2, 7);
    segment_close(&segment);
    begin_segment(3);
    group++;
    take_away(RECORD_DROP, 1, 0);
    segment_close(&segment);
    expect_surrogates("", 0, 0);
    rebuild();
    expect_surrogates("", 0, 0);
}

static void change_index(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(INDEX_PATH, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* What was not built anew still has what only the index knows. */
static void expect_kept(void)
{
    struct index *index = index_open(INDEX_PATH, INDEX_READ);
    struct index_segment row;

    assert_int_equal(index_get_segment(index, 1, &row), 0);
    assert_int_equal(row.punched, 4096);
    index_close(index);
}

/* Leaves the index as a program with another SURROGATE_VERSION would. */
static void change_version(int version)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "UPDATE segment SET punched = 4096; DELETE FROM surrogate WHERE uid = 3;"
             "UPDATE mailbox SET surrogates = 2, growth = 7 WHERE mailbox = 1;"
             "PRAGMA user_version = %d",
             3 + (version << 8));
    change_index(sql);
    assert_null(index_open(INDEX_PATH, INDEX_READ));
}

static void surrogates_of_an_older_version_are_forgotten(void **state)
{
    (void)state;
    write_surrogates();
    segment_close(&segment);
    expect_surrogates("2:7 3:-9 4:0 ", 3, -2);
    change_version(SURROGATE_VERSION - 1);
    expect_surrogates("", 0, 0);
    expect_kept();
}

static void surrogates_that_a_newer_version_has_forgotten_come_back(void **state)
{
    (void)state;
    write_surrogates();
    segment_close(&segment);
    expect_surrogates("2:7 3:-9 4:0 ", 3, -2);
    change_version(SURROGATE_VERSION + 1);
    expect_surrogates("2:7 3:-9 4:0 ", 3, -2);
}

/* A record and a segment as they were when nothing was said of surrogates. */
static void message_before(uint64_t mailbox, uint64_t uid, const char *unique_id)
{
    struct record_header *header = record_new(RECORD_MESSAGE, 1, unique_id);
    char *refs_end = (char *)(record_refs(header) + 1);

    memmove(refs_end, refs_end + sizeof(int64_t),
            header->length - (size_t)(refs_end + sizeof(int64_t) - (char *)header));
    header->length -= (uint32_t)sizeof(int64_t);
    header->version = RECORD_VERSION_BEFORE;
    record_refs(header)[0] = (struct record_ref){mailbox, uid};
    append(header, "Subject: \xc3\xbc\r\n");
}

static void make_segment_old(void)
{
    uint64_t words[8];
    struct iovec piece = {words, sizeof(words)};

    assert_int_equal(segment_read(&segment, &piece, 1, 0), 0);
    words[1] = 2;
    words[7] = XXH3_64bits(words, sizeof(words) - sizeof(words[0]));
    piece = (struct iovec){words, sizeof(words)};
    assert_int_equal(segment_write(&segment, &piece, 1, 0), 0);
    segment_close(&segment);
}

static void expect_unique_id(const char *expected)
{
    struct store store = {0};

    recovery_run(&store);
    assert_int_equal(index_find_unique_id(store.index, 1, expected), 1);
    index_close(store.index);
}

static void a_store_of_the_version_before_opens(void **state)
{
    (void)state;
    begin_segment(1);
    message_before(1, 1, NULL);
    message_before(1, 2, "from-elsewhere");
    make_segment_old();
    expect("1:1 1:2 ", 2, 3, false);
    change_index("UPDATE segment SET punched = 4096; DROP TABLE surrogate;"
                 "ALTER TABLE mailbox DROP COLUMN surrogates;"
                 "ALTER TABLE mailbox DROP COLUMN growth; PRAGMA user_version = 2");
    assert_null(index_open(INDEX_PATH, INDEX_READ));
    expect("1:1 1:2 ", 2, 3, false);
    expect_kept();
    expect_unique_id("from-elsewhere");
    expect_surrogates("", 0, 0);
    group++;
    begin_segment(2);
    surrogate(1, 3, &(struct store_surrogate){7, SURROGATE_VERSION, 1, {0}});
    segment_close(&segment);
    expect_surrogates("3:7 ", 1, 7);
    rebuild();
    expect_surrogates("3:7 ", 1, 7);
    expect_unique_id("from-elsewhere");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(applies_the_log_once),
        CASE(the_order_of_segments_does_not_matter),
        CASE(a_dropped_mailbox_stays_empty),
        CASE(a_torn_end_is_left_out),
        CASE(group_numbers_grow_from_start_to_start),
        CASE(a_number_that_is_used_again_hides_nothing),
        CASE(what_cannot_be_read_costs_no_other_message),
        CASE(a_damaged_body_stays_listed),
        CASE(a_damaged_header_costs_no_other_message),
        CASE(a_damaged_segment_header_costs_nothing),
        CASE(an_unfinished_large_message_is_removed),
        CASE(a_forged_record_in_a_body_is_text),
        CASE(progress_is_told_each_second),
        CASE(surrogates_are_known_from_the_log),
        CASE(surrogates_of_an_older_version_are_forgotten),
        CASE(surrogates_that_a_newer_version_has_forgotten_come_back),
        CASE(a_store_of_the_version_before_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
