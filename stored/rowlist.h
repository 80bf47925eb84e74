#ifndef STORED_ROWLIST_H
#define STORED_ROWLIST_H

#include <stdbool.h>

struct index_message;
struct row_list;

/*
 * Rows of the index in a temporary file, for who reads what they name: so no transaction of the
 * index is open meanwhile, which would have its WAL grow, and memory does not grow with the store.
 * The file is in store/, or where that takes none, in the system's folder for such files; nothing
 * is left of it. The functions exit with a clear line when it cannot be written or read.
 */
struct row_list *row_list_new(void);
void row_list_free(struct row_list *list);

void row_list_add(struct row_list *list, const struct index_message *row);

/* To the first row; nothing is added any more. */
void row_list_rewind(struct row_list *list);

/* The next row; its unique_id is valid until the next call. False: there is none. */
bool row_list_next(struct row_list *list, struct index_message *row_r);

#endif
