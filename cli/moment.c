#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/moment.h"
#include "cli/number.h"

/* A hundred years; nobody means more, and it does not overflow. */
#define AGO_MOST 876000

static int parse_ago(const char *text, uint64_t now, uint64_t *moment_r)
{
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}};
    char digits[8];
    uint64_t count;
    size_t length = strlen(text);

    if (length < 2 || length > sizeof(digits))
        return -1;
    memcpy(digits, text, length - 1);
    digits[length - 1] = '\0';
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text[length - 1] != units[i].unit || number_parse(digits, 0, AGO_MOST, &count) < 0)
            continue;
        uint64_t ago = count * units[i].seconds;
        *moment_r = now > ago ? now - ago : 0;
        return 0;
    }
    return -1;
}

/* strptime() takes fewer digits too, and days that no month has: the way back shows it. */
static int parse_date(const char *text, uint64_t *moment_r)
{
    static const char format[] = "%Y-%m-%dT%H:%M:%SZ";
    struct tm parts = {0};
    char whole[sizeof("2026-11-22T08:00:00Z")];
    char again[sizeof(whole)];

    const char *rest = strlen(text) == strlen("2026-11-22") ? "T00:00:00Z" : "";
    if (snprintf(whole, sizeof(whole), "%s%s", text, rest) >= (int)sizeof(whole) ||
        strptime(whole, format, &parts) == NULL)
        return -1;
    time_t moment = timegm(&parts);
    if (moment < 0 || gmtime_r(&moment, &parts) == NULL ||
        strftime(again, sizeof(again), format, &parts) == 0 || strcmp(again, whole) != 0)
        return -1;
    *moment_r = (uint64_t)moment;
    return 0;
}

int moment_parse(const char *text, uint64_t now, uint64_t *moment_r)
{
    return parse_ago(text, now, moment_r) == 0 ? 0 : parse_date(text, moment_r);
}
