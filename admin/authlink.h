#ifndef ADMIN_AUTHLINK_H
#define ADMIN_AUTHLINK_H

struct authlink;
struct db;
struct event_base;

/*
 * The connection to authd (lib/authmsg.h), and the writer of what comes over it: a transaction a
 * batch, through a handle opened with DB_NOTES. While another writer holds the database, the batch
 * is tried again; nobody else waits for that.
 */

/* `notes` is used until authlink_free(). */
struct authlink *authlink_new(struct event_base *base, struct db *notes);

/* NULL is allowed. */
void authlink_free(struct authlink *link);

/*
 * For a program that is to end: goes on writing until authd has ended, or another admin writes in
 * place of this one, and then calls `done` once; now, where there is no connection.
 */
void authlink_drain(struct authlink *link, void (*done)(void *context), void *context);

#endif
