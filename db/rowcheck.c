#include "db/rowcheck.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uthash.h>

#include "db/customer.h"
#include "db/handle.h"
#include "db/mailaddress.h"
#include "db/plan.h"
#include "db/route.h"
#include "lib/xalloc.h"

_Static_assert(ROW_TARGETS_MAX == DB_ROUTE_MAX, "an alias leads to as many mailboxes");
_Static_assert(ROW_NAME_MAX == DB_MAILBOX_NAME_MAX, "a name is as long");

/* A customer, what its plan allows, and what it has with the rows so far. */
struct use {
    uint64_t customer;
    char plan[DB_PLAN_NAME_MAX + 1];
    unsigned domains_allowed;
    unsigned domains;
    unsigned addresses_allowed;
    unsigned addresses; /* there are now */
    unsigned rows;
    uint64_t mailbox_octets;
    UT_hash_handle hh;
};

/* A row by the digest of its address, whose key is drawn: nobody can make two that are alike. */
struct seen {
    uint64_t digest;   /* 0: this place is free */
    uint64_t customer; /* whose a mailbox becomes of it; 0: none */
    unsigned number;
    bool alias; /* good but for its targets, which are looked at later */
};

#define SEEN_BEGIN 1024

struct rowcheck {
    struct db *db;
    uint64_t customer;
    char domain[ADDRESS_DOMAIN_MAX + 1];
    struct use *uses;
    struct seen *seen;
    size_t room; /* a power of 2 */
    size_t count;
    uint8_t key[crypto_shorthash_KEYBYTES];
};

struct rowcheck *rowcheck_new(struct db *db, uint64_t customer, const char *domain)
{
    struct rowcheck *check = xcalloc(1, sizeof(*check));

    check->db = db;
    check->customer = customer;
    snprintf(check->domain, sizeof(check->domain), "%s", domain);
    check->room = SEEN_BEGIN;
    check->seen = xcalloc(check->room, sizeof(*check->seen));
    crypto_shorthash_keygen(check->key);
    return check;
}

void rowcheck_free(struct rowcheck *check)
{
    struct use *use, *next;

    if (check == NULL) {
        return;
    }
    HASH_ITER (hh, check->uses, use, next) {
        HASH_DEL(check->uses, use);
        free(use);
    }
    free(check->seen);
    free(check);
}

/* --- the rows so far */

static struct seen *place_of(const struct rowcheck *check, uint64_t digest)
{
    size_t at = digest & (check->room - 1);

    while (check->seen[at].digest != 0 && check->seen[at].digest != digest) {
        at = (at + 1) & (check->room - 1);
    }
    return &check->seen[at];
}

static uint64_t digest_of(const struct rowcheck *check, const struct address *address)
{
    uint64_t digest;

    crypto_shorthash((unsigned char *)&digest, (const unsigned char *)address->text,
                     strlen(address->text), check->key);
    return digest != 0 ? digest : 1;
}

static void grow(struct rowcheck *check)
{
    struct seen *before = check->seen;
    size_t room = check->room;

    check->room = 2 * room;
    check->seen = xcalloc(check->room, sizeof(*check->seen));
    for (size_t i = 0; i < room; i++) {
        if (before[i].digest != 0) {
            *place_of(check, before[i].digest) = before[i];
        }
    }
    free(before);
}

/* Notes the row unless its address has been there. */
static void note(struct rowcheck *check, struct row *row)
{
    uint64_t digest = digest_of(check, &row->address);

    if (2 * check->count >= check->room) {
        grow(check);
    }
    struct seen *seen = place_of(check, digest);
    if (seen->digest != 0) {
        row_wrong(row, row_column_name(ROW_ADDRESS), "twice", "%s stands in row %u already",
                  row->address.text, seen->number);
        return;
    }
    *seen = (struct seen){.digest = digest, .number = row->number};
    check->count++;
}

/* --- customers and their plans */

static enum db_result read_use(struct db *db, uint64_t customer, struct use *use)
{
    struct db_customer found;
    struct db_plan plan;
    enum db_result result = db_customer_get(db, customer, &found);

    if (result == DB_OK) {
        result = db_plan_find(db, found.plan, &plan);
    }
    if (result != DB_OK) {
        return result;
    }
    use->customer = customer;
    snprintf(use->plan, sizeof(use->plan), "%s", plan.name);
    use->domains_allowed = plan.domains;
    use->domains = found.domains;
    use->addresses_allowed = plan.addresses;
    use->addresses = found.addresses;
    use->mailbox_octets = plan.mailbox_octets;
    return DB_OK;
}

static enum db_result find_use(struct rowcheck *check, uint64_t customer, struct use **use_r)
{
    struct use *use;

    HASH_FIND(hh, check->uses, &customer, sizeof(customer), use);
    if (use == NULL) {
        use = xcalloc(1, sizeof(*use));
        enum db_result result = read_use(check->db, customer, use);
        if (result != DB_OK) {
            free(use);
            /* The domain was found a moment ago, so the customer went with it. */
            return result == DB_NONE ? DB_BUSY : result;
        }
        HASH_ADD(hh, check->uses, customer, sizeof(use->customer), use);
    }
    *use_r = use;
    return DB_OK;
}

static void check_plan(struct use *use, struct row *row)
{
    if (row->quota_bytes > use->mailbox_octets) {
        row_wrong(row, row_column_name(ROW_QUOTA_BYTES), "limit",
                  "the plan \"%s\" allows a mailbox %" PRIu64 " octets at most", use->plan,
                  use->mailbox_octets);
    }
    if (row->error_count == 0 && use->domains > use->domains_allowed) {
        row_wrong(row, "", "limit",
                  "the plan \"%s\" allows %u domains and %u are there, so nothing is added",
                  use->plan, use->domains_allowed, use->domains);
    }
}

/* In the order in which rows are made: aliases behind all mailboxes. */
static void take_room(struct use *use, struct row *row)
{
    if (use->addresses + use->rows >= use->addresses_allowed) {
        row_wrong(row, "", "limit",
                  "the plan \"%s\" allows %u addresses: %u are there, and %u good rows are "
                  "made before this one",
                  use->plan, use->addresses_allowed, use->addresses, use->rows);
    } else {
        use->rows++;
    }
}

/* --- one row */

static bool is_within(const struct rowcheck *check, uint64_t customer, const char *domain)
{
    return (check->customer == 0 || check->customer == customer) &&
           (check->domain[0] == '\0' || strcmp(check->domain, domain) == 0);
}

/* Sets the row's customer. DB_NONE: it has no place, as far as may be told. */
static enum db_result find_place(struct rowcheck *check, struct row *row, bool *taken_r)
{
    struct sqlite3_stmt *find = statement_get(check->db, STATEMENT_PLACE_FIND);

    row->customer = 0;
    statement_bind_text(find, 1, row->address.domain);
    statement_bind_text(find, 2, row->address.local);
    enum db_result result = statement_row(check->db, find);
    if (result != DB_OK) {
        return result;
    }
    uint64_t customer = statement_number(find, 0);
    *taken_r = statement_bool(find, 1);
    statement_reset(find);
    if (!is_within(check, customer, row->address.domain)) {
        return DB_NONE;
    }
    row->customer = customer;
    return DB_OK;
}

static enum db_result check_place(struct rowcheck *check, struct row *row)
{
    uint64_t named = row->customer;
    bool taken = false;
    enum db_result result = find_place(check, row, &taken);

    if (result == DB_NONE) {
        row_wrong(row, row_column_name(ROW_ADDRESS), "no-domain", "there is no such domain");
    } else if (result == DB_OK && taken) {
        row_wrong(row, row_column_name(ROW_ADDRESS), "taken", "there is such an address already");
    }
    if (result == DB_OK && named != 0 && named != row->customer) {
        row_wrong(row, row_column_name(ROW_CUSTOMER), "customer",
                  "the domain is not this customer's");
    }
    return result;
}

static void check_name(struct row *row)
{
    const char *error;

    if (db_mailbox_name_check(row->name, &error) < 0) {
        row_wrong(row, row_column_name(ROW_NAME), "text", "%s", error);
    }
}

enum db_result rowcheck_take(struct rowcheck *check, struct row *row)
{
    struct use *use;

    check_name(row);
    if (row->address.text[0] == '\0') {
        row->customer = 0;
        return DB_OK;
    }
    enum db_result result = check_place(check, row);
    if (result != DB_OK && result != DB_NONE) {
        return result;
    }
    note(check, row);
    if (result == DB_OK) {
        result = find_use(check, row->customer, &use);
    }
    if (result == DB_NONE) {
        return DB_OK;
    }
    if (result != DB_OK) {
        return result;
    }
    check_plan(use, row);
    if (row->error_count == 0 && row->target_count == 0) {
        take_room(use, row);
    }
    if (row->error_count == 0) {
        struct seen *seen = place_of(check, digest_of(check, &row->address));
        seen->alias = row->target_count > 0;
        seen->customer = seen->alias ? 0 : row->customer;
    }
    return DB_OK;
}

static enum db_result check_target(struct rowcheck *check, struct row *row, unsigned i)
{
    const struct address *target = &row->targets[i];
    const struct seen *seen = place_of(check, digest_of(check, target));
    uint64_t mailbox;

    if (seen->digest != 0 && seen->customer == row->customer) {
        return DB_OK;
    }
    enum db_result result = mailbox_find(check->db, row->customer, target, &mailbox);
    if (result == DB_NONE && seen->digest != 0) {
        row_wrong(row, row_column_name(ROW_TARGETS), "no-mailbox",
                  "%s stands in row %u, which makes no mailbox of the same customer", target->text,
                  seen->number);
    } else if (result == DB_NONE) {
        row_wrong(row, row_column_name(ROW_TARGETS), "no-mailbox",
                  "%s is no mailbox of the same customer", target->text);
    }
    return result == DB_NONE ? DB_OK : result;
}

/* For an alias that is good, with its targets. */
static enum db_result count_alias(struct rowcheck *check, struct row *row)
{
    const struct seen *seen = place_of(check, digest_of(check, &row->address));
    struct use *use;

    if (row->error_count > 0 || !seen->alias || seen->number != row->number) {
        return DB_OK;
    }
    enum db_result result = find_use(check, row->customer, &use);
    if (result == DB_OK) {
        take_room(use, row);
    }
    return result;
}

enum db_result rowcheck_targets(struct rowcheck *check, struct row *row)
{
    bool taken;

    if (row->target_count == 0 || row->address.text[0] == '\0') {
        return DB_OK;
    }
    enum db_result result = find_place(check, row, &taken);
    for (unsigned i = 0; i < row->target_count && result == DB_OK; i++) {
        result = check_target(check, row, i);
    }
    if (result == DB_OK) {
        result = count_alias(check, row);
    }
    return result == DB_NONE ? DB_OK : result;
}
