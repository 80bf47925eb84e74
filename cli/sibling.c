#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/sibling.h"

/* From the folder of the running binary: where `make install` puts programs, where `make` does. */
static const char *const places[] = {"../libexec/bellhop", "."};

int sibling_path(const char *name, char path_r[PATH_MAX])
{
    char self[PATH_MAX];

    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return -1;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int size = snprintf(path_r, PATH_MAX, "%s/%s/%s", self, places[i], name);
        if (size >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (access(path_r, X_OK) == 0)
            return 0;
    }
    return -1;
}
