#ifndef LMTPD_POLICY_H
#define LMTPD_POLICY_H

#include "lmtpd/inquiry.h"

/*
 * Postfix's policy delegation (its SMTPD_POLICY_README), for smtpd_recipient_restrictions: a
 * recipient that LMTP would not take is refused in the SMTP dialogue, so that the sender hears of a
 * full mailbox at once, and not the operator of a bounce. Everybody else is DUNNO: the restrictions
 * that follow decide.
 */
extern const struct inquiry_protocol policy_protocol;

#endif
