#include <stdlib.h>
#include <string.h>

#include "pop3d/authline.h"
#include "pop3d/number.h"

/* The next tab-separated field, or NULL after the last one. */
static char *next_field(char **line)
{
    return strsep(line, "\t");
}

/* The value of "name=value", or NULL when the field is something else. */
static const char *value_of(const char *field, const char *name)
{
    size_t length = strlen(name);

    return strncmp(field, name, length) == 0 && field[length] == '=' ? field + length + 1 : NULL;
}

static int parse_number(const char *text, uint32_t *number_r)
{
    uint64_t number;

    if (number_parse(&number, text) < 0 || number > UINT32_MAX)
        return -1;
    *number_r = (uint32_t)number;
    return 0;
}

/* A field that is not ours is no mistake. */
static int parse_ok_field(const char *field, struct auth_answer *answer_r, bool *sealed_r)
{
    const char *value;

    if ((value = value_of(field, "cap")) != NULL) {
        *sealed_r = true;
        return capability_parse(&answer_r->capability, value, strlen(value));
    }
    if ((value = value_of(field, "retention")) != NULL)
        return parse_number(value, &answer_r->retention_days);
    if ((value = value_of(field, "lang")) != NULL)
        return language_parse(value, &answer_r->language);
    return 0;
}

static enum auth_line parse_ok(char *rest, struct auth_answer *answer_r)
{
    bool sealed = false;
    char *field;

    answer_r->outcome = AUTH_OK;
    while ((field = next_field(&rest)) != NULL)
        if (parse_ok_field(field, answer_r, &sealed) < 0)
            return AUTH_LINE_BAD;
    return sealed ? AUTH_LINE_ANSWER : AUTH_LINE_BAD;
}

static int parse_fail_field(const char *field, struct auth_answer *answer_r)
{
    const char *code = value_of(field, "code");
    const char *wait = value_of(field, "wait");

    if (strcmp(field, "temp") == 0 || (code != NULL && strcmp(code, "temp_fail") == 0))
        answer_r->outcome = AUTH_UNAVAILABLE;
    else if (code != NULL && strcmp(code, "user_disabled") == 0)
        answer_r->outcome = AUTH_SUSPENDED;
    else if (code != NULL && strcmp(code, "authz_fail") == 0 && answer_r->outcome == AUTH_REFUSED)
        answer_r->outcome = AUTH_FOR_ANOTHER;
    else if (code != NULL &&
             (strcmp(code, "malformed") == 0 || strcmp(code, "invalid_base64") == 0))
        answer_r->outcome = AUTH_MALFORMED;
    return wait != NULL ? parse_number(wait, &answer_r->seconds) : 0;
}

static enum auth_line parse_fail(char *rest, struct auth_answer *answer_r)
{
    char *field;

    answer_r->outcome = AUTH_REFUSED;
    while ((field = next_field(&rest)) != NULL)
        if (parse_fail_field(field, answer_r) < 0)
            return AUTH_LINE_BAD;
    if (answer_r->outcome == AUTH_UNAVAILABLE && answer_r->seconds > 0)
        answer_r->outcome = AUTH_DELAYED;
    return AUTH_LINE_ANSWER;
}

static enum auth_line parse_challenge(char *rest, struct auth_answer *answer_r)
{
    char *challenge = next_field(&rest);

    answer_r->outcome = AUTH_CHALLENGE;
    answer_r->challenge = challenge != NULL ? challenge : "";
    return authline_is_base64(answer_r->challenge) ? AUTH_LINE_ANSWER : AUTH_LINE_BAD;
}

static enum auth_line parse_mechanism(char *rest, struct auth_mechanism *mechanism_r)
{
    char *field = next_field(&rest);

    if (field == NULL || *field == '\0' || strlen(field) >= sizeof(mechanism_r->name))
        return AUTH_LINE_BAD;
    memset(mechanism_r, 0, sizeof(*mechanism_r));
    memcpy(mechanism_r->name, field, strlen(field) + 1);
    while ((field = next_field(&rest)) != NULL) {
        mechanism_r->plaintext |= strcmp(field, "plaintext") == 0;
        mechanism_r->binds |= strcmp(field, "channel-binding") == 0;
        mechanism_r->tokens |= strcmp(field, "token") == 0;
    }
    return AUTH_LINE_MECHANISM;
}

/* "LEAST,MOST". Cuts the value up. */
static int parse_range(char *value, uint32_t *least_r, uint32_t *most_r)
{
    const char *least = strsep(&value, ",");

    return value != NULL && parse_number(least, least_r) == 0 && parse_number(value, most_r) == 0
               ? 0
               : -1;
}

static enum auth_line parse_plans(char *rest, struct auth_plans *plans_r)
{
    bool retention = false, poll = false;
    char *field;

    while ((field = next_field(&rest)) != NULL) {
        char *name = strsep(&field, "=");
        if (field != NULL && strcmp(name, "retention") == 0)
            retention =
                parse_range(field, &plans_r->retention_least, &plans_r->retention_most) == 0;
        else if (field != NULL && strcmp(name, "poll") == 0)
            poll = parse_range(field, &plans_r->poll_least, &plans_r->poll_most) == 0;
        else if (field != NULL && strcmp(name, "tokens") == 0)
            plans_r->tokens = strcmp(field, "yes") == 0;
    }
    plans_r->known = retention && poll;
    return plans_r->known ? AUTH_LINE_PLANS : AUTH_LINE_BAD;
}

static int parse_id(char **line, uint32_t *id_r)
{
    const char *field = next_field(line);

    return field != NULL ? parse_number(field, id_r) : -1;
}

enum auth_line authline_parse(char *line, struct auth_told *told_r)
{
    static const struct {
        const char *name;
        enum auth_line (*parse)(char *rest, struct auth_answer *answer_r);
    } answers[] = {{"OK", parse_ok}, {"FAIL", parse_fail}, {"CONT", parse_challenge}};

    *told_r = (struct auth_told){0};
    const char *name = next_field(&line);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strcmp(name, answers[i].name) == 0)
            return parse_id(&line, &told_r->id) == 0 ? answers[i].parse(line, &told_r->answer)
                                                     : AUTH_LINE_BAD;
    if (strcmp(name, "MECH") == 0)
        return parse_mechanism(line, &told_r->mechanism);
    if (strcmp(name, "PLANS") == 0)
        return parse_plans(line, &told_r->plans);
    return strcmp(name, "DONE") == 0 ? AUTH_LINE_DONE : AUTH_LINE_OTHER;
}

bool authline_is_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";

    size_t length = strspn(text, digits);
    size_t padding = strspn(text + length, "=");
    return text[length + padding] == '\0' && padding <= 2 && (length + padding) % 4 == 0;
}
