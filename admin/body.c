#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "admin/body.h"

/* Brackets within strings do not count; what is no JSON is the parser's to refuse. */
static bool is_too_deep(const char *text, size_t length)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']'))
            depth -= depth > 0;
        if (depth > BODY_DEPTH_MAX)
            return true;
    }
    return false;
}

struct json_t *body_parse(const char *text, size_t length, char error_r[BODY_ERROR_SIZE])
{
    json_error_t error;

    if (is_too_deep(text, length)) {
        snprintf(error_r, BODY_ERROR_SIZE, "the body is nested more than %d deep", BODY_DEPTH_MAX);
        return NULL;
    }
    json_t *body = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (body == NULL)
        snprintf(error_r, BODY_ERROR_SIZE, "the body is no JSON: line %d, column %d", error.line,
                 error.column);
    return body;
}
