#include <stdlib.h>

#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/usage.h"

struct usages {
    struct known_usage {
        uint64_t mailbox; /* 0: none, no mailbox has it */
        struct store_usage_is usage;
    } all[USAGES_MAX];
};

struct usages *usages_new(void)
{
    return xcalloc(1, sizeof(struct usages));
}

void usages_free(struct usages *usages)
{
    free(usages);
}

void usages_learn(struct usages *usages, uint64_t mailbox, const struct store_usage_is *usage)
{
    usages->all[mailbox % USAGES_MAX] = (struct known_usage){mailbox, *usage};
}

void usages_forget(struct usages *usages, uint64_t mailbox)
{
    struct known_usage *known = &usages->all[mailbox % USAGES_MAX];

    if (known->mailbox == mailbox)
        known->mailbox = 0;
}

bool usage_leaves_room(const struct store_usage_is *usage, uint64_t quota_octets,
                       uint64_t quota_messages, uint64_t declared)
{
    return usage->messages < quota_messages && usage->octets < quota_octets &&
           declared <= quota_octets - usage->octets;
}

bool usages_leave_room(const struct usages *usages, const struct db_route *route, uint64_t declared)
{
    const struct known_usage *known = &usages->all[route->mailbox % USAGES_MAX];

    return known->mailbox == route->mailbox && known->mailbox != 0 &&
           usage_leaves_room(&known->usage, route->quota_octets / 2, route->quota_messages / 2,
                             declared);
}
