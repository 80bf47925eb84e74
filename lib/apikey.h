#ifndef LIB_APIKEY_H
#define LIB_APIKEY_H

#include <stddef.h>
#include <stdint.h>

/*
 * Keys of the HTTP API: "bh_" and 256 random bits with 32 that follow from them, in 48 characters
 * of URL-safe Base64. So a key that lies about is known by its look, and one that was mistyped or
 * made up costs no lookup. What is kept is a keyed digest: with so many bits a fast one will do.
 */

#define APIKEY_TEXT_SIZE   52 /* with its NUL */
#define APIKEY_KEY_SIZE    32 /* of the instance's secret */
#define APIKEY_DIGEST_SIZE 32

/* Draws one; wiped by its owner. */
void apikey_draw(char text_r[APIKEY_TEXT_SIZE]);

/* Returns 0, or -1: it has not this form. */
int apikey_digest(uint8_t digest_r[APIKEY_DIGEST_SIZE], const uint8_t key[APIKEY_KEY_SIZE],
                  const char *text, size_t length);

#endif
