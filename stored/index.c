/*
 * The index on SQLite. All SQL of the store is in the two tables below. WAL with synchronous
 * NORMAL: a commit costs no fsync, and what a power loss takes away is a whole number of the last
 * transactions, which recovery applies again.
 */
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "stored/index.h"

/* SQLite's user_version: the format in its lowest octet, and above it what made the surrogates. */
#define INDEX_FORMAT  3
#define INDEX_VERSION (INDEX_FORMAT + (SURROGATE_VERSION << 8))

/* Of the format before, which knew nothing of surrogates. */
#define INDEX_VERSION_BEFORE 2

enum statement {
    S_BEGIN,
    S_BEGIN_READ,
    S_COMMIT,
    S_INSERT_MESSAGE,
    S_GET_PLACE,
    S_MOVE_MESSAGE,
    S_FIND_UNIQUE_ID,
    S_HAS_UNIQUE_IDS,
    S_GET_SHARED,
    S_ADD_SHARED,
    S_TAKE_SHARED,
    S_FORGET_SHARED,
    S_FIND_OWN_ID,
    S_EACH_PLACE,
    S_DELETE_MESSAGES,
    S_DELETE_MAILBOX,
    S_INSERT_GROWTH,
    S_DELETE_GROWTHS,
    S_EACH_GROWTH,
    S_ADD_USAGE,
    S_TAKE_USAGE,
    S_DROP_USAGE,
    S_CHANGE_GROWTH,
    S_NOTE_UID,
    S_GET_MAILBOX,
    S_EACH_MAILBOX,
    S_ADD_LIVE,
    S_SET_APPLIED,
    S_SET_PUNCHED,
    S_SET_MOVED,
    S_NEEDS_EXPUNGE,
    S_GET_SEGMENT,
    S_FORGET_SEGMENT,
    S_EACH_MESSAGE,
    S_LIST,
    S_LIST_OWN,
    S_EACH_ON_DISK,
    S_EACH_SEGMENT,
    S_TOTALS,
    S_WRONG_USAGE,
    S_CHECK,
    S_LAST_UID,
    S_GET_SEED,
    S_SET_SEED,
    S_COUNT_SYNC,
    S__MAX
};

/* One row a message in a mailbox that has a surrogate (record_form()), which few have. */
#define SURROGATE_TABLE                                                                            \
    "CREATE TABLE surrogate ("                                                                     \
    " mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, growth INTEGER NOT NULL,"                    \
    " PRIMARY KEY (mailbox, uid)) STRICT, WITHOUT ROWID;"

static const char schema[] =
    /* One row a message in a mailbox. Its place on disk is segment and offset; `span` are the
     * octets that are dead there when this row goes, or 0 when several mailboxes share the record.
     * `unique_id` is what an imported message came with. */
    "CREATE TABLE message ("
    " mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, time INTEGER NOT NULL,"
    " octets INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " header_length INTEGER NOT NULL, body_length INTEGER NOT NULL, span INTEGER NOT NULL,"
    " unique_id TEXT, PRIMARY KEY (mailbox, uid)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX message_by_unique_id ON message (mailbox, unique_id)"
    " WHERE unique_id IS NOT NULL;"
    /* One row a record that several messages share: how many there are left. */
    "CREATE TABLE shared ("
    " segment INTEGER NOT NULL, offset INTEGER NOT NULL, count INTEGER NOT NULL,"
    " span INTEGER NOT NULL, PRIMARY KEY (segment, offset)) STRICT, WITHOUT ROWID;"
    /* One row a mailbox that ever had a message: usage, what a uid must be above, and how many rows
     * `surrogate` has of it, with the sum of their growth. */
    "CREATE TABLE mailbox ("
    " mailbox INTEGER PRIMARY KEY, messages INTEGER NOT NULL, octets INTEGER NOT NULL,"
    " uid_next INTEGER NOT NULL, dropped INTEGER NOT NULL,"
    " surrogates INTEGER NOT NULL DEFAULT 0, growth INTEGER NOT NULL DEFAULT 0) STRICT;"
    /* One row a segment: how far its records are in this index, how much of it is live and how much
     * has been given back to the disk, and whether a message has moved out of it. */
    "CREATE TABLE segment ("
    " segment INTEGER PRIMARY KEY, applied INTEGER NOT NULL, live INTEGER NOT NULL,"
    " punched INTEGER NOT NULL DEFAULT 0, moved INTEGER NOT NULL DEFAULT 0) STRICT;"
    /* One row in all: the seed of the store's checksums; `syncs` is only there to be changed. */
    "CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), seed INTEGER NOT NULL,"
    " syncs INTEGER NOT NULL DEFAULT 0) STRICT;" SURROGATE_TABLE;

static const char from_before[] =
    "ALTER TABLE mailbox ADD COLUMN surrogates INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE mailbox ADD COLUMN growth INTEGER NOT NULL DEFAULT 0;" SURROGATE_TABLE;

static const char forget_surrogates[] =
    "DELETE FROM surrogate;"
    "UPDATE mailbox SET surrogates = 0, growth = 0 WHERE surrogates <> 0;";

static const char *const statements[S__MAX] = {
    [S_BEGIN] = "BEGIN IMMEDIATE",
    [S_BEGIN_READ] = "BEGIN",
    [S_COMMIT] = "COMMIT",
    [S_INSERT_MESSAGE] = "INSERT INTO message (mailbox, uid, time, octets, segment, offset,"
                         " header_length, body_length, span, unique_id)"
                         " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE NOT EXISTS"
                         " (SELECT 1 FROM mailbox WHERE mailbox = ?1 AND dropped)"
                         " ON CONFLICT (mailbox, uid) DO NOTHING",
    [S_GET_PLACE] = "SELECT segment, offset, span FROM message WHERE mailbox = ?1 AND uid = ?2",
    [S_MOVE_MESSAGE] = "UPDATE message SET segment = ?3, offset = ?4, header_length = ?5,"
                       " span = ?6 WHERE mailbox = ?1 AND uid = ?2",
    [S_FIND_UNIQUE_ID] = "SELECT 1 FROM message WHERE mailbox = ?1 AND unique_id = ?2",
    [S_HAS_UNIQUE_IDS] = "SELECT 1 FROM message INDEXED BY message_by_unique_id"
                         " WHERE mailbox = ?1 AND unique_id IS NOT NULL LIMIT 1",
    [S_GET_SHARED] = "SELECT count FROM shared WHERE segment = ?1 AND offset = ?2",
    [S_ADD_SHARED] = "INSERT INTO shared (segment, offset, count, span) VALUES (?1, ?2, ?3, ?4)"
                     " ON CONFLICT (segment, offset) DO UPDATE SET count = count + ?3",
    [S_TAKE_SHARED] = "UPDATE shared SET count = count - 1 WHERE segment = ?1 AND offset = ?2"
                      " RETURNING count, span",
    [S_FORGET_SHARED] = "DELETE FROM shared WHERE segment = ?1 AND offset = ?2",
    [S_FIND_OWN_ID] = "SELECT 1 FROM message WHERE mailbox = ?1 AND uid = ?2 AND time = ?3"
                      " AND unique_id IS NULL",
    [S_EACH_PLACE] = "SELECT uid, octets, segment, offset, span FROM message WHERE mailbox = ?1"
                     " AND uid BETWEEN ?2 AND ?3",
    [S_DELETE_MESSAGES] = "DELETE FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
    [S_DELETE_MAILBOX] = "DELETE FROM message WHERE mailbox = ?1"
                         " RETURNING octets, segment, offset, span",
    [S_INSERT_GROWTH] = "INSERT OR REPLACE INTO surrogate (mailbox, uid, growth)"
                        " VALUES (?1, ?2, ?3)",
    [S_DELETE_GROWTHS] = "DELETE FROM surrogate WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
                         " RETURNING growth",
    [S_EACH_GROWTH] = "SELECT uid, growth FROM surrogate WHERE mailbox = ?1"
                      " AND uid BETWEEN ?2 AND ?3 ORDER BY uid",
    [S_ADD_USAGE] = "INSERT INTO mailbox (mailbox, messages, octets, uid_next, dropped)"
                    " VALUES (?1, 1, ?2, ?3 + 1, 0) ON CONFLICT (mailbox) DO UPDATE SET"
                    " messages = messages + 1, octets = octets + ?2,"
                    " uid_next = max(uid_next, ?3 + 1)",
    [S_TAKE_USAGE] = "UPDATE mailbox SET messages = messages - ?2, octets = octets - ?3"
                     " WHERE mailbox = ?1",
    [S_DROP_USAGE] = "INSERT INTO mailbox (mailbox, messages, octets, uid_next, dropped)"
                     " VALUES (?1, 0, 0, 1, 1) ON CONFLICT (mailbox) DO UPDATE SET"
                     " messages = 0, octets = 0, dropped = 1",
    [S_CHANGE_GROWTH] = "UPDATE mailbox SET surrogates = surrogates + ?2, growth = growth + ?3"
                        " WHERE mailbox = ?1",
    [S_NOTE_UID] = "INSERT INTO mailbox (mailbox, messages, octets, uid_next, dropped)"
                   " VALUES (?1, 0, 0, ?2 + 1, 0) ON CONFLICT (mailbox) DO UPDATE SET"
                   " uid_next = ?2 + 1 WHERE uid_next < ?2 + 1",
    [S_GET_MAILBOX] = "SELECT messages, octets, uid_next, dropped, surrogates, growth FROM mailbox"
                      " WHERE mailbox = ?1",
    [S_EACH_MAILBOX] = "SELECT messages, octets, uid_next, dropped, surrogates, growth, mailbox"
                       " FROM mailbox ORDER BY mailbox",
    [S_ADD_LIVE] = "INSERT INTO segment (segment, applied, live) VALUES (?1, 0, ?2)"
                   " ON CONFLICT (segment) DO UPDATE SET live = live + ?2",
    [S_SET_APPLIED] = "INSERT INTO segment (segment, applied, live) VALUES (?1, ?2, 0)"
                      " ON CONFLICT (segment) DO UPDATE SET applied = ?2",
    [S_SET_PUNCHED] = "UPDATE segment SET punched = ?2 WHERE segment = ?1",
    [S_SET_MOVED] = "UPDATE segment SET moved = 1 WHERE segment = ?1 AND NOT moved",
    [S_NEEDS_EXPUNGE] = "SELECT 1 FROM segment WHERE segment <> ?2"
                        " AND (segment = ?1 OR (segment < ?1 AND moved)) LIMIT 1",
    [S_GET_SEGMENT] = "SELECT segment, applied, live, punched FROM segment WHERE segment = ?1",
    [S_FORGET_SEGMENT] = "DELETE FROM segment WHERE segment = ?1",
    [S_EACH_MESSAGE] = "SELECT mailbox, uid, time, octets, segment, offset, body_length,"
                       " header_length, unique_id FROM message WHERE mailbox = ?1"
                       " AND uid BETWEEN ?2 AND ?3 ORDER BY uid LIMIT ?4",
    /* Gives no row but the one at which tell() wants no more. */
    [S_LIST] = "SELECT 1 FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
               " AND tell(uid, time, octets, unique_id) ORDER BY uid",
    /* The last column of a row is the dearest, because all before it have to be passed. */
    [S_LIST_OWN] = "SELECT 1 FROM message WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3"
                   " AND tell(uid, time, octets, NULL) ORDER BY uid",
    [S_EACH_ON_DISK] = "SELECT mailbox, uid, time, octets, segment, offset, body_length,"
                       " header_length, unique_id, growth"
                       " FROM message LEFT JOIN surrogate USING (mailbox, uid)"
                       " ORDER BY segment, offset, mailbox",
    [S_EACH_SEGMENT] = "SELECT segment, applied, live, punched FROM segment ORDER BY segment",
    [S_TOTALS] = "SELECT count(*), ifnull(sum(messages), 0), ifnull(sum(octets), 0) FROM mailbox"
                 " WHERE messages > 0",
    [S_WRONG_USAGE] = "SELECT (SELECT count(*) FROM (SELECT m.mailbox FROM mailbox AS m"
                      " LEFT JOIN message AS s ON s.mailbox = m.mailbox GROUP BY m.mailbox HAVING"
                      " count(s.uid) <> m.messages OR ifnull(sum(s.octets), 0) <> m.octets"
                      " OR ifnull(max(s.uid), 0) >= m.uid_next"
                      " OR (m.dropped AND count(s.uid) > 0)))"
                      " + (SELECT count(*) FROM (SELECT m.mailbox FROM mailbox AS m"
                      " LEFT JOIN surrogate AS s ON s.mailbox = m.mailbox GROUP BY m.mailbox"
                      " HAVING count(s.uid) <> m.surrogates OR ifnull(sum(s.growth), 0) <>"
                      " m.growth))"
                      " + (SELECT count(DISTINCT s.mailbox) FROM surrogate AS s LEFT JOIN message"
                      " AS m ON m.mailbox = s.mailbox AND m.uid = s.uid WHERE m.uid IS NULL)"
                      " + (SELECT count(DISTINCT mailbox) FROM message"
                      " WHERE mailbox NOT IN (SELECT mailbox FROM mailbox))",
    [S_CHECK] = "PRAGMA quick_check(1)",
    [S_LAST_UID] = "SELECT ifnull(max(uid), 0) FROM message WHERE mailbox = ?1",
    [S_GET_SEED] = "SELECT seed FROM store WHERE id = 1",
    [S_SET_SEED] = "INSERT OR REPLACE INTO store (id, seed) VALUES (1, ?1)",
    [S_COUNT_SYNC] = "UPDATE store SET syncs = syncs + 1",
};

struct index {
    sqlite3 *db;
    char *path; /* NULL: of a service that runs beside this program */
    bool begun;
    /* What one record has changed of a segment and of a mailbox, and is not written yet. */
    struct {
        uint64_t segment;
        int64_t octets;
    } live;
    struct {
        uint64_t mailbox;
        uint64_t messages;
        uint64_t octets;
    } taken;
    struct listing *listing; /* while index_list() runs */
    sqlite3_stmt *prepared[S__MAX];
};

#ifdef BELLHOP_FAULTS
/* SQLite's own reads and writes of the index, so that a test can reach the middle of one. */
static int pass_file(int fd, const char *wal, const char *file)
{
    char link[32], path[PATH_MAX];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    const char *end = strrchr(path, '-');
    if (end == NULL || strchr(end, '/') != NULL)
        return fault_pass(file);
    return strcmp(end, "-wal") == 0 ? fault_pass(wal) : 0;
}

static ssize_t faulty_write(int fd, const void *data, size_t length, off_t offset)
{
    return pass_file(fd, "index.wal", "index.file") == 0 ? pwrite(fd, data, length, offset) : -1;
}

static ssize_t faulty_read(int fd, void *data, size_t length, off_t offset)
{
    return pass_file(fd, "index.read", "index.read") == 0 ? pread(fd, data, length, offset) : -1;
}

static void make_faulty(void)
{
    sqlite3_vfs *files = sqlite3_vfs_find(NULL);

    files->xSetSystemCall(files, "pwrite64", (sqlite3_syscall_ptr)faulty_write);
    files->xSetSystemCall(files, "pread64", (sqlite3_syscall_ptr)faulty_read);
}
#else
static void make_faulty(void)
{
}
#endif

/* A damaged index is no loss: without it, the next start builds a new one from the log. */
static bool is_damaged(const struct index *index)
{
    switch (sqlite3_errcode(index->db)) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: return true;
    /* What the disk does not give back now it will hardly give back later. */
    case SQLITE_IOERR: return sqlite3_extended_errcode(index->db) == SQLITE_IOERR_READ;
    default: return false;
    }
}

static void give_up_damaged(struct index *index)
{
    if (index->path == NULL || !is_damaged(index))
        return;
    (void)unlink(index->path);
    log_retry("the index %s is damaged (%s) and was removed; the next start builds it anew from "
              "the log",
              index->path, sqlite3_errmsg(index->db));
}

static void broken(struct index *index, const char *what)
{
    give_up_damaged(index);
    if (sqlite3_errcode(index->db) == SQLITE_FULL)
        log_retry("the disk is full, and the index store/index.db failed while %s: make room",
                  what);
    log_retry("the index store/index.db failed while %s: %s; if it does not pass by itself, stop "
              "the service and run \"bellhop -C DIR store rebuild\"",
              what, sqlite3_errmsg(index->db));
}

/* Binds `count` numbers; all values of the index are 64-bit integers. */
static sqlite3_stmt *bind(struct index *index, enum statement number, int count,
                          const uint64_t *values)
{
    sqlite3_stmt *statement = index->prepared[number];

    if (statement == NULL) {
        if (sqlite3_prepare_v3(index->db, statements[number], -1, SQLITE_PREPARE_PERSISTENT,
                               &statement, NULL) != SQLITE_OK)
            broken(index, "a statement was prepared");
        index->prepared[number] = statement;
    }
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, (sqlite3_int64)values[i]);
    return statement;
}

#define BIND(index, number, ...)                                                                   \
    bind(index, number, (int)(sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)),               \
         (uint64_t[]){__VA_ARGS__})

static uint64_t column(sqlite3_stmt *statement, int number)
{
    return (uint64_t)sqlite3_column_int64(statement, number);
}

/* Runs a statement that changes something and returns nothing. */
static void run(struct index *index, sqlite3_stmt *statement)
{
    int status = sqlite3_step(statement);

    sqlite3_reset(statement);
    if (status != SQLITE_DONE)
        broken(index, "a change was written");
}

struct listing {
    uint64_t mailbox;
    uint64_t left; /* messages that may still be told */
    int (*each)(void *context, const struct index_message *message);
    void *context;
    int result; /* of `each` */
};

/*
 * SQL's tell(uid, time, octets, unique_id), for S_LIST and S_LIST_OWN: hands on a row where SQLite
 * has it, which is a quarter less work than to return from sqlite3_step() with it. True ends the
 * statement.
 */
static void tell(sqlite3_context *call, int count, sqlite3_value **values)
{
    struct index *index = sqlite3_user_data(call);
    struct listing *listing = index->listing;
    struct index_message message = {
        .mailbox = listing->mailbox,
        .uid = (uint64_t)sqlite3_value_int64(values[0]),
        .time = (uint64_t)sqlite3_value_int64(values[1]),
        .octets = (uint64_t)sqlite3_value_int64(values[2]),
    };
    (void)count;

    if (sqlite3_value_type(values[3]) != SQLITE_NULL)
        message.unique_id = (const char *)sqlite3_value_text(values[3]);
    listing->result = listing->each(listing->context, &message);
    listing->left--;
    sqlite3_result_int(call, listing->result != 0 || listing->left == 0);
}

/* After a loop of sqlite3_step(): 0 at its natural end, -1 for a failure. */
static int end_of_rows(struct index *index, sqlite3_stmt *statement, int status)
{
    sqlite3_reset(statement);
    if (status == SQLITE_DONE || status == SQLITE_ROW)
        return 0;
    give_up_damaged(index);
    log_error("the index store/index.db cannot be read: %s", sqlite3_errmsg(index->db));
    return -1;
}

static int execute(struct index *index, const char *sql)
{
    if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK)
        return 0;
    log_error("store/index.db: %s", sqlite3_errmsg(index->db));
    return -1;
}

/* -1: the database cannot be read. */
static int64_t user_version(struct index *index)
{
    sqlite3_stmt *statement = NULL;
    int64_t version = -1;

    if (sqlite3_prepare_v2(index->db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        version = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return version;
}

static int set_version(struct index *index)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", INDEX_VERSION);
    return execute(index, sql);
}

/* Makes an index of a version that is known one of this program's. */
static int change_schema(struct index *index, const char *sql)
{
    return execute(index, "BEGIN IMMEDIATE") == 0 && execute(index, sql) == 0 &&
                   set_version(index) == 0 && execute(index, "COMMIT") == 0
               ? 0
               : -1;
}

static int set_up(struct index *index, enum index_mode mode)
{
    if (execute(index, "PRAGMA busy_timeout = 5000") < 0)
        return -1;
    if (mode == INDEX_WRITE && (execute(index, "PRAGMA journal_mode = WAL") < 0 ||
                                execute(index, "PRAGMA synchronous = NORMAL") < 0 ||
                                execute(index, "PRAGMA wal_autocheckpoint = 4000") < 0 ||
                                /* What it grew to beside a long read goes back to the disk. */
                                execute(index, "PRAGMA journal_size_limit = 67108864") < 0 ||
                                execute(index, "PRAGMA cache_size = -32768") < 0))
        return -1;
    if (mode == INDEX_WRITE && sqlite3_db_readonly(index->db, "main") != 0) {
        log_error("store/index.db cannot be written");
        return -1;
    }
    if (mode == INDEX_SCAN && execute(index, "PRAGMA cache_size = -1024") < 0)
        return -1;
    int64_t version = user_version(index);
    if (version == INDEX_VERSION)
        return 0;
    if (version == 0 && mode == INDEX_WRITE)
        return change_schema(index, schema);
    if (version == INDEX_VERSION_BEFORE && mode == INDEX_WRITE)
        return change_schema(index, from_before);
    /* Of one that was newer, records of this program's may be among those that it has forgotten. */
    if (version % 256 == INDEX_FORMAT && version < INDEX_VERSION && mode == INDEX_WRITE)
        return change_schema(index, forget_surrogates);
    if (version < 0)
        log_error("store/index.db: %s", sqlite3_errmsg(index->db));
    else
        log_error("store/index.db has version %" PRId64 ", this program knows %d", version,
                  INDEX_VERSION);
    return -1;
}

struct index *index_open(const char *path, enum index_mode mode)
{
    struct index *index = xcalloc(1, sizeof(*index));
    int flags =
        mode == INDEX_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;

    make_faulty();
    /* Counting memory takes a lock at each allocation, and nobody asks for the sum. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_open_v2(path, &index->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        log_error("cannot open %s: %s", path, sqlite3_errmsg(index->db));
        index_close(index);
        return NULL;
    }
    if (sqlite3_create_function(index->db, "tell", 4, SQLITE_UTF8 | SQLITE_DIRECTONLY, index, tell,
                                NULL, NULL) != SQLITE_OK)
        log_fatal("out of memory");
    if (set_up(index, mode) < 0) {
        index_close(index);
        return NULL;
    }
    index->path = mode != INDEX_READ ? xstrdup(path) : NULL;
    return index;
}

void index_close(struct index *index)
{
    if (index == NULL)
        return;
    index_commit(index);
    for (int i = 0; i < S__MAX; i++)
        sqlite3_finalize(index->prepared[i]);
    /* The last connection of a WAL database checkpoints when it closes. */
    sqlite3_close(index->db);
    free(index->path);
    free(index);
}

void index_begin(struct index *index)
{
    if (index->begun)
        return;
    index->begun = true;
    run(index, bind(index, S_BEGIN, 0, NULL));
}

void index_begin_read(struct index *index)
{
    run(index, bind(index, S_BEGIN_READ, 0, NULL));
}

void index_commit(struct index *index)
{
    if (!index->begun)
        return;
    index->begun = false;
    fault_point("index.commit");
    run(index, bind(index, S_COMMIT, 0, NULL));
    fault_point("index.committed");
}

static void write_live(struct index *index)
{
    if (index->live.octets != 0)
        run(index, BIND(index, S_ADD_LIVE, index->live.segment, (uint64_t)index->live.octets));
    index->live.octets = 0;
}

static void add_live(struct index *index, uint64_t segment, int64_t octets)
{
    if (segment != index->live.segment)
        write_live(index);
    index->live.segment = segment;
    index->live.octets += octets;
}

static void write_taken(struct index *index)
{
    if (index->taken.messages != 0)
        run(index, BIND(index, S_TAKE_USAGE, index->taken.mailbox, index->taken.messages,
                        index->taken.octets));
    index->taken.messages = 0;
    index->taken.octets = 0;
}

/* A mailbox has a message less. */
static void take_usage(struct index *index, uint64_t mailbox, uint64_t octets)
{
    if (mailbox != index->taken.mailbox)
        write_taken(index);
    index->taken.mailbox = mailbox;
    index->taken.messages++;
    index->taken.octets += octets;
}

/* `count` messages more have the record for their place; those that had it before are counted. */
static void share_record(struct index *index, const struct record_header *header, uint64_t count)
{
    sqlite3_stmt *statement = BIND(index, S_GET_SHARED, header->segment, header->offset);
    int status = sqlite3_step(statement);
    uint64_t span = record_span(header);

    if (end_of_rows(index, statement, status) < 0)
        broken(index, "a shared message was entered");
    run(index, BIND(index, S_ADD_SHARED, header->segment, header->offset, count, span));
    if (status != SQLITE_ROW)
        add_live(index, header->segment, (int64_t)span);
}

/* A message less has its place there. `span` is the row's. */
static void leave_record(struct index *index, uint64_t segment, uint64_t offset, uint64_t span)
{
    if (span == 0) {
        sqlite3_stmt *statement = BIND(index, S_TAKE_SHARED, segment, offset);
        int status = sqlite3_step(statement);
        if (status == SQLITE_ROW && column(statement, 0) == 0)
            span = column(statement, 1);
        if (end_of_rows(index, statement, status) < 0)
            broken(index, "a shared message was taken away");
        if (span == 0)
            return;
        run(index, BIND(index, S_FORGET_SHARED, segment, offset));
    }
    add_live(index, segment, -(int64_t)span);
}

/*
 * A record of a message that has a row already: its copy further on in the log takes its place.
 * Whether it did.
 */
static bool move_message(struct index *index, const struct record_header *header,
                         const struct record_ref *ref, uint64_t span)
{
    sqlite3_stmt *statement = BIND(index, S_GET_PLACE, ref->mailbox, ref->uid);
    int status = sqlite3_step(statement);
    uint64_t segment = 0, offset = 0, old_span = 0;

    if (status == SQLITE_ROW) {
        segment = column(statement, 0);
        offset = column(statement, 1);
        old_span = column(statement, 2);
    }
    if (end_of_rows(index, statement, status) < 0)
        broken(index, "a message was moved");
    if (status != SQLITE_ROW || segment > header->segment ||
        (segment == header->segment && offset >= header->offset))
        return false;
    run(index, BIND(index, S_MOVE_MESSAGE, ref->mailbox, ref->uid, header->segment, header->offset,
                    header->length, span));
    leave_record(index, segment, offset, old_span);
    run(index, BIND(index, S_SET_MOVED, segment));
    return true;
}

/* The mailbox has so many surrogates more, which may be less than none. */
static void change_growth(struct index *index, uint64_t mailbox, int64_t count, int64_t growth)
{
    run(index, BIND(index, S_CHANGE_GROWTH, mailbox, (uint64_t)count, (uint64_t)growth));
}

static void add_growth(struct index *index, const struct record_header *header,
                       const struct record_ref *ref)
{
    struct store_surrogate surrogate = record_surrogate(header);

    run(index, BIND(index, S_INSERT_GROWTH, ref->mailbox, ref->uid, (uint64_t)surrogate.growth));
    change_growth(index, ref->mailbox, 1, surrogate.growth);
}

static void take_growths(struct index *index, uint64_t mailbox, uint64_t from, uint64_t to)
{
    sqlite3_stmt *statement = BIND(index, S_DELETE_GROWTHS, mailbox, from, to);
    int64_t count = 0, growth = 0;
    int status;

    for (; (status = sqlite3_step(statement)) == SQLITE_ROW; count++)
        growth += sqlite3_column_int64(statement, 0);
    if (end_of_rows(index, statement, status) < 0)
        broken(index, "a surrogate was taken away");
    if (count > 0)
        change_growth(index, mailbox, -count, -growth);
}

/* Whether the record is the message's place now and was not before. */
static bool apply_reference(struct index *index, const struct record_header *header,
                            const struct record_ref *ref, uint64_t span)
{
    sqlite3_stmt *statement =
        BIND(index, S_INSERT_MESSAGE, ref->mailbox, ref->uid, header->time, header->octets,
             header->segment, header->offset, header->length, header->body_length, span);

    sqlite3_bind_text(statement, 10, record_unique_id(header), -1, SQLITE_STATIC);
    run(index, statement);
    if (sqlite3_changes(index->db) == 0)
        return move_message(index, header, ref, span);
    run(index, BIND(index, S_ADD_USAGE, ref->mailbox, header->octets, ref->uid));
    if (record_form(header) == STORE_FORM_SURROGATE)
        add_growth(index, header, ref);
    return true;
}

static void apply_message(struct index *index, const struct record_header *header)
{
    const struct record_ref *refs = record_refs(header);
    uint64_t count = 0, placed = 0;

    for (uint32_t i = 0; i < header->ref_count; i++)
        count += refs[i].mailbox != 0;
    uint64_t span = count == 1 ? record_span(header) : 0;
    for (uint32_t i = 0; i < header->ref_count; i++)
        placed += refs[i].mailbox != 0 && apply_reference(index, header, &refs[i], span);
    if (placed > 0 && count == 1)
        add_live(index, header->segment, (int64_t)span);
    else if (placed > 0)
        share_record(index, header, placed);
}

/* Counts the rows of some messages out. Returns how many there were. */
static uint64_t leave_mailbox(struct index *index, const struct record_ref *first,
                              const uint64_t *places, uint64_t count)
{
    sqlite3_stmt *statement =
        BIND(index, S_EACH_PLACE, first->mailbox, first->uid, first->uid + count - 1);
    uint64_t found = 0;
    int status;

    for (; (status = sqlite3_step(statement)) == SQLITE_ROW; found++) {
        uint64_t place = places[column(statement, 0) - first->uid], segment = column(statement, 2);
        take_usage(index, first->mailbox, column(statement, 1));
        leave_record(index, segment, column(statement, 3), column(statement, 4));
        /* Its copy, which the expunge was of, has gone before what it was copied from. */
        if (place != segment)
            run(index, BIND(index, S_SET_MOVED, segment));
    }
    if (end_of_rows(index, statement, status) < 0)
        broken(index, "a message was expunged");
    return found;
}

/* How many references from the first on are of one mailbox and of uids that follow each other. */
static uint32_t count_neighbours(const struct record_ref *refs, uint32_t count)
{
    uint32_t i = 1;

    while (i < count && refs[i].mailbox == refs[0].mailbox && refs[i].uid == refs[0].uid + i)
        i++;
    return i;
}

/* Who empties a mailbox expunges long rows of neighbours: together they cost a tenth. */
static void apply_expunge(struct index *index, const struct record_header *header)
{
    const struct record_ref *refs = record_refs(header);
    const uint64_t *places = record_places(header);
    uint32_t count;

    for (uint32_t i = 0; i < header->ref_count; i += count) {
        count = count_neighbours(&refs[i], header->ref_count - i);
        uint64_t last = refs[i].uid + count - 1;
        if (leave_mailbox(index, &refs[i], &places[i], count) < count)
            run(index, BIND(index, S_NOTE_UID, refs[i].mailbox, last));
        run(index, BIND(index, S_DELETE_MESSAGES, refs[i].mailbox, refs[i].uid, last));
        take_growths(index, refs[i].mailbox, refs[i].uid, last);
    }
}

/* RETURNING gives its rows after the whole deletion, so other statements may run in between. */
static void apply_drop(struct index *index, const struct record_header *header)
{
    const struct record_ref *refs = record_refs(header);

    for (uint32_t i = 0; i < header->ref_count; i++) {
        sqlite3_stmt *statement = BIND(index, S_DELETE_MAILBOX, refs[i].mailbox);
        int status;
        while ((status = sqlite3_step(statement)) == SQLITE_ROW)
            leave_record(index, column(statement, 1), column(statement, 2), column(statement, 3));
        if (end_of_rows(index, statement, status) < 0)
            broken(index, "a mailbox was dropped");
        take_growths(index, refs[i].mailbox, 0, INT64_MAX);
        run(index, BIND(index, S_DROP_USAGE, refs[i].mailbox));
    }
}

void index_apply(struct index *index, const struct record_header *header)
{
    switch (header->type) {
    case RECORD_MESSAGE: apply_message(index, header); break;
    case RECORD_EXPUNGE: apply_expunge(index, header); break;
    case RECORD_DROP: apply_drop(index, header); break;
    default: log_panic("a record of type %u reached the index", header->type);
    }
    write_live(index);
    write_taken(index);
    fault_point("index.apply");
}

void index_set_applied(struct index *index, uint64_t segment, uint64_t offset)
{
    run(index, BIND(index, S_SET_APPLIED, segment, offset));
}

static void read_segment(sqlite3_stmt *statement, struct index_segment *segment_r)
{
    segment_r->segment = column(statement, 0);
    segment_r->applied = column(statement, 1);
    segment_r->live = column(statement, 2);
    segment_r->punched = column(statement, 3);
}

int index_get_segment(struct index *index, uint64_t segment, struct index_segment *segment_r)
{
    sqlite3_stmt *statement = BIND(index, S_GET_SEGMENT, segment);

    memset(segment_r, 0, sizeof(*segment_r));
    segment_r->segment = segment;
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        read_segment(statement, segment_r);
    return end_of_rows(index, statement, status);
}

void index_set_punched(struct index *index, uint64_t segment, uint64_t octets)
{
    run(index, BIND(index, S_SET_PUNCHED, segment, octets));
}

int index_needs_expunge(struct index *index, uint64_t place, uint64_t segment)
{
    sqlite3_stmt *statement = BIND(index, S_NEEDS_EXPUNGE, place, segment);
    int status = sqlite3_step(statement);

    return end_of_rows(index, statement, status) < 0 ? -1 : status == SQLITE_ROW;
}

void index_forget_segment(struct index *index, uint64_t segment)
{
    run(index, BIND(index, S_FORGET_SEGMENT, segment));
}

int index_check(struct index *index)
{
    sqlite3_stmt *statement = bind(index, S_CHECK, 0, NULL);
    int status = sqlite3_step(statement);
    const char *text = status == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "";
    bool good = strcmp(text, "ok") == 0;

    if (status == SQLITE_ROW && !good)
        log_error("the index store/index.db is damaged: %s", text);
    return end_of_rows(index, statement, status) == 0 && good ? 0 : -1;
}

static void read_mailbox(sqlite3_stmt *statement, struct index_mailbox *mailbox_r)
{
    mailbox_r->messages = column(statement, 0);
    mailbox_r->octets = column(statement, 1);
    mailbox_r->uid_next = column(statement, 2);
    mailbox_r->dropped = column(statement, 3) != 0;
    mailbox_r->surrogates = column(statement, 4);
    mailbox_r->growth = sqlite3_column_int64(statement, 5);
}

int index_get_mailbox(struct index *index, uint64_t mailbox, struct index_mailbox *mailbox_r)
{
    sqlite3_stmt *statement = BIND(index, S_GET_MAILBOX, mailbox);

    memset(mailbox_r, 0, sizeof(*mailbox_r));
    mailbox_r->uid_next = 1;
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        read_mailbox(statement, mailbox_r);
    if (end_of_rows(index, statement, status) < 0)
        return -1;
    /* A uid that is in use must not be given again, whatever became of the number above. */
    statement = BIND(index, S_LAST_UID, mailbox);
    status = sqlite3_step(statement);
    if (status == SQLITE_ROW && column(statement, 0) >= mailbox_r->uid_next)
        mailbox_r->uid_next = column(statement, 0) + 1;
    return end_of_rows(index, statement, status);
}

/* Whoever the rows are told to wants no more of them. */
static int stopped(sqlite3_stmt *statement, int result)
{
    sqlite3_reset(statement);
    return result;
}

int index_each_mailbox(struct index *index,
                       int (*each)(void *context, uint64_t mailbox,
                                   const struct index_mailbox *row),
                       void *context)
{
    sqlite3_stmt *statement = bind(index, S_EACH_MAILBOX, 0, NULL);
    int status, result = 0;

    while (result == 0 && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        struct index_mailbox row;
        read_mailbox(statement, &row);
        result = each(context, column(statement, 6), &row);
    }
    return result != 0 ? stopped(statement, result) : end_of_rows(index, statement, status);
}

/* `with_growth`: the statement's last column tells it. */
static int each_message(struct index *index, sqlite3_stmt *statement, bool with_growth,
                        int (*each)(void *context, const struct index_message *message),
                        void *context)
{
    int status, result = 0;

    while (result == 0 && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        struct index_message message = {
            .mailbox = column(statement, 0),
            .uid = column(statement, 1),
            .time = column(statement, 2),
            .octets = column(statement, 3),
            .segment = column(statement, 4),
            .offset = column(statement, 5),
            .body_length = column(statement, 6),
            .header_length = (uint32_t)column(statement, 7),
            .unique_id = (const char *)sqlite3_column_text(statement, 8),
        };
        if (with_growth && sqlite3_column_type(statement, 9) != SQLITE_NULL) {
            message.has_surrogate = true;
            message.growth = sqlite3_column_int64(statement, 9);
        }
        result = each(context, &message);
    }
    return result != 0 ? stopped(statement, result) : end_of_rows(index, statement, status);
}

int index_each_message(struct index *index, const struct index_range *range,
                       int (*each)(void *context, const struct index_message *message),
                       void *context)
{
    return each_message(
        index, BIND(index, S_EACH_MESSAGE, range->mailbox, range->from, range->to, range->most),
        false, each, context);
}

static int list(struct index *index, enum statement number, const struct index_range *range,
                int (*each)(void *context, const struct index_message *message), void *context)
{
    struct listing listing = {
        .mailbox = range->mailbox, .left = range->most, .each = each, .context = context};
    sqlite3_stmt *statement = BIND(index, number, range->mailbox, range->from, range->to);

    index->listing = &listing;
    int status = listing.left > 0 ? sqlite3_step(statement) : SQLITE_DONE;
    index->listing = NULL;
    return end_of_rows(index, statement, status) < 0 ? -1 : listing.result;
}

int index_list(struct index *index, const struct index_range *range,
               int (*each)(void *context, const struct index_message *message), void *context)
{
    return list(index, S_LIST, range, each, context);
}

int index_list_own(struct index *index, const struct index_range *range,
                   int (*each)(void *context, const struct index_message *message), void *context)
{
    return list(index, S_LIST_OWN, range, each, context);
}

int index_each_growth(struct index *index, const struct index_range *range,
                      int (*each)(void *context, uint64_t uid, int64_t growth), void *context)
{
    sqlite3_stmt *statement = BIND(index, S_EACH_GROWTH, range->mailbox, range->from, range->to);
    int status, result = 0;

    while (result == 0 && (status = sqlite3_step(statement)) == SQLITE_ROW)
        result = each(context, column(statement, 0), sqlite3_column_int64(statement, 1));
    return result != 0 ? stopped(statement, result) : end_of_rows(index, statement, status);
}

int index_each_on_disk(struct index *index,
                       int (*each)(void *context, const struct index_message *message),
                       void *context)
{
    return each_message(index, bind(index, S_EACH_ON_DISK, 0, NULL), true, each, context);
}

int index_each_segment(struct index *index,
                       int (*each)(void *context, const struct index_segment *segment),
                       void *context)
{
    sqlite3_stmt *statement = bind(index, S_EACH_SEGMENT, 0, NULL);
    int status, result = 0;

    while (result == 0 && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        struct index_segment segment;
        read_segment(statement, &segment);
        result = each(context, &segment);
    }
    return result != 0 ? stopped(statement, result) : end_of_rows(index, statement, status);
}

int index_find_place(struct index *index, uint64_t mailbox, uint64_t uid,
                     struct index_place *place_r)
{
    sqlite3_stmt *statement = BIND(index, S_GET_PLACE, mailbox, uid);
    int status = sqlite3_step(statement);

    if (status == SQLITE_ROW)
        *place_r = (struct index_place){column(statement, 0), column(statement, 1)};
    return end_of_rows(index, statement, status) < 0 ? -1 : status == SQLITE_ROW;
}

int index_find_unique_id(struct index *index, uint64_t mailbox, const char *unique_id)
{
    sqlite3_stmt *statement = BIND(index, S_FIND_UNIQUE_ID, mailbox);

    sqlite3_bind_text(statement, 2, unique_id, -1, SQLITE_STATIC);
    int status = sqlite3_step(statement);
    return end_of_rows(index, statement, status) < 0 ? -1 : status == SQLITE_ROW;
}

int index_find_own_id(struct index *index, uint64_t mailbox, uint64_t uid, uint64_t time)
{
    sqlite3_stmt *statement = BIND(index, S_FIND_OWN_ID, mailbox, uid, time);
    int status = sqlite3_step(statement);

    return end_of_rows(index, statement, status) < 0 ? -1 : status == SQLITE_ROW;
}

int index_has_unique_ids(struct index *index, uint64_t mailbox)
{
    sqlite3_stmt *statement = BIND(index, S_HAS_UNIQUE_IDS, mailbox);
    int status = sqlite3_step(statement);

    return end_of_rows(index, statement, status) < 0 ? -1 : status == SQLITE_ROW;
}

void index_sync(struct index *index)
{
    index_commit(index);
    if (execute(index, "PRAGMA synchronous = FULL") < 0)
        broken(index, "it was synced");
    index_begin(index);
    run(index, bind(index, S_COUNT_SYNC, 0, NULL));
    index_commit(index);
    if (execute(index, "PRAGMA synchronous = NORMAL") < 0)
        broken(index, "it was synced");
}

uint64_t index_changes(struct index *index)
{
    return (uint64_t)sqlite3_total_changes64(index->db);
}

int index_get_totals(struct index *index, bool check, struct index_totals *totals_r)
{
    sqlite3_stmt *statement = bind(index, S_TOTALS, 0, NULL);

    memset(totals_r, 0, sizeof(*totals_r));
    int status = sqlite3_step(statement);
    if (status == SQLITE_ROW) {
        totals_r->mailboxes = column(statement, 0);
        totals_r->messages = column(statement, 1);
        totals_r->octets = column(statement, 2);
    }
    if (end_of_rows(index, statement, status) < 0 || !check)
        return status == SQLITE_ROW ? 0 : -1;
    statement = bind(index, S_WRONG_USAGE, 0, NULL);
    status = sqlite3_step(statement);
    if (status == SQLITE_ROW)
        totals_r->wrong_usage = column(statement, 0);
    return end_of_rows(index, statement, status);
}

int index_get_seed(struct index *index, uint64_t *seed_r)
{
    sqlite3_stmt *statement = bind(index, S_GET_SEED, 0, NULL);
    int status = sqlite3_step(statement);

    *seed_r = status == SQLITE_ROW ? column(statement, 0) : 0;
    return end_of_rows(index, statement, status);
}

void index_set_seed(struct index *index, uint64_t seed)
{
    run(index, BIND(index, S_SET_SEED, seed));
}
