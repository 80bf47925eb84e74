#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/field.h"
#include "admin/problem.h"
#include "lib/rfc3339.h"
#include "lib/utf8.h"

#define POINTER_SIZE 80

/* The pointer of a member (RFC 6901); one with a long name is told by its beginning. */
static const char *pointer_to(char pointer_r[POINTER_SIZE], const char *name)
{
    size_t length = strlen(name);
    size_t used = 0;
    size_t size = 1;
    uint32_t character;

    pointer_r[used++] = '/';
    for (size_t at = 0; at < length && used <= POINTER_SIZE / 2; at += size) {
        size = utf8_decode(name + at, length - at, &character);
        if (size == 0 || used + size > POINTER_SIZE / 2 + 1)
            break;
        if (size == 1 && (name[at] == '~' || name[at] == '/')) {
            pointer_r[used++] = '~';
            pointer_r[used++] = name[at] == '~' ? '0' : '1';
            continue;
        }
        memcpy(pointer_r + used, name + at, size);
        used += size;
    }
    pointer_r[used] = '\0';
    return pointer_r;
}

static const struct field *find(const struct field *fields, const char *name)
{
    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

bool field_is_word(const char *const *words, const char *text)
{
    while (*words != NULL && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

void field_name_words(const char *const *words, char sentence_r[FIELD_WORDS_SIZE])
{
    size_t used = (size_t)snprintf(sentence_r, FIELD_WORDS_SIZE, "it is one of: %s", *words);

    while (*++words != NULL && used < FIELD_WORDS_SIZE)
        used += (size_t)snprintf(sentence_r + used, FIELD_WORDS_SIZE - used, ", %s", *words);
}

static void check_text(struct request *request, const struct field *field, const char *pointer,
                       const json_t *value)
{
    int64_t length = (int64_t)json_string_length(value);
    char sentence[FIELD_WORDS_SIZE];

    if (field->words != NULL) {
        if (field_is_word(field->words, json_string_value(value)))
            return;
        field_name_words(field->words, sentence);
        problem_member(request, pointer, "choice", "%s", sentence);
    } else if (length < field->least) {
        problem_member(request, pointer, "too-short", "it has %d octet%s at least",
                       (int)field->least, field->least == 1 ? "" : "s");
    } else if (length > field->most) {
        problem_member(request, pointer, "too-long", "it has %d octets at most", (int)field->most);
    }
}

static void check_number(struct request *request, const struct field *field, const char *pointer,
                         const json_t *value)
{
    json_int_t number = json_integer_value(value);

    if (number < field->least || number > field->most)
        problem_member(request, pointer, "range", "it is %lld to %lld", (long long)field->least,
                       (long long)field->most);
}

static void check_list(struct request *request, const struct field *field, const char *pointer,
                       const json_t *list)
{
    size_t size = json_array_size(list);
    const json_t *value;
    size_t i;

    if ((int64_t)size < field->least || (int64_t)size > field->most)
        problem_member(request, pointer, "count", "there are %d to %d", (int)field->least,
                       (int)field->most);
    json_array_foreach(list, i, value)
    {
        if (field->type == FIELD_TEXTS ? json_is_string(value) : json_is_object(value))
            continue;
        problem_member(request, pointer, "type", "each is %s",
                       field->type == FIELD_TEXTS ? "a string" : "an object");
        return;
    }
}

static void check_time(struct request *request, const struct field *field, const char *pointer,
                       const json_t *value)
{
    uint64_t then;

    if (field_parse_time(json_string_value(value), &then) < 0)
        problem_member(request, pointer, "time",
                       "it is a time of RFC 3339 like 2026-11-22T19:40:00Z");
    else if (field->ahead && then <= (uint64_t)time(NULL))
        problem_member(request, pointer, "past", "this time has passed; give one that is to come");
}

static void check_value(struct request *request, const struct field *field, const json_t *value)
{
    static const char *const words[] = {
        [FIELD_TEXT] = "a string",           [FIELD_NUMBER] = "a whole number",
        [FIELD_BOOL] = "true or false",      [FIELD_TIME] = "a string",
        [FIELD_TEXTS] = "a list of strings", [FIELD_OBJECTS] = "a list of objects"};
    char pointer[POINTER_SIZE];
    bool fits = field->type == FIELD_NUMBER  ? json_is_integer(value)
                : field->type == FIELD_BOOL  ? json_is_boolean(value)
                : field->type >= FIELD_TEXTS ? json_is_array(value)
                                             : json_is_string(value);

    pointer_to(pointer, field->name);
    if (json_is_null(value) && field->nullable)
        return;
    if (!fits) {
        problem_member(request, pointer, "type", "it is %s", words[field->type]);
        return;
    }
    switch (field->type) {
    case FIELD_TEXT: check_text(request, field, pointer, value); break;
    case FIELD_NUMBER: check_number(request, field, pointer, value); break;
    case FIELD_TIME: check_time(request, field, pointer, value); break;
    case FIELD_TEXTS:
    case FIELD_OBJECTS: check_list(request, field, pointer, value); break;
    case FIELD_BOOL: break;
    }
}

/* Whether null says of it as much as if it were not there. */
static bool may_be_null(const struct field *field, bool merge)
{
    return field->nullable || (!field->required && !merge);
}

int field_check(struct request *request, const struct field *fields, json_t *body, bool merge)
{
    char pointer[POINTER_SIZE];
    bool good = true;
    const char *name;
    json_t *value;
    void *next;

    if (!json_is_object(body)) {
        problem_member(request, "", "type", "the body is an object");
        return -1;
    }
    json_object_foreach_safe(body, next, name, value)
    {
        const struct field *field = find(fields, name);
        if (field == NULL) {
            good = false;
            problem_member(request, pointer_to(pointer, name), "unknown",
                           "there is no such member");
        } else if (json_is_null(value) && !field->nullable && may_be_null(field, merge)) {
            json_object_del(body, name);
        } else {
            check_value(request, field, value);
        }
    }
    for (const struct field *field = fields; field->name != NULL; field++)
        if (field->required && json_object_get(body, field->name) == NULL) {
            good = false;
            problem_member(request, pointer_to(pointer, field->name), "missing",
                           "it must be given");
        }
    return good ? 0 : -1;
}

bool field_given(const json_t *body, const char *name)
{
    return json_object_get(body, name) != NULL;
}

const char *field_text(const json_t *body, const char *name, const char *other)
{
    const json_t *value = json_object_get(body, name);

    return json_is_string(value) ? json_string_value(value) : other;
}

int64_t field_number(const json_t *body, const char *name, int64_t other)
{
    const json_t *value = json_object_get(body, name);

    return json_is_integer(value) ? json_integer_value(value) : other;
}

bool field_bool(const json_t *body, const char *name, bool other)
{
    const json_t *value = json_object_get(body, name);

    return json_is_boolean(value) ? json_is_true(value) : other;
}

uint64_t field_time(const json_t *body, const char *name, uint64_t other)
{
    const json_t *value = json_object_get(body, name);
    uint64_t time;

    return json_is_string(value) && field_parse_time(json_string_value(value), &time) == 0 ? time
                                                                                           : other;
}

/* RFC 3339 section 5.6. Fractions of a second are taken and forgotten. */
int field_parse_time(const char *text, uint64_t *time_r)
{
    struct tm parts = {0};
    int hours;
    int minutes;
    int used = 0;

    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL || rest != text + strlen("2026-11-22T19:40:00"))
        return -1;
    if (*rest == '.') {
        size_t digits = strspn(rest + 1, "0123456789");
        if (digits == 0)
            return -1;
        rest += 1 + digits;
    }
    time_t seconds = timegm(&parts);
    if (strcmp(rest, "Z") != 0) {
        struct tm offset = {0};
        const char *end =
            (*rest == '+' || *rest == '-') ? strptime(rest + 1, "%H:%M", &offset) : NULL;
        if (end != rest + strlen("+00:00") || *end != '\0')
            return -1;
        hours = offset.tm_hour;
        minutes = offset.tm_min;
        used = (hours * 60 + minutes) * 60;
        seconds -= *rest == '-' ? -used : used;
    }
    if (seconds < 1)
        return -1;
    *time_r = (uint64_t)seconds;
    return 0;
}

json_t *field_format_time(uint64_t time)
{
    char text[RFC3339_SIZE];

    rfc3339_format(text, time);
    return time == 0 || text[0] == '\0' ? json_null() : json_string(text);
}

json_t *field_format_text(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static void add_words(json_t *schema, const char *const *words, bool null)
{
    json_t *list = json_array();

    while (*words != NULL)
        json_array_append_new(list, json_string(*words++));
    if (null)
        json_array_append_new(list, json_null());
    json_object_set_new(schema, "enum", list);
}

json_t *field_parameter_schema(const struct parameter *parameter)
{
    static const char *const types[] = {[FIELD_NUMBER] = "integer", [FIELD_BOOL] = "boolean"};
    bool text = parameter->type != FIELD_NUMBER && parameter->type != FIELD_BOOL;
    json_t *schema = json_pack("{ss}", "type", text ? "string" : types[parameter->type]);

    if (parameter->type == FIELD_TIME)
        json_object_set_new(schema, "format", json_string("date-time"));
    if (parameter->words != NULL)
        add_words(schema, parameter->words, false);
    if (parameter->most != 0)
        json_object_update_new(schema, json_pack("{si si}", "minLength", (int)parameter->least,
                                                 "maxLength", (int)parameter->most));
    return schema;
}

static json_t *items_schema(const struct field *field)
{
    if (field->type == FIELD_OBJECTS)
        return field_schema(field->members, false);
    json_t *schema = json_pack("{ss}", "type", "string");
    if (field->words != NULL)
        add_words(schema, field->words, false);
    return schema;
}

static json_t *one_schema(const struct field *field, bool merge)
{
    bool null = may_be_null(field, merge);
    static const char *const types[] = {
        [FIELD_TEXT] = "string", [FIELD_NUMBER] = "integer", [FIELD_BOOL] = "boolean",
        [FIELD_TIME] = "string", [FIELD_TEXTS] = "array",    [FIELD_OBJECTS] = "array"};
    json_t *schema = json_pack("{ss ss}", "type", types[field->type], "description", field->about);

    if (field->preset != NULL && !merge)
        json_object_set_new(schema, "default", json_loads(field->preset, JSON_DECODE_ANY, NULL));
    if (null)
        json_object_set_new(schema, "type", json_pack("[ss]", types[field->type], "null"));
    if (field->type == FIELD_NUMBER)
        json_object_update_new(schema, json_pack("{sI sI}", "minimum", (json_int_t)field->least,
                                                 "maximum", (json_int_t)field->most));
    if (field->type == FIELD_TIME)
        json_object_set_new(schema, "format", json_string("date-time"));
    if (field->type >= FIELD_TEXTS)
        json_object_update_new(schema, json_pack("{so sI sI}", "items", items_schema(field),
                                                 "minItems", (json_int_t)field->least, "maxItems",
                                                 (json_int_t)field->most));
    else if (field->words != NULL)
        add_words(schema, field->words, null);
    else if (field->type == FIELD_TEXT)
        json_object_update_new(schema, json_pack("{sI sI}", "minLength", (json_int_t)field->least,
                                                 "maxLength", (json_int_t)field->most));
    return schema;
}

json_t *field_schema(const struct field *fields, bool merge)
{
    json_t *properties = json_object();
    json_t *required = json_array();

    for (; fields->name != NULL; fields++) {
        json_object_set_new(properties, fields->name, one_schema(fields, merge));
        if (fields->required && !merge)
            json_array_append_new(required, json_string(fields->name));
    }
    return json_pack("{ss so so sb}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", 0);
}
