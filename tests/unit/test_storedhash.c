/* Which hashes from elsewhere are taken, and what is said of those that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/storedhash.h"
#include "tests/unit/hashes.h"

#define SALT22 "abcdefghijklmnopqrstuv"
#define HASH31 "abcdefghijklmnopqrstuvwxyz12345"
#define HASH43 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq"
#define HASH86 HASH43 HASH43
#define OWN    "$c29tZSBzYWx0IG9mIDE2IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define DIGEST "5en6G6MezRroT3XKqkdPOmY/BfQ="
#define HEX    "5ebe2294ecd0e0f08eab7690d2a6ee69"

static const struct {
    const char *text;
    const char *stored; /* NULL: refused */
    const char *said;   /* a part of why */
} imports[] = {
    {"{SHA}" DIGEST, "{SHA}" DIGEST, NULL},
    {"{sha}" DIGEST, "{sha}" DIGEST, NULL},
    {"{Plain-Md5.hex}" HEX, "{Plain-Md5.hex}" HEX, NULL},
    {"$2y$14$" SALT22 HASH31, "{CRYPT}$2y$14$" SALT22 HASH31, NULL},
    {"$6$rounds=500000$salt$" HASH86, "{CRYPT}$6$rounds=500000$salt$" HASH86, NULL},
    {"$argon2id$v=19$m=65536,t=2,p=1" OWN, "{CRYPT}$argon2id$v=19$m=65536,t=2,p=1" OWN, NULL},
    {"$argon2i$v=19$m=262144,t=8,p=4" OWN, "{CRYPT}$argon2i$v=19$m=262144,t=8,p=4" OWN, NULL},

    {"{PLAIN}secret", NULL, "as a password"},
    {"{CLEARTEXT}secret", NULL, "as a password"},
    {"{clear.b64}c2VjcmV0", NULL, "as a password"},
    {"{CRAM-MD5}" HEX HEX, NULL, "challenge"},
    {"{DIGEST-MD5}" HEX, NULL, "challenge"},
    {"{DES-CRYPT}MVW.1jEMHFJUM", NULL, "8 characters"},
    {"{NTLM}" HEX, NULL, "MD4"},

    {"", NULL, "not known"},
    {"secret", NULL, "not known"},
    {"{", NULL, "not known"},
    {"{}", NULL, "not known"},
    {"{SSHA", NULL, "not known"},
    {"{SSHA3}" DIGEST, NULL, "not known"},
    {"{SHA.OCT}" DIGEST, NULL, "not known"},
    {"{SHA.}" DIGEST, NULL, "not known"},
    {DIGEST, NULL, "not known"},
    {"$", NULL, "not known"},
    {"$7$abc$" HASH43, NULL, "not known"},
    {"$2x$05$" SALT22 HASH31, NULL, "not known"},
    {"{CRYPT}MVW.1jEMHFJUM", NULL, "not known"},

    {"{SHA}", NULL, "damaged"},
    {"{SSHA}" DIGEST, NULL, "damaged"}, /* no salt */
    {"{SHA256}" DIGEST, NULL, "damaged"},
    {"{SHA512-CRYPT}$5$salt$" HASH43, NULL, "damaged"},
    {"{BLF-CRYPT}$2y$03$" SALT22 HASH31, NULL, "damaged"},
    {"$2y$5$" SALT22 HASH31, NULL, "damaged"},
    {"$2y$32$" SALT22 HASH31, NULL, "damaged"},
    {"$6$seventeen-octets-$" HASH86, NULL, "damaged"},
    {"$6$rounds=$salt$" HASH86, NULL, "damaged"},
    {"$6$rounds=-1$salt$" HASH86, NULL, "damaged"},
    {"$6$rounds=99999999999999999999$salt$" HASH86, NULL, "damaged"},
    {"$6$sa:lt$" HASH86, NULL, "damaged"},
    {"$y$i9T$salt$" HASH43, NULL, "damaged"},
    {"$y$j9T", NULL, "damaged"},
    {"{MD5.HEX}00", NULL, "damaged"},
    {"{PBKDF2}$2$salt$5000$0000000000000000000000000000000000000000", NULL, "damaged"},
    {"{PBKDF2}$1$salt$0$0000000000000000000000000000000000000000", NULL, "damaged"},
    {"{PBKDF2}$1$salt$5000$00", NULL, "damaged"},
    {"{SCRAM-SHA-1}4096,AAAA," DIGEST, NULL, "damaged"},
    {"{SCRAM-SHA-1}4096,," DIGEST "," DIGEST, NULL, "damaged"},
    {"{SCRAM-SHA-256}4096,AAAA," DIGEST "," DIGEST, NULL, "damaged"},
    {"$argon2id$v=18$m=65536,t=2,p=1" OWN, NULL, "damaged"},
    {"$argon2id$v=19$m=8,t=2,p=2" OWN, NULL, "damaged"},
    {"$argon2id$v=19$m=65536,t=0,p=1" OWN, NULL, "damaged"},
    {"$argon2id$v=19$m=65536,t=2,p=0" OWN, NULL, "damaged"},
    {"$argon2id$v=19$m=65536,t=2,p=1,data=AAAA" OWN, NULL, "damaged"},
    {"$argon2id$v=19$m=65536,t=2,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL, "damaged"},

    {"$2y$15$" SALT22 HASH31, NULL, "several seconds"},
    {"$6$rounds=500001$salt$" HASH86, NULL, "several seconds"},
    {"$5$rounds=999999999$salt$" HASH43, NULL, "several seconds"},
    {"$y$jFT$salt$" HASH43, NULL, "several seconds"},
    {"{PBKDF2}$1$salt$4000000000$0000000000000000000000000000000000000000", NULL,
     "several seconds"},
    {"{SCRAM-SHA-1}4000000000,AAAA," DIGEST "," DIGEST, NULL, "several seconds"},
    {"$argon2id$v=19$m=262145,t=1,p=1" OWN, NULL, "several seconds"},
    {"$argon2id$v=19$m=262144,t=9,p=1" OWN, NULL, "several seconds"},
    {"$argon2d$v=19$m=8,t=4294967295,p=1" OWN, NULL, "several seconds"},
    {"{SHA512-CRYPT}$6$" HASH86 HASH86 HASH86, NULL, "255"},
};

static void test_import(void **state)
{
    char stored[STOREDHASH_MAX + 1];
    const char *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
        int result = storedhash_import(stored, imports[i].text, &error);
        if (result < 0 ? imports[i].stored != NULL
                       : imports[i].stored == NULL || strcmp(stored, imports[i].stored) != 0)
            fail_msg("%s: %s", imports[i].text, result < 0 ? error : stored);
        if (result < 0 && strstr(error, imports[i].said) == NULL)
            fail_msg("%s: %s", imports[i].text, error);
    }
}

/* One octet less, or one that none has, is damage in each scheme. */
static void test_cut(void **state)
{
    char text[STOREDHASH_MAX + 2];
    struct storedhash hash;
    const char *error;

    (void)state;
    for (size_t i = 0; i < KNOWN_HASHES; i++) {
        snprintf(text, sizeof(text), "%s", known_hashes[i].hash);
        text[strlen(text) - 1] = '\0';
        if (storedhash_parse(&hash, text, &error) == 0)
            fail_msg("%s is taken", text);
        snprintf(text, sizeof(text), "%s!", known_hashes[i].hash);
        if (storedhash_parse(&hash, text, &error) == 0)
            fail_msg("%s is taken", text);
    }
}

/* Only what is bare and costs what is configured, or more, need not be made anew. */
static void test_current(void **state)
{
    static const struct {
        const char *text;
        bool own;
        bool current; /* with 2 passes and 64 MiB */
    } cases[] = {
        {"$argon2id$v=19$m=65536,t=2,p=1" OWN, true, true},
        {"$argon2id$v=19$m=65536,t=1,p=1" OWN, true, false},
        {"$argon2id$v=19$m=8,t=2,p=1" OWN, true, false},
        {"$argon2id$v=19$m=4194304,t=64,p=1" OWN, true, true},
        {"{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1" OWN, false, false},
        {"{CRYPT}$argon2id$v=19$m=65536,t=2,p=1" OWN, false, false},
        {"$argon2id$v=19$m=65536,t=2,p=2" OWN, false, false},
        {"$argon2i$v=19$m=65536,t=2,p=1" OWN, false, false},
        {"{SHA}" DIGEST, false, false},
    };
    struct storedhash hash;
    const char *error;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(storedhash_parse(&hash, cases[i].text, &error), 0);
        assert_int_equal(hash.kind == STOREDHASH_OWN, cases[i].own);
        assert_int_equal(storedhash_is_current(&hash, 2, 64 << 20), cases[i].current);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
