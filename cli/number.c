#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/number.h"

static const char units[] = "KMG";

static int parse(const char *text, uint64_t *number_r, const char **end_r)
{
    char *end;

    /* strtoull() would take white space and a sign. */
    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    *number_r = strtoull(text, &end, 10);
    *end_r = end;
    return errno == 0 ? 0 : -1;
}

static int in_range(uint64_t number, uint64_t least, uint64_t most, uint64_t *number_r)
{
    if (number < least || number > most)
        return -1;
    *number_r = number;
    return 0;
}

int number_parse(const char *text, uint64_t least, uint64_t most, uint64_t *number_r)
{
    uint64_t number;
    const char *end;

    if (parse(text, &number, &end) < 0 || *end != '\0')
        return -1;
    return in_range(number, least, most, number_r);
}

int number_parse_size(const char *text, uint64_t least, uint64_t most, uint64_t *number_r)
{
    uint64_t number;
    const char *end;

    if (parse(text, &number, &end) < 0)
        return -1;
    if (*end != '\0') {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (unit == NULL || end[1] != '\0')
            return -1;
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (number > UINT64_MAX >> shift)
            return -1;
        number <<= shift;
    }
    return in_range(number, least, most, number_r);
}

void number_format_size(uint64_t size, char text_r[NUMBER_SIZE_TEXT])
{
    unsigned unit = 0;

    while (unit < 3 && size >> (10 * (unit + 1)) > 0)
        unit++;
    uint64_t scale = UINT64_C(1) << (10 * unit);
    if (unit == 0)
        snprintf(text_r, NUMBER_SIZE_TEXT, "%" PRIu64, size);
    else if (size % scale == 0)
        snprintf(text_r, NUMBER_SIZE_TEXT, "%" PRIu64 "%c", size / scale, units[unit - 1]);
    else
        snprintf(text_r, NUMBER_SIZE_TEXT, "%.1f%c", (double)size / (double)scale, units[unit - 1]);
}
