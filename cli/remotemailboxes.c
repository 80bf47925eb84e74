#include "cli/remoteserver.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/listing.h"
#include "lib/xalloc.h"

/* Addresses, and what there is of a mailbox. */

/* --- addresses */

static char *address_path(const struct address *address, const char *after)
{
    return remote_path("/addresses/", address->text, after);
}

static enum db_result read_address(const struct db *db, const json_t *object,
                                   struct db_mailaddress *address_r)
{
    struct server *server = server_of(db);
    enum db_result result = server_understood(db, remoteanswer_address(object, address_r));

    if (result == DB_OK && address_r->mailbox != 0)
        address_r->mailbox = server_mailbox_id(server, address_r->customer, address_r->text);
    server->settings = address_r->settings;
    return result;
}

enum db_result server_mailaddress_find(struct db *db, const struct address *address,
                                       struct db_mailaddress *address_r)
{
    json_t *object;
    enum db_result result = remote_get(server_remote(db), address_path(address, ""), &object);

    if (result != DB_OK)
        return result;
    result = read_address(db, object, address_r);
    json_decref(object);
    return result;
}

enum db_result server_mailaddress_next(struct db *db, uint64_t customer,
                                       struct db_mailaddress *address)
{
    const json_t *item;
    enum db_result result = server_next(
        db, LIST_ADDRESSES,
        address->text[0] == '\0' ? server_list_path("/addresses", customer) : NULL, &item);

    return result == DB_OK ? read_address(db, item, address) : result;
}

enum db_result server_operator_mailaddress_next(struct db *db, struct db_mailaddress *address)
{
    return server_mailaddress_next(db, 0, address);
}

enum db_result server_mailaddress_remove(struct db *db, uint64_t customer,
                                         const struct address *address, uint64_t keep)
{
    (void)customer;
    return server_take_away(db, address_path(address, ""), keep);
}

static enum db_result patch_address(struct db *db, const struct address *address, json_t *body)
{
    return server_change(db, "PATCH", address_path(address, ""), body);
}

enum db_result server_mailaddress_set_name(struct db *db, uint64_t customer,
                                           const struct address *address, const char *name)
{
    (void)customer;
    return patch_address(db, address, json_pack("{ss}", "name", name));
}

enum db_result server_mailaddress_set_suspended(struct db *db, uint64_t customer,
                                                const struct address *address, bool suspended,
                                                enum db_suspended_mail mail)
{
    (void)customer;
    return patch_address(db, address, server_suspension(suspended, mail));
}

enum db_result server_mailaddress_set_settings(struct db *db, uint64_t customer,
                                               const struct address *address,
                                               const struct db_mailbox_settings *settings)
{
    const struct db_mailbox_settings *before = &server_of(db)->settings;
    json_t *body = json_object();
    (void)customer;

    if (settings->octets != before->octets)
        json_object_set_new(body, "quota_bytes",
                            settings->octets != 0 ? json_integer((json_int_t)settings->octets)
                                                  : json_null());
    if (settings->language_given != before->language_given ||
        settings->language != before->language)
        json_object_set_new(body, "language",
                            settings->language_given
                                ? json_string(language_code(settings->language))
                                : json_null());
    if (settings->pop3 != before->pop3)
        json_object_set_new(body, "pop3", json_boolean(settings->pop3));
    if (settings->smtp != before->smtp)
        json_object_set_new(body, "smtp", json_boolean(settings->smtp));
    return patch_address(db, address, body);
}

static json_t *address_texts(const struct address *targets, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_string(targets[i].text));
    return list;
}

enum db_result server_alias_add(struct db *db, uint64_t customer, const struct address *alias,
                                const struct address *targets, unsigned count)
{
    (void)customer;
    return server_change(
        db, "POST", remote_path("/addresses", "", ""),
        json_pack("{ss so}", "address", alias->text, "targets", address_texts(targets, count)));
}

enum db_result server_alias_set(struct db *db, uint64_t customer, const struct address *alias,
                                const struct address *targets, unsigned count)
{
    (void)customer;
    return patch_address(db, alias, json_pack("{so}", "targets", address_texts(targets, count)));
}

/* --- logins */

/* The server hashes what it is sent. */
int server_password_keep(const struct conf *conf, struct db *db, const struct password_job *jobs,
                         size_t count)
{
    (void)conf;
    (void)db;
    for (size_t i = 0; i < count; i++)
        jobs[i].kept->hash[0] = '\0';
    return EXIT_DONE;
}

static void add_login(json_t *body, const struct login *login)
{
    if (login->kept.hash[0] != '\0')
        json_object_set_new(body, "hash", json_string(login->kept.hash));
    else
        json_object_set_new(body, "password",
                            json_stringn(login->password.text, login->password.length));
}

/* A link only where the server has pages. */
int server_read_invitation(const json_t *answer, struct drawn_invitation *drawn_r)
{
    *drawn_r = (struct drawn_invitation){0};
    if (json_is_string(json_object_get(answer, "invitation_link")) &&
        remoteanswer_text(answer, "invitation_link", drawn_r->link, sizeof(drawn_r->link)) < 0)
        return -1;
    return remoteanswer_text(answer, "invitation", drawn_r->invitation.token,
                             sizeof(drawn_r->invitation.token)) < 0 ||
                   remoteanswer_time(answer, "invited_until", &drawn_r->invitation.until) < 0
               ? -1
               : 0;
}

enum db_result server_mailbox_add(struct db *db, const struct conf *conf, uint64_t customer,
                                  const struct db_mailaddress_new *new, const struct login *login,
                                  struct drawn_invitation *drawn_r)
{
    json_t *body = json_pack("{ss ss}", "address", new->address.text, "name", new->name);
    json_t *answer;
    (void)conf;
    (void)customer;

    if (login != NULL)
        add_login(body, login);
    else
        json_object_set_new(body, "invite", json_true());
    enum db_result result =
        remote_change(server_remote(db), "POST", remote_path("/addresses", "", ""), body, &answer);
    if (result == DB_OK && login == NULL)
        result = server_understood(db, server_read_invitation(answer, drawn_r));
    json_decref(answer);
    return result;
}

enum db_result server_mailbox_set_login(struct db *db, uint64_t customer,
                                        const struct address *address, const struct login *login)
{
    json_t *body = json_object();
    (void)customer;

    add_login(body, login);
    return server_change(db, "PUT", address_path(address, "/password"), body);
}

enum db_result server_mailbox_invite(struct db *db, const struct conf *conf, uint64_t customer,
                                     const struct address *address,
                                     struct drawn_invitation *drawn_r)
{
    json_t *answer;
    (void)conf;
    (void)customer;

    enum db_result result = remote_change(
        server_remote(db), "POST", address_path(address, "/invitation"), json_object(), &answer);
    if (result == DB_OK)
        result = server_understood(db, server_read_invitation(answer, drawn_r));
    json_decref(answer);
    return result;
}

/* --- welcome cards */

enum db_result server_cards_print(struct db *db, const struct conf *conf,
                                  const struct cards_wanted *wanted, FILE *file)
{
    json_t *body = json_object();
    (void)conf;

    if (wanted->count > 0)
        json_object_set_new(body, "addresses",
                            address_texts(wanted->addresses, (unsigned)wanted->count));
    if (wanted->domain[0] != '\0')
        json_object_set_new(body, "domain", json_string(wanted->domain));
    return remote_copy(server_remote(db), "POST",
                       server_customer_path(wanted->customer.id, "/cards"), body, file);
}

/* --- app passwords */

enum db_result server_app_password_draw(struct db *db, uint64_t customer,
                                        const struct address *address,
                                        const struct db_app_password *password,
                                        char text_r[APPPASSWORD_TEXT_SIZE])
{
    json_t *answer;
    (void)customer;

    enum db_result result = remote_change(
        server_remote(db), "POST", address_path(address, "/app-passwords"),
        json_pack("{ss sb sb so}", "name", password->name, "pop3", (int)password->pop3, "smtp",
                  (int)password->smtp, "expires", listing_time(password->expires)),
        &answer);
    if (result == DB_OK)
        result = server_understood(
            db, remoteanswer_text(answer, "password", text_r, APPPASSWORD_TEXT_SIZE));
    json_decref(answer);
    return result;
}

enum db_result server_app_password_next(struct db *db, uint64_t customer, uint64_t mailbox,
                                        struct db_app_password *password)
{
    char *path = NULL;
    (void)customer;

    if (password->name[0] == '\0')
        path = remote_path("/addresses/", server_mailbox_address(server_of(db), mailbox),
                           "/app-passwords?" SERVER_PAGE);
    SERVER_NEXT(db, LIST_APP_PASSWORDS, path, remoteanswer_app_password, password);
}

enum db_result server_app_password_remove(struct db *db, uint64_t customer,
                                          const struct address *address, const char *name)
{
    (void)customer;
    return server_change(db, "DELETE",
                         remote_path_add(address_path(address, "/app-passwords/"), name), NULL);
}

/* --- how full mailboxes are */

static bool take_usage(const struct server *server, const json_t *object, struct usage *usage)
{
    const char *address = json_string_value(json_object_get(object, "address"));

    if (address == NULL || strcmp(address, server_mailbox_address(server, usage->mailbox)) != 0)
        return false;
    usage->octets = (uint64_t)json_integer_value(json_object_get(object, "used_bytes"));
    usage->messages = (uint64_t)json_integer_value(json_object_get(object, "used_messages"));
    usage->known = true;
    return true;
}

/* Whose all of them are; 0: several customers'. */
static uint64_t customer_of_all(const struct server *server, const struct usage *usages,
                                size_t count)
{
    uint64_t customer = server->mailboxes[usages[0].mailbox - 1].customer;

    for (size_t i = 1; i < count; i++)
        if (server->mailboxes[usages[i].mailbox - 1].customer != customer)
            return 0;
    return customer;
}

/* Both are in the order of the addresses; what is in one alone came or went in between. */
static enum db_result ask_all(const struct db *db, struct usage *usages, size_t count)
{
    char *path = server_list_path("/usage", customer_of_all(server_of(db), usages, count));
    const json_t *item;
    enum db_result result;
    size_t at = 0;

    while ((result = server_next(db, LIST_USAGE, path, &item)) == DB_OK) {
        path = NULL;
        for (size_t i = at; i < count; i++)
            if (take_usage(server_of(db), item, &usages[i])) {
                at = i + 1;
                break;
            }
    }
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result ask_one(const struct db *db, struct usage *usage)
{
    json_t *object;
    enum db_result result = remote_get(
        server_remote(db),
        remote_path("/addresses/", server_mailbox_address(server_of(db), usage->mailbox), "/usage"),
        &object);

    if (result == DB_OK) {
        (void)take_usage(server_of(db), object, usage);
        json_decref(object);
    }
    return result;
}

const char *server_usage_ask(struct db *db, struct usage *usages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        usages[i].known = false;
    enum db_result result = count == 1 ? ask_one(db, usages) : ask_all(db, usages, count);
    return result == DB_OK ? NULL : "the server does not tell it";
}

/* --- sessions */

/* As the command shows them. */
static json_t *session_row(const json_t *item)
{
    json_t *row = json_object();
    static const char *const members[][2] = {
        {"address", "address"},   {"customer", "customer_name"}, {"session", "session"},
        {"since", "since"},       {"remote", "remote"},          {"tls", "tls"},
        {"messages", "messages"}, {"read_bytes", "read_bytes"}};

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        json_object_set(row, members[i][0], json_object_get(item, members[i][1]));
    return row;
}

int server_session_find(struct db *db, const struct session_wanted *wanted, struct sessions *found)
{
    const json_t *item;
    char *path = wanted->address != NULL ? address_path(&wanted->mailbox, "/sessions?" SERVER_PAGE)
                                         : server_list_path("/sessions", wanted->customer_id);
    enum db_result result;

    while ((result = server_next(db, LIST_SESSIONS, path, &item)) == DB_OK) {
        path = NULL;
        json_array_append_new(found->rows, session_row(item));
    }
    return result == DB_NONE ? EXIT_DONE : EXIT_REFUSED;
}

int server_session_end(struct db *db, const struct session_wanted *wanted,
                       const struct sessions *found)
{
    char *path = wanted->address != NULL ? address_path(&wanted->mailbox, "/sessions")
                                         : server_customer_path(wanted->customer_id, "/sessions");
    (void)found;

    switch (server_change(db, "DELETE", path, NULL)) {
    case DB_OK: return EXIT_DONE;
    case DB_NONE: return refuse("what the sessions were of was removed just now, and they end");
    default: return EXIT_REFUSED;
    }
}
