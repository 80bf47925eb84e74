#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uthash.h>

#include "cli/uniqueid.h"
#include "lib/xalloc.h"

#define DIGEST 16 /* octets; enough that two messages of a mailbox never meet */

bool uniqueid_is_valid(const char *text, size_t length)
{
    if (length == 0 || length > STORE_UNIQUE_ID_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x21 || text[i] > 0x7e)
            return false;
    return true;
}

void uniqueid_derive(const void *octets, size_t length, char unique_id_r[UNIQUEID_SIZE])
{
    unsigned char digest[DIGEST];

    crypto_generichash(digest, sizeof(digest), octets, length, NULL, 0);
    sodium_bin2hex(unique_id_r, UNIQUEID_SIZE, digest, sizeof(digest));
}

void uniqueid_from_name(const char *name, size_t length, char unique_id_r[UNIQUEID_SIZE])
{
    size_t end = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char octet = (unsigned char)name[i];
        bool plain = octet >= 0x21 && octet <= 0x7e && strchr("'\"+", octet) == NULL;
        if (end + (plain ? 1 : 3) > STORE_UNIQUE_ID_MAX) {
            uniqueid_derive(name, length, unique_id_r);
            return;
        }
        if (plain)
            unique_id_r[end++] = (char)octet;
        else
            end += (size_t)snprintf(unique_id_r + end, UNIQUEID_SIZE - end, "+%02X", octet);
    }
    unique_id_r[end] = '\0';
}

/* --- the set -------------------------------------------------------------------------------- */

struct member {
    unsigned count; /* how often it came */
    UT_hash_handle hh;
    char unique_id[UNIQUEID_SIZE];
};

struct uniqueids {
    struct member *members;
};

struct uniqueids *uniqueids_new(void)
{
    return xcalloc(1, sizeof(struct uniqueids));
}

void uniqueids_free(struct uniqueids *set)
{
    struct member *member, *next;

    if (set == NULL)
        return;
    HASH_ITER (hh, set->members, member, next) {
        HASH_DEL(set->members, member);
        free(member);
    }
    free(set);
}

/* How often the unique-id has come now. */
static unsigned count(struct uniqueids *set, const char *unique_id)
{
    struct member *member;

    HASH_FIND_STR(set->members, unique_id, member);
    if (member == NULL) {
        member = xcalloc(1, sizeof(*member));
        memcpy(member->unique_id, unique_id, strlen(unique_id) + 1);
        HASH_ADD_STR(set->members, unique_id, member);
    }
    return ++member->count;
}

bool uniqueids_add(struct uniqueids *set, const char *text, size_t length,
                   char unique_id_r[UNIQUEID_SIZE])
{
    char again[UNIQUEID_SIZE + 16];
    bool same = uniqueid_is_valid(text, length);
    unsigned times;

    if (same) {
        memcpy(unique_id_r, text, length);
        unique_id_r[length] = '\0';
    } else {
        uniqueid_derive(text, length, unique_id_r);
    }
    while ((times = count(set, unique_id_r)) > 1) {
        same = false;
        int end = snprintf(again, sizeof(again), "%s-%u", unique_id_r, times);
        if (end <= STORE_UNIQUE_ID_MAX)
            memcpy(unique_id_r, again, (size_t)end + 1);
        else
            uniqueid_derive(again, (size_t)end, unique_id_r);
    }
    return same;
}
