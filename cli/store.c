/* The commands about the store are stored's own, run once on the instance's directory. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/sibling.h"

int store_main(struct instance *instance, int argc, char **argv)
{
    char path[PATH_MAX];
    char *arguments[] = {"stored", argv[0], NULL, NULL};
    bool json;

    if (command_json(argc, argv, &json) != 0 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    if (json)
        arguments[2] = "--json";
    if (instance_enter(instance) < 0)
        return EXIT_REFUSED;
    if (sibling_path("stored", path) < 0)
        return refuse("cannot find the program stored (%s); install Bellhop whole",
                      strerror(errno));
    fflush(stdout);
    execv(path, arguments);
    return refuse("cannot run %s: %s", path, strerror(errno));
}
