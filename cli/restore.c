/*
 * bellhop restore: fills an empty instance from a backup and those that build on it. Everything is
 * read and checked before anything is changed. Then a mark stands in the instance until all is
 * durable; while it stands nothing but another restore may enter it.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/archive.h"
#include "cli/command.h"
#include "cli/file.h"
#include "cli/interrupt.h"
#include "cli/lock.h"
#include "cli/progress.h"
#include "cli/sibling.h"
#include "db/customer.h"
#include "db/db.h"
#include "db/drop.h"
#include "db/image.h"
#include "db/webhook.h"
#include "lib/dump.h"
#include "lib/xalloc.h"

struct restore {
    struct archive *archives; /* as named: the whole one first */
    int count;
    bool progress;
    struct db_image accounts; /* of the last one */
    size_t accounts_room;
    struct dump_contents contents;
    struct sibling load;
    struct progress *shown;
    struct dump_frame frame;
    void *payload; /* DUMP_FRAME_MAX octets */
    struct dump_end done;
    char error[ARCHIVE_ERROR_SIZE];
};

static int parse(struct restore *restore, int argc, char **argv)
{
    static const struct option options[] = {{"progress", no_argument, NULL, 'p'}, {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        restore->progress = true;
    }
    if (command_arguments(argc, argv, 1, argc) != 0)
        return EXIT_USAGE;
    restore->count = argc - optind;
    return EXIT_DONE;
}

/* --- before anything is changed --------------------------------------------------------------- */

static int open_archives(struct restore *restore, char **names)
{
    restore->archives = xcalloc((size_t)restore->count, sizeof(*restore->archives));
    for (int i = 0; i < restore->count; i++)
        if (archive_open(&restore->archives[i], names[i], restore->error) < 0)
            return refuse("%s", restore->error);
    return EXIT_DONE;
}

/* Each backup but the first builds on the one before it. */
static int check_chain(const struct restore *restore)
{
    const struct archive *archives = restore->archives;

    if (!archive_is_whole(&archives[0].header))
        return refuse("%s holds only what was new: name the whole backup first, then those that "
                      "build on it, in their order",
                      archives[0].name);
    for (int i = 1; i < restore->count; i++) {
        if (archive_is_whole(&archives[i].header))
            return refuse("%s is a whole backup: restore it without those before it",
                          archives[i].name);
        if (memcmp(archives[i].header.base, archives[i - 1].header.id, ARCHIVE_ID_SIZE) != 0)
            return refuse("%s does not build on %s: another backup between them is missing, or "
                          "they are not in their order",
                          archives[i].name, archives[i - 1].name);
    }
    return EXIT_DONE;
}

static void take_accounts(struct restore *restore)
{
    struct db_image *image = &restore->accounts;

    if (image->length + restore->frame.length > restore->accounts_room) {
        restore->accounts_room = 2 * (image->length + restore->frame.length);
        image->octets = xrealloc(image->octets, restore->accounts_room);
    }
    memcpy(image->octets + image->length, restore->payload, restore->frame.length);
    image->length += restore->frame.length;
}

static int next_frame(struct restore *restore, struct archive *archive)
{
    uint64_t before = archive_position(archive);
    int more = archive_next(archive, 0, &restore->frame, restore->payload, restore->error);

    progress_add(restore->shown, archive_position(archive) - before);
    return more;
}

/* Reads one file whole. Returns EXIT_DONE or refuses. */
static int check_archive(struct restore *restore, struct archive *archive, bool newest)
{
    int more;

    while ((more = next_frame(restore, archive)) > 0) {
        if (interrupted())
            return refuse("interrupted; nothing was changed");
        if (newest && restore->frame.type == DUMP_ACCOUNTS)
            take_accounts(restore);
        if (newest && restore->frame.type == DUMP_CONTENTS &&
            restore->frame.length == sizeof(restore->contents))
            memcpy(&restore->contents, restore->payload, sizeof(restore->contents));
    }
    if (more < 0)
        return refuse("%s; nothing was changed", restore->error);
    archive_rewind(archive);
    return EXIT_DONE;
}

static uint64_t octets_to_read(const struct restore *restore)
{
    uint64_t total = 0;

    for (int i = 0; i < restore->count; i++)
        total += restore->archives[i].size - archive_position(&restore->archives[i]);
    return total;
}

static int check_archives(struct restore *restore)
{
    int result = check_chain(restore);

    if (result != EXIT_DONE)
        return result;
    restore->shown =
        progress_begin("checking", PROGRESS_OCTETS, octets_to_read(restore), restore->progress);
    for (int i = 0; i < restore->count && result == EXIT_DONE; i++)
        result = check_archive(restore, &restore->archives[i], i == restore->count - 1);
    progress_end(restore->shown);
    restore->shown = NULL;
    if (result == EXIT_DONE &&
        db_image_check(&restore->accounts, restore->error, sizeof(restore->error)) < 0)
        result = refuse("%s; nothing was changed", restore->error);
    return result;
}

/* --- the instance ----------------------------------------------------------------------------- */

static bool has_accounts(struct db *db)
{
    struct db_customer customer = {0};
    uint64_t mailbox;

    return db_customer_next(db, &customer) != DB_NONE || db_drop_next(db, 0, &mailbox) != DB_NONE;
}

/* Mail leaves a segment, also when it has been deleted since. */
static bool has_mail(void)
{
    DIR *folder = opendir(INSTANCE_STORE);
    struct dirent *entry;
    bool found = folder == NULL;

    while (!found && (entry = readdir(folder)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        found = end != NULL && strcmp(end, ".seg") == 0;
    }
    if (folder != NULL)
        closedir(folder);
    return found;
}

static int check_empty(struct restore *restore, const struct instance *instance)
{
    if (file_exists(INSTANCE_UNFINISHED))
        return EXIT_DONE;
    struct db *db = db_open(INSTANCE_DATABASE, DB_READ, restore->error, sizeof(restore->error));
    if (db == NULL)
        return refuse("%s: %s", instance->directory, restore->error);
    bool accounts = has_accounts(db);
    db_close(db);
    if (accounts || has_mail())
        return refuse(
            "%s holds %s already: restore into an instance that \"bellhop init\" has just "
            "made",
            instance->directory, accounts ? "accounts" : "mail");
    return EXIT_DONE;
}

static int set_mark(void)
{
    FILE *file = file_begin(INSTANCE_UNFINISHED, 0600);

    if (file == NULL || file_end(file, INSTANCE_UNFINISHED) < 0)
        return refuse("cannot write " INSTANCE_UNFINISHED ": %s; nothing was changed",
                      strerror(errno));
    return EXIT_DONE;
}

static int take_mark(void)
{
    if (file_remove(INSTANCE_UNFINISHED) < 0)
        return refuse("everything is restored, but " INSTANCE_UNFINISHED " cannot be removed: %s",
                      strerror(errno));
    return EXIT_DONE;
}

static int enter(struct restore *restore, struct instance *instance)
{
    instance->restoring = true;
    if (instance_enter(instance) < 0)
        return EXIT_REFUSED;
    /* Held until this process ends: nobody serves what is being made. */
    if (lock_take(INSTANCE_LOCK, restore->error, sizeof(restore->error)) < 0)
        return refuse("%s", restore->error);
    return check_empty(restore, instance);
}

/* --- filling it ------------------------------------------------------------------------------- */

static int load_failed(void)
{
    if (interrupted())
        return refuse("interrupted: the instance is not whole; run the same command again");
    return refuse("the restore failed, as the line above says: the instance is not whole; run the "
                  "same command again");
}

/* What is to be comes from the newest file, the bodies from all, newest first. */
static bool belongs(const struct restore *restore, bool newest)
{
    uint32_t type = restore->frame.type;

    return type == DUMP_BODIES || (newest && (type == DUMP_MAILBOXES || type == DUMP_MANIFEST));
}

static int feed_archive(struct restore *restore, struct archive *archive, bool newest)
{
    int more;

    while ((more = next_frame(restore, archive)) > 0) {
        if (interrupted())
            return load_failed();
        if (belongs(restore, newest) && dump_send(restore->load.to, restore->frame.type,
                                                  restore->payload, restore->frame.length) < 0)
            return load_failed();
    }
    if (more < 0)
        return refuse("%s; the instance is not whole, restore it again", restore->error);
    return EXIT_DONE;
}

static int feed(struct restore *restore)
{
    int result = EXIT_DONE;

    restore->shown =
        progress_begin("restore", PROGRESS_OCTETS, octets_to_read(restore), restore->progress);
    for (int i = restore->count - 1; i >= 0 && result == EXIT_DONE; i--)
        result = feed_archive(restore, &restore->archives[i], i == restore->count - 1);
    progress_end(restore->shown);
    restore->shown = NULL;
    if (result != EXIT_DONE)
        return result;
    if (dump_send(restore->load.to, DUMP_END, NULL, 0) < 0 ||
        dump_receive(restore->load.from, &restore->frame, restore->payload) <= 0 ||
        restore->frame.type != DUMP_END || restore->frame.length != sizeof(restore->done))
        return load_failed();
    memcpy(&restore->done, restore->payload, sizeof(restore->done));
    return EXIT_DONE;
}

static int load_store(struct restore *restore, const struct instance *instance)
{
    char *size = xasprintf("%" PRIu64, instance->conf.segment_size);
    char *arguments[] = {"stored", "load", size, NULL};

    int started = sibling_start(&restore->load, arguments);
    int reason = errno;
    free(size);
    if (started < 0)
        return refuse("cannot run the program stored: %s; install Bellhop whole", strerror(reason));
    int result = feed(restore);
    if (sibling_end(&restore->load) < 0 && result == EXIT_DONE)
        result = load_failed();
    return result;
}

/*
 * The instance that the backup is of may go on, and this one be a trial: nobody outside is told
 * anything before somebody says so.
 */
static int disable_webhooks(const struct instance *instance, bool *any_r)
{
    struct db_webhook webhook = {0};
    struct db *db = instance_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    enum db_result result = db_operator_webhook_next(db, &webhook);
    *any_r = result == DB_OK;
    if (*any_r)
        result = db_webhook_disable_all(db);
    db_close(db);
    return result == DB_OK || result == DB_NONE
               ? EXIT_DONE
               : refuse("the webhooks cannot be switched off, as the line above says; restore the "
                        "instance again");
}

static int report(const struct restore *restore, const struct instance *instance, bool webhooks)
{
    printf("%s: restored all accounts and mail (messages: %" PRIu64 ")\n", instance->directory,
           restore->done.messages);
    puts("bellhop.conf, tls/ and texts/ were not in the backup: put your copies of them in place, "
         "then start the service");
    if (webhooks)
        puts("webhooks are off: \"bellhop webhook list\" shows them, and \"bellhop webhook enable "
             "ID\" has one told again what happens");
    if (restore->done.damaged == 0)
        return EXIT_DONE;
    return refuse("messages that were damaged when the backup was made, named above, are missing "
                  "(%" PRIu64 "); all else is restored",
                  restore->done.damaged);
}

static int fill(struct restore *restore, struct instance *instance)
{
    int result = set_mark();
    bool webhooks = false;

    if (result == EXIT_DONE)
        result = load_store(restore, instance);
    if (result == EXIT_DONE && db_image_restore(&restore->accounts, INSTANCE_DATABASE,
                                                restore->error, sizeof(restore->error)) < 0)
        result = refuse("%s; the instance is not whole, restore it again", restore->error);
    if (result == EXIT_DONE)
        result = disable_webhooks(instance, &webhooks);
    if (result == EXIT_DONE)
        result = take_mark();
    return result == EXIT_DONE ? report(restore, instance, webhooks) : result;
}

int restore_main(struct instance *instance, int argc, char **argv)
{
    struct restore restore = {0};

    int result = parse(&restore, argc, argv);
    if (result != EXIT_DONE)
        return result;
    interrupt_watch();
    restore.payload = xmalloc(DUMP_FRAME_MAX);
    result = open_archives(&restore, argv + optind);
    if (result == EXIT_DONE)
        result = check_archives(&restore);
    if (result == EXIT_DONE)
        result = enter(&restore, instance);
    if (result == EXIT_DONE)
        result = fill(&restore, instance);
    for (int i = 0; i < restore.count; i++)
        archive_close(&restore.archives[i]);
    free(restore.archives);
    db_image_free(&restore.accounts);
    free(restore.payload);
    return result;
}
