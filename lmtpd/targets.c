#include <stdlib.h>

#include "lib/storemsg.h"
#include "lib/xalloc.h"
#include "lmtpd/limits.h"
#include "lmtpd/targets.h"

void targets_fini(struct targets *targets)
{
    free(targets->all);
    free(targets->recipients);
    free(targets->links);
}

unsigned targets_find(const struct targets *targets, uint64_t mailbox)
{
    unsigned i = 0;

    while (i < targets->count && targets->all[i].mailbox != mailbox)
        i++;
    return i;
}

/* Doubles an array that is full; its sizes are powers of two. */
static void *grow(void *array, unsigned count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return array;
    return xrealloc(array, (count > 0 ? 2 * (size_t)count : 1) * size);
}

static void add_link(struct targets *targets, unsigned target)
{
    targets->links = grow(targets->links, targets->link_count, sizeof(*targets->links));
    targets->links[targets->link_count++] = target;
}

/* Returns the index of the target, or -1 when there is no place for another one. */
static int add_target(struct targets *targets, const struct db_route *route)
{
    unsigned index = targets_find(targets, route->mailbox);

    if (index < targets->count)
        return (int)index;
    if (index == STORE_RECIPIENTS_MAX)
        return -1;
    targets->all = grow(targets->all, index, sizeof(*targets->all));
    targets->all[index] = (struct target){
        .mailbox = route->mailbox,
        .quota_octets = route->quota_octets,
        .quota_messages = route->quota_messages,
        .octets_max = route->message_octets_max < MESSAGE_OCTETS_MAX ? route->message_octets_max
                                                                     : MESSAGE_OCTETS_MAX,
        .reply = REPLY_FAILURE,
    };
    targets->count++;
    return (int)index;
}

/* Before the last recipient there were `count` targets. */
static void remove_last(struct targets *targets, unsigned count)
{
    targets->recipient_count--;
    targets->link_count = targets->recipients[targets->recipient_count].first;
    targets->count = count;
}

int targets_add(struct targets *targets, const struct db_route *routes, unsigned count)
{
    unsigned index = targets->recipient_count;
    unsigned before = targets->count;

    if (index == TRANSACTION_RECIPIENTS_MAX)
        return -1;
    targets->recipients = grow(targets->recipients, index, sizeof(*targets->recipients));
    targets->recipients[index] = (struct recipient){.first = targets->link_count, .count = count};
    targets->recipient_count++;
    for (unsigned i = 0; i < count; i++) {
        int target = add_target(targets, &routes[i]);
        if (target < 0) {
            remove_last(targets, before);
            return -1;
        }
        add_link(targets, (unsigned)target);
    }
    return 0;
}

enum reply targets_reply(const struct targets *targets, unsigned recipient)
{
    const struct recipient *at = &targets->recipients[recipient];
    enum reply reply = REPLY__MAX;

    for (unsigned i = at->first; i < at->first + at->count; i++)
        reply = reply_combine(reply, targets->all[targets->links[i]].reply);
    return reply;
}
