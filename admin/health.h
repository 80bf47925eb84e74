#ifndef ADMIN_HEALTH_H
#define ADMIN_HEALTH_H

struct admin;
struct request;

/*
 * GET /livez: 200 as long as this program answers at all. Nothing else is asked, because whoever
 * starts a service again that is not live would do so for a full disk too; what crashes is started
 * again by the supervisor.
 */
void health_live(struct admin *admin, struct request *request);

/*
 * GET /readyz and /healthz: 200 when clients can fetch and mail servers deliver, which is when
 * accounts.db can be read, stored and authd answer and there is a pop3d and an lmtpd; else 503, at
 * the latest after the time limits of store_ping() and authlink_ping(). The body says of each part
 * "ok" or in a sentence what is wrong with it: {"status":"ok","database":"ok",...}.
 */
void health_ready(struct admin *admin, struct request *request);

#endif
