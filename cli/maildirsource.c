#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/importer.h"
#include "cli/maildirsource.h"
#include "cli/uidlist.h"
#include "lib/xalloc.h"

#define PIECE (64 * 1024)

static const char *const folders[] = {"cur", "new"};

#define FOLDERS (sizeof(folders) / sizeof(folders[0]))

struct maildir {
    struct source source; /* first: the source's functions find the maildir by it */
    const char *path;
    int fd;
    int folders[FOLDERS];
    struct uidlist *list;
};

/* One file while the list is made; `place` of a message is its folder's number. */
struct found {
    char *name;
    size_t base; /* octets of the name without flags */
    const struct uidlist_entry *entry;
    uint64_t size, time;
    unsigned folder;
};

struct listing {
    struct found *files;
    size_t count, room;
};

/* --- what is there ---------------------------------------------------------------------------- */

static size_t base_length(const char *name)
{
    return strcspn(name, ":");
}

static void add_file(struct maildir *maildir, unsigned folder, const char *name,
                     struct listing *listing)
{
    struct stat status;

    if (fstatat(maildir->folders[folder], name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return; /* gone since the folder was read */
    if (!S_ISREG(status.st_mode)) {
        refuse("%s/%s/%s is no plain file; it is left out", maildir->path, folders[folder], name);
        return;
    }
    if (listing->count == listing->room) {
        listing->room = listing->room > 0 ? 2 * listing->room : 256;
        listing->files = xrealloc(listing->files, listing->room * sizeof(listing->files[0]));
    }
    int64_t time = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    listing->files[listing->count++] = (struct found){
        .name = xstrdup(name),
        .base = base_length(name),
        .entry = uidlist_find(maildir->list, name, base_length(name)),
        .size = (uint64_t)status.st_size,
        .time = time > 0 ? (uint64_t)time : 1,
        .folder = folder,
    };
}

/* A folder of its own to read, so that its position is nobody else's. */
static DIR *open_folder(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *reading = fd >= 0 ? fdopendir(fd) : NULL;

    if (reading == NULL && fd >= 0)
        close(fd);
    return reading;
}

static int read_folder(struct maildir *maildir, unsigned folder, struct listing *listing)
{
    struct dirent *entry;

    DIR *reading = open_folder(maildir->folders[folder]);
    if (reading == NULL) {
        refuse("cannot read %s/%s: %s", maildir->path, folders[folder], strerror(errno));
        return -1;
    }
    while ((entry = readdir(reading)) != NULL)
        if (entry->d_name[0] != '.')
            add_file(maildir, folder, entry->d_name, listing);
    closedir(reading);
    return 0;
}

/* By rank; then as Courier does: by the number that a name begins with, and by the name. */
static int compare(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    uint64_t x_rank = x->entry != NULL ? x->entry->rank : UIDLIST_NO_RANK;
    uint64_t y_rank = y->entry != NULL ? y->entry->rank : UIDLIST_NO_RANK;

    if (x_rank != y_rank)
        return x_rank < y_rank ? -1 : 1;
    unsigned long long x_time = strtoull(x->name, NULL, 10), y_time = strtoull(y->name, NULL, 10);
    if (x_time != y_time)
        return x_time < y_time ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* --- the messages ----------------------------------------------------------------------------- */

static void add_message(struct maildir *maildir, struct uniqueids *ids, struct found *file)
{
    struct source_message message = {
        .time = file->time, .size = file->size, .place = file->folder, .name = file->name};
    char by_name[UNIQUEID_SIZE];
    const char *given = file->entry != NULL ? file->entry->unique_id : NULL;

    if (given == NULL) {
        uniqueid_from_name(file->name, file->base, by_name);
        given = by_name;
    }
    if (!uniqueids_add(ids, given, strlen(given), message.unique_id))
        refuse("what %s has as its unique-id %s; it gets %s", file->name,
               uniqueid_is_valid(given, strlen(given)) ? "another message has as well" : "is none",
               message.unique_id);
    source_add(&maildir->source, &message);
}

static int list_messages(struct maildir *maildir)
{
    struct uniqueids *ids = uniqueids_new();
    struct listing listing = {0};
    int result = 0;

    for (unsigned i = 0; i < FOLDERS && result == 0; i++)
        result = read_folder(maildir, i, &listing);
    if (listing.count > 0)
        qsort(listing.files, listing.count, sizeof(listing.files[0]), compare);
    for (size_t i = 0; i < listing.count; i++)
        add_message(maildir, ids, &listing.files[i]);
    free(listing.files);
    uniqueids_free(ids);
    return result;
}

/* A folder of Maildir++ is a maildir in the maildir, with a name that begins with a dot. */
static void tell_folders(struct maildir *maildir)
{
    struct dirent *entry;
    unsigned count = 0;
    char name[NAME_MAX + 8];

    DIR *reading = open_folder(maildir->fd);
    while (reading != NULL && (entry = readdir(reading)) != NULL) {
        snprintf(name, sizeof(name), "%s/cur", entry->d_name);
        count += entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 &&
                 strcmp(entry->d_name, "..") != 0 && faccessat(maildir->fd, name, F_OK, 0) == 0;
    }
    if (reading != NULL)
        closedir(reading);
    if (count > 0)
        printf("%u folder%s in %s left out: POP3 has the inbox alone\n", count,
               count == 1 ? " is" : "s are", maildir->path);
}

/* --- reading one ------------------------------------------------------------------------------ */

static int open_file(struct maildir *maildir, unsigned folder, const char *name)
{
    return openat(maildir->folders[folder], name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

/* A mail client has changed its flags, or has seen it: the file has another name now. */
static int open_renamed(struct maildir *maildir, const char *name)
{
    size_t base = base_length(name);
    struct dirent *entry;
    int fd = -1;

    for (unsigned i = 0; i < FOLDERS && fd < 0; i++) {
        DIR *reading = open_folder(maildir->folders[i]);
        while (reading != NULL && fd < 0 && (entry = readdir(reading)) != NULL)
            if (strncmp(entry->d_name, name, base) == 0 && base_length(entry->d_name) == base)
                fd = open_file(maildir, i, entry->d_name);
        if (reading != NULL)
            closedir(reading);
    }
    return fd;
}

/* What Dovecot's plugins for compression and encryption write begins like this. */
static const struct {
    const char *name;
    const char *octets;
    size_t length;
} packed[] = {
    {"gzip", "\x1f\x8b", 2},
    {"bzip2", "BZh", 3},
    {"xz",
     "\xfd"
     "7zXZ",
     5},
    {"zstd", "\x28\xb5\x2f\xfd", 4},
    {"lz4", "Dovecot-LZ4\x0d\x2a", 13},
    {"mail_crypt", "CRYPTED\x03\x07", 9},
};

static const char *find_packed(const char *octets, size_t length)
{
    for (size_t i = 0; i < sizeof(packed) / sizeof(packed[0]); i++)
        if (length >= packed[i].length && memcmp(octets, packed[i].octets, packed[i].length) == 0)
            return packed[i].name;
    return NULL;
}

static enum source_result copy(const char *name, int fd, struct importer *importer)
{
    static char piece[PIECE];
    bool first = true;
    ssize_t got;

    while ((got = read(fd, piece, sizeof(piece))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        const char *packer = got > 0 && first ? find_packed(piece, (size_t)got) : NULL;
        if (packer != NULL) {
            refuse("%s is packed with %s; let the old server write it out plain "
                   "(\"doveadm backup\" to a new maildir), or import it by --pop3",
                   name, packer);
            return SOURCE_REFUSED;
        }
        if (got < 0) {
            refuse("%s cannot be read: %s", name, strerror(errno));
            return SOURCE_REFUSED;
        }
        first = false;
        if (!importer_write(importer, piece, (size_t)got))
            return SOURCE_DONE;
    }
    return SOURCE_DONE;
}

static enum source_result transfer(struct source *source, const struct source_message *message,
                                   struct importer *importer)
{
    struct maildir *maildir = (struct maildir *)source;

    int fd = open_file(maildir, (unsigned)message->place, message->name);
    if (fd < 0 && errno == ENOENT)
        fd = open_renamed(maildir, message->name);
    if (fd < 0 && errno == ENOENT)
        return SOURCE_GONE;
    if (fd < 0) {
        refuse("%s cannot be opened: %s", message->name, strerror(errno));
        return SOURCE_REFUSED;
    }
    enum source_result result = copy(message->name, fd, importer);
    close(fd);
    return result;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void maildir_free(struct source *source)
{
    struct maildir *maildir = (struct maildir *)source;

    uidlist_free(maildir->list);
    for (unsigned i = 0; i < FOLDERS; i++)
        if (maildir->folders[i] >= 0)
            close(maildir->folders[i]);
    if (maildir->fd >= 0)
        close(maildir->fd);
    free(maildir);
}

static int open_folders(struct maildir *maildir)
{
    maildir->fd = open(maildir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (maildir->fd < 0) {
        refuse("cannot open %s: %s", maildir->path, strerror(errno));
        return -1;
    }
    for (unsigned i = 0; i < FOLDERS; i++) {
        maildir->folders[i] =
            openat(maildir->fd, folders[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (maildir->folders[i] < 0) {
            refuse("%s is no maildir: its folder %s cannot be opened (%s)", maildir->path,
                   folders[i], strerror(errno));
            return -1;
        }
    }
    return 0;
}

/* What is wrong with a list, by uidlist_read()'s errno. */
static const char *list_error(int error)
{
    switch (error) {
    case 0: return "its format is not known here";
    case EINVAL:
    case ELOOP: return "it is no plain file";
    case EFBIG: return "it is too large";
    default: return strerror(error);
    }
}

/* A list that is there and is not understood is no reason to give every message a new id. */
static int read_list(struct maildir *maildir)
{
    const char *name;

    maildir->list = uidlist_read(maildir->fd, &name);
    if (maildir->list == NULL && name != NULL) {
        refuse("%s/%s cannot be used: %s; without it clients would download everything again. If "
               "that may be, move it away",
               maildir->path, name, list_error(errno));
        return -1;
    }
    if (name != NULL)
        printf("unique-ids and order are those of %s\n", name);
    else
        printf("no list of unique-ids is there; the files' names are taken\n");
    return 0;
}

struct source *maildirsource_open(const char *path)
{
    struct maildir *maildir = xcalloc(1, sizeof(*maildir));

    maildir->source.transfer = transfer;
    maildir->source.free = maildir_free;
    maildir->path = path;
    maildir->fd = maildir->folders[0] = maildir->folders[1] = -1;
    if (open_folders(maildir) < 0 || read_list(maildir) < 0 || list_messages(maildir) < 0) {
        source_free(&maildir->source);
        return NULL;
    }
    tell_folders(maildir);
    return &maildir->source;
}
