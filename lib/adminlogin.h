#ifndef LIB_ADMINLOGIN_H
#define LIB_ADMINLOGIN_H

/*
 * What admin users (db/adminuser.h) log in with: an operator's is a name, a customer's NAME@ID with
 * the customer's id. So the names of one customer say nothing of another's, and none is an address
 * (a domain has a dot): what people type tells by itself whether they are an admin user or a
 * mailbox's owner.
 */

#define ADMINLOGIN_NAME_MAX 64 /* octets of the name in a login */
#define ADMINLOGIN_MAX      (ADMINLOGIN_NAME_MAX + 21)

/*
 * The name of a login in its one form, lower case, from what was typed: 1 to 64 letters, digits,
 * ".", "-" and "_" of ASCII, the first a letter or digit. Returns 0, or -1 with one sentence in
 * *error_r (static text).
 */
int adminlogin_parse_name(char name_r[ADMINLOGIN_NAME_MAX + 1], const char *text,
                          const char **error_r);

/* The same for a whole login, as somebody types it who logs in. Returns 0 or -1. */
int adminlogin_parse(char login_r[ADMINLOGIN_MAX + 1], const char *text);

#endif
