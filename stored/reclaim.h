#ifndef STORED_RECLAIM_H
#define STORED_RECLAIM_H

/*
 * Gives space back while the store serves. Segments without live mail are removed at once, the
 * oldest first. When the rest take up more than they should (RECLAIM_* in reclaim.c), the sparsest
 * has its large dead bodies punched, and is emptied if that is not enough. One segment at a time;
 * copying is bounded by the setting reclaim_rate; nothing begins while somebody reads the files
 * beside the service (store->holds).
 */
struct store;
struct reclaim;

struct reclaim *reclaim_new(struct store *store);

/* Begins nothing more; what is on its way to the disk ends with commits_drain(). */
void reclaim_stop(struct reclaim *reclaim);

/* After reclaim_stop(), when nothing is on its way. NULL is allowed. */
void reclaim_free(struct reclaim *reclaim);

#endif
