#include "lib/commonpassword.h"

#include <string.h>

/* Sorted by octets, each with a newline behind it; the path is relative to the top of the tree. */
__asm__(".pushsection .rodata\n"
        ".globl common_passwords\n"
        ".hidden common_passwords\n"
        "common_passwords:\n"
        ".incbin \"texts/common-passwords.txt\"\n"
        ".byte 0\n"
        ".popsection\n");

extern const char common_passwords[] __attribute__((visibility("hidden")));

static int compare(const char *word, size_t length, const char *line, size_t line_length)
{
    int order = memcmp(word, line, length < line_length ? length : line_length);

    return order != 0 ? order : (length > line_length) - (length < line_length);
}

/* `from` and `to` are beginnings of lines, or the end. */
bool commonpassword_is(const char *word, size_t length)
{
    const char *from = common_passwords;
    const char *to = from + strlen(from);

    while (from < to) {
        const char *line = from + (to - from) / 2;
        while (line > from && line[-1] != '\n')
            line--;
        const char *newline = strchr(line, '\n');
        int order = compare(word, length, line, (size_t)(newline - line));
        if (order == 0)
            return true;
        if (order < 0)
            to = line;
        else
            from = newline + 1;
    }
    return false;
}
