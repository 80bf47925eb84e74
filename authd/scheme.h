#ifndef AUTHD_SCHEME_H
#define AUTHD_SCHEME_H

#include <stddef.h>

#include "authd/mechanism.h"
#include "lib/storedhash.h"

/*
 * Whether a password is the one that a stored hash was made of, whatever its scheme: by libsodium,
 * libargon2, libcrypt and OpenSSL's digests. Compared in constant time. Takes as long as the hash
 * says and is for a thread of its own; any number of threads may call it at once.
 */

enum scheme_result {
    SCHEME_FITS,
    SCHEME_WRONG,
    SCHEME_BROKEN /* not compared, for want of memory: logged */
};

/* Before the first comparison, by the one thread that there is. Opens no file. */
void scheme_init(void);

/* At most MECHANISM_PASSWORD_MAX octets, no NUL among them. */
enum scheme_result scheme_compare(const struct storedhash *hash, const char *password,
                                  size_t length);

#endif
