#ifndef POP3D_XCLIENT_H
#define POP3D_XCLIENT_H

#include "pop3d/command.h"

/*
 * "XCLIENT ADDR=192.0.2.7 PORT=4711": Dovecot's command, with which a webmail or a proxy names the
 * client that it speaks for, once and before the login. Whatever else it says is passed over.
 */
enum reply xclient_command(struct session *session, const struct words *words);

#endif
