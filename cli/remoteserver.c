#include "cli/remoteserver.h"

#include <stdlib.h>
#include <string.h>

#include "lib/xalloc.h"

struct server *server_of(const struct db *db)
{
    return (struct server *)db;
}

struct remote *server_remote(const struct db *db)
{
    return server_of(db)->remote;
}

/* --- mailboxes */

uint64_t server_mailbox_id(struct server *server, uint64_t customer, const char *address)
{
    size_t count = server->mailbox_count;

    for (size_t i = count; i > 0 && count - i < 16; i--) /* mostly it is one of the last */
        if (strcmp(server->mailboxes[i - 1].address, address) == 0)
            return i;
    if ((count & (count - 1)) == 0) /* full, at 0 and each power of two */
        server->mailboxes =
            xrealloc(server->mailboxes, (count > 0 ? 2 * count : 1) * sizeof(struct mailbox));
    server->mailboxes[count] = (struct mailbox){customer, xstrdup(address)};
    return ++server->mailbox_count;
}

const char *server_mailbox_address(const struct server *server, uint64_t id)
{
    return server->mailboxes[id - 1].address;
}

/* --- lists */

/* The next item, borrowed until the next call for this list. `path` begins anew; NULL: goes on. */
enum db_result server_next(const struct db *db, enum list list, char *path, const json_t **item_r)
{
    struct pages *pages = &server_of(db)->lists[list];

    if (path != NULL) {
        json_decref(pages->page);
        *pages = (struct pages){0};
    }
    for (;;) {
        const json_t *link = json_object_get(pages->page, "next");
        *item_r = json_array_get(json_object_get(pages->page, "items"), pages->at++);
        if (*item_r != NULL)
            return DB_OK;
        if (path == NULL && json_is_string(link))
            path = xstrdup(json_string_value(link));
        json_decref(pages->page);
        *pages = (struct pages){0};
        if (path == NULL) {
            pages->ended = true;
            return DB_NONE;
        }
        enum db_result result = remote_get(server_remote(db), path, &pages->page);
        if (result == DB_OK && !json_is_array(json_object_get(pages->page, "items")))
            result = remote_strange(server_remote(db));
        if (result != DB_OK)
            return result;
        path = NULL;
    }
}

/* "/api/v1/PLACE?..." of one customer, or of all that the key reaches where that is 0. */
char *server_list_path(const char *place, uint64_t customer)
{
    char *before = xasprintf("%s?" SERVER_PAGE "%s", place, customer != 0 ? "&customer=" : "");
    char *path = customer != 0 ? remote_path_id(before, customer, "") : remote_path(before, "", "");

    free(before);
    return path;
}

enum db_result server_understood(const struct db *db, int result)
{
    return result == 0 ? DB_OK : remote_strange(server_remote(db));
}

enum db_result server_change(const struct db *db, const char *method, char *path, json_t *body)
{
    return remote_change(server_remote(db), method, path, body, NULL);
}

/* A removal: what `keep` says of it beside 0, the server knows by itself. */
enum db_result server_take_away(const struct db *db, char *path, uint64_t keep)
{
    char *whole = xasprintf("%s%s", path, keep == 0 ? "?now=true" : "");

    free(path);
    return server_change(db, "DELETE", whole, NULL);
}

char *server_customer_path(uint64_t customer, const char *after)
{
    return remote_path_id("/customers/", customer, after);
}

/* The mail is named only where it is not as the server has it configured, as on the command line.
 */
json_t *server_suspension(bool suspended, enum db_suspended_mail mail)
{
    json_t *body = json_pack("{sb}", "suspended", (int)suspended);

    if (suspended)
        json_object_set_new(body, "suspended_mail",
                            mail == DB_SUSPENDED_AS_CONFIGURED
                                ? json_null()
                                : json_string(db_suspended_mail_name(mail)));
    return body;
}
