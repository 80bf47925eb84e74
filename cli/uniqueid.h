#ifndef CLI_UNIQUEID_H
#define CLI_UNIQUEID_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/storemsg.h"

/*
 * Unique-ids of messages that come from another server. A message must get the same one each time
 * its source is read, for that is how an import that is run again knows what is there already.
 */

#define UNIQUEID_SIZE (STORE_UNIQUE_ID_MAX + 1)

/* RFC 1939 section 7: 1 to 70 octets from 0x21 to 0x7e. */
bool uniqueid_is_valid(const char *text, size_t length);

/* Makes one of the octets: 32 hexadecimal digits. */
void uniqueid_derive(const void *octets, size_t length, char unique_id_r[UNIQUEID_SIZE]);

/*
 * Takes the name of a file of a maildir, without folder and flags, in the way in which Courier
 * shows it where it has no list; what is too long is derived from it.
 */
void uniqueid_from_name(const char *name, size_t length, char unique_id_r[UNIQUEID_SIZE]);

/* The unique-ids of one source. */
struct uniqueids;

struct uniqueids *uniqueids_new(void);
void uniqueids_free(struct uniqueids *set); /* NULL is allowed */

/*
 * Adds what the source gave, which may be anything, and puts what the message gets into
 * unique_id_r: the same; or, where it is none or came before, one that is derived from it and from
 * how often it came. Returns whether it is the same.
 */
bool uniqueids_add(struct uniqueids *set, const char *text, size_t length,
                   char unique_id_r[UNIQUEID_SIZE]);

#endif
