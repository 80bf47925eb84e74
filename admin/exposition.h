#ifndef ADMIN_EXPOSITION_H
#define ADMIN_EXPOSITION_H

struct admin;
struct request;

/* GET /metrics: the counters of all programs (lib/metrics.h) in Prometheus' text format 0.0.4. */
void exposition_get(struct admin *admin, struct request *request);

/* That text; the caller frees it. */
char *exposition_text(void) __attribute__((malloc, returns_nonnull));

#endif
