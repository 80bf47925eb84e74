/*
 * bellhop backup: one moment of an instance in one file. The moment is made by three steps while
 * accounts.db is kept from changing: `stored dump`, which holds the store as it is, takes a
 * snapshot of its index, and then a second connection takes one of the accounts. What follows reads
 * from the two snapshots.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/archive.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/number.h"
#include "cli/progress.h"
#include "cli/sibling.h"
#include "db/db.h"
#include "db/image.h"
#include "db/transaction.h"
#include "lib/dump.h"
#include "lib/xalloc.h"

struct backup {
    const char *file, *since;
    bool progress;
    struct archive base;
    struct dump_contents base_contents;
    struct dump_mailbox *base_mailboxes;
    size_t base_count;
    struct archive_writer *writer;
    struct sibling dump;
    struct db_image accounts;
    struct dump_frame frame;
    void *payload; /* DUMP_FRAME_MAX octets */
    struct dump_contents contents;
    struct progress *shown;
    struct dump_end end;
    uint64_t octets; /* of all frames */
    char error[ARCHIVE_ERROR_SIZE];
};

static int parse(struct backup *backup, int argc, char **argv)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'}, {"progress", no_argument, NULL, 'p'}, {0}};
    int option;

    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 's': backup->since = optarg; break;
        case 'p': backup->progress = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    backup->file = argv[optind];
    return EXIT_DONE;
}

/* --- the backup that this one builds on ------------------------------------------------------- */

static void take_base_frame(struct backup *backup)
{
    size_t count = backup->frame.length / sizeof(struct dump_mailbox);

    if (backup->frame.type == DUMP_CONTENTS &&
        backup->frame.length == sizeof(backup->base_contents))
        memcpy(&backup->base_contents, backup->payload, sizeof(backup->base_contents));
    if (backup->frame.type != DUMP_MAILBOXES || count == 0)
        return;
    backup->base_mailboxes = xrealloc(backup->base_mailboxes, (backup->base_count + count) *
                                                                  sizeof(*backup->base_mailboxes));
    memcpy(backup->base_mailboxes + backup->base_count, backup->payload,
           count * sizeof(*backup->base_mailboxes));
    backup->base_count += count;
}

/* Reads what it knew of each mailbox. The mail in it is passed over, and so not checked. */
static int read_base(struct backup *backup)
{
    int more;

    if (backup->since == NULL)
        return EXIT_DONE;
    if (archive_open(&backup->base, backup->since, backup->error) < 0)
        return refuse("%s", backup->error);
    while ((more = archive_next(&backup->base, DUMP_BODIES, &backup->frame, backup->payload,
                                backup->error)) > 0)
        take_base_frame(backup);
    if (more < 0)
        return refuse("%s", backup->error);
    if (backup->base_count != backup->base_contents.mailboxes)
        return refuse("%s is damaged; take another copy of it", backup->since);
    return EXIT_DONE;
}

/* --- the moment ------------------------------------------------------------------------------- */

static int dump_failed(const struct backup *backup)
{
    if (interrupted())
        return refuse("interrupted; nothing is left of %s", backup->file);
    return refuse("the backup was not made, as the line above says; nothing is left of %s",
                  backup->file);
}

/* Waits for the frame with which the dump tells how far it is. */
static int await(struct backup *backup, enum dump_type type)
{
    if (dump_receive(backup->dump.from, &backup->frame, backup->payload) <= 0 ||
        backup->frame.type != type)
        return dump_failed(backup);
    return EXIT_DONE;
}

static int start_dump(struct backup *backup)
{
    char *arguments[] = {"stored", "dump", NULL};
    struct dump_writer writer;

    if (sibling_start(&backup->dump, arguments) < 0)
        return refuse("cannot run the program stored: %s; install Bellhop whole", strerror(errno));
    dump_writer_init(&writer, backup->dump.to);
    int result = 0;
    if (backup->since != NULL)
        result = dump_write(&writer, DUMP_CONTENTS, &backup->base_contents,
                            sizeof(backup->base_contents));
    for (size_t i = 0; i < backup->base_count && result == 0; i++)
        result = dump_write(&writer, DUMP_MAILBOXES, &backup->base_mailboxes[i],
                            sizeof(backup->base_mailboxes[i]));
    if (result == 0)
        result = dump_flush(&writer);
    dump_writer_fini(&writer);
    return result == 0 ? await(backup, DUMP_READY) : dump_failed(backup);
}

static int take_snapshots(struct backup *backup, struct db *db, struct db_snapshot **accounts_r)
{
    enum db_result locked = db_transaction_begin(db);

    if (locked != DB_OK)
        return refuse("the account database is %s; try again",
                      locked == DB_BUSY ? "being changed" : "not in order");
    int result = dump_send(backup->dump.to, DUMP_GO, NULL, 0) < 0 ? dump_failed(backup)
                                                                  : await(backup, DUMP_SNAPSHOT);
    if (result == EXIT_DONE) {
        *accounts_r = db_snapshot_open(INSTANCE_DATABASE, backup->error, sizeof(backup->error));
        if (*accounts_r == NULL)
            result = refuse("%s", backup->error);
    }
    db_transaction_rollback(db);
    return result;
}

static int take_accounts(struct backup *backup, struct db *db)
{
    struct db_snapshot *snapshot = NULL;

    int result = take_snapshots(backup, db, &snapshot);
    if (result == EXIT_DONE &&
        db_snapshot_read(snapshot, &backup->accounts, backup->error, sizeof(backup->error)) < 0)
        result = refuse("%s", backup->error);
    db_snapshot_close(snapshot);
    return result;
}

/* --- the file --------------------------------------------------------------------------------- */

static int add(struct backup *backup, const void *payload)
{
    if (interrupted())
        return refuse("interrupted; nothing is left of %s", backup->file);
    if (archive_add(backup->writer, &backup->frame, payload, backup->error) < 0)
        return refuse("%s; nothing is left of it", backup->error);
    backup->octets += backup->frame.length;
    return EXIT_DONE;
}

static int add_accounts(struct backup *backup)
{
    int result = EXIT_DONE;

    for (size_t done = 0; result == EXIT_DONE && done < backup->accounts.length;) {
        size_t left = backup->accounts.length - done;
        size_t length = left < DUMP_FRAME_MAX ? left : DUMP_FRAME_MAX;
        backup->frame = (struct dump_frame){DUMP_ACCOUNTS, (uint32_t)length};
        result = add(backup, backup->accounts.octets + done);
        done += length;
    }
    return result;
}

static int take_contents(struct backup *backup)
{
    if (backup->frame.length != sizeof(backup->contents))
        return dump_failed(backup);
    memcpy(&backup->contents, backup->payload, sizeof(backup->contents));
    if (backup->since != NULL && memcmp(backup->contents.store, backup->base_contents.store,
                                        sizeof(backup->contents.store)) != 0)
        return refuse("%s is a backup of another instance, or of this one before it was restored: "
                      "make a whole one, without --since",
                      backup->since);
    backup->shown =
        progress_begin("backup", PROGRESS_OCTETS, backup->contents.octets, backup->progress);
    return EXIT_DONE;
}

static int add_mail(struct backup *backup)
{
    for (;;) {
        if (dump_receive(backup->dump.from, &backup->frame, backup->payload) <= 0)
            return dump_failed(backup);
        if (backup->frame.type == DUMP_END)
            break;
        int result = EXIT_DONE;
        if (backup->frame.type == DUMP_CONTENTS)
            result = take_contents(backup);
        if (result == EXIT_DONE)
            result = add(backup, backup->payload);
        if (result != EXIT_DONE)
            return result;
        if (backup->frame.type == DUMP_BODIES)
            progress_add(backup->shown, backup->frame.length);
    }
    if (backup->frame.length != sizeof(backup->end))
        return dump_failed(backup);
    memcpy(&backup->end, backup->payload, sizeof(backup->end));
    return EXIT_DONE;
}

/* --- all of it -------------------------------------------------------------------------------- */

static int fill(struct backup *backup, struct instance *instance)
{
    struct db *db = instance_open_database(instance);

    if (db == NULL)
        return EXIT_REFUSED;
    int result = start_dump(backup);
    if (result == EXIT_DONE)
        result = take_accounts(backup, db);
    db_close(db);
    if (result == EXIT_DONE)
        result = add_accounts(backup);
    if (result == EXIT_DONE)
        result = add_mail(backup);
    progress_end(backup->shown);
    if (backup->dump.pid != 0 && sibling_end(&backup->dump) < 0 && result == EXIT_DONE)
        result = dump_failed(backup);
    return result;
}

static int report(const struct backup *backup)
{
    char size[NUMBER_SIZE_TEXT];

    number_format_size(backup->octets, size);
    if (backup->since != NULL)
        printf("%s: %s, new messages: %" PRIu64 "; with %s and what that builds on, all accounts "
               "and mail (messages: %" PRIu64 ")\n",
               backup->file, size, backup->end.messages, backup->since,
               backup->contents.messages - backup->end.damaged);
    else
        printf("%s: %s, all accounts and mail (messages: %" PRIu64 ")\n", backup->file, size,
               backup->end.messages);
    puts("bellhop.conf, tls/ and texts/ are not in it: keep copies of them as well");
    if (backup->end.damaged == 0)
        return EXIT_DONE;
    return refuse("damaged messages, named above, are not in it (%" PRIu64 "); all else is",
                  backup->end.damaged);
}

static int make(struct backup *backup, struct instance *instance)
{
    int result = read_base(backup);

    if (result != EXIT_DONE)
        return result;
    interrupt_watch();
    backup->writer = archive_create(
        backup->file, backup->since != NULL ? &backup->base.header : NULL, backup->error);
    if (backup->writer == NULL)
        return refuse("%s", backup->error);
    result = fill(backup, instance);
    if (result != EXIT_DONE) {
        archive_cancel(backup->writer);
        return result;
    }
    if (archive_finish(backup->writer, &backup->end, backup->error) < 0)
        return refuse("%s", backup->error);
    return report(backup);
}

int backup_main(struct instance *instance, int argc, char **argv)
{
    struct backup backup = {.payload = NULL};

    int result = parse(&backup, argc, argv);
    if (result != EXIT_DONE)
        return result;
    backup.payload = xmalloc(DUMP_FRAME_MAX);
    result = make(&backup, instance);
    archive_close(&backup.base);
    db_image_free(&backup.accounts);
    free(backup.base_mailboxes);
    free(backup.payload);
    return result;
}
