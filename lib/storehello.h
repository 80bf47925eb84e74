#ifndef LIB_STOREHELLO_H
#define LIB_STOREHELLO_H

struct channel;
struct channel_message;

/*
 * How a connection to stored begins: with the question whether it is there and which version of
 * lib/storemsg.h it speaks. After an upgrade a program may find a stored that was started before.
 */

/* Asks, with the id 0. */
void storehello_ask(struct channel *channel);

/*
 * For every message with the id 0: 0 when it is the answer and stored can be spoken to, -1 when it
 * is no answer to the question. Another version ends the process, with a line that says what to do.
 */
int storehello_take(const struct channel_message *message);

/* As storehello_take(); and a program that needs no more than stored to serve is ready now. */
int storehello_take_ready(const struct channel_message *message);

#endif
