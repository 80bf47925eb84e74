#ifndef LIB_LOG_H
#define LIB_LOG_H

/*
 * One line an event on standard error: "pop3d[123]: warning: text". Severities after Postfix:
 *
 *   info     what happened
 *   warning  wrong, and dealt with
 *   error    ours: a bug or a broken machine; service goes on, somebody must look
 *   fatal    the environment does not let this program run: exits with status 1
 *            log_retry(): not now, but it may pass: exits with EX_TEMPFAIL, and the supervisor,
 * which takes status 1 at the first start for final, starts the program again, later and later
 *   panic    a bug in this program: aborts, so that there is a core
 *
 * A line is written with one write(2), so lines of several programs do not mix. Control
 * characters in the text become '?', so nobody outside can forge a line. Never pass a secret.
 * Safe to call from any thread after log_open().
 */

/* Names the program in every line; the text is not copied. */
void log_open(const char *program);

/* Sentences of log_fatal() and log_retry() go to this connection as well, as one packet. */
void log_report_to(int fd);

void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void log_retry(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void log_panic(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
