#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/crash/trace.h"

#define ENTRIES_MAX 400000
#define NAMES_MAX   10000
#define DATA_MAX    (UINT64_C(1) << 30)

static void give_up(const char *why)
{
    fprintf(stderr, "trace: %s\n", why);
    exit(3);
}

static void *shared(uint64_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        give_up("no shared memory");
    return memory;
}

struct trace *trace_new(void)
{
    struct trace *trace = shared(sizeof(*trace));

    trace->names = shared(NAMES_MAX * sizeof(*trace->names));
    trace->entries = shared(ENTRIES_MAX * sizeof(*trace->entries));
    trace->data = shared(DATA_MAX);
    return trace;
}

void trace_clear(struct trace *trace)
{
    trace->clock = UINT64_C(1800000000000000);
    trace->count = 0;
    trace->used = 0;
    trace->files = 0;
    trace->name_count = 0;
}

static struct trace_entry *add(struct trace *trace, enum trace_type type, uint32_t file)
{
    if (trace->count == ENTRIES_MAX)
        give_up("too many operations");
    struct trace_entry *entry = &trace->entries[trace->count++];
    memset(entry, 0, sizeof(*entry));
    entry->type = (uint8_t)type;
    entry->file = file;
    return entry;
}

void trace_add(struct trace *trace, enum trace_type type, uint32_t file, uint64_t a, uint64_t b,
               uint64_t c)
{
    struct trace_entry *entry = add(trace, type, file);

    entry->a = a;
    entry->b = b;
    entry->c = c;
}

static struct trace_name *find(const struct trace *trace, const char *name)
{
    for (uint32_t i = 0; i < trace->name_count; i++)
        if (strcmp(trace->names[i].name, name) == 0)
            return &trace->names[i];
    return NULL;
}

int64_t trace_find(const struct trace *trace, const char *name)
{
    const struct trace_name *found = find(trace, name);

    return found != NULL ? (int64_t)found->file : -1;
}

static void set_name(char target[TRACE_NAME_SIZE], const char *name)
{
    if (snprintf(target, TRACE_NAME_SIZE, "%s", name) >= TRACE_NAME_SIZE)
        give_up("a name is too long");
}

static void forget_name(struct trace *trace, const char *name)
{
    struct trace_name *found = find(trace, name);

    if (found != NULL)
        *found = trace->names[--trace->name_count];
}

static void enter_name(struct trace *trace, const char *name, uint32_t file)
{
    forget_name(trace, name);
    if (trace->name_count == NAMES_MAX)
        give_up("too many files");
    set_name(trace->names[trace->name_count].name, name);
    trace->names[trace->name_count++].file = file;
}

uint32_t trace_create(struct trace *trace, const char *name)
{
    uint32_t file = trace->files++;

    enter_name(trace, name, file);
    set_name(add(trace, TRACE_CREATE, file)->name, name);
    return file;
}

void trace_unlink(struct trace *trace, const char *name)
{
    int64_t file = trace_find(trace, name);

    if (file < 0)
        return;
    set_name(add(trace, TRACE_UNLINK, (uint32_t)file)->name, name);
    forget_name(trace, name);
}

void trace_rename(struct trace *trace, const char *from, const char *to)
{
    int64_t file = trace_find(trace, from);

    if (file < 0)
        give_up("a file that nobody made is renamed");
    struct trace_entry *entry = add(trace, TRACE_RENAME, (uint32_t)file);
    set_name(entry->name, from);
    set_name(entry->to, to);
    forget_name(trace, from);
    enter_name(trace, to, (uint32_t)file);
}

void trace_write(struct trace *trace, uint32_t file, uint64_t offset, const void *octets,
                 uint64_t length)
{
    if (trace->used + length > DATA_MAX)
        give_up("too many octets");
    struct trace_entry *entry = add(trace, TRACE_WRITE, file);
    entry->a = offset;
    entry->b = length;
    entry->data = trace->used;
    memcpy(trace->data + trace->used, octets, length);
    trace->used += length;
}
