#ifndef CLI_REMOTEACCOUNTS_H
#define CLI_REMOTEACCOUNTS_H

#include "cli/accounts.h"

struct remote_options;

/* The functions of cli/accounts.h over the HTTP API. */
extern const struct accounts accounts_remote;

/*
 * Opens a server's accounts: the handle for accounts_remote, which its close() frees. NULL after
 * refuse().
 */
struct db *remoteaccounts_open(const struct remote_options *options);

#endif
