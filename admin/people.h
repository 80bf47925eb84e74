#ifndef ADMIN_PEOPLE_H
#define ADMIN_PEOPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "db/db.h"
#include "db/person.h"

struct admin;
struct auth_checked;
struct request;

/*
 * People who use the API and its pages with a session instead of a key: who a cookie is, and what
 * they show to get one. Their roles are those of keys, so what a request may do is asked of its
 * key, which is filled in from the person.
 */

/*
 * Who the request's cookie is, in the place of a key; a refusal is set as the answer. A change has
 * to come from a page of ours and to bring the token that goes with the cookie: browsers send
 * cookies along with what other sites make them ask.
 */
void people_authenticate(struct request *request);

/* Whether it has a cookie of ours, good or not. */
bool people_has_cookie(const struct request *request);

/* Whether a page of ours asks, or no page at all; else a refusal is set. */
bool people_is_ours(struct request *request);

/*
 * Has a password checked by authd, and then goes on with the request's change; what is refused is
 * answered. From the event loop. `found` is called before when it is good, and may be NULL.
 */
void people_ask(struct request *request, const char *login, const char *password,
                void (*found)(struct request *request, const struct auth_checked *checked));

/* What a session remembers of its client; what handlers keep as request->own begins with it. */
struct people_client {
    struct db_person person;
    uint8_t fitted[32]; /* of a login: what its password fitted (lib/authmsg.h) */
    char agent[256];
    char old[64]; /* the cookie that it came with, whose session ends; empty: none */
};

/* Makes request->own of so many octets, zeroed but for the client that it begins with. */
void *people_client_new(struct request *request, size_t size);

/*
 * In the writer's thread: checks a code of the second factor, which the person has. Where it is not
 * good a refusal is set, and what was noted of that is kept; then too it is DB_OK.
 */
enum db_result people_check_code(struct db *db, struct request *request,
                                 const struct db_person *person, const char *login,
                                 const char *code);

/*
 * In the writer's thread: begins a session, and answers with it and its cookie. The one that the
 * client came with ends.
 */
enum db_result people_begin(struct db *db, struct request *request,
                            const struct db_person_found *found, unsigned status);

#endif
