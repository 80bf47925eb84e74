#ifndef CLI_MOMENT_H
#define CLI_MOMENT_H

#include <stdint.h>

/*
 * Parses a moment: "2026-11-22T08:00:00Z" as RFC 3339 has it in UTC, "2026-11-22" for its
 * beginning, or how long before `now` it was: "90m", "12h", "7d". Returns 0 with seconds since
 * 1970, or -1.
 */
int moment_parse(const char *text, uint64_t now, uint64_t *moment_r);

#endif
