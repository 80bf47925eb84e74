#ifndef ADMIN_FIELD_H
#define ADMIN_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct request;

/* The members of a body as data: what is checked, and what the API's document says of them. */

enum field_type {
    FIELD_TEXT,   /* least and most are octets */
    FIELD_NUMBER, /* least and most are its bounds */
    FIELD_BOOL,
    FIELD_TIME,   /* RFC 3339 */
    FIELD_TEXTS,  /* a list of texts, which the handler checks; least and most are how many */
    FIELD_OBJECTS /* the same of objects */
};

struct field {
    const char *name; /* NULL ends a list */
    enum field_type type;
    bool required;
    bool nullable; /* null takes it away */
    int64_t least;
    int64_t most;
    bool ahead; /* FIELD_TIME: not one that has passed */
    /* NULL at the end; NULL: any. FIELD_TEXT: it is one of these; FIELD_TEXTS: each is, for the
     * document. */
    const char *const *words;
    const char *about;
    const struct field *members; /* FIELD_OBJECTS: of each, for the document */
    const char
        *preset; /* for the document: in JSON, what it is where a new object does not say it */
};

/*
 * A parameter of a query in the same way, as the document tells it. Words, true or false, and how
 * many characters it has are checked before a handler runs (page_check_query()); the rest by who
 * takes it.
 */
struct parameter {
    const char *name; /* NULL ends a list */
    enum field_type type;
    const char *const *words;
    const char *about;
    unsigned least, most; /* of FIELD_TEXT: characters; 0: any number of them */
};

/*
 * Checks a body: that it is an object, that it has what is required and nothing unknown, types and
 * bounds. Notes each fault by problem_member(). Returns 0, or -1 when there is one. null where
 * there is nothing to take away says nothing, and is removed from the body; not so with `merge`,
 * where the body is a JSON merge patch (RFC 7396).
 */
int field_check(struct request *request, const struct field *fields, json_t *body, bool merge);

/* Whether the body names it, also as null. */
bool field_given(const json_t *body, const char *name);

/* Values of a body that was checked; `other` where it is not named or null. */
const char *field_text(const json_t *body, const char *name, const char *other);
int64_t field_number(const json_t *body, const char *name, int64_t other);
bool field_bool(const json_t *body, const char *name, bool other);
uint64_t field_time(const json_t *body, const char *name, uint64_t other);

/* Seconds since 1970 of "2026-11-22T19:40:00Z", or with an offset. Returns 0 or -1. */
int field_parse_time(const char *text, uint64_t *time_r);

/* The other way, UTC; null for 0. */
json_t *field_format_time(uint64_t time);

/* null for an empty text. */
json_t *field_format_text(const char *text);

/* Whether it is one of these; `words` as in struct field. */
bool field_is_word(const char *const *words, const char *text);

/* The sentence that says which there are: "it is one of: a, b". */
#define FIELD_WORDS_SIZE 220
void field_name_words(const char *const *words, char sentence_r[FIELD_WORDS_SIZE]);

/* The JSON Schema of a parameter. */
json_t *field_parameter_schema(const struct parameter *parameter);

/* The JSON Schema of a body with these members; `merge` as above. */
json_t *field_schema(const struct field *fields, bool merge);

#endif
