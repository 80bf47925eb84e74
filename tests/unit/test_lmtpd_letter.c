/* The message that warns of a full mailbox: its form, and what people read in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lmtpd/letter.h"

static const struct {
    uint64_t octets;
    enum language language;
    const char *text;
} sizes[] = {
    {0, LANGUAGE_EN, "0 KB"},
    {1, LANGUAGE_EN, "0.1 KB"},
    {1024, LANGUAGE_EN, "1 KB"},
    {1536, LANGUAGE_EN, "1.5 KB"},
    {1536, LANGUAGE_DE, "1,5 KB"},
    {UINT64_C(1) << 20, LANGUAGE_FR, "1 Mo"},
    {1536, LANGUAGE_FR, "1,5 Ko"},
    {(UINT64_C(1) << 20) - 1, LANGUAGE_EN, "1023 KB"},
    {UINT64_C(1932735283), LANGUAGE_PT, "1,7 GB"},
    {UINT64_C(2) << 30, LANGUAGE_EN, "2 GB"},
    {UINT64_C(3) << 50, LANGUAGE_EN, "3072 TB"},
    {UINT64_MAX, LANGUAGE_EN, "16777215 TB"},
};

static void sizes_are_for_people(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[LETTER_SIZE_MAX];
        letter_size(sizes[i].octets, sizes[i].language, text);
        assert_string_equal(text, sizes[i].text);
    }
}

static const struct letter letter = {1, 850, 3, 1000, 100};

static char *format(const struct letter *told, const char *text, const char *hostname)
{
    struct db_owner owner = {.address = {"ann@a.example", "ann", "a.example"},
                             .language = LANGUAGE_EN};
    struct notice notice;
    char error[256];
    size_t length;

    assert_int_equal(notice_parse(&notice, text, strlen(text), error, sizeof(error)), 0);
    char *message = letter_format(told, &owner, &notice, hostname, 1700000000, &length);
    assert_int_equal(length, strlen(message));
    /* RFC 5322: CRLF ends each line and nothing else; no line is longer than it should be. */
    for (const char *at = message; *at != '\0';) {
        size_t line = strcspn(at, "\r\n");
        assert_in_range(line, 0, 76);
        assert_memory_equal(at + line, "\r\n", 2);
        at += line + 2;
        for (size_t i = 0; i < line; i++)
            assert_true((unsigned char)at[i - line - 2] < 0x80);
    }
    return message;
}

static void has(const char *message, const char *part)
{
    if (strstr(message, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, message);
}

static void has_the_fields_that_it_should(void **state)
{
    char *message =
        format(&letter, "Subject: {percent}% full\n\nHello {address}\n", "mx.example.net");
    (void)state;

    has(message, "Return-Path: <>\r\nFrom: <postmaster@mx.example.net>\r\nTo: <ann@a.example>\r\n"
                 "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <");
    has(message, "@mx.example.net>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n");
    has(message, "\r\nSubject: 85% full\r\n\r\nHello ann@a.example\r\n");
    free(message);
    message = format(&letter, "Subject: x\n\ny\n", "localhost");
    has(message, "From: <postmaster@a.example>\r\n");
    free(message);
}

static void tells_the_higher_of_both_quotas(void **state)
{
    static const struct {
        struct letter letter;
        const char *percent;
    } cases[] = {
        {{1, 850, 3, 1000, 100}, "\r\n\r\n85\r\n"},
        {{1, 1, 96, 1000, 100}, "\r\n\r\n96\r\n"},
        {{1, 1000, 1, 1000, 100}, "\r\n\r\n100\r\n"},
        {{1, UINT64_C(9) << 50, 1, UINT64_C(10) << 50, 100}, "\r\n\r\n90\r\n"},
        {{1, INT64_MAX, 1, INT64_MAX, 100}, "\r\n\r\n100\r\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *message = format(&cases[i].letter, "Subject: x\n\n{percent}\n", "mx.example.net");
        has(message, cases[i].percent);
        free(message);
    }
}

static void encodes_what_is_not_ascii(void **state)
{
    static const char text[] =
        "Subject: Boîte à lettres très pleine, vraiment très pleine €€€€ {percent} %\n\n"
        "=é and a line that ends in a blank \n"
        ".\n"
        "a line that is far too long for one line of a message and so has to be "
        "cut somewhere, softly\n";
    char *message = format(&letter, text, "mx.example.net");
    (void)state;

    has(message, "Content-Transfer-Encoding: quoted-printable\r\n");
    has(message, "Subject: =?UTF-8?Q?Bo=C3=AEte_=C3=A0_lettres");
    has(message, "?=\r\n =?UTF-8?Q?");
    has(message, "\r\n\r\n=3D=C3=A9 and a line that ends in a blank=20\r\n.\r\na line");
    has(message, "=\r\n");
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_for_people),
        cmocka_unit_test(has_the_fields_that_it_should),
        cmocka_unit_test(tells_the_higher_of_both_quotas),
        cmocka_unit_test(encodes_what_is_not_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
