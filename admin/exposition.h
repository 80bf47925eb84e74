#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

#include <stdio.h>

struct admin;
struct request;

#define EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*
 * GET /metrics, in Prometheus' text format 0.0.4: the counters of all programs (lib/metrics.h), and
 * what this one alone knows. Nothing in it is a customer's name.
 */
void exposition_get(struct admin *admin, struct request *request);

/* Of that the counters of all programs. */
void exposition_write(FILE *file);

#endif
