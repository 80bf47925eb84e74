#include "cli/remote.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>
#include <sodium.h>

#include "cli/command.h"
#include "cli/file.h"
#include "lib/apikey.h"
#include "lib/log.h"
#include "lib/xalloc.h"

#define API "/api/v1"

/* Seconds. The server's own limits for one request are below the second. */
#define CONNECT_TIME 10
#define ANSWER_TIME  20

/* How often something is tried, and for how long it waits in between: seconds at most. */
#define TRIES      4
#define WAIT_LEAST 1
#define WAIT_MOST  5

/* The largest answer: the server's pages are below 1 MiB, and a job's result is 100,000 lines. */
#define ANSWER_MAX (64U << 20)

/* Of what a request is named by: 128 random bits in hexadecimal digits. */
#define NAME_OCTETS 16
#define NAME_SIZE   (2 * NAME_OCTETS + 1)

struct remote {
    CURL *curl;
    char *base;           /* of the URL, without a slash at its end */
    const char *key_file; /* its name, for messages */
    char key[APIKEY_TEXT_SIZE];
    struct db_limit limit;
    bool within; /* of a transaction */
    const char *method;
    char *path; /* NULL: nothing has been asked in it yet */
    json_t *body;
};

/* One request and its answer. */
struct exchange {
    CURL *curl;
    const char *method;
    const char *path;
    const char *body; /* NULL: none */
    size_t body_length;
    const char *type;     /* of the body; NULL: JSON */
    char name[NAME_SIZE]; /* for Idempotency-Key; empty: none */
    bool lost;            /* a connection was, so it may have been made already */
    FILE *file;           /* that a good answer is copied to; NULL: it is JSON, and kept */
    bool whole;           /* it is copied when all of it is there */
    char *text;
    size_t length;
    long status;
    char error[CURL_ERROR_SIZE];
};

/* --- the URL and the key */

static bool is_loopback(const char *host)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

/* NULL: it is good. The parts are freed by the caller. */
static const char *check_parts(const char *scheme, const char *host, bool more)
{
    if (more)
        return "it has more than a scheme, a host, a port and a path";
    if (strcmp(scheme, "https") == 0)
        return NULL;
    if (strcmp(scheme, "http") != 0)
        return "it must begin with https://";
    return is_loopback(host) ? NULL
                             : "without TLS the key could be read on its way; only this machine "
                               "itself, as http://127.0.0.1, is asked so";
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

    curl_free(text);
    return has;
}

static int check_url(const char *text)
{
    char *scheme = NULL;
    char *host = NULL;
    CURLU *url = curl_url();
    const char *error = "it is no URL like https://mail.example.net";

    if (url == NULL)
        log_panic("out of memory");
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        error =
            check_parts(scheme, host,
                        has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD) ||
                            has_part(url, CURLUPART_QUERY) || has_part(url, CURLUPART_FRAGMENT));
    /* A password in it is not shown again. */
    if (error != NULL)
        refuse("the URL of the server cannot be used: %s", error);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(url);
    return error == NULL ? EXIT_DONE : EXIT_REFUSED;
}

static int take_key(struct remote *remote, const char *text, size_t length)
{
    static const uint8_t no_secret[APIKEY_KEY_SIZE];
    uint8_t digest[APIKEY_DIGEST_SIZE];

    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        length--;
    if (length >= sizeof(remote->key) || apikey_digest(digest, no_secret, text, length) < 0)
        return refuse("%s holds no API key: it is one line that begins with \"bh_\", as \"bellhop "
                      "api-key add\" has shown it once",
                      remote->key_file);
    memcpy(remote->key, text, length);
    return EXIT_DONE;
}

static int read_open_key(struct remote *remote, int fd)
{
    struct stat status;
    char *text;

    if (fstat(fd, &status) < 0)
        return refuse("cannot read the key file %s: %s", remote->key_file, strerror(errno));
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return refuse("others than you may use the key file %s; take that away with \"chmod 600\", "
                      "and if somebody may have read it, draw another key",
                      remote->key_file);
    ssize_t length = file_read(fd, 2 * (size_t)APIKEY_TEXT_SIZE, &text);
    if (length < 0 && errno != EFBIG)
        return refuse("cannot read the key file %s: %s", remote->key_file, strerror(errno));
    if (length < 0)
        return take_key(remote, "", 0);
    int done = take_key(remote, text, (size_t)length);
    sodium_memzero(text, (size_t)length);
    free(text);
    return done;
}

static int read_key(struct remote *remote)
{
    int fd = open(remote->key_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return refuse("cannot read the key file %s: %s", remote->key_file, strerror(errno));
    int done = read_open_key(remote, fd);
    close(fd);
    return done;
}

/* --- one request */

static bool is_good(long status)
{
    return status >= 200 && status < 300;
}

static size_t on_octets(char *octets, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    size_t length = size * count;

    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
    if (exchange->file != NULL && !exchange->whole && is_good(exchange->status))
        return fwrite(octets, 1, length, exchange->file);

    if (length > ANSWER_MAX - exchange->length)
        return CURL_WRITEFUNC_ERROR;
    exchange->text = xrealloc(exchange->text, exchange->length + length + 1);
    memcpy(exchange->text + exchange->length, octets, length);
    exchange->length += length;
    return length;
}

static void forget_answer(struct exchange *exchange)
{
    if (exchange->text != NULL)
        sodium_memzero(exchange->text, exchange->length);
    free(exchange->text);
    exchange->text = NULL;
    exchange->length = 0;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);

    if (longer == NULL)
        log_panic("out of memory");
    free(line);
    return longer;
}

static struct curl_slist *make_headers(const struct exchange *exchange)
{
    const char *accept = exchange->file != NULL ? "*/*" : "application/json";
    struct curl_slist *headers = add_header(NULL, "Accept", accept);

    if (exchange->body != NULL)
        headers = add_header(headers, "Content-Type",
                             exchange->type != NULL ? exchange->type : "application/json");
    if (exchange->name[0] != '\0')
        headers = add_header(headers, "Idempotency-Key", exchange->name);
    return headers;
}

static void set_options(CURL *curl, const struct remote *remote)
{
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIME);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
    curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, remote->key);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_octets);
    if (strncmp(remote->base, "http:", 5) == 0)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
}

static CURLcode attempt(struct remote *remote, struct exchange *exchange)
{
    CURL *curl = remote->curl;
    char *url = xasprintf("%s%s", remote->base, exchange->path);
    struct curl_slist *headers = make_headers(exchange);
    bool is_long = exchange->file != NULL || exchange->type != NULL;

    forget_answer(exchange);
    exchange->error[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->error);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* and no body of before */
    if (exchange->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, exchange->method);
    /* A copy and an upload take as long as they take, while something moves. */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, is_long ? 0L : (long)ANSWER_TIME);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, is_long ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, is_long ? (long)ANSWER_TIME : 0L);
    /* On an old connection libcurl would send it twice by itself, and 404 tell of the second. */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT,
                     strcmp(exchange->method, "DELETE") == 0 ? 1L : 0L);
    CURLcode code = curl_easy_perform(curl);
    exchange->status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange->status);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    free(url);
    return code;
}

static bool is_lost(CURLcode code)
{
    return code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING ||
           code == CURLE_PARTIAL_FILE;
}

/* A server that is started again closes connections, and refuses some for a moment. */
static bool may_try_again(struct exchange *exchange, CURLcode code)
{
    if (is_lost(code))
        exchange->lost = true;
    if (exchange->file != NULL && !exchange->whole)
        return false;
    if (code == CURLE_COULDNT_CONNECT)
        return exchange->lost;
    return is_lost(code) ||
           (code == CURLE_OK && (exchange->status == 429 || exchange->status == 503));
}

static void wait_a_while(CURL *curl)
{
    curl_off_t seconds = 0;

    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
    seconds = seconds < WAIT_LEAST ? WAIT_LEAST : seconds > WAIT_MOST ? WAIT_MOST : seconds;
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
}

static CURLcode perform(struct remote *remote, struct exchange *exchange)
{
    exchange->curl = remote->curl;
    CURLcode code = attempt(remote, exchange);
    for (int tries = 1; may_try_again(exchange, code) && tries < TRIES; tries++) {
        wait_a_while(remote->curl);
        code = attempt(remote, exchange);
    }
    return code;
}

/* --- what the answer means */

static enum db_result say_unwritten(void)
{
    refuse("the answer of the server cannot be written");
    return DB_BROKEN;
}

static enum db_result say_failure(const struct remote *remote, const struct exchange *exchange,
                                  CURLcode code)
{
    const char *reason = exchange->error[0] != '\0' ? exchange->error : curl_easy_strerror(code);
    bool change = strcmp(exchange->method, "GET") != 0;

    if (code == CURLE_PEER_FAILED_VERIFICATION)
        refuse("the server %s cannot prove who it is: %s; name the authority of its certificate "
               "with --ca FILE",
               remote->base, reason);
    else if (code == CURLE_SSL_CACERT_BADFILE)
        refuse("the file that --ca names holds no certificates that can be read: %s", reason);
    else if (code == CURLE_WRITE_ERROR && exchange->file != NULL)
        say_unwritten();
    else if (code == CURLE_WRITE_ERROR)
        refuse("the server %s answers with more than it should", remote->base);
    else if (code != CURLE_OPERATION_TIMEDOUT && !exchange->lost)
        refuse("the server %s cannot be reached: %s", remote->base, reason);
    else
        refuse("the server %s does not answer: %s%s", remote->base, reason,
               change ? "; whether the change was made is not known, so look before you make it "
                        "again"
                      : "");
    return DB_BROKEN;
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL)
        if (strcmp(text, *words++) == 0)
            return true;
    return false;
}

/* Whether all that is wrong is that the body names what there is not. */
static bool is_missing(const json_t *errors)
{
    static const char *const codes[] = {"no-plan",    "no-customer", "no-domain", "no-mailbox",
                                        "no-address", "none",        "nobody",    NULL};
    const json_t *error;
    size_t i;

    json_array_foreach(errors, i, error)
    {
        if (!is_one_of(member(error, "code"), codes))
            return false;
    }
    return json_array_size(errors) > 0;
}

/* The rules for passwords and hashes are told as they are here; of the rest, which member it is. */
static enum db_result say_errors(const json_t *errors, const char *detail)
{
    static const char *const whole[] = {"password", "hash", NULL};
    const json_t *error = json_array_get(errors, 0);
    size_t i;

    if (json_array_size(errors) == 1 && is_one_of(member(error, "code"), whole)) {
        refuse("%s", member(error, "detail"));
        return DB_BROKEN;
    }
    refuse("the server does not take it%s%s", json_array_size(errors) > 0 ? "" : ": ",
           json_array_size(errors) > 0 ? "" : detail);
    json_array_foreach(errors, i, error)
    {
        const char *pointer = member(error, "pointer");
        refuse("%s: %s", pointer[0] == '/' ? pointer + 1 : pointer, member(error, "detail"));
    }
    return DB_BROKEN;
}

static enum db_result take_limit(struct remote *remote, const json_t *problem)
{
    const json_t *told = json_object_get(problem, "limit");
    struct db_limit *limit = &remote->limit;

    *limit = (struct db_limit){0};
    if (db_limit_kind_parse(member(told, "kind"), &limit->kind) < 0) {
        refuse("the server does not allow it: %s", member(problem, "detail"));
        return DB_BROKEN;
    }
    limit->allowed = (unsigned)json_integer_value(json_object_get(told, "allowed"));
    limit->used = (unsigned)json_integer_value(json_object_get(told, "used"));
    snprintf(limit->plan, sizeof(limit->plan), "%s", member(told, "plan"));
    snprintf(limit->customer, sizeof(limit->customer), "%s", member(told, "customer"));
    return DB_LIMIT;
}

static enum db_result judge_problem(struct remote *remote, const struct exchange *exchange,
                                    const json_t *problem)
{
    static const char *const keys[] = {"no-key",    "wrong-key", "expired-key", "network",
                                       "suspended", "role",      NULL};
    static const char *const none[] = {"not-found", "removed", NULL};
    static const char *const other_version[] = {"no-path", "method", "query", "no-such-method",
                                                NULL};
    static const char *const as_here[] = {"no-pages", "gone", "ended", "not-ended", NULL};
    const char *code = member(problem, "code");
    const char *detail = member(problem, "detail");
    const json_t *errors = json_object_get(problem, "errors");

    if (is_one_of(code, none))
        return DB_NONE;
    if (strcmp(code, "exists") == 0)
        return DB_TAKEN;
    if (strcmp(code, "limit") == 0)
        return take_limit(remote, problem);
    if (strcmp(code, "invalid") == 0)
        return is_missing(errors) ? DB_NONE : say_errors(errors, detail);
    if (is_one_of(code, as_here))
        refuse("%s", detail);
    else if (is_one_of(code, keys))
        refuse("the server does not let the key in %s do this: %s", remote->key_file, detail);
    else if (is_one_of(code, other_version))
        refuse("the server does not know %s %s as this program means it (%s); one of the two is "
               "older: take the bellhop of the server's version",
               exchange->method, exchange->path, detail);
    else
        refuse("the server says no: %s", detail);
    return DB_BROKEN;
}

static enum db_result judge(struct remote *remote, const struct exchange *exchange,
                            const json_t *answer)
{
    if (is_good(exchange->status) && exchange->whole)
        return fwrite(exchange->text, 1, exchange->length, exchange->file) == exchange->length
                   ? DB_OK
                   : say_unwritten();
    if (is_good(exchange->status))
        return exchange->length == 0 || answer != NULL ? DB_OK : remote_strange(remote);
    if (exchange->lost && exchange->status == 404 && strcmp(exchange->method, "DELETE") == 0)
        return DB_OK; /* the first time */
    if (member(answer, "code")[0] != '\0')
        return judge_problem(remote, exchange, answer);
    refuse("what answers at %s is no Bellhop: HTTP status %ld", remote->base, exchange->status);
    return DB_BROKEN;
}

static enum db_result exchange_and_judge(struct remote *remote, struct exchange *exchange,
                                         json_t **answer_r)
{
    CURLcode code = perform(remote, exchange);
    json_t *answer = NULL;

    if (code != CURLE_OK) {
        forget_answer(exchange);
        return say_failure(remote, exchange, code);
    }
    if (exchange->length > 0 && !(exchange->whole && is_good(exchange->status)))
        answer = json_loadb(exchange->text, exchange->length, JSON_REJECT_DUPLICATES, NULL);
    enum db_result result = judge(remote, exchange, answer);
    forget_answer(exchange);
    if (answer_r != NULL && result == DB_OK)
        *answer_r = answer;
    else
        json_decref(answer);
    return result;
}

/* --- the life of it */

struct remote *remote_open(const struct remote_options *options)
{
    struct remote *remote;

    if (options->key_file == NULL) {
        refuse("name the file that holds the API key with --key FILE");
        return NULL;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        log_panic("libcurl does not start");
    if (check_url(options->url) != EXIT_DONE)
        return NULL;
    remote = xcalloc(1, sizeof(*remote));
    remote->key_file = options->key_file;
    remote->base = xstrdup(options->url);
    for (size_t length = strlen(remote->base); length > 0 && remote->base[length - 1] == '/';)
        remote->base[--length] = '\0';
    if (read_key(remote) != EXIT_DONE) {
        remote_close(remote);
        return NULL;
    }
    remote->curl = curl_easy_init();
    if (remote->curl == NULL)
        log_panic("libcurl does not start");
    set_options(remote->curl, remote);
    if (options->authority != NULL)
        curl_easy_setopt(remote->curl, CURLOPT_CAINFO, options->authority);
    return remote;
}

void remote_close(struct remote *remote)
{
    if (remote == NULL)
        return;
    remote_rollback(remote);
    if (remote->curl != NULL)
        curl_easy_cleanup(remote->curl);
    sodium_memzero(remote->key, sizeof(remote->key));
    free(remote->base);
    free(remote);
}

/* --- paths */

char *remote_path(const char *before, const char *name, const char *after)
{
    char *encoded = curl_easy_escape(NULL, name, 0);

    if (encoded == NULL)
        log_panic("out of memory");
    char *path = xasprintf(API "%s%s%s", before, encoded, after);
    curl_free(encoded);
    return path;
}

char *remote_path_id(const char *before, uint64_t id, const char *after)
{
    return xasprintf(API "%s%" PRIu64 "%s", before, id, after);
}

char *remote_path_add(char *path, const char *name)
{
    char *encoded = curl_easy_escape(NULL, name, 0);

    if (encoded == NULL)
        log_panic("out of memory");
    char *longer = xasprintf("%s%s", path, encoded);
    curl_free(encoded);
    free(path);
    return longer;
}

/* --- requests */

enum db_result remote_get(struct remote *remote, char *path, json_t **answer_r)
{
    struct exchange exchange = {.method = "GET", .path = path};
    enum db_result result = exchange_and_judge(remote, &exchange, answer_r);

    if (result == DB_OK && *answer_r == NULL)
        result = remote_strange(remote);
    free(path);
    return result;
}

/* Names a POST, so that it is made once however often it is sent. */
static void draw_name(struct exchange *exchange)
{
    uint8_t drawn[NAME_OCTETS];

    randombytes_buf(drawn, sizeof(drawn));
    sodium_bin2hex(exchange->name, sizeof(exchange->name), drawn, sizeof(drawn));
}

/* With a body of JSON, or NULL. */
static enum db_result send_json(struct remote *remote, struct exchange *exchange,
                                const json_t *body, json_t **answer_r)
{
    char *text = NULL;

    if (body != NULL && (text = json_dumps(body, JSON_COMPACT)) == NULL)
        log_panic("out of memory, or no JSON");
    exchange->body = text;
    exchange->body_length = text != NULL ? strlen(text) : 0;
    enum db_result result = exchange_and_judge(remote, exchange, answer_r);
    if (text != NULL)
        sodium_memzero(text, exchange->body_length);
    free(text);
    return result;
}

static enum db_result send_change(struct remote *remote, const char *method, const char *path,
                                  const json_t *body, json_t **answer_r)
{
    struct exchange exchange = {.method = method, .path = path};

    if (strcmp(method, "POST") == 0)
        draw_name(&exchange);
    return send_json(remote, &exchange, body, answer_r);
}

enum db_result remote_upload(struct remote *remote, char *path, const char *type,
                             const char *octets, size_t length, json_t **answer_r)
{
    struct exchange exchange = {
        .method = "POST", .path = path, .type = type, .body = octets, .body_length = length};

    draw_name(&exchange);
    enum db_result result = exchange_and_judge(remote, &exchange, answer_r);
    free(path);
    return result;
}

enum db_result remote_copy(struct remote *remote, const char *method, char *path, json_t *body,
                           FILE *file)
{
    struct exchange exchange = {.method = method, .path = path, .file = file};
    enum db_result result = send_json(remote, &exchange, body, NULL);

    json_decref(body);
    free(path);
    return result;
}

enum db_result remote_take(struct remote *remote, char *path, FILE *file)
{
    struct exchange exchange = {.method = "POST", .path = path, .file = file, .whole = true};
    json_t *body = json_object();

    draw_name(&exchange);
    enum db_result result = send_json(remote, &exchange, body, NULL);
    json_decref(body);
    free(path);
    return result;
}

/* Into the transaction. */
static void keep(struct remote *remote, const char *method, char *path, json_t *body)
{
    if (remote->path == NULL) {
        remote->method = method;
        remote->path = path;
        remote->body = body;
        return;
    }
    json_object_update_new(remote->body, body);
    free(path);
}

enum db_result remote_change(struct remote *remote, const char *method, char *path, json_t *body,
                             json_t **answer_r)
{
    if (answer_r != NULL)
        *answer_r = NULL;
    if (remote->within) {
        keep(remote, method, path, body);
        return DB_OK;
    }
    enum db_result result = send_change(remote, method, path, body, answer_r);
    json_decref(body);
    free(path);
    return result;
}

void remote_begin(struct remote *remote)
{
    remote->within = true;
}

enum db_result remote_commit(struct remote *remote)
{
    enum db_result result = DB_OK;

    if (remote->path != NULL)
        result = send_change(remote, remote->method, remote->path, remote->body, NULL);
    remote_rollback(remote);
    return result;
}

void remote_rollback(struct remote *remote)
{
    json_decref(remote->body);
    free(remote->path);
    remote->body = NULL;
    remote->path = NULL;
    remote->within = false;
}

const struct db_limit *remote_limit(const struct remote *remote)
{
    return &remote->limit;
}

void remote_note_limit(struct remote *remote, const struct db_limit *limit)
{
    remote->limit = *limit;
}

enum db_result remote_strange(const struct remote *remote)
{
    refuse(
        "the server %s answers in a way that this program does not know; one of the two is older: "
        "take the bellhop of the server's version",
        remote->base);
    return DB_BROKEN;
}
