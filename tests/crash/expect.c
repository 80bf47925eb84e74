#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/crash/expect.h"

struct expect expect;
char *expect_failure;

static struct trace *log_to;

void expect_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(expect_failure, EXPECT_TEXT_SIZE, format, arguments);
    va_end(arguments);
    _exit(EXPECT_FAILED);
}

static void know(struct expect_mailbox *mailbox, uint64_t uid, uint64_t serial)
{
    struct expect_message *message = &mailbox->messages[uid];

    if (message->known && message->serial != serial)
        expect_fail("uid %llu was message %llu and is message %llu now", (unsigned long long)uid,
                    (unsigned long long)message->serial, (unsigned long long)serial);
    message->known = true;
    message->serial = serial;
    message->request = 0;
    if (uid > mailbox->highest)
        mailbox->highest = uid;
}

static void send(uint64_t serial, uint64_t length, uint64_t mailboxes)
{
    if (serial >= EXPECT_SERIALS)
        expect_fail("the harness sends more than it can remember");
    expect.sent[serial].length = length;
    expect.sent[serial].mailboxes = mailboxes;
    expect.next_serial = serial + 1;
}

static void take_in(enum trace_type type, uint64_t a, uint64_t b, uint64_t c)
{
    if (type == TRACE_SENT) {
        send(a, b, c);
        return;
    }
    if (a >= EXPECT_MAILBOXES || b >= EXPECT_UIDS || (type != TRACE_DATED && c >= EXPECT_REQUESTS))
        expect_fail("mailbox %llu has uid %llu, which the harness cannot remember",
                    (unsigned long long)a, (unsigned long long)b);
    struct expect_mailbox *mailbox = &expect.mailboxes[a];
    switch (type) {
    case TRACE_KNOWN: know(mailbox, b, c); break;
    case TRACE_DATED: mailbox->messages[b].time = c; break;
    case TRACE_EXPUNGE_ASKED:
        mailbox->messages[b].request = (uint32_t)c;
        expect.next_request = (uint32_t)c + 1;
        break;
    case TRACE_EXPUNGED: mailbox->messages[b].gone = true; break;
    case TRACE_DROP_ASKED: mailbox->drop_asked = true; break;
    case TRACE_DROPPED: mailbox->dropped = true; break;
    default: break;
    }
}

void expect_load(struct trace *trace)
{
    log_to = trace;
    expect.next_serial = 1;
    expect.next_request = 1;
    for (uint64_t i = 0; i < trace->count; i++) {
        const struct trace_entry *entry = &trace->entries[i];
        if (entry->type >= TRACE_FIRST_EVENT)
            take_in((enum trace_type)entry->type, entry->a, entry->b, entry->c);
    }
}

void expect_event(enum trace_type type, uint64_t a, uint64_t b, uint64_t c)
{
    trace_add(log_to, type, 0, a, b, c);
    take_in(type, a, b, c);
}
