#ifndef ADMIN_TRAFFIC_H
#define ADMIN_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct route;

/*
 * How many answers of each status each route has given, for /metrics. It is a route of the table
 * that is named, never a path, so there are not more names than rows and no customer's among them.
 */
struct traffic;

/* The table is not copied. */
struct traffic *traffic_new(const struct route *routes, size_t count);

void traffic_free(struct traffic *traffic);

/* `route` is NULL where there was none. */
void traffic_note(struct traffic *traffic, const struct route *route, unsigned status);

/* Writes what is not 0 in Prometheus' text format. */
void traffic_write(const struct traffic *traffic, FILE *file);

#endif
