#include "admin/jobcards.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/bulk.h"
#include "admin/cards.h"
#include "admin/change.h"
#include "admin/jobs.h"
#include "admin/problem.h"
#include "db/customer.h"
#include "db/handout.h"
#include "lib/welcomecards.h"
#include "lib/xalloc.h"

/* What is found before it is taken. */
struct prepared {
    struct request *request;
    struct cards_servers servers;
    char hostname[CONF_TEXT_MAX];
    struct handout_cards cards;
    enum db_result result;
    struct bulk_work work;
};

/* The page while it leaves: all that it needs of the job, which may be pruned meanwhile. */
struct page_of_job {
    struct db *db;
    struct cards_servers servers;
    char title[CONF_TEXT_MAX > DB_CUSTOMER_NAME_MAX ? CONF_TEXT_MAX : DB_CUSTOMER_NAME_MAX + 1];
    struct handout_cards found;
    unsigned row; /* the last one that was looked at */
    struct welcomecards cards;
    bool begun;
};

/* --- for whom there is one */

static struct prepared *prepared_of(struct bulk_work *work)
{
    return (struct prepared *)((char *)work - offsetof(struct prepared, work));
}

static void run(struct bulk_work *work, struct db *db)
{
    struct prepared *prepared = prepared_of(work);

    prepared->result = handout_cards_find(db, &prepared->request->job, &prepared->cards);
}

static void done(struct bulk_work *work)
{
    change_go_on(prepared_of(work)->request);
}

/* Where there is no result any more, taking them says so. */
void jobcards_prepare(struct admin *admin, struct request *request)
{
    struct prepared *prepared;

    request->own_size = sizeof(*prepared);
    prepared = request->own = xcalloc(1, sizeof(*prepared));
    prepared->request = request;
    snprintf(prepared->hostname, sizeof(prepared->hostname), "%s", admin->child.conf.hostname);
    if (!request->job.result) {
        prepared->result = DB_NONE;
        return;
    }
    cards_take_servers(request, &prepared->servers);
    if (request->answer.status != 0)
        return;
    prepared->work.run = run;
    prepared->work.done = done;
    if (bulk_submit(admin->bulk, &prepared->work) == 0) {
        request->preparing = true;
    } else {
        problem_set(request, PROBLEM_BUSY, "too many results are being made; try again");
        request->answer.retry_after = 1;
    }
}

/* --- the page */

static int next(void *context, FILE *file)
{
    struct page_of_job *page = context;

    page->cards.file = file;
    if (!page->begun) {
        page->begun = true;
        welcomecards_begin(&page->cards);
        return 1;
    }
    enum db_result result = handout_cards_draw(page->db, &page->found, &page->row,
                                               page->servers.page_url, &page->cards);
    if (result == DB_NONE)
        welcomecards_end(&page->cards);
    return result == DB_OK ? 1 : result == DB_NONE ? 0 : -1;
}

static void end(void *context)
{
    struct page_of_job *page = context;

    sodium_memzero(page, sizeof(*page));
    free(page);
}

/* Of an operator's job each card has its own customer, and the page the server's name. */
static struct page_of_job *page_new(const struct request *request,
                                    const struct db_customer *customer)
{
    const struct prepared *prepared = request->own;
    struct page_of_job *page = xcalloc(1, sizeof(*page));

    page->db = request->admin->db;
    page->servers = prepared->servers;
    snprintf(page->title, sizeof(page->title), "%s",
             request->customer != 0 ? customer->name : prepared->hostname);
    page->found = prepared->cards;
    page->cards = (struct welcomecards){.language = customer->language,
                                        .customer = page->title,
                                        .pop3_server = page->servers.pop3,
                                        .smtp_server = page->servers.smtp};
    return page;
}

/* --- taking it */

static enum db_result refuse(struct request *request, const char *why)
{
    problem_set(request, PROBLEM_GONE, "%s", why);
    return DB_NONE;
}

/* In the writer's thread; the page is made in the event loop. */
enum db_result jobcards_take(struct db *db, struct request *request)
{
    const struct prepared *prepared = request->own;
    struct db_customer customer = {.language = LANGUAGE_EN};

    enum db_result result = db_operator_job_find(db, request->job.id, &request->job);
    if (result == DB_OK && request->customer != 0)
        result = db_customer_get(db, request->customer, &customer);
    if (result != DB_OK)
        return result;
    if (prepared->result == DB_NONE || !request->job.result)
        return job_refuse_result(request);
    if (prepared->result != DB_OK)
        return prepared->result;
    if (prepared->cards.count == 0)
        return refuse(request, "there are no cards: the job has invited nobody, or all invitations "
                               "were used or replaced");
    result = db_job_take_cards(db, request->customer, request->job.id);
    if (result == DB_NONE)
        return refuse(request, "the cards were fetched before; the links are still in the result");
    if (result == DB_OK)
        cards_answer(request, &(struct longtext_source){next, end, page_new(request, &customer)});
    return result;
}
