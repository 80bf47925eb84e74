#ifndef CLI_UIDLIST_H
#define CLI_UIDLIST_H

#include <stddef.h>
#include <stdint.h>

/*
 * The files in which other servers keep the unique-ids of a maildir's messages:
 *
 *   dovecot-uidlist        versions 1 and 3. A message's P field; else what Dovecot's default
 *                          pop3_uidl_format "%08Xu%08Xv" shows, in lower case as it does: uid and
 *                          uid validity. An empty P field is the file's name. Dovecot lists
 *                          messages with an O field first, then by uid.
 *   courierpop3dsizelist   versions 2 and 3: "UID<number>-<validity>", without validity
 *                          "UID<number>", and for number 0 the file's name. Listed by name.
 *
 * Who writes them may have been broken or hostile: a line that makes no sense is left out.
 */

struct uidlist;

/* No name and no unique-id that matters is longer. */
#define UIDLIST_LINE_MAX 4096

struct uidlist_entry {
    const char *unique_id; /* as the other server shows it; NULL: by its name */
    uint64_t rank;         /* lower ones come first; UIDLIST_NO_RANK: by name */
};

#define UIDLIST_NO_RANK UINT64_MAX

/*
 * Reads the newer one of the two in a maildir. Returns NULL when there is neither; sets *name_r to
 * the file's name, also where it is one that is not understood (then NULL is returned) or cannot
 * be read (NULL with errno other than 0).
 */
struct uidlist *uidlist_read(int folder, const char **name_r);

/* Parses a whole file's octets, which it changes. NULL: not one of these formats. */
struct uidlist *uidlist_parse(char *text, size_t length);

void uidlist_free(struct uidlist *list); /* NULL is allowed */

/* The entry of a file by its name without folder and flags, or NULL. */
const struct uidlist_entry *uidlist_find(const struct uidlist *list, const char *name,
                                         size_t length);

#endif
