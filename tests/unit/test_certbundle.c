/* What is written is what is found, and what replaces it leaves readers of the old alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/certbundle.h"

enum { NOW = 1000000, DAY = 24 * 3600 };

/* `names` end with a blank each; certificate and key are the label's octets. */
static void add(struct certwriter *writer, enum certbundle_kind kind, const char *label,
                const char *names, int64_t issued)
{
    char texts[300];
    struct certbundle_entry entry = {.label = label, .kind = kind};

    assert_true(strlen(names) < sizeof(texts));
    memcpy(texts, names, strlen(names) + 1);
    for (char *at = texts; (at = strchr(at, ' ')) != NULL; at++)
        *at = '\0';
    entry.not_before = issued;
    entry.not_after = issued + 10L * DAY;
    entry.names = (struct certbundle_octets){texts, strlen(names)};
    entry.certificate = (struct certbundle_octets){label, strlen(label)};
    entry.key = entry.certificate;
    entry.issuer_count = 2;
    entry.issuers[0] = (struct certbundle_octets){"issuer", 6};
    entry.issuers[1] = (struct certbundle_octets){"root", 4};
    certwriter_add(writer, &entry);
}

static int make(void **state)
{
    static int fd;

    if (sodium_init() < 0)
        return -1;
    fd = memfd_create("bundle", MFD_CLOEXEC);
    *state = &fd;
    return fd < 0 ? -1 : 0;
}

static int drop(void **state)
{
    return close(*(int *)*state);
}

/* The labels of the choice: "ecdsa rsa", "-" for none. */
static const char *labels(const struct certbundle *bundle, struct certbundle_choice choice)
{
    static char text[600];
    const char *found[CERTBUNDLE__KINDS];
    struct certbundle_entry entry;

    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++) {
        found[kind] = "-";
        if (choice.entries[kind] == CERTBUNDLE_NONE)
            continue;
        assert_true(certbundle_entry(bundle, choice.entries[kind], &entry));
        assert_int_equal(entry.kind, kind);
        found[kind] = entry.label;
    }
    snprintf(text, sizeof(text), "%s %s", found[CERTBUNDLE_ECDSA], found[CERTBUNDLE_RSA]);
    return text;
}

static const char *find(const struct certbundle *bundle, const char *name)
{
    struct certbundle_choice choice;

    bool found = certbundle_find(bundle, name, strlen(name), NOW, &choice);
    const char *text = labels(bundle, choice);
    assert_int_equal(found, strcmp(text, "- -") != 0);
    return text;
}

static struct certbundle *write_some(int fd)
{
    struct certwriter *writer = certwriter_begin(fd);

    add(writer, CERTBUNDLE_ECDSA, "tls", "mail.host.example pop.host.example ", NOW - DAY);
    add(writer, CERTBUNDLE_ECDSA, "tls/a", "a.example *.a.example ", NOW - DAY);
    add(writer, CERTBUNDLE_RSA, "tls/a-rsa", "mail.a.example ", NOW - DAY);
    add(writer, CERTBUNDLE_RSA, "tls/b", "mail.b.example ", NOW - DAY);
    add(writer, CERTBUNDLE_RSA, "tls/host", "*.host.example ", NOW - DAY);
    assert_int_equal(certwriter_end(writer, NOW), 0);
    struct certbundle *bundle = certbundle_open(fd);
    assert_non_null(bundle);
    return bundle;
}

static const struct {
    const char *name;
    const char *labels;
} asked[] = {
    {"a.example", "tls/a -"},
    {"pop.a.example", "tls/a -"},
    {"mail.a.example", "tls/a tls/a-rsa"},
    {"x.mail.a.example", "- -"},
    {".a.example", "- -"},
    {"*.a.example", "tls/a -"},
    {"mail.b.example", "- tls/b"},
    {"b.example", "- -"},
    {"mail.host.example", "tls tls/host"},
    {"imap.host.example", "- tls/host"},
    {"host.example", "- -"},
    {"", "- -"},
    {".", "- -"},
    {"mail.b.example.", "- -"},
};

static void test_find(void **state)
{
    struct certbundle *bundle = write_some(*(int *)*state);
    struct certbundle_choice choice;
    char longest[1000];

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        assert_string_equal(find(bundle, asked[i].name), asked[i].labels);
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + sizeof(longest) - 10, ".a.example", 10);
    for (size_t length = 0; length <= sizeof(longest); length++)
        assert_false(
            certbundle_find(bundle, longest + sizeof(longest) - length, length, NOW, &choice) &&
            length != 9 && (length < 11 || length > CERTBUNDLE_NAME_MAX));
    assert_false(certbundle_find(bundle, "a.example\0x", 11, NOW, &choice));
    assert_string_equal(labels(bundle, certbundle_default(bundle, NOW)), "tls tls/host");
    certbundle_close(bundle);
}

static void test_entry(void **state)
{
    struct certbundle *bundle = write_some(*(int *)*state);
    struct certbundle_entry entry;

    assert_int_equal(certbundle_count(bundle), 5);
    assert_int_equal(certbundle_labelled(bundle, "tls/b"), 3);
    assert_int_equal(certbundle_labelled(bundle, "tls/c"), CERTBUNDLE_NONE);
    assert_true(certbundle_entry(bundle, 3, &entry));
    assert_string_equal(entry.label, "tls/b");
    assert_int_equal(entry.kind, CERTBUNDLE_RSA);
    assert_int_equal(entry.not_before, NOW - DAY);
    assert_int_equal(entry.not_after, NOW + 9 * DAY);
    assert_memory_equal(entry.names.octets, "mail.b.example", entry.names.length);
    assert_memory_equal(entry.key.octets, "tls/b", entry.key.length);
    assert_int_equal(entry.issuer_count, 2);
    assert_memory_equal(entry.issuers[1].octets, "root", entry.issuers[1].length);
    const void *shared = entry.issuers[0].octets;
    assert_true(certbundle_entry(bundle, 1, &entry));
    assert_ptr_equal(entry.issuers[0].octets, shared);
    certbundle_close(bundle);
}

/* Who serves a.example, of two that could. */
static const struct {
    int64_t issued[2];
    const char *label;
} rivals[] = {
    {{NOW - 2 * DAY, NOW - DAY}, "tls/b -"},
    {{NOW - DAY, NOW - 2 * DAY}, "tls/a -"},
    {{NOW - DAY, NOW - DAY}, "tls/a -"},
    {{NOW - DAY, NOW + DAY}, "tls/a -"},          /* not valid yet */
    {{NOW - 20 * DAY, NOW - 2 * DAY}, "tls/b -"}, /* past its end */
    {{NOW - 20 * DAY, NOW + DAY}, "tls -"},
};

static void test_rivals(void **state)
{
    int fd = *(int *)*state;

    for (size_t i = 0; i < sizeof(rivals) / sizeof(rivals[0]); i++) {
        struct certwriter *writer = certwriter_begin(fd);
        add(writer, CERTBUNDLE_ECDSA, "tls", "a.example ", NOW);
        add(writer, CERTBUNDLE_ECDSA, "tls/a", "a.example ", rivals[i].issued[0]);
        add(writer, CERTBUNDLE_ECDSA, "tls/b", "a.example ", rivals[i].issued[1]);
        assert_int_equal(certwriter_end(writer, NOW), 0);
        struct certbundle *bundle = certbundle_open(fd);
        assert_string_equal(find(bundle, "a.example"), rivals[i].label);
        assert_string_equal(labels(bundle, certbundle_default(bundle, NOW)), "tls -");
        certbundle_close(bundle);
    }
}

/* What serves mail.a.example, of its own certificates and of its wildcard's; "-": there is none. */
static const struct {
    const char *own;      /* by kind, ECDSA first: valid, expired, or none */
    const char *wildcard; /* the same */
    const char *labels;
} validities[] = {
    {"v-", "v-", "tls/own-ecdsa -"},
    {"e-", "v-", "tls/wild-ecdsa -"},
    {"e-", "e-", "tls/own-ecdsa -"},
    {"--", "e-", "tls/wild-ecdsa -"},
    {"e-", "--", "tls/own-ecdsa -"},
    {"e-", "-v", "- tls/wild-rsa"},
    {"ev", "--", "- tls/own-rsa"},
    {"ev", "v-", "tls/wild-ecdsa tls/own-rsa"},
    {"ve", "-v", "tls/own-ecdsa tls/wild-rsa"},
    {"ee", "ee", "tls/own-ecdsa tls/own-rsa"},
};

static void add_of(struct certwriter *writer, const char *of, const char *labels_of[],
                   const char *names)
{
    for (unsigned kind = 0; kind < CERTBUNDLE__KINDS; kind++)
        if (of[kind] != '-')
            add(writer, kind, labels_of[kind], names, NOW - (of[kind] == 'v' ? 1 : 20) * DAY);
}

static void test_validity(void **state)
{
    const char *own[] = {"tls/own-ecdsa", "tls/own-rsa"};
    const char *wild[] = {"tls/wild-ecdsa", "tls/wild-rsa"};
    int fd = *(int *)*state;

    for (size_t i = 0; i < sizeof(validities) / sizeof(validities[0]); i++) {
        struct certwriter *writer = certwriter_begin(fd);
        add(writer, CERTBUNDLE_ECDSA, "tls", "host.example ", NOW);
        add_of(writer, validities[i].own, own, "mail.a.example ");
        add_of(writer, validities[i].wildcard, wild, "*.a.example ");
        assert_int_equal(certwriter_end(writer, NOW), 0);
        struct certbundle *bundle = certbundle_open(fd);
        assert_string_equal(find(bundle, "mail.a.example"), validities[i].labels);
        certbundle_close(bundle);
    }
}

/* Beside the default stands what serves all of its names, and only that. */
static void test_default(void **state)
{
    static const struct {
        const char *names;
        const char *labels;
    } cases[] = {
        {"a.example ", "- tls"},
        {"a.example b.example ", "tls/a tls"},
        {"*.example ", "tls/a tls"},
        {"*.b.example a.example ", "- tls"},
    };
    int fd = *(int *)*state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct certwriter *writer = certwriter_begin(fd);
        add(writer, CERTBUNDLE_RSA, "tls", "a.example b.example ", NOW);
        add(writer, CERTBUNDLE_ECDSA, "tls/a", cases[i].names, NOW);
        assert_int_equal(certwriter_end(writer, NOW), 0);
        struct certbundle *bundle = certbundle_open(fd);
        assert_string_equal(labels(bundle, certbundle_default(bundle, NOW)), cases[i].labels);
        assert_string_equal(labels(bundle, certbundle_default(bundle, NOW + 11L * DAY)),
                            cases[i].labels);
        certbundle_close(bundle);
    }
    struct certwriter *writer = certwriter_begin(fd);
    add(writer, CERTBUNDLE_RSA, "tls", "a.example ", NOW);
    add(writer, CERTBUNDLE_ECDSA, "tls/a", "a.example ", NOW - 20 * DAY);
    assert_int_equal(certwriter_end(writer, NOW), 0);
    struct certbundle *bundle = certbundle_open(fd);
    assert_string_equal(labels(bundle, certbundle_default(bundle, NOW)), "- tls");
    assert_string_equal(labels(bundle, certbundle_default(bundle, NOW - 11L * DAY)), "tls/a -");
    certbundle_close(bundle);
}

static off_t occupied(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status.st_blocks * 512;
}

/* A reader of the contents before goes on; one that is further behind finds nothing, and lives. */
static void test_replaced(void **state)
{
    int fd = *(int *)*state;
    struct certbundle_entry entry;

    assert_null(certbundle_open(fd));
    assert_int_equal(errno, ENODATA);
    struct certbundle *first = write_some(fd);
    struct certbundle *second = write_some(fd);
    assert_string_equal(find(first, "mail.b.example"), "- tls/b");
    off_t before = occupied(fd);
    for (unsigned i = 0; i < 50; i++)
        certbundle_close(write_some(fd));
    assert_in_range(occupied(fd), 0, before);
    assert_string_equal(find(first, "mail.b.example"), "- -");
    assert_false(certbundle_entry(first, 3, &entry));
    assert_int_equal(certbundle_count(first), 5);
    certbundle_close(first);
    certbundle_close(second);
}

static void test_cancelled(void **state)
{
    int fd = *(int *)*state;

    struct certbundle *bundle = write_some(fd);
    off_t before = occupied(fd);
    struct certwriter *writer = certwriter_begin(fd);
    add(writer, CERTBUNDLE_ECDSA, "tls", "other.example ", NOW);
    certwriter_cancel(writer);
    struct certbundle *again = certbundle_open(fd);
    assert_string_equal(find(again, "other.example"), "- -");
    assert_string_equal(find(again, "mail.b.example"), "- tls/b");
    assert_int_equal(occupied(fd), before);
    certbundle_close(bundle);
    certbundle_close(again);
}

static void test_no_file(void **state)
{
    (void)state;

    struct certwriter *writer = certwriter_begin(-1);
    add(writer, CERTBUNDLE_ECDSA, "tls", "a.example ", NOW);
    assert_int_equal(certwriter_end(writer, NOW), -1);
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, make, drop),
        cmocka_unit_test_setup_teardown(test_entry, make, drop),
        cmocka_unit_test_setup_teardown(test_rivals, make, drop),
        cmocka_unit_test_setup_teardown(test_validity, make, drop),
        cmocka_unit_test_setup_teardown(test_default, make, drop),
        cmocka_unit_test_setup_teardown(test_replaced, make, drop),
        cmocka_unit_test_setup_teardown(test_cancelled, make, drop),
        cmocka_unit_test(test_no_file),
    };

    return cmocka_run_group_tests_name("certbundle", tests, NULL, NULL);
}
