#include "cli/suspension.h"
#include "cli/command.h"

int suspension_options(int argc, char **argv, enum db_suspended_mail *mail_r)
{
    static const struct option options[] = {{"mail", required_argument, NULL, 'm'}, {0}};
    int option;

    *mail_r = DB_SUSPENDED_AS_CONFIGURED;
    while ((option = command_option(argc, argv, options)) != -1) {
        if (option == '?')
            return EXIT_USAGE;
        if (db_suspended_mail_parse(optarg, mail_r) < 0)
            return wrong_usage("--mail takes keep, defer or refuse, not \"%s\"", optarg);
    }
    return command_arguments(argc, argv, 1, 1);
}
