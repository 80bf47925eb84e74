#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "admin/body.h"

struct shape {
    unsigned depth; /* the deepest */
    unsigned depth_now;
    unsigned values; /* at most one less than there are */
};

static void look_at(struct shape *shape, char c)
{
    switch (c) {
    case '{':
    case '[':
        shape->values++;
        if (++shape->depth_now > shape->depth)
            shape->depth = shape->depth_now;
        break;
    case '}':
    case ']': shape->depth_now -= shape->depth_now > 0; break;
    case ',':
    case ':': shape->values++; break;
    default: break;
    }
}

static const char *what_is_wrong(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_duplicate_key: return "a member is there twice in the body";
    case json_error_numeric_overflow: return "the body has a number that is too large";
    case json_error_null_character: return "the body has \\u0000, which nothing can hold";
    case json_error_invalid_utf8: return "the body is not UTF-8";
    default: return "the body is no JSON";
    }
}

/* What stands within strings does not count; what is no JSON is the parser's to refuse. */
static struct shape shape_of(const char *text, size_t length)
{
    struct shape shape = {0};
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted)
            look_at(&shape, text[i]);
    }
    return shape;
}

struct json_t *body_parse(const char *text, size_t length, char error_r[BODY_ERROR_SIZE])
{
    const struct shape shape = shape_of(text, length);
    json_error_t error;

    if (shape.depth > BODY_DEPTH_MAX) {
        snprintf(error_r, BODY_ERROR_SIZE, "the body is nested more than %d deep", BODY_DEPTH_MAX);
        return NULL;
    }
    if (shape.values >= BODY_VALUES_MAX) {
        snprintf(error_r, BODY_ERROR_SIZE, "the body has more than %d values", BODY_VALUES_MAX);
        return NULL;
    }
    json_t *body = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (body == NULL && length == 0)
        snprintf(error_r, BODY_ERROR_SIZE, "the body is missing; one that says nothing is {}");
    else if (body == NULL)
        snprintf(error_r, BODY_ERROR_SIZE, "%s: line %d, column %d", what_is_wrong(&error),
                 error.line, error.column);
    return body;
}
