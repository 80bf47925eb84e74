#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/certbundle.h"
#include "lib/certlayout.h"
#include "lib/xalloc.h"

struct certbundle {
    uint64_t at;                 /* of the head, in the file */
    struct certlayout_head head; /* a copy, which stays when the contents have been given back */
    const uint8_t *base;
    struct certbundle_choice fallback;
};

const char *certbundle_kind_text(enum certbundle_kind kind)
{
    return kind == CERTBUNDLE_RSA ? "RSA" : "ECDSA";
}

static int read_at(int fd, uint64_t at, void *octets_r, size_t length)
{
    ssize_t got = pread(fd, octets_r, length, (off_t)at);

    if (got >= 0 && (size_t)got != length)
        errno = ENODATA;
    return got >= 0 && (size_t)got == length ? 0 : -1;
}

/* Where new contents are told of while it reads, it reads those. */
int certlayout_read_head(int fd, uint64_t *at_r, struct certlayout_head *head_r)
{
    for (uint64_t last = 0; read_at(fd, 0, at_r, sizeof(*at_r)) == 0; last = *at_r) {
        if (read_at(fd, *at_r, head_r, sizeof(*head_r)) == 0 && head_r->magic == CERTLAYOUT_MAGIC)
            return 0;
        errno = ENODATA;
        if (*at_r == last)
            return -1;
    }
    return -1;
}

bool certbundle_is_current(const struct certbundle *bundle, int fd)
{
    uint64_t at;

    return read_at(fd, 0, &at, sizeof(at)) == 0 && at == bundle->at;
}

void certbundle_close(struct certbundle *bundle)
{
    if (bundle == NULL)
        return;
    munmap((void *)(uintptr_t)bundle->base, bundle->head.length);
    free(bundle);
}

uint32_t certbundle_count(const struct certbundle *bundle)
{
    return bundle->head.item_count;
}

static const struct certlayout_item *item_at(const struct certbundle *bundle, uint32_t number)
{
    return (const struct certlayout_item *)(const void *)(bundle->base + bundle->head.items) +
           number;
}

static struct certbundle_octets octets_of(const struct certbundle *bundle,
                                          struct certlayout_piece piece)
{
    return (struct certbundle_octets){bundle->base + piece.at, piece.length};
}

bool certbundle_entry(const struct certbundle *bundle, uint32_t number,
                      struct certbundle_entry *entry_r)
{
    const struct certlayout_item *item = item_at(bundle, number);

    memset(entry_r, 0, sizeof(*entry_r));
    if (number >= bundle->head.item_count || item->certificate.length == 0)
        return false;
    memcpy(entry_r->stamp, item->stamp, sizeof(item->stamp));
    memcpy(entry_r->hash, item->hash, sizeof(item->hash));
    entry_r->kind = (enum certbundle_kind)item->kind;
    entry_r->not_before = item->not_before;
    entry_r->not_after = item->not_after;
    entry_r->label = octets_of(bundle, item->label).octets;
    entry_r->names = octets_of(bundle, item->names);
    entry_r->certificate = octets_of(bundle, item->certificate);
    entry_r->key = octets_of(bundle, item->key);
    entry_r->issuer_count = item->issuer_count;
    for (unsigned i = 0; i < item->issuer_count; i++)
        entry_r->issuers[i] = octets_of(bundle, item->issuers[i]);
    return true;
}

static bool is_valid(const struct certbundle *bundle, uint32_t number, int64_t now)
{
    if (number >= bundle->head.item_count)
        return false;
    const struct certlayout_item *item = item_at(bundle, number);
    return item->not_before <= now && now < item->not_after;
}

/* A client may take the kind that is not valid, and would refuse it. */
static void drop_invalid(const struct certbundle *bundle, int64_t now,
                         struct certbundle_choice *choice)
{
    bool any = false;

    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++)
        any = any || is_valid(bundle, choice->entries[kind], now);
    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++)
        if (any && !is_valid(bundle, choice->entries[kind], now))
            choice->entries[kind] = CERTBUNDLE_NONE;
}

struct certbundle_choice certbundle_default(const struct certbundle *bundle, int64_t now)
{
    struct certbundle_choice choice = bundle->fallback;

    drop_invalid(bundle, now, &choice);
    return choice;
}

/* What is asked for, while bsearch() looks for it. */
struct wanted {
    const struct certbundle *bundle;
    const char *text;
    size_t length;
};

static int compare_name(const void *key, const void *row)
{
    const struct wanted *wanted = key;
    const struct certlayout_name *name = row;

    if (wanted->length != name->text.length)
        return wanted->length < name->text.length ? -1 : 1;
    return memcmp(wanted->text, wanted->bundle->base + name->text.at, wanted->length);
}

static void find_name(const struct wanted *wanted, struct certbundle_choice *choice_r)
{
    const struct certlayout_head *head = &wanted->bundle->head;
    const struct certlayout_name *name = bsearch(wanted, wanted->bundle->base + head->names,
                                                 head->name_count, sizeof(*name), compare_name);

    if (name != NULL)
        *choice_r = name->choice;
    else
        memset(choice_r, 0xff, sizeof(*choice_r));
}

static void find_wildcard(const struct certbundle *bundle, const char *name, size_t length,
                          struct certbundle_choice *choice_r)
{
    char wildcard[CERTBUNDLE_NAME_MAX + 1];
    const char *rest = memchr(name, '.', length);

    memset(choice_r, 0xff, sizeof(*choice_r));
    if (rest == NULL || rest == name || length >= sizeof(wildcard))
        return;
    size_t size = length - (size_t)(rest - name);
    wildcard[0] = '*';
    memcpy(wildcard + 1, rest, size);
    find_name(&(struct wanted){bundle, wildcard, size + 1}, choice_r);
}

bool certbundle_find(const struct certbundle *bundle, const char *name, size_t length, int64_t now,
                     struct certbundle_choice *choice_r)
{
    struct certbundle_choice wildcard;
    bool found = false;

    find_name(&(struct wanted){bundle, name, length}, choice_r);
    find_wildcard(bundle, name, length, &wildcard);
    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++) {
        uint32_t *entry = &choice_r->entries[kind];
        if (*entry == CERTBUNDLE_NONE ||
            (!is_valid(bundle, *entry, now) && is_valid(bundle, wildcard.entries[kind], now)))
            *entry = wildcard.entries[kind];
        found = found || *entry != CERTBUNDLE_NONE;
    }
    drop_invalid(bundle, now, choice_r);
    return found;
}

static int compare_label(const void *key, const void *row)
{
    const struct wanted *wanted = key;
    const struct certlayout_item *item = row;

    return strcmp(wanted->text, (const char *)wanted->bundle->base + item->label.at);
}

uint32_t certbundle_labelled(const struct certbundle *bundle, const char *label)
{
    const struct certlayout_item *first = item_at(bundle, 0);
    const struct wanted wanted = {bundle, label, 0};

    const struct certlayout_item *item =
        bsearch(&wanted, first, bundle->head.item_count, sizeof(*first), compare_label);
    return item != NULL ? (uint32_t)(item - first) : CERTBUNDLE_NONE;
}

/* What serves all names that the default entry has, beside it. */
static void choose_fallback(struct certbundle *bundle)
{
    struct certbundle_choice *fallback = &bundle->fallback;
    struct certbundle_choice own, wildcard;
    struct certbundle_entry entry;

    memset(fallback, 0xff, sizeof(*fallback));
    if (!certbundle_entry(bundle, 0, &entry))
        return;
    const enum certbundle_kind other =
        entry.kind == CERTBUNDLE_RSA ? CERTBUNDLE_ECDSA : CERTBUNDLE_RSA;
    const char *name = entry.names.octets;
    for (size_t done = 0, length; done < entry.names.length; done += length + 1) {
        length = strlen(name + done);
        find_name(&(struct wanted){bundle, name + done, length}, &own);
        find_wildcard(bundle, name + done, length, &wildcard);
        uint32_t serves =
            own.entries[other] != CERTBUNDLE_NONE ? own.entries[other] : wildcard.entries[other];
        if (done > 0 && serves != fallback->entries[other])
            serves = CERTBUNDLE_NONE;
        fallback->entries[other] = serves;
        if (serves == CERTBUNDLE_NONE)
            break;
    }
    fallback->entries[entry.kind] = 0;
}

struct certbundle *certbundle_open(int fd)
{
    struct certlayout_head head;
    uint64_t at;

    if (certlayout_read_head(fd, &at, &head) < 0)
        return NULL;
    void *base = mmap(NULL, head.length, PROT_READ, MAP_SHARED, fd, (off_t)head.start);
    if (base == MAP_FAILED)
        return NULL;
    (void)madvise(base, head.length, MADV_DONTDUMP);
    struct certbundle *bundle = xcalloc(1, sizeof(*bundle));
    bundle->at = at;
    bundle->head = head;
    bundle->base = base;
    choose_fallback(bundle);
    return bundle;
}
