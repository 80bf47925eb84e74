#ifndef CLI_IMPORTER_H
#define CLI_IMPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/storemsg.h"

struct source;

/*
 * Brings the messages of a source into a mailbox of the running service, over stored's control
 * socket. Many are on their way at once, so that they share group commits; no message is in memory
 * whole. What the mailbox has already, by its unique-id, is not sent; so an import that was
 * interrupted is taken up by running it again.
 */

/*
 * The instance must have been entered. `asked`: show progress also where there is no terminal.
 * Prints a summary. Returns EXIT_DONE when every message is in the mailbox now; else EXIT_REFUSED,
 * after a line for each that is not, or for what ended the import.
 */
int importer_run(struct source *source, const struct store_recipient *recipient, bool asked);

/* --- for sources, during their transfer() --- */

struct importer;

/*
 * Takes the next octets of the message, with LF or CRLF lines. Returns whether more of it is
 * wanted: where it is refused already, the rest need not be read.
 */
bool importer_write(struct importer *importer, const char *octets, size_t length);

/* Sets the message's time, in microseconds since 1970. */
void importer_set_time(struct importer *importer, uint64_t time);

#endif
