#ifndef LIB_CONF_H
#define LIB_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * bellhop.conf: lines of "name = value", '#' begins a comment. What may stand in it, with the
 * reason for every default, is the table in conf.c; `bellhop init` writes the file from the same
 * table. Sizes take K, M or G (powers of 1024), times are in seconds.
 */

#define CONF_TEXT_MAX 256

/* What happens to mail for who is suspended, where nothing else was said when that was done. */
enum conf_suspended {
    CONF_SUSPENDED_DEFER,  /* 450: the sender's queue keeps the mail until the customer is back */
    CONF_SUSPENDED_REFUSE, /* 550: the sender is told at once */
    CONF_SUSPENDED_KEEP    /* it is delivered */
};

struct conf {
    char hostname[CONF_TEXT_MAX];
    char pop3_listen[CONF_TEXT_MAX];
    char pop3s_listen[CONF_TEXT_MAX];
    char lmtp_listen[CONF_TEXT_MAX];
    char http_listen[CONF_TEXT_MAX];
    char https_listen[CONF_TEXT_MAX];          /* empty: nowhere */
    char pop3_proxy_networks[CONF_TEXT_MAX];   /* for networks_parse(), which has taken it */
    char pop3_xclient_networks[CONF_TEXT_MAX]; /* as above */
    char page_url[CONF_TEXT_MAX];              /* https:// or http://, or empty */
    char pop3_server[CONF_TEXT_MAX];           /* HOST:PORT, or empty */
    char smtp_server[CONF_TEXT_MAX];           /* as above */
    uint64_t pop3_processes;                   /* 0: one for each core */
    uint64_t pop3_sessions;                    /* in each process */
    uint64_t pop3_address_sessions;            /* in each process */
    uint64_t pop3_idle;                        /* seconds */
    bool cleartext_login;
    uint64_t hash_operations; /* Argon2id passes */
    uint64_t hash_memory;     /* octets */
    uint64_t hash_threads;    /* 0: one for each core */
    uint64_t auth_cache_entries;
    uint64_t auth_cache_time; /* seconds */
    uint64_t lmtp_connections;
    char fetch_networks[CONF_TEXT_MAX]; /* as pop3_proxy_networks */
    char fetch_authorities[CONF_TEXT_MAX];
    uint64_t suspended; /* enum conf_suspended */
    uint64_t removed_days;
    uint64_t language; /* enum language, of new customers */
    uint64_t segment_size;
    uint64_t reclaim_rate; /* octets a second */
};

#define CONF_SERVER_SIZE (2 * CONF_TEXT_MAX)

/*
 * HOST:PORT for mail programs: `pop3_server`, or where the operator has not named another one,
 * `hostname` with the port of `pop3s_listen`.
 */
void conf_pop3_server(const struct conf *conf, char server_r[CONF_SERVER_SIZE]);

/* Sets every member to its default. */
void conf_default(struct conf *conf);

/*
 * Parses `length` octets of text over the defaults. Returns 0, or -1 with one sentence in error_r
 * (at most `error_size` octets, with the line number, saying what to do); conf is then unchanged.
 */
int conf_parse(struct conf *conf, const char *text, size_t length, char *error_r,
               size_t error_size);

/* Reads an open file whole and parses it; as conf_parse(). Does not move the file's offset. */
int conf_read(struct conf *conf, int fd, char *error_r, size_t error_size);

/* Writes a file with every setting, its meaning and the value in `conf`. Returns 0 or -1 (errno).
 */
int conf_write(const struct conf *conf, FILE *file);

#endif
