/* Regions of the memory that stored shares: each octet is in one at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/bodies.h"
#include "pop3d/regions.h"

#define HELD 400

static uint8_t *bodies;
static struct regions *regions;

static int open_regions(void **state)
{
    int fd;
    (void)state;

    bodies = bodies_make(&fd);
    assert_non_null(bodies);
    regions = regions_new(fd);
    assert_non_null(regions);
    return 0;
}

static int close_regions(void **state)
{
    (void)state;
    assert_int_equal(regions_taken(regions), 0);
    regions_free(regions);
    bodies_detach(bodies);
    return 0;
}

static void what_is_written_is_read(void **state)
{
    uint32_t place = regions_take(regions, 10000);
    (void)state;

    memcpy(bodies + place, "text", 4);
    assert_memory_equal(regions_octets(regions, place), "text", 4);
    regions_give(regions, place);
}

static void there_is_no_more_than_there_is(void **state)
{
    uint32_t all = regions_take(regions, STORE_MEMORY_SIZE);
    (void)state;

    assert_int_equal(all, 0);
    assert_int_equal(regions_take(regions, 1), STORE_NO_PLACE);
    regions_give(regions, all);
    assert_int_equal(regions_take(regions, STORE_MEMORY_SIZE + 1), STORE_NO_PLACE);
    assert_int_equal(regions_take(NULL, 1), STORE_NO_PLACE);
}

/* Pieces that are free, and none of them large enough. */
static void a_region_is_in_one_piece(void **state)
{
    uint32_t places[STORE_MEMORY_SIZE / 4096];
    size_t count = sizeof(places) / sizeof(places[0]);
    (void)state;

    for (size_t i = 0; i < count; i++)
        places[i] = regions_take(regions, 4096);
    for (size_t i = 0; i < count; i += 2)
        regions_give(regions, places[i]);
    assert_int_equal(regions_take(regions, 4097), STORE_NO_PLACE);
    assert_int_equal(regions_take(regions, 4096), places[0]);
    regions_give(regions, places[0]);
    for (size_t i = 1; i < count; i += 2)
        regions_give(regions, places[i]);
}

struct held {
    size_t length;
    uint32_t place;
    uint8_t mark;
};

static void mark(const struct held *held)
{
    memset(bodies + held->place, held->mark, held->length);
}

static void assert_marked(const struct held *held)
{
    const uint8_t *octets = regions_octets(regions, held->place);

    for (size_t i = 0; i < held->length; i += 100)
        assert_int_equal(octets[i], held->mark);
    assert_int_equal(octets[held->length - 1], held->mark);
}

static void regions_never_overlap(void **state)
{
    struct held held[HELD] = {0};
    uint32_t random = 1;
    (void)state;

    for (unsigned i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        struct held *one = &held[(random >> 8) % HELD];
        if (one->length > 0) {
            assert_marked(one);
            regions_give(regions, one->place);
            one->length = 0;
            continue;
        }
        size_t length = 1 + (random >> 4) % (i % 7 == 0 ? 100000 : 13000);
        uint32_t place = regions_take(regions, length);
        if (place == STORE_NO_PLACE)
            continue;
        assert_true(place + length <= STORE_MEMORY_SIZE);
        *one = (struct held){length, place, (uint8_t)i};
        mark(one);
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i].length > 0) {
            assert_marked(&held[i]);
            regions_give(regions, held[i].place);
        }
}

/* The connection to stored may be lost while something waits to be sent. */
static void what_is_taken_outlives_the_connection(void **state)
{
    uint32_t place = regions_take(regions, 4);
    (void)state;

    memcpy(bodies + place, "text", 4);
    regions_free(regions);
    assert_memory_equal(regions_octets(regions, place), "text", 4);
    regions_give(regions, place);
    bodies_detach(bodies);
    open_regions(NULL);
}

static void other_memory_is_not_taken(void **state)
{
    int fd = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int ends[2];
    (void)state;

    assert_int_equal(ftruncate(fd, STORE_MEMORY_SIZE), 0);
    assert_null(regions_new(fd)); /* it could become shorter */
    fd = memfd_create("short", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, STORE_MEMORY_SIZE - 4096), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_null(regions_new(fd));
    assert_int_equal(pipe(ends), 0);
    assert_null(regions_new(ends[0]));
    close(ends[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_regions, close_regions)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read),
        CASE(there_is_no_more_than_there_is),
        CASE(a_region_is_in_one_piece),
        CASE(regions_never_overlap),
        CASE(what_is_taken_outlives_the_connection),
        cmocka_unit_test(other_memory_is_not_taken),
    };
    return cmocka_run_group_tests_name("pop3d regions", tests, NULL, NULL);
}
