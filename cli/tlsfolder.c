#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "cli/instance.h"
#include "cli/tlsfolder.h"
#include "cli/tlskey.h"
#include "lib/xalloc.h"

/* A file can change twice within one tick of its clock, so who has just changed is read again. */
#define SETTLED_SECONDS 2

/* How long before its end a certificate is remarked on: certbot renews 30 days before, again and
 * again. One that lives for days only is renewed later, hence less than a quarter of its time. */
#define SOON_DAYS 14

struct reading {
    struct certwriter *writer;
    const struct certbundle *old;
    void (*bad)(void *context, const char *label, const char *sentence, bool kept);
    void *context;
};

/* Where one certificate is. */
struct place {
    const char *label;
    char *certificate;
    char *key;
    uint8_t stamp[CERTBUNDLE_STAMP_SIZE]; /* zeros: cannot be told */
};

static bool is_there(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 || errno == EACCES;
}

static bool stamp_file(crypto_generichash_state *state, const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0 || time(NULL) - status.st_ctim.tv_sec < SETTLED_SECONDS)
        return false;
    crypto_generichash_update(state, (void *)&status.st_dev, sizeof(status.st_dev));
    crypto_generichash_update(state, (void *)&status.st_ino, sizeof(status.st_ino));
    crypto_generichash_update(state, (void *)&status.st_size, sizeof(status.st_size));
    crypto_generichash_update(state, (void *)&status.st_mtim, sizeof(status.st_mtim));
    crypto_generichash_update(state, (void *)&status.st_ctim, sizeof(status.st_ctim));
    return true;
}

static void place_init(struct place *place, const char *label)
{
    crypto_generichash_state state;

    memset(place, 0, sizeof(*place));
    place->label = label;
    place->certificate = xasprintf("%s/fullchain.pem", label);
    bool certbot = strcmp(label, INSTANCE_TLS) != 0 && is_there(place->certificate);
    if (!certbot) {
        free(place->certificate);
        place->certificate = xasprintf("%s/cert.pem", label);
    }
    place->key = xasprintf("%s/%s", label, certbot ? "privkey.pem" : "key.pem");
    crypto_generichash_init(&state, NULL, 0, sizeof(place->stamp));
    if (stamp_file(&state, place->certificate) && stamp_file(&state, place->key))
        crypto_generichash_final(&state, place->stamp, sizeof(place->stamp));
}

static void place_fini(struct place *place)
{
    free(place->certificate);
    free(place->key);
}

/* What was there before under this label. */
static bool find_old(const struct reading *reading, const struct place *place,
                     struct certbundle_entry *entry_r)
{
    uint32_t number =
        reading->old != NULL ? certbundle_labelled(reading->old, place->label) : CERTBUNDLE_NONE;

    return number != CERTBUNDLE_NONE && certbundle_entry(reading->old, number, entry_r);
}

static int load(const struct place *place, struct certbundle_entry *entry_r, char *error_r,
                size_t error_size)
{
    if (tlskey_load(entry_r, place->certificate, place->key, error_r, error_size) < 0)
        return -1;
    if (entry_r->names.length == 0 && strcmp(place->label, INSTANCE_TLS) != 0) {
        tlskey_wipe(entry_r);
        snprintf(error_r, error_size,
                 "the certificate in %s names no host in its subjectAltName, so no client would "
                 "get it; get one that does",
                 place->certificate);
        return -1;
    }
    entry_r->label = place->label;
    memcpy(entry_r->stamp, place->stamp, sizeof(entry_r->stamp));
    return 0;
}

/* Returns 0, or -1 when the place gave nothing. */
static int read_place(const struct reading *reading, const struct place *place)
{
    struct certbundle_entry entry;
    char error[1024];

    bool known = find_old(reading, place, &entry);
    if (known && memcmp(entry.stamp, place->stamp, sizeof(entry.stamp)) == 0 &&
        !sodium_is_zero(place->stamp, sizeof(place->stamp))) {
        certwriter_add(reading->writer, &entry);
        return 0;
    }
    struct certbundle_entry fresh;
    if (load(place, &fresh, error, sizeof(error)) == 0) {
        certwriter_add(reading->writer, &fresh);
        tlskey_wipe(&fresh);
        return 0;
    }
    reading->bad(reading->context, place->label, error, known);
    if (known)
        certwriter_add(reading->writer, &entry);
    return known ? 0 : -1;
}

static int read_labelled(const struct reading *reading, const char *label)
{
    struct place place;

    place_init(&place, label);
    int result = read_place(reading, &place);
    place_fini(&place);
    return result;
}

/* A link to nothing counts, so that somebody is told. */
static int is_folder(const struct dirent *entry)
{
    struct stat status;

    if (entry->d_name[0] == '.')
        return 0;
    char *path = xasprintf(INSTANCE_TLS "/%s", entry->d_name);
    int result = stat(path, &status) < 0 || S_ISDIR(status.st_mode);
    free(path);
    return result;
}

static int compare(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

int tlsfolder_read(struct certwriter *writer, const struct certbundle *old,
                   void (*bad)(void *context, const char *label, const char *sentence, bool kept),
                   void *context)
{
    const struct reading reading = {writer, old, bad, context};
    struct dirent **entries = NULL;

    int result = read_labelled(&reading, INSTANCE_TLS);
    int count = scandir(INSTANCE_TLS, &entries, is_folder, compare);
    if (count < 0) {
        char *sentence = xasprintf("cannot look for certificates in " INSTANCE_TLS ": %s; the user "
                                   "of bellhop serve must be able to read it",
                                   strerror(errno));
        bad(context, INSTANCE_TLS, sentence, false);
        free(sentence);
    }
    for (int i = 0; i < count; i++) {
        char *label = xasprintf(INSTANCE_TLS "/%s", entries[i]->d_name);
        (void)read_labelled(&reading, label);
        free(label);
        free(entries[i]);
    }
    free(entries);
    return result;
}

static bool expiry_remark(const struct certbundle_entry *entry, int64_t now, char *text_r,
                          size_t size)
{
    const int64_t left = entry->not_after - now;
    const int64_t day = 24L * 3600;
    const int64_t days = (left + day - 1) / day;

    if (left <= 0)
        snprintf(text_r, size, "it has expired, so mail programs refuse it; renew it");
    else if (now < entry->not_before)
        snprintf(text_r, size,
                 "it is not valid yet, so mail programs refuse it; check this "
                 "machine's clock");
    else if (left < SOON_DAYS * day && left < (entry->not_after - entry->not_before) / 4)
        snprintf(text_r, size, "it expires in %" PRId64 " day%s; renew it", days,
                 days == 1 ? "" : "s");
    else
        return false;
    return true;
}

/* The default one stands back for every other without a word. */
static bool rival_remark(const struct certbundle *bundle, uint32_t number,
                         const struct certbundle_entry *entry, int64_t now, char *text_r,
                         size_t size)
{
    const char *names = entry->names.octets;
    struct certbundle_choice choice;
    struct certbundle_entry rival;

    for (size_t done = 0, length; number > 0 && done < entry->names.length; done += length + 1) {
        length = strlen(names + done);
        (void)certbundle_find(bundle, names + done, length, now, &choice);
        const uint32_t other = choice.entries[entry->kind];
        if (other != number && other != CERTBUNDLE_NONE &&
            certbundle_entry(bundle, other, &rival)) {
            snprintf(text_r, size,
                     "%s is served with %s, which was issued later; remove one of "
                     "the two",
                     names + done, rival.label);
            return true;
        }
    }
    return false;
}

bool tlsfolder_remark(const struct certbundle *bundle, uint32_t number, int64_t now, char *text_r,
                      size_t size)
{
    struct certbundle_entry entry;

    return certbundle_entry(bundle, number, &entry) &&
           (expiry_remark(&entry, now, text_r, size) ||
            rival_remark(bundle, number, &entry, now, text_r, size));
}
