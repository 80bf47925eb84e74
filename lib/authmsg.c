#include <string.h>

#include "lib/authmsg.h"

int auth_block_compare(const void *one, const void *other)
{
    const struct auth_block *a = one;
    const struct auth_block *b = other;

    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    if (a->mailbox != b->mailbox)
        return a->mailbox < b->mailbox ? -1 : 1;
    return memcmp(a->source, b->source, sizeof(a->source));
}
