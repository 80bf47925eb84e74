#ifndef CLI_CONVERSATION_H
#define CLI_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/channel.h"

/* What a command asks of a program that runs, over its control socket, and waits for. */

struct conversation;

/* Connects. `message` is as in struct channel_events. NULL: no connection (errno). */
struct conversation *conversation_begin(const char *path,
                                        int (*message)(void *context,
                                                       const struct channel_message *message),
                                        void *context);

/* `payload` is a struct, several of one kind, or NULL. */
void conversation_send(struct conversation *conversation, uint8_t type, uint32_t id,
                       const void *payload, size_t length);

/* Within `message`: what was asked is answered. */
void conversation_done(struct conversation *conversation);

/*
 * Returns whether that came true before the other side hung up, and within so many seconds. After
 * that, something else may be asked and waited for.
 */
bool conversation_wait(struct conversation *conversation, unsigned seconds);

/* NULL is allowed. */
void conversation_free(struct conversation *conversation);

#endif
