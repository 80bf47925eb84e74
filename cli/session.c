/* bellhop session list and end: POP3 sessions that are open. stored knows them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/accounts.h"
#include "cli/address.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "cli/session.h"
#include "cli/storeask.h"
#include "db/logout.h"
#include "db/mailboxlist.h"
#include "db/owner.h"
#include "lib/networks.h"
#include "lib/xalloc.h"

static const struct listing_column columns[] = {{"address", "ADDRESS", LISTING_TEXT},
                                                {"customer", "CUSTOMER", LISTING_TEXT},
                                                {"since", "SINCE", LISTING_TIME},
                                                {"remote", "FROM", LISTING_TEXT},
                                                {"tls", "TLS", LISTING_TEXT},
                                                {"messages", "MESSAGES", LISTING_NUMBER},
                                                {"read_bytes", "READ", LISTING_SIZE},
                                                {"session", "SESSION", LISTING_TEXT},
                                                {0}};

struct mailboxes {
    uint64_t *ids;
    size_t count;
};

/* --- the command line and what it names ---------------------------------------------------------
 */

static int parse(struct session_wanted *wanted_r, const struct option *options, int argc,
                 char **argv)
{
    int option;

    *wanted_r = (struct session_wanted){0};
    while ((option = command_option(argc, argv, options)) != -1)
        switch (option) {
        case 'c': wanted_r->customer = optarg; break;
        case 'j': wanted_r->json = true; break;
        default: return EXIT_USAGE;
        }
    if (command_arguments(argc, argv, 0, 1) != 0)
        return EXIT_USAGE;
    wanted_r->address = optind < argc ? argv[optind] : NULL;
    if (wanted_r->address != NULL && wanted_r->customer != NULL)
        return wrong_usage("an address is one customer's; leave --customer away");
    return 0;
}

static int find_mailbox(struct db *db, struct session_wanted *wanted)
{
    struct db_mailaddress found;

    if (address_argument(&wanted->mailbox, wanted->address) != EXIT_DONE ||
        address_lookup(db, &wanted->mailbox, &found) != EXIT_DONE)
        return EXIT_REFUSED;
    if (found.mailbox == 0)
        return refuse("%s is an alias, and nobody logs in with one; see its mailboxes",
                      wanted->mailbox.text);
    wanted->mailbox_id = found.mailbox;
    wanted->customer_id = found.customer;
    return EXIT_DONE;
}

static int find_wanted(struct db *db, struct session_wanted *wanted)
{
    struct db_customer customer;

    if (wanted->address != NULL)
        return find_mailbox(db, wanted);
    if (wanted->customer == NULL)
        return EXIT_DONE;
    if (database_customer(db, wanted->customer, &customer) != EXIT_DONE)
        return EXIT_REFUSED;
    wanted->customer_id = customer.id;
    return EXIT_DONE;
}

/* --- the sessions --------------------------------------------------------------------------------
 */

/* The ids are the caller's to free. */
static enum db_result list_mailboxes(struct db *db, const struct session_wanted *wanted,
                                     struct mailboxes *mailboxes_r)
{
    enum db_result result = DB_OK;
    uint64_t *ids = NULL;
    size_t count = 0;

    if (wanted->mailbox_id != 0) {
        ids = xmalloc(sizeof(ids[0]));
        ids[count++] = wanted->mailbox_id;
        result = DB_NONE;
    }
    while (result == DB_OK) {
        size_t more;
        ids = xrealloc(ids, (count + STORE_MAILBOXES_MAX) * sizeof(ids[0]));
        result = db_mailbox_list(db, wanted->customer_id, count > 0 ? ids[count - 1] : 0,
                                 ids + count, STORE_MAILBOXES_MAX, &more);
        count += more;
    }
    *mailboxes_r = (struct mailboxes){.ids = ids, .count = count};
    return database_result(db, result);
}

static int take_sessions(void *context, const void *payload, size_t length)
{
    struct sessions *sessions = context;
    size_t count = length / sizeof(sessions->found[0]);

    if (length % sizeof(sessions->found[0]) != 0)
        return -1;
    if (count == 0)
        return 0;
    sessions->found =
        xrealloc(sessions->found, (sessions->count + count) * sizeof(sessions->found[0]));
    memcpy(sessions->found + sessions->count, payload, length);
    sessions->count += count;
    return 0;
}

static json_t *remote_of(const struct store_session_is *session)
{
    char text[NETWORKS_TEXT_SIZE];
    struct in6_addr remote;

    memcpy(&remote, session->remote, sizeof(remote));
    if (IN6_IS_ADDR_UNSPECIFIED(&remote))
        return json_null();
    networks_format(text, &remote, 128);
    return json_string(text);
}

/* RFC 8446 section 4.2.1. */
static json_t *tls_of(const struct store_session_is *session)
{
    if (session->tls == 0)
        return json_null();
    return json_sprintf("TLSv1.%d", (session->tls & 0xff) - 1);
}

/* NULL: the mailbox has been removed meanwhile. */
static json_t *session_row(struct db *db, const struct store_session_is *session)
{
    struct db_mailaddress address;
    struct db_owner owner;

    if (db_owner_find(db, session->mailbox, &owner) != DB_OK ||
        accounts->mailaddress_find(db, &owner.address, &address) != DB_OK)
        return NULL;
    return json_pack("{ss ss so so so so sI sI}", "address", address.text, "customer",
                     address.customer_name, "session",
                     json_sprintf("%016" PRIx64, session->session), "since",
                     listing_time((uint64_t)time(NULL) - session->seconds), "remote",
                     remote_of(session), "tls", tls_of(session), "messages",
                     (json_int_t)session->messages, "read_bytes", (json_int_t)session->octets);
}

int session_find(struct db *db, const struct session_wanted *wanted, struct sessions *found)
{
    struct mailboxes mailboxes;
    enum db_result result = list_mailboxes(db, wanted, &mailboxes);
    const struct storeask ask = {.request = STORE_SESSIONS,
                                 .answer = STORE_SESSIONS_ARE,
                                 .items = mailboxes.ids,
                                 .item_size = sizeof(mailboxes.ids[0]),
                                 .count = mailboxes.count,
                                 .take = take_sessions,
                                 .context = found};
    const char *problem = result == DB_NONE ? storeask_run(&ask) : NULL;
    free(mailboxes.ids);
    if (result != DB_NONE)
        return EXIT_REFUSED;
    for (size_t i = 0; i < found->count; i++)
        json_array_append_new(found->rows, session_row(db, &found->found[i]));
    return problem == NULL ? EXIT_DONE : refuse("no session can be found: %s", problem);
}

/* admin would tell stored as well; but it is over when this command is. */
static int tell_stored(const struct sessions *sessions, uint64_t number)
{
    struct store_logout *logouts = xcalloc(sessions->count, sizeof(logouts[0]));

    for (size_t i = 0; i < sessions->count; i++)
        logouts[i] = (struct store_logout){.mailbox = sessions->found[i].mailbox, .number = number};
    const struct storeask ask = {.request = STORE_LOGOUT,
                                 .answer = STORE_LOGGED_OUT,
                                 .items = logouts,
                                 .item_size = sizeof(logouts[0]),
                                 .count = sessions->count};
    const char *problem = storeask_run(&ask);
    free(logouts);
    if (problem != NULL)
        return refuse("the sessions end when the service runs again: %s", problem);
    return EXIT_DONE;
}

int session_end(struct db *db, const struct session_wanted *wanted, const struct sessions *found)
{
    struct db_logout_range range;

    enum db_result result =
        wanted->mailbox_id != 0
            ? db_logout_mailbox(db, wanted->customer_id, &wanted->mailbox, &range)
            : db_logout_customer(db, wanted->customer_id, &range);
    switch (database_result(db, result)) {
    case DB_OK: return tell_stored(found, range.last);
    case DB_NONE: return refuse("what the sessions were of was removed just now, and they end");
    default: return EXIT_REFUSED;
    }
}

/* --- list */

static int list_sessions(struct db *db, struct session_wanted *wanted)
{
    struct sessions sessions = {.rows = json_array()};

    int done = find_wanted(db, wanted);
    if (done == EXIT_DONE)
        done = accounts->session_find(db, wanted, &sessions);
    if (done == EXIT_DONE)
        listing_print(json_incref(sessions.rows), columns, wanted->json);
    json_decref(sessions.rows);
    free(sessions.found);
    return done;
}

int session_list_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {
        {"customer", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {0}};
    struct session_wanted wanted;

    if (parse(&wanted, options, argc, argv) != 0)
        return EXIT_USAGE;
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = list_sessions(db, &wanted);
    accounts->close(db);
    return done;
}

/* --- end */

static int find_and_end(struct db *db, struct session_wanted *wanted)
{
    struct sessions sessions = {.rows = json_array()};

    int done = find_wanted(db, wanted);
    if (done == EXIT_DONE)
        done = accounts->session_find(db, wanted, &sessions);
    size_t count = json_array_size(sessions.rows);
    if (done == EXIT_DONE && count == 0)
        done = refuse("nobody is logged in there");
    if (done == EXIT_DONE)
        done = accounts->session_end(db, wanted, &sessions);
    if (done == EXIT_DONE)
        printf("%zu session%s ended\n", count, count == 1 ? "" : "s");
    json_decref(sessions.rows);
    free(sessions.found);
    return done;
}

int session_end_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{"customer", required_argument, NULL, 'c'}, {0}};
    struct session_wanted wanted;

    if (parse(&wanted, options, argc, argv) != 0)
        return EXIT_USAGE;
    if (wanted.address == NULL && wanted.customer == NULL)
        return wrong_usage("say whose session ends: an address, or --customer NAME");
    struct db *db = instance_open_database(instance);
    if (db == NULL)
        return EXIT_REFUSED;
    int done = find_and_end(db, &wanted);
    accounts->close(db);
    return done;
}
