/* Headers and their surrogates, whole and in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "tests/unit/pieces.h"

#define NOWHERE "<invalid@internationalized-address.invalid>"

/* Fields with their line ends; "" when they are left out. */
static const struct {
    const char *field;
    const char *surrogate;
} cases[] = {
    /* Text. */
    {"Subject: Gr\u00fc\u00dfe\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"},
    {"Subject:Gr\u00fc\u00dfe\r\n", "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"},
    {"Subject: Re: [list]  r\u00e9servation confirm\u00e9e  (fwd)\r\n",
     "Subject: Re: [list]  =?utf-8?q?r=C3=A9servation_confirm=C3=A9e?=  (fwd)\r\n"},
    {"Subject: Re:\r\n r\u00e9servation\r\n\tconfirm\u00e9e \r\n",
     "Subject: Re: =?utf-8?b?csOpc2VydmF0aW9uCWNvbmZpcm3DqWU=?=\r\n"},
    {"Subject: \u3054\u4e88\u7d04\u306e\u78ba\u8a8d \u2013 r\u00e9servation confirm\u00e9e \u2013 "
     "3 "
     "nuits \U0001f6cf\r\n",
     "Subject: =?utf-8?b?44GU5LqI57SE44Gu56K66KqNIOKAkyByw6lzZXJ2YXRpb24gY29u?=\r\n"
     " =?utf-8?b?ZmlybcOpZSDigJMgMyBudWl0cyDwn5uP?=\r\n"},
    {"X-\u00fc: value\r\n", ""},
    {"X-Anything: \u00fc\r\n", "X-Anything: =?utf-8?b?w7w=?=\r\n"},
    {"no field: \u00fc\r\n", "no field: =?utf-8?b?w7w=?=\r\n"},
    {"no colon \u00fc\r\n", "no colon =?utf-8?b?w7w=?=\r\n"},
    {"..Dots: \u00fc\r\n", "..Dots: =?utf-8?b?w7w=?=\r\n"},
    /* Encoded-words stay, and what is between them is still seen. */
    {"Subject: =?utf-8?q?Zo=C3=AB?= \u00eb =?utf-8?q?x?= y \u00f6 z\r\n",
     "Subject: =?utf-8?q?Zo=C3=AB?= =?utf-8?q?_=C3=AB_?= =?utf-8?q?x?= y\r\n"
     " =?utf-8?b?w7Y=?= z\r\n"},
    /* What is no UTF-8 is not made some. */
    {"Subject: Gr\xfc\xdf"
     "e aus Wien\r\n",
     "Subject: =?unknown-8bit?b?R3L832U=?= aus Wien\r\n"},
    {"Subject: \xc3\xbc and \xfc\r\n", "Subject: =?unknown-8bit?b?w7wgYW5kIPw=?=\r\n"},
    {"From: \"Z\xf6\" <a@b.example>\r\n", "From: =?unknown-8bit?q?Z=F6?= <a@b.example>\r\n"},
    /* Names beside addresses. */
    {"From: \"Doe, Zo\u00eb\" <zoe@x.example>\r\n",
     "From: =?utf-8?b?RG9lLCBab8Or?= <zoe@x.example>\r\n"},
    {"From: \"Zo\u00eb \\\"Z\\\" Doe\" <zoe@x.example>\r\n",
     "From: =?utf-8?b?Wm/DqyAiWiI=?= Doe <zoe@x.example>\r\n"},
    {"To: \"a, b\" <a@b.example>,\r\n Zo\u00eb <zoe@x.example> (\u00fc (x)), c@d.example\r\n",
     "To: \"a, b\" <a@b.example>, =?utf-8?q?Zo=C3=AB?= <zoe@x.example>\r\n"
     " (=?utf-8?b?w7wgKHgp?=), c@d.example\r\n"},
    {"Cc: Gruppe \u00c4: a@b.example, \u00dc <c@d.example>;, e@f.example\r\n",
     "Cc: Gruppe =?utf-8?b?w4Q=?=: a@b.example, =?utf-8?b?w5w=?= <c@d.example>;,\r\n"
     " e@f.example\r\n"},
    {"From: =?utf-8?q?Zo=C3=AB?= \u00eb <zoe@x.example>\r\n",
     "From: =?utf-8?q?Zo=C3=AB?= =?utf-8?b?IMOr?= <zoe@x.example>\r\n"},
    /* Addresses. */
    {"From: zoe@ex\u00e4mple.example\r\n", "From: <zoe@xn--exmple-cua.example>\r\n"},
    {"From: Zoe <Zoe@ex\u00e4mple.example> (\u00fc)\r\n",
     "From: Zoe <Zoe@xn--exmple-cua.example>\r\n (=?utf-8?b?w7w=?=)\r\n"},
    {"From: \u00e9@x.example\r\n", "From: =?utf-8?b?w6lAeC5leGFtcGxl?=\r\n " NOWHERE "\r\n"},
    {"From: Jos\u00e9 <\u00e9@x.example>, a@b.example\r\n",
     "From: =?utf-8?b?Sm9zw6kgPMOpQHguZXhhbXBsZT4=?=\r\n " NOWHERE ", a@b.example\r\n"},
    {"From: Zo\u00eb\r\n", "From: =?utf-8?q?Zo=C3=AB?= " NOWHERE "\r\n"},
    {"From: \"never closed \u00eb <a@b.example>\r\n",
     "From: never closed =?utf-8?b?w6sgPGFAYi5leGFtcGxlPg==?=\r\n " NOWHERE "\r\n"},
    {"Return-Path: <\u00e9@x.example>\r\n", "Return-Path: " NOWHERE "\r\n"},
    {"Return-Path: <zoe@ex\u00e4mple.example>\r\n",
     "Return-Path: <zoe@xn--exmple-cua.example>\r\n"},
    /* Parameters. */
    {"Content-Type: text/plain; charset=utf-8; name=\"Gr\u00f6\u00dfe; \\\"x\\\".txt\"\r\n",
     "Content-Type: text/plain; charset=utf-8;\r\n"
     " name*=utf-8''Gr%C3%B6%C3%9Fe%3B%20%22x%22.txt\r\n"},
    {"Content-Disposition: attachment; filename=Gr\u00f6\u00dfe und noch viel l\u00e4nger als eine "
     "Zeile "
     "ist.txt; size=4\r\n",
     "Content-Disposition: attachment;\r\n"
     " filename*0*=utf-8''Gr%C3%B6%C3%9Fe%20und%20noch%20viel%20l%C3%A4nger%20al;\r\n"
     " filename*1*=s%20eine%20Zeile%20ist.txt; size=4\r\n"},
    {"Content-Disposition: attachment; filename*=\u00e4; \u00e4=x; size=4\r\n",
     "Content-Disposition: attachment; size=4\r\n"},
    {"Content-Type: t\u00e4xt/plain\r\n", ""},
    /* What has a form of its own. */
    {"Received: from x (\u00e9) by y; date\r\n",
     "Received: from x (=?utf-8?b?w6k=?=) by y; date\r\n"},
    {"Received: from \u00e9 by y; date\r\n", ""},
    {"Message-ID: <\u00e9@x>\r\n", "Downgraded-Message-ID: =?utf-8?b?PMOpQHg+?=\r\n"},
    {"references : <a@x> <\u00e9@x>\r\n", "Downgraded-references : <a@x> =?utf-8?b?PMOpQHg+?=\r\n"},
    /* What is ASCII stays, however it looks. */
    {"Subject:  =?utf-8?q?x?=\r\n\t y  \r\n", "Subject:  =?utf-8?q?x?=\r\n\t y  \r\n"},
    {"From: \"\r\nX:\r\n:\r\n", "From: \"\r\nX:\r\n:\r\n"},
};

static char *surrogate_of(const char *octets, size_t length, size_t step)
{
    struct evbuffer *output = evbuffer_new();

    surrogate_in_pieces(output, octets, length, step);
    size_t made = evbuffer_get_length(output);
    char *text = xcalloc(1, made + 1);
    evbuffer_remove(output, text, made);
    evbuffer_free(output);
    return text;
}

/* Each between fields that stay, and before a body that looks like a field. */
static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *message =
            xasprintf("A: b\r\n c\r\n%sD: e\r\n\r\nSubject: \u00fc\r\n", cases[i].field);
        char *expected =
            xasprintf("A: b\r\n c\r\n%sD: e\r\n\r\nSubject: \u00fc\r\n", cases[i].surrogate);
        for (size_t step = 1; step <= strlen(message); step++) {
            char *made = surrogate_of(message, strlen(message), step);
            assert_string_equal(made, expected);
            free(made);
        }
        free(expected);
        free(message);
    }
}

#define FIELD   "Content-Disposition: attachment; filename=\u00fc\r\n"
#define ENCODED "Content-Disposition: attachment;\r\n filename*=utf-8''%C3%BC\r\n"
#define OUTER   "Content-Type: multipart/mixed;\r\n Boundary=\"b 1\"\r\n"
#define INNER   "content-type: Multipart/alternative; charset=x; boundary=b\r\n"
#define TEXT    "--b 2\r\n\u00fc: \u00fc\r\n-\r\n--\r\n" FIELD "\r\n"
#define LONG                                                                                       \
    "-----------------------------------------------------------------------------------\u00fc"

/* Headers of parts, and what looks like such and is none. */
static const struct {
    const char *message;
    const char *surrogate;
} multiparts[] = {
    {OUTER "\r\n" TEXT "--b 1\r\n" FIELD "\r\n" TEXT "--b 1 \r\n" FIELD FIELD "\r\n" TEXT
           "--b 1--\r\n" TEXT "--b 1\r\n" FIELD,
     OUTER "\r\n" TEXT "--b 1\r\n" ENCODED "\r\n" TEXT "--b 1 \r\n" ENCODED ENCODED "\r\n" TEXT
           "--b 1--\r\n" TEXT "--b 1\r\n" FIELD},
    /* One in the other, whose boundary begins as the other's; the outer one ends the inner one. */
    {OUTER "\r\n--b 1\r\n" INNER "\r\n" TEXT "--b\r\n" FIELD "\r\n" TEXT "--b--\r\n" TEXT
           "--b\r\n" FIELD "--b 1\r\n" INNER "\r\n--b\r\n\r\n" TEXT "--b 1\r\n" FIELD "\r\n" TEXT
           "--b\r\n" FIELD,
     OUTER "\r\n--b 1\r\n" INNER "\r\n" TEXT "--b\r\n" ENCODED "\r\n" TEXT "--b--\r\n" TEXT
           "--b\r\n" FIELD "--b 1\r\n" INNER "\r\n--b\r\n\r\n" TEXT "--b 1\r\n" ENCODED "\r\n" TEXT
           "--b\r\n" FIELD},
    /* A message in the message, with parts of its own. */
    {OUTER "\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: \u00fc\r\n" INNER
           "\r\n--b\r\n" FIELD "\r\n" TEXT "--b 1--\r\n" FIELD,
     OUTER "\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?b?w7w=?=\r\n" INNER
           "\r\n--b\r\n" ENCODED "\r\n" TEXT "--b 1--\r\n" FIELD},
    /* The message ends within the header of a part, and of a message. */
    {OUTER "\r\n--b 1\r\n" FIELD, OUTER "\r\n--b 1\r\n" ENCODED},
    {"Content-Type: message/rfc822\r\n\r\nX: y\r\n" FIELD,
     "Content-Type: message/rfc822\r\n\r\nX: y\r\n" ENCODED},
    /* No boundary, one that is too long, and lines that are. */
    {"Content-Type: multipart/mixed\r\n\r\n--\r\n" FIELD,
     "Content-Type: multipart/mixed\r\n\r\n--\r\n" FIELD},
    {"Content-Type: multipart/mixed; boundary=" LONG "\r\n\r\n--" LONG "\r\n" FIELD,
     "Content-Type: multipart/mixed;\r\n "
     "boundary*0*=utf-8''------------------------------------------------------;\r\n boundary*1*="
     "-----------------------------%C3%BC\r\n\r\n--" LONG "\r\n" FIELD},
    {OUTER "\r\n" LONG LONG LONG LONG "\r\n" FIELD, OUTER "\r\n" LONG LONG LONG LONG "\r\n" FIELD},
};

static void test_multiparts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(multiparts) / sizeof(multiparts[0]); i++) {
        const char *message = multiparts[i].message;
        uint64_t top_length = (uint64_t)(strstr(message, "\r\n\r\n") + 4 - message);
        assert_true(surrogate_is_needed(message, strlen(message), top_length));
        for (size_t step = 1; step <= strlen(message); step++) {
            char *made = surrogate_of(message, strlen(message), step);
            assert_string_equal(made, multiparts[i].surrogate);
            free(made);
        }
    }
}

/* A message that is all header ends within a field. */
static void test_all_header(void **state)
{
    static const char message[] = "\xef\xbb\xbfSubject: \u00fc\r\nX-Empty:\r\nTo: \u00fc\r\n";
    (void)state;

    char *made = surrogate_of(message, strlen(message), 5);
    assert_string_equal(made, "Subject: =?utf-8?b?w7w=?=\r\nX-Empty:\r\n"
                              "To: =?utf-8?b?w7w=?= " NOWHERE "\r\n");
    free(made);
    made = surrogate_of("", 0, 1);
    assert_string_equal(made, "");
    free(made);
}

/* A line that begins with a dot only when something before it has gone ends no answer. */
static void test_dots(void **state)
{
    static const struct {
        const char *stored;
        const char *surrogate;
    } dots[] = {
        {"\xef\xbb\xbf.\r\nA: b\r\n\r\n", "..\r\nA: b\r\n\r\n"},
        {"\xef\xbb\xbf..\r\n c\r\n\r\n", "...\r\n c\r\n\r\n"},
        {"\xef\xbb\xbf\r\nA: b\r\n\r\n", "A: b\r\n\r\n"},
        {" . \u00fc\r\n\r\n", ".. =?utf-8?b?w7w=?=\r\n\r\n"},
        {"..\u00fc\r\n\r\n", "=?utf-8?b?LsO8?=\r\n\r\n"},
        {OUTER "\r\n--b 1\r\n .\u00fc\r\n\r\n", OUTER "\r\n--b 1\r\n=?utf-8?b?LsO8?=\r\n\r\n"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(dots) / sizeof(dots[0]); i++) {
        char *made = surrogate_of(dots[i].stored, strlen(dots[i].stored), 3);
        assert_string_equal(made, dots[i].surrogate);
        free(made);
    }
}

/* A field that begins so and goes on with as many of these as there is room for. */
static void repeat(char *message_r, size_t size, const char *begin, const char *more)
{
    size_t length = strlen(begin), step = strlen(more);

    memcpy(message_r, begin, length);
    for (; length + step + 3 <= size; length += step)
        memcpy(message_r + length, more, step);
    memcpy(message_r + length, "\r\n", 3);
}

/* A line of words without end becomes lines of 76 octets, of whole characters. */
static void test_long_line(void **state)
{
    char message[32 * 1024];
    (void)state;

    repeat(message, sizeof(message), "Subject:", " \u3054\u4e88 confirm\u00e9e-confirm\u00e9e");
    char *made = surrogate_of(message, strlen(message), sizeof(message));
    for (char *at = made; *at != '\0'; at = strstr(at, "\r\n") + 2)
        assert_in_range(strstr(at, "\r\n") - at, 1, 76);
    free(made);
}

/* Longer than any field that has been written: no memory is spent on it. */
static void test_too_long(void **state)
{
    static const char behind[] = "\r\nSubject: \u00fc\r\n";
    size_t length = 3 * SURROGATE_FIELD_MAX;
    char *message = xcalloc(1, length + 64);
    (void)state;

    memcpy(message, "X: ", 3);
    memset(message + 3, 0xfc, length);
    memcpy(message + 3 + length, behind, sizeof(behind));
    for (size_t step = 1000; step < 3 * length; step *= 3) {
        char *made = surrogate_of(message, strlen(message), step);
        assert_int_equal(strspn(made + 3, "?"), length);
        assert_string_equal(made + 3 + length, "\r\nSubject: =?utf-8?b?w7w=?=\r\n");
        free(made);
    }
    free(message);
}

/* What the header file says of growth. */
static void test_growth(void **state)
{
    char message[6000];
    (void)state;

    repeat(message, sizeof(message), "To: ", "\xfc,");
    char *made = surrogate_of(message, strlen(message), sizeof(message));
    assert_in_range(strlen(made), strlen(message), 40 * strlen(message));
    free(made);
}

/* A parameter's name stands before each part of its value. */
static void test_growth_of_parameters(void **state)
{
    char message[6000] = "Content-Type: text/plain; ";
    char name[64] = "";
    (void)state;

    for (size_t length = 1; length < sizeof(name); length++) {
        name[length - 1] = 'n';
        size_t filled = strlen("Content-Type: text/plain; ");
        filled += (size_t)sprintf(message + filled, "%s=", name);
        memset(message + filled, 0xfc, sizeof(message) - filled - 3);
        memcpy(message + sizeof(message) - 3, "\r\n", 3);
        char *made = surrogate_of(message, strlen(message), sizeof(message));
        assert_true(strlen(made) < 40 * strlen(message));
        assert_int_equal(strstr(made, "%FC") != NULL, length <= 32);
        free(made);
    }
}

static void test_is_needed(void **state)
{
    (void)state;
    assert_false(surrogate_is_needed("A: b\r\n\r\n\xfc", 9, 8));
    assert_true(surrogate_is_needed("A: \xfc\r\n\r\n\xfc", 9, 8));
    assert_true(surrogate_is_needed("A: b\r\n", 6, 8));
    assert_false(surrogate_is_needed("", 0, 0));
    assert_false(
        surrogate_is_needed("A: b\r\n\r\nContent-Type: multipart/mixed\r\n\xfc\r\n", 43, 8));
    assert_false(surrogate_is_needed("Content-Type: multipart/mixed\r\n\r\nu\r\n", 36, 33));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_all_header),
        cmocka_unit_test(test_multiparts),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_dots),
        cmocka_unit_test(test_is_needed),
        cmocka_unit_test(test_growth_of_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
