#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "stored/trouble.h"

/* Seconds between two lines that say the same. */
#define TELL_SECONDS 60

static struct {
    uint32_t told; /* 0: never */
    uint64_t silent;
    bool lasts;
} troubles[TROUBLE__MAX];

static const char *const passed[TROUBLE__MAX] = {
    [TROUBLE_FULL] = "there is room for mail again",
    [TROUBLE_WRITE] = "mail is written again",
    [TROUBLE_READ] = "mail is read again",
};

void trouble_tell(enum trouble kind, const char *what, int error)
{
    uint32_t now = clock_seconds();

    if (troubles[kind].told != 0 && now - troubles[kind].told < TELL_SECONDS) {
        troubles[kind].silent++;
        return;
    }
    if (troubles[kind].silent > 0)
        log_error("%s: %s; and %" PRIu64 " times since the last line like this", what,
                  strerror(error), troubles[kind].silent);
    else
        log_error("%s: %s", what, strerror(error));
    troubles[kind].told = now;
    troubles[kind].silent = 0;
    troubles[kind].lasts = true;
}

void trouble_passed(enum trouble kind)
{
    if (troubles[kind].lasts)
        log_info("%s", passed[kind]);
    troubles[kind].lasts = false;
}
