#include "tests/unit/db_fixture.h"

#include <sqlite3.h>

#include "db/adminuser.h"
#include "db/alias.h"
#include "db/apikey.h"
#include "db/apppassword.h"
#include "db/handle.h"
#include "db/issuer.h"
#include "db/job.h"
#include "db/pagesession.h"
#include "db/secondfactor.h"
#include "db/statement.h"
#include "db/trusted.h"
#include "db/webhook.h"

/*
 * Walks the table of statements. Each tenant statement runs with everything right, then with all
 * the same values but another customer: it must do something, then nothing. A new tenant statement
 * without a row here fails the test.
 */

enum kind { NOTHING, TEXT, NUMBER, DIGEST, OTHER, SECRET, MAILBOX, ALIAS, SECOND, ADMIN };

struct value {
    enum kind kind;
    const char *text;
    uint64_t number;
};

#define T(text)                                                                                    \
    {                                                                                              \
        TEXT, text, 0                                                                              \
    }
#define N(number)                                                                                  \
    {                                                                                              \
        NUMBER, NULL, number                                                                       \
    }
#define K(kind)                                                                                    \
    {                                                                                              \
        kind, NULL, 0                                                                              \
    }

static const uint8_t digest[DB_DIGEST_SIZE] = {7}, other[DB_DIGEST_SIZE] = {8};

/* The values of ?2 and so on: a@ours.example has a mailbox, alone@ours.example leads to it alone.
 * The removal 1 is an address's, the removal 2 a domain's.
 */
static const struct tenant_case {
    enum statement_id id;
    bool itself; /* ?1 alone names the row, so a foreign customer is one that does not exist */
    struct value values[8];
} cases[] = {
    {STATEMENT_CUSTOMER_GET, true, {K(NOTHING)}},
    {STATEMENT_CUSTOMER_SET_PLAN, true, {T("chain"), T("keep")}},
    {STATEMENT_CUSTOMER_SET_NAME, true, {T("renamed")}},
    {STATEMENT_CUSTOMER_SET_LANGUAGE, true, {T("de")}},
    {STATEMENT_CUSTOMER_SET_SUSPENDED, true, {N(1)}},
    {STATEMENT_CUSTOMER_USE, true, {T("chain")}},
    {STATEMENT_DOMAIN_SET_CATCH_ALL, false, {T("ours.example"), T("ours.example"), T("a")}},
    {STATEMENT_DOMAIN_NEXT, false, {T("")}},
    {STATEMENT_MAILBOX_FIND, false, {T("ours.example"), T("a")}},
    {STATEMENT_MAILBOX_SET_NAME, false, {K(MAILBOX), T("x")}},
    {STATEMENT_MAILBOX_SET_SETTINGS, false, {K(MAILBOX), N(1), T("de"), N(0), N(0)}},
    {STATEMENT_MAILBOX_SET_SUSPENDED, false, {K(MAILBOX), N(1)}},
    {STATEMENT_MAILBOX_LIST, false, {N(0), N(9)}},
    {STATEMENT_LOGOUT_MAILBOX, false, {K(MAILBOX)}},
    {STATEMENT_LOGOUT_CUSTOMER, true, {K(NOTHING)}},
    {STATEMENT_CREDENTIAL_SET, false, {K(MAILBOX), T("x"), T("y")}},
    {STATEMENT_CREDENTIAL_REMOVE, false, {K(MAILBOX)}},
    {STATEMENT_CREDENTIAL_NEXT, false, {N(0)}},
    {STATEMENT_APP_PASSWORD_ADD, false, {K(MAILBOX), T("new"), K(DIGEST), N(1), N(0), N(0)}},
    {STATEMENT_APP_PASSWORD_REMOVE, false, {K(MAILBOX), T("phone")}},
    {STATEMENT_APP_PASSWORD_NEXT, false, {K(MAILBOX), T("")}},
    {STATEMENT_INVITATION_SET, false, {K(MAILBOX), K(DIGEST), N(9)}},
    {STATEMENT_INVITATION_REMOVE, false, {K(MAILBOX)}},
    {STATEMENT_ADDRESS_PLACE, false, {T("ours.example")}},
    {STATEMENT_MAILADDRESS_BEHIND, false, {T("ours.example"), T("")}},
    {STATEMENT_MAILADDRESS_NEXT, false, {T("")}},
    {STATEMENT_ALIAS_FIND, false, {T("ours.example"), T("alone")}},
    {STATEMENT_TARGET_ADD, false, {K(ALIAS), K(SECOND)}},
    {STATEMENT_TARGET_REMOVE, false, {K(ALIAS), K(MAILBOX)}},
    {STATEMENT_TARGETS_FORGET, false, {K(ALIAS)}},
    {STATEMENT_TARGET_NEXT, false, {K(ALIAS), T(""), T("")}},
    {STATEMENT_OVERPLAN_LIMITS, true, {T("single")}},
    {STATEMENT_OVERPLAN_PREVIEW, true, {T("single")}},
    {STATEMENT_OVERPLAN_FIT, true, {K(NOTHING)}},
    {STATEMENT_REMOVE_CUSTOMER, true, {N(1)}},
    {STATEMENT_REMOVE_DOMAINS, false, {N(1)}},
    {STATEMENT_REMOVE_DOMAIN, false, {N(1), T("ours.example")}},
    {STATEMENT_REMOVE_ADDRESSES, false, {N(1)}},
    {STATEMENT_REMOVE_DOMAIN_ADDRESSES, false, {N(1), T("ours.example")}},
    {STATEMENT_REMOVE_ADDRESS, false, {N(1), T("ours.example"), T("a")}},
    {STATEMENT_REMOVE_MAILBOXES, false, {N(1)}},
    {STATEMENT_REMOVE_ALIAS, false, {N(1)}},
    {STATEMENT_RESTORE_CUSTOMER, true, {N(1)}},
    {STATEMENT_RESTORE_DOMAINS, false, {N(2)}},
    {STATEMENT_RESTORE_MAILBOXES, false, {N(1)}},
    {STATEMENT_RESTORE_ADDRESSES, false, {N(1)}},
    {STATEMENT_REMOVAL_HAND_ON, false, {N(1)}},
    {STATEMENT_PURGE_CUSTOMER, true, {N(1)}},
    {STATEMENT_PURGE_DOMAINS, false, {N(2)}},
    {STATEMENT_PURGE_ADDRESSES, false, {N(1), N(9)}},
    {STATEMENT_PURGE_DOMAIN_ADDRESSES, false, {N(2), N(9)}},
    {STATEMENT_PURGE_CUSTOMER_ADDRESSES, true, {N(1), N(9)}},
    {STATEMENT_PURGE_CUSTOMER_DOMAINS, true, {N(1), N(9)}},
    {STATEMENT_PURGE_CUSTOMER_REMOVALS, true, {N(1), N(9)}},
    {STATEMENT_PURGE_CUSTOMER_JOB_PARTS, true, {N(1), N(9)}},
    {STATEMENT_PURGE_CUSTOMER_JOB_ERRORS, true, {N(1), N(9)}},
    {STATEMENT_REMOVAL_PURGE, false, {N(1)}},
    {STATEMENT_REMOVAL_END, false, {N(1)}},
    {STATEMENT_REMOVAL_NEXT, false, {N(0)}},
    {STATEMENT_PERSON_NAME, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_SECOND_FACTOR_BEGIN, false, {K(NOTHING), K(SECOND), K(SECRET)}},
    {STATEMENT_SECOND_FACTOR_FIND, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_SECOND_FACTOR_CONFIRM, false, {K(NOTHING), K(MAILBOX), N(1)}},
    {STATEMENT_SECOND_FACTOR_TAKE, false, {K(NOTHING), K(MAILBOX), N(1)}},
    {STATEMENT_SECOND_FACTOR_WRONG, false, {K(NOTHING), K(MAILBOX), N(1), N(2)}},
    {STATEMENT_SECOND_FACTOR_REMOVE, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_RECOVERY_CODE_ADD, false, {K(NOTHING), K(MAILBOX), K(OTHER)}},
    {STATEMENT_RECOVERY_CODE_TAKE, false, {K(NOTHING), K(MAILBOX), K(DIGEST)}},
    {STATEMENT_RECOVERY_CODES_REMOVE, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_PAGE_SESSION_ADD,
     false,
     {K(NOTHING), K(MAILBOX), K(OTHER), N(1), N(9), T("192.0.2.1"), T("")}},
    {STATEMENT_PAGE_SESSION_NEXT, false, {K(NOTHING), K(MAILBOX), N(1), N(INT64_MAX), K(DIGEST)}},
    {STATEMENT_PAGE_SESSION_END, false, {K(NOTHING), K(MAILBOX), K(DIGEST)}},
    {STATEMENT_PAGE_SESSIONS_END, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_PAGE_SESSION_MAKE_ROOM, false, {K(NOTHING), K(MAILBOX), N(0)}},
    {STATEMENT_PERSON_FIND, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_PERSON_HASH, false, {K(NOTHING), K(MAILBOX)}},
    {STATEMENT_ADMIN_USER_GET, false, {K(ADMIN)}},
    {STATEMENT_ADMIN_USER_NEXT, false, {N(0)}},
    {STATEMENT_ADMIN_USER_SET, false, {K(ADMIN), T("x"), T("admin"), N(1)}},
    {STATEMENT_ADMIN_USER_SET_HASH, false, {K(ADMIN), T("x")}},
    {STATEMENT_ADMIN_USER_REMOVE, false, {K(ADMIN)}},
    {STATEMENT_ADMIN_INVITATION_SET, false, {K(ADMIN), K(OTHER), N(9)}},
    {STATEMENT_ADMIN_INVITATION_REMOVE, false, {K(ADMIN)}},
    {STATEMENT_API_KEY_ADD,
     false,
     {T("new"), T("admin"), K(OTHER), T(""), N(0), N(0), T("ours.example"), N(0)}},
    {STATEMENT_API_KEY_GET, false, {N(1)}},
    {STATEMENT_API_KEY_NEXT, false, {N(0)}},
    {STATEMENT_API_KEY_SET, false, {N(1), T("desk"), T("helpdesk"), T(""), N(0), N(0)}},
    {STATEMENT_API_KEY_REMOVE, false, {N(1)}},
    {STATEMENT_API_KEY_USED, false, {N(1), N(9), T("192.0.2.1")}},
    {STATEMENT_TRUSTED_ADD, true, {T("198.51.100.7")}},
    {STATEMENT_TRUSTED_REMOVE, false, {T("192.0.2.0/24")}},
    {STATEMENT_TRUSTED_NEXT, false, {T("")}},
    {STATEMENT_ISSUER_ADD, true, {T("https://new.example"), T("mail"), T("email")}},
    {STATEMENT_ISSUER_REMOVE, false, {T("https://id.example")}},
    {STATEMENT_ISSUER_NEXT, false, {T("")}},
    {STATEMENT_ISSUER_FIND, false, {T("https://id.example")}},
    {STATEMENT_ISSUER_IS_LIVE, false, {N(1)}},
    {STATEMENT_ISSUER_KEYS, false, {N(1)}},
    {STATEMENT_ISSUER_TRY, false, {N(1), N(5), N(6)}},
    {STATEMENT_ISSUER_FETCHED, false, {N(1), T("{}"), N(5), N(6)}},
    {STATEMENT_ISSUER_FAILED, false, {N(1), T("away"), N(6)}},
    {STATEMENT_ISSUER_WANTED, false, {N(1), N(50), N(5)}},
    {STATEMENT_JOB_GET, false, {N(1)}},
    {STATEMENT_JOB_NEXT, false, {N(INT64_MAX)}},
    {STATEMENT_AUDIT_NEXT, false, {N(INT64_MAX)}},
    {STATEMENT_AUDIT_FOLLOW, false, {N(0)}},
    {STATEMENT_WEBHOOK_NEXT, false, {N(0)}},
    {STATEMENT_OUTBOX_NEXT, false, {N(0)}},
    {STATEMENT_OUTBOX_WAITING, false, {N(0), N(9)}},
    {STATEMENT_EVENT_COUNT, false, {N(2), K(MAILBOX), T("login"), N(9), N(9)}},
    {STATEMENT_EVENT_MAKE_ROOM, false, {K(MAILBOX), N(0), N(0)}},
    {STATEMENT_EVENT_LIMIT, false, {N(1)}},
    {STATEMENT_EVENT_PRUNE, false, {N(2), N(9)}},
    {STATEMENT_EVENT_SUM, false, {N(1), N(9)}},
    {STATEMENT_EVENT_NEXT, false, {N(INT64_MAX)}},
    {STATEMENT_EVENT_MAILBOX_NEXT, false, {K(MAILBOX), N(INT64_MAX)}},
    {STATEMENT_NOTE_UPGRADE, false, {K(MAILBOX), T("x"), T("y")}},
    {STATEMENT_NOTE_SCRAM, false, {K(MAILBOX), T("x"), T("y")}},
    {STATEMENT_NOTE_USED, false, {N(1), N(9), T("192.0.2.1")}},
};

/* What must have happened before some of them do anything, undone after it. */
#define A_REMOVED                                                                                  \
    "UPDATE any_mailbox SET removed = 1 WHERE id = (SELECT address.mailbox FROM address"           \
    "    JOIN domain ON domain.id = address.domain WHERE domain.name = 'ours.example'"             \
    "    AND address.local = 'a')"

static const struct {
    enum statement_id id;
    const char *sql;
} before[] = {
    {STATEMENT_TARGETS_FORGET, A_REMOVED},
    {STATEMENT_OVERPLAN_FIT,
     "UPDATE any_customer SET over_plan = 'suspend'; UPDATE plan SET addresses = 1"},
    {STATEMENT_REMOVE_MAILBOXES, "UPDATE any_address SET removed = 1 WHERE local = 'a'"},
    {STATEMENT_REMOVE_ALIAS, A_REMOVED},
    {STATEMENT_RESTORE_CUSTOMER, "UPDATE any_customer SET removed = 1 WHERE name = 'ours'"},
    {STATEMENT_PURGE_CUSTOMER, "UPDATE any_customer SET removed = 1 WHERE name = 'ours'"},
    {STATEMENT_PURGE_DOMAIN_ADDRESSES,
     "UPDATE any_domain SET removed = 2 WHERE name = 'ours.example';"
     "UPDATE any_address SET removed = 1 WHERE local = 'a'"},
    {STATEMENT_PURGE_CUSTOMER_ADDRESSES, "UPDATE any_customer SET removed = 1 WHERE name = 'ours'"},
    {STATEMENT_PURGE_CUSTOMER_DOMAINS, "UPDATE any_customer SET removed = 1 WHERE name = 'ours'"},
    {STATEMENT_PURGE_CUSTOMER_REMOVALS, "UPDATE any_customer SET removed = 1 WHERE name = 'ours';"
                                        "UPDATE any_address SET removed = 1 WHERE removed = 2;"
                                        "UPDATE any_mailbox SET removed = 1 WHERE removed = 2;"
                                        "UPDATE any_domain SET removed = 1 WHERE removed = 2"},
    {STATEMENT_PURGE_CUSTOMER_JOB_PARTS, "UPDATE any_customer SET removed = 1 WHERE name = 'ours';"
                                         "UPDATE job SET ended = 1;"
                                         "INSERT INTO job_part SELECT id, 1, x'00' FROM job"},
    {STATEMENT_PURGE_CUSTOMER_JOB_ERRORS,
     "UPDATE any_customer SET removed = 1 WHERE name = 'ours'; UPDATE job SET ended = 1;"
     "INSERT INTO job_error SELECT id, 1, 1, 1, '', 'x', 'x' FROM job"},
    {STATEMENT_REMOVAL_END,
     "UPDATE any_address SET removed = NULL; UPDATE any_mailbox SET removed = NULL"},
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

struct world {
    struct fixture *fixture;
    struct sqlite3 *sqlite;
    uint64_t foreign; /* a customer that has nothing of its own */
    uint64_t mailbox;
    uint64_t second;
    uint64_t admin;
    uint64_t alias;
};

static int64_t ask(struct sqlite3 *sqlite, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void execute(struct sqlite3 *sqlite, const char *sql)
{
    assert_int_equal(sqlite3_exec(sqlite, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Two of a mailbox's. */
static void add_events(struct world *world)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "INSERT INTO event SELECT 1, 1, customer, id, '', 'login', 0, '', '', '', '', '', 1"
             "    FROM mailbox WHERE id = %d;"
             "INSERT INTO event SELECT 2, 1, customer, id, '', 'login', 0, '', '', '', '', '', 1"
             "    FROM mailbox WHERE id = %d",
             (int)world->mailbox, (int)world->mailbox);
    execute(world->sqlite, sql);
}

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    fixture_set_up((void **)&world->fixture);
    struct fixture *fixture = world->fixture;
    struct db *db = fixture->db;
    struct address a = fixture_address("a@ours.example");
    struct address alone = fixture_address("alone@ours.example");
    world->sqlite = db->sqlite;
    assert_int_equal(fixture_add(db, fixture->ours, "a@ours.example", &world->mailbox), DB_OK);
    assert_int_equal(fixture_add(db, fixture->ours, "b@ours.example", &world->second), DB_OK);
    assert_int_equal(fixture_add(db, fixture->theirs, "a@theirs.example", NULL), DB_OK);
    assert_int_equal(db_alias_add(db, fixture->ours, &alone, &a, 1), DB_OK);
    assert_int_equal(db_mailaddress_set_hash(db, fixture->ours, &a, "x", NULL), DB_OK);
    assert_int_equal(db_mailaddress_invite(db, fixture->ours, &a, digest, 9), DB_OK);
    const struct db_person person = {.customer = fixture->ours, .mailbox = world->mailbox};
    const struct db_page_session session = {.digest = {7}, .person = person, .expires = 9};
    assert_int_equal(db_second_factor_begin(db, &person, digest), DB_OK);
    assert_int_equal(db_second_factor_recovery_codes(db, &person, &digest, 1), DB_OK);
    assert_int_equal(db_page_session_add(db, &session), DB_OK);
    struct db_page_session newer = {.digest = {9}, .person = person, .created = 2, .expires = 9};
    assert_int_equal(db_page_session_add(db, &newer), DB_OK);
    struct db_admin_user user = {.customer = fixture->ours, .role = DB_ROLE_HELPDESK};
    assert_int_equal(db_admin_user_add(db, &user, "anna", digest, 9), DB_OK);
    world->admin = user.id;
    uint64_t webhook;
    assert_int_equal(
        db_webhook_add(db, fixture->ours, "https://ours.example/", "*", digest, &webhook), DB_OK);
    assert_int_equal(db_trusted_add(db, fixture->ours, "192.0.2.0/24"), DB_OK);
    const struct db_api_key key = {
        .name = "panel", .role = DB_ROLE_ADMIN, .customer = fixture->ours};
    assert_int_equal(db_api_key_add(db, &key, digest, NULL), DB_OK);
    const struct db_issuer issuer = {
        .issuer = "https://id.example", .audience = "mail", .claim = "email"};
    assert_int_equal(db_issuer_add(db, fixture->ours, &issuer), DB_OK);
    assert_int_equal(db_issuer_fetched(db, fixture->ours, 1, "{}", 1, 100), DB_OK);
    struct db_job job = {.customer = fixture->ours};
    assert_int_equal(db_job_begin(db, &job), DB_OK);
    assert_int_equal(db_job_start(db, fixture->ours, job.id), DB_OK);
    const struct db_app_password phone = {.name = "phone", .pop3 = true};
    const uint8_t phones[APPPASSWORD_DIGEST_SIZE] = {8};
    assert_int_equal(db_app_password_add(db, fixture->ours, &a, &phone, phones), DB_OK);
    const struct address gone = fixture_address("gone@ours.example");
    assert_int_equal(fixture_add(db, fixture->ours, "gone@ours.example", NULL), DB_OK);
    assert_int_equal(db_mailaddress_remove(db, fixture->ours, &gone, 9), DB_OK);
    assert_int_equal(db_domain_add(db, fixture->ours, "gone.example"), DB_OK);
    assert_int_equal(db_domain_remove(db, fixture->ours, "gone.example", 9), DB_OK);
    world->alias = (uint64_t)ask(world->sqlite, "SELECT id FROM address WHERE mailbox IS NULL");
    /* Not by db_customer_add(): it would have an audit row. */
    execute(world->sqlite, "INSERT INTO any_customer (name, plan, created)"
                           " SELECT 'foreign', id, 1 FROM plan WHERE name = 'house'");
    world->foreign = (uint64_t)sqlite3_last_insert_rowid(world->sqlite);
    add_events(world);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    void *fixture = world->fixture;
    free(world);
    return fixture_tear_down(&fixture);
}

static void bind_value(struct sqlite3_stmt *statement, int index, const struct value *value,
                       const struct world *world)
{
    switch (value->kind) {
    case NOTHING: break;
    case TEXT: statement_bind_text(statement, index, value->text); break;
    case NUMBER: statement_bind_number(statement, index, value->number); break;
    case DIGEST: statement_bind_blob(statement, index, digest, sizeof(digest)); break;
    case OTHER: statement_bind_blob(statement, index, other, sizeof(other)); break;
    case SECRET: statement_bind_blob(statement, index, digest, 20); break;
    case MAILBOX: statement_bind_number(statement, index, world->mailbox); break;
    case ALIAS: statement_bind_number(statement, index, world->alias); break;
    case SECOND: statement_bind_number(statement, index, world->second); break;
    case ADMIN: statement_bind_number(statement, index, world->admin); break;
    }
}

/* How many rows it returned and changed, all of which is undone. */
static int64_t effect(struct world *world, const struct tenant_case *tenant, uint64_t customer)
{
    struct db *db = world->fixture->db;
    int64_t rows = 0;
    execute(world->sqlite, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        if (before[i].id == tenant->id) {
            execute(world->sqlite, before[i].sql);
        }
    }
    int64_t changed = sqlite3_total_changes64(world->sqlite);
    struct sqlite3_stmt *statement = statement_get(db, tenant->id);
    statement_bind_number(statement, 1, customer);
    for (int i = 0; i < 8; i++) {
        bind_value(statement, i + 2, &tenant->values[i], world);
    }
    enum db_result result = statement_row(db, statement);
    while (result == DB_OK) {
        rows++;
        result = statement_row(db, statement);
    }
    assert_int_equal(result, DB_NONE);
    int64_t changes = sqlite3_total_changes64(world->sqlite) - changed;
    execute(world->sqlite, "ROLLBACK");
    return rows + changes;
}

static void keeps_tenants_apart(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < CASES; i++) {
        const char *name = statements[cases[i].id].name;
        uint64_t foreign = cases[i].itself ? 999 : world->foreign;
        if (effect(world, &cases[i], world->fixture->ours) == 0) {
            fail_msg("%s does nothing for its own customer: the case proves nothing", name);
        }
        if (effect(world, &cases[i], foreign) != 0 || effect(world, &cases[i], 0) != 0) {
            fail_msg("%s does something for a foreign customer", name);
        }
    }
}

static void has_a_case_for_each_tenant_statement(void **state)
{
    (void)state;
    for (unsigned id = 0; id < STATEMENT__MAX; id++) {
        unsigned found = 0;
        for (size_t i = 0; i < CASES; i++) {
            found += cases[i].id == id;
        }
        assert_non_null(statements[id].sql);
        if (found != (statements[id].scope == STATEMENT_TENANT)) {
            fail_msg("%s has %u cases", statements[id].name, found);
        }
    }
}

/* A statement that makes a row of the customer's own changes nothing that was there before. */
static void only_adds_with_notes(void **state)
{
    struct world *world = *state;
    for (unsigned id = 0; id < STATEMENT__MAX; id++) {
        const char *sql = statements[id].sql;
        if (statements[id].scope == STATEMENT_NOTES) {
            assert_int_equal(strncmp(sql, "INSERT INTO ", 12), 0);
            assert_null(strstr(sql, "CONFLICT"));
            assert_non_null(strstr(sql, "?1"));
        }
    }
    assert_int_equal(db_domain_add(world->fixture->db, world->foreign, "ours.example"), DB_TAKEN);
}

/* Also what no statement does, the tables themselves refuse. */
static void joins_no_two_customers(void **state)
{
    static const char *const attempts[] = {
        "UPDATE any_domain SET customer = customer + 1 WHERE name = 'ours.example'",
        "UPDATE any_address SET customer = customer + 1 WHERE local = 'b'",
        "UPDATE any_address SET mailbox = (SELECT mailbox FROM address JOIN domain"
        "    ON domain.id = address.domain WHERE domain.name = 'theirs.example') WHERE local = 'b'",
        "UPDATE address_target SET mailbox = (SELECT mailbox FROM address JOIN domain"
        "    ON domain.id = address.domain WHERE domain.name = 'theirs.example')",
        "INSERT INTO address_target SELECT alias.id, theirs.mailbox, alias.customer"
        "    FROM address AS alias, address AS theirs JOIN domain ON domain.id = theirs.domain"
        "    WHERE alias.mailbox IS NULL AND domain.name = 'theirs.example'",
        "INSERT INTO address_target SELECT id, mailbox, customer FROM address WHERE local = 'b'",
        "UPDATE credential SET customer = customer + 1",
        "UPDATE any_domain SET catch_all = (SELECT address.id FROM address JOIN domain"
        "    ON domain.id = address.domain WHERE domain.name = 'theirs.example')"
        "    WHERE name = 'ours.example'",
        "DELETE FROM plan WHERE name = 'house'",
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int code = sqlite3_exec(world->sqlite, attempts[i], NULL, NULL, NULL);
        if (code != SQLITE_CONSTRAINT && (code & 0xff) != SQLITE_CONSTRAINT) {
            fail_msg("%s: %s", attempts[i], sqlite3_errmsg(world->sqlite));
        }
    }
    assert_int_equal(ask(world->sqlite, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* The step of a statement's plan that reads a table from end to end or sorts, or NULL. */
static const char *slow_step(struct sqlite3 *sqlite, const char *sql, char *step, size_t size)
{
    char explain[2048];
    sqlite3_stmt *plan;
    const char *found = NULL;
    assert_true(snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql) <
                (int)sizeof(explain));
    assert_int_equal(sqlite3_prepare_v2(sqlite, explain, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW && found == NULL) {
        snprintf(step, size, "%s", (const char *)sqlite3_column_text(plan, 3));
        /* What a subquery gives is told by steps of its own. */
        bool table = strncmp(step, "SCAN ", 5) == 0 && strcmp(step, "SCAN CONSTANT ROW") != 0 &&
                     strncmp(step, "SCAN (subquery", 14) != 0;
        if (table || strstr(step, "TEMP B-TREE") != NULL) {
            found = step;
        }
    }
    sqlite3_finalize(plan);
    return found;
}

/* Sorts what one customer has, at a change of its plan or when an address goes. */
static bool ranks_all_of_a_customer(enum statement_id id)
{
    return id == STATEMENT_OVERPLAN_PREVIEW || id == STATEMENT_OVERPLAN_FIT;
}

static void finds_everything_by_index(void **state)
{
    struct world *world = *state;
    for (unsigned id = 0; id < STATEMENT__MAX; id++) {
        char step[200];
        /* Sorts the targets of one alias, at most DB_ROUTE_MAX; counts the rows of whole tables. */
        if (statements[id].scope == STATEMENT_CONTROL || id == STATEMENT_TARGET_NEXT ||
            ranks_all_of_a_customer((enum statement_id)id) || id == STATEMENT_OPERATOR_COUNT) {
            continue;
        }
        if (slow_step(world->sqlite, statements[id].sql, step, sizeof(step)) != NULL) {
            fail_msg("%s: %s", statements[id].name, step);
        }
    }
}

/* The tables that hold what was removed, too. */
static const char *const any[] = {"any_customer", "any_domain", "any_mailbox", "any_address"};

#define ANY (sizeof(any) / sizeof(any[0]))

struct reading {
    bool table[ANY];   /* read without its view */
    bool removed[ANY]; /* ... with a look at whether it was removed */
};

static int note_reading(void *context, int action, const char *table, const char *column,
                        const char *database, const char *inner)
{
    struct reading *reading = context;
    (void)database;
    for (size_t i = 0; i < ANY && action == SQLITE_READ && inner == NULL; i++) {
        if (strcmp(table, any[i]) == 0) {
            reading->table[i] = true;
            reading->removed[i] |= strcmp(column, "removed") == 0;
        }
    }
    return SQLITE_OK;
}

/* What speaks of a removal shows whose it was, so does the audit, and who comes back has a plan. */
static bool names_removed_things(const char *name)
{
    static const char *const names[] = {
        "removal_find",          "removal_next",    "removal_due",
        "operator_removal_next", "remove_alias",    "changes_domain",
        "changes_mailbox",       "changes_address", "plan_remove"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void does_not_forget_what_was_removed(void **state)
{
    struct world *world = *state;
    bool seen = false;
    /* Or what they make SQLite read would be among it. */
    execute(world->sqlite, "PRAGMA foreign_keys = OFF");
    for (unsigned id = 0; id < STATEMENT__MAX; id++) {
        struct reading reading = {0};
        sqlite3_stmt *statement;
        sqlite3_set_authorizer(world->sqlite, note_reading, &reading);
        assert_int_equal(
            sqlite3_prepare_v2(world->sqlite, statements[id].sql, -1, &statement, NULL), SQLITE_OK);
        sqlite3_finalize(statement);
        for (size_t i = 0; i < ANY; i++) {
            seen |= reading.table[i];
            if (reading.table[i] && !reading.removed[i] &&
                !names_removed_things(statements[id].name)) {
                fail_msg("%s reads %s and does not look whether it was removed",
                         statements[id].name, any[i]);
            }
        }
    }
    sqlite3_set_authorizer(world->sqlite, NULL, NULL);
    assert_true(seen);
}

static void says_what_it_reads(void **state)
{
    (void)state;
    for (unsigned id = 0; id < STATEMENT__MAX; id++) {
        assert_null(strstr(statements[id].sql, "SELECT *"));
        assert_null(strstr(statements[id].sql, "%"));
    }
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(keeps_tenants_apart),
        cmocka_unit_test(has_a_case_for_each_tenant_statement),
        world_test(only_adds_with_notes),
        world_test(joins_no_two_customers),
        world_test(finds_everything_by_index),
        world_test(does_not_forget_what_was_removed),
        cmocka_unit_test(says_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
