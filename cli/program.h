#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/conf.h"
#include "lib/metrics.h"

/* The programs of an instance, which the supervisor starts. */

/*
 * Fronts serve clients and end first; the programs behind them see their last requests. One that
 * writes for those ends last.
 */
enum program_stage { STAGE_FRONT, STAGE_BACK, STAGE_WRITER };

struct program {
    const char *name;
    enum program_stage stage;
    enum metric restarts;
    const char *descriptors[6]; /* besides conf, metrics and lock, which all get; NULL ends them */
    bool remembers;             /* gets memory for who comes after it, and that of the one before */
};

enum {
    PROGRAM_STORED,
    PROGRAM_AUTHD,
    PROGRAM_FETCHD,
    PROGRAM_LMTPD,
    PROGRAM_POP3D,
    PROGRAM_ADMIN,
    PROGRAMS
};

/* In the order of starting. */
extern const struct program programs[PROGRAMS];

/* How many processes of it this configuration wants. */
unsigned program_count(const struct program *program, const struct conf *conf);

/*
 * Opens the binaries of all programs, for execution alone, as they are on disk now: what is
 * executed later is what was there at this moment, also when another version has been installed
 * since. Returns 0, or -1 with one sentence in error_r and none left open.
 */
int program_open_binaries(int fds_r[PROGRAMS], char *error_r, size_t error_size);

/* Closes those that are not -1, and makes them that. */
void program_close_binaries(int fds[PROGRAMS]);

#endif
