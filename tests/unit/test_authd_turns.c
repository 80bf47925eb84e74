#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "authd/hashpool.h"
#include "authd/turns.h"

#define JOBS 64

static struct turns *turns;
static struct hash_job jobs[JOBS];
static unsigned count;

static int set_up(void **state)
{
    (void)state;
    turns = turns_new();
    memset(jobs, 0, sizeof(jobs));
    count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(turns_count(turns), 0);
    turns_free(turns);
    return 0;
}

/* A job is a letter here: its customer's. */
static void add(const char *customers)
{
    for (; *customers != '\0'; customers++) {
        jobs[count].customer = (uint64_t)*customers;
        turns_add(turns, &jobs[count++]);
    }
}

static struct hash_job *begin(char customer)
{
    struct hash_job *job = turns_next(turns, UINT64_MAX);

    assert_non_null(job);
    assert_int_equal(job->customer, customer);
    turns_begin(turns, job);
    return job;
}

/* One thread computes these, in this order; each takes as long as a digit says, or 1. */
static void run(const char *customers)
{
    for (; *customers != '\0'; customers++) {
        struct hash_job *job = begin(*customers);
        uint64_t took = 1;
        if (customers[1] >= '0' && customers[1] <= '9')
            took = (uint64_t)(*++customers - '0');
        turns_end(turns, job, took);
    }
}

static void test_one_after_the_other(void **state)
{
    (void)state;
    assert_null(turns_next(turns, UINT64_MAX));
    add("aaabb");
    assert_ptr_equal(turns_next(turns, UINT64_MAX), &jobs[0]);
    run("ababa");
    assert_null(turns_next(turns, UINT64_MAX));
}

/* Who comes later does not get what it might have had before. */
static void test_no_credit(void **state)
{
    (void)state;
    add("aaaaaaaa");
    run("aaaa");
    add("bbbb");
    run("babab");
    run("aba");
}

/* It is time that counts. */
static void test_what_costs_more(void **state)
{
    (void)state;
    add("aabbbbbb");
    run("a4bbbba4bb");
}

/* A customer that is being computed waits for those that are not. */
static void test_threads(void **state)
{
    (void)state;
    add("aaaabb");
    struct hash_job *first = begin('a');
    struct hash_job *second = begin('b');
    turns_end(turns, second, 1);
    second = begin('b');
    struct hash_job *third = begin('a');
    turns_end(turns, first, 100);
    turns_end(turns, second, 1);
    turns_end(turns, third, 100);
    run("aa");
}

/* Those for whom there is memory; within a customer nobody passes by. */
static void test_memory(void **state)
{
    (void)state;
    add("aabc");
    jobs[0].needs = 300;
    jobs[2].needs = 200;
    jobs[3].needs = 100;
    assert_ptr_equal(turns_next(turns, 300), &jobs[0]);
    assert_ptr_equal(turns_next(turns, 299), &jobs[2]);
    assert_ptr_equal(turns_next(turns, 199), &jobs[3]);
    assert_null(turns_next(turns, 99));
    run("abca");
}

static void test_who_makes_room(void **state)
{
    (void)state;
    assert_null(turns_crowded(turns, 'a'));
    add("aabbb");
    assert_null(turns_crowded(turns, 'b'));
    assert_null(turns_crowded(turns, 'a'));
    assert_ptr_equal(turns_crowded(turns, 'c'), &jobs[4]);
    turns_remove(turns, &jobs[4]);
    add("c");
    assert_null(turns_crowded(turns, 'c'));
    assert_non_null(turns_crowded(turns, 'd'));
    struct hash_job *job;
    while ((job = turns_any(turns)) != NULL)
        turns_remove(turns, job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_credit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_costs_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_who_makes_room, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
