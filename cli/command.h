#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <stdbool.h>

#include "cli/instance.h"

/*
 * A command of bellhop is one row of the table in main.c. Its handler gets the arguments with
 * argv[0] being the last word of the command's name, as getopt_long() wants them, and returns the
 * program's exit code.
 */

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* after one sentence on standard error, by refuse() */
    EXIT_USAGE = 2    /* by wrong_usage() or command_option() */
};

struct command {
    const char *words; /* "plan list" */
    const char *usage; /* what follows the words */
    const char *help;  /* one line */
    enum {
        COMMAND_ANYWHERE,
        COMMAND_DIRECTORY, /* names its instance as an argument */
        COMMAND_INSTANCE,  /* of one on this machine: takes -C */
        COMMAND_ACCOUNTS   /* of accounts, here (-C) or elsewhere (--server): cli/accounts.h */
    } place;
    int (*run)(struct instance *instance, int argc, char **argv);
};

/* Says "bellhop: SENTENCE" on standard error and returns EXIT_REFUSED. Never pass a secret. */
int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, with the usage line of the command that runs; returns EXIT_USAGE. */
int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The next option by getopt_long(), in the order in which they stand; -1 after the last one. For a
 * wrong one it calls wrong_usage() and returns '?', and the handler returns EXIT_USAGE.
 */
int command_option(int argc, char **argv, const struct option *options);

/* For a command whose only option is --json. Returns 0, or EXIT_USAGE after wrong_usage(). */
int command_json(int argc, char **argv, bool *json_r);

/* A moment as moment_parse() knows them, up to now. Returns 0, or EXIT_USAGE after wrong_usage().
 */
int command_moment(const char *text, uint64_t *moment_r);

/* As command_json() for --customer NAME alone; NULL: it is not there. */
int command_customer(int argc, char **argv, const char **name_r);

/*
 * Checks that after the options there are from `least` to `most` arguments, and none is empty.
 * Returns 0, or EXIT_USAGE after wrong_usage().
 */
int command_arguments(int argc, char **argv, int least, int most);

/* Handlers. `bellhop serve` is in cli/serve.c. */
int init_main(struct instance *instance, int argc, char **argv);
int serve_main(struct instance *instance, int argc, char **argv);
int reload_main(struct instance *instance, int argc, char **argv);
int plan_list_main(struct instance *instance, int argc, char **argv);
int plan_add_main(struct instance *instance, int argc, char **argv);
int plan_set_main(struct instance *instance, int argc, char **argv);
int customer_add_main(struct instance *instance, int argc, char **argv);
int customer_list_main(struct instance *instance, int argc, char **argv);
int customer_show_main(struct instance *instance, int argc, char **argv);
int customer_set_main(struct instance *instance, int argc, char **argv);
int customer_suspend_main(struct instance *instance, int argc, char **argv);
int customer_resume_main(struct instance *instance, int argc, char **argv);
int customer_restore_main(struct instance *instance, int argc, char **argv);
int customer_remove_main(struct instance *instance, int argc, char **argv);
int domain_add_main(struct instance *instance, int argc, char **argv);
int domain_list_main(struct instance *instance, int argc, char **argv);
int domain_set_main(struct instance *instance, int argc, char **argv);
int domain_restore_main(struct instance *instance, int argc, char **argv);
int domain_remove_main(struct instance *instance, int argc, char **argv);
int address_add_main(struct instance *instance, int argc, char **argv);
int address_set_main(struct instance *instance, int argc, char **argv);
int address_list_main(struct instance *instance, int argc, char **argv);
int address_show_main(struct instance *instance, int argc, char **argv);
int address_restore_main(struct instance *instance, int argc, char **argv);
int address_suspend_main(struct instance *instance, int argc, char **argv);
int address_resume_main(struct instance *instance, int argc, char **argv);
int address_remove_main(struct instance *instance, int argc, char **argv);
int address_passwd_main(struct instance *instance, int argc, char **argv);
int address_invite_main(struct instance *instance, int argc, char **argv);
int address_cards_main(struct instance *instance, int argc, char **argv);
int address_import_main(struct instance *instance, int argc, char **argv);
int job_add_main(struct instance *instance, int argc, char **argv);
int job_list_main(struct instance *instance, int argc, char **argv);
int job_show_main(struct instance *instance, int argc, char **argv);
int job_follow_main(struct instance *instance, int argc, char **argv);
int job_errors_main(struct instance *instance, int argc, char **argv);
int job_cancel_main(struct instance *instance, int argc, char **argv);
int job_result_main(struct instance *instance, int argc, char **argv);
int job_cards_main(struct instance *instance, int argc, char **argv);
int removed_list_main(struct instance *instance, int argc, char **argv);
int removed_purge_main(struct instance *instance, int argc, char **argv);
int app_password_add_main(struct instance *instance, int argc, char **argv);
int app_password_list_main(struct instance *instance, int argc, char **argv);
int app_password_remove_main(struct instance *instance, int argc, char **argv);
int audit_list_main(struct instance *instance, int argc, char **argv);
int audit_export_main(struct instance *instance, int argc, char **argv);
int audit_verify_main(struct instance *instance, int argc, char **argv);
int audit_head_main(struct instance *instance, int argc, char **argv);
int webhook_add_main(struct instance *instance, int argc, char **argv);
int webhook_list_main(struct instance *instance, int argc, char **argv);
int webhook_set_main(struct instance *instance, int argc, char **argv);
int webhook_secret_main(struct instance *instance, int argc, char **argv);
int webhook_disable_main(struct instance *instance, int argc, char **argv);
int webhook_enable_main(struct instance *instance, int argc, char **argv);
int webhook_remove_main(struct instance *instance, int argc, char **argv);
int webhook_replay_main(struct instance *instance, int argc, char **argv);
int auth_audit_main(struct instance *instance, int argc, char **argv);
int auth_blocks_main(struct instance *instance, int argc, char **argv);
int auth_lift_main(struct instance *instance, int argc, char **argv);
int api_key_add_main(struct instance *instance, int argc, char **argv);
int api_key_list_main(struct instance *instance, int argc, char **argv);
int api_key_set_main(struct instance *instance, int argc, char **argv);
int api_key_remove_main(struct instance *instance, int argc, char **argv);
int admin_user_add_main(struct instance *instance, int argc, char **argv);
int admin_user_list_main(struct instance *instance, int argc, char **argv);
int admin_user_set_main(struct instance *instance, int argc, char **argv);
int admin_user_passwd_main(struct instance *instance, int argc, char **argv);
int admin_user_invite_main(struct instance *instance, int argc, char **argv);
int admin_user_remove_main(struct instance *instance, int argc, char **argv);
int trusted_network_add_main(struct instance *instance, int argc, char **argv);
int trusted_network_list_main(struct instance *instance, int argc, char **argv);
int trusted_network_remove_main(struct instance *instance, int argc, char **argv);
int session_list_main(struct instance *instance, int argc, char **argv);
int session_end_main(struct instance *instance, int argc, char **argv);
int token_issuer_add_main(struct instance *instance, int argc, char **argv);
int token_issuer_list_main(struct instance *instance, int argc, char **argv);
int token_issuer_remove_main(struct instance *instance, int argc, char **argv);
int mailbox_import_main(struct instance *instance, int argc, char **argv);
int mailbox_export_main(struct instance *instance, int argc, char **argv);
int statistics_main(struct instance *instance, int argc, char **argv);
int auth_events_main(struct instance *instance, int argc, char **argv);
int backup_main(struct instance *instance, int argc, char **argv);
int restore_main(struct instance *instance, int argc, char **argv);
int smtpd_filter_main(struct instance *instance, int argc, char **argv);
int certificate_list_main(struct instance *instance, int argc, char **argv);
int store_main(struct instance *instance, int argc, char **argv);

#endif
