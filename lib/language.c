#include <string.h>

#include "lib/language.h"

static const char *const codes[LANGUAGE__MAX] = {LANGUAGE_CODES};

const char *language_code(enum language language)
{
    return codes[language];
}

int language_parse(const char *code, enum language *language_r)
{
    for (unsigned i = 0; i < LANGUAGE__MAX; i++)
        if (strcmp(codes[i], code) == 0) {
            *language_r = (enum language)i;
            return 0;
        }
    return -1;
}

const char *language_list(void)
{
    return "en, de, fr, es, it, nl or pt";
}
