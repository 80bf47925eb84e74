#ifndef ADMIN_AUTHLINK_H
#define ADMIN_AUTHLINK_H

#include <stdbool.h>

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

struct authlink_caller {
    void (*done)(void *context, bool answered);
    void *context;
};

/*
 * Asks whether authd answers. done() is called once, later from the event loop or by
 * authlink_settle(): false when there was no answer within 2 seconds.
 */
void authlink_ping(struct authlink *link, struct authlink_caller caller);

/* Tells who waits for an answer that there is none. */
void authlink_settle(struct authlink *link);

/*
 * For a program that is to end: goes on writing until authd has ended, or another admin writes in
 * place of this one, and then calls `done` once; now, where there is no connection.
 */
void authlink_drain(struct authlink *link, void (*done)(void *context), void *context);

#endif
