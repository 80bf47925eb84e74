#ifndef LIB_CERTBUNDLE_H
#define LIB_CERTBUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * All certificates of an instance with their keys, in memory that the supervisor writes and every
 * pop3d, and admin where it serves HTTPS, reads in place. So ten thousand of them are there once,
 * and are found without being read first.
 *
 * The memory is a file that only grows. New contents are written behind the present ones, and then
 * a number in its first page tells where they are. The contents before the present ones stay, for
 * who has not looked since; older ones are given back and read as zeros, in which no name is found.
 */

/* A name has at most one certificate of each kind; the client chooses. */
enum certbundle_kind { CERTBUNDLE_ECDSA, CERTBUNDLE_RSA, CERTBUNDLE__KINDS };

/* "ECDSA", "RSA" */
const char *certbundle_kind_text(enum certbundle_kind kind);

#define CERTBUNDLE_STAMP_SIZE 32
#define CERTBUNDLE_HASH_SIZE  32

/* Certificates of issuers that come with one; public ones come with one to three. */
#define CERTBUNDLE_ISSUERS_MAX 10

/* The longest name of a host (RFC 1035 section 2.3.4), as text. */
#define CERTBUNDLE_NAME_MAX 253

struct certbundle_octets {
    const void *octets;
    size_t length;
};

struct certbundle_entry {
    const char *label;                    /* where it comes from: "tls", "tls/hotel.example" */
    uint8_t stamp[CERTBUNDLE_STAMP_SIZE]; /* of its files: as long as this, they are unchanged */
    uint8_t hash[CERTBUNDLE_HASH_SIZE];   /* of certificate and key */
    enum certbundle_kind kind;            /* of the key */
    int64_t not_before, not_after;        /* seconds since 1970 */
    struct certbundle_octets names;       /* texts, each with its '\0', in lower case; "*.b.c" */
    struct certbundle_octets certificate; /* DER, as all that follows */
    struct certbundle_octets key;
    unsigned issuer_count;
    struct certbundle_octets issuers[CERTBUNDLE_ISSUERS_MAX];
};

/* Numbers of entries; the one of each kind, or CERTBUNDLE_NONE. */
#define CERTBUNDLE_NONE UINT32_MAX
struct certbundle_choice {
    uint32_t entries[CERTBUNDLE__KINDS];
};

/* --- reading ---------------------------------------------------------------------------------- */

struct certbundle;

/*
 * Maps what the file holds now. Returns NULL (errno) when it holds nothing yet or cannot be mapped.
 * The caller frees it with certbundle_close(); descriptors may be closed before.
 */
struct certbundle *certbundle_open(int fd);

/* Whether the file holds no newer contents. Others are given back with the next but one. */
bool certbundle_is_current(const struct certbundle *bundle, int fd);

/* NULL is allowed. */
void certbundle_close(struct certbundle *bundle);

/* Entry 0 is the default one. */
uint32_t certbundle_count(const struct certbundle *bundle);

/*
 * What entry `number` is. The octets stay in the bundle and live as long. Returns false where there
 * is none, and where the contents have been given back meanwhile.
 */
bool certbundle_entry(const struct certbundle *bundle, uint32_t number,
                      struct certbundle_entry *entry_r);

/*
 * For a client that names no host, or one that nothing is known of: at least one entry. What is not
 * valid at `now` (seconds since 1970) serves only where nothing is, here and in certbundle_find().
 */
struct certbundle_choice certbundle_default(const struct certbundle *bundle, int64_t now);

/*
 * The entries that serve a host's name, in lower case: by the name itself, and where it has none of
 * a kind, by a wildcard in place of its first label (RFC 6125 section 6.4.3). Returns whether there
 * are any.
 */
bool certbundle_find(const struct certbundle *bundle, const char *name, size_t length, int64_t now,
                     struct certbundle_choice *choice_r);

/* The entry with this label, or CERTBUNDLE_NONE. */
uint32_t certbundle_labelled(const struct certbundle *bundle, const char *label);

/* --- writing ---------------------------------------------------------------------------------- */

struct certwriter;

/*
 * Begins new contents of the file; what is there stays as it is. Never NULL. The caller ends it
 * with certwriter_end() or certwriter_cancel().
 */
struct certwriter *certwriter_begin(int fd);

/*
 * Adds an entry, which is written at once, so that no copy of a key stays in this process. The
 * first one is the default; the others come in the order of their labels (strcmp()). An error is
 * told by certwriter_end().
 */
void certwriter_add(struct certwriter *writer, const struct certbundle_entry *entry);

/*
 * From here on readers find the new contents. Of two entries of one kind for one name, the one that
 * is valid at `now` (seconds since 1970) and was issued last serves it, and the default one last.
 * For the default's names and for those that nobody knows, an entry of the other kind stands beside
 * the default if it serves all of the default's names. Returns 0, or -1 (errno) with the old
 * contents in place.
 */
int certwriter_end(struct certwriter *writer, int64_t now);

void certwriter_cancel(struct certwriter *writer);

#endif
