#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How far a long command has come, on standard error: a line that is drawn anew at most five times
 * a second where that is a terminal; elsewhere nothing, or with `asked` (--progress) a line every
 * ten seconds and one at the end.
 */

struct progress;

/* Percents are shown alone: they say nothing of how fast it goes. */
enum progress_unit { PROGRESS_OCTETS, PROGRESS_MESSAGES, PROGRESS_PERCENT };

/* `title` ("backup") is not copied. `total` 0: not known, and no time left is shown. */
struct progress *progress_begin(const char *title, enum progress_unit unit, uint64_t total,
                                bool asked);

/* `amount` more are done. */
void progress_add(struct progress *progress, uint64_t amount);

/* Takes the line off the terminal and frees; call it before anything is printed. NULL is allowed.
 */
void progress_end(struct progress *progress);

#define PROGRESS_TEXT 80

/* What the line says `seconds` after the beginning; for progress.c and its test. */
void progress_format(const char *title, enum progress_unit unit, uint64_t done, uint64_t total,
                     double seconds, char text_r[PROGRESS_TEXT]);

#endif
