#ifndef POP3D_TRANSACTION_H
#define POP3D_TRANSACTION_H

#include "pop3d/command.h"

/* The commands of the TRANSACTION state, and QUIT in every state. */
enum reply transaction_stat(struct session *session, const struct words *words);
enum reply transaction_list(struct session *session, const struct words *words);
enum reply transaction_uidl(struct session *session, const struct words *words);
enum reply transaction_retr(struct session *session, const struct words *words);
enum reply transaction_top(struct session *session, const struct words *words);
enum reply transaction_dele(struct session *session, const struct words *words);
enum reply transaction_rset(struct session *session, const struct words *words);
enum reply transaction_noop(struct session *session, const struct words *words);
enum reply transaction_quit(struct session *session, const struct words *words);

/* stored's answers in the UPDATE state, as in struct store_events. */
int transaction_expunged(struct session *session);
int transaction_expunge_failed(struct session *session);

#endif
