/* authd's lines, as pop3d reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pop3d/authline.h"

static enum auth_line parse(const char *text, uint32_t *id_r, struct auth_answer *answer_r,
                            struct auth_mechanism *mechanism_r)
{
    static char line[512];

    struct auth_told told;

    snprintf(line, sizeof(line), "%s", text);
    enum auth_line kind = authline_parse(line, &told);
    *id_r = told.id;
    *answer_r = told.answer;
    *mechanism_r = told.mechanism;
    return kind;
}

static void test_answers(void **state)
{
    static const struct {
        const char *line;
        uint32_t id;
        enum auth_outcome outcome;
    } cases[] = {
        {"FAIL\t7\tuser=a@b.example", 7, AUTH_REFUSED},
        {"FAIL\t7", 7, AUTH_REFUSED},
        {"FAIL\t7\tcode=authz_fail\treason=no", 7, AUTH_FOR_ANOTHER},
        {"FAIL\t7\tcode=malformed\treason=no", 7, AUTH_MALFORMED},
        {"FAIL\t7\tcode=invalid_base64", 7, AUTH_MALFORMED},
        {"FAIL\t7\tuser=x\ttemp", 7, AUTH_UNAVAILABLE},
        {"FAIL\t7\tcode=temp_fail", 7, AUTH_UNAVAILABLE},
        {"FAIL\t7\twait=15\ttemp\tcode=temp_fail", 7, AUTH_DELAYED},
        {"FAIL\t7\ttemp\tcode=temp_fail\twait=15", 7, AUTH_DELAYED},
        {"FAIL\t7\ttemp\twait=0", 7, AUTH_UNAVAILABLE},
        {"FAIL\t7\twait=15", 7, AUTH_REFUSED},
        {"FAIL\t7\ttemp\tcode=authz_fail", 7, AUTH_UNAVAILABLE},
        {"FAIL\t7\tuser=temp\treason=code=temp_fail", 7, AUTH_REFUSED},
        {"FAIL\t7\tuser=x\tcode=user_disabled", 7, AUTH_SUSPENDED},
        {"CONT\t4294967295\tVXNlcm5hbWU6", UINT32_MAX, AUTH_CHALLENGE},
        {"CONT\t1\t", 1, AUTH_CHALLENGE},
        {"CONT\t1", 1, AUTH_CHALLENGE},
    };
    struct auth_mechanism mechanism;
    struct auth_answer answer;
    uint32_t id;
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].line, &id, &answer, &mechanism), AUTH_LINE_ANSWER);
        assert_int_equal(id, cases[i].id);
        assert_int_equal(answer.outcome, cases[i].outcome);
    }
    assert_int_equal(parse("FAIL\t7\ttemp\twait=15", &id, &answer, &mechanism), AUTH_LINE_ANSWER);
    assert_int_equal(answer.seconds, 15);
    assert_int_equal(parse("FAIL\t7\ttemp\twait=-1", &id, &answer, &mechanism), AUTH_LINE_BAD);
    assert_int_equal(parse("CONT\t1\tVXNlcm5hbWU6", &id, &answer, &mechanism), AUTH_LINE_ANSWER);
    assert_string_equal(answer.challenge, "VXNlcm5hbWU6");
}

static void test_capability(void **state)
{
    const struct capability capability = {.mailbox = 12, .session = 34, .expires = 56};
    char text[CAPABILITY_TEXT_SIZE];
    char line[sizeof(text) + 64];
    struct auth_mechanism mechanism;
    struct auth_answer answer;
    uint32_t id;
    (void)state;

    capability_format(&capability, text);
    snprintf(line, sizeof(line), "OK\t3\tuser=a@b.example\tcap=%s", text);
    assert_int_equal(parse(line, &id, &answer, &mechanism), AUTH_LINE_ANSWER);
    assert_int_equal(answer.outcome, AUTH_OK);
    assert_int_equal(id, 3);
    assert_int_equal(answer.capability.mailbox, 12);
    assert_int_equal(answer.capability.session, 34);
    line[strlen(line) - 1] = '\0';
    assert_int_equal(parse(line, &id, &answer, &mechanism), AUTH_LINE_BAD);
}

static void test_plan(void **state)
{
    const struct capability capability = {.mailbox = 12, .delay = 60};
    char text[CAPABILITY_TEXT_SIZE];
    char line[sizeof(text) + 64];
    struct auth_told told;
    (void)state;

    capability_format(&capability, text);
    snprintf(line, sizeof(line), "OK\t3\tcap=%s\tretention=30\tlang=fr\tnew=1", text);
    assert_int_equal(authline_parse(line, &told), AUTH_LINE_ANSWER);
    assert_int_equal(told.answer.capability.delay, 60);
    assert_int_equal(told.answer.retention_days, 30);
    assert_int_equal(told.answer.language, LANGUAGE_FR);
    char plans[] = "PLANS\tretention=30,0\tnew=1\tpoll=0,4294967295\ttokens=yes";
    assert_int_equal(authline_parse(plans, &told), AUTH_LINE_PLANS);
    assert_true(told.plans.known && told.plans.tokens);
    assert_int_equal(told.plans.retention_least, 30);
    assert_int_equal(told.plans.retention_most, 0);
    assert_int_equal(told.plans.poll_least, 0);
    assert_true(told.plans.poll_most == UINT32_MAX);
}

static void test_bad(void **state)
{
    static const char *const lines[] = {
        "OK",
        "OK\t1",
        "OK\tx\tcap=00",
        "OK\t1\tuser=a",
        "OK\t1\tcap=",
        "OK\t4294967296\tuser=a",
        "FAIL",
        "FAIL\t",
        "FAIL\t-1",
        "CONT\t1\tnot base64",
        "CONT\t1\t+OK\r",
        "PLANS",
        "PLANS\tpoll=0,0",
        "PLANS\tpoll=0\tretention=0,0",
        "PLANS\tpoll=0,\tretention=0,0",
        "PLANS\tpoll=0,4294967296\tretention=0,0",
        "PLANS\tpoll=0,1,2\tretention=0,0",
        "MECH",
        "MECH\t",
        "MECH\tANAMETHATISLONGERTHAN20",
    };
    struct auth_mechanism mechanism;
    struct auth_answer answer;
    uint32_t id;
    (void)state;

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(parse(lines[i], &id, &answer, &mechanism), AUTH_LINE_BAD);
}

static void test_handshake(void **state)
{
    static const char *const others[] = {"VERSION\t1\t2", "SPID\t1", "CUID\t1", "COOKIE\tff", ""};
    struct auth_mechanism mechanism;
    struct auth_answer answer;
    uint32_t id;
    (void)state;

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(parse(others[i], &id, &answer, &mechanism), AUTH_LINE_OTHER);
    assert_int_equal(parse("DONE", &id, &answer, &mechanism), AUTH_LINE_DONE);
    assert_int_equal(parse("MECH\tPLAIN\tplaintext", &id, &answer, &mechanism),
                     AUTH_LINE_MECHANISM);
    assert_string_equal(mechanism.name, "PLAIN");
    assert_true(mechanism.plaintext);
    assert_int_equal(parse("MECH\tSCRAM-SHA-256\tmutual-auth", &id, &answer, &mechanism),
                     AUTH_LINE_MECHANISM);
    assert_string_equal(mechanism.name, "SCRAM-SHA-256");
    assert_false(mechanism.plaintext);
    assert_false(mechanism.binds);
    assert_int_equal(
        parse("MECH\tSCRAM-SHA-256-PLUS\tmutual-auth\tchannel-binding", &id, &answer, &mechanism),
        AUTH_LINE_MECHANISM);
    assert_string_equal(mechanism.name, "SCRAM-SHA-256-PLUS");
    assert_false(mechanism.plaintext);
    assert_true(mechanism.binds);
}

static void test_base64(void **state)
{
    static const char *const good[] = {"", "QQ==", "QUI=", "QUJD", "+/+/"};
    static const char *const bad[] = {"=",    "Q",        "QQ",    "QQ=",  "QQ===", "====",
                                      "Q=Q=", "QQ==QQ==", "QQ\t=", "QQ= ", "*",     "QUJ\xc3"};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(authline_is_base64(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(authline_is_base64(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),   cmocka_unit_test(test_capability),
        cmocka_unit_test(test_plan),      cmocka_unit_test(test_bad),
        cmocka_unit_test(test_handshake), cmocka_unit_test(test_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
