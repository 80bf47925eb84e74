#ifndef LIB_LANGUAGE_H
#define LIB_LANGUAGE_H

/* The languages in which Bellhop writes to people, by their codes of ISO 639-1. */

#define LANGUAGE_CODES "en", "de", "fr", "es", "it", "nl", "pt"

enum language {
    LANGUAGE_EN,
    LANGUAGE_DE,
    LANGUAGE_FR,
    LANGUAGE_ES,
    LANGUAGE_IT,
    LANGUAGE_NL,
    LANGUAGE_PT,
    LANGUAGE__MAX
};

const char *language_code(enum language language);

/* Returns 0, or -1 when there is no such language here. */
int language_parse(const char *code, enum language *language_r);

/* The codes as a person reads them: "en, de, ... or pt". */
const char *language_list(void);

#endif
