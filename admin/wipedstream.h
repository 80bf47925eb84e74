#ifndef ADMIN_WIPEDSTREAM_H
#define ADMIN_WIPEDSTREAM_H

#include <stdio.h>

/*
 * A stream into memory, as open_memstream() gives it, for what is shown once: where that grows it
 * leaves nothing behind in memory that is free. Panics where there is none left.
 *
 * The text and its length are there, with a zero behind it, after fflush() and after fclose(); the
 * caller wipes and frees it then.
 */
FILE *wipedstream_open(char **text_r, size_t *length_r);

#endif
