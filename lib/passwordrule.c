#include "lib/passwordrule.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "lib/address.h"
#include "lib/commonpassword.h"
#include "lib/password.h"
#include "lib/saslprep.h"
#include "lib/utf8.h"

/* Room for a password, and for an address. */
#define CORE_MAX 512

_Static_assert(CORE_MAX >= PASSWORD_MOST && CORE_MAX >= ADDRESS_MAX, "all fits");

/* What is left of a text; of a password it is wiped. */
struct core {
    char text[CORE_MAX];
    size_t length;
    size_t whole; /* octets before anything was taken away */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of ASCII letters and digits alone are kept; what is not ASCII all stays. */
static void core_init(struct core *core, const char *text, size_t length)
{
    core->length = 0;
    core->whole = length;
    for (size_t i = 0; i < length && core->length < CORE_MAX; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if ((c >= 'a' && c <= 'z') || is_digit(c) || (c & 0x80) != 0)
            core->text[core->length++] = c;
    }
}

static void core_strip_digits(struct core *core)
{
    size_t before = 0;

    while (core->length > 0 && is_digit(core->text[core->length - 1]))
        core->length--;
    while (before < core->length && is_digit(core->text[before]))
        before++;
    memmove(core->text, core->text + before, core->length - before);
    core->length -= before;
}

/* It stands for the whole where it is at least half of it. */
static bool core_counts(const struct core *core)
{
    return core->length > 0 && 2 * core->length >= core->whole;
}

static bool core_is(const struct core *core, const char *word, size_t length)
{
    struct core other;

    core_init(&other, word, length);
    if (other.length == core->length && memcmp(other.text, core->text, core->length) == 0)
        return true;
    core_strip_digits(&other);
    return other.length == core->length && memcmp(other.text, core->text, core->length) == 0;
}

/* The name, or one of its labels. */
static bool core_is_name(const struct core *core, const char *name)
{
    if (core_is(core, name, strlen(name)))
        return true;
    while (*name != '\0') {
        size_t label = strcspn(name, ".");
        if (core_is(core, name, label))
            return true;
        name += label + (name[label] != '\0');
    }
    return false;
}

static bool core_is_address(const struct core *core, const char *address)
{
    const char *at = strrchr(address, '@');

    if (core_is(core, address, strlen(address)))
        return true;
    return at != NULL &&
           (core_is(core, address, (size_t)(at - address)) || core_is_name(core, at + 1));
}

static const char *check_core(const struct core *core, const struct passwordrule_owner *owner)
{
    if (!core_counts(core))
        return NULL;
    if (commonpassword_is(core->text, core->length))
        return "this password is one of the most common ones, perhaps with digits or signs around "
               "it, and is guessed first; take several words that have nothing to do with each "
               "other, for example";
    if (owner->address != NULL && core_is_address(core, owner->address))
        return "the password is the address or a part of it, and is guessed first; take another";
    if (owner->customer != NULL && core_is(core, owner->customer, strlen(owner->customer)))
        return "the password is the customer's name, and is guessed first; take another";
    if (owner->hostname != NULL && core_is_name(core, owner->hostname))
        return "the password is the server's name or a part of it, and is guessed first; take "
               "another";
    return NULL;
}

/*
 * Whether each character is the same as the one before or its neighbour, like 12345678, 11223344
 * and hgfedcba, or there are fewer than four different ones.
 */
static bool is_monotonous(const char *text, size_t length)
{
    uint32_t seen[4];
    uint32_t character = 0;
    uint32_t before = 0;
    unsigned different = 0;
    bool steps = true;
    size_t octets;

    for (size_t at = 0; (octets = utf8_decode(text + at, length - at, &character)) > 0;
         at += octets) {
        steps = steps && (at == 0 || character - before + 1 <= 2);
        before = character;
        unsigned i = 0;
        while (i < different && seen[i] != character)
            i++;
        if (i == different && different < 4)
            seen[different++] = character;
    }
    sodium_memzero(seen, sizeof(seen));
    return steps || different < 4;
}

static const char *check_prepared(const char *text, size_t length,
                                  const struct passwordrule_owner *owner)
{
    struct core core;

    if (is_monotonous(text, length))
        return "the password repeats a few characters or follows the alphabet, and is guessed "
               "first; take another";
    core_init(&core, text, length);
    const char *error = check_core(&core, owner);
    if (error == NULL) {
        core_strip_digits(&core);
        error = check_core(&core, owner);
    }
    sodium_memzero(&core, sizeof(core));
    return error;
}

const char *passwordrule_check(const char *text, size_t length,
                               const struct passwordrule_owner *owner)
{
    char prepared[PASSWORD_MOST + 1];
    const char *error = password_check(text, length);

    if (error != NULL)
        return error;
    long size = saslprep(prepared, sizeof(prepared), text, length);
    if (size > 0)
        error = check_prepared(prepared, (size_t)size, owner);
    sodium_memzero(prepared, sizeof(prepared));
    return error;
}
