#ifndef DB_SUSPENSION_H
#define DB_SUSPENSION_H

/* What happens to mail for a customer or a mailbox that is suspended; its owner gets none of it
 * now. */
enum db_suspended_mail {
    DB_SUSPENDED_AS_CONFIGURED, /* as bellhop.conf has it */
    DB_SUSPENDED_KEEP,          /* it is delivered, for the day on which the owner is back */
    DB_SUSPENDED_DEFER,         /* the sender is told to come again */
    DB_SUSPENDED_REFUSE         /* the sender is told that it is refused */
};

/* The word for it, in the database and on the command line; NULL for the first. */
const char *db_suspended_mail_name(enum db_suspended_mail mail);

/* Returns 0, or -1 when there is no such word. */
int db_suspended_mail_parse(const char *name, enum db_suspended_mail *mail_r);

#endif
