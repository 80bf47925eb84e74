#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/lot.h"
#include "db/alias.h"
#include "db/domain.h"
#include "db/limit.h"
#include "db/transaction.h"
#include "lib/clock.h"
#include "lib/xalloc.h"

/* In ms: hashing one password takes a good part of it, and who waits for the thread waits so long.
 */
#define FILL_TIME 200

/* Behind the errors that checking has found in the row. */
#define ERROR_NUMBER 200

/* --- the life of it */

struct lot *lot_new(void)
{
    return xcalloc(1, sizeof(struct lot));
}

void lot_clear(struct lot *lot)
{
    for (unsigned i = 0; i < lot->count; i++) {
        free(lot->rows[i].targets);
        sodium_memzero(&lot->rows[i], sizeof(lot->rows[i]));
    }
    lot->count = lot->made = lot->refused = 0;
}

void lot_free(struct lot *lot)
{
    if (lot == NULL)
        return;
    lot_clear(lot);
    free(lot);
}

void lot_reader_end(struct lot_reader *reader)
{
    jobsource_free(reader->source);
    reader->source = NULL;
}

/* --- reading */

static enum db_result take_password(const struct lot_reader *reader, struct db *db,
                                    struct lot_row *taken, const struct row *row)
{
    struct password_kept *kept = &taken->kept;
    struct password password;
    enum db_result result = db_job_find_hash(db, reader->job->id, row->number, kept->hash,
                                             sizeof(kept->hash), kept->scram, sizeof(kept->scram));

    if (result != DB_NONE)
        return result;
    if (reader->cost == NULL)
        return DB_BROKEN;
    handout_password(&password, reader->secret, row->number);
    /* Too little memory now may be enough later. */
    result = password_hash(kept, reader->cost, &password, row->address.text) == 0 ? DB_OK : DB_BUSY;
    taken->hashed = true;
    password_wipe(&password);
    return result;
}

static enum db_result take_login(const struct lot_reader *reader, struct db *db,
                                 struct lot_row *taken, const struct row *row)
{
    switch (row->login) {
    case ROW_LOGIN_INVITE:
        taken->invited = true;
        handout_invitation(&taken->invitation, reader->secret, row->number);
        return DB_OK;
    case ROW_LOGIN_GENERATE: return take_password(reader, db, taken, row);
    case ROW_LOGIN_HASH:
        snprintf(taken->kept.hash, sizeof(taken->kept.hash), "%s", row->hash);
        return DB_OK;
    default: return DB_OK;
    }
}

static void take_settings(struct lot_row *taken, const struct row *row)
{
    static const unsigned settings =
        ROW_BIT(QUOTA_BYTES) | ROW_BIT(LANGUAGE) | ROW_BIT(POP3) | ROW_BIT(SMTP);

    taken->set = (row->given & settings) != 0;
    taken->settings = (struct db_mailbox_settings){
        .octets = row->quota_bytes,
        .language_given = (row->given & ROW_BIT(LANGUAGE)) != 0,
        .language = row->language,
        .pop3 = (row->given & ROW_BIT(POP3)) == 0 || row->pop3,
        .smtp = (row->given & ROW_BIT(SMTP)) == 0 || row->smtp,
    };
}

/* A job over all customers finds whose the domain is: the rows of one often stand together. */
static enum db_result take_customer(const struct lot *lot, uint64_t customer, struct db *db,
                                    struct lot_row *taken)
{
    const struct lot_row *before = taken > lot->rows ? taken - 1 : taken;
    struct db_domain domain = {0};

    if (customer != 0) {
        taken->customer = customer;
        return DB_OK;
    }
    if (before != taken && strcmp(before->address.domain, taken->address.domain) == 0) {
        taken->customer = before->customer;
        return DB_OK;
    }
    enum db_result result = db_domain_find(db, taken->address.domain, &domain);
    taken->customer = domain.customer;
    /* Who is nobody's customer is refused when the address is made. */
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result take(struct lot *lot, const struct lot_reader *reader, struct db *db,
                           const struct row *row)
{
    struct lot_row *taken = &lot->rows[lot->count++];

    taken->number = row->number;
    taken->line = row->line;
    taken->address = row->address;
    memcpy(taken->name, row->name, sizeof(taken->name));
    take_settings(taken, row);
    if (row->target_count > 0) {
        taken->targets = xcalloc(row->target_count, sizeof(*taken->targets));
        memcpy(taken->targets, row->targets, row->target_count * sizeof(*taken->targets));
        taken->target_count = row->target_count;
    }
    enum db_result result = take_customer(lot, reader->job->customer, db, taken);
    return result == DB_OK ? take_login(reader, db, taken, row) : result;
}

/* The next row of either round: DB_NONE when both are over. */
static enum db_result next(struct lot_reader *reader, struct db *db, struct row **row_r)
{
    if (reader->source == NULL)
        reader->source = jobsource_new(reader->job);
    enum db_result result = jobsource_next(reader->source, db, row_r);
    if (result != DB_NONE || reader->aliases || reader->job->aliases == 0)
        return result;
    jobsource_free(reader->source);
    reader->source = jobsource_new(reader->job);
    reader->aliases = true;
    reader->read = reader->job->rows;
    return jobsource_next(reader->source, db, row_r);
}

static bool is_wanted(const struct lot_reader *reader, const struct row *row)
{
    return reader->read > reader->from && !rowset_has(reader->wrong, row->number) &&
           (row->target_count > 0) == reader->aliases;
}

enum db_result lot_fill(struct lot *lot, struct lot_reader *reader, struct db *db)
{
    uint64_t end = clock_milliseconds() + FILL_TIME;
    enum db_result result = DB_OK;
    struct row *row;

    lot_clear(lot);
    lot->job = reader->job->id;
    while (lot->count < LOT_ROWS && clock_milliseconds() < end) {
        result = next(reader, db, &row);
        if (result != DB_OK)
            break;
        reader->read++;
        if (is_wanted(reader, row))
            result = take(lot, reader, db, row);
        if (result != DB_OK)
            return result;
    }
    lot->place = reader->read > reader->from ? reader->read : reader->from;
    if (result == DB_NONE)
        lot->place = db_job_places(reader->job);
    reader->over = lot->place == db_job_places(reader->job);
    return result == DB_NONE ? DB_OK : result;
}

/* --- writing */

static enum db_result apply_row(struct db *db, const struct lot_row *row)
{
    const struct db_mailaddress_new new = {
        .address = row->address,
        .name = row->name,
        .hash = row->kept.hash[0] != '\0' ? row->kept.hash : NULL,
        .scram = row->kept.scram,
        .invitation = row->invited ? row->invitation.digest : NULL,
        .invited_until = row->invitation.until,
    };

    if (row->target_count > 0)
        return db_alias_add(db, row->customer, &row->address, row->targets, row->target_count);
    enum db_result result = db_mailaddress_add(db, row->customer, &new, NULL);
    if (result == DB_OK && row->set)
        result = db_mailaddress_set_settings(db, row->customer, &row->address, &row->settings);
    return result;
}

/* As checking says it: what it saw has changed since. */
static void tell_refusal(struct lot *lot, const struct db *db, const struct lot_row *row,
                         enum db_result refusal)
{
    struct db_job_error *error = &lot->last_error;
    struct db_limit limit;

    *error = (struct db_job_error){.row = row->number, .line = row->line, .number = ERROR_NUMBER};
    snprintf(error->name, sizeof(error->name), "address");
    if (refusal == DB_TAKEN) {
        snprintf(error->code, sizeof(error->code), "taken");
        snprintf(error->reason, sizeof(error->reason), "there is such an address by now");
    } else if (refusal == DB_LIMIT) {
        db_limit_get(db, &limit);
        snprintf(error->code, sizeof(error->code), "limit");
        snprintf(error->reason, sizeof(error->reason), "the plan \"%s\" does not allow it any more",
                 limit.plan);
    } else {
        snprintf(error->code, sizeof(error->code), "none");
        snprintf(error->reason, sizeof(error->reason),
                 row->target_count > 0 ? "the domain or a target is not there any more"
                                       : "the domain is not there any more");
    }
}

static bool is_failure(enum db_result result)
{
    return result == DB_BUSY || result == DB_BROKEN;
}

/* Returns DB_OK also where the row is refused, which is noted. */
static enum db_result apply_carefully(struct lot *lot, struct db *db, const struct lot_row *row)
{
    enum db_result result = db_part_begin(db);

    if (result != DB_OK)
        return result;
    enum db_result applied = apply_row(db, row);
    if (is_failure(applied))
        return applied;
    result = db_part_end(db, applied == DB_OK);
    if (result != DB_OK)
        return result;
    if (applied == DB_OK) {
        lot->made++;
        return DB_OK;
    }
    tell_refusal(lot, db, row, applied);
    lot->refused++;
    return db_job_add_error(db, lot->job, &lot->last_error);
}

enum db_result lot_apply(struct lot *lot, struct db *db, bool careful)
{
    enum db_result result = DB_OK;

    lot->made = lot->refused = 0;
    lot->last_error = (struct db_job_error){0};
    for (unsigned i = 0; i < lot->count && result == DB_OK; i++) {
        const struct lot_row *row = &lot->rows[i];
        if (careful) {
            result = apply_carefully(lot, db, row);
            continue;
        }
        result = apply_row(db, row);
        lot->made += result == DB_OK;
        if (result != DB_OK && !is_failure(result))
            tell_refusal(lot, db, row, result);
    }
    return result;
}
