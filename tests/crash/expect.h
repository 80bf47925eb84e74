#ifndef TESTS_CRASH_EXPECT_H
#define TESTS_CRASH_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/trace.h"

/*
 * What the world has been told, and what a store must therefore hold: made from a trace's entries.
 * One in a process; all of it is 0 at the process's start.
 */

#define EXPECT_MAILBOXES 64
#define EXPECT_UIDS      1024
#define EXPECT_SERIALS   8192
#define EXPECT_REQUESTS  8192

struct expect_message {
    uint64_t serial;
    uint64_t time;
    uint32_t request; /* the last expunge that was asked; 0: none */
    bool known;       /* acknowledged or listed */
    bool gone;
    bool listed; /* by the check that runs */
};

struct expect_mailbox {
    bool drop_asked;
    bool dropped;
    uint64_t highest; /* uid that is known */
    struct expect_message messages[EXPECT_UIDS];
};

struct expect_sent {
    uint64_t length;    /* 0: never sent */
    uint64_t mailboxes; /* a bit for each */
    uint64_t listed;    /* the same, by the check that runs */
};

struct expect {
    struct expect_mailbox mailboxes[EXPECT_MAILBOXES];
    struct expect_sent sent[EXPECT_SERIALS];
    uint64_t next_serial;
    uint32_t next_request;
};

extern struct expect expect;

/* Takes in all entries. Later ones are logged with expect_event(). */
void expect_load(struct trace *trace);

/* Logs what the world is told, at this moment. */
void expect_event(enum trace_type type, uint64_t a, uint64_t b, uint64_t c);

/*
 * Ends this process: stored broke a promise. The text is in `failure`, which is shared with the
 * process that waits for this one.
 */
#define EXPECT_FAILED    7
#define EXPECT_TEXT_SIZE 512
extern char *expect_failure;
void expect_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
