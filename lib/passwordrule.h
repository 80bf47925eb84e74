#ifndef LIB_PASSWORDRULE_H
#define LIB_PASSWORDRULE_H

#include <stddef.h>

/*
 * Which passwords a person may choose, after NIST SP 800-63B section 5.1.1.2: long enough
 * (lib/password.h) and none that a stranger tries first. Nothing asks for capitals, digits or
 * signs: people answer that with "Password1!".
 *
 * It is looked at without capitals, spaces and signs, and without digits around it. What is left
 * counts where it is at least half of what was typed: "Welcome-2024!" is "welcome", and
 * "dragon73920184" is no "dragon".
 */

/* Whose the password is to be, and so what it may not be. A member may be NULL. */
struct passwordrule_owner {
    const char *address;  /* and its parts, and the labels of its domain */
    const char *customer; /* its name */
    const char *hostname; /* the service's, as in bellhop.conf; and its labels */
};

/*
 * Returns NULL, or one sentence that says why the password is not taken and does not show it; also
 * all that password_check() says.
 */
const char *passwordrule_check(const char *text, size_t length,
                               const struct passwordrule_owner *owner);

#endif
