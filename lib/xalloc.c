#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/xalloc.h"

static void *present(void *memory)
{
    if (memory == NULL)
        log_fatal("out of memory");
    return memory;
}

void *xmalloc(size_t size)
{
    return present(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return present(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return present(realloc(old, size > 0 ? size : 1));
}

char *xstrdup(const char *text)
{
    return present(strdup(text));
}

char *xasprintf(const char *format, ...)
{
    char *text;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    return present(text);
}
