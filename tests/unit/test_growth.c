/* What is found of a surrogate while a message comes is what making it comes to, however it is cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/growth.h"
#include "lib/message.h"
#include "lib/storemsg.h"
#include "lib/surrogate.h"
#include "lib/xalloc.h"
#include "tests/unit/pieces.h"

#define PARTS "Content-Type: multipart/mixed; boundary=b\n\nbefore\n"

/* Messages as they are sent, and whether a client without UTF8 gets another one. */
static const struct {
    const char *message;
    bool needed;
} cases[] = {
    {"", false},
    {"Subject: x\n\ntext\n", false},
    {"Subject: x", false},
    {"Subject: \u00fc\n\ntext\n", true},
    {"Subject: \u00fc", true},
    {"Subject: x\n\n\u00fc\n", false},
    {"Subject: x\nX-\u00fc: left out\n\ntext\n", true},
    {"\xef\xbb\xbfSubject: x\n\ntext\n", true},
    {"\xef\xbb\xbf.\nSubject: x\n\ntext\n", true},
    {"\xef\xbb\xbf\nSubject: x\n\n\n", true},
    {"\xef\xbb\xbf\xc3\xbc\n\n", true},
    {".\u00fc: x\n..x: \u00fc\n.\u00fc\n\n.\n", true},
    {" . \u00fc\n\n.\n", true},
    {"\n\xfc: no header\n", false},
    /* Parts. */
    {PARTS "--b\nX: y\n\nASCII\n--b--\n", false},
    {PARTS "--b\nX: y\n\n\u00fc\n--b--\nX: \u00fc\n", false},
    {PARTS "--b\nX: y\n\n\u00fc\n--c\nX: \u00fc\n", false},
    {PARTS "--b\nX: \u00fc\n\n-\n--b--\n", true},
    {PARTS "-\n--b\n\nx-\n--\n-b\n--b \nX: y\n .\u00fc\n", true},
    {PARTS "--b\n. \u00fc\n.\n\n--b--", true},
    {PARTS "--b\nContent-Type: message/rfc822\n\nX: y\n\n\u00fc\n--b--\n", false},
    {PARTS "--b\nContent-Type: message/rfc822\n\nX: \u00fc\n\n\u00fc\n--b--\n", true},
    {"Content-Type: message/global\n\nSubject: \u00fc\n\n\u00fc\n", true},
    {"Content-Type: text/plain\nContent-Type: message/rfc822\n\nX: \u00fc\n\n", true},
};

struct stored {
    char *octets;
    size_t length;
    struct store_surrogate found;
};

/* As lmtpd makes the stored form and tells of it, with so many octets at a time. */
static struct stored store(const char *message, size_t length, size_t step)
{
    struct stored stored = {.octets = xmalloc(MESSAGE_ENCODED_MAX(length))};
    struct message_encoder encoder;
    struct growth growth;

    message_encoder_init(&encoder);
    growth_init(&growth);
    while (length > step) {
        char *room = xmalloc(MESSAGE_ENCODED_MAX(step) + 4);
        size_t made = message_encode(&encoder, message, step, room);
        growth_take(&growth, &encoder, room, made, false);
        memcpy(stored.octets + stored.length, room, made);
        stored.length += made;
        free(room);
        message += step;
        length -= step;
    }
    char *last = stored.octets + stored.length;
    size_t made = message_encode(&encoder, message, length, last);
    made += message_encode_end(&encoder, last + made);
    growth_take(&growth, &encoder, last, made, true);
    stored.length += made;
    growth_tell(&growth, &stored.found);
    growth_clear(&growth);
    return stored;
}

static void finds_what_making_it_comes_to(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t step = 1; step <= strlen(cases[i].message) + 1; step++) {
            struct stored stored = store(cases[i].message, strlen(cases[i].message), step);
            struct store_surrogate made = surrogate_measured(stored.octets, stored.length);
            assert_int_equal(made.needed, cases[i].needed);
            assert_memory_equal(&stored.found, &made, sizeof(made));
            free(stored.octets);
        }
}

/* Behind what pop3d gets first: a header of the last part alone. */
static void finds_what_is_far_behind(void **state)
{
    static const char begin[] = PARTS "--b\nX: y\n\n";
    static const char end[] = "\n--b\nX: \u00fc\n\n--b--\n";
    size_t length = sizeof(begin) - 1 + (1 << 20) + sizeof(end) - 1;
    char *message = xmalloc(length);
    (void)state;

    memset(message, 'x', length);
    memcpy(message, begin, sizeof(begin) - 1);
    memcpy(message + length - (sizeof(end) - 1), end, sizeof(end) - 1);
    for (size_t step = 1000; step < 100 * length; step *= 10) {
        struct stored stored = store(message, length, step);
        assert_int_equal(stored.found.needed, 1);
        assert_int_equal(stored.found.growth, strlen("=?utf-8?b?w7w=?=") - 2);
        free(stored.octets);
    }
    free(message);
}

/* What was made to cost time; one field less is found. */
static void gives_up_what_costs_too_much(void **state)
{
    static const char field[] = "From: \u00fc,\u00fc,\u00fc,\u00fc,\r\n";
    size_t most = GROWTH_REWRITTEN_MAX / (sizeof(field) - 1);
    char *message = xmalloc((most + 1) * (sizeof(field) - 1));
    (void)state;

    for (size_t i = 0; i <= most; i++)
        memcpy(message + i * (sizeof(field) - 1), field, sizeof(field) - 1);
    for (size_t count = most; count <= most + 1; count++) {
        struct stored stored = store(message, count * (sizeof(field) - 1), 30000);
        assert_int_equal(stored.found.version, count == most ? SURROGATE_VERSION : 0);
        assert_int_equal(stored.found.needed, count == most);
        assert_true((stored.found.growth > 0) == (count == most));
        free(stored.octets);
    }
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_making_it_comes_to),
        cmocka_unit_test(finds_what_is_far_behind),
        cmocka_unit_test(gives_up_what_costs_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
