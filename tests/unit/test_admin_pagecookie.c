#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "admin/pagecookie.h"

#define ONE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TWO "_wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void takes_what_it_draws(void **state)
{
    char one[PAGECOOKIE_TOKEN_SIZE], two[PAGECOOKIE_TOKEN_SIZE];
    uint8_t first[PAGECOOKIE_DIGEST_SIZE], second[PAGECOOKIE_DIGEST_SIZE];

    (void)state;
    pagecookie_draw(one);
    pagecookie_draw(two);
    assert_string_not_equal(one, two);
    assert_int_equal(pagecookie_digest(first, one), 0);
    assert_int_equal(pagecookie_digest(second, two), 0);
    assert_memory_not_equal(first, second, sizeof(first));
    assert_int_equal(pagecookie_digest(second, one), 0);
    assert_memory_equal(first, second, sizeof(first));
}

static void takes_nothing_else(void **state)
{
    static const char *const wrong[] = {"",
                                        "A",
                                        (ONE "A"),
                                        ("!" TWO),
                                        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
                                        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh="};
    uint8_t digest[PAGECOOKIE_DIGEST_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(pagecookie_digest(digest, wrong[i]), -1);
}

static void makes_one_token_for_changes_of_each(void **state)
{
    char one[PAGECOOKIE_TOKEN_SIZE], two[PAGECOOKIE_TOKEN_SIZE];

    (void)state;
    pagecookie_csrf(one, ONE);
    pagecookie_csrf(two, TWO);
    assert_string_not_equal(one, two);
    assert_string_not_equal(one, ONE);
    assert_true(pagecookie_csrf_fits(ONE, one));
    assert_false(pagecookie_csrf_fits(ONE, two));
    assert_false(pagecookie_csrf_fits(ONE, ONE));
    assert_false(pagecookie_csrf_fits(ONE, ""));
    assert_false(pagecookie_csrf_fits(ONE, NULL));
    one[PAGECOOKIE_TOKEN_SIZE - 2] = '\0';
    assert_false(pagecookie_csrf_fits(ONE, one));
}

static void finds_the_one_of_its_name(void **state)
{
    static const struct {
        const char *cookies;
        bool secure;
        const char *token; /* NULL: none, or nobody knows which */
    } cases[] = {
        {"bellhop=" ONE, false, ONE},
        {"a=b; bellhop=" ONE "; c=d", false, ONE},
        {"a=b;bellhop=" ONE, false, ONE},
        {"__Host-bellhop=" ONE, true, ONE},
        {"bellhop=" TWO "; __Host-bellhop=" ONE, true, ONE},
        {"bellhop=" ONE, true, NULL},
        {"__Host-bellhop=" ONE, false, NULL},
        {"bellhop=" ONE "; bellhop=" TWO, false, NULL},
        {"bellhop=" ONE "; bellhop=", false, NULL},
        {"Bellhop=" ONE, false, NULL},
        {"xbellhop=" ONE, false, NULL},
        {"bellhop=x" ONE, false, NULL},
        {"bellhop", false, NULL},
        {"bellhop=", false, NULL},
        {"; ;;", false, NULL},
        {"", false, NULL},
        {NULL, false, NULL},
    };
    char token[PAGECOOKIE_TOKEN_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int found = pagecookie_find(token, cases[i].cookies, cases[i].secure);
        assert_int_equal(found, cases[i].token != NULL ? 0 : -1);
        if (found == 0)
            assert_string_equal(token, cases[i].token);
    }
}

static void is_for_this_host_and_no_script(void **state)
{
    char header[PAGECOOKIE_HEADER_SIZE];

    (void)state;
    pagecookie_header(header, ONE, false);
    assert_string_equal(header, "bellhop=" ONE "; Path=/; HttpOnly; SameSite=Strict");
    pagecookie_header(header, ONE, true);
    assert_string_equal(header,
                        "__Host-bellhop=" ONE "; Path=/; HttpOnly; SameSite=Strict; Secure");
    pagecookie_header(header, "", true);
    assert_string_equal(header,
                        "__Host-bellhop=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0");
}

static void knows_pages_of_ours(void **state)
{
    static const char page_url[] = "https://mail.example/pages";
    static const struct {
        struct pagecookie_origin origin;
        bool ours;
    } cases[] = {
        {{NULL, NULL, "a.example", false}, true},
        {{"same-origin", "https://a.example", "a.example", true}, true},
        {{"none", NULL, "a.example", true}, true},
        {{"same-site", "https://a.example", "a.example", true}, false},
        {{"cross-site", NULL, "a.example", true}, false},
        {{"", NULL, "a.example", true}, false},
        {{NULL, "https://a.example", "a.example", true}, true},
        {{NULL, "https://A.example", "a.example", true}, true},
        {{NULL, "https://a.example:444", "a.example:444", true}, true},
        {{NULL, "https://a.example:444", "a.example", true}, false},
        {{NULL, "http://a.example", "a.example", true}, false},
        {{NULL, "http://a.example", "a.example", false}, true},
        {{NULL, "https://a.example.evil.example", "a.example", true}, false},
        {{NULL, "null", "a.example", false}, false},
        {{NULL, "", "a.example", false}, false},
        {{NULL, "https://", "", false}, true}, /* no browser says either */
        {{NULL, "https://a.example", NULL, true}, false},
        {{NULL, "https://mail.example", "a.example", true}, true},
        {{NULL, "https://mail.example/pages", "a.example", true}, false},
        {{NULL, "http://mail.example", "a.example", true}, false},
        {{NULL, "https://mail.example.evil.example", "a.example", true}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (pagecookie_is_ours(&cases[i].origin, page_url) != cases[i].ours)
            fail_msg("case %zu", i);
    assert_false(pagecookie_is_ours(&cases[17].origin, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_it_draws),
        cmocka_unit_test(takes_nothing_else),
        cmocka_unit_test(makes_one_token_for_changes_of_each),
        cmocka_unit_test(finds_the_one_of_its_name),
        cmocka_unit_test(is_for_this_host_and_no_script),
        cmocka_unit_test(knows_pages_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
