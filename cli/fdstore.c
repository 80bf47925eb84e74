#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "cli/fdstore.h"

#define NAME "authd"

int fdstore_take(void)
{
    char **names = NULL;
    int found = -1;

    int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], NAME) == 0)
            found = SD_LISTEN_FDS_START + i;
        free(names[i]);
    }
    free(names);
    if (found >= 0)
        sd_notify(0, "FDSTOREREMOVE=1\nFDNAME=" NAME);
    return found;
}

void fdstore_put(int fd)
{
    sd_pid_notify_with_fds(0, 0, "FDSTORE=1\nFDNAME=" NAME, &fd, 1);
}
