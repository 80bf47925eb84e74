#ifndef ADMIN_HEALTH_H
#define ADMIN_HEALTH_H

struct admin;
struct request;

/*
 * GET /healthz: 200 when accounts.db can be read and stored answers, else 503, at the latest after
 * the time limit of store_ping(). The body says in JSON which of the two fails:
 * {"status":"ok","database":"ok","store":"ok"}.
 */
void health_get(struct admin *admin, struct request *request);

#endif
