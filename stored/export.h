#ifndef STORED_EXPORT_H
#define STORED_EXPORT_H

/*
 * `stored export MAILBOX`: writes a mailbox's messages to standard output (lib/exportmsg.h), as
 * they are at one moment, beside the service or with none; a session may have the mailbox open.
 * Each body is checked before any of it is written. Returns the exit status: 0 also where damaged
 * messages were left out.
 */
int export_run(const char *mailbox);

#endif
