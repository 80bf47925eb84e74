#include "lib/rowset.h"

void rowset_add(struct rowset *set, unsigned row)
{
    set->bits[row / 8] |= (uint8_t)(1U << row % 8);
}

bool rowset_has(const struct rowset *set, unsigned row)
{
    return (set->bits[row / 8] & 1U << row % 8) != 0;
}
