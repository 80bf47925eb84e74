#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "admin/upload.h"
#include "lib/xalloc.h"

struct upload {
    crypto_generichash_state digest; /* of the path, the query, the type and all that has come */
};

static void add_text(struct upload *upload, const char *text)
{
    crypto_generichash_update(&upload->digest, (const unsigned char *)text, strlen(text) + 1);
}

static void add_parameter(void *context, const char *name, const char *value)
{
    add_text(context, name);
    add_text(context, value != NULL ? value : "");
}

void upload_begin(struct request *request)
{
    struct upload *upload = request->upload = xcalloc(1, sizeof(*upload));

    crypto_generichash_init(&upload->digest, NULL, 0, UPLOAD_DIGEST_SIZE);
    add_text(upload, request->path);
    request_each_query(request, add_parameter, upload);
    add_text(upload, request->route->upload->types[request->type]);
}

void upload_digest(const struct request *request, uint8_t digest_r[UPLOAD_DIGEST_SIZE])
{
    crypto_generichash_state state = request->upload->digest;

    crypto_generichash_final(&state, digest_r, UPLOAD_DIGEST_SIZE);
}

static enum db_result run(struct writing *writing, struct db *db)
{
    struct request *request = request_of(writing);

    change_actor(db, request);
    enum db_result result = request->route->upload->piece(db, request);
    if (result == DB_OK || result == DB_BUSY || result == DB_BROKEN)
        return result;
    if (!request->answer.problem)
        change_problem(request, db, result);
    return DB_NONE;
}

static void done(struct writing *writing)
{
    struct request *request = request_of(writing);

    request->away = false;
    if (writing->result == DB_BUSY || writing->result == DB_BROKEN)
        change_problem(request, NULL, writing->result);
    request->taking = request->answer.status == 0;
    sodium_memzero(request->body, request->body_length);
    request->body_length = 0;
    request_send(request);
}

static void submit(struct request *request)
{
    request->pieces++;
    if (change_submit(request, run, done) < 0)
        request->taking = false;
}

size_t upload_take(struct request *request, const char *octets, size_t length)
{
    size_t room = UPLOAD_PIECE - request->body_length;
    size_t part = length < room ? length : room;

    memcpy(request->body + request->body_length, octets, part);
    request->body_length += part;
    crypto_generichash_update(&request->upload->digest, (const unsigned char *)octets, part);
    if (request->body_length == UPLOAD_PIECE)
        submit(request);
    return part;
}

bool upload_flush(struct request *request)
{
    if (request->body_length == 0)
        return false;
    submit(request);
    return true;
}

void upload_free(struct request *request)
{
    if (request->upload == NULL)
        return;
    const struct route_upload *route = request->route->upload;
    if (route->abandon != NULL &&
        (request->answer.status == 0 || request->answer.problem || request->answer.replayed))
        route->abandon(request->admin, request);
    free(request->upload);
    request->upload = NULL;
}
