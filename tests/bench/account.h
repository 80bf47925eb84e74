#ifndef BENCH_ACCOUNT_H
#define BENCH_ACCOUNT_H

#include <stddef.h>

struct account {
    char *address;
    char *password;
};

/*
 * Reads a file of lines "address<TAB>password". Exits with a clear line when it cannot or when it
 * holds none. The caller frees with accounts_free().
 */
struct account *accounts_read(const char *path, size_t *count_r);

void accounts_free(struct account *accounts, size_t count);

#endif
