#include "db/sheet.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "db/plan.h"
#include "lib/qrcode.h"
#include "lib/xalloc.h"

_Static_assert(INVITATION_LINK_SIZE <= QRCODE_TEXT_MAX, "a link fits into a code");

struct db_sheet_card {
    uint64_t mailbox;
    char *address;
    struct invitation invitation;
};

enum db_result db_sheet_begin(struct db *db, uint64_t customer, struct db_sheet *sheet_r)
{
    struct db_plan plan;
    *sheet_r = (struct db_sheet){0};
    enum db_result result = db_customer_get(db, customer, &sheet_r->customer);
    if (result == DB_OK) {
        result = db_plan_find(db, sheet_r->customer.plan, &plan);
    }
    sheet_r->sending = result == DB_OK && plan.sending;
    return result;
}

void db_sheet_free(struct db_sheet *sheet)
{
    for (size_t i = 0; i < sheet->count; i++) {
        free(sheet->cards[i].address);
    }
    if (sheet->cards != NULL) {
        sodium_memzero(sheet->cards, sheet->room * sizeof(*sheet->cards));
    }
    free(sheet->cards);
    sheet->cards = NULL;
    sheet->count = sheet->room = 0;
}

/* Before there are secrets in it. */
static void add(struct db_sheet *sheet, const struct db_mailaddress *owner)
{
    if (sheet->count == sheet->room) {
        sheet->room = sheet->room > 0 ? 2 * sheet->room : 32;
        sheet->cards = xrealloc(sheet->cards, sheet->room * sizeof(*sheet->cards));
    }
    sheet->cards[sheet->count++] =
        (struct db_sheet_card){.mailbox = owner->mailbox, .address = xstrdup(owner->text)};
}

static bool is_chosen(const struct db_sheet *sheet, const struct db_mailaddress *owner)
{
    return owner->mailbox != 0 && owner->customer == sheet->customer.id &&
           (sheet->domain[0] == '\0' || strcmp(strrchr(owner->text, '@') + 1, sheet->domain) == 0);
}

enum db_result db_sheet_add_new(struct db *db, struct db_sheet *sheet, size_t most)
{
    struct db_mailaddress owner = {0};
    enum db_result result;
    while ((result = db_mailaddress_next(db, sheet->customer.id, &owner)) == DB_OK) {
        if (owner.password || !is_chosen(sheet, &owner)) {
            continue;
        }
        if (sheet->count == most) {
            return DB_LIMIT;
        }
        add(sheet, &owner);
    }
    return result == DB_NONE ? DB_OK : result;
}

/* A second invitation would end the first. */
enum db_result db_sheet_add(struct db *db, struct db_sheet *sheet, const struct address *address)
{
    struct db_mailaddress owner;
    enum db_result result = db_mailaddress_find(db, address, &owner);
    if (result != DB_OK || !is_chosen(sheet, &owner)) {
        return result == DB_OK ? DB_NONE : result;
    }
    for (size_t i = 0; i < sheet->count; i++) {
        if (sheet->cards[i].mailbox == owner.mailbox) {
            return DB_OK;
        }
    }
    add(sheet, &owner);
    return DB_OK;
}

static enum db_result invite(struct db *db, const struct db_sheet *sheet,
                             struct db_sheet_card *card)
{
    struct address address;
    const char *error;
    if (address_parse(&address, card->address, strlen(card->address), &error) < 0) {
        return DB_BROKEN;
    }
    invitation_draw(&card->invitation);
    return db_mailaddress_invite(db, sheet->customer.id, &address, card->invitation.digest,
                                 card->invitation.until);
}

enum db_result db_sheet_invite(struct db *db, struct db_sheet *sheet)
{
    enum db_result result = DB_OK;
    for (size_t i = 0; result == DB_OK && i < sheet->count; i++) {
        result = invite(db, sheet, &sheet->cards[i]);
    }
    return result;
}

enum db_result db_sheet_draw(struct db *db, const struct db_sheet *sheet, size_t index,
                             const char *page_url, struct welcomecards *cards)
{
    const struct db_sheet_card *card = &sheet->cards[index];
    char link[INVITATION_LINK_SIZE];
    struct db_mailaddress owner;
    struct address address;
    const char *error;
    if (address_parse(&address, card->address, strlen(card->address), &error) < 0) {
        return DB_BROKEN;
    }
    enum db_result result = db_mailaddress_find(db, &address, &owner);
    if (result != DB_OK || owner.mailbox != card->mailbox) {
        return result == DB_NONE ? DB_OK : result;
    }
    const struct db_mailbox_settings *own = &owner.settings;
    invitation_link(link, page_url, &card->invitation);
    welcomecards_add(cards, &(struct welcomecard){.address = owner.text,
                                                  .name = owner.name,
                                                  .link = link,
                                                  .until = card->invitation.until,
                                                  .language = own->language_given
                                                                  ? own->language
                                                                  : sheet->customer.language,
                                                  .sending = sheet->sending && own->smtp});
    sodium_memzero(link, sizeof(link));
    return DB_OK;
}
