#ifndef DB_SHEET_H
#define DB_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/customer.h"
#include "db/mailaddress.h"
#include "lib/invitation.h"
#include "lib/welcomecards.h"

/*
 * Mailboxes of one customer that are to have welcome cards (lib/welcomecards.h): first chosen, then
 * all invited at once, then drawn one by one. Holds their tokens; wiped by sheet_free().
 */
struct db_sheet {
    struct db_customer customer;         /* the caller's */
    char domain[ADDRESS_DOMAIN_MAX + 1]; /* the caller's: only mailboxes in it; empty: all */
    bool sending;                        /* by the customer's plan */
    struct db_sheet_card *cards;
    size_t count;
    size_t room;
};

/* Finds the customer, by its id, and what its plan says: DB_OK or DB_NONE. Zeroes the rest. */
enum db_result db_sheet_begin(struct db *db, uint64_t customer, struct db_sheet *sheet_r);

/* The mailboxes without a password, in the order of their names: DB_OK, or DB_LIMIT above `most`.
 */
enum db_result db_sheet_add_new(struct db *db, struct db_sheet *sheet, size_t most);

/* One by its address, once however often it is named: DB_OK, or DB_NONE: it is not among them. */
enum db_result db_sheet_add(struct db *db, struct db_sheet *sheet, const struct address *address);

/*
 * Invites all of them anew, within the caller's transaction: DB_OK, or DB_NONE where one has been
 * removed meanwhile, and the caller undoes the others.
 */
enum db_result db_sheet_invite(struct db *db, struct db_sheet *sheet);

/*
 * Draws the card with this index as its mailbox is now, with a link below `page_url`. DB_OK, also
 * where the mailbox has been removed meanwhile and there is no card.
 */
enum db_result db_sheet_draw(struct db *db, const struct db_sheet *sheet, size_t index,
                             const char *page_url, struct welcomecards *cards);

void db_sheet_free(struct db_sheet *sheet);

#endif
