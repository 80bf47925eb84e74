#ifndef LIB_ROWSET_H
#define LIB_ROWSET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/row.h"

/* Rows of an upload by their numbers, a bit each. Zeroed: none. */
struct rowset {
    uint8_t bits[ROWS_MAX / 8 + 1];
};

void rowset_add(struct rowset *set, unsigned row);
bool rowset_has(const struct rowset *set, unsigned row);

#endif
