#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/document.h"
#include "admin/field.h"
#include "admin/jobevents.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/routes.h"
#include "lib/log.h"
#include "lib/row.h"

/* As migrations are: a program needs no file of it at run time. */
__asm__(".pushsection .rodata\n"
        ".globl admin_schemas\n"
        ".hidden admin_schemas\n"
        "admin_schemas:\n"
        ".incbin \"admin/schemas.json\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char admin_schemas[] __attribute__((visibility("hidden")));

struct table {
    const struct route *routes;
    size_t count;
};

static json_t *reference(const char *kind, const char *name)
{
    char path[80];

    snprintf(path, sizeof(path), "#/components/%s/%s", kind, name);
    return json_pack("{ss}", "$ref", path);
}

static json_t *content(const char *type, json_t *schema)
{
    return json_pack("{s{so}}", type, "schema", schema);
}

/* RFC 7396 has a type of its own, which not every client knows to send. */
static json_t *body_content(json_t *schema, bool merge)
{
    json_t *types = content("application/json", schema);

    if (merge)
        json_object_set_new(types, "application/merge-patch+json",
                            json_deep_copy(json_object_get(types, "application/json")));
    return types;
}

static json_t *text_schema(void)
{
    return json_pack("{ss}", "type", "string");
}

static void add_path_parameter(json_t *parameters, const char *name)
{
    json_array_append_new(parameters, json_pack("{ss ss sb so}", "name", name, "in", "path",
                                                "required", 1, "schema", text_schema()));
}

static void add_parameter(json_t *parameters, const struct parameter *parameter, bool needed)
{
    json_array_append_new(parameters,
                          json_pack("{ss ss ss sb so}", "name", parameter->name, "in", "query",
                                    "description", parameter->about, "required", (int)needed,
                                    "schema", field_parameter_schema(parameter)));
}

static void add_query(json_t *parameters, const char *name, const char *about)
{
    add_parameter(parameters, &(struct parameter){.name = name, .about = about}, false);
}

static void add_header_parameter(json_t *parameters, const char *name, const char *about)
{
    json_array_append_new(parameters,
                          json_pack("{ss ss ss sb so}", "name", name, "in", "header", "description",
                                    about, "required", 0, "schema", text_schema()));
}

static void add_path_parameters(json_t *parameters, const char *path)
{
    char name[32];

    while ((path = strchr(path, '{')) != NULL) {
        size_t length = strcspn(++path, "}");
        snprintf(name, sizeof(name), "%.*s", (int)length, path);
        add_path_parameter(parameters, name);
    }
}

static bool is_stream(const struct route *route)
{
    return route->type != NULL && strcmp(route->type, JOBEVENTS_TYPE) == 0;
}

static bool takes_idempotency_key(const struct route *route)
{
    return strcmp(route->method, "POST") == 0 && route->scope != SCOPE_OPEN &&
           (route->flags & ROUTE_SESSION) == 0 &&
           (route->type == NULL || (route->flags & ROUTE_KEPT) != 0);
}

static void add_limit(json_t *parameters)
{
    json_array_append_new(parameters,
                          json_pack("{ss ss ss sb s{ss si si si}}", "name", "limit", "in", "query",
                                    "description", "how many items a page has at most", "required",
                                    0, "schema", "type", "integer", "minimum", 1, "maximum",
                                    PAGE_LIMIT_MAX, "default", PAGE_LIMIT));
}

static json_t *parameters_of(const struct route *route)
{
    json_t *parameters = json_array();
    bool get = strcmp(route->method, "GET") == 0;

    add_path_parameters(parameters, route->path);
    for (const struct parameter *own = route->parameters; own != NULL && own->name != NULL; own++)
        add_parameter(parameters, own, (route->flags & ROUTE_ASKS) != 0);
    if ((route->flags & ROUTE_LIST) != 0) {
        add_limit(parameters);
        add_query(parameters, "cursor", "as in `next` of the page before");
    }
    if (get && route->schema != NULL && route->scope != SCOPE_OPEN)
        add_query(parameters, "fields", "the members that are wanted, with commas between them");
    if (get && route->show != NULL)
        add_header_parameter(parameters, "If-None-Match", "an ETag: 304 while it is that still");
    if (!get && strcmp(route->method, "POST") != 0 && route->show != NULL)
        add_header_parameter(parameters, "If-Match", "an ETag: 412 when it is another one by now");
    if (is_stream(route))
        add_header_parameter(parameters, "Last-Event-ID", "the id of the last event that has come");
    if (takes_idempotency_key(route))
        add_header_parameter(parameters, "Idempotency-Key",
                             "a name for this request, so that it is done once in 24 hours");
    return parameters;
}

/* A page of them, or one; with `fields` some members alone. */
static json_t *answer_of(const struct route *route)
{
    if ((route->flags & ROUTE_LIST) == 0)
        return reference("schemas", route->schema);
    return json_pack("{ss s[ss] s{s{ss so} s{s[ss]}}}", "type", "object", "required", "items",
                     "next", "properties", "items", "type", "array", "items",
                     reference("schemas", route->schema), "next", "type", "string", "null");
}

static const char *status_of(const struct route *route)
{
    bool post = strcmp(route->method, "POST") == 0 && route->apply != NULL;

    if (route->upload != NULL)
        return "202";
    if (route->type != NULL)
        return "200";
    if (route->schema == NULL)
        return "204";
    return post && strcmp(route->schema, "Password") != 0 ? "201" : "200";
}

/* Whether what it makes has a path of its own. */
static bool makes_object(const struct table *table, const struct route *route)
{
    size_t length = strlen(route->path);

    if (route->upload != NULL)
        return true;
    if (strcmp(route->method, "POST") != 0)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        const struct route *other = &table->routes[i];
        if (strcmp(other->method, "GET") == 0 && strncmp(other->path, route->path, length) == 0 &&
            strncmp(other->path + length, "/{", 2) == 0 &&
            strchr(other->path + length + 1, '/') == NULL)
            return true;
    }
    return false;
}

static void add_header(json_t *headers, const char *name, const char *component)
{
    json_object_set_new(headers, name, reference("headers", component));
}

/* Of an answer that is no problem. */
static json_t *headers_of(const struct table *table, const struct route *route)
{
    json_t *headers = json_object();

    add_header(headers, "X-Request-Id", "RequestId");
    if (route->show != NULL && strcmp(route->method, "DELETE") != 0)
        add_header(headers, "ETag", "ETag");
    if (makes_object(table, route))
        add_header(headers, "Location", "Location");
    if (takes_idempotency_key(route))
        add_header(headers, "Idempotency-Replayed", "IdempotencyReplayed");
    return headers;
}

static void add_response(json_t *responses, const char *status, const char *about, json_t *headers,
                         json_t *body)
{
    json_object_set_new(
        responses, status,
        json_pack("{ss sO so*}", "description", about, "headers", headers, "content", body));
}

/* What a client has already, or has been told. */
static void add_bodiless(json_t *responses, const struct route *route, json_t *headers)
{
    if (strcmp(route->method, "GET") == 0 && route->show != NULL)
        add_response(responses, "304", "it is what If-None-Match says", headers, NULL);
    if (is_stream(route))
        add_response(responses, "204", "there is nothing behind Last-Event-ID", headers, NULL);
}

static void add_problems(json_t *responses, const struct route *route)
{
    if (route->scope != SCOPE_OPEN || route->apply != NULL)
        json_object_set_new(responses, "401", reference("responses", "Unauthorized"));
    json_object_set_new(responses, "429", reference("responses", "TryLater"));
    if ((route->flags & ROUTE_HEALTH) == 0)
        json_object_set_new(responses, "503", reference("responses", "TryLater"));
    json_object_set_new(responses, "default", reference("responses", "Problem"));
}

static json_t *body_of(const struct route *route)
{
    if (route->type != NULL)
        return content(route->type, text_schema());
    return route->schema == NULL ? NULL : content("application/json", answer_of(route));
}

static json_t *responses_of(const struct table *table, const struct route *route)
{
    json_t *responses = json_object();
    json_t *headers = headers_of(table, route);

    add_response(responses, status_of(route), route->about, headers, body_of(route));
    if ((route->flags & ROUTE_HEALTH) != 0)
        add_response(responses, "503", "something does not work", headers, body_of(route));
    add_bodiless(responses, route, headers);
    add_problems(responses, route);
    json_decref(headers);
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

/* All rows, or of what has one on each line, one. */
static json_t *rows_schema(const struct route_upload *upload, const char *type)
{
    if (strncmp(type, "text/", 5) == 0)
        return json_pack("{ss ss}", "type", "string", "description",
                         "a line with names of members, then one for each address; what is true is "
                         "yes or 1, and targets stand with spaces between them");
    json_t *row = field_schema(upload->fields, false);
    return strcmp(type, "application/json") == 0
               ? json_pack("{ss si so}", "type", "array", "maxItems", ROWS_MAX, "items", row)
               : row;
}

/* What stands in it is read later, and a row that is wrong is an error of the job. */
static json_t *upload_content(const struct route_upload *upload)
{
    json_t *types = json_object();

    for (unsigned i = 0; upload->types[i] != NULL; i++)
        json_object_set_new(types, upload->types[i],
                            json_pack("{so}", "schema", rows_schema(upload, upload->types[i])));
    return types;
}

static json_t *operation_of(const struct table *table, const struct route *route)
{
    bool merge = strcmp(route->method, "PATCH") == 0;
    char name[80];

    name_operation(route, name, sizeof(name));
    json_t *operation = json_pack("{ss ss so so so}", "operationId", name, "summary", route->about,
                                  "parameters", parameters_of(route), "responses",
                                  responses_of(table, route), "x-roles", roles_of(route));
    if (route->fields != NULL)
        json_object_set_new(operation, "requestBody",
                            json_pack("{sb so}", "required", 1, "content",
                                      body_content(field_schema(route->fields, merge), merge)));
    if (route->upload != NULL)
        json_object_set_new(
            operation, "requestBody",
            json_pack("{sb so}", "required", 1, "content", upload_content(route->upload)));
    if (route->scope == SCOPE_OPEN)
        json_object_set_new(operation, "security", json_array());
    if ((route->flags & ROUTE_SESSION) != 0)
        json_object_set_new(operation, "security", json_pack("[{s[]}]", "session"));
    return operation;
}

static json_t *paths_of(const struct table *table)
{
    json_t *paths = json_object();
    char method[16];

    for (size_t i = 0; i < table->count; i++) {
        const struct route *route = &table->routes[i];
        json_t *path = json_object_get(paths, route->path);
        size_t length = 0;
        if (path == NULL) {
            path = json_object();
            json_object_set_new(paths, route->path, path);
        }
        for (const char *c = route->method; *c != '\0' && length + 1 < sizeof(method); c++)
            method[length++] = (char)tolower((unsigned char)*c);
        method[length] = '\0';
        json_object_set_new(path, method, operation_of(table, route));
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

/* They stand in the order of their statuses. */
static json_t *statuses(void)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < PROBLEM__MAX; i++)
        if (i == 0 || problem_status((enum problem)i) != problem_status((enum problem)(i - 1)))
            json_array_append_new(list, json_integer(problem_status((enum problem)i)));
    return list;
}

static void set_enum(json_t *schema, const char *member, json_t *values)
{
    json_t *members = json_object_get(schema, "properties");

    json_object_set_new(json_object_get(members, member), "enum", values);
}

static json_t *schema_of(const json_t *document, const char *name)
{
    return json_object_get(json_object_get(json_object_get(document, "components"), "schemas"),
                           name);
}

json_t *document_make(const struct route *table, size_t count)
{
    json_t *document = json_loads(admin_schemas, JSON_REJECT_DUPLICATES, NULL);

    if (document == NULL)
        log_panic("admin/schemas.json is no JSON");
    json_t *problem = schema_of(document, "Problem");
    set_enum(problem, "code", codes());
    set_enum(problem, "status", statuses());
    json_object_set_new(document, "paths", paths_of(&(struct table){table, count}));
    return document;
}

/* The same for as long as the program runs. */
static json_t *own_document(void)
{
    static json_t *document;

    if (document == NULL)
        document = document_make(routes, routes_count);
    return document;
}

bool document_has_member(const char *schema, const char *name)
{
    json_t *member;
    size_t i;

    json_array_foreach(json_object_get(schema_of(own_document(), schema), "required"), i, member)
    {
        if (strcmp(json_string_value(member), name) == 0)
            return true;
    }
    return false;
}

void document_get(struct admin *admin, struct request *request)
{
    (void)admin;
    request_answer_json(request, 200, json_incref(own_document()));
}
