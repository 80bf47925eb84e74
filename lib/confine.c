#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/confine.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/metrics.h"

/* The points of lib/fault.h, and what sanitizers read of their own process. */
static const struct landlock_path paths_of_tests[] = {
    {"run", LANDLOCK_OWN}, {"/proc", LANDLOCK_READ}, {NULL, 0}};
static const struct landlock_path no_paths[] = {{NULL, 0}};

void confine(const struct confine_profile *profile)
{
    /* Otherwise strftime() looks each time whether the file has changed. */
    if (getenv("TZ") == NULL)
        setenv("TZ", ":/etc/localtime", 1);
    tzset();
    bool files = landlock_enter(profile->paths, FAULTS || SANITIZED ? paths_of_tests : no_paths,
                                profile->calls.network);
    if (!files)
        log_warning("not confined by Landlock: this kernel does not have it");
    bool calls = callfilter_enter(&profile->calls);
    if (!calls)
        log_warning("not confined by seccomp: %s", strerror(errno));
    if (files && calls)
        metric_add(METRIC_CONFINED, 1);
}
