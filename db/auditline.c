#include "db/auditline.h"

#include <jansson.h>
#include <sodium.h>

#include "lib/rfc3339.h"

static json_t *digest_text(const uint8_t digest[DB_AUDIT_DIGEST_SIZE])
{
    char text[2 * DB_AUDIT_DIGEST_SIZE + 1];
    if (sodium_is_zero(digest, DB_AUDIT_DIGEST_SIZE)) {
        return json_null();
    }
    return json_string(sodium_bin2hex(text, sizeof(text), digest, DB_AUDIT_DIGEST_SIZE));
}

struct json_t *auditline_make(const struct db_audit *audit, bool whole)
{
    char time[RFC3339_SIZE];
    rfc3339_format(time, audit->time);
    json_t *line = json_pack(
        "{sI sI ss ss ss ss ss ss ss so}", "customer", (json_int_t)audit->customer, "number",
        (json_int_t)audit->number, "time", time, "actor", audit->actor, "remote", audit->remote,
        "request", audit->request, "action", audit->action, "object", audit->object, "changes",
        audit->changes, "digest", digest_text(audit->digest));
    if (whole && line != NULL) {
        json_object_set_new(line, "id", json_integer((json_int_t)audit->id));
        json_object_set_new(line, "chain", digest_text(audit->chain));
    }
    return line;
}
