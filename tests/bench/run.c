#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/mode.h"
#include "tests/bench/run.h"

/* How long the server may take for what was begun before the time was up. */
#define GRACE_SECONDS 30

#define FIRST_SOURCE UINT32_C(0x7f000101) /* 127.0.1.1 */

static uint64_t own_cpu(void)
{
    struct timespec used;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * RUN_SECOND + (uint64_t)used.tv_nsec;
}

bool run_left(const struct run *run)
{
    return !run->over && run->begun < run->limit;
}

bool run_next_account(struct client *client)
{
    struct run *run = client->run;

    if (!run_left(run) || run->visited == run->account_count)
        return false;
    client->account = &run->accounts[run->visited++];
    return true;
}

bool run_take(struct run *run)
{
    if (!run_left(run))
        return false;
    if (run->begun++ == 0) {
        run->first = latency_now();
        run->own_cpu = own_cpu();
        if (run->options->serve != 0)
            tree_measure(run->options->serve, &run->use);
    }
    return true;
}

void run_done(struct run *run, uint64_t started)
{
    run->last = latency_now();
    run->done++;
    latency_add(&run->latency, run->last - started);
}

/* One address has 28,000 ports, and each that was closed here is one of them for a minute. */
static in_addr_t source_of(const struct client *client)
{
    unsigned sources = client->run->options->sources;

    return sources == 0 ? 0 : htonl(FIRST_SOURCE + client->number % sources);
}

void client_open(struct client *client)
{
    struct run *run = client->run;
    const struct route route = {.server = (const struct sockaddr *)&run->options->server,
                                .length = run->options->server_length,
                                .source = source_of(client),
                                .room = run->mode->room};

    connection_close(&client->connection);
    if (run->mode->begin != NULL && !run->mode->begin(client)) {
        run->active--;
        return;
    }
    connection_open(&client->connection, run->loop, &route, client);
    if (run->mode->opened != NULL)
        run->mode->opened(client);
}

void client_finish(struct client *client)
{
    connection_close(&client->connection);
    client->run->active--;
}

static void open_more(struct run *run)
{
    unsigned opening = run->mode->opening;

    while (run->opened < run->client_count && (opening == 0 || run->opened - run->ready < opening))
        client_open(run->clients[run->opened++]);
}

void client_ready(struct client *client)
{
    client->run->ready++;
}

void client_send(struct client *client, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(text))
        log_fatal("a command is too long");
    connection_send(&client->connection, text, (size_t)length);
}

void client_wrong(const struct client *client, const char *expected, const char *data,
                  size_t length)
{
    if (length > 200)
        length = 200;
    log_fatal("connection %u (%s): expected %s, not \"%.*s\"", client->number,
              client->account->address, expected, (int)length, data);
}

static size_t on_input(void *context, const char *data, size_t length)
{
    struct client *client = context;

    return client->run->mode->input(client, data, length);
}

static void on_shaken(void *context)
{
    struct client *client = context;

    if (client->run->mode->shaken != NULL)
        client->run->mode->shaken(client);
}

static void on_closed(void *context)
{
    struct client *client = context;

    if (client->run->mode->closed == NULL)
        client_wrong(client, "a reply", "(closed)", strlen("(closed)"));
    client->run->mode->closed(client);
}

static void make_clients(struct run *run)
{
    unsigned count = run->client_count;

    if (run->mode->own_mailboxes && run->account_count < count)
        log_fatal("%u connections need as many mailboxes, and %s holds %zu", count,
                  run->options->users, run->account_count);
    run->clients = xcalloc(count, sizeof(struct client *));
    for (unsigned i = 0; i < count; i++) {
        struct client *client = xcalloc(1, run->mode->client_size);
        client->connection.fd = -1;
        client->run = run;
        client->number = i;
        client->account = &run->accounts[i % run->account_count];
        run->clients[i] = client;
    }
    run->active = count;
}

static void free_clients(struct run *run)
{
    for (unsigned i = 0; i < run->client_count; i++) {
        connection_end(&run->clients[i]->connection);
        if (run->mode->end != NULL)
            run->mode->end(run->clients[i]);
        free(run->clients[i]);
    }
    free(run->clients);
}

static void go(struct run *run)
{
    run->end = latency_now() + run->options->seconds * RUN_SECOND;

    while (run->active > 0) {
        open_more(run);
        loop_turn(run->loop, 50);
        if (run->mode->turn != NULL)
            run->mode->turn(run);
        uint64_t now = latency_now();
        run->over = now >= run->end;
        if (now >= run->end + GRACE_SECONDS * RUN_SECOND)
            log_fatal("the server has not answered %u connections within %d s", run->active,
                      GRACE_SECONDS);
    }
}

static void print_use(const struct run *run)
{
    struct tree_use use;

    tree_measure(run->options->serve, &use);
    if (use.processes == 0)
        log_fatal("there is no process %d", (int)run->options->serve);
    printf(" server_cpu_us=%.1f server_memory_mb=%.1f",
           (double)(use.cpu - run->use.cpu) / 1e3 / (double)run->done, (double)use.memory / 1e6);
}

static void print_tls(const struct tls_context *tls)
{
    printf(" tls=%s handshakes=%" PRIu64 " resumed=%" PRIu64, tls->version, tls->handshakes,
           tls->resumed);
}

static void print(struct run *run)
{
    if (run->done == 0)
        log_fatal("no operation was done within %u s", run->options->seconds);
    double seconds = (double)(run->last - run->first) / (double)RUN_SECOND;
    double own = (double)(own_cpu() - run->own_cpu) / 1e3 / (double)run->done;
    latency_sort(&run->latency);
    printf("mode=%s connections=%u operations=%" PRIu64 " seconds=%.3f rate=%.0f p50_us=%.0f "
           "p99_us=%.0f client_cpu_us=%.1f",
           run->mode->name, run->client_count, run->done, seconds, (double)run->done / seconds,
           (double)latency_percentile(&run->latency, 50) / 1e3,
           (double)latency_percentile(&run->latency, 99) / 1e3, own);
    if (run->options->serve != 0)
        print_use(run);
    if (run->tls != NULL)
        print_tls(run->tls);
    putchar('\n');
}

static void set_bounds(struct run *run)
{
    run->client_count = run->options->connections;
    if (run->client_count == 0)
        run->client_count = run->mode->connections != 0 ? run->mode->connections : 32;
    run->limit = run->options->count;
    if (run->limit == 0)
        run->limit = run->mode->whole ? UINT64_MAX : 10000;
}

void run_all(const struct options *options, const struct mode *mode)
{
    static const struct connection_events events = {on_input, on_shaken, on_closed};
    struct run run = {.options = options, .mode = mode};

    set_bounds(&run);
    if (mode->plain && options->tls)
        log_fatal("the mode %s speaks no TLS", mode->name);
    if (mode->shaken != NULL && !options->tls)
        log_fatal("the mode %s needs --tls", mode->name);
    run.accounts = accounts_read(options->users, &run.account_count);
    if (options->tls)
        run.tls = tls_context_new(options->ca, options->tls_version, options->resume);
    run.loop = loop_new(&events, run.tls);
    make_clients(&run);
    go(&run);
    print(&run);
    free_clients(&run);
    loop_free(run.loop);
    tls_context_free(run.tls);
    latency_free(&run.latency);
    accounts_free(run.accounts, run.account_count);
}
