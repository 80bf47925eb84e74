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
#include "db/apppassword.h"
#include "db/idempotency.h"
#include "db/route.h"
#include "lib/invitation.h"
#include "lib/row.h"

/* The last segment that is no name in braces: "app-passwords". */
static void name_resource(const char *path, char *name_r, size_t size)
{
    const char *end = path + strlen(path);
    const char *start;

    for (;;) {
        start = memrchr(path, '/', (size_t)(end - path));
        if (start == NULL || start[1] != '{')
            break;
        end = start;
    }
    start = start == NULL ? path : start + 1;
    snprintf(name_r, size, "%.*s", (int)(end - start), start);
}

static json_t *resources(void)
{
    json_t *all = json_object();
    char name[32];

    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        if (route->fields == NULL || route->fields->name == NULL)
            continue;
        name_resource(route->path, name, sizeof(name));
        if (json_object_get(all, name) == NULL)
            json_object_set_new(all, name, json_object());
        json_object_set_new(json_object_get(all, name), route->method,
                            field_schema(route->fields, strcmp(route->method, "PATCH") == 0));
    }
    return all;
}

static json_t *limits(void)
{
    return json_pack("{si si si si si si si si si si}", "body_bytes", HTTP_BODY_MAX, "upload_bytes",
                     UPLOAD_MAX, "upload_rows", ROWS_MAX, "page_items", PAGE_LIMIT_MAX,
                     "password_least_bytes", PASSWORD_LEAST, "password_most_bytes", PASSWORD_MOST,
                     "app_passwords", DB_APP_PASSWORDS_MAX, "alias_targets", DB_ROUTE_MAX,
                     "invitation_seconds", INVITATION_LIFETIME, "idempotency_seconds",
                     DB_IDEMPOTENCY_TIME);
}

void meta_show(struct admin *admin, struct request *request)
{
    (void)admin;
    page_show(request, json_pack("{so so}", "limits", limits(), "resources", resources()));
}
