#ifndef TESTS_UNIT_CERTIFICATES_H
#define TESTS_UNIT_CERTIFICATES_H

#include <stdint.h>

#include "lib/certbundle.h"

/*
 * A new self-signed certificate for names (each with its '\0' but for the last, "" for none), valid
 * from `not_before` seconds from now for a day. The label is not copied.
 */
void certificate_make(struct certbundle_entry *entry_r, enum certbundle_kind kind,
                      const char *label, const char *names, size_t length, long not_before);

void certificate_free(struct certbundle_entry *entry);

/* Writes entries as the contents of the file from now on; the first one is the default. */
void certificates_write(int fd, const struct certbundle_entry *entries, unsigned count);

#endif
