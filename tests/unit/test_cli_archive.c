#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "cli/archive.h"
#include "lib/xalloc.h"
#include "tests/unit/scratch.h"

static char error[ARCHIVE_ERROR_SIZE];
static uint8_t payload[DUMP_FRAME_MAX];

static const struct dump_end end = {.messages = 3};

static const struct dump_frame frames[] = {
    {DUMP_ACCOUNTS, 100}, {DUMP_CONTENTS, sizeof(struct dump_contents)},
    {DUMP_BODIES, 5000},  {DUMP_BODIES, DUMP_FRAME_MAX},
    {DUMP_BODIES, 0},
};

#define FRAMES (sizeof(frames) / sizeof(frames[0]))

static void write_archive(const char *name, const struct archive_header *base)
{
    struct archive_writer *writer = archive_create(name, base, error);

    assert_non_null(writer);
    for (size_t i = 0; i < FRAMES; i++) {
        memset(payload, (int)i + 1, sizeof(payload));
        assert_int_equal(archive_add(writer, &frames[i], payload, error), 0);
    }
    assert_int_equal(archive_finish(writer, &end, error), 0);
}

/* Reads it whole. Returns the number of frames, or -1. */
static int read_archive(const char *name)
{
    struct archive archive;
    struct dump_frame frame;
    int count = 0, more;

    if (archive_open(&archive, name, error) < 0)
        return -1;
    while ((more = archive_next(&archive, 0, &frame, payload, error)) > 0)
        count++;
    archive_close(&archive);
    return more < 0 ? -1 : count;
}

static void test_frames_come_back(void **state)
{
    struct archive archive, other;
    struct dump_frame frame;

    (void)state;
    write_archive("one", NULL);
    assert_int_equal(archive_open(&archive, "one", error), 0);
    assert_true(archive_is_whole(&archive.header));
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < FRAMES; i++) {
            assert_int_equal(archive_next(&archive, 0, &frame, payload, error), 1);
            assert_int_equal(frame.type, frames[i].type);
            assert_int_equal(frame.length, frames[i].length);
            for (size_t k = 0; k < frame.length; k++)
                assert_int_equal(payload[k], i + 1);
        }
        assert_int_equal(archive_next(&archive, 0, &frame, payload, error), 1);
        assert_int_equal(frame.type, DUMP_END);
        assert_memory_equal(payload, &end, sizeof(end));
        assert_int_equal(archive_next(&archive, 0, &frame, payload, error), 0);
        archive_rewind(&archive);
    }
    write_archive("two", &archive.header);
    assert_int_equal(archive_open(&other, "two", error), 0);
    assert_memory_equal(other.header.base, archive.header.id, ARCHIVE_ID_SIZE);
    archive_close(&other);
    archive_close(&archive);
}

static void test_a_name_is_given_once(void **state)
{
    (void)state;
    write_archive("one", NULL);
    assert_null(archive_create("one", NULL, error));
    assert_non_null(strstr(error, "there already"));

    struct archive_writer *writer = archive_create("two", NULL, error);
    assert_non_null(writer);
    assert_null(archive_create("two", NULL, error));
    assert_non_null(strstr(error, "another backup"));
    /* Somebody else took the name meanwhile. */
    write_archive("three", NULL);
    assert_int_equal(rename("three", "two"), 0);
    assert_int_equal(archive_finish(writer, &end, error), -1);
    assert_int_equal(access("two.new", F_OK), -1);
    assert_int_equal(read_archive("two"), FRAMES + 1);

    /* What a killed backup left makes way, and nobody else's file. */
    write_archive("four.new", NULL);
    writer = archive_create("four", NULL, error);
    assert_non_null(writer);
    archive_cancel(writer);
    FILE *file = fopen("five.new", "w");
    assert_int_equal(fputs("a letter to somebody", file) < 0, 0);
    fclose(file);
    assert_null(archive_create("five", NULL, error));
    assert_non_null(strstr(error, "five.new is there"));
    struct stat letter;
    assert_int_equal(stat("five.new", &letter), 0);
    assert_int_equal(letter.st_size, strlen("a letter to somebody"));
    assert_int_equal(access("four.new", F_OK), -1);
}

static void flip(int fd, off_t at, uint8_t bits)
{
    uint8_t octet;

    assert_int_equal(pread(fd, &octet, 1, at), 1);
    octet ^= bits;
    assert_int_equal(pwrite(fd, &octet, 1, at), 1);
}

/* Every bit of what is not body, and some of the bodies. */
static void test_any_flipped_bit_is_found(void **state)
{
    struct stat status;

    (void)state;
    write_archive("one", NULL);
    int fd = open("one", O_RDWR);
    assert_int_equal(fstat(fd, &status), 0);
    for (off_t at = 0; at < status.st_size; at += at < 600 || at > status.st_size - 400 ? 1 : 99991)
        for (unsigned bit = 0; bit < 8; bit += at < 200 ? 1 : 3) {
            flip(fd, at, (uint8_t)(1U << bit));
            assert_int_equal(read_archive("one"), -1);
            flip(fd, at, (uint8_t)(1U << bit));
        }
    assert_int_equal(read_archive("one"), FRAMES + 1);
    for (off_t length = status.st_size - 1; length >= 0; length -= 50021) {
        assert_int_equal(ftruncate(fd, length), 0);
        assert_int_equal(read_archive("one"), -1);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames_come_back, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(test_a_name_is_given_once, scratch_enter, scratch_leave),
        cmocka_unit_test_setup_teardown(test_any_flipped_bit_is_found, scratch_enter,
                                        scratch_leave),
    };

    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
