#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/sibling.h"

#ifndef BELLHOP_LIBEXECDIR
#define BELLHOP_LIBEXECDIR "/usr/local/libexec/bellhop"
#endif

static int executable_in(const char *folder, const char *name, char path_r[PATH_MAX])
{
    int length = snprintf(path_r, PATH_MAX, "%s/%s", folder, name);

    if (length < 0 || length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return access(path_r, X_OK);
}

int sibling_path(const char *name, char path_r[PATH_MAX])
{
    char self[PATH_MAX];

    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length > 0) {
        self[length] = '\0';
        *strrchr(self, '/') = '\0';
        if (executable_in(self, name, path_r) == 0)
            return 0;
    }
    return executable_in(BELLHOP_LIBEXECDIR, name, path_r);
}
