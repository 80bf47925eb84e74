#include "db/mailaddress.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/handle.h"
#include "lib/log.h"

int db_mailbox_name_check(const char *name, const char **error_r)
{
    if (name_is_clean(name, 0, DB_MAILBOX_NAME_MAX)) {
        return 0;
    }
    *error_r = "a name is up to 200 octets of UTF-8 in one line, without spaces around it";
    return -1;
}

static bool is_sound(const char *name)
{
    const char *error;
    if (db_mailbox_name_check(name, &error) == 0) {
        return true;
    }
    log_error("accounts: name not checked by the caller: %s", error);
    return false;
}

enum db_result mailbox_find(struct db *db, uint64_t customer, const struct address *address,
                            uint64_t *mailbox_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_MAILBOX_FIND);
    statement_bind_number(find, 1, customer);
    statement_bind_text(find, 2, address->domain);
    statement_bind_text(find, 3, address->local);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        *mailbox_r = statement_number(find, 0);
        statement_reset(find);
    }
    return result;
}

/* The customer's own domain: DB_OK or DB_NONE. */
static enum db_result find_place(struct db *db, uint64_t customer, const char *name,
                                 uint64_t *domain_r)
{
    struct sqlite3_stmt *place = statement_get(db, STATEMENT_ADDRESS_PLACE);
    statement_bind_number(place, 1, customer);
    statement_bind_text(place, 2, name);
    enum db_result result = statement_row(db, place);
    if (result == DB_OK) {
        *domain_r = statement_number(place, 0);
        statement_reset(place);
    }
    return result;
}

static enum db_result add_at(struct db *db, uint64_t customer, uint64_t domain, const char *local,
                             uint64_t mailbox)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_ADDRESS_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_number(add, 2, domain);
    statement_bind_text(add, 3, local);
    if (mailbox != 0) {
        statement_bind_number(add, 4, mailbox);
    }
    enum db_result result = statement_change(db, add);
    return result == DB_LIMIT ? limit_note(db, customer, NULL) : result;
}

enum db_result address_add(struct db *db, uint64_t customer, const struct address *address)
{
    uint64_t domain;
    enum db_result result = find_place(db, customer, address->domain, &domain);
    return result == DB_OK ? add_at(db, customer, domain, address->local, 0) : result;
}

static enum db_result mailbox_add(struct db *db, uint64_t customer, const char *name,
                                  uint64_t *mailbox_r)
{
    struct sqlite3_stmt *add = statement_get(db, STATEMENT_MAILBOX_ADD);
    statement_bind_number(add, 1, customer);
    statement_bind_text(add, 2, name);
    enum db_result result = statement_change(db, add);
    *mailbox_r = (uint64_t)sqlite3_last_insert_rowid(db->sqlite);
    return result;
}

static enum db_result credential_set(struct db *db, uint64_t customer, uint64_t mailbox,
                                     const char *hash, const char *scram)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_CREDENTIAL_SET);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, mailbox);
    statement_bind_text(set, 3, hash);
    statement_bind_text(set, 4, scram);
    return statement_change(db, set);
}

/* `id`: to a mailbox that has had none, or in place of another one. */
static enum db_result invitation_put(struct db *db, enum statement_id id, uint64_t customer,
                                     uint64_t mailbox, const uint8_t *digest, uint64_t until)
{
    struct sqlite3_stmt *set = statement_get(db, id);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, mailbox);
    statement_bind_blob(set, 3, digest, DB_DIGEST_SIZE);
    statement_bind_number(set, 4, until);
    return statement_change(db, set);
}

/* Removes what the statement is about; that there is none is as good. */
static enum db_result clear(struct db *db, enum statement_id id, uint64_t customer,
                            uint64_t mailbox)
{
    struct sqlite3_stmt *remove = statement_get(db, id);
    statement_bind_number(remove, 1, customer);
    statement_bind_number(remove, 2, mailbox);
    enum db_result result = statement_change(db, remove);
    return result == DB_NONE ? DB_OK : result;
}

/* The mailbox comes first: the address refers to it. */
static enum db_result add_all(struct db *db, uint64_t customer,
                              const struct db_mailaddress_new *new, uint64_t *mailbox_r)
{
    uint64_t domain;
    enum db_result result = find_place(db, customer, new->address.domain, &domain);
    if (result == DB_OK) {
        result = mailbox_add(db, customer, new->name, mailbox_r);
    }
    if (result == DB_OK) {
        result = add_at(db, customer, domain, new->address.local, *mailbox_r);
    }
    if (result == DB_OK && new->hash != NULL) {
        result = credential_set(db, customer, *mailbox_r, new->hash, new->scram);
    }
    if (result == DB_OK && new->invitation != NULL) {
        result = invitation_put(db, STATEMENT_INVITATION_ADD, customer, *mailbox_r, new->invitation,
                                new->invited_until);
    }
    return result;
}

enum db_result db_mailaddress_add(struct db *db, uint64_t customer,
                                  const struct db_mailaddress_new *new, uint64_t *mailbox_r)
{
    uint64_t mailbox = 0;
    if (!is_sound(new->name)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = add_all(db, customer, new, &mailbox);
    if (mailbox_r != NULL) {
        *mailbox_r = mailbox;
    }
    return change_end(db, result, "address.add", customer, new->address.text);
}

enum db_result db_mailaddress_remove(struct db *db, uint64_t customer,
                                     const struct address *address, uint64_t keep)
{
    return removal_make(db, customer, DB_REMOVAL_ADDRESS, address->text, address, keep);
}

enum db_result mailbox_set_password(struct db *db, uint64_t customer, uint64_t mailbox,
                                    const char *address, const char *hash, const char *scram)
{
    enum db_result result = hash != NULL
                                ? credential_set(db, customer, mailbox, hash, scram)
                                : clear(db, STATEMENT_CREDENTIAL_REMOVE, customer, mailbox);
    if (result == DB_OK) {
        result = clear(db, STATEMENT_INVITATION_REMOVE, customer, mailbox);
    }
    if (result == DB_OK) {
        result = event_note(db, hash != NULL ? DB_EVENT_PASSWORD : DB_EVENT_NO_PASSWORD, customer,
                            mailbox, address, "password");
    }
    return result;
}

enum db_result db_mailaddress_set_hash(struct db *db, uint64_t customer,
                                       const struct address *address, const char *hash,
                                       const char *scram)
{
    uint64_t mailbox;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        result = mailbox_set_password(db, customer, mailbox, address->text, hash, scram);
    }
    return change_end(db, result, "address.password", customer, address->text);
}

enum db_result db_mailaddress_invite(struct db *db, uint64_t customer,
                                     const struct address *address,
                                     const uint8_t digest[DB_DIGEST_SIZE], uint64_t invited_until)
{
    uint64_t mailbox;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        result =
            invitation_put(db, STATEMENT_INVITATION_SET, customer, mailbox, digest, invited_until);
    }
    return change_end(db, result, "address.invite", customer, address->text);
}

enum db_result db_mailaddress_set_name(struct db *db, uint64_t customer,
                                       const struct address *address, const char *name)
{
    uint64_t mailbox;
    if (!is_sound(name)) {
        return DB_BROKEN;
    }
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        struct sqlite3_stmt *set = statement_get(db, STATEMENT_MAILBOX_SET_NAME);
        statement_bind_number(set, 1, customer);
        statement_bind_number(set, 2, mailbox);
        statement_bind_text(set, 3, name);
        result = statement_change(db, set);
    }
    return change_end(db, result, "address.name", customer, address->text);
}

static enum db_result set_suspended(struct db *db, uint64_t customer, uint64_t mailbox,
                                    bool suspended, enum db_suspended_mail mail)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_MAILBOX_SET_SUSPENDED);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, mailbox);
    statement_bind_number(set, 3, suspended);
    statement_bind_text(set, 4, db_suspended_mail_name(mail));
    return statement_change(db, set);
}

enum db_result db_mailaddress_set_suspended(struct db *db, uint64_t customer,
                                            const struct address *address, bool suspended,
                                            enum db_suspended_mail mail)
{
    uint64_t mailbox;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        result = set_suspended(db, customer, mailbox, suspended, mail);
    }
    if (result == DB_OK) {
        result = event_note(db, suspended ? DB_EVENT_SUSPENDED : DB_EVENT_RESUMED, customer,
                            mailbox, address->text, "");
    }
    return change_end(db, result, suspended ? "address.suspend" : "address.resume", customer,
                      address->text);
}

static enum db_result set_settings(struct db *db, uint64_t customer, uint64_t mailbox,
                                   const struct db_mailbox_settings *settings)
{
    struct sqlite3_stmt *set = statement_get(db, STATEMENT_MAILBOX_SET_SETTINGS);
    statement_bind_number(set, 1, customer);
    statement_bind_number(set, 2, mailbox);
    statement_bind_number(set, 3, settings->octets);
    statement_bind_text(set, 4,
                        settings->language_given ? language_code(settings->language) : NULL);
    statement_bind_number(set, 5, settings->pop3);
    statement_bind_number(set, 6, settings->smtp);
    enum db_result result = statement_change(db, set);
    return result == DB_LIMIT ? limit_note(db, customer, NULL) : result;
}

enum db_result db_mailaddress_set_settings(struct db *db, uint64_t customer,
                                           const struct address *address,
                                           const struct db_mailbox_settings *settings)
{
    uint64_t mailbox;
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = mailbox_find(db, customer, address, &mailbox);
    if (result == DB_OK) {
        result = set_settings(db, customer, mailbox, settings);
    }
    return change_end(db, result, "address.settings", customer, address->text);
}

static void read_settings(struct sqlite3_stmt *row, struct db_mailbox_settings *settings_r)
{
    char mail[16];
    char language[8];
    statement_text(row, 11, mail, sizeof(mail));
    settings_r->suspended_mail = DB_SUSPENDED_AS_CONFIGURED;
    db_suspended_mail_parse(mail, &settings_r->suspended_mail);
    settings_r->octets = statement_number(row, 12);
    statement_text(row, 13, language, sizeof(language));
    settings_r->language = LANGUAGE_EN;
    settings_r->language_given = language_parse(language, &settings_r->language) == 0;
    settings_r->pop3 = statement_bool(row, 14);
    settings_r->smtp = statement_bool(row, 15);
}

static enum db_result read_mailaddress(struct db *db, struct sqlite3_stmt *row,
                                       struct db_mailaddress *address_r)
{
    enum db_result result = statement_row(db, row);
    if (result != DB_OK) {
        return result;
    }
    address_r->customer = statement_number(row, 0);
    statement_text(row, 1, address_r->customer_name, sizeof(address_r->customer_name));
    statement_text(row, 2, address_r->text, sizeof(address_r->text));
    address_r->mailbox = statement_number(row, 3);
    statement_text(row, 4, address_r->name, sizeof(address_r->name));
    address_r->suspended = statement_bool(row, 5);
    address_r->password = statement_bool(row, 6);
    address_r->invited_until = statement_number(row, 7);
    address_r->targets = statement_count(row, 8);
    address_r->created = statement_number(row, 9);
    address_r->over_plan = statement_bool(row, 10);
    read_settings(row, &address_r->settings);
    statement_reset(row);
    return DB_OK;
}

enum db_result db_mailaddress_find(struct db *db, const struct address *address,
                                   struct db_mailaddress *address_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_MAILADDRESS_FIND);
    statement_bind_text(find, 1, address->domain);
    statement_bind_text(find, 2, address->local);
    return read_mailaddress(db, find, address_r);
}

/* Where a listing goes on: after local@domain, both empty at its beginning. */
struct place {
    char local[ADDRESS_LOCAL_MAX + 1];
    const char *domain;
};

/* A quoted local part may hold "@", a domain may not. */
static void place_init(struct place *place, const char *text)
{
    const char *at = strrchr(text, '@');
    int length = at == NULL ? 0 : (int)(at - text);
    snprintf(place->local, sizeof(place->local), "%.*s", length, text);
    place->domain = at == NULL ? "" : at + 1;
}

/* First in the domain where it was, then behind that one. */
enum db_result db_mailaddress_next(struct db *db, uint64_t customer, struct db_mailaddress *address)
{
    struct place after;
    place_init(&after, address->text);
    struct sqlite3_stmt *behind = statement_get(db, STATEMENT_MAILADDRESS_BEHIND);
    statement_bind_number(behind, 1, customer);
    statement_bind_text(behind, 2, after.domain);
    statement_bind_text(behind, 3, after.local);
    enum db_result result = read_mailaddress(db, behind, address);
    if (result != DB_NONE) {
        return result;
    }
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_MAILADDRESS_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_text(next, 2, after.domain);
    return read_mailaddress(db, next, address);
}

enum db_result db_operator_mailaddress_next(struct db *db, struct db_mailaddress *address)
{
    struct place after;
    place_init(&after, address->text);
    struct sqlite3_stmt *behind = statement_get(db, STATEMENT_OPERATOR_MAILADDRESS_BEHIND);
    statement_bind_text(behind, 1, after.domain);
    statement_bind_text(behind, 2, after.local);
    enum db_result result = read_mailaddress(db, behind, address);
    if (result != DB_NONE) {
        return result;
    }
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_OPERATOR_MAILADDRESS_NEXT);
    statement_bind_text(next, 1, after.domain);
    return read_mailaddress(db, next, address);
}
