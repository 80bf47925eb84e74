#include "lib/rfc3339.h"

#include <time.h>

void rfc3339_format(char text_r[RFC3339_SIZE], uint64_t time)
{
    time_t seconds = (time_t)time;
    struct tm parts;

    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text_r, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        text_r[0] = '\0';
}
