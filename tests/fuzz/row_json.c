/* lib/row.h: addresses as JSON. The same octets as one array, and an object a line. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rows_check(ROW_JSON, data, size);
    rows_check(ROW_NDJSON, data, size);
    return 0;
}
