/*
 * admin/page.h: a query behind the path of a route that is served. What is taken is within the
 * bounds that the document names; the rest is refused, and an object shows what was asked of it.
 * The functions of admin/http.c stand here, over parameters that are split as libmicrohttpd does.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "admin/http.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/routes.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

#define PARAMETERS_MAX 40

static struct {
    const char *name;
    const char *value; /* NULL: there is no "=" */
} parameters[PARAMETERS_MAX];
static size_t parameter_count;

const char *request_query(const struct request *request, const char *name)
{
    (void)request;
    for (size_t i = 0; i < parameter_count; i++)
        if (strcmp(parameters[i].name, name) == 0)
            return parameters[i].value;
    return NULL;
}

void request_each_query(const struct request *request,
                        void (*each)(void *context, const char *name, const char *value),
                        void *context)
{
    (void)request;
    for (size_t i = 0; i < parameter_count; i++)
        each(context, parameters[i].name, parameters[i].value);
}

void request_clear(struct request *request)
{
    free(request->answer.text);
    request->answer.text = NULL;
}

void request_set(struct request *request, unsigned status, json_t *body)
{
    request_clear(request);
    request->answer.status = status;
    json_decref(body);
}

/* What handlers call, which do not run here. */

const char *request_header(const struct request *request, const char *name)
{
    (void)request;
    (void)name;
    abort();
}

void request_set_location(struct request *request, const char *path, const char *name)
{
    (void)request;
    (void)path;
    (void)name;
    abort();
}

void request_send(struct request *request)
{
    (void)request;
    abort();
}

void request_answer_json(struct request *request, unsigned status, json_t *body)
{
    (void)request;
    (void)status;
    (void)body;
    abort();
}

/* NOLINTNEXTLINE(readability-non-const-parameter): admin/request.h has it so */
void request_answer(struct request *request, unsigned status, const char *type, char *text)
{
    (void)request;
    (void)status;
    (void)type;
    (void)text;
    abort();
}

const struct traffic *http_traffic(const struct http *http)
{
    (void)http;
    abort();
}

static void split(char *query)
{
    char *part;

    parameter_count = 0;
    while ((part = strsep(&query, "&")) != NULL && parameter_count < PARAMETERS_MAX) {
        parameters[parameter_count].name = part;
        char *value = strchr(part, '=');
        if (value != NULL)
            *value++ = '\0';
        parameters[parameter_count++].value = value;
    }
}

/* Whoever is refused was told of 400, and never of more. */
static bool is_refused(const struct request *request)
{
    assert(request->answer.status == 0 || request->answer.status == 400);
    return request->answer.status != 0;
}

static void check_page(struct request *request)
{
    struct page page;

    bool begun = page_begin(&page, request) == 0;
    assert(begun == !is_refused(request));
    if (!begun)
        return;
    assert(page.limit >= 1 && page.limit <= PAGE_LIMIT_MAX);
    assert(strlen(page.after) <= PAGE_NAME_MAX);
    char name[16];
    page_after(&page, name, sizeof(name));
    assert(strlen(name) < sizeof(name));
    json_decref(page.items);
}

static void check_projection(struct request *request)
{
    json_t *object = json_pack("{ss si s[]}", "name", "x", "id", 1, "tags");
    const char *fields = request_query(request, "fields");

    json_t *some = page_project(request, object);
    assert((some == NULL) == is_refused(request));
    assert(fields != NULL || json_object_size(some) == 3);
    assert(json_object_size(some) <= 3);
    json_decref(some);
}

static void check_query(const struct route *route, char *query)
{
    struct request *request = xcalloc(1, sizeof(*request));

    request->route = route;
    request->method = route->method;
    split(query);
    page_check_query(request);
    if (!is_refused(request) && (route->flags & ROUTE_LIST) != 0)
        check_page(request);
    for (size_t i = 0; i < parameter_count && !is_refused(request); i++) {
        char *value = page_parameter(request, parameters[i].name);
        assert((value == NULL) == is_refused(request));
        assert(value == NULL || utf8_is_valid(value, strlen(value)));
        free(value);
    }
    if (!is_refused(request))
        check_projection(request);
    request_clear(request);
    json_decref(request->errors);
    free(request);
}

/* "METHOD PATH?QUERY". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct route *route;
    char *line = xmalloc(size + 1);

    memcpy(line, data, size);
    line[size] = '\0';
    char *path = strchr(line, ' ');
    char *query = path != NULL ? strchr(path, '?') : NULL;
    if (query != NULL) {
        *path++ = '\0';
        *query++ = '\0';
        if (route_find(routes, routes_count, line, path, &route) == ROUTE_FOUND)
            check_query(route, query);
    }
    free(line);
    return 0;
}
