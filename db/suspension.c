#include "db/suspension.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {NULL, "keep", "defer", "refuse"};

const char *db_suspended_mail_name(enum db_suspended_mail mail)
{
    return names[mail];
}

int db_suspended_mail_parse(const char *name, enum db_suspended_mail *mail_r)
{
    for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *mail_r = (enum db_suspended_mail)i;
            return 0;
        }
    }
    return -1;
}
