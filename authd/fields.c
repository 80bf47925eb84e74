#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "authd/fields.h"

#define ESCAPE '\x01'

/* Octets that stand for others behind an escape. A NUL ("0") is not on it: no value needs one. */
static const struct {
    char octet;
    char letter;
} escapes[] = {{ESCAPE, '1'}, {'\t', 't'}, {'\n', 'n'}, {'\r', 'r'}};

#define ESCAPES (sizeof(escapes) / sizeof(escapes[0]))

static int unescape(char *text)
{
    char *to = strchr(text, ESCAPE);

    if (to == NULL)
        return 0;
    for (const char *from = to; *from != '\0'; from++) {
        char octet = *from;
        if (octet == ESCAPE) {
            size_t i = 0;
            from++;
            while (i < ESCAPES && escapes[i].letter != *from)
                i++;
            if (i == ESCAPES)
                return -1;
            octet = escapes[i].octet;
        }
        *to++ = octet;
    }
    *to = '\0';
    return 0;
}

int fields_split(char *line, size_t length, char *fields_r[FIELDS_MAX])
{
    int count = 0;

    if (memchr(line, '\0', length) != NULL)
        return -1;
    line[length] = '\0';
    while (line != NULL) {
        if (count == FIELDS_MAX)
            return -1;
        char *tab = strchr(line, '\t');
        if (tab != NULL)
            *tab++ = '\0';
        if (unescape(line) < 0)
            return -1;
        fields_r[count++] = line;
        line = tab;
    }
    return count;
}

const char *fields_find(char *const fields[], int count, int first, const char *name)
{
    size_t length = strlen(name);

    for (int i = first; i < count; i++)
        if (strncmp(fields[i], name, length) == 0 && fields[i][length] == '=')
            return fields[i] + length + 1;
    return NULL;
}

size_t fields_escape(char *escaped_r, const char *text, size_t length)
{
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        char octet = text[i];
        for (size_t j = 0; j < ESCAPES; j++)
            if (text[i] == escapes[j].octet) {
                escaped_r[written++] = ESCAPE;
                octet = escapes[j].letter;
            }
        /* What cannot be said is made visible. */
        escaped_r[written++] = octet != '\0' ? octet : '?';
    }
    escaped_r[written] = '\0';
    return written;
}

int fields_number(const char *text, unsigned *number_r)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > 0xffffffffU)
        return -1;
    *number_r = (unsigned)number;
    return 0;
}
