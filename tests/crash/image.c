#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/image.h"

#define SECTOR 512

/* Entries whose like nothing orders: how each file's and the folder's fate is chosen. */
enum fate { ALL_LOST, ALL_KEPT, UP_TO_A_MOMENT, EACH_FOR_ITSELF };

struct image {
    const struct trace *trace;
    uint64_t cut;
    struct random random;
    bool whole;
    struct trace_name *names;
    uint32_t name_count;
};

/* One file while it is put together. Entries before `synced` are durable. */
struct content {
    const struct image *image;
    uint32_t file;
    uint64_t synced;
    uint64_t *pending; /* the file's entries from `synced` to the cut */
    uint64_t pending_count;
    enum fate fate;
    uint64_t granule;  /* sectors that share a moment, for EACH_FOR_ITSELF */
    uint64_t key;      /* draws each granule's moment */
    uint64_t moment;   /* of all content, for UP_TO_A_MOMENT */
    uint64_t metadata; /* entries before it have changed size and holes */
    uint8_t *octets;
    uint64_t room, size;
};

static void give_up(const char *what)
{
    perror(what);
    exit(3);
}

static void *grown(void *memory, size_t size)
{
    void *result = realloc(memory, size > 0 ? size : 1);

    if (result == NULL)
        give_up("image");
    return result;
}

/* --- content ---------------------------------------------------------------------------------- */

/* A moment among the pending entries: those before it have happened. */
static uint64_t moment_of(const struct content *content, uint64_t number)
{
    uint64_t choice = number % (content->pending_count + 1);

    return choice == 0 ? content->synced : content->pending[choice - 1] + 1;
}

static uint64_t sector_moment(const struct content *content, uint64_t sector)
{
    uint64_t drawn = random_mix(content->key ^ (sector / content->granule * UINT64_C(0x9e3779b9)));

    switch (content->fate) {
    case ALL_LOST: return content->synced;
    case ALL_KEPT: return content->image->cut;
    case UP_TO_A_MOMENT: return content->moment;
    case EACH_FOR_ITSELF: break;
    }
    switch (drawn % 4) {
    case 0: return content->synced;
    case 1: return content->image->cut;
    default: return moment_of(content, drawn / 4);
    }
}

static void make_room(struct content *content, uint64_t end)
{
    if (end <= content->room)
        return;
    uint64_t room = end + end / 2 + SECTOR;
    content->octets = grown(content->octets, room);
    memset(content->octets + content->room, 0, room - content->room);
    content->room = room;
}

/* Octets from `data`, or zeros; sectors that have been left behind by the entry stay. */
static void put(struct content *content, uint64_t entry, uint64_t offset, const uint8_t *data,
                uint64_t length)
{
    for (uint64_t done = 0, part; done < length; done += part) {
        uint64_t at = offset + done, left = length - done;
        part = SECTOR - at % SECTOR;
        part = part < left ? part : left;
        bool happened = entry < content->synced || (data == NULL && entry < content->metadata) ||
                        entry < sector_moment(content, at / SECTOR);
        if (happened && data != NULL)
            memcpy(content->octets + at, data + done, part);
        else if (happened)
            memset(content->octets + at, 0, part);
    }
}

static void zero(struct content *content, uint64_t entry, uint64_t offset, uint64_t length)
{
    if (offset < content->room)
        put(content, entry, offset, NULL,
            length < content->room - offset ? length : content->room - offset);
}

static void replay(struct content *content, uint64_t number)
{
    const struct trace_entry *entry = &content->image->trace->entries[number];
    bool sized = number < content->synced || number < content->metadata;
    uint64_t end = entry->a + entry->b;

    switch (entry->type) {
    case TRACE_WRITE:
        make_room(content, end);
        put(content, number, entry->a, content->image->trace->data + entry->data, entry->b);
        break;
    case TRACE_RESIZE:
        zero(content, number, entry->a, UINT64_MAX - entry->a);
        if (sized)
            content->size = entry->a;
        return;
    case TRACE_PUNCH: zero(content, number, entry->a, entry->b); return;
    case TRACE_ALLOCATE: break;
    default: return;
    }
    if (sized && end > content->size)
        content->size = end;
}

static void choose_fate(struct content *content, struct random *random)
{
    static const uint64_t granules[] = {1, 1, 8, 128};

    content->fate = content->image->whole ? ALL_KEPT : (enum fate)random_below(random, 4);
    content->granule = granules[random_below(random, 4)];
    content->key = random_next(random);
    content->moment = moment_of(content, random_next(random));
    switch (random_below(random, 3)) {
    case 0: content->metadata = content->synced; break;
    case 1: content->metadata = moment_of(content, random_next(random)); break;
    default: content->metadata = content->image->cut; break;
    }
    if (content->image->whole)
        content->metadata = content->image->cut;
}

static void find_pending(struct content *content)
{
    const struct trace *trace = content->image->trace;

    content->pending = grown(NULL, content->image->cut * sizeof(uint64_t));
    for (uint64_t i = 0; i < content->image->cut; i++) {
        const struct trace_entry *entry = &trace->entries[i];
        if (entry->file != content->file || entry->type < TRACE_WRITE || entry->type > TRACE_SYNC)
            continue;
        if (entry->type == TRACE_SYNC) {
            content->synced = i + 1;
            content->pending_count = 0;
        } else {
            content->pending[content->pending_count++] = i;
        }
    }
}

static void write_file(const char *folder, const char *name, const struct content *content)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/store/%s", folder, name);
    FILE *file = fopen(path, "wb");
    uint64_t filled = content->size < content->room ? content->size : content->room;
    if (file == NULL || (filled > 0 && fwrite(content->octets, filled, 1, file) != 1) ||
        fflush(file) != 0 || truncate(path, (off_t)content->size) != 0)
        give_up(path);
    fclose(file);
}

static void build_file(struct image *image, const struct trace_name *name, const char *folder)
{
    struct content content = {.image = image, .file = name->file};
    struct random random = random_of(image->random.state, name->file);

    make_room(&content, SECTOR);
    find_pending(&content);
    choose_fate(&content, &random);
    for (uint64_t i = 0; i < image->cut; i++) {
        const struct trace_entry *entry = &image->trace->entries[i];
        if (entry->file == name->file && entry->type >= TRACE_WRITE && entry->type < TRACE_SYNC)
            replay(&content, i);
    }
    write_file(folder, name->name, &content);
    free(content.octets);
    free(content.pending);
}

/* --- names ------------------------------------------------------------------------------------ */

static void forget_name(struct image *image, const char *name)
{
    for (uint32_t i = 0; i < image->name_count; i++)
        if (strcmp(image->names[i].name, name) == 0)
            image->names[i--] = image->names[--image->name_count];
}

static void set_name(struct image *image, const char *name, uint32_t file)
{
    forget_name(image, name);
    snprintf(image->names[image->name_count].name, TRACE_NAME_SIZE, "%s", name);
    image->names[image->name_count++].file = file;
}

static void replay_name(struct image *image, const struct trace_entry *entry)
{
    switch (entry->type) {
    case TRACE_CREATE: set_name(image, entry->name, entry->file); break;
    case TRACE_UNLINK: forget_name(image, entry->name); break;
    case TRACE_RENAME:
        forget_name(image, entry->name);
        set_name(image, entry->to, entry->file);
        break;
    default: break;
    }
}

static void find_names(struct image *image)
{
    enum fate fate = image->whole ? ALL_KEPT : (enum fate)random_below(&image->random, 4);
    uint64_t synced = 0, names = 0;

    for (uint64_t i = 0; i < image->cut; i++) {
        names += image->trace->entries[i].type <= TRACE_RENAME;
        if (image->trace->entries[i].type == TRACE_SYNC_FOLDER)
            synced = i + 1;
    }
    image->names = grown(NULL, (names + 1) * sizeof(*image->names));
    uint64_t moment = synced + random_below(&image->random, image->cut - synced + 1);
    for (uint64_t i = 0; i < image->cut; i++) {
        const struct trace_entry *entry = &image->trace->entries[i];
        bool happened = i < synced || fate == ALL_KEPT || (fate == UP_TO_A_MOMENT && i < moment) ||
                        (fate == EACH_FOR_ITSELF && random_chance(&image->random, 50));
        if (happened && entry->type <= TRACE_RENAME)
            replay_name(image, entry);
    }
}

/* --- the interface ---------------------------------------------------------------------------- */

static void build(struct image *image, const char *folder)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/store", folder);
    if (mkdir(folder, 0700) != 0 || mkdir(path, 0700) != 0)
        give_up(folder);
    find_names(image);
    for (uint32_t i = 0; i < image->name_count; i++)
        build_file(image, &image->names[i], folder);
    free(image->names);
}

void image_build(const struct trace *trace, uint64_t cut, struct random random, const char *folder)
{
    struct image image = {.trace = trace, .cut = cut, .random = random};

    build(&image, folder);
}

void image_build_whole(const struct trace *trace, uint64_t cut, const char *folder)
{
    struct image image = {.trace = trace, .cut = cut, .whole = true};

    build(&image, folder);
}

static void take_file(const char *folder, const char *name, struct trace *next)
{
    char path[512];
    struct stat status;

    snprintf(path, sizeof(path), "%s/store/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0)
        give_up(path);
    size_t size = (size_t)status.st_size;
    uint8_t *octets = grown(NULL, size);
    if (size > 0 && fread(octets, size, 1, file) != 1)
        give_up(path);
    uint32_t number = trace_create(next, name);
    trace_write(next, number, 0, octets, size);
    trace_add(next, TRACE_SYNC, number, 0, 0, 0);
    free(octets);
    fclose(file);
}

void image_continue(const struct trace *trace, uint64_t cut, const char *folder, struct trace *next)
{
    struct dirent **names;
    char path[256];

    trace_clear(next);
    next->clock = trace->clock;
    for (uint64_t i = 0; i < cut; i++) {
        const struct trace_entry *entry = &trace->entries[i];
        if (entry->type >= TRACE_FIRST_EVENT)
            trace_add(next, (enum trace_type)entry->type, 0, entry->a, entry->b, entry->c);
    }
    snprintf(path, sizeof(path), "%s/store", folder);
    /* In the order of names, so that files have the same numbers each time. */
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        give_up(path);
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.')
            take_file(folder, names[i]->d_name, next);
        free(names[i]);
    }
    free(names);
    trace_add(next, TRACE_SYNC_FOLDER, 0, 0, 0, 0);
}

/* Where promises are made; writes are common, and a plain draw finds them. */
static bool is_in_the_balance(const struct trace_entry *entry, bool sync)
{
    if (sync)
        return entry->type == TRACE_SYNC || entry->type == TRACE_SYNC_FOLDER;
    return entry->type != TRACE_WRITE && entry->type != TRACE_ALLOCATE;
}

uint64_t image_choose_cut(const struct trace *trace, uint64_t first, struct random *random)
{
    uint64_t range = trace->count - first, cut = first + random_below(random, range + 1);
    uint64_t kind = random_below(random, 3);

    if (kind == 0)
        return cut;
    for (int tries = 0; tries < 50 && range > 0; tries++) {
        uint64_t at = first + random_below(random, range);
        if (!is_in_the_balance(&trace->entries[at], kind == 1))
            continue;
        /* Just before a sync; or just before or behind anything, or an operation or two away. */
        cut = kind == 1 ? at : at + random_below(random, 4);
        return cut <= trace->count ? cut : trace->count;
    }
    return cut;
}
