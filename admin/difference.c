#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/change.h"
#include "admin/difference.h"
#include "admin/directory.h"
#include "admin/object.h"
#include "admin/page.h"
#include "admin/problem.h"
#include "admin/request.h"
#include "db/alias.h"
#include "db/domain.h"
#include "db/limit.h"
#include "db/mailaddress.h"
#include "lib/invitation.h"
#include "lib/xalloc.h"

const struct parameter difference_parameters[] = {
    {.name = "apply",
     .type = FIELD_BOOL,
     .about = "whether the difference is made, all or nothing"},
    {.name = "remove",
     .type = FIELD_BOOL,
     .about = "whether what the document leaves out is removed; else that is refused"},
    {0}};

enum action { ACTION_ADD, ACTION_CHANGE, ACTION_REMOVE, ACTION__MAX };

static const char *const action_names[ACTION__MAX] = {"add", "change", "remove"};

/* What the query says. */
struct asked {
    bool apply;
    bool remove;
    char page_url[CONF_TEXT_MAX];
};

struct difference {
    struct db *db;
    struct request *request;
    struct directory before;
    struct directory after;
    json_t *list;
    unsigned domains[ACTION__MAX];
    unsigned addresses[ACTION__MAX];
    json_t *invitations;
};

/* --- what differs */

static void note(struct difference *difference, bool domain, enum action action, const char *name,
                 json_t *before, json_t *after)
{
    unsigned *counts = domain ? difference->domains : difference->addresses;

    counts[action]++;
    json_array_append_new(difference->list,
                          json_pack("{ss ss ss sO? sO?}", "action", action_names[action], "kind",
                                    domain ? "domain" : "address", "name", name, "before", before,
                                    "after", after));
}

/* A mailbox that becomes an alias, or the other way, is another thing of the same name. */
static bool is_same_thing(bool domain, const json_t *before, const json_t *after)
{
    return before != NULL && after != NULL &&
           (domain || directory_is_alias(before) == directory_is_alias(after));
}

static void compare(struct difference *difference, bool domain)
{
    json_t *before = domain ? difference->before.domains : difference->before.addresses;
    json_t *after = domain ? difference->after.domains : difference->after.addresses;
    const char *name;
    json_t *item;

    json_object_foreach(before, name, item)
    {
        json_t *other = json_object_get(after, name);
        if (!is_same_thing(domain, item, other))
            note(difference, domain, ACTION_REMOVE, name, item, NULL);
    }
    json_object_foreach(after, name, item)
    {
        json_t *other = json_object_get(before, name);
        if (!is_same_thing(domain, other, item))
            note(difference, domain, ACTION_ADD, name, NULL, item);
        else if (!json_equal(other, item))
            note(difference, domain, ACTION_CHANGE, name, other, item);
    }
}

/* --- making it */

/* What stands in the list was an address when it was put there. */
static struct address parsed(const char *text)
{
    struct address address = {0};
    const char *error;

    (void)address_parse(&address, text, strlen(text), &error);
    return address;
}

static bool stays(const struct difference *difference, const char *text)
{
    const json_t *before = json_object_get(difference->before.addresses, text);

    return is_same_thing(false, before, json_object_get(difference->after.addresses, text));
}

/* The targets of an alias; `there`: only of those that are there and stay. */
static unsigned targets_of(const struct difference *difference, const json_t *alias, bool there,
                           struct address targets_r[DB_ROUTE_MAX])
{
    const json_t *target;
    unsigned count = 0;
    size_t i;

    json_array_foreach(json_object_get(alias, "targets"), i,
                       target) if (!there || stays(difference, json_string_value(target)))
        targets_r[count++] = parsed(json_string_value(target));
    return count;
}

/* Both are in the order of their names. */
static bool leads_to(const json_t *alias, const struct address *targets, unsigned count)
{
    const json_t *list = json_object_get(alias, "targets");

    if (json_array_size(list) != count)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (strcmp(json_string_value(json_array_get(list, i)), targets[i].text) != 0)
            return false;
    return true;
}

/*
 * An alias goes with the last mailbox that it leads to, and could not stay where that goes. So it
 * leads to those of its new targets that are there, before anything is removed; where there is
 * none, it is removed by itself, so that the mailbox can be restored without it.
 */
static enum db_result turn_alias(struct difference *difference, const json_t *before,
                                 const json_t *after)
{
    struct address *targets = xcalloc(DB_ROUTE_MAX, sizeof(*targets));
    const struct address alias = parsed(field_text(after, "address", ""));
    struct request *request = difference->request;
    unsigned count = targets_of(difference, after, true, targets);
    enum db_result result = DB_OK;

    if (count == 0)
        result = db_mailaddress_remove(difference->db, request->customer, &alias, request->keep);
    else if (!leads_to(before, targets, count))
        result = db_alias_set(difference->db, request->customer, &alias, targets, count);
    free(targets);
    return result;
}

/* With all of its targets, which are there now. */
static enum db_result finish_alias(struct difference *difference, const json_t *after)
{
    struct address *targets = xcalloc(DB_ROUTE_MAX, sizeof(*targets));
    const struct address alias = parsed(field_text(after, "address", ""));
    uint64_t customer = difference->request->customer;
    struct db_mailaddress found;
    unsigned there = targets_of(difference, after, true, targets);
    unsigned count = targets_of(difference, after, false, targets);

    enum db_result result = db_mailaddress_find(difference->db, &alias, &found);
    if (result == DB_NONE)
        result = db_alias_add(difference->db, customer, &alias, targets, count);
    else if (result == DB_OK && there < count)
        result = db_alias_set(difference->db, customer, &alias, targets, count);
    free(targets);
    return result;
}

/* It may have gone with something else. */
static enum db_result remove_address(struct difference *difference, const char *text)
{
    const struct address address = parsed(text);
    struct request *request = difference->request;
    enum db_result result =
        db_mailaddress_remove(difference->db, request->customer, &address, request->keep);

    return result == DB_NONE ? DB_OK : result;
}

static enum db_result remove_domain(struct difference *difference, const char *name)
{
    struct request *request = difference->request;

    return db_domain_remove(difference->db, request->customer, name, request->keep);
}

static enum db_result add_domain(struct difference *difference, const char *name)
{
    struct request *request = difference->request;
    enum db_result result = db_domain_add(difference->db, request->customer, name);

    if (result == DB_TAKEN)
        problem_set(request, PROBLEM_EXISTS, "the domain %s is taken", name);
    return result;
}

static enum db_result set_settings(struct difference *difference, const struct address *address,
                                   const json_t *after)
{
    const char *language = field_text(after, "language", NULL);
    struct db_mailbox_settings settings = {.octets =
                                               (uint64_t)field_number(after, "quota_bytes", 0),
                                           .pop3 = field_bool(after, "pop3", true),
                                           .smtp = field_bool(after, "smtp", true)};

    settings.language_given = language != NULL && language_parse(language, &settings.language) == 0;
    return db_mailaddress_set_settings(difference->db, difference->request->customer, address,
                                       &settings);
}

static bool has_settings(const json_t *item)
{
    return !json_is_null(json_object_get(item, "quota_bytes")) ||
           !json_is_null(json_object_get(item, "language")) || !field_bool(item, "pop3", true) ||
           !field_bool(item, "smtp", true);
}

/* Shown once. */
static void note_invitation(struct difference *difference, const char *address,
                            const struct invitation *invitation)
{
    const struct asked *asked = difference->request->own;
    char link[INVITATION_LINK_SIZE] = "";

    if (asked->page_url[0] != '\0')
        invitation_link(link, asked->page_url, invitation);
    json_array_append_new(difference->invitations,
                          json_pack("{ss ss so so}", "address", address, "invitation",
                                    invitation->token, "invitation_link", field_format_text(link),
                                    "invited_until", field_format_time(invitation->until)));
    sodium_memzero(link, sizeof(link));
}

static enum db_result add_mailbox(struct difference *difference, const json_t *after)
{
    const char *text = field_text(after, "address", "");
    const json_t *login = json_object_get(difference->after.logins, text);
    struct request *request = difference->request;
    struct invitation invitation;
    struct db_mailaddress_new new = {.address = parsed(text),
                                     .name = field_text(after, "name", ""),
                                     .hash = json_string_value(login)};

    if (json_is_true(login)) {
        invitation_draw(&invitation);
        new.invitation = invitation.digest;
        new.invited_until = invitation.until;
        note_invitation(difference, text, &invitation);
    }
    enum db_result result = db_mailaddress_add(difference->db, request->customer, &new, NULL);
    if (result == DB_OK && has_settings(after))
        result = set_settings(difference, &new.address, after);
    sodium_memzero(&invitation, sizeof(invitation));
    return result;
}

static enum db_result change_mailbox(struct difference *difference, const json_t *before,
                                     const json_t *after)
{
    const struct address address = parsed(field_text(after, "address", ""));
    uint64_t customer = difference->request->customer;
    const char *name = field_text(after, "name", "");
    enum db_result result = DB_OK;

    if (strcmp(name, field_text(before, "name", "")) != 0)
        result = db_mailaddress_set_name(difference->db, customer, &address, name);
    for (size_t i = 0; i < 4 && result == DB_OK; i++) {
        static const char *const settings[] = {"quota_bytes", "language", "pop3", "smtp"};
        if (!json_equal(json_object_get(before, settings[i]), json_object_get(after, settings[i])))
            return set_settings(difference, &address, after);
    }
    return result;
}

/* What has had it may have been removed, so it is asked what it is now. */
static enum db_result set_catch_all(struct difference *difference, const char *name,
                                    const json_t *after)
{
    const char *text = field_text(after, "catch_all", "");
    const struct address address = parsed(text);
    struct db_domain now;
    enum db_result result = db_domain_find(difference->db, name, &now);

    if (result != DB_OK || strcmp(now.catch_all, text) == 0)
        return result;
    return db_domain_set_catch_all(difference->db, difference->request->customer, name,
                                   text[0] != '\0' ? &address : NULL);
}

/* --- in an order in which nothing is in the way of what comes later */

enum step {
    STEP_TURN,             /* aliases away from what goes */
    STEP_REMOVE_DOMAINS,   /* with what is in them */
    STEP_REMOVE_MAILBOXES, /* with the aliases that lead nowhere else */
    STEP_REMOVE_ALIASES,
    STEP_ADD_DOMAINS,
    STEP_MAILBOXES,
    STEP_ALIASES,
    STEP__MAX
};

static enum db_result make_address(struct difference *difference, enum step step, const char *name,
                                   const json_t *before, const json_t *after)
{
    bool alias = directory_is_alias(after != NULL ? after : before);

    if (after == NULL)
        return step == (alias ? STEP_REMOVE_ALIASES : STEP_REMOVE_MAILBOXES)
                   ? remove_address(difference, name)
                   : DB_OK;
    if (step == STEP_TURN && alias && before != NULL)
        return turn_alias(difference, before, after);
    if (step == STEP_ALIASES && alias)
        return finish_alias(difference, after);
    if (step == STEP_MAILBOXES && !alias)
        return before == NULL ? add_mailbox(difference, after)
                              : change_mailbox(difference, before, after);
    return DB_OK;
}

static enum db_result make_domain(struct difference *difference, enum step step, const char *name,
                                  const json_t *before, const json_t *after)
{
    if (step == STEP_REMOVE_DOMAINS && after == NULL)
        return remove_domain(difference, name);
    if (step == STEP_ADD_DOMAINS && before == NULL)
        return add_domain(difference, name);
    return DB_OK;
}

static const json_t *given(const json_t *entry, const char *name)
{
    const json_t *item = json_object_get(entry, name);

    return json_is_null(item) ? NULL : item;
}

static enum db_result make_step(struct difference *difference, enum step step)
{
    enum db_result result = DB_OK;
    const json_t *entry;
    size_t i;

    json_array_foreach(difference->list, i, entry)
    {
        bool domain = strcmp(field_text(entry, "kind", ""), "domain") == 0;
        const char *name = field_text(entry, "name", "");
        result = (domain ? make_domain : make_address)(
            difference, step, name, given(entry, "before"), given(entry, "after"));
        if (result != DB_OK)
            return result;
    }
    return DB_OK;
}

static enum db_result set_catch_alls(struct difference *difference)
{
    enum db_result result = DB_OK;
    const char *name;
    json_t *item;

    json_object_foreach(difference->after.domains, name, item)
    {
        result = set_catch_all(difference, name, item);
        if (result != DB_OK)
            return result;
    }
    return DB_OK;
}

static enum db_result make(struct difference *difference)
{
    enum db_result result = DB_OK;

    for (int step = 0; step < STEP__MAX && result == DB_OK; step++)
        result = make_step(difference, (enum step)step);
    return result == DB_OK ? set_catch_alls(difference) : result;
}

/* --- the request */

void difference_check(struct admin *admin, struct request *request)
{
    struct asked *asked = request->own = xcalloc(1, sizeof(*asked));
    struct directory directory;

    request->own_size = sizeof(*asked);
    asked->apply = page_flag(request, "apply");
    asked->remove = page_flag(request, "remove");
    snprintf(asked->page_url, sizeof(asked->page_url), "%s", admin->child.conf.page_url);
    if (request->errors != NULL)
        return;
    directory_take(request, &directory);
    directory_clear(&directory);
}

static json_t *counts(const unsigned counted[ACTION__MAX])
{
    return json_pack("{si si si}", action_names[ACTION_ADD], (int)counted[ACTION_ADD],
                     action_names[ACTION_CHANGE], (int)counted[ACTION_CHANGE],
                     action_names[ACTION_REMOVE], (int)counted[ACTION_REMOVE]);
}

/* The ETag is that of what there is now: without `apply`, what the difference is from. */
static enum db_result answer(struct difference *difference)
{
    struct request *request = difference->request;
    const struct asked *asked = request->own;
    struct json_t *object = NULL;
    char etag[REQUEST_ETAG_SIZE];

    enum db_result result = asked->apply ? directory_show(difference->db, request, &object) : DB_OK;
    if (result != DB_OK)
        return result;
    if (!asked->apply)
        object = directory_object(&difference->before);
    object_etag(etag, object);
    json_decref(object);
    request_set(request, 200,
                json_pack("{sb so so sO sO}", "applied", (int)asked->apply, "domains",
                          counts(difference->domains), "addresses", counts(difference->addresses),
                          "differences", difference->list, "invitations", difference->invitations));
    memcpy(request->answer.etag, etag, sizeof(etag));
    return DB_OK;
}

/* Nothing goes because a document is shorter than whoever sent it thinks. */
static bool is_guarded(struct difference *difference)
{
    const struct asked *asked = difference->request->own;
    unsigned domains = difference->domains[ACTION_REMOVE];
    unsigned addresses = difference->addresses[ACTION_REMOVE];

    if (!asked->apply || asked->remove || domains + addresses == 0)
        return false;
    problem_set(difference->request, PROBLEM_REMOVES,
                "%u domain%s and %u address%s would be removed: they are not in the document, or "
                "are something else there; send remove=true to have that",
                domains, domains == 1 ? "" : "s", addresses, addresses == 1 ? "" : "es");
    return true;
}

/* While it is made there is as much as fits: what there was, and is again, is told instead. */
static void tell_limit(const struct difference *difference)
{
    struct request *request = difference->request;
    struct db_limit limit;

    db_limit_get(difference->db, &limit);
    if (limit.kind > DB_LIMIT_DOMAINS)
        return;
    bool domains = limit.kind == DB_LIMIT_DOMAINS;
    const struct directory *before = &difference->before, *after = &difference->after;
    limit.used = (unsigned)json_object_size(domains ? before->domains : before->addresses);
    change_note_limit(request, &limit);
    problem_set(request, PROBLEM_LIMIT,
                "the plan \"%s\" allows %u %s, and there are %zu in the document", limit.plan,
                limit.allowed, domains ? "domains" : "addresses",
                json_object_size(domains ? after->domains : after->addresses));
}

static enum db_result run(struct difference *difference)
{
    const struct asked *asked = difference->request->own;
    enum db_result result =
        directory_read(difference->db, difference->request->customer, &difference->before);

    if (result != DB_OK)
        return result;
    directory_take(difference->request, &difference->after);
    compare(difference, true);
    compare(difference, false);
    if (is_guarded(difference))
        return DB_NONE;
    result = make(difference);
    if (result == DB_LIMIT)
        tell_limit(difference);
    if (!asked->apply) {
        json_array_clear(difference->invitations);
        difference->request->undo = true;
    }
    return result == DB_OK ? answer(difference) : result;
}

enum db_result difference_make(struct db *db, struct request *request)
{
    struct difference difference = {.db = db, .request = request};

    difference.list = json_array();
    difference.invitations = json_array();
    enum db_result result = run(&difference);
    directory_clear(&difference.before);
    directory_clear(&difference.after);
    json_decref(difference.list);
    json_decref(difference.invitations);
    return result;
}
