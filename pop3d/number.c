#include "pop3d/number.h"

/* Straight to where they belong: a copy would have to wait until the last digit is written. */
static size_t write_digits(char *text_r, size_t count, uint64_t number, unsigned base)
{
    for (size_t at = count; at > 0; number /= base)
        text_r[--at] = "0123456789abcdef"[number % base];
    return count;
}

size_t number_format(char *text_r, uint64_t number)
{
    size_t count = 1;

    for (uint64_t limit = 10; number >= limit && count < NUMBER_MAX; limit *= 10)
        count++;
    return write_digits(text_r, count, number, 10);
}

size_t number_format_hex(char *text_r, uint64_t number)
{
    size_t count = 1;

    for (uint64_t rest = number >> 4; rest > 0; rest >>= 4)
        count++;
    return write_digits(text_r, count, number, 16);
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
