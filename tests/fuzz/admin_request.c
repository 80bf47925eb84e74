/*
 * admin/route.h, admin/body.h and admin/field.h: a request's line, and a body behind it. What is
 * found, decoded and taken keeps what the headers promise of it.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/body.h"
#include "admin/field.h"
#include "admin/request.h"
#include "admin/routes.h"
#include "lib/utf8.h"
#include "lib/xalloc.h"
#include "tests/fuzz/fuzz.h"

/* As the header and the table of fields say, once field_check() has found nothing. */
static void check_field(const struct field *field, const json_t *body)
{
    const json_t *value = json_object_get(body, field->name);
    int64_t length = (int64_t)json_string_length(value);

    assert(value != NULL || !field->required);
    if (value == NULL || (json_is_null(value) && field->nullable))
        return;
    switch (field->type) {
    case FIELD_TEXT:
        assert(json_is_string(value));
        assert(field->words != NULL || (length >= field->least && length <= field->most));
        assert(strlen(field_text(body, field->name, "")) == (size_t)length);
        break;
    case FIELD_NUMBER:
        assert(field_number(body, field->name, field->least - 1) >= field->least);
        assert(field_number(body, field->name, field->most) <= field->most);
        break;
    case FIELD_BOOL: assert(json_is_boolean(value)); break;
    case FIELD_TIME:
        assert(field_time(body, field->name, 0) > (field->ahead ? (uint64_t)time(NULL) - 60 : 0));
        break;
    case FIELD_TEXTS:
    case FIELD_OBJECTS:
        assert((int64_t)json_array_size(value) >= field->least);
        assert((int64_t)json_array_size(value) <= field->most);
        break;
    }
}

static void check_body(const struct route *route, const char *text, size_t length)
{
    struct request *request = xcalloc(1, sizeof(*request));
    char error[BODY_ERROR_SIZE] = "";

    request->json = body_parse(text, length, error);
    assert((request->json == NULL) == (error[0] != '\0'));
    if (request->json != NULL && route->fields != NULL) {
        bool merge = strcmp(route->method, "PATCH") == 0;
        int result = field_check(request, route->fields, request->json, merge);
        assert(result == 0 || request->errors != NULL);
        for (const struct field *field = route->fields; request->errors == NULL && field->name;
             field++)
            check_field(field, request->json);
    }
    json_decref(request->errors);
    json_decref(request->json);
    free(request);
}

static void check_parameters(const struct route *route, const char *path)
{
    static const char *const names[] = {"plan", "customer", "domain", "address", "name", "key"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *value = route_parameter(route, path, names[i]);
        assert(value == NULL || utf8_is_valid(value, strlen(value)));
        assert(value == NULL || strlen(value) <= strlen(path));
        free(value);
    }
}

static void check_path(const char *method, const char *path, const char *body, size_t length)
{
    const struct route *route = NULL;
    char allow[ROUTE_ALLOW_SIZE];

    enum route_result result = route_find(routes, routes_count, method, path, &route);
    route_allow(routes, routes_count, path, allow);
    assert(strlen(allow) < sizeof(allow));
    assert(result != ROUTE_NO_METHOD || allow[0] != '\0');
    assert(result != ROUTE_NO_PATH || allow[0] == '\0');
    if (result != ROUTE_FOUND)
        return;
    assert(strstr(allow, method) != NULL);
    check_parameters(route, path);
    check_body(route, body, length);
}

/* "METHOD PATH", a newline, and the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, '\n', size);
    size_t line_length = end != NULL ? (size_t)(end - data) : size;
    char *line = xmalloc(line_length + 1);

    memcpy(line, data, line_length);
    line[line_length] = '\0';
    char *path = strchr(line, ' ');
    if (path != NULL) {
        *path++ = '\0';
        const char *body = (const char *)data + line_length + (end != NULL);
        check_path(line, path, body, size - line_length - (end != NULL));
    }
    free(line);
    return 0;
}
