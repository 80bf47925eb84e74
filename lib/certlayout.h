#ifndef LIB_CERTLAYOUT_H
#define LIB_CERTLAYOUT_H

#include <stdint.h>

#include "lib/certbundle.h"

/*
 * How a bundle of certificates lies in its file; for certbundle.c and certwriter.c alone. The first
 * eight octets say where the head of the present contents is. These begin on a page: what entries
 * consist of, then the items in the order of their labels, the names in the order of their length
 * and then their octets, and the head. Places are counted from the beginning of the contents.
 */

#define CERTLAYOUT_MAGIC UINT64_C(0x3130747265636842) /* "Bhcert01" */

struct certlayout_piece {
    uint32_t at;
    uint32_t length;
};

struct certlayout_head {
    uint64_t magic;
    uint64_t start;  /* of the contents, in the file */
    uint64_t length; /* with this head */
    uint32_t items, item_count;
    uint32_t names, name_count;
};

struct certlayout_item {
    int64_t not_before, not_after;
    uint8_t stamp[CERTBUNDLE_STAMP_SIZE];
    uint8_t hash[CERTBUNDLE_HASH_SIZE];
    uint32_t kind;
    uint32_t issuer_count;
    struct certlayout_piece label; /* with its '\0' */
    struct certlayout_piece names;
    struct certlayout_piece certificate;
    struct certlayout_piece key;
    struct certlayout_piece issuers[CERTBUNDLE_ISSUERS_MAX];
};

struct certlayout_name {
    struct certlayout_piece text;
    struct certbundle_choice choice;
};

/* Reads the head of the present contents, and where in the file it is. Returns 0, or -1 (errno). */
int certlayout_read_head(int fd, uint64_t *at_r, struct certlayout_head *head_r);

#endif
