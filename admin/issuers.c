#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "admin/discovery.h"
#include "admin/fetcher.h"
#include "admin/issuers.h"
#include "db/issuer.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* At once, of the requests that fetchd takes; and of one customer, whose servers may be slow. */
#define JOBS_MAX     32
#define CUSTOMER_MAX 2

/* Seconds: between two looks at what is due, one indexed query each; for one answer; and until an
 * issuer is due again whose job has come to no end, because this program has. */
#define LOOK_EVERY  1
#define ANSWER_TIME 20
#define JOB_TIME    180

/* Octets of an answer. Keys are stored in DB_ISSUER_KEYS_MAX; a set may say more of them. */
#define ANSWER_MAX (128 * 1024)

enum step { STEP_OPENID, STEP_OAUTH, STEP_KEYS };

struct job {
    struct job *prev;
    struct job *next;
    struct issuers *issuers;
    struct db_issuer issuer;
    enum step step;
};

struct issuers {
    struct db *db;
    struct fetcher *fetcher;
    struct event *tick;
    struct job *jobs;
    unsigned count;
};

static void job_free(struct job *job)
{
    DL_DELETE(job->issuers->jobs, job);
    job->issuers->count--;
    free(job);
}

static uint64_t now(void)
{
    return (uint64_t)time(NULL);
}

static uint64_t pause_after(unsigned failures)
{
    uint64_t pause = ISSUERS_FIRST;

    while (failures-- > 0 && pause < ISSUERS_EVERY)
        pause *= 2;
    return pause < ISSUERS_EVERY ? pause : ISSUERS_EVERY;
}

/* What cannot be written now is done again after JOB_TIME. */
static void fail(struct job *job, const char *about, const char *what)
{
    char failure[DB_ISSUER_FAILURE_MAX + 1];

    snprintf(failure, sizeof(failure), "%s%s", about, what);
    for (char *at = failure; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    if (job->issuer.failures == 0)
        log_warning("the keys of the token issuer %s cannot be fetched: %s", job->issuer.issuer,
                    failure);
    db_issuer_failed(job->issuers->db, job->issuer.customer, job->issuer.id, failure,
                     now() + pause_after(job->issuer.failures));
    job_free(job);
}

static void on_answer(void *context, const struct fetcher_answer *answer);

static void ask(struct job *job, enum step step, const char *url)
{
    const struct fetcher_request request = {.method = FETCH_GET,
                                            .url = url,
                                            .headers = "Accept: application/json\n",
                                            .seconds = ANSWER_TIME,
                                            .answer_max = ANSWER_MAX};

    job->step = step;
    if (fetcher_ask(job->issuers->fetcher, &request, (struct fetcher_caller){on_answer, job}) < 0)
        fail(job, "", "its configuration names a URL that cannot be fetched");
}

static void ask_metadata(struct job *job, enum step step)
{
    char url[FETCH_URL_MAX + 1];

    discovery_url(url, job->issuer.issuer,
                  step == STEP_OPENID ? DISCOVERY_OPENID : DISCOVERY_OAUTH);
    ask(job, step, url);
}

static void take_metadata(struct job *job, const struct fetcher_answer *answer)
{
    char url[FETCH_URL_MAX + 1];
    const char *error;

    if (discovery_keys_url(url, job->issuer.issuer, answer->text, answer->length, &error) == 0)
        ask(job, STEP_KEYS, url);
    else
        fail(job, "", error);
}

static void take_keys(struct job *job, const struct fetcher_answer *answer)
{
    const struct db_issuer *issuer = &job->issuer;
    const char *error;

    char *keys = discovery_keys(answer->text, answer->length, DB_ISSUER_KEYS_MAX, &error);
    if (keys == NULL) {
        fail(job, "", error);
        return;
    }
    db_issuer_fetched(job->issuers->db, issuer->customer, issuer->id, keys, now(),
                      now() + ISSUERS_EVERY);
    log_info("fetched the keys of the token issuer %s", issuer->issuer);
    free(keys);
    job_free(job);
}

static void on_answer(void *context, const struct fetcher_answer *answer)
{
    struct job *job = context;
    const char *about = job->step == STEP_KEYS ? "its keys: " : "its configuration: ";
    char status[64];

    if (answer->result != FETCH_DONE) {
        char *sentence = xasprintf("%.*s", (int)answer->length, answer->text);
        fail(job, about, sentence);
        free(sentence);
    } else if (job->step == STEP_OPENID && answer->status == 404) {
        ask_metadata(job, STEP_OAUTH);
    } else if (answer->status != 200) {
        snprintf(status, sizeof(status), "the server answers with status %u", answer->status);
        fail(job, about, status);
    } else if (job->step == STEP_KEYS) {
        take_keys(job, answer);
    } else {
        take_metadata(job, answer);
    }
}

static unsigned count_of(const struct issuers *issuers, uint64_t customer)
{
    const struct job *job;
    unsigned count = 0;

    DL_FOREACH (issuers->jobs, job) {
        count += job->issuer.customer == customer;
    }
    return count;
}

static void begin(struct issuers *issuers, const struct db_issuer *due)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->issuers = issuers;
    job->issuer = *due;
    DL_APPEND(issuers->jobs, job);
    issuers->count++;
    ask_metadata(job, STEP_OPENID);
}

static void begin_due(struct issuers *issuers)
{
    struct db_issuer due = {0};

    while (issuers->count < JOBS_MAX && db_issuer_due(issuers->db, now(), &due) == DB_OK) {
        if (count_of(issuers, due.customer) == CUSTOMER_MAX)
            continue;
        if (db_issuer_try(issuers->db, due.customer, due.id, now(), now() + JOB_TIME) != DB_OK)
            return;
        begin(issuers, &due);
    }
}

/* An issuer or a customer that has been removed is asked nothing more. */
static void drop_removed(struct issuers *issuers)
{
    struct job *job;
    struct job *next;

    DL_FOREACH_SAFE(issuers->jobs, job, next)
    {
        if (db_issuer_is_live(issuers->db, job->issuer.customer, job->issuer.id) != DB_NONE)
            continue;
        fetcher_cancel(issuers->fetcher, job);
        job_free(job);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;

    drop_removed(context);
    begin_due(context);
}

struct issuers *issuers_new(struct event_base *base, struct db *notes, struct fetcher *fetcher)
{
    const struct timeval every = {.tv_sec = LOOK_EVERY};
    struct issuers *issuers = xcalloc(1, sizeof(*issuers));

    issuers->db = notes;
    issuers->fetcher = fetcher;
    issuers->tick = event_new(base, -1, EV_PERSIST, on_tick, issuers);
    if (issuers->tick == NULL || event_add(issuers->tick, &every) < 0)
        log_fatal("cannot make a timer: out of memory");
    return issuers;
}

void issuers_free(struct issuers *issuers)
{
    if (issuers == NULL)
        return;
    while (issuers->jobs != NULL)
        job_free(issuers->jobs);
    event_free(issuers->tick);
    free(issuers);
}
