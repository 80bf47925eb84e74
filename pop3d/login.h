#ifndef POP3D_LOGIN_H
#define POP3D_LOGIN_H

#include "pop3d/command.h"

/*
 * The commands of the AUTHORIZATION state. Credentials go to authd as they are; its capability goes
 * to stored, and with the mailbox open, or its totals known, the session is logged in.
 */
enum reply login_stls(struct session *session, const struct words *words);
enum reply login_user(struct session *session, const struct words *words);
enum reply login_pass(struct session *session, const struct words *words);
enum reply login_auth(struct session *session, const struct words *words);
enum reply login_utf8(struct session *session, const struct words *words);

/* A line within AUTH; NULL for one that is too long or holds a NUL. */
enum reply login_response(struct session *session, const char *line);

/* What USER said does not count any more. */
void login_forget_user(struct session *session);

/* " PLAIN ...": the mechanisms of authd that this connection may use. See struct command. */
size_t login_mechanisms(const struct session *session, char *text_r, size_t size);

/* " USER": user names and passwords may be UTF-8 (RFC 6856 section 2.2). See struct command. */
size_t login_utf8_user(const struct session *session, char *text_r, size_t size);

/* stored's answers, as in struct store_events, while the mailbox is being opened. */
int login_opening(struct session *session, const struct store_totals *totals);
int login_entries(struct session *session, const void *entries, size_t count);
int login_growths(struct session *session, const void *growths, size_t count);
int login_unique_ids(struct session *session, const void *payload, size_t length);
int login_opened(struct session *session, const struct store_totals *totals);
int login_failed(struct session *session, const struct store_failed *failed);
void login_lost(struct session *session);

#endif
