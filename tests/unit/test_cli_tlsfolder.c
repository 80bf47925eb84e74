/* What is read of tls/, when, and what is remarked on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sodium.h>

#include "cli/tlsfolder.h"
#include "tests/unit/scratch.h"

#define DAY (24L * 3600)

static FILE *create(const char *folder, const char *file)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    return stream;
}

/* Valid from and until so many seconds from now; names as "DNS:a.example", or NULL. */
static void put(const char *folder, const char *certificate_file, const char *key_file,
                const char *names, long from, long until)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();

    (void)mkdir(folder, 0700);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    X509_EXTENSION *extension =
        names != NULL ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names) : NULL;
    if (extension != NULL)
        X509_add_ext(certificate, extension, -1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *file = create(folder, certificate_file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = create(folder, key_file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_EXTENSION_free(extension);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    scratch_enter(state);
    put("tls", "cert.pem", "key.pem", NULL, -DAY, 60 * DAY);
    return sodium_init() < 0 ? -1 : 0;
}

struct told {
    unsigned count;
    char label[100];
    char sentence[1000];
    bool kept;
};

static void on_bad(void *context, const char *label, const char *sentence, bool kept)
{
    struct told *told = context;

    told->count++;
    snprintf(told->label, sizeof(told->label), "%s", label);
    snprintf(told->sentence, sizeof(told->sentence), "%s", sentence);
    told->kept = kept;
}

static struct certbundle *read_folder(const struct certbundle *old, struct told *told)
{
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    struct certwriter *writer = certwriter_begin(fd);

    memset(told, 0, sizeof(*told));
    assert_int_equal(tlsfolder_read(writer, old, on_bad, told), 0);
    assert_int_equal(certwriter_end(writer, time(NULL)), 0);
    struct certbundle *bundle = certbundle_open(fd);
    assert_non_null(bundle);
    close(fd);
    return bundle;
}

static void test_files(void **state)
{
    struct certbundle_entry entry;
    struct told told;
    (void)state;

    put("tls/b", "cert.pem", "key.pem", "DNS:b.example", -DAY, DAY);
    put("tls/a", "fullchain.pem", "privkey.pem", "DNS:a.example", -DAY, DAY);
    fclose(create("tls/a", "cert.pem"));
    put("tls/.c", "cert.pem", "key.pem", "DNS:c.example", -DAY, DAY);
    put("tls", "other.pem", "other.key", "DNS:d.example", -DAY, DAY);
    struct certbundle *bundle = read_folder(NULL, &told);
    assert_int_equal(told.count, 0);
    assert_int_equal(certbundle_count(bundle), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(certbundle_entry(bundle, i, &entry));
        assert_string_equal(entry.label, ((const char *[]){"tls", "tls/a", "tls/b"})[i]);
    }
    certbundle_close(bundle);
}

static void test_no_names(void **state)
{
    struct told told;
    (void)state;

    put("tls/a", "cert.pem", "key.pem", "IP:192.0.2.1", -DAY, DAY);
    struct certbundle *bundle = read_folder(NULL, &told);
    assert_int_equal(certbundle_count(bundle), 1);
    assert_string_equal(told.label, "tls/a");
    assert_non_null(strstr(told.sentence, "names no host in its subjectAltName"));
    assert_false(told.kept);
    certbundle_close(bundle);
}

/* The same bundle, but for the name that an entry has, and the other is closed. */
static struct certbundle *renamed(struct certbundle *old, uint32_t number, const char *name)
{
    int fd = memfd_create("renamed", MFD_CLOEXEC);
    struct certwriter *writer = certwriter_begin(fd);
    struct certbundle_entry entry;

    for (uint32_t i = 0; certbundle_entry(old, i, &entry); i++) {
        if (i == number)
            entry.names = (struct certbundle_octets){name, strlen(name) + 1};
        certwriter_add(writer, &entry);
    }
    assert_int_equal(certwriter_end(writer, time(NULL)), 0);
    certbundle_close(old);
    struct certbundle *bundle = certbundle_open(fd);
    close(fd);
    return bundle;
}

/* A file that is as it was is not read again; the stamps of those that have just changed say so. */
static void test_unchanged(void **state)
{
    struct certbundle_entry entry;
    struct told told;
    (void)state;

    put("tls/a", "cert.pem", "key.pem", "DNS:a.example", -DAY, DAY);
    struct certbundle *first = read_folder(NULL, &told);
    assert_true(certbundle_entry(first, 1, &entry));
    assert_true(sodium_is_zero(entry.stamp, sizeof(entry.stamp)));
    sleep(3);
    struct certbundle *second = read_folder(first, &told);
    assert_true(certbundle_entry(second, 1, &entry));
    assert_false(sodium_is_zero(entry.stamp, sizeof(entry.stamp)));
    second = renamed(second, 1, "z.example");
    struct certbundle *third = read_folder(second, &told);
    assert_true(certbundle_entry(third, 1, &entry));
    assert_string_equal(entry.names.octets, "z.example");
    put("tls/a", "cert.pem", "key.pem", "DNS:b.example", -DAY, DAY);
    struct certbundle *fourth = read_folder(third, &told);
    assert_true(certbundle_entry(fourth, 1, &entry));
    assert_string_equal(entry.names.octets, "b.example");
    assert_int_equal(told.count, 0);
    assert_int_equal(unlink("tls/a/key.pem"), 0);
    struct certbundle *fifth = read_folder(fourth, &told);
    assert_true(certbundle_entry(fifth, 1, &entry));
    assert_string_equal(entry.names.octets, "b.example");
    assert_true(told.count == 1 && told.kept);
    struct certbundle *all[] = {first, second, third, fourth, fifth};
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        certbundle_close(all[i]);
}

static const struct {
    long from, until;
    const char *says; /* NULL: nothing */
} times[] = {
    {-60 * DAY, 30 * DAY, NULL},
    {-80 * DAY, 10 * DAY - 60, "expires in 10 days"},
    {-DAY, 5 * DAY, NULL}, /* one that lives for six days */
    {-5 * DAY, DAY - 60, "expires in 1 day;"},
    {-90 * DAY, -60, "has expired"},
    {DAY, 90 * DAY, "not valid yet"},
};

static void test_remarks(void **state)
{
    char text[500];
    struct told told;
    (void)state;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        put("tls/a", "cert.pem", "key.pem", "DNS:a.example", times[i].from, times[i].until);
        struct certbundle *bundle = read_folder(NULL, &told);
        text[0] = '\0';
        bool remarked = tlsfolder_remark(bundle, 1, time(NULL), text, sizeof(text));
        if (remarked != (times[i].says != NULL) ||
            (remarked && strstr(text, times[i].says) == NULL))
            fail_msg("%zu: %s", i, text);
        assert_false(tlsfolder_remark(bundle, 2, time(NULL), text, sizeof(text)));
        certbundle_close(bundle);
    }
}

/* The default one stands back without a word. */
static void test_rivals(void **state)
{
    char text[500];
    struct told told;
    (void)state;

    put("tls", "cert.pem", "key.pem", "DNS:a.example", -DAY, 3650 * DAY);
    put("tls/a", "cert.pem", "key.pem", "DNS:a.example,DNS:x.example", -2 * DAY, 60 * DAY);
    put("tls/b", "cert.pem", "key.pem", "DNS:x.example", -DAY, 60 * DAY);
    struct certbundle *bundle = read_folder(NULL, &told);
    assert_false(tlsfolder_remark(bundle, 0, time(NULL), text, sizeof(text)));
    assert_true(tlsfolder_remark(bundle, 1, time(NULL), text, sizeof(text)));
    assert_non_null(strstr(text, "x.example is served with tls/b"));
    assert_false(tlsfolder_remark(bundle, 2, time(NULL), text, sizeof(text)));
    certbundle_close(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_no_names, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_unchanged, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_remarks, set_up, scratch_leave),
        cmocka_unit_test_setup_teardown(test_rivals, set_up, scratch_leave),
    };

    return cmocka_run_group_tests_name("cli_tlsfolder", tests, NULL, NULL);
}
