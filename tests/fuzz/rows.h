#ifndef FUZZ_ROWS_H
#define FUZZ_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/row.h"

/*
 * Reads an upload whole and then in pieces whose lengths its octets tell: both must give the same,
 * and what lib/row.h says of rows must hold of each.
 */
void rows_check(enum row_format format, const uint8_t *data, size_t size);

#endif
