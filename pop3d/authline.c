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

static enum auth_line parse_ok(char *rest, struct auth_answer *answer_r)
{
    char *field;

    while ((field = next_field(&rest)) != NULL) {
        const char *value = value_of(field, "cap");
        if (value == NULL)
            continue;
        answer_r->outcome = AUTH_OK;
        return capability_parse(&answer_r->capability, value, strlen(value)) == 0 ? AUTH_LINE_ANSWER
                                                                                  : AUTH_LINE_BAD;
    }
    return AUTH_LINE_BAD;
}

static enum auth_line parse_fail(char *rest, struct auth_answer *answer_r)
{
    char *field;

    answer_r->outcome = AUTH_REFUSED;
    while ((field = next_field(&rest)) != NULL) {
        const char *code = value_of(field, "code");
        if (strcmp(field, "temp") == 0 || (code != NULL && strcmp(code, "temp_fail") == 0))
            answer_r->outcome = AUTH_UNAVAILABLE;
        else if (code != NULL && strcmp(code, "user_disabled") == 0)
            answer_r->outcome = AUTH_SUSPENDED;
    }
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
    while ((field = next_field(&rest)) != NULL)
        if (strcmp(field, "plaintext") == 0)
            mechanism_r->plaintext = true;
    return AUTH_LINE_MECHANISM;
}

static int parse_id(char **line, uint32_t *id_r)
{
    const char *field = next_field(line);
    uint64_t id;

    if (field == NULL || number_parse(&id, field) < 0 || id > UINT32_MAX)
        return -1;
    *id_r = (uint32_t)id;
    return 0;
}

enum auth_line authline_parse(char *line, uint32_t *id_r, struct auth_answer *answer_r,
                              struct auth_mechanism *mechanism_r)
{
    static const struct {
        const char *name;
        enum auth_line (*parse)(char *rest, struct auth_answer *answer_r);
    } answers[] = {{"OK", parse_ok}, {"FAIL", parse_fail}, {"CONT", parse_challenge}};

    const char *name = next_field(&line);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        if (strcmp(name, answers[i].name) == 0)
            return parse_id(&line, id_r) == 0 ? answers[i].parse(line, answer_r) : AUTH_LINE_BAD;
    if (strcmp(name, "MECH") == 0)
        return parse_mechanism(line, mechanism_r);
    return AUTH_LINE_OTHER;
}

bool authline_is_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789+/";

    size_t length = strspn(text, digits);
    size_t padding = strspn(text + length, "=");
    return text[length + padding] == '\0' && padding <= 2 && (length + padding) % 4 == 0;
}
