/* bellhop auth blocks and lift: what is delayed because of wrong passwords. authd knows it alone.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/blocks.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "db/person.h"
#include "lib/adminlogin.h"
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
static json_t *name_of(struct db *db, const struct auth_block *block)
{
    struct db_person_found found;

    if (db_person_delayed(db, block->customers[0], block->mailbox, &found) != DB_OK)
        return json_null();
    return json_string(found.login);
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

    memcpy(&source, block->source, sizeof(source));
    if (!IN6_IS_ADDR_UNSPECIFIED(&source))
        networks_format(network, &source, block->bits <= 128 ? block->bits : 128);
    return json_pack("{ss so so so si si}", "delayed", scope_name(block->scope), "address",
                     name_of(db, block), "network", listing_text(network), "customer",
                     customer_names(db, block, only), "wrong", (int)block->count, "seconds",
                     (int)block->seconds);
}

int blocks_find(struct db *db, uint64_t customer, json_t *rows)
{
    const struct auth_list list = {.customer = customer};
    struct answer answer;

    int done = ask(&answer, AUTH_LIST, &list, sizeof(list));
    if (answer.count > 0)
        qsort(answer.blocks, answer.count, sizeof(*answer.blocks), auth_block_compare);
    for (size_t i = 0; done == EXIT_DONE && i < answer.count; i++)
        json_array_append_new(rows, block_row(db, &answer.blocks[i], customer));
    if (done == EXIT_DONE && answer.number > 0)
        fprintf(stderr, "bellhop: and %llu more\n", (unsigned long long)answer.number);
    free(answer.blocks);
    return done;
}

static int list_blocks(struct instance *instance, struct db *db, const struct db_customer *customer,
                       bool json)
{
    json_t *rows = json_array();
    (void)instance;

    int done = accounts->blocks_find(db, customer != NULL ? customer->id : 0, rows);
    if (done == EXIT_DONE)
        listing_print(rows, columns, json);
    else
        json_decref(rows);
    return done;
}

int auth_blocks_main(struct instance *instance, int argc, char **argv)
{
    return database_listing(instance, argc, argv, list_blocks);
}

/* --- lift */

int blocks_lift(struct db *db, const struct blocks_place *place, uint64_t *count_r)
{
    struct auth_lift lift = {0};
    struct answer answer;
    (void)db;

    if (place->found.mailbox != 0) {
        lift.customer = place->found.customer;
        lift.mailbox = place->found.mailbox;
        memcpy(lift.address, place->address.text, sizeof(place->address.text));
    } else if (place->user.id != 0) {
        lift.customer = place->user.customer;
        lift.mailbox = AUTH_ADMIN_USER | place->user.id;
        memcpy(lift.address, place->user.login, sizeof(place->user.login));
    } else {
        memcpy(lift.network, &place->network.list[0].address, sizeof(lift.network));
        lift.bits = place->network.list[0].bits;
    }
    int done = ask(&answer, AUTH_LIFT, &lift, sizeof(lift));
    *count_r = answer.number;
    return done;
}

static int unknown(const char *text)
{
    return refuse("\"%s\" is no mail address, no admin user's login and no network, as 192.0.2.1, "
                  "192.0.2.0/24 or 2001:db8::/48 is",
                  text);
}

static int find_admin_user(struct db *db, const char *login, struct blocks_place *place)
{
    enum db_result result = database_result(db, accounts->admin_user_find(db, login, &place->user));

    if (result == DB_NONE)
        return unknown(login);
    return result == DB_OK ? EXIT_DONE : EXIT_REFUSED;
}

/* NULL after refuse(). No admin user's login is an address; an operator's may look like one of a
 * network. */
static struct db *open_place(struct instance *instance, struct blocks_place *place)
{
    char login[ADMINLOGIN_MAX + 1];
    int done = EXIT_DONE;
    struct db *db = NULL;

    if (networks_parse(&place->network, place->text) == 0 && place->network.count == 1)
        return instance_open_database(instance);
    if (adminlogin_parse(login, place->text) == 0) {
        db = instance_open_database(instance);
        done = db != NULL ? find_admin_user(db, login, place) : EXIT_REFUSED;
    } else if (strchr(place->text, '@') != NULL) {
        db = address_open(instance, place->text, &place->address);
        done =
            db != NULL ? address_lookup_mailbox(db, &place->address, &place->found) : EXIT_REFUSED;
    } else {
        unknown(place->text);
    }
    if (done == EXIT_DONE || db == NULL)
        return db;
    accounts->close(db);
    return NULL;
}

int auth_lift_main(struct instance *instance, int argc, char **argv)
{
    static const struct option none[] = {{0}};
    struct blocks_place place = {0};
    uint64_t count = 0;

    if (command_option(argc, argv, none) != -1 || command_arguments(argc, argv, 1, 1) != 0)
        return EXIT_USAGE;
    place.text = argv[optind];
    struct db *db = open_place(instance, &place);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = accounts->blocks_lift(db, &place, &count);
    accounts->close(db);
    if (done == EXIT_DONE && count == 0)
        return refuse("nothing is delayed there; \"bellhop auth blocks\" shows what is");
    return done;
}
