#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "cli/command.h"
#include "cli/target.h"
#include "lib/xalloc.h"

/* Files that get their names together, after one sync of them all. */
#define BATCH        1000
#define BATCH_OCTETS (64 * 1024 * 1024)

/* It says whose export this is, and that it is not finished. */
#define MARKER "bellhop-export"

#define UIDLIST "dovecot-uidlist"

/* A message's file; its name without the sizes is made of what the store says of the message. */
struct file {
    char *name;
    char *unique_id; /* NULL: of an earlier run, and not met yet */
    UT_hash_handle hh;
    size_t key_length;
};

struct maildir {
    struct target target; /* first: the target's functions find the maildir by it */
    const char *path;
    int fd, tmp, new, marker;
    struct file *files;  /* by their names without the sizes */
    struct file **order; /* as in the mailbox */
    size_t count, room;
    size_t flushed;        /* of `order`: those before have their names */
    uint64_t batch_octets; /* written since */
    uint64_t first_time;   /* seconds, of the first message */
    /* The message in hand. */
    int file;
    char temporary[64];
    uint64_t octets;
};

static int failed(const struct maildir *maildir, const char *what)
{
    refuse("cannot %s in %s: %s", what, maildir->path, strerror(errno));
    return -1;
}

/* --- names ------------------------------------------------------------------------------------ */

static size_t format_key(const struct export_message *message, char key_r[64])
{
    return (size_t)snprintf(key_r, 64, "%" PRIu64 ".M%06" PRIu64 "Q%" PRIu64 ".bellhop",
                            message->time / 1000000, message->time % 1000000, message->uid);
}

static struct file *find(struct maildir *maildir, const struct export_message *message)
{
    struct file *file;
    char key[64];
    size_t length = format_key(message, key);

    HASH_FIND(hh, maildir->files, key, length, file);
    return file;
}

static struct file *add_file(struct maildir *maildir, const char *name)
{
    struct file *file = xcalloc(1, sizeof(*file));

    file->name = xstrdup(name);
    file->key_length = strcspn(name, ",:");
    HASH_ADD_KEYPTR(hh, maildir->files, file->name, file->key_length, file);
    return file;
}

/* The next of the mailbox's messages is in this file. */
static void append(struct maildir *maildir, struct file *file, const struct export_message *message)
{
    if (maildir->count == maildir->room) {
        maildir->room = maildir->room > 0 ? 2 * maildir->room : 256;
        maildir->order = xrealloc(maildir->order, maildir->room * sizeof(struct file *));
    }
    if (maildir->count == 0)
        maildir->first_time = message->time / 1000000;
    free(file->unique_id);
    file->unique_id = xstrdup(message->unique_id);
    maildir->order[maildir->count++] = file;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* What is written becomes durable, and only then gets its name in new/. */
static int flush_batch(struct maildir *maildir)
{
    if (maildir->batch_octets > 0 && syncfs(maildir->tmp) < 0)
        return failed(maildir, "sync the files");
    for (; maildir->flushed < maildir->count; maildir->flushed++) {
        const char *name = maildir->order[maildir->flushed]->name;
        /* ENOENT: an earlier run has done so. */
        if (renameat(maildir->tmp, name, maildir->new, name) < 0 && errno != ENOENT)
            return failed(maildir, "name a file");
    }
    maildir->batch_octets = 0;
    return 0;
}

static bool has(struct target *target, const struct export_message *message)
{
    struct maildir *maildir = (struct maildir *)target;
    struct file *file = find(maildir, message);

    if (file != NULL)
        append(maildir, file, message);
    return file != NULL;
}

static int begin(struct target *target, const struct export_message *message)
{
    struct maildir *maildir = (struct maildir *)target;

    format_key(message, maildir->temporary);
    unlinkat(maildir->tmp, maildir->temporary, 0);
    maildir->octets = 0;
    maildir->file = openat(maildir->tmp, maildir->temporary,
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return maildir->file >= 0 ? 0 : failed(maildir, "make a file");
}

static int write_octets(struct target *target, const char *octets, size_t length)
{
    struct maildir *maildir = (struct maildir *)target;

    maildir->octets += length;
    while (length > 0) {
        ssize_t done = write(maildir->file, octets, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed(maildir, "write a file");
        octets += done;
        length -= (size_t)done;
    }
    return 0;
}

static int end(struct target *target, const struct export_message *message)
{
    struct maildir *maildir = (struct maildir *)target;
    const struct timespec time = {.tv_sec = (time_t)(message->time / 1000000),
                                  .tv_nsec = (long)(message->time % 1000000 * 1000)};

    int result = futimens(maildir->file, (const struct timespec[]){time, time});
    if (close(maildir->file) < 0 || result < 0)
        return failed(maildir, "write a file");
    maildir->file = -1;
    char *name = xasprintf("%s,S=%" PRIu64 ",W=%" PRIu64, maildir->temporary, maildir->octets,
                           message->octets);
    if (renameat(maildir->tmp, maildir->temporary, maildir->tmp, name) < 0) {
        free(name);
        return failed(maildir, "name a file");
    }
    append(maildir, add_file(maildir, name), message);
    free(name);
    maildir->batch_octets += maildir->octets + 1;
    if (maildir->count - maildir->flushed >= BATCH || maildir->batch_octets >= BATCH_OCTETS)
        return flush_batch(maildir);
    return 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Uids are counted anew, for Dovecot's have 32 bits; the order and what clients know stay. */
static int write_uidlist(struct maildir *maildir)
{
    uint32_t validity = (uint32_t)maildir->first_time;

    int fd =
        openat(maildir->fd, UIDLIST, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *list = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (list == NULL)
        return failed(maildir, "write " UIDLIST);
    fprintf(list, "3 V%" PRIu32 " N%zu\n", validity > 0 ? validity : 1, maildir->count + 1);
    for (size_t i = 0; i < maildir->count; i++)
        fprintf(list, "%zu P%s :%s\n", i + 1, maildir->order[i]->unique_id,
                maildir->order[i]->name);
    int result = fflush(list) == 0 && fsync(fd) == 0 ? 0 : -1;
    return fclose(list) == 0 && result == 0 ? 0 : failed(maildir, "write " UIDLIST);
}

static int finish(struct target *target)
{
    struct maildir *maildir = (struct maildir *)target;

    if (flush_batch(maildir) < 0 || write_uidlist(maildir) < 0)
        return -1;
    if (fsync(maildir->new) < 0 || unlinkat(maildir->fd, MARKER, 0) < 0 || fsync(maildir->fd) < 0)
        return failed(maildir, "finish the folder");
    return 0;
}

static void maildir_free(struct target *target)
{
    struct maildir *maildir = (struct maildir *)target;
    struct file *file;
    const int descriptors[] = {maildir->file, maildir->new, maildir->tmp, maildir->marker,
                               maildir->fd};

    while ((file = maildir->files) != NULL) {
        HASH_DEL(maildir->files, file);
        free(file->name);
        free(file->unique_id);
        free(file);
    }
    free(maildir->order);
    for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
        if (descriptors[i] >= 0)
            close(descriptors[i]);
    free(maildir);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int open_folder(int folder, const char *name)
{
    if (mkdirat(folder, name, 0700) < 0 && errno != EEXIST)
        return -1;
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whether there is nothing in it. */
static bool is_empty(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *reading = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned count = 0;

    if (reading == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (readdir(reading) != NULL)
        count++;
    closedir(reading);
    return count == 2; /* "." and ".." */
}

/* Takes a new folder, or one in which an export of the same mailbox was interrupted. */
static int take_folder(struct maildir *maildir, uint64_t mailbox)
{
    char mine[32], there[32];
    size_t length = (size_t)snprintf(mine, sizeof(mine), "%" PRIu64 "\n", mailbox);
    bool empty = is_empty(maildir->fd);

    maildir->marker =
        openat(maildir->fd, MARKER, O_RDWR | (empty ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (maildir->marker < 0 && errno == ENOENT) {
        refuse("%s is there already; an export makes a new folder", maildir->path);
        return -1;
    }
    if (maildir->marker < 0)
        return failed(maildir, "begin");
    if (flock(maildir->marker, LOCK_EX | LOCK_NB) < 0) {
        refuse("another export into %s is running", maildir->path);
        return -1;
    }
    ssize_t got = read(maildir->marker, there, sizeof(there));
    if (got == 0)
        return write(maildir->marker, mine, length) == (ssize_t)length ? 0
                                                                       : failed(maildir, "begin");
    if (got != (ssize_t)length || memcmp(mine, there, length) != 0) {
        refuse("%s has another mailbox's unfinished export", maildir->path);
        return -1;
    }
    return 0;
}

static int note_files(struct maildir *maildir)
{
    struct dirent *entry;

    int fd = openat(maildir->new, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *reading = fd >= 0 ? fdopendir(fd) : NULL;
    if (reading == NULL)
        return failed(maildir, "read new/");
    while ((entry = readdir(reading)) != NULL)
        if (strstr(entry->d_name, ".bellhop,") != NULL)
            add_file(maildir, entry->d_name);
    closedir(reading);
    return 0;
}

static int open_all(struct maildir *maildir, uint64_t mailbox)
{
    if (mkdir(maildir->path, 0700) < 0 && errno != EEXIST)
        return failed(maildir, "make a folder");
    maildir->fd = open(maildir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (maildir->fd < 0)
        return failed(maildir, "write");
    if (take_folder(maildir, mailbox) < 0)
        return -1;
    int cur = open_folder(maildir->fd, "cur");
    maildir->tmp = open_folder(maildir->fd, "tmp");
    maildir->new = open_folder(maildir->fd, "new");
    if (cur < 0 || maildir->tmp < 0 || maildir->new < 0)
        return failed(maildir, "make folders");
    close(cur);
    return note_files(maildir);
}

struct target *maildirtarget_open(const char *path, uint64_t mailbox)
{
    struct maildir *maildir = xcalloc(1, sizeof(*maildir));

    maildir->target = (struct target){has, begin, write_octets, end, finish, maildir_free};
    maildir->path = path;
    maildir->fd = maildir->tmp = maildir->new = maildir->marker = maildir->file = -1;
    if (open_all(maildir, mailbox) == 0)
        return &maildir->target;
    maildir_free(&maildir->target);
    return NULL;
}
