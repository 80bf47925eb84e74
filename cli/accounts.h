#ifndef CLI_ACCOUNTS_H
#define CLI_ACCOUNTS_H

#include "cli/auditexport.h"
#include "cli/blocks.h"
#include "cli/cards.h"
#include "cli/import.h"
#include "cli/job.h"
#include "cli/password.h"
#include "cli/session.h"
#include "cli/statistics.h"
#include "cli/usage.h"
#include "db/adminuser.h"
#include "db/alias.h"
#include "db/apikey.h"
#include "db/apppassword.h"
#include "db/audit.h"
#include "db/customer.h"
#include "db/domain.h"
#include "db/event.h"
#include "db/issuer.h"
#include "db/limit.h"
#include "db/mailaddress.h"
#include "db/overplan.h"
#include "db/plan.h"
#include "db/removal.h"
#include "db/transaction.h"
#include "db/trusted.h"
#include "db/webhook.h"
#include "lib/signature.h"

/*
 * What the commands that provision do with accounts: here, in the account database, or over the
 * HTTP API of a server that runs elsewhere (cli/remote.h). A command says accounts->plan_add()
 * where it would say db_plan_add(), with the handle that instance_open_database() has returned,
 * and is one and the same for both: its words, its checks, its tables, its refusals.
 *
 * Over HTTP a handle is none of db/'s, ids are the server's (of mailboxes: this program's own), and
 * DB_BROKEN means that the reason has been said already. A transaction is one request, so what is
 * wrong with it may be told only by its commit.
 */

/* Functions of db/, by their names there without "db_"; those of the table have their types. */
#define ACCOUNTS_CALLS(CALL)                                                                       \
    CALL(close)                                                                                    \
    CALL(limit_get)                                                                                \
    CALL(transaction_begin)                                                                        \
    CALL(transaction_commit)                                                                       \
    CALL(transaction_rollback)                                                                     \
    CALL(plan_add)                                                                                 \
    CALL(plan_find)                                                                                \
    CALL(plan_next)                                                                                \
    CALL(plan_set)                                                                                 \
    CALL(customer_add)                                                                             \
    CALL(customer_find)                                                                            \
    CALL(customer_get)                                                                             \
    CALL(customer_next)                                                                            \
    CALL(customer_remove)                                                                          \
    CALL(customer_set_language)                                                                    \
    CALL(customer_set_name)                                                                        \
    CALL(customer_set_plan)                                                                        \
    CALL(customer_set_suspended)                                                                   \
    CALL(overplan_preview)                                                                         \
    CALL(domain_add)                                                                               \
    CALL(domain_find)                                                                              \
    CALL(domain_next)                                                                              \
    CALL(domain_remove)                                                                            \
    CALL(domain_set_catch_all)                                                                     \
    CALL(operator_domain_next)                                                                     \
    CALL(mailaddress_find)                                                                         \
    CALL(mailaddress_next)                                                                         \
    CALL(mailaddress_remove)                                                                       \
    CALL(mailaddress_set_name)                                                                     \
    CALL(mailaddress_set_settings)                                                                 \
    CALL(mailaddress_set_suspended)                                                                \
    CALL(operator_mailaddress_next)                                                                \
    CALL(alias_add)                                                                                \
    CALL(alias_set)                                                                                \
    CALL(app_password_draw)                                                                        \
    CALL(app_password_next)                                                                        \
    CALL(app_password_remove)                                                                      \
    CALL(api_key_draw)                                                                             \
    CALL(api_key_next)                                                                             \
    CALL(api_key_remove)                                                                           \
    CALL(api_key_set)                                                                              \
    CALL(operator_api_key_next)                                                                    \
    CALL(admin_user_find)                                                                          \
    CALL(admin_user_next)                                                                          \
    CALL(admin_user_remove)                                                                        \
    CALL(operator_admin_user_next)                                                                 \
    CALL(issuer_add)                                                                               \
    CALL(issuer_next)                                                                              \
    CALL(issuer_remove)                                                                            \
    CALL(job_end)                                                                                  \
    CALL(job_error_next)                                                                           \
    CALL(job_next)                                                                                 \
    CALL(operator_job_find)                                                                        \
    CALL(operator_job_next)                                                                        \
    CALL(removal_find)                                                                             \
    CALL(removal_next)                                                                             \
    CALL(removal_purge)                                                                            \
    CALL(removal_restore)                                                                          \
    CALL(operator_removal_next)                                                                    \
    CALL(event_mailbox_next)                                                                       \
    CALL(event_next)                                                                               \
    CALL(operator_event_next)                                                                      \
    CALL(operator_statistics)                                                                      \
    CALL(audit_next)                                                                               \
    CALL(operator_audit_next)                                                                      \
    CALL(trusted_add)                                                                              \
    CALL(trusted_next)                                                                             \
    CALL(trusted_remove)                                                                           \
    CALL(webhook_next)                                                                             \
    CALL(webhook_remove)                                                                           \
    CALL(webhook_replay)                                                                           \
    CALL(webhook_set)                                                                              \
    CALL(operator_webhook_find)                                                                    \
    CALL(operator_webhook_next)

struct accounts {
#define ACCOUNTS_MEMBER(name) __typeof__(db_##name) *name;
    ACCOUNTS_CALLS(ACCOUNTS_MEMBER)
#undef ACCOUNTS_MEMBER

    /* What takes more than the database: other programs, and secrets that the server draws. */

    /* As in cli/password.h; over HTTP the server hashes, and this does nothing. */
    __typeof__(password_keep) *password_keep;
    /*
     * Makes a mailbox, with a login, or where that is NULL with an invitation. As
     * db_mailaddress_add().
     */
    enum db_result (*mailbox_add)(struct db *db, const struct conf *conf, uint64_t customer,
                                  const struct db_mailaddress_new *new, const struct login *login,
                                  struct drawn_invitation *drawn_r);
    /* As db_mailaddress_set_hash(). */
    enum db_result (*mailbox_set_login)(struct db *db, uint64_t customer,
                                        const struct address *address, const struct login *login);
    /* Invites anew, as db_mailaddress_invite(). */
    enum db_result (*mailbox_invite)(struct db *db, const struct conf *conf, uint64_t customer,
                                     const struct address *address,
                                     struct drawn_invitation *drawn_r);
    /* Adds an admin user with an invitation; as db_admin_user_add(). */
    enum db_result (*admin_user_draw)(struct db *db, const struct conf *conf,
                                      struct db_admin_user *user, const char *name,
                                      struct drawn_invitation *drawn_r);
    /* Invites anew, as db_admin_user_invite(). */
    enum db_result (*admin_user_invite)(struct db *db, const struct conf *conf,
                                        const struct db_admin_user *user,
                                        struct drawn_invitation *drawn_r);
    /* As db_admin_user_set(), and takes away the second factor, which there need not be. */
    enum db_result (*admin_user_change)(struct db *db, const struct db_admin_user *user,
                                        bool no_second_factor);
    /* As db_admin_user_set_hash(). */
    enum db_result (*admin_user_set_login)(struct db *db, const struct db_admin_user *user,
                                           const struct login *login);
    /*
     * As db_webhook_add() and db_webhook_renew(); the secret is drawn, and wiped by its owner. The
     * secret of before is good for `overlap` seconds more.
     */
    enum db_result (*webhook_draw)(struct db *db, uint64_t customer, const char *url,
                                   const char *events, uint64_t *id_r,
                                   char secret_r[SIGNATURE_TEXT_SIZE]);
    enum db_result (*webhook_redraw)(struct db *db, uint64_t customer, uint64_t id,
                                     uint64_t overlap, char secret_r[SIGNATURE_TEXT_SIZE]);
    /* As in cli/usage.h. */
    const char *(*usage_ask)(struct db *db, struct usage *usages, size_t count);
    /* As in cli/statistics.h. */
    __typeof__(statistics_customer) *statistics_customer;
    /* As in cli/session.h. */
    __typeof__(session_find) *session_find;
    __typeof__(session_end) *session_end;
    /* As in cli/blocks.h and cli/cards.h. */
    __typeof__(blocks_find) *blocks_find;
    __typeof__(blocks_lift) *blocks_lift;
    __typeof__(cards_print) *cards_print;
    /* As in cli/import.h; and password_keep() for what it makes. */
    __typeof__(import_add) *import_add;
    __typeof__(password_keep) *import_keep;
    /* As in cli/job.h. */
    __typeof__(job_upload) *job_upload;
    __typeof__(job_percent) *job_percent;
    __typeof__(job_warn) *job_warn;
    __typeof__(job_take_table) *job_take_table;
    __typeof__(job_take_cards) *job_take_cards;
    /* As in cli/auditexport.h. */
    __typeof__(audit_export) *audit_export;
    /* Has the events written that have been counted; says so where that is not possible. */
    void (*events_flush)(void);

    /* What DB_BROKEN is explained by, if nothing has been said of it but in the log; or NULL. */
    const char *broken;
    bool remote;
};

/* The table in use; this machine's until remote_open(). */
extern const struct accounts *accounts;
extern const struct accounts accounts_local;

#endif
