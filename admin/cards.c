#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/cards.h"
#include "admin/problem.h"
#include "db/domain.h"
#include "db/sheet.h"
#include "lib/xalloc.h"

/* Invitations of one request: others' changes wait as long as these take, some 0.1 ms each. */
#define CARDS_MAX 5000
#define NAMED_MAX 1000

/* clang-format off */
const struct field cards_fields[] = {
    {.name = "addresses", .type = FIELD_TEXTS, .least = 1, .most = NAMED_MAX,
     .about = "of the mailboxes; not given: of all that have no password"},
    {.name = "domain", .type = FIELD_TEXT, .least = 3, .most = 1000,
     .about = "only those in this one"},
    {0}};
/* clang-format on */

/* What a request asks for. */
struct asked {
    struct cards_servers servers;
    char domain[ADDRESS_DOMAIN_MAX + 1]; /* empty: all */
    size_t count;                        /* 0: all without a password */
    struct address addresses[];
};

/* The page while it leaves. */
struct page_of_cards {
    struct db *db;
    struct cards_servers servers;
    struct db_sheet sheet;
    struct welcomecards cards;
    size_t at;
    bool begun;
};

/* --- what is asked for */

void cards_take_servers(struct request *request, struct cards_servers *servers_r)
{
    const struct conf *conf = &request->admin->child.conf;

    snprintf(servers_r->page_url, sizeof(servers_r->page_url), "%s", conf->page_url);
    snprintf(servers_r->smtp, sizeof(servers_r->smtp), "%s", conf->smtp_server);
    conf_pop3_server(conf, servers_r->pop3);
    if (conf->page_url[0] == '\0')
        problem_set(request, PROBLEM_NO_PAGES,
                    "links need the address of the pages; set page_url in bellhop.conf");
}

static struct asked *asked_new(struct request *request, size_t room)
{
    request->own_size = sizeof(struct asked) + room * sizeof(struct address);
    struct asked *asked = request->own = xcalloc(1, request->own_size);
    cards_take_servers(request, &asked->servers);
    return asked;
}

void card_prepare(struct admin *admin, struct request *request)
{
    struct asked *asked = asked_new(request, 1);
    (void)admin;

    asked->addresses[0] = request->address;
    asked->count = 1;
}

static void take_addresses(struct request *request, struct asked *asked, size_t room)
{
    const json_t *list = json_object_get(request->json, "addresses");
    const char *error;
    char pointer[32];
    json_t *value;
    size_t i;

    json_array_foreach(list, i, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || i >= room) /* noted already */
            return;
        snprintf(pointer, sizeof(pointer), "/addresses/%zu", i);
        if (address_parse(&asked->addresses[i], text, strlen(text), &error) < 0)
            problem_member(request, pointer, "address", "%s", error);
        asked->count++;
    }
}

/* A key of one domain asks for what is in it. */
static void take_domain(struct request *request, struct asked *asked)
{
    const char *given = field_text(request->json, "domain", NULL);
    const char *own = request->key.domain;
    const char *error;

    if (given != NULL && address_parse_domain(asked->domain, given, strlen(given), &error) < 0)
        problem_member(request, "/domain", "domain", "%s", error);
    else if (given != NULL && own[0] != '\0' && strcmp(asked->domain, own) != 0)
        problem_member(request, "/domain", "no-domain", "there is no such domain");
    else if (given == NULL)
        snprintf(asked->domain, sizeof(asked->domain), "%s", own);
}

void cards_check(struct admin *admin, struct request *request)
{
    size_t count = json_array_size(json_object_get(request->json, "addresses"));
    size_t room = count < NAMED_MAX ? count : NAMED_MAX;
    struct asked *asked = asked_new(request, room);
    (void)admin;

    take_addresses(request, asked, room);
    take_domain(request, asked);
}

void cards_answer(struct request *request, const struct longtext_source *source)
{
    longtext_answer(request, 200, request->route->type, source);
    request->answer.policy = WELCOMECARDS_POLICY "; frame-ancestors 'none'";
}

/* --- who gets one */

static enum db_result refuse_member(struct request *request, const char *pointer, const char *code,
                                    const char *detail)
{
    problem_member(request, pointer, code, "%s", detail);
    (void)problem_wrong(request);
    return DB_NONE;
}

static enum db_result choose_new(struct db *db, struct request *request, struct db_sheet *sheet)
{
    enum db_result result = db_sheet_add_new(db, sheet, CARDS_MAX);

    if (result == DB_LIMIT) {
        problem_set(request, PROBLEM_LIMIT,
                    "a page has %d cards at most; name a domain or addresses", CARDS_MAX);
        return DB_NONE;
    }
    if (result == DB_OK && sheet->count == 0)
        return refuse_member(request, "/addresses", "nobody",
                             "each mailbox has a password; name the addresses that are to choose "
                             "another one");
    return result;
}

static enum db_result choose_named(struct db *db, struct request *request, struct db_sheet *sheet)
{
    const struct asked *asked = request->own;
    char pointer[32];

    for (size_t i = 0; i < asked->count; i++) {
        enum db_result result = db_sheet_add(db, sheet, &asked->addresses[i]);
        snprintf(pointer, sizeof(pointer), "/addresses/%zu", i);
        if (result == DB_NONE)
            return refuse_member(request, pointer, "no-mailbox",
                                 "each is the address of a mailbox of the customer");
        if (result != DB_OK)
            return result;
    }
    return DB_OK;
}

static enum db_result choose(struct db *db, struct request *request, struct db_sheet *sheet)
{
    const struct asked *asked = request->own;
    struct db_domain domain;
    enum db_result result = db_sheet_begin(db, request->customer, sheet);

    if (result != DB_OK)
        return result;
    memcpy(sheet->domain, asked->domain, sizeof(sheet->domain));
    if (asked->domain[0] != '\0') {
        result = db_domain_find(db, asked->domain, &domain);
        if (result == DB_NONE || (result == DB_OK && domain.customer != request->customer))
            return refuse_member(request, "/domain", "no-domain", "there is no such domain");
    }
    if (result != DB_OK)
        return result;
    return asked->count > 0 ? choose_named(db, request, sheet) : choose_new(db, request, sheet);
}

/* --- the page */

static int next(void *context, FILE *file)
{
    struct page_of_cards *page = context;

    page->cards.file = file;
    if (!page->begun) {
        page->begun = true;
        welcomecards_begin(&page->cards);
        return 1;
    }
    if (page->at == page->sheet.count) {
        welcomecards_end(&page->cards);
        return 0;
    }
    return db_sheet_draw(page->db, &page->sheet, page->at++, page->servers.page_url,
                         &page->cards) == DB_OK
               ? 1
               : -1;
}

static void end(void *context)
{
    struct page_of_cards *page = context;

    db_sheet_free(&page->sheet);
    free(page);
}

/* In the writer's thread; what is read later is read in the event loop. */
enum db_result cards_make(struct db *db, struct request *request)
{
    const struct asked *asked = request->own;
    struct page_of_cards *page = xcalloc(1, sizeof(*page));

    enum db_result result = choose(db, request, &page->sheet);
    if (result == DB_OK)
        result = db_sheet_invite(db, &page->sheet);
    if (result != DB_OK) {
        end(page);
        return result;
    }
    page->db = request->admin->db;
    page->servers = asked->servers;
    page->cards = (struct welcomecards){.language = page->sheet.customer.language,
                                        .customer = page->sheet.customer.name,
                                        .pop3_server = page->servers.pop3,
                                        .smtp_server = page->servers.smtp};
    cards_answer(request, &(struct longtext_source){next, end, page});
    return DB_OK;
}
