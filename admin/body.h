#ifndef ADMIN_BODY_H
#define ADMIN_BODY_H

#include <stddef.h>

struct json_t;

/* How deep objects and lists may be within each other: the parser calls itself for each. */
#define BODY_DEPTH_MAX 16

/*
 * Values and names of members together: parsed, each takes up to some 150 octets, of 1 MiB of "{},"
 * 90 MiB.
 */
#define BODY_VALUES_MAX 200000

#define BODY_ERROR_SIZE 64

/*
 * Parses a body: one JSON value (RFC 8259) whose objects name no member twice. NULL, with one
 * sentence in error_r, where it is none, is nested too deep, has too many values, or holds what is
 * no UTF-8 or an octet 0.
 */
struct json_t *body_parse(const char *text, size_t length, char error_r[BODY_ERROR_SIZE]);

#endif
