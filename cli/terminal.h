#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Shows `prompt` on standard error and reads a line from standard input, which is a terminal,
 * without showing what is typed. Returns its octets with the newline; -1 when it was interrupted,
 * is longer than `size`, or the terminal has ended. The caller wipes text_r in any case.
 */
ssize_t terminal_ask(const char *prompt, char *text_r, size_t size);

#endif
