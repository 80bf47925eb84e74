#include "cli/remoteserver.h"

#include <string.h>

/* Admin users. */

static char *user_path(const struct db_admin_user *user, const char *after)
{
    return remote_path_id("/admin-users/", user->id, after);
}

static enum db_result next(struct db *db, char *path, struct db_admin_user *user)
{
    SERVER_NEXT(db, LIST_ADMIN_USERS, path, remoteanswer_admin_user, user);
}

enum db_result server_admin_user_find(struct db *db, const char *login,
                                      struct db_admin_user *user_r)
{
    enum db_result result = next(db, remote_path("/admin-users?login=", login, ""), user_r);

    server_of(db)->user = *user_r;
    return result;
}

enum db_result server_admin_user_next(struct db *db, uint64_t customer, struct db_admin_user *user)
{
    return next(db, user->id == 0 ? server_list_path("/admin-users", customer) : NULL, user);
}

enum db_result server_operator_admin_user_next(struct db *db, struct db_admin_user *user)
{
    return server_admin_user_next(db, 0, user);
}

/* With what the server has made of the name. */
enum db_result server_admin_user_draw(struct db *db, const struct conf *conf,
                                      struct db_admin_user *user, const char *name,
                                      struct drawn_invitation *drawn_r)
{
    json_t *body = json_pack("{ss ss ss}", "login", name, "name", user->name, "role",
                             db_role_name(user->role));
    json_t *answer;
    (void)conf;

    if (user->customer != 0)
        json_object_set_new(body, "customer", json_integer((json_int_t)user->customer));
    enum db_result result = remote_change(server_remote(db), "POST",
                                          remote_path("/admin-users", "", ""), body, &answer);
    if (result == DB_OK)
        result = server_understood(db, remoteanswer_admin_user(answer, user));
    if (result == DB_OK)
        result = server_understood(db, server_read_invitation(answer, drawn_r));
    json_decref(answer);
    return result;
}

enum db_result server_admin_user_invite(struct db *db, const struct conf *conf,
                                        const struct db_admin_user *user,
                                        struct drawn_invitation *drawn_r)
{
    json_t *answer;
    (void)conf;

    enum db_result result = remote_change(server_remote(db), "POST", user_path(user, "/invitation"),
                                          json_object(), &answer);
    if (result == DB_OK)
        result = server_understood(db, server_read_invitation(answer, drawn_r));
    json_decref(answer);
    return result;
}

/* Two requests: where the second is refused, it says so, and the first was made. */
enum db_result server_admin_user_change(struct db *db, const struct db_admin_user *user,
                                        bool no_second_factor)
{
    const struct db_admin_user *before = &server_of(db)->user;
    json_t *body = json_object();
    enum db_result result = DB_OK;

    if (strcmp(user->name, before->name) != 0)
        json_object_set_new(body, "name", json_string(user->name));
    if (user->role != before->role)
        json_object_set_new(body, "role", json_string(db_role_name(user->role)));
    if (user->suspended != before->suspended)
        json_object_set_new(body, "suspended", json_boolean(user->suspended));
    if (json_object_size(body) > 0)
        result = server_change(db, "PATCH", user_path(user, ""), json_incref(body));
    json_decref(body);
    return result == DB_OK && no_second_factor
               ? server_change(db, "DELETE", user_path(user, "/second-factor"), NULL)
               : result;
}

enum db_result server_admin_user_set_login(struct db *db, const struct db_admin_user *user,
                                           const struct login *login)
{
    return server_change(
        db, "PUT", user_path(user, "/password"),
        json_pack("{ss%}", "password", login->password.text, login->password.length));
}

enum db_result server_admin_user_remove(struct db *db, uint64_t customer, uint64_t id)
{
    (void)customer;
    return server_change(db, "DELETE", remote_path_id("/admin-users/", id, ""), NULL);
}
