#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/commonpassword.h"
#include "lib/password.h"
#include "lib/passwordrule.h"

static const struct passwordrule_owner owner = {.address = "nord.trakt24@quay-side.example",
                                                .customer = "Zum Löwen & Söhne",
                                                .hostname = "mail.inselpost.example"};

/* `word` stands in the refusal; NULL: taken. */
static const struct {
    const char *password;
    const char *word;
} rows[] = {
    {"eight ch", NULL},
    {"seven c", "short"},
    {"äöüßäö ", "short"},
    {"äöüßäö x", NULL},
    {"correct horse battery staple", NULL},
    {"ab3d-e5fg-hj7k", NULL},

    /* the same with digits, signs and capitals, as long as they are not most of it */
    {"sunshine", "common"},
    {"Password1!", "common"},
    {"P-a-s-s-w-o-r-d", "common"},
    {"2024 Willkommen!", "common"},
    {"dragon1987", "common"},
    {"dragon73920184", NULL},
    {"1qaz2wsx", "common"},
    {"\xef\xbd\x90\xef\xbd\x81\xef\xbd\x93\xef\xbd\x93\xef\xbd\x97\xef\xbd\x8f\xef\xbd\x92"
     "\xef\xbd\x84",
     "common"},

    {"Nord.Trakt24@Quay-Side.example", "address"},
    {"nordtrakt24", "address"},
    {"NordTrakt!", "address"},
    {"quayside", "address"},
    {"Quayside.example 7", "address"},
    {"north wing of the quayside", NULL},
    {"zumlöwensöhne", "customer"},
    {"inselpost99", "server"},
    {"Inselpost", "server"},

    {"aaaaaaaa", "repeats"},
    {"12345678", "repeats"},
    {"hgfedcba", "repeats"},
    {"1122334455", "repeats"},
    {"abcabcabcabc", "repeats"},
    {"abcdabce", NULL},
    {"\xd0\xb0\xd0\xb1\xd0\xb2\xd0\xb3\xd0\xb4\xd0\xb5\xd0\xb6\xd0\xb7", "alphabet"},
    {"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\xd0\xba\xd0\xbe\xd1\x82", NULL},
};

static void says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = rows[i].password;
        const char *error = passwordrule_check(text, strlen(text), &owner);
        if ((error == NULL) != (rows[i].word == NULL) ||
            (error != NULL && strstr(error, rows[i].word) == NULL))
            fail_msg("%s: %s", text, error != NULL ? error : "taken");
        if (error != NULL)
            assert_null(strstr(error, text));
    }
}

static void needs_to_know_nothing_of_its_owner(void **state)
{
    static const struct passwordrule_owner nobody = {0};
    (void)state;

    assert_null(passwordrule_check("nordtrakt24", 11, &nobody));
    assert_non_null(passwordrule_check("12345678", 8, &nobody));
}

/* Neither as typed nor as prepared is anything cut off. */
static void counts_octets_at_the_other_end(void **state)
{
    char text[PASSWORD_MOST + 1];
    (void)state;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "quite a word "[i % 13];
    assert_null(passwordrule_check(text, PASSWORD_MOST, &owner));
    assert_non_null(strstr(passwordrule_check(text, PASSWORD_MOST + 1, &owner), "248"));
    for (size_t i = 0; i < 8; i++)
        memcpy(text + 3 * i, "\xef\xb7\xba", 3); /* U+FDFA: 18 characters */
    assert_non_null(strstr(passwordrule_check(text, 24, &owner), "248"));
}

extern const char common_passwords[] __attribute__((visibility("hidden")));

/* What is not in its order in the file would not be found. */
static void finds_every_word(void **state)
{
    unsigned count = 0;
    (void)state;

    for (const char *line = common_passwords; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(commonpassword_is(line, strcspn(line, "\n")));
        count++;
    }
    assert_true(count > 20000);
}

static void finds_the_first_and_the_last_word(void **state)
{
    static const char *const there[] = {"00000", "password", "zzzzzzz1"};
    static const char *const missing[] = {"", "0", "zzzzzzzzzzzzzz", "passwordrule", "Password"};
    (void)state;

    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        assert_true(commonpassword_is(there[i], strlen(there[i])));
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        assert_false(commonpassword_is(missing[i], strlen(missing[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(needs_to_know_nothing_of_its_owner),
        cmocka_unit_test(counts_octets_at_the_other_end),
        cmocka_unit_test(finds_every_word),
        cmocka_unit_test(finds_the_first_and_the_last_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
