#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/surrogate.h"
#include "tests/crash/body.h"
#include "tests/crash/random.h"

#define LINE 72

void body_make(uint64_t serial, uint8_t *body_r, size_t length)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    struct random random = random_of(serial, length);
    char top[BODY_TOP_LENGTH + 1];

    snprintf(top, sizeof(top), "Subject: %016" PRIx64 "\r\n\r\n", serial);
    memcpy(body_r, top, BODY_TOP_LENGTH);
    uint64_t drawn = 0;
    for (size_t i = BODY_TOP_LENGTH; i < length; i++) {
        drawn = i % 8 == 0 || drawn == 0 ? random_next(&random) : drawn >> 8;
        body_r[i] = (uint8_t)letters[drawn % 64];
    }
    for (size_t end = BODY_TOP_LENGTH + LINE; end + LINE < length; end += LINE)
        memcpy(body_r + end - 2, "\r\n", 2);
    memcpy(body_r + length - 2, "\r\n", 2);
}

uint64_t body_serial(const uint8_t *body, size_t length)
{
    char digits[17] = "", *end;

    if (length < BODY_TOP_LENGTH || memcmp(body, "Subject: ", 9) != 0)
        return 0;
    memcpy(digits, body + 9, 16);
    uint64_t serial = strtoull(digits, &end, 16);
    return *end == '\0' ? serial : 0;
}

struct store_surrogate body_surrogate(uint64_t serial)
{
    bool needed = serial % 3 == 0;

    return (struct store_surrogate){.version = SURROGATE_VERSION,
                                    .needed = needed,
                                    .growth = needed ? (int64_t)(serial % 100) - 50 : 0};
}
