#include <string.h>

#include "lib/storemsg.h"
#include "stored/mailbox.h"
#include "stored/server.h"
#include "stored/session.h"
#include "stored/sessions.h"
#include "stored/store.h"

static struct store_session_is describe(const struct session *session)
{
    struct store_session_is is = {
        .mailbox = session->mailbox->id,
        .session = session->name,
        .seconds = mailbox_locked_for(session->mailbox),
        .octets = session->octets,
        .messages = session->count,
        .tls = session->tls,
    };

    memcpy(is.remote, session->remote, sizeof(is.remote));
    return is;
}

int sessions_list(struct connection *connection, const struct channel_message *message)
{
    const size_t count = message->length / sizeof(struct store_mailbox_id);
    const struct mailbox *mailbox;
    struct store_mailbox_id id;
    size_t length = 0;

    if (message->length % sizeof(id) != 0)
        return -1;
    uint8_t *payload = channel_begin(connection->channel, count * sizeof(struct store_session_is));
    for (size_t i = 0; i < count; i++) {
        memcpy(&id, (const uint8_t *)message->payload + i * sizeof(id), sizeof(id));
        mailbox = mailbox_find(connection->store->mailboxes, id.mailbox);
        if (mailbox == NULL || mailbox->session == NULL)
            continue;
        const struct store_session_is is = describe(mailbox->session);
        memcpy(payload + length, &is, sizeof(is));
        length += sizeof(is);
    }
    channel_end(connection->channel, STORE_SESSIONS_ARE, message->id, length);
    return 0;
}

int sessions_log_out(struct connection *connection, const struct channel_message *message)
{
    const size_t count = message->length / sizeof(struct store_logout);
    struct store_logged_out out = {0};
    struct store_logout logout;
    struct mailbox *mailbox;

    if (message->length % sizeof(logout) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        memcpy(&logout, (const uint8_t *)message->payload + i * sizeof(logout), sizeof(logout));
        mailbox = mailbox_find(connection->store->mailboxes, logout.mailbox);
        if (mailbox != NULL && session_log_out(mailbox, logout.number))
            out.sessions++;
    }
    channel_send(connection->channel, STORE_LOGGED_OUT, message->id, &out, sizeof(out), NULL, 0);
    return 0;
}
