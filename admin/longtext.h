#ifndef ADMIN_LONGTEXT_H
#define ADMIN_LONGTEXT_H

#include <stdio.h>

#include "admin/request.h"

/*
 * An answer that is made while it leaves, piece by piece, so that its length costs no memory. What
 * makes it is called from the event loop when there is room for more, and must not take long.
 */
struct longtext_source {
    /*
     * Writes the next piece. Returns 1, 0 with the last one (which may be nothing), or -1: the
     * answer breaks off, so that the client does not take it for whole.
     */
    int (*next)(void *context, FILE *file);
    void (*free)(void *context);
    void *context;
};

/* Sets the answer; `type` is not copied. free() is called once, whatever becomes of it. */
void longtext_answer(struct request *request, unsigned status, const char *type,
                     const struct longtext_source *source);

/* For admin/http.c: up to `size` octets of what is still to leave, 0 at the end, or -1. */
long longtext_read(struct longtext *longtext, char *octets_r, size_t size);

/* NULL is allowed. */
void longtext_free(struct longtext *longtext);

#endif
