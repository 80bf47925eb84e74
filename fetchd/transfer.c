#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetchd/authorities.h"
#include "fetchd/destination.h"
#include "fetchd/transfer.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Seconds for the name, the connection and TLS: of another server of the Internet's. */
#define CONNECT_TIME 10

/* Octets of all that comes in header fields, trailers too: libcurl keeps them to the end. */
#define HEAD_MAX (64 * 1024)

struct transfer {
    struct multi *multi;
    const struct transfer_rules *rules;
    const struct transfer_events *events;
    void *context;
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char *answer;
    size_t length, most;
    size_t head;
    bool forbidden; /* it led to such an address, */
    bool tried;     /* to one that is allowed */
    bool encrypted;
    bool too_long;
    char error[CURL_ERROR_SIZE];
};

/* --- what is asked */

static bool is_printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return true;
}

/* Whether each line ends with LF and has something in it. */
static bool are_lines(const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        if (end == NULL || end == text || !is_printable(text, (size_t)(end - text)))
            return false;
        length -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    return true;
}

int transfer_parse(struct transfer_ask *ask_r, const void *payload, size_t length)
{
    struct fetch_ask *fixed = &ask_r->fixed;

    if (length < sizeof(*fixed))
        return -1;
    memcpy(fixed, payload, sizeof(*fixed));
    length -= sizeof(*fixed);
    if (fixed->method >= FETCH_METHOD__MAX || fixed->seconds == 0 ||
        fixed->seconds > FETCH_TIME_MAX || fixed->answer_max > FETCH_BODY_MAX ||
        fixed->url_length == 0 || fixed->url_length > FETCH_URL_MAX ||
        fixed->header_length > FETCH_HEADERS_MAX || fixed->body_length > FETCH_BODY_MAX ||
        (fixed->method == FETCH_GET && fixed->body_length > 0) ||
        length != (size_t)fixed->url_length + fixed->header_length + fixed->body_length)
        return -1;
    ask_r->url = (const char *)payload + sizeof(*fixed);
    ask_r->headers = ask_r->url + fixed->url_length;
    ask_r->body = ask_r->headers + fixed->header_length;
    return is_printable(ask_r->url, fixed->url_length) &&
                   are_lines(ask_r->headers, fixed->header_length)
               ? 0
               : -1;
}

/* --- what comes */

static size_t on_octets(char *octets, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const size_t length = size * count;

    if (length > transfer->most - transfer->length) {
        transfer->too_long = true;
        return 0;
    }
    memcpy(transfer->answer + transfer->length, octets, length);
    transfer->length += length;
    return length;
}

static size_t on_header(const char *line, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const size_t length = size * count;
    (void)line;

    transfer->head += length;
    transfer->too_long |= transfer->head > HEAD_MAX;
    return transfer->too_long ? 0 : length;
}

/* With the address that the connection is really made to, whatever the name has led to before. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = context;
    (void)purpose;

    if (!destination_is_allowed(transfer->rules->listed, &address->addr, transfer->encrypted)) {
        transfer->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    transfer->tried = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode on_tls(CURL *easy, void *tls, void *context)
{
    struct transfer *transfer = context;
    (void)easy;

    authorities_use(transfer->rules->authorities, tls);
    return CURLE_OK;
}

/* In words that a customer's admin can do something with. */
static const char *describe(const struct transfer *transfer, CURLcode code)
{
    if (transfer->too_long)
        return "its answer is too long";
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: return "the address is not one that can be fetched";
    case CURLE_COULDNT_RESOLVE_HOST: return "the host's name leads nowhere";
    case CURLE_COULDNT_CONNECT: return "nobody accepts connections there";
    case CURLE_OPERATION_TIMEDOUT: return "it did not answer in time";
    case CURLE_GOT_NOTHING: return "it closed the connection without an answer";
    default: return transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
    }
}

static const char forbidden[] =
    "it leads to an address that nothing is sent to: one of this machine, of a private or special "
    "network, or without TLS; the operator can allow it with fetch_networks";

void transfer_ended(CURL *easy, CURLcode code)
{
    struct transfer_outcome outcome = {.result = FETCH_FAILED};
    struct transfer *transfer;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    if (code == CURLE_OK) {
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        outcome.result = FETCH_DONE;
        outcome.status = (uint32_t)status;
        outcome.text = transfer->answer;
        outcome.length = transfer->length;
    } else {
        if (code == CURLE_COULDNT_CONNECT && transfer->forbidden && !transfer->tried)
            outcome.result = FETCH_FORBIDDEN;
        outcome.text = outcome.result == FETCH_FORBIDDEN ? forbidden : describe(transfer, code);
        outcome.length = strlen(outcome.text);
    }
    transfer->events->done(transfer->context, &outcome);
}

/* --- the whole */

static void set_headers(struct transfer *transfer, const char *lines, size_t length)
{
    char line[FETCH_HEADERS_MAX + 1];

    while (length > 0) {
        size_t size = (size_t)((const char *)memchr(lines, '\n', length) - lines);
        memcpy(line, lines, size);
        line[size] = '\0';
        transfer->headers = curl_slist_append(transfer->headers, line);
        lines += size + 1;
        length -= size + 1;
    }
    /* Else a body would wait for 100 Continue. */
    transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void set_body(CURL *easy, const struct transfer_ask *ask)
{
    if (ask->fixed.method != FETCH_POST)
        return;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)ask->fixed.body_length);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, ask->body);
}

static void set_rules(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DEFAULT_PROTOCOL, "none"); /* a URL names its scheme */
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* else it keeps ours for a day */
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Else libcurl has all wait for the thread that looks up a name whose servers are silent. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_request(struct transfer *transfer, const struct transfer_ask *ask)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "Bellhop");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)ask->fixed.seconds);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIME);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_octets);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    set_headers(transfer, ask->headers, ask->fixed.header_length);
    set_body(easy, ask);
}

struct transfer *transfer_new(struct multi *multi, const struct transfer_rules *rules,
                              const struct transfer_ask *ask, const struct transfer_events *events,
                              void *context)
{
    struct transfer *transfer = xcalloc(1, sizeof(*transfer));

    transfer->multi = multi;
    transfer->rules = rules;
    transfer->events = events;
    transfer->context = context;
    transfer->most = ask->fixed.answer_max;
    transfer->answer = xmalloc(transfer->most + 1);
    transfer->url = xcalloc(1, ask->fixed.url_length + 1);
    memcpy(transfer->url, ask->url, ask->fixed.url_length);
    transfer->encrypted = strncasecmp(transfer->url, "https://", strlen("https://")) == 0;
    transfer->easy = curl_easy_init();
    if (transfer->easy == NULL)
        log_fatal("out of memory");
    set_rules(transfer);
    set_request(transfer, ask);
    if (multi_add(multi, transfer->easy) < 0)
        log_fatal("libcurl takes no transfer");
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    multi_remove(transfer->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    free(transfer->url);
    free(transfer->answer);
    free(transfer);
}
