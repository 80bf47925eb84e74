/* bellhop certificate list */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/listing.h"
#include "cli/tlsfolder.h"
#include "lib/xalloc.h"

static const struct listing_column columns[] = {{"path", "PATH", LISTING_TEXT},
                                                {"key", "KEY", LISTING_TEXT},
                                                {"default", "DEFAULT", LISTING_TEXT},
                                                {"expires", "EXPIRES", LISTING_TIME},
                                                {"names", "NAMES", LISTING_TEXT},
                                                {"remark", "REMARK", LISTING_TEXT},
                                                {0}};

struct list {
    json_t *rows;
    bool json;
    bool has_default;
    unsigned bad;
};

static void on_bad(void *context, const char *label, const char *sentence, bool kept)
{
    struct list *list = context;
    (void)kept;

    json_array_append_new(list->rows,
                          json_pack("{ss sb sn sn so sn sn ss}", "path", label, "usable", 0, "key",
                                    "default", "names", list->json ? json_array() : json_null(),
                                    "issued", "expires", "remark", sentence));
    list->bad++;
}

/* An array, or for a table a text. */
static json_t *names_of(const struct certbundle_entry *entry, bool json)
{
    const char *names = entry->names.octets;
    json_t *array = json_array();
    char *text = xstrdup("");

    for (size_t done = 0; done < entry->names.length; done += strlen(names + done) + 1) {
        char *longer = xasprintf("%s%s%s", text, done > 0 ? " " : "", names + done);
        free(text);
        text = longer;
        json_array_append_new(array, json_string(names + done));
    }
    json_t *result = json                      ? json_incref(array)
                     : entry->names.length > 0 ? json_string(text)
                                               : json_null();
    json_decref(array);
    free(text);
    return result;
}

static void add_entry(struct list *list, const struct certbundle *bundle, uint32_t number)
{
    const int64_t now = time(NULL);
    const struct certbundle_choice fallback = certbundle_default(bundle, now);
    struct certbundle_entry entry;
    char remark[1024];

    if (!certbundle_entry(bundle, number, &entry))
        return;
    bool remarked = tlsfolder_remark(bundle, number, now, remark, sizeof(remark));
    json_array_append_new(list->rows,
                          json_pack("{ss sb ss sb so so so so}", "path", entry.label, "usable", 1,
                                    "key", certbundle_kind_text(entry.kind), "default",
                                    list->has_default && fallback.entries[entry.kind] == number,
                                    "names", names_of(&entry, list->json), "issued",
                                    listing_time((uint64_t)entry.not_before), "expires",
                                    listing_time((uint64_t)entry.not_after), "remark",
                                    remarked ? json_string(remark) : json_null()));
}

/* By the bundle that the supervisor would make of the files, so that what is told is what counts.
 */
static int read_all(struct list *list)
{
    int fd = memfd_create("certificates", MFD_CLOEXEC);
    struct certwriter *writer = certwriter_begin(fd);

    list->has_default = tlsfolder_read(writer, NULL, on_bad, list) == 0;
    int result = certwriter_end(writer, time(NULL));
    struct certbundle *bundle = result == 0 ? certbundle_open(fd) : NULL;
    for (uint32_t i = 0; bundle != NULL && i < certbundle_count(bundle); i++)
        add_entry(list, bundle, i);
    certbundle_close(bundle);
    close(fd);
    return result;
}

int certificate_list_main(struct instance *instance, int argc, char **argv)
{
    struct list list = {.bad = 0};

    if (command_json(argc, argv, &list.json) != 0 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    if (instance_enter(instance) < 0)
        return EXIT_REFUSED;
    list.rows = json_array();
    if (read_all(&list) < 0) {
        json_decref(list.rows);
        return refuse("cannot read the certificates: out of memory");
    }
    listing_print(list.rows, columns, list.json);
    return list.bad == 0
               ? EXIT_DONE
               : refuse("%u of the certificates cannot be used, see the remarks", list.bad);
}
