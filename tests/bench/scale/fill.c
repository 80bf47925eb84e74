/*
 * Fills a store faster than any mail server could, to see how the service does with much mail:
 *
 *   fill FIRST MAILBOXES MESSAGES [named]
 *
 * in the directory of an instance that does not run. The mailboxes FIRST, FIRST + 1 and so on get
 * MESSAGES each, in turn, as a day's mail comes. With `named`, each message has a unique-id of its
 * own, as one that was imported. It is done when everything is durable and index.db complete.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/owner.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/recovery.h"
#include "stored/store.h"

#define SEGMENT_SIZE (UINT64_C(64) << 20)

/* Octets that wait for the disk: a group that is written and one that is gathered. */
#define AHEAD (UINT64_C(16) << 20)

static const char text[] =
    "Subject: your booking\r\nFrom: desk@elsewhere.example\r\n\r\n"
    "We are looking forward to your stay. The room is ready from three in the afternoon.\r\n";

struct fill {
    struct store store;
    uint64_t first, mailboxes, messages;
    uint64_t *next_uids;
    uint64_t begun, done; /* messages of all mailboxes */
    bool named;
};

static struct fill fill;

static void go_on(void);

static void on_done(struct commit *commit, enum store_result result)
{
    if (result != STORE_OK)
        log_fatal("a message was not written");
    free(commit->header);
    free(commit);
    fill.done++;
    go_on();
}

static void add_message(uint64_t number)
{
    struct commit *commit = xcalloc(1, sizeof(*commit));
    uint64_t mailbox = number % fill.mailboxes;
    char unique_id[32];

    snprintf(unique_id, sizeof(unique_id), "%08" PRIx64 "5f3c2a10", fill.next_uids[mailbox]);
    commit->header = record_new(RECORD_MESSAGE, 1, fill.named ? unique_id : NULL);
    commit->header->body_length = commit->header->octets = strlen(text);
    commit->header->top_length = (uint64_t)(strstr(text, "\r\n\r\n") + 4 - text);
    commit->header->time = (uint64_t)time(NULL) * 1000000 + number % 1000000;
    record_refs(commit->header)->mailbox = fill.first + mailbox;
    record_refs(commit->header)->uid = fill.next_uids[mailbox]++;
    commit->body = text;
    commit->done = on_done;
    commit_add(fill.store.commits, commit);
}

static void go_on(void)
{
    uint64_t all = fill.mailboxes * fill.messages;

    while (fill.begun < all && commits_waiting(fill.store.commits) < AHEAD)
        add_message(fill.begun++);
    if (fill.done == all)
        event_base_loopexit(fill.store.base, NULL);
}

static void open_store(void)
{
    struct index_mailbox row;

    recovery_lock();
    recovery_run(&fill.store);
    fill.next_uids = xcalloc(fill.mailboxes, sizeof(fill.next_uids[0]));
    for (uint64_t i = 0; i < fill.mailboxes; i++) {
        if (index_get_mailbox(fill.store.index, fill.first + i, &row) < 0)
            log_fatal("the index cannot be read");
        fill.next_uids[i] = row.uid_next;
    }
    fill.store.base = event_base_new();
    fill.store.segment_size = SEGMENT_SIZE;
    fill.store.commits = commits_new(&fill.store);
}

static void close_store(void)
{
    commits_free(fill.store.commits);
    index_close(fill.store.index);
    event_base_free(fill.store.base);
    free(fill.next_uids);
}

int main(int argc, char **argv)
{
    log_open("fill");
    owner_become();
    fill.first = argc > 3 ? strtoull(argv[1], NULL, 10) : 0;
    fill.mailboxes = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;
    fill.messages = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    fill.named = argc == 5 && strcmp(argv[4], "named") == 0;
    if (fill.first == 0 || fill.mailboxes == 0 || fill.messages == 0 || argc > 4 + fill.named)
        log_fatal("usage: fill FIRST MAILBOXES MESSAGES [named]");
    open_store();
    go_on();
    event_base_dispatch(fill.store.base);
    close_store();
    return 0;
}
