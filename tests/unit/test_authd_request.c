/* Against a client and a checker that are faked here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "authd/check.h"
#include "authd/client.h"
#include "authd/report.h"
#include "authd/request.h"
#include "authd/service.h"
#include "lib/clock.h"
#include "lib/scramkeys.h"

static char answers[1000];
static bool hung_up;
static struct check *checked;

void client_answer(struct client *client, const char *format, ...)
{
    const size_t used = strlen(answers);
    va_list arguments;

    (void)client;
    va_start(arguments, format);
    vsnprintf(answers + used, sizeof(answers) - used, format, arguments);
    va_end(arguments);
}

bool client_hang_up(struct client *client)
{
    (void)client;
    hung_up = true;
    return true;
}

void report_event(struct report *report, const struct report_event *event)
{
    (void)report;
    (void)event;
}

void check_start(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *password, size_t password_length)
{
    (void)checker;
    (void)password;
    (void)password_length;
    memcpy(check->address, name, name_length);
    check->pending = (struct pending *)&checked; /* which is not NULL */
    checked = check;
}

void check_cancel(struct checker *checker, struct check *check)
{
    (void)checker;
    check->pending = NULL;
}

void check_token(struct checker *checker, struct check *check, const char *name, size_t name_length,
                 const char *token, size_t token_length)
{
    (void)checker;
    (void)check;
    (void)name;
    (void)name_length;
    (void)token;
    (void)token_length;
    fail();
}

void checker_issuer(struct checker *checker, const struct check *check,
                    char issuer_r[DB_ISSUER_MAX + 1])
{
    (void)checker;
    (void)check;
    issuer_r[0] = '\0';
    fail();
}

int check_keys(struct checker *checker, struct check *check, const char *name, size_t name_length,
               struct scramkeys *keys_r)
{
    (void)checker;
    (void)check;
    (void)name;
    (void)name_length;
    (void)keys_r;
    fail();
    return -1;
}

int check_may_know(struct checker *checker, struct check *check)
{
    (void)checker;
    (void)check;
    fail();
    return -1;
}

void check_proved(struct checker *checker, struct check *check, bool fits,
                  const uint8_t *stored_key)
{
    (void)checker;
    (void)check;
    (void)fits;
    (void)stored_key;
    fail();
}

static const struct service mail_servers = {
    .name = "auth", .hangs_up = true, .expires = true, .requests_max = 100};
static struct request_table table;

static int set_up(void **state)
{
    (void)state;
    table = (struct request_table){.service = &mail_servers};
    answers[0] = '\0';
    hung_up = false;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    request_cancel_all(&table);
    assert_null(table.requests);
    return 0;
}

/* With a password, it is being checked from then on. */
static void begin(const char *id, const char *password)
{
    char number[8];
    char response[64];
    const char *error;
    char *fields[] = {"AUTH", number, password != NULL ? "PLAIN" : "LOGIN", "service=smtp",
                      response};

    snprintf(number, sizeof(number), "%s", id);
    snprintf(response, sizeof(response), "resp=%s", password != NULL ? password : "");
    assert_int_equal(request_auth(&table, fields, password != NULL ? 5 : 4, &error), 0);
}

static void assert_answers(const char *expected)
{
    assert_string_equal(answers, expected);
    answers[0] = '\0';
}

#define A_PASSWORD "AGRlc2tAYQBwYXNzd29yZA==" /* of desk@a */
#define USERNAME   "VXNlcm5hbWU6"

static void end(enum check_result result)
{
    checked->pending = NULL;
    checked->reason = "a reason";
    checked->is_address = true;
    checked->done(checked, result);
}

/* Those that wait for a client which has gone; and none that waits for us. */
static void test_expiry(void **state)
{
    const char *error;
    char *proceed[] = {"CONT", "1", "ZGVza0Bh"};
    char *cancel[] = {"CANCEL", "1"};

    (void)state;
    const uint32_t now = clock_seconds();
    begin("1", NULL);
    begin("2", A_PASSWORD);
    assert_answers("CONT\t1\t" USERNAME "\n");
    request_expire(&table, now + REQUEST_SECONDS - 1);
    assert_int_equal(request_continue(&table, proceed, 3, &error), 0);
    assert_answers("CONT\t1\tUGFzc3dvcmQ6\n");
    request_expire(&table, clock_seconds() + REQUEST_SECONDS);
    assert_int_equal(request_cancel(&table, cancel, 2, &error), 0);
    assert_int_equal(request_continue(&table, proceed, 3, &error), -1);
    assert_non_null(table.requests);
    end(CHECK_WRONG);
    assert_answers("FAIL\t2\tuser=desk@a\n");
    assert_null(table.requests);
}

/* One that Postfix has left behind is nobody who would have to be told. */
static void test_hanging_up(void **state)
{
    (void)state;
    begin("1", NULL);
    begin("2", A_PASSWORD);
    assert_answers("CONT\t1\t" USERNAME "\n");
    end(CHECK_BUSY);
    assert_true(hung_up);
    assert_answers("");
}

static void test_in_company(void **state)
{
    (void)state;
    begin("1", A_PASSWORD);
    begin("2", A_PASSWORD);
    end(CHECK_BUSY);
    assert_false(hung_up);
    assert_answers("FAIL\t2\tuser=desk@a\ttemp\tcode=temp_fail"
                   "\treason=Too many logins at once, try again later.\n");
}

/* Who begins and breaks off again and again takes nobody's place who comes later. */
static void test_room(void **state)
{
    const char *error;
    char *proceed[] = {"CONT", "2", "ZGVza0Bh"};
    char id[8];

    (void)state;
    begin("1", A_PASSWORD);
    for (unsigned i = 2; i <= mail_servers.requests_max + 1; i++) {
        snprintf(id, sizeof(id), "%u", i);
        begin(id, NULL);
        assert_non_null(strstr(answers, "CONT"));
        answers[0] = '\0';
    }
    assert_int_equal(request_continue(&table, proceed, 3, &error), -1);
    end(CHECK_WRONG);
    assert_answers("FAIL\t1\tuser=desk@a\n");
    for (unsigned i = 0; i < mail_servers.requests_max; i++) {
        snprintf(id, sizeof(id), "%u", 1000 + i);
        begin(id, A_PASSWORD);
    }
    assert_answers("");
    begin("9", NULL);
    assert_answers("FAIL\t9\ttemp\tcode=temp_fail"
                   "\treason=Too many logins at once, try again later.\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hanging_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_company, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_room, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
