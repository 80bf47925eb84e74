#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/log.h"

/* Longer lines are cut: journald and syslog keep about as much. */
#define LOG_LINE_MAX 2048

static const char *log_program = "bellhop";
static pid_t log_process;
static int log_listener = -1;

void log_open(const char *program)
{
    log_program = program;
    log_process = getpid();
}

void log_report_to(int fd)
{
    log_listener = fd;
}

__attribute__((format(printf, 1, 0))) static void log_report(const char *format, va_list arguments)
{
    char sentence[LOG_LINE_MAX / 4];

    if (log_listener < 0)
        return;
    int length = vsnprintf(sentence, sizeof(sentence), format, arguments);
    if (length >= (int)sizeof(sentence))
        length = sizeof(sentence) - 1;
    ssize_t written = length > 0 ? write(log_listener, sentence, (size_t)length) : 0;
    (void)written;
}

__attribute__((format(printf, 2, 0))) static void log_write(const char *severity,
                                                            const char *format, va_list arguments)
{
    char line[LOG_LINE_MAX];
    int saved_errno = errno;

    int head = snprintf(line, sizeof(line), "%s[%d]: %s", log_program, (int)log_process, severity);
    int body = vsnprintf(line + head, sizeof(line) - (size_t)head, format, arguments);
    size_t length = (size_t)head + (body > 0 ? (size_t)body : 0);
    if (length > sizeof(line) - 2)
        length = sizeof(line) - 2;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    line[length++] = '\n';
    /* There is nobody left to tell when standard error is gone. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
    errno = saved_errno;
}

#define LOG_WITH(severity)                                                                         \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        log_write(severity, format, arguments);                                                    \
        va_end(arguments);                                                                         \
    } while (0)

void log_info(const char *format, ...)
{
    LOG_WITH("");
}

void log_warning(const char *format, ...)
{
    LOG_WITH("warning: ");
}

void log_error(const char *format, ...)
{
    LOG_WITH("error: ");
}

#define LOG_REPORT()                                                                               \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        log_report(format, arguments);                                                             \
        va_end(arguments);                                                                         \
    } while (0)

void log_fatal(const char *format, ...)
{
    LOG_WITH("fatal: ");
    LOG_REPORT();
    exit(1);
}

void log_retry(const char *format, ...)
{
    LOG_WITH("fatal: ");
    LOG_REPORT();
    exit(EX_TEMPFAIL);
}

void log_panic(const char *format, ...)
{
    LOG_WITH("panic: ");
    abort();
}
