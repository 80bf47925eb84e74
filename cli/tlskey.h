#ifndef CLI_TLSKEY_H
#define CLI_TLSKEY_H

#include <stddef.h>

#include "lib/certbundle.h"

/* More than the longest chain with a 16384-bit RSA key. */
#define TLSKEY_SIZE_MAX (64 * 1024)

/*
 * Reads a certificate chain and its private key from two files (PEM, the key not encrypted; both
 * may be one file) and checks that TLS can be had with them: the key is ECDSA or RSA, long enough,
 * and belongs to the first certificate. Fills in all of the entry but label and stamp; `names` are
 * those in the first certificate's subjectAltName that a host can have, perhaps none. Returns 0,
 * and the caller wipes the entry with tlskey_wipe(); or -1 with one sentence in error_r that says
 * what to do.
 */
int tlskey_load(struct certbundle_entry *entry_r, const char *certificate_path,
                const char *key_path, char *error_r, size_t error_size);

void tlskey_wipe(struct certbundle_entry *entry);

#endif
