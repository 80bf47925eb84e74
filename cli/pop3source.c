#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>
#include <sodium.h>

#include "cli/command.h"
#include "cli/importer.h"
#include "cli/number.h"
#include "cli/pop3answer.h"
#include "cli/pop3source.h"
#include "lib/xalloc.h"

#define LIST_MAX   (64 * 1024 * 1024) /* octets of a list: half a million messages */
#define HEADER_MAX (16 * 1024)        /* in which the first Received field is looked for */
#define DIGEST     16

/* A server that is silent for so long is gone, in seconds. */
#define SILENCE      120
#define CONNECT_TIME 30

struct pop3 {
    struct source source; /* first: the source's functions find the other server by it */
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    const char *scheme;
    char host[256];
    /* A message whose unique-id is only known when it has been fetched. */
    FILE *spool;
    struct uniqueids *ids;
};

/* The answer that is coming in. */
struct answer {
    crypto_generichash_state digest; /* first, for its alignment */
    struct importer *importer;       /* of a message; or */
    FILE *spool;                     /* of one that is put aside; or */
    char *text;                      /* of a list */
    size_t length, room;
    uint64_t octets, most; /* it has come, and may have */
    char header[HEADER_MAX];
    size_t header_length;
    bool failed;
};

/* --- one command ------------------------------------------------------------------------------ */

static void gather(struct answer *answer, const char *octets, size_t length)
{
    if (answer->length + length + 1 > answer->room) {
        answer->room = 2 * (answer->length + length) + 4096;
        answer->text = xrealloc(answer->text, answer->room);
    }
    memcpy(answer->text + answer->length, octets, length);
    answer->length += length;
    answer->text[answer->length] = '\0';
}

/* A message that is refused meanwhile is read to its end, for the connection's sake. */
static size_t on_octets(char *octets, size_t one, size_t length, void *context)
{
    struct answer *answer = context;
    size_t head = HEADER_MAX - answer->header_length;

    (void)one;
    answer->octets += length;
    if (answer->octets > answer->most)
        return 0;
    memcpy(answer->header + answer->header_length, octets, length < head ? length : head);
    answer->header_length += length < head ? length : head;
    if (answer->spool != NULL) {
        crypto_generichash_update(&answer->digest, (const unsigned char *)octets, length);
        answer->failed |= fwrite(octets, 1, length, answer->spool) != length;
    } else if (answer->importer != NULL) {
        importer_write(answer->importer, octets, length);
    } else {
        gather(answer, octets, length);
    }
    return answer->failed ? 0 : length;
}

/* `number` 0: the command is about all messages. NULL as `command`: LIST or RETR. */
static CURLcode perform(struct pop3 *pop3, const char *command, uint64_t number,
                        struct answer *answer)
{
    char id[24] = "";

    if (number > 0)
        snprintf(id, sizeof(id), "%llu", (unsigned long long)number);
    char *url = xasprintf("%s://%s/%s", pop3->scheme, pop3->host, id);
    curl_easy_setopt(pop3->curl, CURLOPT_URL, url);
    curl_easy_setopt(pop3->curl, CURLOPT_CUSTOMREQUEST, command);
    curl_easy_setopt(pop3->curl, CURLOPT_WRITEDATA, answer);
    pop3->error[0] = '\0';
    CURLcode code = curl_easy_perform(pop3->curl);
    free(url);
    return code;
}

static const char *reason(const struct pop3 *pop3, CURLcode code)
{
    return pop3->error[0] != '\0' ? pop3->error : curl_easy_strerror(code);
}

/*
 * Whether the last command went over the connection on which the list was asked for: on another
 * one the same number may be another message.
 */
static bool is_same_session(const struct pop3 *pop3)
{
    long connections = 1;

    curl_easy_getinfo(pop3->curl, CURLINFO_NUM_CONNECTS, &connections);
    return connections == 0;
}

/*
 * Whether the session still goes on: libcurl takes the end of a connection for the end of an answer
 * too, and half a message must not pass for a whole one.
 */
static bool is_alive(struct pop3 *pop3)
{
    static struct answer nothing;

    curl_easy_setopt(pop3->curl, CURLOPT_NOBODY, 1L);
    CURLcode code = perform(pop3, "NOOP", 0, &nothing);
    curl_easy_setopt(pop3->curl, CURLOPT_NOBODY, 0L);
    return code == CURLE_OK && is_same_session(pop3);
}

/* --- a message -------------------------------------------------------------------------------- */

static enum source_result refuse_too_large(const struct pop3 *pop3,
                                           const struct source_message *message)
{
    refuse("the other server's message %" PRIu64 " has %" PRIu64 " octets, and the plan's largest "
           "message has %" PRIu64,
           message->place, message->size, pop3->source.octets_max);
    return SOURCE_REFUSED;
}

/* It would have to be read to its end, for the connection's sake. */
static enum source_result refuse_endless(const struct source_message *message)
{
    refuse("the other server's message %" PRIu64 " is longer than twice the plan's largest "
           "message, and LIST has said %" PRIu64 " octets; remove it there, and run the same "
           "command again",
           message->place, message->size);
    return SOURCE_ENDED;
}

/*
 * A message that is as long as LIST has said is whole; of another one, the next answer tells. What
 * is too large is only known when it is here, for servers that count LF lines say up to half.
 */
static enum source_result fetch(struct pop3 *pop3, const struct source_message *message,
                                struct answer *answer)
{
    answer->most = 2 * pop3->source.octets_max;
    if (message->size > answer->most)
        return refuse_too_large(pop3, message);
    CURLcode code = perform(pop3, NULL, message->place, answer);
    if (answer->failed) {
        refuse("cannot write a message to a temporary file: %s", strerror(errno));
        return SOURCE_ENDED;
    }
    if (answer->octets > answer->most)
        return refuse_endless(message);
    if (code == CURLE_OK && is_same_session(pop3) &&
        (answer->octets == message->size || is_alive(pop3)))
        return SOURCE_DONE;
    if (code == CURLE_OK)
        refuse("the other server has closed the connection; run the same command again, which "
               "goes on where this one was");
    else
        refuse("the other server did not give its message %" PRIu64 " (%s); run the same command "
               "again, which goes on where this one was",
               message->place, reason(pop3, code));
    return SOURCE_ENDED;
}

static uint64_t received(const struct answer *answer)
{
    int64_t date = pop3answer_received(answer->header, answer->header_length);

    return date > 0 && date <= time(NULL) ? (uint64_t)date * 1000000 : 0;
}

static enum source_result transfer(struct source *source, const struct source_message *message,
                                   struct importer *importer)
{
    static struct answer answer;

    memset(&answer, 0, sizeof(answer));
    answer.importer = importer;
    enum source_result result = fetch((struct pop3 *)source, message, &answer);
    importer_set_time(importer, received(&answer));
    return result;
}

/* --- a message whose unique-id is derived ----------------------------------------------------- */

static enum source_result identify(struct source *source, struct source_message *message)
{
    static struct answer answer;
    struct pop3 *pop3 = (struct pop3 *)source;
    unsigned char digest[DIGEST];
    char derived[2 * DIGEST + 1];

    rewind(pop3->spool);
    memset(&answer, 0, sizeof(answer));
    answer.spool = pop3->spool;
    crypto_generichash_init(&answer.digest, NULL, 0, sizeof(digest));
    enum source_result result = fetch(pop3, message, &answer);
    if (result != SOURCE_DONE)
        return result;
    message->size = (uint64_t)ftello(pop3->spool);
    message->time = received(&answer);
    crypto_generichash_final(&answer.digest, digest, sizeof(digest));
    sodium_bin2hex(derived, sizeof(derived), digest, sizeof(digest));
    uniqueids_add(pop3->ids, derived, strlen(derived), message->unique_id);
    return SOURCE_DONE;
}

static enum source_result transfer_spool(struct source *source,
                                         const struct source_message *message,
                                         struct importer *importer)
{
    static char piece[64 * 1024];
    struct pop3 *pop3 = (struct pop3 *)source;

    rewind(pop3->spool);
    for (uint64_t left = message->size; left > 0;) {
        size_t part = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        if (fread(piece, 1, part, pop3->spool) != part) {
            refuse("cannot read a temporary file");
            return SOURCE_ENDED;
        }
        if (!importer_write(importer, piece, part))
            return SOURCE_DONE;
        left -= part;
    }
    return SOURCE_DONE;
}

/* --- the list --------------------------------------------------------------------------------- */

static void add_unique_ids(struct pop3 *pop3, struct answer *answer)
{
    char *rest = answer->text, *line, *word;
    unsigned number;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        struct source_message message = {0};
        if (pop3answer_line(line, &number, &word) < 0)
            continue;
        message.place = number;
        if (!uniqueids_add(pop3->ids, word, strlen(word), message.unique_id))
            refuse("what the other server's message %u has as its unique-id %s; it gets %s", number,
                   uniqueid_is_valid(word, strlen(word)) ? "another message has as well"
                                                         : "is none",
                   message.unique_id);
        source_add(&pop3->source, &message);
    }
}

/* The messages as LIST has them, where there is no UIDL; else their sizes alone. */
static void add_sizes(struct pop3 *pop3, struct answer *answer, bool known)
{
    struct source *source = &pop3->source;
    char *rest = answer->text, *line, *word;
    unsigned number;
    uint64_t size;
    size_t at = 0;

    while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        if (pop3answer_line(line, &number, &word) < 0 ||
            number_parse(word, 0, INT64_MAX, &size) < 0)
            continue;
        if (!known) {
            source_add(source, &(struct source_message){.place = number, .size = size});
            continue;
        }
        while (at < source->count && source->messages[at].place < number)
            at++;
        if (at < source->count && source->messages[at].place == number) {
            source->messages[at].size = size;
            source->size += size;
        }
    }
}

/* What to try where the port and the options for its protection may not fit. */
static const char *hint(const struct pop3 *pop3, const struct pop3source_options *options,
                        CURLcode code)
{
    if (code == CURLE_SSL_CONNECT_ERROR && strcmp(pop3->scheme, "pop3s") == 0)
        return "; if this port does not begin with TLS, try --stls";
    if ((code == CURLE_OPERATION_TIMEDOUT || code == CURLE_RECV_ERROR ||
         code == CURLE_WEIRD_SERVER_REPLY) &&
        options->protection != POP3_TLS)
        return "; if this port begins with TLS, try without --stls and --cleartext";
    return "";
}

static int refuse_list(const struct pop3 *pop3, const struct pop3source_options *options,
                       CURLcode code)
{
    switch (code) {
    case CURLE_LOGIN_DENIED:
        return refuse("%s does not let %s in: the user name or the password is wrong", pop3->host,
                      options->user);
    case CURLE_PEER_FAILED_VERIFICATION:
        return refuse("the certificate of %s is not to be trusted (%s); name its authority's file "
                      "with --ca",
                      pop3->host, reason(pop3, code));
    case CURLE_USE_SSL_FAILED:
        return refuse("%s offers no TLS on this port; --cleartext goes on without, and shows the "
                      "password and the mail to the network",
                      pop3->host);
    case CURLE_WRITE_ERROR:
        return refuse("%s lists more mail than can be: over %d octets", pop3->host, LIST_MAX);
    default:
        return refuse("cannot list the mail on %s: %s%s", pop3->host, reason(pop3, code),
                      hint(pop3, options, code));
    }
}

/* How many messages a list has. */
static size_t count_lines(const struct answer *answer)
{
    size_t count = 0;

    for (size_t i = 0; i < answer->length; i++)
        count += answer->text[i] == '\n';
    return count;
}

/* The messages themselves will tell which is which. */
static int do_without_unique_ids(struct pop3 *pop3)
{
    printf("the other server has no unique-ids; they are derived from the messages\n");
    pop3->source.identify = identify;
    pop3->source.transfer = transfer_spool;
    pop3->spool = tmpfile();
    if (pop3->spool == NULL)
        return refuse("cannot make a temporary file: %s", strerror(errno));
    return EXIT_DONE;
}

static int take_lists(struct pop3 *pop3, struct answer *sizes, struct answer *ids)
{
    size_t before = pop3->source.count;

    add_unique_ids(pop3, ids);
    if (pop3->source.count - before == count_lines(sizes)) {
        add_sizes(pop3, sizes, true);
        return EXIT_DONE;
    }
    /* It has none, or leaves out some. */
    pop3->source.count = before;
    uniqueids_free(pop3->ids);
    pop3->ids = uniqueids_new();
    add_sizes(pop3, sizes, false);
    return do_without_unique_ids(pop3);
}

/* UIDL first, for a server that does not know it may end the session, and numbers are of one. */
static int list_messages(struct pop3 *pop3, const struct pop3source_options *options)
{
    struct answer *lists = xcalloc(2, sizeof(*lists));
    struct answer *ids = &lists[0], *sizes = &lists[1];
    int done;

    ids->most = sizes->most = LIST_MAX;
    CURLcode code = perform(pop3, "UIDL", 0, ids);
    bool refused = code != CURLE_OK;
    if (code == CURLE_OK || code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_RECV_ERROR ||
        code == CURLE_QUOTE_ERROR)
        code = perform(pop3, NULL, 0, sizes);
    if (code != CURLE_OK)
        done = refuse_list(pop3, options, code);
    else if ((!refused && !is_same_session(pop3)) || !is_alive(pop3))
        done = refuse("%s closes the connection before it has listed the mail", pop3->host);
    else
        done = take_lists(pop3, sizes, ids);
    free(ids->text);
    free(sizes->text);
    free(lists);
    return done;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void pop3_free(struct source *source)
{
    struct pop3 *pop3 = (struct pop3 *)source;

    /* Says QUIT; nothing was marked as deleted. */
    curl_easy_cleanup(pop3->curl);
    uniqueids_free(pop3->ids);
    if (pop3->spool != NULL)
        (void)fclose(pop3->spool);
    free(pop3);
}

static int set_options(struct pop3 *pop3, const struct pop3source_options *options,
                       const struct password *password)
{
    unsigned port;

    if (pop3answer_host(options->host, pop3->host, &port) < 0)
        return refuse("\"%s\" is no host; write HOST or HOST:PORT", options->host);
    bool tls = options->protection == POP3_TLS && port != 110;
    pop3->scheme = tls ? "pop3s" : "pop3";
    curl_easy_setopt(pop3->curl, CURLOPT_PROTOCOLS_STR, "pop3,pop3s");
    curl_easy_setopt(pop3->curl, CURLOPT_PORT, (long)port);
    curl_easy_setopt(pop3->curl, CURLOPT_USE_SSL,
                     options->protection == POP3_CLEARTEXT ? (long)CURLUSESSL_NONE
                                                           : (long)CURLUSESSL_ALL);
    if (options->authority != NULL) {
        curl_easy_setopt(pop3->curl, CURLOPT_CAINFO, options->authority);
        curl_easy_setopt(pop3->curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(pop3->curl, CURLOPT_USERNAME, options->user);
    curl_easy_setopt(pop3->curl, CURLOPT_PASSWORD, password->text);
    curl_easy_setopt(pop3->curl, CURLOPT_WRITEFUNCTION, on_octets);
    curl_easy_setopt(pop3->curl, CURLOPT_ERRORBUFFER, pop3->error);
    curl_easy_setopt(pop3->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(pop3->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIME);
    curl_easy_setopt(pop3->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(pop3->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE);
    return EXIT_DONE;
}

struct source *pop3source_open(const struct pop3source_options *options,
                               const struct password *password)
{
    struct pop3 *pop3 = xcalloc(1, sizeof(*pop3));

    pop3->source.transfer = transfer;
    pop3->source.free = pop3_free;
    pop3->ids = uniqueids_new();
    pop3->curl = curl_easy_init();
    if (pop3->curl == NULL)
        refuse("libcurl does not work on this machine");
    else if (set_options(pop3, options, password) == EXIT_DONE &&
             list_messages(pop3, options) == EXIT_DONE)
        return &pop3->source;
    source_free(&pop3->source);
    return NULL;
}
