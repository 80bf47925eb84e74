#include <string.h>

#include "pop3d/number.h"

static size_t format(char *text_r, uint64_t number, unsigned base)
{
    char digits[NUMBER_MAX];
    size_t at = sizeof(digits);

    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    memcpy(text_r, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at;
}

size_t number_format(char *text_r, uint64_t number)
{
    return format(text_r, number, 10);
}

size_t number_format_hex(char *text_r, uint64_t number)
{
    return format(text_r, number, 16);
}

int number_parse(uint64_t *number_r, const char *text)
{
    uint64_t number = 0;

    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        uint64_t digit = (uint64_t)(*text - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    *number_r = number;
    return 0;
}
