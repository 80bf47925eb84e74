#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/account.h"
#include "tests/bench/connection.h"
#include "tests/bench/latency.h"
#include "tests/bench/options.h"
#include "tests/bench/tls.h"
#include "tests/bench/tree.h"

#define RUN_SECOND UINT64_C(1000000000) /* in the unit of latency_now() */

/* One run: its clients, how much has been done, and how long it took. */

struct mode;

struct run {
    const struct options *options;
    const struct mode *mode;
    struct account *accounts;
    size_t account_count;
    struct tls_context *tls; /* NULL: connections are plain */
    struct loop *loop;
    struct client **clients;
    unsigned client_count;
    unsigned opened; /* connections opened so far */
    unsigned ready;  /* of these, logged in */
    unsigned active; /* clients that have not finished */
    uint64_t end;    /* when the time is up */
    bool over;       /* it is */
    uint64_t limit;  /* of operations */
    size_t visited;  /* accounts, by clients that take one after the other */
    uint64_t begun;  /* operations */
    uint64_t done;
    uint64_t first;      /* when the first one began */
    uint64_t last;       /* when the last one was done */
    struct tree_use use; /* when the first one began */
    uint64_t own_cpu;    /* as well: nanoseconds that this process has used */
    struct latency latency;
};

struct client {
    struct connection connection;
    struct run *run;
    const struct account *account;
    unsigned number; /* from 0 */
};

/*
 * Runs the mode that the options name until the count or the time is used up, and prints what it
 * reached. Exits with status 1 and a clear line when the server gives a wrong answer.
 */
void run_all(const struct options *options, const struct mode *mode);

/* Takes one operation. False: there is none left, or no time; the client then leaves. */
bool run_take(struct run *run);

/* Whether run_take() would. */
bool run_left(const struct run *run);

/* Gives the client the next account that none has had. False: there is none left, or no time. */
bool run_next_account(struct client *client);

/* The operation that began at `started` (latency_now()) is done. */
void run_done(struct run *run, uint64_t started);

/* Opens the client's connection (again), or closes it when its mode has nothing left to do. */
void client_open(struct client *client);

/* The client is logged in: another one may open its connection. */
void client_ready(struct client *client);

/* Closes: this client has nothing more to do. */
void client_finish(struct client *client);

/* Sends formatted text of at most 1023 octets. */
void client_send(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the program: this answer of the server is wrong. */
void client_wrong(const struct client *client, const char *expected, const char *data,
                  size_t length) __attribute__((noreturn));

#endif
