#include <string.h>

#include "lib/language.h"
#include "pop3d/language.h"
#include "pop3d/server.h"

static enum reply list(struct session *session)
{
    struct evbuffer *output = session_output(session);
    const struct tongue *tongue;

    reply_add(output, REPLY_LANGUAGES, session->tongue, 0);
    for (unsigned i = 0; (tongue = tongue_get(i)) != NULL; i++) {
        reply_add_piece(output, tongue->tag, " ", 1, tongue->name);
        evbuffer_add(output, "\r\n", 2);
    }
    evbuffer_add(output, ".\r\n", 3);
    return REPLY_SENT;
}

/*
 * "*" leaves the choice to us: before the login the operator's, because the user's would tell
 * whether there is one; then the one in which Bellhop writes to the customer.
 */
static const struct tongue *preferred(const struct session *session)
{
    bool known = session->state == SESSION_TRANSACTION;
    enum language operators = (enum language)session->server->child->conf.language;

    return tongue_find(language_code(known ? session->language : operators));
}

enum reply language_command(struct session *session, const struct words *words)
{
    const struct tongue *tongue;

    if (words->count == 0)
        return list(session);
    if (strcmp(words->arguments[0], "*") == 0)
        tongue = preferred(session);
    else
        tongue = tongue_find(words->arguments[0]);
    if (tongue == NULL)
        return REPLY_NO_LANGUAGE;
    session->tongue = tongue;
    reply_add_language(session_output(session), tongue);
    return REPLY_SENT;
}
