#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/problem.h"
#include "admin/request.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Members that are told of; a body of rubbish would come back many times as large. */
#define ERRORS_MAX 100

static const struct {
    unsigned status;
    const char *code;
    const char *title;
} problems[PROBLEM__MAX] = {
    [PROBLEM_MALFORMED] = {400, "malformed", "The request cannot be read"},
    [PROBLEM_QUERY] = {400, "query", "The query cannot be used"},
    [PROBLEM_NO_KEY] = {401, "no-key", "An API key is needed"},
    [PROBLEM_WRONG_KEY] = {401, "wrong-key", "There is no such API key"},
    [PROBLEM_EXPIRED_KEY] = {401, "expired-key", "The API key has expired"},
    [PROBLEM_NO_SESSION] = {401, "no-session", "There is no such session any more"},
    [PROBLEM_WRONG_LOGIN] = {401, "wrong-login", "Login or password is wrong"},
    [PROBLEM_CODE_NEEDED] = {401, "code-needed", "A code of the second factor is needed"},
    [PROBLEM_WRONG_CODE] = {401, "wrong-code", "The code is wrong"},
    [PROBLEM_NETWORK] = {403, "network", "The API key is not for this network"},
    [PROBLEM_SUSPENDED] = {403, "suspended", "Who asks is suspended"},
    [PROBLEM_ROLE] = {403, "role", "The role may not do this"},
    [PROBLEM_CSRF] = {403, "csrf", "The request does not come from a page of this service"},
    [PROBLEM_WRONG_PASSWORD] = {403, "wrong-password", "The password is wrong"},
    [PROBLEM_SESSION_ONLY] = {403, "session-only", "This is not for API keys"},
    [PROBLEM_NOT_FOUND] = {404, "not-found", "There is no such thing"},
    [PROBLEM_NO_PATH] = {404, "no-path", "There is nothing at this path"},
    [PROBLEM_METHOD] = {405, "method", "This path does not take that method"},
    [PROBLEM_NOT_ACCEPTABLE] = {406, "not-acceptable", "The answer has no such form"},
    [PROBLEM_EXISTS] = {409, "exists", "It is there already"},
    [PROBLEM_LIMIT] = {409, "limit", "A limit is reached"},
    [PROBLEM_IN_USE] = {409, "in-use", "It is in use"},
    [PROBLEM_REMOVED] = {409, "removed", "What it belongs to is removed"},
    [PROBLEM_NO_CODE] = {409, "no-second-factor", "There is no second factor"},
    [PROBLEM_SELF] = {409, "self", "Nobody does this to himself"},
    [PROBLEM_REMOVES] = {409, "removes", "Something would be removed"},
    [PROBLEM_NO_PAGES] = {409, "no-pages", "There are no pages to link to"},
    [PROBLEM_NOT_ENDED] = {409, "not-ended", "It has not ended yet"},
    [PROBLEM_ENDED] = {409, "ended", "It has ended"},
    [PROBLEM_GONE] = {410, "gone", "It is there no more"},
    [PROBLEM_CHANGED] = {412, "changed", "It was changed meanwhile"},
    [PROBLEM_TOO_LARGE] = {413, "too-large", "The body is too large"},
    [PROBLEM_TYPE] = {415, "media-type", "The body is of another type"},
    [PROBLEM_INVALID] = {422, "invalid", "Members of the body are wrong"},
    [PROBLEM_KEY_REUSED] = {422, "idempotency-key-reused",
                            "The idempotency key had another request"},
    [PROBLEM_RATE] = {429, "rate", "Too many requests"},
    [PROBLEM_FAILED] = {500, "failed", "The service failed"},
    [PROBLEM_NO_SUCH_METHOD] = {501, "no-such-method", "There is no such method"},
    [PROBLEM_BUSY] = {503, "busy", "The service is busy"},
};

const char *problem_code(enum problem problem)
{
    return problems[problem].code;
}

unsigned problem_status(enum problem problem)
{
    return problems[problem].status;
}

static __attribute__((format(printf, 1, 0))) char *detail_of(const char *format, va_list arguments)
{
    char *detail = NULL;

    if (vasprintf(&detail, format, arguments) < 0)
        log_panic("out of memory");
    return detail;
}

/* What quotes octets of the request that are no UTF-8 is left out. */
static json_t *text_of(const char *detail)
{
    json_t *text = json_string(detail);

    return text != NULL ? text : json_string("");
}

static void set(struct request *request, enum problem problem, char *detail)
{
    char type[64];

    snprintf(type, sizeof(type), "/problems/%s", problems[problem].code);
    json_t *body = json_pack("{ss ss si ss ss}", "type", type, "title", problems[problem].title,
                             "status", (int)problems[problem].status, "code",
                             problems[problem].code, "request", request->id);
    json_object_set_new(body, "detail", text_of(detail));
    if (request->errors != NULL)
        json_object_set(body, "errors", request->errors);
    if (problem == PROBLEM_LIMIT && request->limit != NULL)
        json_object_set(body, "limit", request->limit);
    free(detail);
    free(request->answer.location); /* what was not made is nowhere */
    request->answer.location = NULL;
    request_set(request, problems[problem].status, body);
    request->answer.type = "application/problem+json";
    request->answer.problem = true;
}

void problem_set(struct request *request, enum problem problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    set(request, problem, detail_of(format, arguments));
    va_end(arguments);
}

/* The first fault of a member is the one to mend first. */
static bool is_noted(const json_t *errors, const char *pointer)
{
    const json_t *error;
    size_t i;

    json_array_foreach(errors, i, error)
    {
        if (strcmp(json_string_value(json_object_get(error, "pointer")), pointer) == 0)
            return true;
    }
    return false;
}

void problem_member(struct request *request, const char *pointer, const char *code,
                    const char *format, ...)
{
    va_list arguments;

    if (request->errors == NULL)
        request->errors = json_array();
    if (json_array_size(request->errors) >= ERRORS_MAX || is_noted(request->errors, pointer))
        return;
    va_start(arguments, format);
    char *detail = detail_of(format, arguments);
    va_end(arguments);
    json_t *error = json_pack("{ss ss}", "pointer", pointer, "code", code);
    json_object_set_new(error, "detail", text_of(detail));
    json_array_append_new(request->errors, error);
    free(detail);
}

int problem_wrong(struct request *request)
{
    if (request->errors == NULL)
        return 0;
    set(request, PROBLEM_INVALID, xasprintf("%s", "see errors for each member that is wrong"));
    return -1;
}
