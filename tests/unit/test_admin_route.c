#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/exposition.h"
#include "admin/route.h"
#include "lib/metrics.h"

static void handle(struct admin *admin, struct request *request)
{
    (void)admin;
    (void)request;
}

static const struct route routes[] = {
    {"GET", "/things", SCOPE_OPEN, .handle = handle},
    {"POST", "/things", SCOPE_OPEN, .handle = handle},
    {"DELETE", "/things", SCOPE_OPEN, .handle = handle},
    {"POST", "/only", SCOPE_OPEN, .handle = handle},
    {"GET", "/things/{thing}", SCOPE_OPEN, .handle = handle},
    {"PATCH", "/things/{thing}/parts/{part}", SCOPE_OPEN, .handle = handle},
};

#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static const struct {
    const char *method;
    const char *path;
    enum route_result result;
    int row;
} cases[] = {
    {"GET", "/things", ROUTE_FOUND, 0},
    {"HEAD", "/things", ROUTE_FOUND, 0},
    {"POST", "/things", ROUTE_FOUND, 1},
    {"DELETE", "/things", ROUTE_FOUND, 2},
    {"PUT", "/things", ROUTE_NO_METHOD, -1},
    {"OPTIONS", "/things", ROUTE_NO_METHOD, -1},
    {"HEAD", "/only", ROUTE_NO_METHOD, -1},
    {"GET", "/only", ROUTE_NO_METHOD, -1},
    {"GET", "/", ROUTE_NO_PATH, -1},
    {"GET", "", ROUTE_NO_PATH, -1},
    {"GET", "/thing", ROUTE_NO_PATH, -1},
    {"GET", "/things/", ROUTE_NO_PATH, -1},
    {"GET", "/Things", ROUTE_NO_PATH, -1},
    {"BREW", "/things", ROUTE_UNKNOWN_METHOD, -1},
    {"GET", "/things/a", ROUTE_FOUND, 4},
    {"PATCH", "/things/a", ROUTE_NO_METHOD, -1},
    {"GET", "/things/a/", ROUTE_NO_PATH, -1},
    {"GET", "/things/a/parts", ROUTE_NO_PATH, -1},
    {"PATCH", "/things/a%2Fb/parts/%2F", ROUTE_FOUND, 5},
    {"PATCH", "/things//parts/b", ROUTE_NO_PATH, -1},
    {"PATCH", "/things/a/parts/b/c", ROUTE_NO_PATH, -1},
    {"BREW", "/", ROUTE_UNKNOWN_METHOD, -1},
    {"get", "/things", ROUTE_UNKNOWN_METHOD, -1},
};

static void test_find(void **state)
{
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct route *route = NULL;
        enum route_result result =
            route_find(routes, ROUTES, cases[i].method, cases[i].path, &route);
        if (result != cases[i].result)
            fail_msg("%s %s: %d", cases[i].method, cases[i].path, (int)result);
        assert_ptr_equal(route, cases[i].row < 0 ? NULL : &routes[cases[i].row]);
    }
}

static void test_allow(void **state)
{
    char text[ROUTE_ALLOW_SIZE];
    (void)state;

    route_allow(routes, ROUTES, "/things", text);
    assert_string_equal(text, "GET, HEAD, POST, DELETE");
    route_allow(routes, ROUTES, "/only", text);
    assert_string_equal(text, "POST");
    route_allow(routes, ROUTES, "/nothing", text);
    assert_string_equal(text, "");
}

static void test_parameter(void **state)
{
    static const struct {
        const char *path;
        const char *value;
    } values[] = {{"/things/a/parts/b", "b"},     {"/things/a/parts/%c3%A4%2f", "ä/"},
                  {"/things/a/parts/b%00", NULL}, {"/things/a/parts/%", NULL},
                  {"/things/a/parts/%4", NULL},   {"/things/a/parts/%4g", NULL},
                  {"/things/a/parts/%ff", NULL},  {"/things/a/parts/%C0%AF", NULL},
                  {"/things/a/parts/+", "+"}};
    (void)state;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char *value = route_parameter(&routes[5], values[i].path, "part");
        if (values[i].value == NULL)
            assert_null(value);
        else
            assert_string_equal(value, values[i].value);
        free(value);
    }
    char *thing = route_parameter(&routes[5], "/things/a/parts/b", "thing");
    assert_string_equal(thing, "a");
    free(thing);
    assert_null(route_parameter(&routes[5], "/things/a/parts/b", "par"));
}

/* A method for every row that there can be fits into the text. */
static void test_allow_fits(void **state)
{
    static const struct route all[] = {
        {"GET", "/", SCOPE_OPEN, .handle = handle},
        {"POST", "/", SCOPE_OPEN, .handle = handle},
        {"PUT", "/", SCOPE_OPEN, .handle = handle},
        {"PATCH", "/", SCOPE_OPEN, .handle = handle},
        {"DELETE", "/", SCOPE_OPEN, .handle = handle},
        {"OPTIONS", "/", SCOPE_OPEN, .handle = handle},
        {"TRACE", "/", SCOPE_OPEN, .handle = handle},
        {"CONNECT", "/", SCOPE_OPEN, .handle = handle},
    };
    char text[ROUTE_ALLOW_SIZE];
    (void)state;

    route_allow(all, sizeof(all) / sizeof(all[0]), "/", text);
    assert_string_equal(text, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT");
}

static void test_exposition(void **state)
{
    static const char expected[] = "# HELP bellhop_pop3_sessions POP3 connections open now\n"
                                   "# TYPE bellhop_pop3_sessions gauge\n"
                                   "bellhop_pop3_sessions 7\n";
    static const char buckets[] = "# TYPE bellhop_store_sync_seconds histogram\n"
                                  "bellhop_store_sync_seconds_bucket{le=\"0.0005\"} 2\n"
                                  "bellhop_store_sync_seconds_bucket{le=\"0.001\"} 3\n";
    static const char sum[] = "bellhop_store_sync_seconds_bucket{le=\"2.5\"} 3\n"
                              "bellhop_store_sync_seconds_bucket{le=\"+Inf\"} 4\n"
                              "bellhop_store_sync_seconds_sum 9.001502\n"
                              "bellhop_store_sync_seconds_count 4\n";
    char *text = NULL;
    size_t size;
    (void)state;

    metric_observe(METRIC_STORE_SYNC, 1);
    metric_observe(METRIC_STORE_SYNC, 500);
    metric_observe(METRIC_STORE_SYNC, 1000);
    metric_observe(METRIC_STORE_SYNC, 9000001);
    metric_add(METRIC_POP3_SESSIONS, 9);
    metric_add(METRIC_POP3_SESSIONS, -2);
    metric_add(METRIC_STORE_COMMITS, INT64_C(5000000000));
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    exposition_write(file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, buckets));
    assert_non_null(strstr(text, sum));
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(text, "# TYPE bellhop_store_commits_total counter\n"
                                 "bellhop_store_commits_total 5000000000\n"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),       cmocka_unit_test(test_allow),
        cmocka_unit_test(test_parameter),  cmocka_unit_test(test_allow_fits),
        cmocka_unit_test(test_exposition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
