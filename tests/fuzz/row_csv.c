/* lib/row.h: a table of addresses. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rows_check(ROW_CSV, data, size);
    return 0;
}
