/* bellhop reload: asks the supervisor for it, and tells how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/callers.h"
#include "cli/command.h"
#include "lib/unixsocket.h"

static int refuse_connection(const char *directory, int error)
{
    if (error == ENOENT || error == ECONNREFUSED)
        return refuse("no bellhop serve runs in %s: there is nothing to reload", directory);
    if (error == EACCES)
        return refuse("only the owner of %s and root may do this", directory);
    return refuse("cannot connect to " INSTANCE_SUPERVISOR ": %s", strerror(error));
}

/* Shows what comes, a line at a time, to the end. */
static int show(FILE *answers)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int result = -1;

    while (result < 0 && (length = getline(&line, &room, answers)) > 1) {
        line[length - 1] = '\0';
        if (line[0] == CALLERS_REFUSED) {
            result = refuse("%s", line + 1);
        } else {
            puts(line + 1);
            fflush(stdout);
            result = line[0] == CALLERS_DONE ? EXIT_DONE : -1;
        }
    }
    free(line);
    return result >= 0 ? result
                       : refuse("bellhop serve has ended before it was done; its log says why");
}

int reload_main(struct instance *instance, int argc, char **argv)
{
    static const struct option no_options[] = {{NULL, 0, NULL, 0}};
    static const char request[CALLERS_REQUEST_SIZE] = CALLERS_RELOAD;

    if (command_option(argc, argv, no_options) != -1 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    if (instance_enter(instance) < 0)
        return EXIT_REFUSED;
    int fd = unixsocket_connect(INSTANCE_SUPERVISOR);
    if (fd < 0)
        return refuse_connection(instance->directory, errno);
    FILE *answers = fcntl(fd, F_SETFL, 0) == 0 ? fdopen(fd, "r") : NULL;
    if (answers == NULL || send(fd, request, sizeof(request), MSG_NOSIGNAL) < 0) {
        int error = errno;
        close(fd);
        return refuse_connection(instance->directory, error);
    }
    int result = show(answers);
    fclose(answers);
    return result;
}
