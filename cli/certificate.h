#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

#include <stdio.h>

/*
 * The self-signed certificate of a new instance, with which mail programs can try it before it has
 * a real one. Both return 0, or -1 with one sentence in *error_r (static text).
 */

/* Writes a new private key (ECDSA P-256, PEM). */
int certificate_make_key(FILE *file, const char **error_r);

/*
 * Writes a certificate (PEM) for the private key that is read from `key_file`. It names `hostname`,
 * localhost, 127.0.0.1 and ::1 and is valid for ten years.
 */
int certificate_make(FILE *file, FILE *key_file, const char *hostname, const char **error_r);

#endif
