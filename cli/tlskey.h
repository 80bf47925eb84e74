#ifndef CLI_TLSKEY_H
#define CLI_TLSKEY_H

#include <stdbool.h>
#include <stddef.h>

/* More than the longest chain with a 16384-bit RSA key; pop3d reads as much. */
#define TLSKEY_SIZE_MAX (64 * 1024)

/* A certificate chain and its private key, as the supervisor hands them to pop3d. */
struct tlskey {
    bool expired; /* the first certificate is past its last day: clients will refuse it */
    size_t length;
    char pem[TLSKEY_SIZE_MAX]; /* the server's certificate, the rest of the chain, the key */
};

/*
 * Reads the two files (PEM, the key not encrypted; both may be one file) and checks that the key
 * belongs to the first certificate. Returns 0, or -1 with one sentence in error_r that says what to
 * do. The caller wipes it with tlskey_wipe() in both cases.
 */
int tlskey_load(struct tlskey *tlskey_r, const char *certificate_path, const char *key_path,
                char *error_r, size_t error_size);

void tlskey_wipe(struct tlskey *tlskey);

#endif
