#ifndef LIB_RFC3339_H
#define LIB_RFC3339_H

#include <stdint.h>

/* A moment as text, in UTC: "2026-11-22T12:00:00Z". */
#define RFC3339_SIZE 40

/* Empty for a time that no calendar has. */
void rfc3339_format(char text_r[RFC3339_SIZE], uint64_t time);

#endif
