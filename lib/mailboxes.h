#ifndef LIB_MAILBOXES_H
#define LIB_MAILBOXES_H

#include <stdbool.h>
#include <stddef.h>

struct field_writer;

/* Where an address leads that cannot be shown: nowhere (RFC 6858 section 2.1). */
#define MAILBOXES_NOWHERE "invalid@internationalized-address.invalid"

/*
 * Writes the unfolded value of From, To and the like (RFC 5322 section 3.4) in ASCII. Names and
 * comments become encoded-words. A domain that is not ASCII becomes A-labels, which is the same
 * domain; an address whose local part is not ASCII has no other form, so it goes into the name, and
 * MAILBOXES_NOWHERE takes its place. What is ASCII stays as it is.
 */
void mailboxes_write(struct field_writer *writer, const char *value, size_t length);

/* The same for Return-Path, which has no names. */
void mailboxes_write_path(struct field_writer *writer, const char *value, size_t length);

#endif
