#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/addresses.h"
#include "admin/directory.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "db/alias.h"
#include "db/domain.h"
#include "db/mailaddress.h"
#include "lib/row.h"
#include "lib/xalloc.h"

/* A password would have to be hashed before it is known whether it is needed. */
#define COLUMNS (ROW_ALL & ~(ROW_BIT(CUSTOMER) | ROW_BIT(GENERATE) | ROW_BIT(PASSWORD)))

#define POINTER_SIZE 128

static const struct field domain_members[] = {
    {.name = "domain",
     .type = FIELD_TEXT,
     .required = true,
     .least = 3,
     .most = 1000,
     .about = "as people write it, also in their own script"},
    {.name = "catch_all",
     .type = FIELD_TEXT,
     .nullable = true,
     .least = 3,
     .most = 1000,
     .about = "the address of the document that takes the mail for all that there are not"},
    {0}};

const struct field directory_fields[] = {
    {.name = "domains",
     .type = FIELD_OBJECTS,
     .required = true,
     .most = DB_PLAN_DOMAINS_MAX,
     .about = "all that there are to be",
     .members = domain_members},
    {.name = "addresses",
     .type = FIELD_OBJECTS,
     .required = true,
     .most = DB_PLAN_ADDRESSES_MAX,
     .about = "all that there are to be; hash and invite are for those that are added",
     .members = address_directory_fields},
    {0}};

static void begin(struct directory *directory)
{
    directory->domains = json_object();
    directory->addresses = json_object();
    directory->logins = json_object();
}

void directory_clear(struct directory *directory)
{
    json_decref(directory->domains);
    json_decref(directory->addresses);
    json_decref(directory->logins);
}

bool directory_is_alias(const json_t *address)
{
    return json_object_get(address, "targets") != NULL;
}

/* --- one thing in its one form */

static json_t *domain_item(const char *name, const char *catch_all)
{
    return json_pack("{ss so}", "domain", name, "catch_all", field_format_text(catch_all));
}

static json_t *mailbox_item(const char *address, const char *name, uint64_t octets,
                            const char *language, bool pop3, bool smtp)
{
    return json_pack("{ss ss so ss? sb sb}", "address", address, "name", name, "quota_bytes",
                     octets != 0 ? json_integer((json_int_t)octets) : json_null(), "language",
                     language, "pop3", (int)pop3, "smtp", (int)smtp);
}

static int compare_targets(const void *a, const void *b)
{
    const struct address *one = a, *other = b;
    int order = strcmp(one->domain, other->domain);

    return order != 0 ? order : strcmp(one->local, other->local);
}

/* Each target once, in the order of their names. */
static json_t *alias_item(const char *address, const struct address *targets, unsigned count)
{
    struct address *sorted = xcalloc(count, sizeof(*sorted));
    json_t *list = json_array();

    memcpy(sorted, targets, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_targets);
    for (unsigned i = 0; i < count; i++)
        if (i == 0 || strcmp(sorted[i].text, sorted[i - 1].text) != 0)
            json_array_append_new(list, json_string(sorted[i].text));
    free(sorted);
    return json_pack("{ss so}", "address", address, "targets", list);
}

/* --- what there is */

static enum db_result read_domains(struct db *db, uint64_t customer, json_t *domains)
{
    struct db_domain domain = {0};
    enum db_result result;

    while ((result = db_domain_next(db, customer, &domain)) == DB_OK)
        json_object_set_new(domains, domain.name, domain_item(domain.name, domain.catch_all));
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result read_alias(struct db *db, uint64_t customer, const char *text,
                                 json_t **item_r)
{
    struct address *targets = xcalloc(DB_ROUTE_MAX, sizeof(*targets));
    struct address address, target = {0};
    unsigned count = 0;
    const char *error;
    enum db_result result = DB_BROKEN;

    if (address_parse(&address, text, strlen(text), &error) == 0)
        while (count < DB_ROUTE_MAX &&
               (result = db_alias_target_next(db, customer, &address, &target)) == DB_OK)
            targets[count++] = target;
    *item_r = alias_item(text, targets, count);
    free(targets);
    return result == DB_NONE ? DB_OK : result;
}

static enum db_result read_addresses(struct db *db, uint64_t customer, json_t *addresses)
{
    struct db_mailaddress found = {0};
    enum db_result result = DB_OK;

    while (result == DB_OK && (result = db_mailaddress_next(db, customer, &found)) == DB_OK) {
        const struct db_mailbox_settings *settings = &found.settings;
        json_t *item;
        if (found.mailbox == 0)
            result = read_alias(db, customer, found.text, &item);
        else
            item = mailbox_item(found.text, found.name, settings->octets,
                                settings->language_given ? language_code(settings->language) : NULL,
                                settings->pop3, settings->smtp);
        json_object_set_new(addresses, found.text, item);
    }
    return result == DB_NONE ? DB_OK : result;
}

enum db_result directory_read(struct db *db, uint64_t customer, struct directory *directory_r)
{
    begin(directory_r);
    enum db_result result = read_domains(db, customer, directory_r->domains);
    return result == DB_OK ? read_addresses(db, customer, directory_r->addresses) : result;
}

static json_t *values_of(const json_t *object)
{
    json_t *list = json_array();
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        json_array_append(list, value);
    }
    return list;
}

json_t *directory_object(const struct directory *directory)
{
    return json_pack("{so so}", "domains", values_of(directory->domains), "addresses",
                     values_of(directory->addresses));
}

enum db_result directory_show(struct db *db, struct request *request, struct json_t **object_r)
{
    struct directory directory;
    enum db_result result = directory_read(db, request->customer, &directory);

    if (result == DB_OK)
        *object_r = directory_object(&directory);
    directory_clear(&directory);
    return result;
}

/* --- what there is to be */

/* One of a list's members, as RFC 6901 points to it. */
struct place {
    struct request *request;
    const char *list;
    size_t at;
};

static void wrong(const struct place *place, const char *member, const char *code,
                  const char *reason)
{
    char pointer[POINTER_SIZE];

    snprintf(pointer, sizeof(pointer), "/%s/%zu%s%s", place->list, place->at,
             member[0] != '\0' ? "/" : "", member);
    problem_member(place->request, pointer, code, "%s", reason);
}

static void take_catch_all(const struct place *place, const json_t *object,
                           char text_r[ADDRESS_MAX + 1])
{
    const json_t *value = json_object_get(object, "catch_all");
    struct address address;
    const char *error = "it is a string or null";

    if (value == NULL || json_is_null(value))
        return;
    if (!json_is_string(value) ||
        address_parse(&address, json_string_value(value), json_string_length(value), &error) < 0)
        wrong(place, "catch_all", "address", error);
    else
        memcpy(text_r, address.text, sizeof(address.text));
}

static void take_domain(const struct place *place, const json_t *object, json_t *domains)
{
    const json_t *value = json_object_get(object, "domain");
    char name[ADDRESS_DOMAIN_MAX + 1] = "";
    char catch_all[ADDRESS_MAX + 1] = "";
    const char *error = "it is a string, and must be given";

    size_t known = json_object_get(object, "catch_all") != NULL;
    if (json_object_size(object) > known + (value != NULL))
        wrong(place, "", "unknown", "it has the members domain and catch_all alone");
    take_catch_all(place, object, catch_all);
    if (!json_is_string(value) ||
        address_parse_domain(name, json_string_value(value), json_string_length(value), &error) < 0)
        wrong(place, "domain", "domain", error);
    else if (json_object_get(domains, name) != NULL)
        wrong(place, "domain", "twice", "this domain is there twice");
    else
        json_object_set_new(domains, name, domain_item(name, catch_all));
}

static json_t *item_of(const struct row *row)
{
    bool language = (row->given & ROW_BIT(LANGUAGE)) != 0;

    return row->target_count > 0
               ? alias_item(row->address.text, row->targets, row->target_count)
               : mailbox_item(row->address.text, row->name, row->quota_bytes,
                              language ? language_code(row->language) : NULL, row->pop3, row->smtp);
}

static void take_row(const struct place *place, struct row *row, struct directory *directory)
{
    const char *text = row->address.text;
    const char *error;

    if (db_mailbox_name_check(row->name, &error) < 0)
        row_wrong(row, "name", "text", "%s", error);
    if (text[0] != '\0' && json_object_get(directory->domains, row->address.domain) == NULL)
        row_wrong(row, "address", "no-domain", "its domain is none of the document");
    if (text[0] != '\0' && json_object_get(directory->addresses, text) != NULL)
        row_wrong(row, "address", "twice", "this address is there twice");
    for (unsigned i = 0; i < row->error_count; i++)
        wrong(place, row->errors[i].column, row->errors[i].code, row->errors[i].reason);
    if (row->error_count > 0)
        return;
    json_object_set_new(directory->addresses, text, item_of(row));
    if (row->login == ROW_LOGIN_INVITE)
        json_object_set_new(directory->logins, text, json_true());
    else if (row->login == ROW_LOGIN_HASH)
        json_object_set_new(directory->logins, text, json_string(row->hash));
}

static void take_addresses(struct request *request, const json_t *list, struct directory *directory)
{
    struct address *targets = xcalloc(ROW_TARGETS_MAX, sizeof(*targets));
    struct row *row = xcalloc(1, sizeof(*row));
    const json_t *object;
    size_t i;

    json_array_foreach(list, i, object)
    {
        const struct place place = {request, "addresses", i};
        memset(row, 0, sizeof(*row));
        row_read_object(row, targets, COLUMNS, object);
        take_row(&place, row, directory);
    }
    sodium_memzero(row, sizeof(*row));
    free(row);
    free(targets);
}

/* --- what leads where */

static bool is_mailbox(const struct directory *directory, const char *text)
{
    const json_t *item = json_object_get(directory->addresses, text);

    return item != NULL && !directory_is_alias(item);
}

static void check_alias(const struct place *place, const json_t *item,
                        const struct directory *directory)
{
    const json_t *target;
    size_t i;

    json_array_foreach(json_object_get(item, "targets"), i,
                       target) if (!is_mailbox(directory, json_string_value(target)))
        wrong(place, "targets", "no-mailbox", "each is the address of a mailbox of the document");
}

/* Only where nothing else is wrong: then the places are those of the document. */
static void check_leads(struct request *request, const struct directory *directory)
{
    const char *name;
    json_t *item;
    size_t i = 0;

    json_object_foreach(directory->addresses, name, item)
    {
        const struct place place = {request, "addresses", i++};
        check_alias(&place, item, directory);
    }
    i = 0;
    json_object_foreach(directory->domains, name, item)
    {
        const struct place place = {request, "domains", i++};
        const char *catch_all = json_string_value(json_object_get(item, "catch_all"));
        if (catch_all != NULL && json_object_get(directory->addresses, catch_all) == NULL)
            wrong(&place, "catch_all", "no-address", "it is an address of the document");
    }
}

void directory_take(struct request *request, struct directory *directory_r)
{
    const json_t *domains = json_object_get(request->json, "domains");
    const json_t *object;
    size_t i;

    begin(directory_r);
    json_array_foreach(domains, i, object)
    {
        const struct place place = {request, "domains", i};
        take_domain(&place, object, directory_r->domains);
    }
    take_addresses(request, json_object_get(request->json, "addresses"), directory_r);
    if (request->errors == NULL)
        check_leads(request, directory_r);
}
