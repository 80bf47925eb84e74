#include "cli/accounts.h"

#include <time.h>

#include <sodium.h>

#include "cli/eventflush.h"
#include "db/secondfactor.h"

_Static_assert(DB_WEBHOOK_SECRET_SIZE == SIGNATURE_SECRET_SIZE, "one secret, two names");

const struct accounts *accounts = &accounts_local;

static enum db_result mailbox_add(struct db *db, const struct conf *conf, uint64_t customer,
                                  const struct db_mailaddress_new *new, const struct login *login,
                                  struct drawn_invitation *drawn_r)
{
    struct db_mailaddress_new whole = *new;

    if (login != NULL) {
        whole.hash = login->kept.hash;
        whole.scram = login->kept.scram;
    } else {
        password_draw_invitation(drawn_r, conf);
        whole.invitation = drawn_r->invitation.digest;
        whole.invited_until = drawn_r->invitation.until;
    }
    return db_mailaddress_add(db, customer, &whole, NULL);
}

static enum db_result mailbox_set_login(struct db *db, uint64_t customer,
                                        const struct address *address, const struct login *login)
{
    return db_mailaddress_set_hash(db, customer, address, login->kept.hash, login->kept.scram);
}

static enum db_result mailbox_invite(struct db *db, const struct conf *conf, uint64_t customer,
                                     const struct address *address,
                                     struct drawn_invitation *drawn_r)
{
    password_draw_invitation(drawn_r, conf);
    return db_mailaddress_invite(db, customer, address, drawn_r->invitation.digest,
                                 drawn_r->invitation.until);
}

static enum db_result admin_user_draw(struct db *db, const struct conf *conf,
                                      struct db_admin_user *user, const char *name,
                                      struct drawn_invitation *drawn_r)
{
    password_draw_invitation(drawn_r, conf);
    return db_admin_user_add(db, user, name, drawn_r->invitation.digest, drawn_r->invitation.until);
}

static enum db_result admin_user_invite(struct db *db, const struct conf *conf,
                                        const struct db_admin_user *user,
                                        struct drawn_invitation *drawn_r)
{
    password_draw_invitation(drawn_r, conf);
    return db_admin_user_invite(db, user->customer, user->id, drawn_r->invitation.digest,
                                drawn_r->invitation.until);
}

static enum db_result admin_user_change(struct db *db, const struct db_admin_user *user,
                                        bool no_second_factor)
{
    const struct db_person person = {.customer = user->customer, .admin_user = user->id};
    enum db_result result = db_transaction_begin(db);

    if (result != DB_OK)
        return result;
    result = db_admin_user_set(db, user);
    if (result == DB_OK && no_second_factor)
        result = db_second_factor_take_away(db, &person);
    if (result == DB_OK)
        return db_transaction_commit(db);
    db_transaction_rollback(db);
    return result;
}

static enum db_result admin_user_set_login(struct db *db, const struct db_admin_user *user,
                                           const struct login *login)
{
    return db_admin_user_set_hash(db, user->customer, user->id, login->kept.hash);
}

static enum db_result webhook_draw(struct db *db, uint64_t customer, const char *url,
                                   const char *events, uint64_t *id_r,
                                   char secret_r[SIGNATURE_TEXT_SIZE])
{
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE];

    randombytes_buf(secret, sizeof(secret));
    signature_secret(secret_r, secret);
    enum db_result result = db_webhook_add(db, customer, url, events, secret, id_r);
    sodium_memzero(secret, sizeof(secret));
    return result;
}

static enum db_result webhook_redraw(struct db *db, uint64_t customer, uint64_t id,
                                     uint64_t overlap, char secret_r[SIGNATURE_TEXT_SIZE])
{
    uint8_t secret[DB_WEBHOOK_SECRET_SIZE];

    randombytes_buf(secret, sizeof(secret));
    signature_secret(secret_r, secret);
    enum db_result result =
        db_webhook_renew(db, customer, id, secret, (uint64_t)time(NULL) + overlap);
    sodium_memzero(secret, sizeof(secret));
    return result;
}

static const char *ask_usage(struct db *db, struct usage *usages, size_t count)
{
    (void)db;
    return usage_ask(usages, count);
}

const struct accounts accounts_local = {
#define ACCOUNTS_ROW(name) .name = db_##name,
    ACCOUNTS_CALLS(ACCOUNTS_ROW)
#undef ACCOUNTS_ROW
        .password_keep = password_keep,
    .mailbox_add = mailbox_add,
    .mailbox_set_login = mailbox_set_login,
    .mailbox_invite = mailbox_invite,
    .admin_user_draw = admin_user_draw,
    .admin_user_invite = admin_user_invite,
    .admin_user_change = admin_user_change,
    .admin_user_set_login = admin_user_set_login,
    .webhook_draw = webhook_draw,
    .webhook_redraw = webhook_redraw,
    .usage_ask = ask_usage,
    .statistics_customer = statistics_customer,
    .session_find = session_find,
    .session_end = session_end,
    .blocks_find = blocks_find,
    .blocks_lift = blocks_lift,
    .cards_print = cards_print,
    .import_add = import_add,
    .import_keep = password_keep,
    .job_upload = job_upload,
    .job_percent = job_percent,
    .job_warn = job_warn,
    .job_take_table = job_take_table,
    .job_take_cards = job_take_cards,
    .audit_export = audit_export,
    .events_flush = eventflush,
    .broken = "the account database failed, as the line above says",
};
