#ifndef FETCHD_DESTINATION_H
#define FETCHD_DESTINATION_H

#include <stdbool.h>

struct networks;
struct sockaddr;

/*
 * Where this program may connect to. URLs come from customers, so what they lead to must be what
 * they could reach themselves: never this machine, its neighbours, or the like (the registries of
 * RFC 6890), unless the operator lists the network. It is asked about each address at the moment
 * when a connection is made to it, so it does not matter what a name has led to before.
 */

/* Reads the list of what is special; exits when that is wrong. Once, before the first question. */
void destination_init(void);

/* `listed` are the operator's; to others a connection is `encrypted`, with the peer verified. */
bool destination_is_allowed(const struct networks *listed, const struct sockaddr *address,
                            bool encrypted);

#endif
