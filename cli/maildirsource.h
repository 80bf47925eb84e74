#ifndef CLI_MAILDIRSOURCE_H
#define CLI_MAILDIRSOURCE_H

#include "cli/source.h"

/*
 * The messages in cur/ and new/ of a maildir; what is in tmp/ is not delivered, and folders (.Sent)
 * are no POP3 mail: it says how many were left. Unique-ids and the order are those of the other
 * server's list (uidlist.h); a file that is in none gets its name's, and comes after the others.
 * The time is the file's, as IMAP servers show it.
 *
 * What is in a maildir may be its owner's choice: symbolic links in it are not followed, and what
 * is no plain file is left out.
 *
 * Opens the maildir at `path`. Returns NULL after refuse().
 */
struct source *maildirsource_open(const char *path);

#endif
