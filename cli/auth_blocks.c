/* bellhop auth blocks and lift: what is delayed because of wrong passwords. authd knows it alone.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/owner.h"
#include "lib/authmsg.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

/* authd answers within milliseconds; while it is started again, within a second or two. */
#define WAIT_SECONDS 5

static const struct listing_column columns[] = {{"delayed", "DELAYED", LISTING_TEXT},
                                                {"address", "ADDRESS", LISTING_TEXT},
                                                {"network", "FROM", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"wrong", "WRONG", LISTING_NUMBER},
                                                {"seconds", "SECONDS", LISTING_NUMBER},
                                                {0}};

/* --- what authd says */

struct answer {
    struct conversation *conversation;
    struct auth_block *blocks;
    size_t count;
    uint64_t number; /* of AUTH_LISTED or AUTH_LIFTED */
};

static void add_block(struct answer *answer, const void *payload)
{
    if ((answer->count & (answer->count - 1)) == 0) /* full, at 0 and each power of two */
        answer->blocks = xrealloc(answer->blocks, (answer->count > 0 ? 2 * answer->count : 1) *
                                                      sizeof(*answer->blocks));
    memcpy(&answer->blocks[answer->count++], payload, sizeof(*answer->blocks));
}

static int on_message(void *context, const struct channel_message *message)
{
    struct answer *answer = context;

    if (message->type == AUTH_BLOCK && message->length == sizeof(struct auth_block)) {
        add_block(answer, message->payload);
        return 0;
    }
    if ((message->type != AUTH_LISTED && message->type != AUTH_LIFTED) ||
        message->length != sizeof(answer->number))
        return -1;
    memcpy(&answer->number, message->payload, sizeof(answer->number));
    conversation_done(answer->conversation);
    return 0;
}

/* Asks once. The caller frees the blocks. Returns EXIT_DONE, or EXIT_REFUSED after refuse(). */
static int ask(struct answer *answer_r, enum auth_type type, const void *payload, size_t length)
{
    *answer_r = (struct answer){0};
    answer_r->conversation = conversation_begin(INSTANCE_AUTH_CONTROL, on_message, answer_r);
    if (answer_r->conversation == NULL)
        return refuse("the service does not run; nobody is delayed until it does");
    conversation_send(answer_r->conversation, (uint8_t)type, 1, payload, length);
    bool answered = conversation_wait(answer_r->conversation, WAIT_SECONDS);
    conversation_free(answer_r->conversation);
    if (!answered)
        return refuse("authd does not answer; see the service's log, and try again");
    return EXIT_DONE;
}

/* --- blocks */

static const char *scope_name(uint32_t scope)
{
    static const char *const names[] = {[AUTH_SCOPE_PAIR] = "mailbox from network",
                                        [AUTH_SCOPE_NETWORK] = "network",
                                        [AUTH_SCOPE_MAILBOX] = "mailbox",
                                        [AUTH_SCOPE_PASSWORD] = "password"};

    return scope < sizeof(names) / sizeof(names[0]) ? names[scope] : "";
}

/* What has been removed meanwhile has no name. */
static void name_mailbox(struct db *db, uint64_t mailbox, struct db_owner *owner_r)
{
    *owner_r = (struct db_owner){0};
    if (mailbox != 0 && db_owner_find(db, mailbox, owner_r) != DB_OK)
        *owner_r = (struct db_owner){0};
}

static json_t *customer_names(struct db *db, const struct auth_block *block, uint64_t only)
{
    char names[AUTH_BLOCK_CUSTOMERS * (DB_CUSTOMER_NAME_MAX + 2)] = "";
    struct db_customer customer;
    size_t length = 0;

    for (unsigned i = 0; i < AUTH_BLOCK_CUSTOMERS && block->customers[i] != 0; i++)
        if ((only == 0 || block->customers[i] == only) &&
            db_customer_get(db, block->customers[i], &customer) == DB_OK)
            length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
                                       length > 0 ? ", " : "", customer.name);
    return listing_text(names);
}

static json_t *block_row(struct db *db, const struct auth_block *block, uint64_t only)
{
    char network[NETWORKS_TEXT_SIZE] = "";
    struct in6_addr source;
    struct db_owner owner;

    memcpy(&source, block->source, sizeof(source));
    if (!IN6_IS_ADDR_UNSPECIFIED(&source))
        networks_format(network, &source, block->bits <= 128 ? block->bits : 128);
    name_mailbox(db, block->mailbox, &owner);
    return json_pack("{ss so so so si si}", "delayed", scope_name(block->scope), "address",
                     listing_text(owner.address.text), "network", listing_text(network), "customer",
                     customer_names(db, block, only), "wrong", (int)block->count, "seconds",
                     (int)block->seconds);
}

static int list_blocks(struct instance *instance, struct db *db, const struct db_customer *customer,
                       bool json)
{
    uint64_t id = customer != NULL ? customer->id : 0;
    struct answer answer;
    (void)instance;

    const struct auth_list list = {.customer = id};
    int done = ask(&answer, AUTH_LIST, &list, sizeof(list));
    if (done == EXIT_DONE) {
        json_t *rows = json_array();
        for (size_t i = 0; i < answer.count; i++)
            json_array_append_new(rows, block_row(db, &answer.blocks[i], id));
        listing_print(rows, columns, json);
        if (answer.number > 0)
            fprintf(stderr, "bellhop: and %llu more\n", (unsigned long long)answer.number);
    }
    free(answer.blocks);
    return done;
}

int auth_blocks_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_blocks);
}

/* --- lift */

static int find_mailbox(struct instance *instance, const char *text, struct auth_lift *lift_r)
{
    struct db_mailaddress found;
    struct address address;

    struct db *db = address_open(instance, text, &address);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = address_lookup_mailbox(db, &address, &found);
    db_close(db);
    if (done != EXIT_DONE)
        return EXIT_REFUSED;
    lift_r->customer = found.customer;
    lift_r->mailbox = found.mailbox;
    memcpy(lift_r->address, address.text, sizeof(address.text));
    return EXIT_DONE;
}

static int find_network(struct instance *instance, const char *text, struct auth_lift *lift_r)
{
    struct networks networks;

    if (networks_parse(&networks, text) < 0 || networks.count != 1)
        return refuse("\"%s\" is neither a mail address nor a network, as 192.0.2.1, 192.0.2.0/24 "
                      "or 2001:db8::/48 is",
                      text);
    memcpy(lift_r->network, &networks.list[0].address, sizeof(lift_r->network));
    lift_r->bits = networks.list[0].bits;
    return instance_enter(instance) < 0 ? EXIT_REFUSED : EXIT_DONE;
}

int auth_lift_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct auth_lift lift = {0};
    struct answer answer;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    const char *what = argv[optind];
    int done = strchr(what, '@') != NULL ? find_mailbox(instance, what, &lift)
                                         : find_network(instance, what, &lift);
    if (done == EXIT_DONE)
        done = ask(&answer, AUTH_LIFT, &lift, sizeof(lift));
    if (done == EXIT_DONE && answer.number == 0)
        return refuse("nothing is delayed there; \"bellhop auth blocks\" shows what is");
    return done;
}
