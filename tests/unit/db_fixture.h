#ifndef TESTS_UNIT_DB_FIXTURE_H
#define TESTS_UNIT_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "db/customer.h"
#include "db/domain.h"
#include "db/mailaddress.h"
#include "db/schema.h"
#include "lib/xalloc.h"
#include "tests/unit/scratch.h"

/*
 * A new database in a folder of its own, with two customers: ours with ours.example, theirs with
 * theirs.example, both on the plan house. Each test has its own.
 */

struct fixture {
    const char *path;
    struct db *db;
    uint64_t ours;
    uint64_t theirs;
};

static inline struct address fixture_address(const char *text)
{
    struct address address;
    const char *at = strrchr(text, '@');
    assert_non_null(at);
    snprintf(address.text, sizeof(address.text), "%s", text);
    snprintf(address.local, sizeof(address.local), "%.*s", (int)(at - text), text);
    snprintf(address.domain, sizeof(address.domain), "%s", at + 1);
    return address;
}

static inline enum db_result fixture_add(struct db *db, uint64_t customer, const char *text,
                                         uint64_t *mailbox_r)
{
    struct db_mailaddress_new new = {.address = fixture_address(text), .name = ""};
    return db_mailaddress_add(db, customer, &new, mailbox_r);
}

static inline struct db *fixture_open(const struct fixture *fixture, enum db_mode mode)
{
    char error[512] = "";
    struct db *db = db_open(fixture->path, mode, error, sizeof(error));
    if (db == NULL) {
        fail_msg("%s", error);
    }
    return db;
}

static inline int fixture_set_up(void **state)
{
    char error[512] = "";
    unsigned from = 99;
    assert_int_equal(scratch_enter(state), 0);
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    fixture->path = "accounts.db";
    assert_int_equal(db_schema_apply(fixture->path, &from, error, sizeof(error)), 0);
    assert_int_equal(from, 0);

    fixture->db = fixture_open(fixture, DB_WRITE);
    assert_int_equal(db_customer_add(fixture->db, "ours", "house", &fixture->ours), DB_OK);
    assert_int_equal(db_customer_add(fixture->db, "theirs", "house", &fixture->theirs), DB_OK);
    assert_int_equal(db_domain_add(fixture->db, fixture->ours, "ours.example"), DB_OK);
    assert_int_equal(db_domain_add(fixture->db, fixture->theirs, "theirs.example"), DB_OK);
    *state = fixture;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;
    db_close(fixture->db);
    free(fixture);
    return scratch_leave(state);
}

#define fixture_test(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, fixture_set_up, fixture_tear_down)

#endif
