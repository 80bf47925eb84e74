#include "db/db.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/handle.h"
#include "db/schema.h"
#include "lib/xalloc.h"

/*
 * foreign_keys and synchronous hold for a connection only, so each one asks for them. A schema that
 * somebody tampered with may not call functions with side effects (trusted_schema). What a change
 * within a change would have to undo stays in memory: confined programs may open no other file.
 */
static const char pragmas[] = "PRAGMA foreign_keys = ON;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA cache_size = -8192;";

static const char pragmas_read[] = "PRAGMA query_only = ON;";

static const char pragmas_notes[] = "PRAGMA synchronous = NORMAL;";

static int set_up(struct sqlite3 *sqlite, enum db_mode mode)
{
    sqlite3_extended_result_codes(sqlite, 1);
    sqlite3_busy_timeout(sqlite, DB_BUSY_MS);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    int code = sqlite3_exec(sqlite, pragmas, NULL, NULL, NULL);
    if (code == SQLITE_OK && mode == DB_READ) {
        code = sqlite3_exec(sqlite, pragmas_read, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK && mode == DB_NOTES) {
        code = sqlite3_exec(sqlite, pragmas_notes, NULL, NULL, NULL);
        sqlite3_busy_timeout(sqlite, 0);
    }
    return code;
}

/* db_open() takes no other version than its own. */
static int check_version(const struct identity *identity, const char *path, char *error_r,
                         size_t error_size)
{
    if (identity_check(identity, db_schema_version(), path, error_r, error_size) != 0) {
        return -1;
    }
    if (identity->version < db_schema_version()) {
        snprintf(error_r, error_size,
                 "%s is of version %u and this program needs version %u: bring it up to date with "
                 "\"bellhop init DIR\", which keeps everything",
                 path, identity->version, db_schema_version());
        return -1;
    }
    return 0;
}

/*
 * Nobody asks how much memory SQLite has, and to know it takes a lock of all threads at each piece.
 * Too late where it was used before, as in tests, which is as good.
 */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct db *db_open(const char *path, enum db_mode mode, char *error_r, size_t error_size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    struct identity identity;

    pthread_once(&once, configure);

    if (access(path, F_OK) != 0 && errno == ENOENT) {
        snprintf(error_r, error_size,
                 "there is no account database %s: make an instance with \"bellhop init DIR\"",
                 path);
        return NULL;
    }
    struct db *db = xcalloc(1, sizeof(*db));
    db_audit_actor(db, "bellhop");
    int code = sqlite3_open_v2(path, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be opened: %s", path, sqlite3_errstr(code));
        goto fail;
    }
    /* The identity first: asking a file that is no database for anything else says less. */
    sqlite3_busy_timeout(db->sqlite, DB_BUSY_MS);
    if (identity_read(db->sqlite, path, &identity, error_r, error_size) != 0 ||
        check_version(&identity, path, error_r, error_size) != 0) {
        goto fail;
    }
    code = set_up(db->sqlite, mode);
    if (code != SQLITE_OK) {
        snprintf(error_r, error_size, "%s cannot be used: %s", path, sqlite3_errstr(code));
        goto fail;
    }
    return db;
fail:
    db_close(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    changes_close(db->changes);
    for (size_t i = 0; i < STATEMENT__MAX; i++) {
        sqlite3_finalize(db->prepared[i]);
    }
    sqlite3_close(db->sqlite);
    free(db);
}
