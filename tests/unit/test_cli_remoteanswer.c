/* What the API answers, as the command line reads it from elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/remoteanswer.h"

union row {
    struct db_plan plan;
    struct db_customer customer;
    struct db_domain domain;
    struct db_mailaddress address;
    struct db_app_password app_password;
    struct db_api_key api_key;
    struct db_issuer issuer;
    struct db_removal removal;
    struct db_event event;
    struct db_trusted trusted;
    struct db_webhook webhook;
    struct db_overplan_preview preview;
};

#define READ(name)                                                                                 \
    static int read_##name(const json_t *object, union row *row_r)                                 \
    {                                                                                              \
        return remoteanswer_##name(object, &row_r->name);                                          \
    }

READ(plan)
READ(customer)
READ(domain)
READ(address)
READ(app_password)
READ(api_key)
READ(issuer)
READ(removal)
READ(event)
READ(trusted)
READ(webhook)
READ(preview)

/* All members that each reads, and none else. */
static const struct {
    int (*read)(const json_t *object, union row *row_r);
    const char *text;
} answers[] = {
    {read_plan, "{'name':'house','addresses':5,'domains':1,'quota_bytes':1073741824,"
                "'quota_messages':10000,'message_bytes':52428800,'retention_days':0,"
                "'poll_seconds':0,'protection':'mark','sending':true,'catch_all':false}"},
    {read_customer, "{'id':7,'name':'Zum L\xc3\xb6wen','plan':'inn','language':'de',"
                    "'over_plan':'keep','suspended':true,'suspended_mail':'defer','domains':1,"
                    "'addresses':2,'created':'2026-11-22T08:00:00Z'}"},
    {read_domain, "{'domain':'a.example','customer':7,'customer_name':'A','addresses':2,"
                  "'catch_all':null,'created':'2026-11-22T08:00:00Z'}"},
    {read_address, "{'address':'a@a.example','customer':7,'customer_name':'A','name':'',"
                   "'suspended':false,'suspended_mail':null,'over_plan':false,'password':true,"
                   "'invited_until':null,'targets':null,'quota_bytes':null,'language':'fr',"
                   "'pop3':true,'smtp':false,'created':'2026-11-22T08:00:00Z'}"},
    {read_app_password, "{'name':'phone','pop3':true,'smtp':true,'expires':null,"
                        "'created':'2026-11-22T08:00:00Z','used':null,'used_address':null}"},
    {read_api_key, "{'id':1,'name':'panel','role':'admin','customer':7,'customer_name':'A',"
                   "'domain':null,'address':null,'networks':['192.0.2.1','2001:db8::/32'],'rate':5,"
                   "'expires':null,'created':'2026-11-22T08:00:00Z','used':null,"
                   "'used_address':null}"},
    {read_issuer, "{'issuer':'https://login.example','audience':'mail','claim':'email',"
                  "'created':'2026-11-22T08:00:00Z','fetched':null,'failure':null}"},
    {read_removal, "{'id':3,'kind':'domain','name':'a.example','customer':7,'customer_name':'A',"
                   "'removed':'2026-11-22T08:00:00Z','purge':'2026-12-22T08:00:00Z'}"},
    {read_event, "{'id':1795000000000000,'time':'2026-11-22T08:00:00Z','count':2,'customer':7,"
                 "'customer_name':null,'kind':'login','address':'a@a.example','remote':null,"
                 "'protocol':'pop3','mechanism':null,'credential':null,'reason':null}"},
    {read_webhook, "{'id':1,'customer':null,'customer_name':null,'url':'https://a.example/',"
                   "'events':['address.*','plan.set'],'created':'2026-11-22T08:00:00Z','cursor':9,"
                   "'failing':null,'failures':0,'failure':null,'next_try':null,'disabled':null,"
                   "'answered':null,'status':204,'old_secret_until':null}"},
    {read_trusted, "{'network':'192.0.2.0/24','created':'2026-11-22T08:00:00Z'}"},
    {read_preview, "{'addresses':3,'addresses_allowed':1,'domains':1,'domains_allowed':1,"
                   "'quota_bytes':1048576,'quota_messages':10}"},
};

#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

static json_t *parse(const char *text)
{
    char quoted[2048];
    size_t length = strlen(text);

    assert_true(length < sizeof(quoted));
    for (size_t i = 0; i <= length; i++)
        quoted[i] = text[i] == '\'' ? '"' : text[i];
    json_t *object = json_loads(quoted, 0, NULL);
    assert_non_null(object);
    return object;
}

static void knows_what_it_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWERS; i++) {
        json_t *object = parse(answers[i].text);
        union row row;
        assert_int_equal(answers[i].read(object, &row), 0);
        json_object_set_new(object, "of_a_later_version", json_true());
        assert_int_equal(answers[i].read(object, &row), 0);
        json_decref(object);
    }
}

/* A member that is missing, or of a type that none has. */
static void refuses_what_is_otherwise(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWERS; i++) {
        json_t *object = parse(answers[i].text);
        json_t *member;
        const char *name;
        json_object_foreach(object, name, member)
        {
            json_t *other = json_copy(object);
            union row row;
            json_object_set_new(other, name, json_real(1.5));
            if (answers[i].read(other, &row) == 0)
                fail_msg("\"%s\" may be anything", name);
            json_object_del(other, name);
            if (answers[i].read(other, &row) == 0)
                fail_msg("\"%s\" may be missing", name);
            json_decref(other);
        }
        json_decref(object);
    }
}

static void refuses_values_that_it_does_not_know(void **state)
{
    static const struct {
        size_t answer;
        const char *name, *value;
    } rows[] = {
        {0, "protection", "'eat'"},     {0, "addresses", "-1"},
        {0, "addresses", "4294967296"}, {0, "name", "'a-name-that-is-longer-than-any-plan-has'"},
        {1, "language", "'tlh'"},       {1, "created", "'yesterday'"},
        {5, "role", "'king'"},          {5, "networks", "[7]"},
        {7, "kind", "'planet'"},        {8, "kind", "'birthday'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *object = parse(answers[rows[i].answer].text);
        char text[128];
        union row row;
        snprintf(text, sizeof(text), "{'v':%s}", rows[i].value);
        json_t *value = parse(text);
        json_object_set(object, rows[i].name, json_object_get(value, "v"));
        if (answers[rows[i].answer].read(object, &row) == 0)
            fail_msg("%s %s", rows[i].name, rows[i].value);
        json_decref(value);
        json_decref(object);
    }
}

static void keeps_what_it_reads(void **state)
{
    union row row;
    (void)state;

    json_t *object = parse(answers[5].text);
    assert_int_equal(read_api_key(object, &row), 0);
    assert_string_equal(row.api_key.networks, "192.0.2.1 2001:db8::/32");
    json_decref(object);
    object = parse(answers[3].text);
    assert_int_equal(read_address(object, &row), 0);
    assert_true(row.address.mailbox != 0 && row.address.settings.language_given);
    assert_int_equal(row.address.created, 1795334400);
    json_object_set_new(object, "targets", json_pack("[s]", "b@a.example"));
    assert_int_equal(read_address(object, &row), 0);
    assert_true(row.address.mailbox == 0 && row.address.targets == 1);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_what_it_reads),
        cmocka_unit_test(refuses_what_is_otherwise),
        cmocka_unit_test(refuses_values_that_it_does_not_know),
        cmocka_unit_test(keeps_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
