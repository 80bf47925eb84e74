#include <event2/http.h>
#include <liboath/oath.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/totp.h"
#include "lib/log.h"

static void make_code(const uint8_t secret[TOTP_SECRET_SIZE], uint64_t step,
                      char code_r[TOTP_DIGITS + 1])
{
    if (oath_totp_generate2((const char *)secret, TOTP_SECRET_SIZE, (time_t)(step * TOTP_PERIOD),
                            TOTP_PERIOD, 0, TOTP_DIGITS, 0, code_r) != OATH_OK)
        log_panic("a one-time code cannot be made");
}

uint64_t totp_step(const uint8_t secret[TOTP_SECRET_SIZE], const char *code, uint64_t now)
{
    char right[TOTP_DIGITS + 1];
    uint64_t found = 0;

    if (strlen(code) != TOTP_DIGITS)
        return 0;
    for (uint64_t step = now / TOTP_PERIOD - 1; step <= now / TOTP_PERIOD + 1; step++) {
        make_code(secret, step, right);
        if (sodium_memcmp(right, code, TOTP_DIGITS) == 0)
            found = step;
    }
    sodium_memzero(right, sizeof(right));
    return found;
}

void totp_secret_text(const uint8_t secret[TOTP_SECRET_SIZE], char text_r[TOTP_SECRET_TEXT_SIZE])
{
    char *text;

    if (oath_base32_encode((const char *)secret, TOTP_SECRET_SIZE, &text, NULL) != OATH_OK)
        log_fatal("out of memory");
    snprintf(text_r, TOTP_SECRET_TEXT_SIZE, "%s", text);
    sodium_memzero(text, strlen(text));
    free(text);
}

char *totp_link(const uint8_t secret[TOTP_SECRET_SIZE], const char *issuer, const char *account)
{
    char text[TOTP_SECRET_TEXT_SIZE];
    char *who = evhttp_encode_uri(issuer), *whose = evhttp_encode_uri(account), *link;

    totp_secret_text(secret, text);
    if (who == NULL || whose == NULL ||
        asprintf(&link, "otpauth://totp/%s:%s?secret=%s&issuer=%s", who, whose, text, who) < 0)
        log_fatal("out of memory");
    sodium_memzero(text, sizeof(text));
    free(who);
    free(whose);
    return link;
}
