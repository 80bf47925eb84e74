#ifndef LIB_XALLOC_H
#define LIB_XALLOC_H

#include <stddef.h>

/*
 * Memory that is there or the process is not: each call returns memory or logs and aborts. The
 * supervisor starts a fresh process and no acknowledged work is lost, which is safer than error
 * paths that nobody can test.
 *
 * The caller frees the result with free(). Sizes are in octets. xcalloc() returns zeroed memory
 * and checks the product for overflow.
 */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
