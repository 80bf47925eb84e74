#ifndef POP3D_LANGUAGE_H
#define POP3D_LANGUAGE_H

#include "pop3d/command.h"

/* LANG (RFC 6856 section 3): lists the languages of answers, or chooses one; in both states. */
enum reply language_command(struct session *session, const struct words *words);

#endif
