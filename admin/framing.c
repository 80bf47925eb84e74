#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "admin/framing.h"

/* Of these only one is looked at, and a proxy or the client may have meant the other. */
static const struct {
    const char *name;
    const char *fault;
} single[] = {
    {MHD_HTTP_HEADER_CONTENT_LENGTH, "the header has Content-Length more than once"},
    {MHD_HTTP_HEADER_AUTHORIZATION, "the header has Authorization more than once"},
    {MHD_HTTP_HEADER_CONTENT_TYPE, "the header has Content-Type more than once"},
    {"Idempotency-Key", "the header has Idempotency-Key more than once"},
};
#define SINGLE (sizeof(single) / sizeof(single[0]))
#define LENGTH 0 /* the first of them */

struct tally {
    unsigned fields;
    unsigned hosts;
    unsigned codings;
    unsigned singles[SINGLE];
    bool chunked; /* the last of the codings is that and nothing else */
    bool names_are_tokens;
};

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *name, size_t length)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    for (size_t i = 0; i < length; i++)
        if (name[i] == '\0' || strchr(token, name[i]) == NULL)
            return false;
    return length > 0;
}

static enum MHD_Result on_field(void *context, enum MHD_ValueKind kind, const char *name,
                                size_t name_length, const char *value, size_t length)
{
    struct tally *tally = context;

    tally->fields++;
    if (kind != MHD_HEADER_KIND)
        return MHD_YES;
    if (!is_token(name, name_length))
        tally->names_are_tokens = false;
    else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
        tally->hosts++;
    else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        tally->codings++;
        tally->chunked = length == strlen("chunked") && strcasecmp(value, "chunked") == 0;
    }
    for (size_t i = 0; i < SINGLE; i++)
        if (strcasecmp(name, single[i].name) == 0)
            tally->singles[i]++;
    return MHD_YES;
}

static const char *fault_of(const struct tally *tally, bool old)
{
    if (tally->fields > FRAMING_FIELDS_MAX)
        return "the header and the query have too many fields";
    if (!tally->names_are_tokens)
        return "a field of the header has a name that is none";
    if (tally->hosts > 1 || (tally->hosts == 0 && !old))
        return "the header names no host, or more than one";
    for (size_t i = 0; i < SINGLE; i++)
        if (tally->singles[i] > 1)
            return single[i].fault;
    if (tally->codings > 0 && (tally->codings > 1 || !tally->chunked || old))
        return "of transfer codings only \"chunked\" is known, and from HTTP/1.1 on";
    if (tally->codings > 0 && tally->singles[LENGTH] > 0)
        return "the header has Content-Length and Transfer-Encoding";
    return NULL;
}

bool framing_check(struct MHD_Connection *connection, const char *version, const char **fault_r)
{
    struct tally tally = {.names_are_tokens = true};

    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, on_field, &tally);
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, on_field, &tally);
    *fault_r = fault_of(&tally, strcmp(version, MHD_HTTP_VERSION_1_0) == 0);
    return tally.fields <= 2 * FRAMING_FIELDS_MAX;
}
