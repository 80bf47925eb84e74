#include "db/alias.h"

#include <stdio.h>

#include "db/handle.h"

static enum db_result alias_find(struct db *db, uint64_t customer, const struct address *alias,
                                 uint64_t *id_r)
{
    struct sqlite3_stmt *find = statement_get(db, STATEMENT_ALIAS_FIND);
    statement_bind_number(find, 1, customer);
    statement_bind_text(find, 2, alias->domain);
    statement_bind_text(find, 3, alias->local);
    enum db_result result = statement_row(db, find);
    if (result == DB_OK) {
        *id_r = statement_number(find, 0);
        statement_reset(find);
    }
    return result;
}

/* target_add and target_remove have the same parameters. */
static enum db_result target_change(struct db *db, enum statement_id id, uint64_t customer,
                                    uint64_t alias, uint64_t mailbox)
{
    struct sqlite3_stmt *change = statement_get(db, id);
    statement_bind_number(change, 1, customer);
    statement_bind_number(change, 2, alias);
    statement_bind_number(change, 3, mailbox);
    return statement_change(db, change);
}

/* Adds what is not there yet, and notes in mailboxes_r where each target leads. */
static enum db_result targets_add(struct db *db, uint64_t customer, uint64_t alias,
                                  const struct address *targets, unsigned count,
                                  uint64_t *mailboxes_r)
{
    enum db_result result = DB_OK;
    for (unsigned i = 0; i < count && result == DB_OK; i++) {
        result = mailbox_find(db, customer, &targets[i], &mailboxes_r[i]);
        if (result == DB_OK) {
            result = target_change(db, STATEMENT_TARGET_ADD, customer, alias, mailboxes_r[i]);
        }
    }
    return result;
}

static enum db_result target_next(struct db *db, uint64_t customer, uint64_t alias,
                                  struct address *target, uint64_t *mailbox_r)
{
    struct sqlite3_stmt *next = statement_get(db, STATEMENT_TARGET_NEXT);
    statement_bind_number(next, 1, customer);
    statement_bind_number(next, 2, alias);
    statement_bind_text(next, 3, target->domain);
    statement_bind_text(next, 4, target->local);
    enum db_result result = statement_row(db, next);
    if (result != DB_OK) {
        return result;
    }
    *mailbox_r = statement_number(next, 0);
    statement_text(next, 1, target->local, sizeof(target->local));
    statement_text(next, 2, target->domain, sizeof(target->domain));
    snprintf(target->text, sizeof(target->text), "%s@%s", target->local, target->domain);
    statement_reset(next);
    return DB_OK;
}

static bool is_among(const uint64_t *mailboxes, unsigned count, uint64_t mailbox)
{
    for (unsigned i = 0; i < count; i++) {
        if (mailboxes[i] == mailbox) {
            return true;
        }
    }
    return false;
}

/* After the new ones are in: an alias that is without a target for a moment is removed. */
static enum db_result targets_keep(struct db *db, uint64_t customer, uint64_t alias,
                                   const uint64_t *mailboxes, unsigned count)
{
    struct address target = {0};
    uint64_t mailbox;
    enum db_result result = target_next(db, customer, alias, &target, &mailbox);
    while (result == DB_OK) {
        if (!is_among(mailboxes, count, mailbox)) {
            result = target_change(db, STATEMENT_TARGET_REMOVE, customer, alias, mailbox);
        }
        if (result == DB_OK) {
            result = target_next(db, customer, alias, &target, &mailbox);
        }
    }
    return result == DB_NONE ? DB_OK : result;
}

/* Those that are removed: whoever is restored later gets no mail of an alias that has gone on. */
static enum db_result targets_forget(struct db *db, uint64_t customer, uint64_t alias)
{
    struct sqlite3_stmt *forget = statement_get(db, STATEMENT_TARGETS_FORGET);
    statement_bind_number(forget, 1, customer);
    statement_bind_number(forget, 2, alias);
    enum db_result result = statement_change(db, forget);
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result targets_set(struct db *db, uint64_t customer, const struct address *alias,
                                  const struct address *targets, unsigned count)
{
    uint64_t id;
    uint64_t mailboxes[DB_ROUTE_MAX];
    if (count < 1 || count > DB_ROUTE_MAX) {
        return DB_BROKEN;
    }
    enum db_result result = alias_find(db, customer, alias, &id);
    if (result == DB_OK) {
        result = targets_add(db, customer, id, targets, count, mailboxes);
    }
    if (result == DB_OK) {
        result = targets_keep(db, customer, id, mailboxes, count);
    }
    if (result == DB_OK) {
        result = targets_forget(db, customer, id);
    }
    return result;
}

enum db_result db_alias_add(struct db *db, uint64_t customer, const struct address *alias,
                            const struct address *targets, unsigned count)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = address_add(db, customer, alias);
    if (result == DB_OK) {
        result = targets_set(db, customer, alias, targets, count);
    }
    return change_end(db, result, "alias.add", customer, alias->text);
}

enum db_result db_alias_set(struct db *db, uint64_t customer, const struct address *alias,
                            const struct address *targets, unsigned count)
{
    enum db_result result = change_begin(db);
    if (result != DB_OK) {
        return result;
    }
    result = targets_set(db, customer, alias, targets, count);
    return change_end(db, result, "alias.set", customer, alias->text);
}

enum db_result db_alias_target_next(struct db *db, uint64_t customer, const struct address *alias,
                                    struct address *target)
{
    uint64_t id;
    uint64_t mailbox;
    enum db_result result = alias_find(db, customer, alias, &id);
    return result == DB_OK ? target_next(db, customer, id, target, &mailbox) : result;
}
