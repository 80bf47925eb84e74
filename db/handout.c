#include "db/handout.h"

#include <string.h>

#include <sodium.h>

#include "db/invitation.h"
#include "db/jobsource.h"

/* --- what is drawn */

/* "kind" tells the two apart, so that a row's password says nothing of a token. */
static void derive(uint8_t *octets_r, size_t size, const uint8_t *secret, const char *kind,
                   unsigned row)
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, DB_JOB_SECRET_SIZE, size);
    crypto_generichash_update(&state, (const unsigned char *)kind, strlen(kind) + 1);
    crypto_generichash_update(&state, (const unsigned char *)&row, sizeof(row));
    crypto_generichash_final(&state, octets_r, size);
}

void handout_invitation(struct invitation *invitation_r, const uint8_t *secret, unsigned row)
{
    uint8_t octets[INVITATION_TOKEN_OCTETS];
    derive(octets, sizeof(octets), secret, "invitation", row);
    invitation_make(invitation_r, octets);
    sodium_memzero(octets, sizeof(octets));
}

void handout_password(struct password *password_r, const uint8_t *secret, unsigned row)
{
    uint8_t octets[PASSWORD_OCTETS];
    derive(octets, sizeof(octets), secret, "password", row);
    password_make(password_r, octets);
    sodium_memzero(octets, sizeof(octets));
}

/* --- the table */

/* As RFC 4180 has it, and a quoted local part may hold what needs it. */
static void write_field(FILE *file, const char *text)
{
    bool quoted = strpbrk(text, "\",\r\n") != NULL;
    if (quoted) {
        fputc('"', file);
    }
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    if (quoted) {
        fputc('"', file);
    }
}

static void write_invitation(FILE *file, const char *page_url, const struct invitation *invitation)
{
    char link[INVITATION_LINK_SIZE];
    if (page_url[0] == '\0') {
        fputs(invitation->token, file);
        return;
    }
    invitation_link(link, page_url, invitation);
    write_field(file, link);
    sodium_memzero(link, sizeof(link));
}

static void write_row(FILE *file, const char *page_url, const struct row *row,
                      const uint8_t *secret)
{
    struct invitation invitation;
    struct password password;
    fprintf(file, "%u,", row->number);
    write_field(file, row->address.text);
    fputc(',', file);
    if (row->login == ROW_LOGIN_INVITE) {
        handout_invitation(&invitation, secret, row->number);
        write_invitation(file, page_url, &invitation);
        sodium_memzero(&invitation, sizeof(invitation));
    }
    fputc(',', file);
    if (row->login == ROW_LOGIN_GENERATE) {
        handout_password(&password, secret, row->number);
        fputs(password.text, file);
        password_wipe(&password);
    }
    fputs("\r\n", file);
}

/* Whether applying came by there before it ended. */
static bool is_made(const struct db_job *job, const struct row *row)
{
    unsigned place = row->target_count > 0 ? job->rows + row->number : row->number;
    return place <= job->place;
}

static enum db_result read_wrong(struct db *db, uint64_t job, struct rowset *wrong_r)
{
    struct db_job_error error = {0};
    enum db_result found;
    while ((found = db_job_error_next(db, job, &error)) == DB_OK) {
        rowset_add(wrong_r, error.row);
    }
    return found == DB_NONE ? DB_OK : found;
}

static enum db_result write_rows(struct db *db, const struct db_job *job, const char *page_url,
                                 const uint8_t *secret, FILE *file)
{
    struct rowset wrong = {0};
    struct row *row;
    enum db_result result = read_wrong(db, job->id, &wrong);
    if (result != DB_OK) {
        return result;
    }
    struct jobsource *source = jobsource_new(job);
    fputs("row,address,invitation,password\r\n", file);
    while ((result = jobsource_next(source, db, &row)) == DB_OK) {
        if (!rowset_has(&wrong, row->number) && is_made(job, row)) {
            write_row(file, page_url, row, secret);
        }
    }
    jobsource_free(source);
    return result == DB_NONE ? DB_OK : result;
}

enum db_result handout_table(struct db *db, const struct db_job *job, const char *page_url,
                             FILE *file)
{
    uint8_t secret[DB_JOB_SECRET_SIZE];
    enum db_result result = db_job_secret(db, job->id, secret);
    if (result == DB_OK) {
        result = write_rows(db, job, page_url, secret, file);
    }
    sodium_memzero(secret, sizeof(secret));
    return result;
}

/* --- the cards */

/* A token is its row's alone, so what it opens is the mailbox that the row has made. */
static enum db_result find_owner(struct db *db, const uint8_t *secret, unsigned row,
                                 struct invitation *invitation_r, struct db_invitation *owner_r)
{
    handout_invitation(invitation_r, secret, row);
    return db_invitation_find(db, invitation_r->digest, owner_r);
}

enum db_result handout_cards_find(struct db *db, const struct db_job *job,
                                  struct handout_cards *cards_r)
{
    struct invitation invitation = {0};
    struct db_invitation owner;
    *cards_r = (struct handout_cards){.rows = job->rows};
    enum db_result result = db_job_secret(db, job->id, cards_r->secret);
    if (result != DB_OK) {
        return result;
    }
    for (unsigned row = 1; row <= job->rows && (result == DB_OK || result == DB_NONE); row++) {
        result = find_owner(db, cards_r->secret, row, &invitation, &owner);
        if (result == DB_OK) {
            rowset_add(&cards_r->open, row);
            cards_r->count++;
        }
    }
    sodium_memzero(&invitation, sizeof(invitation));
    return result == DB_NONE ? DB_OK : result;
}

static void draw(const struct invitation *invitation, const struct db_invitation *owner,
                 const char *page_url, struct welcomecards *page)
{
    const char *customer = page->customer;
    char link[INVITATION_LINK_SIZE];
    invitation_link(link, page_url, invitation);
    page->customer = owner->customer_name; /* of an operator's job each card has its own */
    welcomecards_add(page, &(struct welcomecard){.address = owner->address,
                                                 .name = owner->name,
                                                 .link = link,
                                                 .until = owner->until,
                                                 .language = owner->language,
                                                 .sending = owner->sending});
    page->customer = customer;
    sodium_memzero(link, sizeof(link));
}

enum db_result handout_cards_draw(struct db *db, const struct handout_cards *cards, unsigned *row,
                                  const char *page_url, struct welcomecards *page)
{
    struct invitation invitation;
    struct db_invitation owner;
    do {
        ++*row;
    } while (*row <= cards->rows && !rowset_has(&cards->open, *row));
    if (*row > cards->rows) {
        return DB_NONE;
    }
    enum db_result result = find_owner(db, cards->secret, *row, &invitation, &owner);
    if (result == DB_OK) {
        draw(&invitation, &owner, page_url, page);
    }
    sodium_memzero(&invitation, sizeof(invitation));
    return result == DB_NONE ? DB_OK : result;
}
