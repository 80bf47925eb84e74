#ifndef ADMIN_ROUTE_H
#define ADMIN_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "db/apikey.h"

struct admin;
struct db;
struct field;
struct parameter;
struct json_t;
struct request;

/*
 * What is served is one table of these. 401, 403, 404, 405, 406, 413, 415 and 422 are decided from
 * it (admin/api.c) before a handler runs.
 */

/* Which object a path names, and so whose it must be: of somebody else, it is 404. */
enum route_scope {
    SCOPE_OPEN,     /* nobody is asked who he is */
    SCOPE_ANY,      /* no object: what is listed or made is bounded by the key's reach */
    SCOPE_PLAN,     /* {plan}: an operator's, or the customer's own */
    SCOPE_CUSTOMER, /* {customer}, by its id */
    SCOPE_DOMAIN,   /* {domain} */
    SCOPE_ADDRESS,  /* {address} */
    SCOPE_MAILBOX,  /* {address}, and it must have a mailbox */
    SCOPE_KEY,      /* {key}, by its id */
    SCOPE_USER,     /* {user}, an admin user by its id */
    SCOPE_REMOVAL,  /* {removal}, by its id */
    SCOPE_JOB,      /* {job}, by its id */
    SCOPE_WEBHOOK   /* {webhook}, by its id */
};

/* Sets of roles. */
#define ROLE(name)   (1U << DB_ROLE_##name)
#define OPERATORS    (ROLE(OPERATOR))
#define ALL_OPERATOR (ROLE(OPERATOR) | ROLE(OPERATOR_READ))
#define ADMINS       (ROLE(OPERATOR) | ROLE(ADMIN))
#define RESETTERS    (ADMINS | ROLE(HELPDESK))
#define READERS      (RESETTERS | ROLE(OPERATOR_READ) | ROLE(CUSTOMER_READ))
#define EVERYBODY    (READERS | ROLE(OWNER))

enum route_flag {
    ROUTE_WHOLE = 1,   /* not for a key of one domain: what it does goes beyond that */
    ROUTE_LIST = 2,    /* takes limit and cursor, and answers with a page (admin/page.h) */
    ROUTE_SESSION = 4, /* only for people (admin/people.h), not for keys */
    ROUTE_KEPT = 8,    /* its answer is kept by an idempotency key although it is no JSON */
    ROUTE_HEALTH = 16, /* its answer may come with 503 */
    ROUTE_ASKS = 64    /* its own parameters of the query must be there */
};

/* A body that is taken in pieces (admin/upload.h), in place of one that is members. */
struct route_upload {
    const char *const *types;   /* media types, NULL at the end: request->type is one's index */
    const struct field *fields; /* of one row, for the document */
    /* In the event loop, before any of the body has come: as `handle`, which the route has not. */
    void (*begin)(struct admin *admin, struct request *request);
    /*
     * Takes request->body, which is piece number request->pieces, in the writer's thread; the first
     * is 1. It may be called twice for one, where the transaction failed. `apply` comes after the
     * last.
     */
    enum db_result (*piece)(struct db *db, struct request *request);
    /* In the event loop, at the end of a request whose `apply` has done nothing; or NULL. */
    void (*abandon)(struct admin *admin, struct request *request);
};

struct route {
    const char *method; /* "GET" answers HEAD too */
    const char *path;   /* "/api/v1/domains/{domain}": {name} stands for one segment */
    enum route_scope scope;
    unsigned roles; /* none for SCOPE_OPEN */
    unsigned flags;
    const struct field *fields; /* members of the body (admin/field.h); NULL: it takes none */
    const struct parameter *parameters; /* of the query besides the flags' own; or NULL */
    /*
     * In the event loop; what it reads is of one moment. Sets an answer (admin/request.h) or a
     * problem, or keeps the request and answers later. With `apply` it only checks what can be
     * without the database, also where field_check() has noted something.
     */
    void (*handle)(struct admin *admin, struct request *request);
    /*
     * A change, in the writer's thread (admin/writer.h). It may set an answer or a problem, and
     * else has the one that goes with the result and the method. What has a problem has not
     * happened.
     */
    enum db_result (*apply)(struct db *db, struct request *request);
    /* In the event loop, once what `apply` has done is durable; or NULL. */
    void (*applied)(struct admin *admin, struct request *request);
    /*
     * The object that the request names, as the API shows it: what a GET answers with, and a change
     * after it, with an ETag that If-Match is compared with. DB_OK or as db/ has it.
     */
    enum db_result (*show)(struct db *db, struct request *request, struct json_t **object_r);
    const struct route_upload *upload; /* NULL: the body is members, or there is none */
    const char *about;                 /* one line for the API's document */
    const char *schema;                /* of the answer there; NULL: none */
    const char *type;                  /* of the answer, where it is no JSON */
};

enum route_result {
    ROUTE_FOUND,
    ROUTE_NO_PATH,        /* 404 */
    ROUTE_NO_METHOD,      /* 405: not for this path */
    ROUTE_UNKNOWN_METHOD, /* 501: RFC 9110 section 9.1 */
};

/* `route_r` is set for ROUTE_FOUND only. The path is as it was sent, without a query. */
enum route_result route_find(const struct route *routes, size_t count, const char *method,
                             const char *path, const struct route **route_r);

/* Enough for every known method. */
#define ROUTE_ALLOW_SIZE 80

/* The value of an Allow header for this path. */
void route_allow(const struct route *routes, size_t count, const char *path,
                 char text_r[ROUTE_ALLOW_SIZE]);

/*
 * What the path has in place of {name}, decoded: the caller frees it. NULL: the route has no such
 * name, or what stands there is no percent-encoded UTF-8, or holds an octet 0.
 */
char *route_parameter(const struct route *route, const char *path, const char *name);

/* Decodes `length` octets of a path or a query; as above. */
char *route_decode(const char *text, size_t length);

#endif
