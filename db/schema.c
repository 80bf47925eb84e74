#include "db/schema.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "db/handle.h"
#include "db/migrations.h"
#include "lib/clock.h"

/* The file's making and its versions. Statements here run at most once in a program's life. */

#define SET_UP_RETRY_MS 10

unsigned db_schema_version(void)
{
    return migrations_count;
}

/* The number that a statement's first row begins with. Returns an SQLite result code. */
static int ask(struct sqlite3 *sqlite, const char *sql, int64_t *number_r)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *number_r = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    } else if (code == SQLITE_DONE) {
        *number_r = 0;
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

int identity_read(struct sqlite3 *sqlite, const char *path, struct identity *identity_r,
                  char *error_r, size_t error_size)
{
    /* One statement, so that all of it is of one moment. */
    static const char sql[] = "SELECT application_id, user_version,"
                              " (SELECT count(*) FROM sqlite_schema)"
                              " FROM pragma_application_id, pragma_user_version";
    sqlite3_stmt *ask = NULL;
    int result = -1;

    *identity_r = (struct identity){0};
    int code = sqlite3_prepare_v2(sqlite, sql, -1, &ask, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(ask);
    }
    if (code == SQLITE_ROW) {
        int64_t application = sqlite3_column_int64(ask, 0);
        identity_r->version = (unsigned)sqlite3_column_int64(ask, 1);
        identity_r->ours = application == DB_APPLICATION_ID;
        identity_r->empty =
            application == 0 && identity_r->version == 0 && sqlite3_column_int64(ask, 2) == 0;
        result = 0;
    } else if ((code & 0xff) == SQLITE_NOTADB) {
        result = 0;
    } else {
        snprintf(error_r, error_size, "%s cannot be read: %s", path, sqlite3_errstr(code));
    }
    sqlite3_finalize(ask);
    return result;
}

int identity_check(const struct identity *identity, unsigned known, const char *path, char *error_r,
                   size_t error_size)
{
    if (!identity->ours) {
        snprintf(error_r, error_size,
                 "%s is not an account database of Bellhop: name the directory of an instance",
                 path);
        return -1;
    }
    if (identity->version > known) {
        snprintf(error_r, error_size,
                 "%s is of version %u and this program knows only version %u: install a Bellhop at "
                 "least as new as the one that wrote it",
                 path, identity->version, known);
        return -1;
    }
    return 0;
}

/*
 * Runs one migration in the transaction that has been begun. Foreign keys are not enforced
 * meanwhile, so that a migration can make a table anew, but they must hold at its end.
 */
static int migrate(struct sqlite3 *sqlite, const char *sql, unsigned version, char *error_r,
                   size_t error_size)
{
    int64_t now = 0;
    int64_t orphans = 0;
    if (sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK ||
        ask(sqlite, "PRAGMA user_version", &now) != SQLITE_OK ||
        ask(sqlite, "SELECT count(*) FROM pragma_foreign_key_check", &orphans) != SQLITE_OK) {
        snprintf(error_r, error_size, "the change to version %u failed and was undone: %s", version,
                 sqlite3_errmsg(sqlite));
        return -1;
    }
    if (now != (int64_t)version || orphans != 0) {
        snprintf(error_r, error_size,
                 "the change to version %u was undone: it left version %lld and %lld broken "
                 "references",
                 version, (long long)now, (long long)orphans);
        return -1;
    }
    return 0;
}

/*
 * Takes the file one version further. Looks at the version within the transaction: another program
 * may be doing the same. Returns 1 (there may be more to do), 0 (nothing was left) or -1.
 */
static int step(struct sqlite3 *sqlite, const char *const *list, unsigned count, const char *path,
                unsigned *found_r, char *error_r, size_t error_size)
{
    struct identity identity = {0};
    int result = -1;

    int code = sqlite3_exec(sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be changed now: %s", path, sqlite3_errstr(code));
        return -1;
    }
    if (identity_read(sqlite, path, &identity, error_r, error_size) != 0) {
        goto out;
    }
    if (!identity.empty && identity_check(&identity, count, path, error_r, error_size) != 0) {
        goto out;
    }
    *found_r = identity.version;
    if (identity.version >= count) {
        result = 0;
        goto out;
    }
    if (migrate(sqlite, list[identity.version], identity.version + 1, error_r, error_size) != 0) {
        goto out;
    }
    code = sqlite3_exec(sqlite, "COMMIT", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s could not be written: %s", path, sqlite3_errstr(code));
        goto out;
    }
    return 1;
out:
    sqlite3_exec(sqlite, "ROLLBACK", NULL, NULL, NULL);
    return result;
}

/*
 * WAL is a property of the file; it can't be set within a transaction. SQLite does not wait for the
 * lock that this takes where another program has the file open, so we do: the other may be setting
 * up the same file.
 */
static int set_up(struct sqlite3 *sqlite)
{
    uint64_t until = clock_milliseconds() + DB_BUSY_MS;

    for (;;) {
        int code = sqlite3_exec(sqlite,
                                "PRAGMA journal_mode = WAL;"
                                "PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = OFF;"
                                "PRAGMA trusted_schema = OFF;",
                                NULL, NULL, NULL);
        if (code != SQLITE_BUSY || clock_milliseconds() >= until)
            return code;
        sqlite3_sleep(SET_UP_RETRY_MS);
    }
}

static int apply(struct sqlite3 *sqlite, const char *const *list, unsigned count, const char *path,
                 unsigned *from_r, char *error_r, size_t error_size)
{
    struct identity identity;
    unsigned found = 0;
    int result = 1;

    /* Before anything is written: a file that is not ours stays as it is. */
    sqlite3_busy_timeout(sqlite, DB_BUSY_MS);
    if (identity_read(sqlite, path, &identity, error_r, error_size) != 0 ||
        (!identity.empty && identity_check(&identity, count, path, error_r, error_size) != 0)) {
        return -1;
    }
    int code = set_up(sqlite);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be used: %s", path, sqlite3_errstr(code));
        return -1;
    }
    for (bool first = true; result == 1; first = false) {
        result = step(sqlite, list, count, path, &found, error_r, error_size);
        if (first) {
            *from_r = found;
        }
    }
    return result;
}

int migrations_apply(const char *const *list, unsigned count, const char *path, unsigned *from_r,
                     char *error_r, size_t error_size)
{
    struct sqlite3 *sqlite = NULL;
    int result = -1;

    /*
     * SQLite would make the file readable for everybody; its other files follow this one. Without a
     * descriptor: to close one would end the locks that this process has on the file.
     */
    if (mknod(path, S_IFREG | 0600, 0) != 0 && errno != EEXIST) {
        snprintf(error_r, error_size, "%s cannot be made: %s", path, strerror(errno));
        return -1;
    }
    int code = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be opened: %s", path, sqlite3_errstr(code));
        goto out;
    }
    result = apply(sqlite, list, count, path, from_r, error_r, error_size);
out:
    sqlite3_close(sqlite);
    return result;
}

int db_schema_apply(const char *path, unsigned *from_r, char *error_r, size_t error_size)
{
    return migrations_apply(migrations, migrations_count, path, from_r, error_r, error_size);
}

int db_schema_read(const char *path, unsigned *version_r, char *error_r, size_t error_size)
{
    struct sqlite3 *sqlite = NULL;
    struct identity identity;
    int result = -1;

    int code = sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be opened: %s", path, sqlite3_errstr(code));
        goto out;
    }
    sqlite3_busy_timeout(sqlite, DB_BUSY_MS);
    result = identity_read(sqlite, path, &identity, error_r, error_size);
    if (result == 0) {
        *version_r = identity.ours ? identity.version : 0;
    }
out:
    sqlite3_close(sqlite);
    return result;
}
