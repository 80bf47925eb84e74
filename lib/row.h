#ifndef LIB_ROW_H
#define LIB_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/address.h"
#include "lib/language.h"
#include "lib/password.h"
#include "lib/storedhash.h"

struct json_t;

/*
 * Addresses to be made, many at once, as somebody sends them: one row is one address, and its
 * columns are the members that one has that is made alone. What can be told without the accounts is
 * checked here, the rest in db/rowcheck.h.
 *
 * A table (CSV) begins with a line that names its columns, in any order. Blanks around a field are
 * none of it, but for a password's. A field that is empty says nothing, as null does in JSON; yes
 * and no are also written as spreadsheets write them in the languages of lib/language.h, and
 * targets stand with spaces, commas or semicolons between them.
 */

#define ROWS_MAX        100000
#define ROW_OCTETS_MAX  (64 * 1024) /* of one row as it is sent */
#define ROW_TARGETS_MAX 100
#define ROW_NAME_MAX    200
#define ROW_ERRORS_MAX  16
#define ROW_COLUMN_MAX  64
#define ROW_REASON_SIZE 240

enum row_format {
    ROW_CSV,   /* RFC 4180, UTF-8; commas, semicolons or tabs, as its first line has them */
    ROW_JSON,  /* one array of objects */
    ROW_NDJSON /* an object a line */
};

enum row_column {
    ROW_ADDRESS,
    ROW_CUSTOMER, /* its id; whose a domain is says the same */
    ROW_NAME,
    ROW_TARGETS,
    ROW_QUOTA_BYTES,
    ROW_LANGUAGE,
    ROW_POP3,
    ROW_SMTP,
    ROW_INVITE,
    ROW_GENERATE,
    ROW_HASH,
    ROW_PASSWORD,
    ROW_COLUMNS
};

/* Sets of columns. */
#define ROW_BIT(column) (1U << ROW_##column)
#define ROW_ALL         ((1U << ROW_COLUMNS) - 1)

/* How the owner comes to a password. */
enum row_login {
    ROW_LOGIN_NONE, /* nothing is said */
    ROW_LOGIN_INVITE,
    ROW_LOGIN_GENERATE,
    ROW_LOGIN_HASH,
    ROW_LOGIN_PASSWORD
};

/* `code` is stable, the reason is a sentence for people. Neither shows a password or a hash. */
struct row_error {
    char column[ROW_COLUMN_MAX + 1]; /* empty: the row as a whole */
    const char *code;                /* static */
    char reason[ROW_REASON_SIZE];
};

/* Holds secrets: wiped by its owner. */
struct row {
    unsigned number;        /* the first one is 1; 0: what is wrong is no single row */
    unsigned line;          /* where it begins in what was sent; the first one is 1 */
    unsigned given;         /* the columns of which it says something */
    struct address address; /* an empty text: what stands there is none */
    uint64_t customer;      /* 0: none is named */
    char name[ROW_NAME_MAX + 1];
    uint64_t quota_bytes;   /* 0: the plan's */
    enum language language; /* where it is given */
    bool pop3, smtp;
    enum row_login login;
    char hash[STOREDHASH_MAX + 1]; /* as it is to be stored */
    struct password password;      /* as it was sent: lib/passwordrule.h is the caller's to ask */
    unsigned target_count;         /* 0: a mailbox; else an alias */
    const struct address *targets; /* until the next row is read */
    unsigned error_count;          /* 0: it is good as far as anybody has looked */
    struct row_error errors[ROW_ERRORS_MAX];
};

/* Notes what is wrong with a row: one more where there is room, the first of a column only. */
void row_wrong(struct row *row, const char *column, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

const char *row_column_name(enum row_column column);

/* Octets as they come in, whatever the pieces are; one row is in memory, and never more. */
struct row_reader;

/* `columns` are those that may be named. */
struct row_reader *row_reader_new(enum row_format format, unsigned columns);

/* Wipes what it holds. NULL is allowed. */
void row_reader_free(struct row_reader *reader);

/* The next octets, which must stay where they are until row_reader_next() asks for more. */
void row_reader_feed(struct row_reader *reader, const char *octets, size_t length);

/* Nothing follows what was fed. */
void row_reader_end(struct row_reader *reader);

enum rows {
    ROWS_ROW,   /* one is there, good or with its errors, and what follows can be read */
    ROWS_MORE,  /* feed, or end */
    ROWS_END,   /* that were all */
    ROWS_BROKEN /* what follows makes no sense: the errors of *row_r say why */
};

/* The next row, the reader's own, which the caller may add errors to. */
enum rows row_reader_next(struct row_reader *reader, struct row **row_r);

/* Reads one object of JSON as a row of its own into `row`, which was zeroed, and `targets`. */
void row_read_object(struct row *row, struct address targets[ROW_TARGETS_MAX], unsigned columns,
                     const struct json_t *object);

#endif
