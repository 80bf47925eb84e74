#ifndef CLI_REMOTESERVER_H
#define CLI_REMOTESERVER_H

#include "cli/accounts.h"
#include "cli/remote.h"
#include "cli/remoteanswer.h"

/* The inside of a handle of accounts_remote, for the files that make requests of its functions. */

/* Items of a page: as many as the API gives. */
#define SERVER_PAGE "limit=500"

/* One list that is being gone through, page by page. Each kind of rows has one. */
enum list {
    LIST_PLANS,
    LIST_CUSTOMERS,
    LIST_NAMED,
    LIST_DOMAINS,
    LIST_ADDRESSES,
    LIST_APP_PASSWORDS,
    LIST_API_KEYS,
    LIST_ISSUERS,
    LIST_REMOVALS,
    LIST_EVENTS,
    LIST_AUDIT,
    LIST_TRUSTED,
    LIST_WEBHOOKS,
    LIST_SESSIONS,
    LIST_USAGE,
    LIST_JOBS,
    LIST_ADMIN_USERS,
    LIST_BLOCKS,
    LIST_JOB_ERRORS,
    LIST__MAX
};

struct pages {
    json_t *page; /* NULL: not begun, or at its end */
    size_t at;
    bool ended;
};

/* The API knows mailboxes by their addresses: the ids of this program are places in this table. */
struct mailbox {
    uint64_t customer;
    char *address;
};

/* What a handle of accounts_remote points to. */
struct server {
    struct remote *remote;
    struct pages lists[LIST__MAX];
    struct mailbox *mailboxes;
    size_t mailbox_count;
    /* What was found last: a change sends what differs, so it undoes no other's. */
    struct db_plan plan;
    struct db_mailbox_settings settings;
    struct db_api_key key;
    struct db_admin_user user;
    unsigned job_percent;
};

struct server *server_of(const struct db *db);
struct remote *server_remote(const struct db *db);

/* The id of a mailbox by its address, and the other way. */
uint64_t server_mailbox_id(struct server *server, uint64_t customer, const char *address);
const char *server_mailbox_address(const struct server *server, uint64_t id);

/*
 * The next item, borrowed until the next call for this list. `path` begins anew, and is freed;
 * NULL: goes on. DB_NONE after the last.
 */
enum db_result server_next(const struct db *db, enum list list, char *path, const json_t **item_r);

/* "/api/v1/PLACE?..." of one customer, or of all that the key reaches where that is 0. */
char *server_list_path(const char *place, uint64_t customer);

/* "/api/v1/customers/CUSTOMER" and what is behind it. */
char *server_customer_path(uint64_t customer, const char *after);

/* What a function of cli/remoteanswer.h has returned; -1 is said. */
enum db_result server_understood(const struct db *db, int result);

/* Requests whose answers are not of interest; a removal keeps nothing where `keep` is 0. */
enum db_result server_change(const struct db *db, const char *method, char *path, json_t *body);
enum db_result server_take_away(const struct db *db, char *path, uint64_t keep);

/* The body that suspends or resumes. */
json_t *server_suspension(bool suspended, enum db_suspended_mail mail);

/* Gets an object and has it read; the path is freed. */
#define SERVER_FIND(db, path, read, row_r)                                                         \
    do {                                                                                           \
        json_t *object;                                                                            \
        enum db_result result = remote_get(server_remote(db), path, &object);                      \
        if (result == DB_OK) {                                                                     \
            result = server_understood(db, read(object, row_r));                                   \
            json_decref(object);                                                                   \
        }                                                                                          \
        return result;                                                                             \
    } while (0)

/* Goes to the next item of a list and has it read. */
#define SERVER_NEXT(db, list, path, read, row_r)                                                   \
    do {                                                                                           \
        const json_t *item;                                                                        \
        enum db_result result = server_next(db, list, path, &item);                                \
        return result == DB_OK ? server_understood(db, read(item, row_r)) : result;                \
    } while (0)

/* What an answer says of an invitation that it holds; as in cli/remoteanswer.h. */
int server_read_invitation(const json_t *answer, struct drawn_invitation *drawn_r);

/* The functions of the table, as it has them. */
#define SERVER_CALL(name) __typeof__(db_##name) server_##name;
ACCOUNTS_CALLS(SERVER_CALL)
#undef SERVER_CALL
__typeof__(*accounts_local.password_keep) server_password_keep;
__typeof__(*accounts_local.mailbox_add) server_mailbox_add;
__typeof__(*accounts_local.mailbox_set_login) server_mailbox_set_login;
__typeof__(*accounts_local.mailbox_invite) server_mailbox_invite;
__typeof__(*accounts_local.admin_user_draw) server_admin_user_draw;
__typeof__(*accounts_local.admin_user_invite) server_admin_user_invite;
__typeof__(*accounts_local.admin_user_change) server_admin_user_change;
__typeof__(*accounts_local.admin_user_set_login) server_admin_user_set_login;
__typeof__(*accounts_local.webhook_draw) server_webhook_draw;
__typeof__(*accounts_local.webhook_redraw) server_webhook_redraw;
__typeof__(*accounts_local.usage_ask) server_usage_ask;
__typeof__(*accounts_local.statistics_customer) server_statistics_customer;
__typeof__(*accounts_local.session_find) server_session_find;
__typeof__(*accounts_local.session_end) server_session_end;
__typeof__(*accounts_local.blocks_find) server_blocks_find;
__typeof__(*accounts_local.blocks_lift) server_blocks_lift;
__typeof__(*accounts_local.cards_print) server_cards_print;
__typeof__(*accounts_local.import_add) server_import_add;
__typeof__(*accounts_local.job_upload) server_job_upload;
__typeof__(*accounts_local.job_percent) server_job_percent;
__typeof__(*accounts_local.job_warn) server_job_warn;
__typeof__(*accounts_local.job_take_table) server_job_take_table;
__typeof__(*accounts_local.job_take_cards) server_job_take_cards;
__typeof__(*accounts_local.audit_export) server_audit_export;
__typeof__(*accounts_local.events_flush) server_events_flush;

#endif
