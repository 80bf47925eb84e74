#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/field.h"
#include "admin/http.h"
#include "admin/meta.h"
#include "admin/page.h"
#include "admin/request.h"
#include "admin/routes.h"
#include "admin/upload.h"
#include "db/adminuser.h"
#include "db/apikey.h"
#include "db/apppassword.h"
#include "db/idempotency.h"
#include "db/issuer.h"
#include "db/job.h"
#include "db/route.h"
#include "db/trusted.h"
#include "db/webhook.h"
#include "lib/invitation.h"
#include "lib/row.h"

#define API_ROOT  "/api/v1"
#define NAME_SIZE 64

/* The segments of the path that are no names in braces: "addresses/app-passwords". */
static void name_resource(const char *path, char name_r[NAME_SIZE])
{
    size_t used = 0;

    for (path += strlen(API_ROOT); *path == '/'; path += 1 + strcspn(path + 1, "/"))
        if (path[1] != '{')
            used += (size_t)snprintf(name_r + used, NAME_SIZE - used, "%s%.*s", used > 0 ? "/" : "",
                                     (int)strcspn(path + 1, "/"), path + 1);
}

static bool may_set(const struct db_api_key *key, const struct route *route)
{
    return route->scope == SCOPE_OPEN ||
           ((route->roles & 1U << key->role) != 0 &&
            ((route->flags & ROUTE_WHOLE) == 0 || key->domain[0] == '\0'));
}

static json_t *resources(const struct db_api_key *key)
{
    json_t *all = json_object();
    char name[NAME_SIZE];

    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        const struct field *fields = route->upload != NULL ? route->upload->fields : route->fields;
        if (fields == NULL || fields->name == NULL || !may_set(key, route))
            continue;
        name_resource(route->path, name);
        if (json_object_get(all, name) == NULL)
            json_object_set_new(all, name, json_object());
        json_object_set_new(json_object_get(all, name), route->method,
                            field_schema(fields, strcmp(route->method, "PATCH") == 0));
    }
    return all;
}

static json_t *limits(void)
{
    static const struct {
        const char *name;
        int value;
    } all[] = {
        {"body_bytes", HTTP_BODY_MAX},
        {"upload_bytes", UPLOAD_MAX},
        {"upload_rows", ROWS_MAX},
        {"page_items", PAGE_LIMIT_MAX},
        {"password_least_characters", PASSWORD_LEAST},
        {"password_most_bytes", PASSWORD_MOST},
        {"alias_targets", DB_ROUTE_MAX},
        {"app_passwords", DB_APP_PASSWORDS_MAX},
        {"api_keys", DB_API_KEYS_MAX},
        {"admin_users", DB_ADMIN_USERS_MAX},
        {"webhooks", DB_WEBHOOKS_MAX},
        {"trusted_networks", DB_TRUSTED_MAX},
        {"token_issuers", DB_ISSUERS_MAX},
        {"jobs", DB_JOBS_MAX},
        {"invitation_seconds", INVITATION_LIFETIME},
        {"idempotency_seconds", DB_IDEMPOTENCY_TIME},
    };
    json_t *limits = json_object();

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        json_object_set_new(limits, all[i].name, json_integer(all[i].value));
    return limits;
}

void meta_show(struct admin *admin, struct request *request)
{
    (void)admin;
    page_show(request,
              json_pack("{so so}", "limits", limits(), "resources", resources(&request->key)));
}
