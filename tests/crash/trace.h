#ifndef TESTS_CRASH_TRACE_H
#define TESTS_CRASH_TRACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * One ordered log of all that was done to the files in store/ and of what stored promised
 * meanwhile, in memory that is shared with the processes that write it. A file is named by a
 * number that stays with it when its name changes.
 */

enum trace_type {
    TRACE_CREATE,      /* name, file */
    TRACE_UNLINK,      /* name, file */
    TRACE_RENAME,      /* name, to, file */
    TRACE_WRITE,       /* file, a: offset, b: length; the octets at data */
    TRACE_RESIZE,      /* file, a: size */
    TRACE_ALLOCATE,    /* file, a: offset, b: length; zeros where nothing is, the file grows */
    TRACE_PUNCH,       /* file, a: offset, b: length; zeros, the file does not grow */
    TRACE_SYNC,        /* file; logged when it has succeeded */
    TRACE_SYNC_FOLDER, /* as above, for the names */

    /* What the world was told. */
    TRACE_SENT,          /* a: serial, b: octets, c: a bit for each mailbox; not answered yet */
    TRACE_KNOWN,         /* a: mailbox, b: uid, c: serial; acknowledged, or listed to a client */
    TRACE_DATED,         /* a: mailbox, b: uid, c: time; told with it, a part of its unique-id */
    TRACE_EXPUNGE_ASKED, /* a: mailbox, b: uid, c: number of the request */
    TRACE_EXPUNGED,      /* a: mailbox, b: uid; acknowledged, or no more listed */
    TRACE_DROP_ASKED,    /* a: mailbox */
    TRACE_DROPPED,       /* a: mailbox; acknowledged */
    TRACE_FIRST_EVENT = TRACE_SENT
};

#define TRACE_NAME_SIZE 24

struct trace_entry {
    uint8_t type; /* enum trace_type */
    uint32_t file;
    char name[TRACE_NAME_SIZE];
    char to[TRACE_NAME_SIZE];
    uint64_t a, b, c;
    uint64_t data; /* where in the trace's octets */
};

struct trace_name {
    char name[TRACE_NAME_SIZE];
    uint32_t file;
};

struct trace {
    uint64_t count;         /* entries */
    uint64_t used;          /* octets of data */
    _Atomic uint64_t clock; /* microseconds since 1970; goes on from life to life */
    uint32_t files;         /* numbers given out */
    uint32_t name_count;
    struct trace_name *names;
    struct trace_entry *entries;
    uint8_t *data;
};

/* In shared memory, for a few hundred MiB; exits when there is none. */
struct trace *trace_new(void);

/* Forgets everything. */
void trace_clear(struct trace *trace);

/* The number of the file that has the name now, or -1. */
int64_t trace_find(const struct trace *trace, const char *name);

/* A new file under the name; returns its number. */
uint32_t trace_create(struct trace *trace, const char *name);
void trace_unlink(struct trace *trace, const char *name);
void trace_rename(struct trace *trace, const char *from, const char *to);
void trace_write(struct trace *trace, uint32_t file, uint64_t offset, const void *octets,
                 uint64_t length);

/* Any other entry. */
void trace_add(struct trace *trace, enum trace_type type, uint32_t file, uint64_t a, uint64_t b,
               uint64_t c);

#endif
