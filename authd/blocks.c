#include <inttypes.h>
#include <string.h>

#include "authd/blocks.h"
#include "authd/check.h"
#include "authd/report.h"
#include "lib/address.h"
#include "lib/authmsg.h"
#include "lib/channel.h"
#include "lib/log.h"
#include "lib/networks.h"

_Static_assert(AUTH_BLOCK_CUSTOMERS == THROTTLE_CUSTOMERS, "all fit into a message");
_Static_assert(AUTH_ADDRESS_SIZE > ADDRESS_MAX, "an address fits into a message");
_Static_assert((int)AUTH_SCOPE_PAIR == THROTTLE_PAIR &&
                   (int)AUTH_SCOPE_NETWORK == THROTTLE_NETWORK &&
                   (int)AUTH_SCOPE_MAILBOX == THROTTLE_MAILBOX &&
                   (int)AUTH_SCOPE_PASSWORD == THROTTLE_PASSWORD,
               "scopes are the throttle's");

struct listing {
    struct channel *channel;
    uint32_t id;
    uint64_t customer;
    uint64_t told;
    uint64_t left_off;
};

static bool concerns(const struct throttle_block *block, uint64_t customer)
{
    bool found = customer == 0;

    for (unsigned i = 0; i < THROTTLE_CUSTOMERS; i++)
        found = found || block->customers[i] == customer;
    return found;
}

static void tell(void *context, const struct throttle_block *block)
{
    struct listing *listing = context;
    struct auth_block told = {.scope = block->scope,
                              .count = block->count,
                              .seconds = block->seconds,
                              .bits = throttle_source_bits(&block->source),
                              .mailbox = block->mailbox};

    if (!concerns(block, listing->customer))
        return;
    if (listing->told == AUTH_BLOCKS_MAX) {
        listing->left_off++;
        return;
    }
    listing->told++;
    memcpy(told.source, &block->source, sizeof(told.source));
    memcpy(told.customers, block->customers, sizeof(told.customers));
    channel_send(listing->channel, AUTH_BLOCK, listing->id, &told, sizeof(told), NULL, 0);
}

void blocks_list(const struct checker *checker, struct channel *channel,
                 const struct channel_message *message)
{
    struct listing listing = {.channel = channel, .id = message->id};
    struct auth_list list;

    memcpy(&list, message->payload, sizeof(list));
    listing.customer = list.customer;
    checker_each_block(checker, tell, &listing);
    const struct auth_listed listed = {.left_off = listing.left_off};
    channel_send(channel, AUTH_LISTED, message->id, &listed, sizeof(listed), NULL, 0);
}

static unsigned lift_mailbox(struct checker *checker, struct report *report,
                             const struct auth_lift *lift)
{
    bool admin_user = (lift->mailbox & AUTH_ADMIN_USER) != 0;
    const struct report_event event = {.kind = DB_EVENT_LIFTED,
                                       .customer = lift->customer,
                                       .mailbox = admin_user ? 0 : lift->mailbox,
                                       .address = lift->address};
    unsigned count = checker_lift_mailbox(checker, lift->mailbox);

    log_info("lifted address=%s mailbox=%" PRIu64 " delays=%u", lift->address, event.mailbox,
             count);
    if (count > 0)
        report_event(report, &event);
    return count;
}

static int lift_network(struct checker *checker, const struct auth_lift *lift, unsigned *count_r)
{
    struct networks networks = {.count = 1};
    char text[NETWORKS_TEXT_SIZE];

    if (lift->bits > 128)
        return -1;
    memcpy(&networks.list[0].address, lift->network, sizeof(lift->network));
    networks.list[0].bits = lift->bits;
    *count_r = checker_lift_networks(checker, &networks);
    networks_format(text, &networks.list[0].address, lift->bits);
    log_info("lifted network=%s delays=%u", text, *count_r);
    return 0;
}

int blocks_lift(struct checker *checker, struct report *report, struct channel *channel,
                const struct channel_message *message)
{
    struct auth_lift lift;
    unsigned count;

    memcpy(&lift, message->payload, sizeof(lift));
    if (memchr(lift.address, '\0', sizeof(lift.address)) == NULL)
        return -1;
    if (lift.mailbox != 0)
        count = lift_mailbox(checker, report, &lift);
    else if (lift_network(checker, &lift, &count) < 0)
        return -1;
    const struct auth_lifted lifted = {.count = count};
    channel_send(channel, AUTH_LIFTED, message->id, &lifted, sizeof(lifted), NULL, 0);
    return 0;
}
