#include "tests/unit/db_fixture.h"

#include <event2/event.h>

#include "admin/writer.h"
#include "db/customer.h"
#include "db/transaction.h"

#define MANY 300

struct made {
    struct writing writing;
    struct event_base *base;
    unsigned *left;
    unsigned runs;
    enum db_result wanted; /* what it returns after it has added a customer */
    char name[16];
};

static enum db_result run(struct writing *writing, struct db *db)
{
    struct made *made = (struct made *)writing;

    made->runs++;
    if (made->writing.alone)
        db_transaction_is_whole(db);
    assert_int_equal(db_customer_add(db, made->name, "house", NULL), DB_OK);
    return made->wanted;
}

static void done(struct writing *writing)
{
    struct made *made = (struct made *)writing;

    if (--*made->left == 0)
        event_base_loopbreak(made->base);
}

/* Some are refused and one fails: the rest is there after the commit, whatever stood beside it. */
static void writes_each_for_itself(void **state)
{
    struct fixture *fixture = *state;
    struct event_base *base = event_base_new();
    struct writer *writer = writer_new(base, fixture_open(fixture, DB_WRITE));
    struct made *made = xcalloc(MANY, sizeof(*made));
    struct db_customer found;
    unsigned left = MANY;

    for (unsigned i = 0; i < MANY; i++) {
        made[i] = (struct made){.writing = {.run = run, .done = done}, .base = base, .left = &left};
        made[i].writing.alone = i % 7 == 5;
        made[i].wanted = i == 77 ? DB_BROKEN : i % 10 == 3 ? DB_NONE : DB_OK;
        snprintf(made[i].name, sizeof(made[i].name), "c%u", i);
        assert_int_equal(writer_submit(writer, &made[i].writing), 0);
    }
    event_base_dispatch(base);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(made[i].writing.result, made[i].wanted);
        assert_true(made[i].runs == 1 || made[i].runs == 2);
        assert_int_equal(db_customer_find(fixture->db, made[i].name, &found),
                         made[i].wanted == DB_OK ? DB_OK : DB_NONE);
    }
    writer_free(writer);
    event_base_free(base);
    free(made);
}

/* What waits at the end is written and answered. */
static void ends_with_nothing_left(void **state)
{
    struct fixture *fixture = *state;
    struct event_base *base = event_base_new();
    struct writer *writer = writer_new(base, fixture_open(fixture, DB_WRITE));
    struct made *made = xcalloc(MANY, sizeof(*made));
    struct db_customer found;
    unsigned left = MANY;

    for (unsigned i = 0; i < MANY; i++) {
        made[i] = (struct made){.writing = {.run = run, .done = done}, .base = base, .left = &left};
        snprintf(made[i].name, sizeof(made[i].name), "c%u", i);
        assert_int_equal(writer_submit(writer, &made[i].writing), 0);
    }
    writer_free(writer);
    assert_int_equal(left, 0);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(db_customer_find(fixture->db, made[i].name, &found), DB_OK);
    event_base_free(base);
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(writes_each_for_itself),
        fixture_test(ends_with_nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
