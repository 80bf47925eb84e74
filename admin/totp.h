#ifndef ADMIN_TOTP_H
#define ADMIN_TOTP_H

#include <stddef.h>
#include <stdint.h>

/*
 * One-time codes by the clock (RFC 6238) by liboath, as every authenticator app makes them: six
 * digits of HMAC-SHA-1, a new one each 30 seconds.
 */

/* RFC 4226 section 4, requirement 6: 160 bits. */
#define TOTP_SECRET_SIZE 20

/* In base32 without padding, and a NUL. */
#define TOTP_SECRET_TEXT_SIZE 33

#define TOTP_DIGITS 6
#define TOTP_PERIOD 30

/*
 * The step (30 seconds each since 1970) of which this is the code, or 0. A clock may be a step off
 * either way (RFC 6238 section 5.2). The caller lets no step count twice.
 */
uint64_t totp_step(const uint8_t secret[TOTP_SECRET_SIZE], const char *code, uint64_t now);

/* What a person types where the app cannot read a picture. */
void totp_secret_text(const uint8_t secret[TOTP_SECRET_SIZE], char text_r[TOTP_SECRET_TEXT_SIZE]);

/*
 * The otpauth: link that authenticator apps read from a QR code: for `account` (an address or a
 * login) at `issuer` (who the account is with, as the app shows it). Wiped and freed by the caller.
 */
char *totp_link(const uint8_t secret[TOTP_SECRET_SIZE], const char *issuer, const char *account);

#endif
