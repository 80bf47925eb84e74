/*
 * Takes the place of lib/log.c: lines are made, so that their arguments are looked at, and thrown
 * away. What ends a program is a finding.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/log.h"

__attribute__((format(printf, 1, 0))) static void make(const char *format, va_list arguments)
{
    char line[4096];

    (void)vsnprintf(line, sizeof(line), format, arguments);
}

#define LINE(name)                                                                                 \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
                                                                                                   \
        va_start(arguments, format);                                                               \
        make(format, arguments);                                                                   \
        va_end(arguments);                                                                         \
    }

#define LAST_LINE(name)                                                                            \
    void name(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
                                                                                                   \
        va_start(arguments, format);                                                               \
        (void)vfprintf(stderr, format, arguments);                                                 \
        va_end(arguments);                                                                         \
        (void)fputc('\n', stderr);                                                                 \
        abort();                                                                                   \
    }

LINE(log_info)
LINE(log_warning)
LINE(log_error)
LAST_LINE(log_fatal)
LAST_LINE(log_retry)
LAST_LINE(log_panic)

void log_open(const char *program)
{
    (void)program;
}

void log_report_to(int fd)
{
    (void)fd;
}
