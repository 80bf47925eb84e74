#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/apppasswords.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "db/apppassword.h"

/* clang-format off */
const struct field app_password_new_fields[] = {
    {.name = "name", .type = FIELD_TEXT, .required = true, .least = 1,
     .most = DB_APP_PASSWORD_NAME_MAX, .about = "which program it is for"},
    {.name = "pop3", .type = FIELD_BOOL, .preset = "true", .about = "whether it opens POP3"},
    {.name = "smtp", .type = FIELD_BOOL, .preset = "true", .about = "whether it opens SMTP"},
    {.name = "expires", .type = FIELD_TIME, .nullable = true, .ahead = true,
     .about = "null: never"},
    {0}};
/* clang-format on */

static json_t *app_password_object(const struct db_app_password *password)
{
    return json_pack("{ss sb sb so so so so}", "name", password->name, "pop3", (int)password->pop3,
                     "smtp", (int)password->smtp, "expires", field_format_time(password->expires),
                     "created", field_format_time(password->created), "used",
                     field_format_time(password->used), "used_address",
                     field_format_text(password->used_address));
}

enum db_result app_password_draw(struct db *db, struct request *request, const char *name,
                                 char text_r[APPPASSWORD_TEXT_SIZE])
{
    struct db_app_password password = {.pop3 = true, .smtp = true};

    snprintf(password.name, sizeof(password.name), "%s", name);
    return db_app_password_draw(db, request->customer, &request->address, &password, text_r);
}

void app_password_check(struct admin *admin, struct request *request)
{
    const json_t *body = request->json;
    const char *name = field_text(body, "name", NULL);
    const char *error;
    (void)admin;

    if (name != NULL && db_app_password_name_check(name, &error) < 0)
        problem_member(request, "/name", "text", "%s", error);
    if (!field_bool(body, "pop3", true) && !field_bool(body, "smtp", true))
        problem_member(request, "/smtp", "nothing", "it must open something");
}

/* It is shown once. */
enum db_result app_password_add(struct db *db, struct request *request)
{
    const json_t *body = request->json;
    struct db_app_password password = {.pop3 = field_bool(body, "pop3", true),
                                       .smtp = field_bool(body, "smtp", true),
                                       .expires = field_time(body, "expires", 0)};
    char text[APPPASSWORD_TEXT_SIZE];

    snprintf(password.name, sizeof(password.name), "%s", field_text(body, "name", ""));
    enum db_result result =
        db_app_password_draw(db, request->customer, &request->address, &password, text);
    if (result == DB_OK)
        request_set(request, 201,
                    json_pack("{ss ss sb sb so}", "name", password.name, "password", text, "pop3",
                              (int)password.pop3, "smtp", (int)password.smtp, "expires",
                              field_format_time(password.expires)));
    sodium_memzero(text, sizeof(text));
    return result;
}

enum db_result app_password_remove(struct db *db, struct request *request)
{
    char *name = route_parameter(request->route, request->path, "name");
    enum db_result result = DB_NONE;

    if (name != NULL)
        result = db_app_password_remove(db, request->customer, &request->address, name);
    free(name);
    return result;
}

/* --- the list */

static enum db_result next(struct page *page, void *row)
{
    const struct request *request = page->request;

    return db_app_password_next(request->admin->db, request->customer, request->found.mailbox, row);
}

static json_t *item(const struct page *page, void *row)
{
    (void)page;
    return app_password_object(row);
}

static void name(const void *row, char name_r[PAGE_NAME_MAX + 1])
{
    snprintf(name_r, PAGE_NAME_MAX + 1, "%s", ((const struct db_app_password *)row)->name);
}

void app_passwords_list(struct admin *admin, struct request *request)
{
    static const struct listing listing = {next, item, name};
    struct db_app_password password = {0};
    struct page page;
    (void)admin;

    if (page_begin(&page, request) < 0)
        return;
    page_after(&page, password.name, sizeof(password.name));
    page_fill(&page, &listing, &password);
}
