#include "db/image.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/handle.h"
#include "db/schema.h"
#include "lib/xalloc.h"

/* In the file's header: 2 for a database in WAL mode, which cannot be opened in memory. */
#define WRITE_VERSION_AT 18
#define READ_VERSION_AT  19
#define VERSION_ROLLBACK 1

#define HEADER_LENGTH 100

/* In errors, for what has no path. */
#define IN_BACKUP "the account database in the backup"

struct db_snapshot {
    struct sqlite3 *sqlite;
};

void db_image_free(struct db_image *image)
{
    free(image->octets);
    *image = (struct db_image){0};
}

struct db_snapshot *db_snapshot_open(const char *path, char *error_r, size_t error_size)
{
    struct db_snapshot *snapshot = xcalloc(1, sizeof(*snapshot));
    struct identity identity;

    int code =
        sqlite3_open_v2(path, &snapshot->sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(snapshot->sqlite, DB_BUSY_MS);
        code = sqlite3_exec(snapshot->sqlite, "BEGIN", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be opened: %s", path, sqlite3_errstr(code));
        goto fail;
    }
    /* The first read is the snapshot's moment. */
    if (identity_read(snapshot->sqlite, path, &identity, error_r, error_size) != 0 ||
        identity_check(&identity, db_schema_version(), path, error_r, error_size) != 0) {
        goto fail;
    }
    return snapshot;
fail:
    db_snapshot_close(snapshot);
    return NULL;
}

int db_snapshot_read(struct db_snapshot *snapshot, struct db_image *image_r, char *error_r,
                     size_t error_size)
{
    sqlite3_int64 length = 0;

    unsigned char *octets = sqlite3_serialize(snapshot->sqlite, "main", &length, 0);
    if (octets == NULL || length < HEADER_LENGTH) {
        snprintf(error_r, error_size, "the account database cannot be read: %s",
                 sqlite3_errmsg(snapshot->sqlite));
        sqlite3_free(octets);
        return -1;
    }
    image_r->length = (size_t)length;
    image_r->octets = xmalloc(image_r->length);
    memcpy(image_r->octets, octets, image_r->length);
    sqlite3_free(octets);
    return 0;
}

void db_snapshot_close(struct db_snapshot *snapshot)
{
    if (snapshot != NULL) {
        sqlite3_close(snapshot->sqlite);
        free(snapshot);
    }
}

/* Opens the image where it stands. Returns NULL after an error. */
static struct sqlite3 *open_image(struct db_image *image, char *error_r, size_t error_size)
{
    struct sqlite3 *sqlite = NULL;

    if (image->length < HEADER_LENGTH) {
        snprintf(error_r, error_size, IN_BACKUP " is not whole");
        return NULL;
    }
    image->octets[WRITE_VERSION_AT] = VERSION_ROLLBACK;
    image->octets[READ_VERSION_AT] = VERSION_ROLLBACK;
    int code =
        sqlite3_open_v2(":memory:", &sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_deserialize(sqlite, "main", image->octets, (sqlite3_int64)image->length,
                                   (sqlite3_int64)image->length, SQLITE_DESERIALIZE_READONLY);
    }
    if (code == SQLITE_OK) {
        return sqlite;
    }
    snprintf(error_r, error_size, IN_BACKUP " cannot be opened: %s", sqlite3_errstr(code));
    sqlite3_close(sqlite);
    return NULL;
}

/* Tells whether SQLite finds nothing wrong in it. */
static bool is_whole(struct sqlite3 *sqlite)
{
    sqlite3_stmt *statement = NULL;

    bool whole =
        sqlite3_prepare_v2(sqlite, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return whole;
}

int db_image_check(struct db_image *image, char *error_r, size_t error_size)
{
    struct identity identity;

    struct sqlite3 *sqlite = open_image(image, error_r, error_size);
    if (sqlite == NULL) {
        return -1;
    }
    int result = identity_read(sqlite, IN_BACKUP, &identity, error_r, error_size);
    if (result == 0) {
        result = identity_check(&identity, db_schema_version(), IN_BACKUP, error_r, error_size);
    }
    if (result == 0 && !is_whole(sqlite)) {
        snprintf(error_r, error_size, IN_BACKUP " is damaged");
        result = -1;
    }
    sqlite3_close(sqlite);
    return result;
}

/* One transaction of the file's: all of the image or nothing. */
static int copy(struct sqlite3 *to, struct sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

    if (backup == NULL) {
        return sqlite3_errcode(to);
    }
    int code = sqlite3_backup_step(backup, -1);
    int end = sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE) {
        return end;
    }
    return code != SQLITE_OK ? code : SQLITE_ERROR;
}

int db_image_restore(struct db_image *image, const char *path, char *error_r, size_t error_size)
{
    struct sqlite3 *file = NULL;
    unsigned from_version;

    struct sqlite3 *memory = open_image(image, error_r, error_size);
    if (memory == NULL) {
        return -1;
    }
    int code = sqlite3_open_v2(path, &file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(file, DB_BUSY_MS);
        code = copy(file, memory);
    }
    sqlite3_close(file);
    sqlite3_close(memory);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be written: %s", path, sqlite3_errstr(code));
        return -1;
    }
    return db_schema_apply(path, &from_version, error_r, error_size);
}
