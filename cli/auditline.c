#include "cli/auditline.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "cli/moment.h"
#include "lib/xalloc.h"

int auditline_digest(uint8_t digest_r[DB_AUDIT_DIGEST_SIZE], const char *text)
{
    size_t length;

    return sodium_hex2bin(digest_r, DB_AUDIT_DIGEST_SIZE, text, strlen(text), NULL, &length,
                          NULL) == 0 &&
                   length == DB_AUDIT_DIGEST_SIZE
               ? 0
               : -1;
}

static int read_digest(uint8_t digest_r[DB_AUDIT_DIGEST_SIZE], const json_t *value)
{
    if (json_is_null(value))
        return 0;
    return json_is_string(value) ? auditline_digest(digest_r, json_string_value(value)) : -1;
}

static int copy(char *text_r, size_t size, const char *text)
{
    size_t length = strlen(text);

    if (length >= size)
        return -1;
    memcpy(text_r, text, length + 1);
    return 0;
}

/* Of exactly the members that auditline_make() makes. */
static int read_members(struct db_audit *audit_r, json_t *line, bool whole)
{
    json_int_t customer, number, id = 1;
    const char *time, *actor, *remote, *request, *action, *object, *changes;
    json_t *digest, *chain = NULL;

    if (json_unpack(line,
                    whole ? "{sI sI ss ss ss ss ss ss ss so sI so !}"
                          : "{sI sI ss ss ss ss ss ss ss so !}",
                    "customer", &customer, "number", &number, "time", &time, "actor", &actor,
                    "remote", &remote, "request", &request, "action", &action, "object", &object,
                    "changes", &changes, "digest", &digest, "id", &id, "chain", &chain) != 0)
        return -1;
    if (customer < 0 || number < 1 || id < 1 || moment_parse(time, 0, &audit_r->time) < 0 ||
        copy(audit_r->actor, sizeof(audit_r->actor), actor) < 0 ||
        copy(audit_r->remote, sizeof(audit_r->remote), remote) < 0 ||
        copy(audit_r->request, sizeof(audit_r->request), request) < 0 ||
        copy(audit_r->action, sizeof(audit_r->action), action) < 0 ||
        copy(audit_r->object, sizeof(audit_r->object), object) < 0)
        return -1;
    audit_r->customer = (uint64_t)customer;
    audit_r->number = (uint64_t)number;
    audit_r->id = (uint64_t)id;
    audit_r->changes = xstrdup(changes);
    if (read_digest(audit_r->digest, digest) < 0 ||
        (whole && read_digest(audit_r->chain, chain) < 0))
        return -1;
    return 0;
}

int auditline_parse(struct db_audit *audit_r, bool *whole_r, const char *line)
{
    json_t *members = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

    db_audit_free(audit_r);
    *whole_r = json_object_get(members, "chain") != NULL;
    int result = json_is_object(members) ? read_members(audit_r, members, *whole_r) : -1;
    json_decref(members);
    return result;
}
