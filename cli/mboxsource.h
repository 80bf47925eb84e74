#ifndef CLI_MBOXSOURCE_H
#define CLI_MBOXSOURCE_H

#include "cli/source.h"

/*
 * The messages of an mbox file (mbox.h), in its order. Lines end in LF or CRLF; Content-Length is
 * not believed. A message's time is that of the line before it, else the file's. Its unique-id is
 * the one that Bellhop put there, else that of its field X-UIDL, which POP3 servers write that keep
 * mail in such files, else derived from its octets.
 *
 * The file is read twice. When a message is not the same the second time, the import ends there:
 * then it is still in use.
 *
 * Opens the file at `path`. Returns NULL after refuse().
 */
struct source *mboxsource_open(const char *path);

#endif
