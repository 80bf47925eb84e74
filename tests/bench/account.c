#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/account.h"

struct account *accounts_read(const char *path, size_t *count_r)
{
    struct account *accounts = NULL;
    char *line = NULL;
    size_t room = 0;
    size_t count = 0;

    FILE *file = fopen(path, "re");
    if (file == NULL)
        log_fatal("%s: %s", path, strerror(errno));
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        char *tab = strchr(line, '\t');
        if (tab == NULL)
            log_fatal("%s: line %zu is not address<TAB>password", path, count + 1);
        *tab = '\0';
        accounts = xrealloc(accounts, (count + 1) * sizeof(*accounts));
        accounts[count].address = xstrdup(line);
        accounts[count].password = xstrdup(tab + 1);
        count++;
    }
    free(line);
    fclose(file);
    if (count == 0)
        log_fatal("%s holds no accounts", path);
    *count_r = count;
    return accounts;
}

void accounts_free(struct account *accounts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(accounts[i].address);
        free(accounts[i].password);
    }
    free(accounts);
}
