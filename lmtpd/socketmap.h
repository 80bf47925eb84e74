#ifndef LMTPD_SOCKETMAP_H
#define LMTPD_SOCKETMAP_H

#include "lmtpd/inquiry.h"

/*
 * Postfix's socketmap tables (socketmap_table(5)), as of the account database in the moment of the
 * question:
 *
 *   domains DOMAIN       OK with the domain where it is a customer's
 *   recipients ADDRESS   OK with the address where mail for it is taken
 *   senders ADDRESS      OK with the logins, commas between, that may send from it: the mailbox's
 *                        own address, or those of an alias's mailboxes
 */
extern const struct inquiry_protocol socketmap_protocol;

#endif
