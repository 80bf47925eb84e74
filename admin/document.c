#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/document.h"
#include "admin/field.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/routes.h"
#include "lib/log.h"

/* As migrations are: a program needs no file of it at run time. */
__asm__(".pushsection .rodata\n"
        ".globl admin_schemas\n"
        ".hidden admin_schemas\n"
        "admin_schemas:\n"
        ".incbin \"admin/schemas.json\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char admin_schemas[] __attribute__((visibility("hidden")));

static json_t *reference(const char *schema)
{
    char path[80];

    snprintf(path, sizeof(path), "#/components/schemas/%s", schema);
    return json_pack("{ss}", "$ref", path);
}

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s{so}}", type, "schema", schema);
}

static void add_needed(json_t *parameters, const char *name, const char *in, bool needed,
                       json_t *schema)
{
    json_array_append_new(parameters, json_pack("{ss ss sb so}", "name", name, "in", in, "required",
                                                (int)needed, "schema", schema));
}

static void add_parameter(json_t *parameters, const char *name, const char *in, json_t *schema)
{
    add_needed(parameters, name, in, strcmp(in, "path") == 0, schema);
}

static json_t *text_schema(void)
{
    return json_pack("{ss}", "type", "string");
}

static json_t *parameter_schema(const char *name)
{
    bool time = strcmp(name, "since") == 0 || strcmp(name, "until") == 0;

    return json_pack("{ss ss*}", "type", "string", "format", time ? "date-time" : NULL);
}

static void add_path_parameters(json_t *parameters, const char *path)
{
    char name[32];

    while ((path = strchr(path, '{')) != NULL) {
        size_t length = strcspn(++path, "}");
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        add_parameter(parameters, name, "path", text_schema());
    }
}

static json_t *parameters_of(const struct route *route)
{
    json_t *parameters = json_array();
    bool get = strcmp(route->method, "GET") == 0;

    add_path_parameters(parameters, route->path);
    for (const char *const *name = route->parameters; name != NULL && *name != NULL; name++)
        add_needed(parameters, *name, "query", (route->flags & ROUTE_ASKS) != 0,
                   parameter_schema(*name));
    if ((route->flags & ROUTE_LIST) != 0) {
        add_parameter(parameters, "limit", "query",
                      json_pack("{ss si si si}", "type", "integer", "minimum", 1, "maximum",
                                PAGE_LIMIT_MAX, "default", PAGE_LIMIT));
        add_parameter(parameters, "cursor", "query", text_schema());
    }
    if (get && route->schema != NULL && route->scope != SCOPE_OPEN)
        add_parameter(parameters, "fields", "query", text_schema());
    if (get && route->show != NULL)
        add_parameter(parameters, "If-None-Match", "header", text_schema());
    if (!get && strcmp(route->method, "POST") != 0 && route->show != NULL)
        add_parameter(parameters, "If-Match", "header", text_schema());
    if (strcmp(route->method, "POST") == 0 && route->apply != NULL && route->scope != SCOPE_OPEN &&
        (route->type == NULL || (route->flags & ROUTE_KEPT) != 0))
        add_parameter(parameters, "Idempotency-Key", "header", text_schema());
    return parameters;
}

/* A page of them, or one; with `fields` some members alone. */
static json_t *answer_of(const struct route *route)
{
    if ((route->flags & ROUTE_LIST) == 0)
        return reference(route->schema);
    return json_pack("{ss s[ss] s{s{ss so} s{s[ss]}}}", "type", "object", "required", "items",
                     "next", "properties", "items", "type", "array", "items",
                     reference(route->schema), "next", "type", "string", "null");
}

static const char *status_of(const struct route *route)
{
    bool post = strcmp(route->method, "POST") == 0 && route->apply != NULL;

    if (route->upload != NULL)
        return "202";
    if (route->schema == NULL)
        return "204";
    return post && strcmp(route->schema, "Password") != 0 ? "201" : "200";
}

static json_t *responses_of(const struct route *route)
{
    json_t *responses = json_object();
    bool open = route->scope == SCOPE_OPEN;
    bool opaque = open && route->schema == NULL && strcmp(route->method, "GET") == 0;
    const char *status = opaque ? "200" : status_of(route);

    if (route->type != NULL)
        json_object_set_new(responses, "200",
                            json_pack("{ss so}", "description", route->about, "content",
                                      content(route->type, text_schema())));
    else if (route->schema != NULL)
        json_object_set_new(responses, status,
                            json_pack("{ss so}", "description", route->about, "content",
                                      content("application/json", answer_of(route))));
    else
        json_object_set_new(responses, status, json_pack("{ss}", "description", route->about));
    if (strcmp(route->method, "GET") == 0 && route->show != NULL)
        json_object_set_new(responses, "304",
                            json_pack("{ss}", "description", "it is what If-None-Match says"));
    if (!opaque)
        json_object_set_new(responses, "default",
                            json_pack("{ss}", "$ref", "#/components/responses/Problem"));
    return responses;
}

static json_t *roles_of(const struct route *route)
{
    json_t *roles = json_array();

    for (unsigned role = 0; role < DB_ROLE__MAX; role++)
        if ((route->roles & 1U << role) != 0)
            json_array_append_new(roles, json_string(db_role_name((enum db_role)role)));
    return roles;
}

/* "getAddressesAddressUsage": one for each row. */
static void name_operation(const struct route *route, char *name_r, size_t size)
{
    const char *path = route->path;
    bool capital = true;
    size_t length = 0;

    for (const char *c = route->method; *c != '\0' && length + 1 < size; c++)
        name_r[length++] = (char)tolower((unsigned char)*c);
    if (strncmp(path, "/api/v1", 7) == 0)
        path += 7;
    for (; *path != '\0' && length + 1 < size; path++) {
        if (isalnum((unsigned char)*path))
            name_r[length++] = capital ? (char)toupper((unsigned char)*path) : *path;
        capital = !isalnum((unsigned char)*path);
    }
    name_r[length] = '\0';
}

/* What stands in it is read later, so the document tells no more than the types. */
static json_t *upload_content(const struct route_upload *upload)
{
    json_t *types = json_object();

    for (unsigned i = 0; upload->types[i] != NULL; i++)
        json_object_set_new(types, upload->types[i], json_pack("{s{}}", "schema"));
    return types;
}

static json_t *operation_of(const struct route *route)
{
    bool merge = strcmp(route->method, "PATCH") == 0;
    char name[80];

    name_operation(route, name, sizeof(name));
    json_t *operation = json_pack("{ss ss so so so}", "operationId", name, "summary", route->about,
                                  "parameters", parameters_of(route), "responses",
                                  responses_of(route), "x-roles", roles_of(route));
    if (route->fields != NULL)
        json_object_set_new(
            operation, "requestBody",
            json_pack("{sb so}", "required", 1, "content",
                      content(merge ? "application/merge-patch+json" : "application/json",
                              field_schema(route->fields, merge))));
    if (route->upload != NULL)
        json_object_set_new(
            operation, "requestBody",
            json_pack("{sb so}", "required", 1, "content", upload_content(route->upload)));
    if (route->scope == SCOPE_OPEN)
        json_object_set_new(operation, "security", json_array());
    return operation;
}

static json_t *paths_of(const struct route *table, size_t count)
{
    json_t *paths = json_object();
    char method[16];

    for (size_t i = 0; i < count; i++) {
        json_t *path = json_object_get(paths, table[i].path);
        size_t length = 0;
        if (path == NULL) {
            path = json_object();
            json_object_set_new(paths, table[i].path, path);
        }
        for (const char *c = table[i].method; *c != '\0' && length + 1 < sizeof(method); c++)
            method[length++] = (char)tolower((unsigned char)*c);
        method[length] = '\0';
        json_object_set_new(path, method, operation_of(&table[i]));
    }
    return paths;
}

/* The codes that clients may rely on. */
static json_t *codes(void)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < PROBLEM__MAX; i++)
        json_array_append_new(list, json_string(problem_code((enum problem)i)));
    return list;
}

json_t *document_make(const struct route *table, size_t count)
{
    json_t *document = json_loads(admin_schemas, JSON_REJECT_DUPLICATES, NULL);

    if (document == NULL)
        log_panic("admin/schemas.json is no JSON");
    json_t *problem = json_object_get(
        json_object_get(json_object_get(document, "components"), "schemas"), "Problem");
    json_object_set_new(json_object_get(json_object_get(problem, "properties"), "code"), "enum",
                        codes());
    json_object_set_new(document, "paths", paths_of(table, count));
    return document;
}

/* The same for as long as the program runs. */
void document_get(struct admin *admin, struct request *request)
{
    static json_t *document;
    (void)admin;

    if (document == NULL)
        document = document_make(routes, routes_count);
    request_answer_json(request, 200, json_incref(document));
}
