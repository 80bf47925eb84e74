#include "db/invitation.h"

#include <stdio.h>

#include "db/handle.h"
#include "lib/log.h"

enum db_result db_invitation_find(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                  struct db_invitation *invitation_r)
{
    char language[8];
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_INVITATION_FIND);
    statement_bind_blob(find, 1, digest, DB_DIGEST_SIZE);
    enum db_result result = statement_row(db, find);
    if (result != DB_OK) {
        return result;
    }
    invitation_r->customer = statement_number(find, 0);
    statement_text(find, 1, invitation_r->customer_name, sizeof(invitation_r->customer_name));
    statement_text(find, 2, invitation_r->address, sizeof(invitation_r->address));
    invitation_r->mailbox = statement_number(find, 3);
    statement_text(find, 4, invitation_r->name, sizeof(invitation_r->name));
    statement_text(find, 5, language, sizeof(language));
    invitation_r->password = statement_bool(find, 6);
    invitation_r->until = statement_number(find, 7);
    invitation_r->sending = statement_bool(find, 8);
    invitation_r->admin_user = statement_number(find, 9);
    statement_reset(find);
    if (language_parse(language, &invitation_r->language) < 0) {
        log_error("accounts: a customer has the language \"%s\", which this program does not know",
                  language);
        return DB_BROKEN;
    }
    return DB_OK;
}

/* The search is part of the change, which one writer at a time makes. */
enum db_result db_invitation_take(struct db *db, const uint8_t digest[DB_DIGEST_SIZE],
                                  const char *hash, const char *scram)
{
    struct db_invitation found = {0};
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = db_invitation_find(db, digest, &found);
    if (result == DB_OK && found.admin_user != 0) {
        result = admin_user_set_password(db, found.customer, found.admin_user, found.address, hash);
    } else if (result == DB_OK) {
        result =
            mailbox_set_password(db, found.customer, found.mailbox, found.address, hash, scram);
    }
    return change_end(db, result, "invitation.take", found.customer, found.address);
}
