#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "admin/admin.h"
#include "admin/api.h"
#include "admin/change.h"
#include "admin/invitations.h"
#include "admin/problem.h"
#include "db/invitation.h"
#include "lib/invitation.h"
#include "lib/language.h"
#include "lib/passwordrule.h"
#include "lib/xalloc.h"

/* clang-format off */
const struct field invitation_fields[] = {
    {.name = "password", .type = FIELD_TEXT, .required = true, .least = 1, .most = PASSWORD_MOST,
     .about = "8 characters at least, and none that a stranger tries first"},
    {0}};
/* clang-format on */

/* Passwords for one invitation: each costs a hash, and more than one comes of a lost answer. */
#define TAKE_RATE  0.1
#define TAKE_BURST 5

#define NOT_GOOD "this invitation is not good, or not any more; ask for another"

/* What is kept of a request until its password is hashed and written. */
struct taking {
    struct hashing hashing;
    uint8_t digest[INVITATION_DIGEST_SIZE];
    char address[ADDRESS_MAX + 1];
};

/* Returns 0, or -1 when the request is refused. */
static int find(struct admin *admin, struct request *request,
                uint8_t digest_r[INVITATION_DIGEST_SIZE], struct db_invitation *invitation_r)
{
    char *token = route_parameter(request->route, request->path, "token");
    enum db_result result = DB_NONE;

    if (token != NULL && invitation_digest(digest_r, token, strlen(token)) == 0)
        result = db_invitation_find(admin->db, digest_r, invitation_r);
    if (token != NULL)
        sodium_memzero(token, strlen(token));
    free(token);
    if (result == DB_OK)
        return 0;
    if (result == DB_NONE)
        api_refuse_unknown(request, PROBLEM_NOT_FOUND, NOT_GOOD);
    else
        change_problem(request, admin->db, result);
    return -1;
}

void invitation_show(struct admin *admin, struct request *request)
{
    const struct conf *conf = &admin->child.conf;
    uint8_t digest[INVITATION_DIGEST_SIZE];
    struct db_invitation invitation = {0};
    char pop3[CONF_SERVER_SIZE];

    if (find(admin, request, digest, &invitation) < 0)
        return;
    bool mailbox = invitation.mailbox != 0;
    conf_pop3_server(conf, pop3);
    request_set(request, 200,
                json_pack("{ss so ss so ss sb so so so si si}", "login", invitation.address,
                          "address", field_format_text(mailbox ? invitation.address : ""), "name",
                          invitation.name, "customer", field_format_text(invitation.customer_name),
                          "language", language_code(invitation.language), "reset",
                          (int)invitation.password, "invited_until",
                          field_format_time(invitation.until), "pop3_server",
                          field_format_text(mailbox ? pop3 : ""), "smtp_server",
                          field_format_text(mailbox && invitation.sending ? conf->smtp_server : ""),
                          "password_least_characters", PASSWORD_LEAST, "password_most_bytes",
                          PASSWORD_MOST));
}

/* The rules are looked at before it is hashed, and a good token is not used up by a bad password.
 */
void invitation_check(struct admin *admin, struct request *request)
{
    const char *password = field_text(request->json, "password", NULL);
    struct taking *taking = xcalloc(1, sizeof(*taking));
    struct db_invitation invitation = {0};

    request->own = taking;
    request->own_size = sizeof(*taking);
    if (find(admin, request, taking->digest, &invitation) < 0 || request->errors != NULL ||
        password == NULL)
        return;
    const struct passwordrule_owner owner = {.address = invitation.address,
                                             .customer = invitation.customer_name,
                                             .hostname = admin->child.conf.hostname};
    const char *error = passwordrule_check(password, strlen(password), &owner);
    if (error != NULL) {
        problem_member(request, "/password", "password", "%s", error);
        return;
    }
    if (api_is_too_often(request, taking->digest, sizeof(taking->digest), TAKE_RATE, TAKE_BURST))
        return;
    struct password *kept = &taking->hashing.password;
    kept->length = strlen(password);
    memcpy(kept->text, password, kept->length + 1);
    snprintf(taking->address, sizeof(taking->address), "%s", invitation.address);
    taking->hashing.address = taking->address;
    request->hashing = &taking->hashing;
}

enum db_result invitation_take(struct db *db, struct request *request)
{
    const struct taking *taking = request->own;
    const struct password_kept *kept = &taking->hashing.kept;
    enum db_result result = db_invitation_take(db, taking->digest, kept->hash,
                                               kept->scram[0] != '\0' ? kept->scram : NULL);

    if (result == DB_NONE)
        problem_set(request, PROBLEM_NOT_FOUND, NOT_GOOD);
    return result;
}
