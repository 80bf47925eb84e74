#ifndef POP3D_CAPA_H
#define POP3D_CAPA_H

#include "pop3d/command.h"

/* CAPA (RFC 2449): says what the tables of commands, the settings and the session's state allow. */
enum reply capa_command(struct session *session, const struct words *words);

#endif
