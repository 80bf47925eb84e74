#ifndef ADMIN_PROBLEM_H
#define ADMIN_PROBLEM_H

struct request;

/*
 * What a request is refused with: problem details (RFC 9457). The code is stable, and so is the
 * type, which is "/problems/CODE"; the detail is a sentence for people and may change.
 */
enum problem {
    PROBLEM_MALFORMED, /* 400 */
    PROBLEM_QUERY,
    PROBLEM_NO_KEY, /* 401 */
    PROBLEM_WRONG_KEY,
    PROBLEM_EXPIRED_KEY,
    PROBLEM_NO_SESSION,
    PROBLEM_WRONG_LOGIN,
    PROBLEM_CODE_NEEDED,
    PROBLEM_WRONG_CODE,
    PROBLEM_NETWORK, /* 403 */
    PROBLEM_SUSPENDED,
    PROBLEM_ROLE,
    PROBLEM_CSRF,
    PROBLEM_WRONG_PASSWORD,
    PROBLEM_SESSION_ONLY,
    PROBLEM_NOT_FOUND, /* 404 */
    PROBLEM_NO_PATH,
    PROBLEM_METHOD,         /* 405 */
    PROBLEM_NOT_ACCEPTABLE, /* 406 */
    PROBLEM_EXISTS,         /* 409 */
    PROBLEM_LIMIT,
    PROBLEM_IN_USE,
    PROBLEM_REMOVED,
    PROBLEM_NO_CODE,
    PROBLEM_SELF,
    PROBLEM_REMOVES,
    PROBLEM_NO_PAGES,
    PROBLEM_NOT_ENDED,
    PROBLEM_ENDED,
    PROBLEM_GONE,      /* 410 */
    PROBLEM_CHANGED,   /* 412 */
    PROBLEM_TOO_LARGE, /* 413 */
    PROBLEM_TYPE,      /* 415 */
    PROBLEM_INVALID,   /* 422 */
    PROBLEM_KEY_REUSED,
    PROBLEM_RATE,           /* 429 */
    PROBLEM_FAILED,         /* 500 */
    PROBLEM_NO_SUCH_METHOD, /* 501 */
    PROBLEM_BUSY,           /* 503 */
    PROBLEM__MAX
};

/* Answers with this. `format` is the detail; never pass a secret. */
void problem_set(struct request *request, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Notes what is wrong with one member of the body, by its JSON pointer (RFC 6901), for a code such
 * as "too-long"; only the first of a member counts. All that are noted become one PROBLEM_INVALID
 * with problem_wrong().
 */
void problem_member(struct request *request, const char *pointer, const char *code,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Whether members were noted; the request is then answered with them. */
int problem_wrong(struct request *request);

const char *problem_code(enum problem problem);
unsigned problem_status(enum problem problem);

#endif
