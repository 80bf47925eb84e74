#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "admin/hasher.h"
#include "admin/pagecookie.h"
#include "admin/route.h"
#include "admin/writer.h"
#include "db/adminuser.h"
#include "db/apikey.h"
#include "db/job.h"
#include "db/mailaddress.h"
#include "db/pagesession.h"
#include "db/plan.h"
#include "db/removal.h"

struct admin;
struct MHD_Connection;
struct service;
struct stream;
struct upload;
struct longtext;

/* One HTTP request, from its header until its answer has left. */

#define REQUEST_ID_MAX    64
#define REQUEST_ETAG_SIZE 36 /* with quotes and its NUL */

struct answer {
    unsigned status;           /* 0: there is none yet */
    bool problem;              /* of admin/problem.h */
    const char *type;          /* of the text, static */
    const char *policy;        /* Content-Security-Policy, static; NULL: nothing is needed */
    char *text;                /* NULL: none */
    struct longtext *longtext; /* in place of a text: admin/longtext.h */
    struct stream *stream;     /* the same: admin/stream.h */
    char *location;
    char etag[REQUEST_ETAG_SIZE];
    char allow[ROUTE_ALLOW_SIZE];
    unsigned retry_after; /* seconds; 0: nothing is said */
    bool replayed;        /* it was given before, under the same idempotency key */
    bool noted;           /* of a problem: what was written of it is to stay */
    char cookie[PAGECOOKIE_HEADER_SIZE];
};

struct request {
    /* The transport's (admin/http.c). */
    struct service *service;
    struct MHD_Connection *connection;
    uint64_t begun; /* in clock_microseconds() */
    bool suspended;
    bool away; /* with a thread: the event loop touches nothing of it */
    bool has_body;
    bool last;    /* the connection ends with its answer */
    bool taking;  /* the body is kept */
    uint64_t due; /* when all of the body must be there, in milliseconds of lib/clock.h */
    size_t read;  /* of the body, kept or not */
    size_t room;

    /* What was asked. */
    struct admin *admin;
    const struct route *route; /* NULL: there is none */
    const char *method;
    const char *path;
    char id[REQUEST_ID_MAX + 1];
    struct in6_addr remote;
    char remote_text[INET6_ADDRSTRLEN]; /* empty: over a Unix socket */
    char *body;
    size_t body_length;
    json_t *json;          /* the body, checked */
    struct upload *upload; /* where it comes in pieces */
    unsigned pieces;       /* that have been full */
    unsigned type;         /* which of the media types it is */

    /* Who asks, and for what; of the objects those that the route's scope names. */
    struct db_api_key key;
    char token[APIKEY_TEXT_SIZE];   /* the key, or the session's cookie */
    bool by_session;                /* a person does (admin/people.h), and the key is made up */
    bool secure;                    /* over TLS */
    struct db_page_session session; /* these two of such a one */
    char login[ADDRESS_MAX + 1];
    const char *idempotency_key; /* NULL: none */
    const char *if_match;
    bool found_now; /* what the path names was found by the read that shows it */
    bool again;     /* it was answered before under this idempotency key */
    uint64_t keep;  /* seconds for which what it removes can be restored */
    char *name;     /* what stood in the path */
    uint64_t customer;
    struct db_plan plan;
    struct db_customer owner;
    char domain[ADDRESS_DOMAIN_MAX + 1];
    struct address address;
    struct db_mailaddress found;
    struct db_api_key target;
    struct db_admin_user user;
    struct db_removal removal;
    struct db_job job;
    uint64_t webhook;

    json_t *errors; /* noted by problem_member() */
    json_t *limit;  /* that PROBLEM_LIMIT is about, or NULL */
    bool undo;      /* what `apply` does is undone, and the answer tells what it would have been */
    struct answer answer;
    struct hashing *hashing; /* set where a password is to be hashed before `apply` */
    bool preparing;          /* or something else is made before: see change_go_on() */
    struct writing writing;
    /* What a handler keeps until `apply` and the answer; wiped and freed. */
    void *own;
    size_t own_size;
    void (*release)(void *own); /* what it refers to; NULL: nothing */
};

/* Whose `writing` it is. */
static inline struct request *request_of(struct writing *writing)
{
    return (struct request *)((char *)writing - offsetof(struct request, writing));
}

/* Sets the answer, in place of another one; the reference to `body` is taken over, NULL is none. */
void request_set(struct request *request, unsigned status, json_t *body);

/* Where what was made is: "/api/v1/plans/" and a name, which is encoded. */
void request_set_location(struct request *request, const char *path, const char *name);

/* Frees what the answer holds. */
void request_clear(struct request *request);

/* Sends the answer that was set, from the event loop; exactly once, and the request is gone then.
 */
void request_send(struct request *request);

/* request_set() and request_send(). */
void request_answer_json(struct request *request, unsigned status, json_t *body);

/* The same with a text of this type; `text` is freed with free(3), `type` is not copied. */
void request_answer(struct request *request, unsigned status, const char *type, char *text);

/* A header's value, or NULL. Until the answer has left. */
const char *request_header(const struct request *request, const char *name);

/* A parameter of the query as it was sent, not decoded; NULL: it is not there. */
const char *request_query(const struct request *request, const char *name);

/* Calls `each` with all of them, also those that stand twice. */
void request_each_query(const struct request *request,
                        void (*each)(void *context, const char *name, const char *value),
                        void *context);

#endif
