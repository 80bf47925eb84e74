/*
 * By the system calls: Debian 12 has no library for it, and its <linux/landlock.h> ends with
 * version 2 of the interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/landlock.h"
#include "lib/log.h"

struct landlock_rules {
    uint64_t files, addresses, scope;
};

struct landlock_below {
    uint64_t rights;
    int32_t parent;
} __attribute__((packed));

#define LANDLOCK_VERSION 1U /* asks landlock_create_ruleset() for it */
#define LANDLOCK_BELOW   1  /* the kind of a rule: a file, or what is below a folder */

#define FILES_EXECUTE     (1U << 0)
#define FILES_WRITE       (1U << 1)
#define FILES_READ        (1U << 2)
#define FILES_LIST        (1U << 3)
#define FILES_REMOVE      (1U << 5)
#define FILES_MAKE        (1U << 8)
#define FILES_REFER       (1U << 13) /* version 2 */
#define FILES_TRUNCATE    (1U << 14) /* version 3 */
#define FILES_IOCTL       (1U << 15) /* version 5 */
#define FILES_FIRST       (FILES_REFER - 1)
#define ADDRESSES_TCP     3U /* version 4: bind, connect */
#define ADDRESSES_CONNECT 2U
#define SCOPE_OTHERS      3U /* version 6: abstract sockets of others, signals to others */
#define FILES_ON_A_FOLDER (FILES_LIST | FILES_REMOVE | FILES_MAKE)

/* What is refused unless a rule gives it back, as far as the kernel knows it. */
static struct landlock_rules refused(long version)
{
    struct landlock_rules rules = {.files = FILES_FIRST};

    if (version >= 2)
        rules.files |= FILES_REFER;
    if (version >= 3)
        rules.files |= FILES_TRUNCATE;
    if (version >= 4)
        rules.addresses = ADDRESSES_TCP;
    if (version >= 5)
        rules.files |= FILES_IOCTL;
    if (version >= 6)
        rules.scope = SCOPE_OTHERS;
    return rules;
}

static uint64_t rights_of(unsigned rights)
{
    uint64_t files = 0;

    if ((rights & LANDLOCK_READ) != 0)
        files |= FILES_READ | FILES_LIST;
    if ((rights & LANDLOCK_WRITE) != 0)
        files |= FILES_WRITE | FILES_TRUNCATE;
    if ((rights & LANDLOCK_OWN) != 0)
        files |= FILES_READ | FILES_LIST | FILES_WRITE | FILES_TRUNCATE | FILES_MAKE | FILES_REMOVE;
    return files;
}

static void allow(int ruleset, const struct landlock_rules *rules, const struct landlock_path *path)
{
    struct landlock_below below = {.rights = rights_of(path->rights) & rules->files};

    below.parent = open(path->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (below.parent < 0 && errno == ENOTDIR) {
        below.parent = open(path->path, O_PATH | O_CLOEXEC);
        below.rights &= ~(uint64_t)FILES_ON_A_FOLDER;
    }
    if (below.parent < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BELOW, &below, 0) < 0)
        log_fatal("cannot be confined to %s: %s", path->path, strerror(errno));
    close(below.parent);
}

bool landlock_enter(const struct landlock_path *paths, const struct landlock_path *more,
                    bool network)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);

    if (version < 1)
        return false;
    struct landlock_rules rules = refused(version);
    if (network)
        rules.addresses &= ~(uint64_t)ADDRESSES_CONNECT;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (ruleset < 0)
        log_fatal("Landlock gives no rules: %s", strerror(errno));
    for (; paths->path != NULL; paths++)
        allow(ruleset, &rules, paths);
    for (; more->path != NULL; more++)
        allow(ruleset, &rules, more);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        log_fatal("Landlock does not take its rules: %s", strerror(errno));
    close(ruleset);
    return true;
}
