#include "tests/unit/db_fixture.h"

#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "db/audit.h"
#include "db/event.h"
#include "db/handle.h"
#include "db/invitation.h"
#include "db/login.h"
#include "lib/invitation.h"

/* a@ours.example is invited, and so is a@theirs.example by another token. */
struct world {
    struct fixture *fixture;
    struct db *db;
    struct address a;
    struct address b;
    struct invitation ours;
    struct invitation theirs;
};

static void invite(struct world *world, uint64_t customer, const struct address *address,
                   const struct invitation *invitation)
{
    assert_int_equal(
        db_mailaddress_invite(world->db, customer, address, invitation->digest, invitation->until),
        DB_OK);
}

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    fixture_set_up((void **)&world->fixture);
    world->db = world->fixture->db;
    world->a = fixture_address("a@ours.example");
    world->b = fixture_address("a@theirs.example");
    invitation_draw(&world->ours);
    invitation_draw(&world->theirs);
    assert_int_equal(fixture_add(world->db, world->fixture->ours, world->a.text, NULL), DB_OK);
    assert_int_equal(fixture_add(world->db, world->fixture->theirs, world->b.text, NULL), DB_OK);
    invite(world, world->fixture->ours, &world->a, &world->ours);
    invite(world, world->fixture->theirs, &world->b, &world->theirs);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    void *fixture = world->fixture;
    free(world);
    return fixture_tear_down(&fixture);
}

static struct db_login login_of(const struct world *world, const struct address *address)
{
    struct db_login login;
    assert_int_equal(db_login_find(world->db, address, &login), DB_OK);
    return login;
}

static void digests_what_has_the_form_of_a_token(void **state)
{
    const struct world *world = *state;
    static const char *const none[] = {"",
                                       "short",
                                       "AAAAAAAAAAAAAAAAAAAAA=",
                                       "AAAAAAAAAAAAAAAAAAAAA/",
                                       "AAAAAAAAAAAAAAAAAAAAAB",
                                       "AAAAAAAAAAAAAAAAAAAAAAA"};
    uint8_t digest[INVITATION_DIGEST_SIZE];
    assert_int_equal(invitation_digest(digest, world->ours.token, 22), 0);
    assert_memory_equal(digest, world->ours.digest, sizeof(digest));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(invitation_digest(digest, none[i], strlen(none[i])), -1);
    }
}

static void is_found_by_its_digest(void **state)
{
    struct world *world = *state;
    struct db_invitation found;
    static const uint8_t unknown[DB_DIGEST_SIZE] = {1};
    assert_int_equal(db_invitation_find(world->db, world->ours.digest, &found), DB_OK);
    assert_int_equal(found.customer, world->fixture->ours);
    assert_string_equal(found.customer_name, "ours");
    assert_string_equal(found.address, "a@ours.example");
    assert_int_equal(found.until, world->ours.until);
    assert_int_equal(found.language, LANGUAGE_EN);
    assert_false(found.password);
    assert_int_equal(db_invitation_find(world->db, unknown, &found), DB_NONE);
    assert_int_equal(db_invitation_take(world->db, unknown, "x", NULL), DB_NONE);
}

static void is_taken_once(void **state)
{
    struct world *world = *state;
    struct db_audit audit = {0};
    struct db_event event = {0};
    assert_int_equal(db_invitation_take(world->db, world->ours.digest, "hash", "keys"), DB_OK);
    struct db_login login = login_of(world, &world->a);
    assert_string_equal(login.hash, "hash");
    assert_string_equal(login.scram, "keys");
    assert_int_equal(db_audit_next(world->db, world->fixture->ours, &audit), DB_OK);
    assert_string_equal(audit.action, "invitation.take");
    assert_string_equal(audit.object, "a@ours.example");
    db_audit_free(&audit);
    assert_int_equal(db_event_next(world->db, world->fixture->ours, &event), DB_OK);
    assert_int_equal(event.kind, DB_EVENT_PASSWORD);
    assert_string_equal(event.address, "a@ours.example");

    assert_int_equal(db_invitation_take(world->db, world->ours.digest, "again", NULL), DB_NONE);
    assert_string_equal(login_of(world, &world->a).hash, "hash");
    assert_string_equal(login_of(world, &world->b).hash, "");
    assert_int_equal(db_invitation_take(world->db, world->theirs.digest, "other", NULL), DB_OK);
}

/* The password of before is good until then, and who is logged in with it is logged out. */
static void resets_a_password(void **state)
{
    struct world *world = *state;
    struct db_invitation found;
    struct invitation second;
    assert_int_equal(db_invitation_take(world->db, world->ours.digest, "first", NULL), DB_OK);
    invitation_draw(&second);
    invite(world, world->fixture->ours, &world->a, &world->ours);
    invite(world, world->fixture->ours, &world->a, &second);
    assert_int_equal(db_invitation_find(world->db, world->ours.digest, &found), DB_NONE);
    assert_int_equal(db_invitation_find(world->db, second.digest, &found), DB_OK);
    assert_true(found.password);
    struct db_login before = login_of(world, &world->a);
    assert_string_equal(before.hash, "first");
    assert_int_equal(db_invitation_take(world->db, second.digest, "second", NULL), DB_OK);
    struct db_login after = login_of(world, &world->a);
    assert_string_equal(after.hash, "second");
    assert_true(after.logout > before.logout);
}

static void ends_with_its_time_and_with_what_it_is_for(void **state)
{
    struct world *world = *state;
    struct db_invitation found;
    uint64_t now = (uint64_t)time(NULL);
    assert_int_equal(db_mailaddress_invite(world->db, world->fixture->ours, &world->a,
                                           world->ours.digest, now - 1),
                     DB_OK);
    assert_int_equal(db_invitation_find(world->db, world->ours.digest, &found), DB_NONE);
    assert_int_equal(db_invitation_take(world->db, world->ours.digest, "x", NULL), DB_NONE);
    assert_string_equal(login_of(world, &world->a).hash, "");

    invite(world, world->fixture->ours, &world->a, &world->ours);
    assert_int_equal(
        db_mailaddress_set_hash(world->db, world->fixture->ours, &world->a, "set", NULL), DB_OK);
    assert_int_equal(db_invitation_take(world->db, world->ours.digest, "x", NULL), DB_NONE);
    assert_int_equal(db_mailaddress_remove(world->db, world->fixture->theirs, &world->b, 0), DB_OK);
    assert_int_equal(db_invitation_take(world->db, world->theirs.digest, "x", NULL), DB_NONE);
}

#define TAKERS 4

struct taker {
    pthread_t thread;
    struct db *db;
    const struct invitation *invitation;
    char hash[2];
    enum db_result result;
};

static void *take(void *context)
{
    struct taker *taker = context;
    taker->result = db_invitation_take(taker->db, taker->invitation->digest, taker->hash, NULL);
    return NULL;
}

static void of_several_at_once_one_wins(void **state)
{
    struct world *world = *state;
    struct taker takers[TAKERS];
    unsigned won = TAKERS;
    for (unsigned i = 0; i < TAKERS; i++) {
        takers[i] = (struct taker){.db = fixture_open(world->fixture, DB_WRITE),
                                   .invitation = &world->ours,
                                   .hash = {(char)('a' + i), '\0'}};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take, &takers[i]), 0);
    }
    for (unsigned i = 0; i < TAKERS; i++) {
        assert_int_equal(pthread_join(takers[i].thread, NULL), 0);
        if (takers[i].result == DB_OK) {
            assert_int_equal(won, TAKERS);
            won = i;
        } else {
            assert_int_equal(takers[i].result, DB_NONE);
        }
        db_close(takers[i].db);
    }
    assert_true(won < TAKERS);
    assert_string_equal(login_of(world, &world->a).hash, takers[won].hash);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(digests_what_has_the_form_of_a_token),
        world_test(is_found_by_its_digest),
        world_test(is_taken_once),
        world_test(resets_a_password),
        world_test(ends_with_its_time_and_with_what_it_is_for),
        world_test(of_several_at_once_one_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
