#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "db/db.h"
#include "db/limit.h"

/*
 * The HTTP API of a server that runs elsewhere, asked with one key over one connection. What it
 * refuses comes back as a result of db/: DB_NONE (not-found, or a name in the body that there is
 * not), DB_TAKEN, DB_LIMIT; anything else has been said by refuse() and is DB_BROKEN.
 */
struct remote;

struct remote_options {
    const char *url;       /* https://HOST[:PORT][/...], or http:// to this machine */
    const char *key_file;  /* with the key in a line */
    const char *authority; /* of certificates, as a PEM file; NULL: the system's */
};

/* Reads the key, and connects when something is asked. Returns NULL after refuse(). */
struct remote *remote_open(const struct remote_options *options);

/* NULL is allowed. */
void remote_close(struct remote *remote);

/*
 * "/api/v1" with `before`, then `name` encoded as one segment, or the number, then `after`. For the
 * functions below, which free it.
 */
char *remote_path(const char *before, const char *name, const char *after);
char *remote_path_id(const char *before, uint64_t id, const char *after);

/* `path`, which is freed, with `name` encoded behind it. */
char *remote_path_add(char *path, const char *name);

enum db_result remote_get(struct remote *remote, char *path, json_t **answer_r);

/*
 * A POST, PUT, PATCH or DELETE, with `body` (which is taken over) or NULL. answer_r may be NULL,
 * and is set with DB_OK alone, to NULL where there is none. Tried again after a lost connection: a
 * POST is named by an idempotency key, the others may be made twice.
 */
enum db_result remote_change(struct remote *remote, const char *method, char *path, json_t *body,
                             json_t **answer_r);

/*
 * A POST of octets of a media type, however long the way takes, while some of them leave; tried
 * again as above. The octets stay the caller's.
 */
enum db_result remote_upload(struct remote *remote, char *path, const char *type,
                             const char *octets, size_t length, json_t **answer_r);

/* Writes an answer that is no JSON to `file` as it comes, however long it is. Tried once. */
enum db_result remote_copy(struct remote *remote, const char *method, char *path, json_t *body,
                           FILE *file);

/*
 * The same for a POST with an answer that is given once: it is tried again as above, kept, and
 * written when it is whole.
 */
enum db_result remote_take(struct remote *remote, char *path, FILE *file);

/*
 * Between begin and commit, changes are kept and made by one request: the first one's, with what
 * the bodies of the others say. So all of them are of one object.
 */
void remote_begin(struct remote *remote);
enum db_result remote_commit(struct remote *remote);
void remote_rollback(struct remote *remote);

/* What the last DB_LIMIT was about; and notes it where the answer said it otherwise. */
const struct db_limit *remote_limit(const struct remote *remote);
void remote_note_limit(struct remote *remote, const struct db_limit *limit);

/* Says that an answer is none that this program knows; DB_BROKEN. */
enum db_result remote_strange(const struct remote *remote);

#endif
