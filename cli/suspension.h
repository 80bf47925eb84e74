#ifndef CLI_SUSPENSION_H
#define CLI_SUSPENSION_H

#include "db/suspension.h"

/*
 * Reads the command line of a command that suspends: one argument, and --mail. Returns 0 or
 * EXIT_USAGE after wrong_usage().
 */
int suspension_options(int argc, char **argv, enum db_suspended_mail *mail_r);

#endif
