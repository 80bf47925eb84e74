#include <stdlib.h>
#include <string.h>

#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "pop3d/admission.h"
#include "pop3d/limits.h"
#include "pop3d/server.h"
#include "pop3d/session.h"

static struct origin *find(const struct admission *admission, const struct peer *peer)
{
    struct origin *origin;

    HASH_FIND(hh, admission->origins, peer->network, sizeof(peer->network), origin);
    return origin;
}

/* Returns how many connections there are from its network, with this one. */
static unsigned count_in(struct admission *admission, const struct peer *peer)
{
    struct origin *origin = find(admission, peer);

    if (origin == NULL) {
        origin = xcalloc(1, sizeof(*origin));
        memcpy(origin->network, peer->network, sizeof(origin->network));
        HASH_ADD(hh, admission->origins, network, sizeof(origin->network), origin);
    }
    return ++origin->connections;
}

static void count_out(struct admission *admission, const struct peer *peer)
{
    struct origin *origin = find(admission, peer);

    if (--origin->connections > 0)
        return;
    HASH_DEL(admission->origins, origin);
    free(origin);
}

static enum reply judge(const struct session *session, unsigned from_there)
{
    const struct server *server = session->server;
    const struct conf *conf = &server->child->conf;
    uint64_t strangers = conf->pop3_sessions - conf->pop3_sessions / LIMIT_STRANGERS_SHARE;

    if (server->session_count > conf->pop3_sessions || server->admission.strangers > strangers)
        return REPLY_FULL;
    return from_there > conf->pop3_address_sessions ? REPLY_ADDRESS_FULL : REPLY_GREETING;
}

enum reply admission_enter(struct session *session)
{
    struct admission *admission = &session->server->admission;
    unsigned from_there = 0;

    session->stranger = true;
    admission->strangers++;
    if (!session->peer.shared)
        from_there = count_in(admission, &session->peer);
    enum reply reply = judge(session, from_there);
    if (reply == REPLY_GREETING)
        return reply;
    metric_add(METRIC_POP3_REFUSED, 1);
    session->refused = true;
    admission->refused++;
    return reply;
}

bool admission_can_tell(const struct session *session)
{
    return !session->refused || session->server->admission.refused <= LIMIT_REFUSALS;
}

enum reply admission_rename(struct session *session, const struct peer *peer)
{
    struct admission *admission = &session->server->admission;
    unsigned from_there = 0;

    if (!session->peer.shared)
        count_out(admission, &session->peer);
    session->peer = *peer;
    if (!peer->shared)
        from_there = count_in(admission, peer);
    if (from_there <= session->server->child->conf.pop3_address_sessions)
        return REPLY_OK;
    metric_add(METRIC_POP3_REFUSED, 1);
    session->greeting = REPLY_ADDRESS_FULL;
    return session->greeting;
}

void admission_know(struct session *session)
{
    if (session->stranger)
        session->server->admission.strangers--;
    session->stranger = false;
}

void admission_leave(struct session *session)
{
    admission_know(session);
    if (session->refused)
        session->server->admission.refused--;
    session->refused = false;
    if (!session->peer.shared)
        count_out(&session->server->admission, &session->peer);
}
