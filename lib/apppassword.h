#ifndef LIB_APPPASSWORD_H
#define LIB_APPPASSWORD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Passwords that Bellhop draws for one program of a mailbox's owner: 128 random bits and 12 that
 * follow from them, as 28 characters in groups of 4 ("ab3d-e5fg-..."), none of which looks like
 * another one. With so many bits a fast keyed digest is as hard to invert as a slow hash.
 *
 * What people choose does not have this form: of 28 such characters one in 4,096 has the right
 * check bits. So a password tells by itself whether it is one of these, and a wrong one of these
 * is never taken for the other kind.
 */

#define APPPASSWORD_OCTETS      16
#define APPPASSWORD_KEY_SIZE    32
#define APPPASSWORD_DIGEST_SIZE 32
#define APPPASSWORD_TEXT_SIZE   35 /* with its NUL */

/* Draws one. Both are wiped by their owner, as below. */
void apppassword_draw(uint8_t octets_r[APPPASSWORD_OCTETS], char text_r[APPPASSWORD_TEXT_SIZE]);

/*
 * Reads what was typed: spaces, dashes and capitals do not count. Returns 0, or -1: it has not
 * this form.
 */
int apppassword_parse(uint8_t octets_r[APPPASSWORD_OCTETS], const char *text, size_t length);

/* What is stored of one: it can only be made with the instance's key, and opens one mailbox. */
void apppassword_digest(uint8_t digest_r[APPPASSWORD_DIGEST_SIZE],
                        const uint8_t key[APPPASSWORD_KEY_SIZE], uint64_t mailbox,
                        const uint8_t octets[APPPASSWORD_OCTETS]);

#endif
