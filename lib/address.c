#include <idn2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/address.h"
#include "lib/saslprep.h"

/*
 * The text comes from the network and from files, so nothing is assumed about it. A domain that is
 * plain ASCII, which nearly all are, is checked here; only others cost a call of libidn2.
 */

#define LABEL_MAX 63 /* octets, RFC 1035 section 2.3.4 */

/* No domain of 253 octets in A-labels needs as many octets in UTF-8. */
#define DOMAIN_TEXT_MAX 1023

static bool is_digit(unsigned char octet)
{
    return octet >= '0' && octet <= '9';
}

static bool is_letter_or_digit(unsigned char octet)
{
    return is_digit(octet) || (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z');
}

static char lower(char octet)
{
    return octet >= 'A' && octet <= 'Z' ? (char)(octet - 'A' + 'a') : octet;
}

/* An ASCII octet that may stand in an atom: atext of RFC 5322 section 3.2.3. */
static bool is_atext(unsigned char octet)
{
    return is_letter_or_digit(octet) ||
           (octet != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", octet) != NULL);
}

/*
 * The octets of the UTF-8 character (RFC 3629) that begins at `text` and is not ASCII, or 0 where
 * there is none. The control characters U+0080 to U+009F count as none.
 */
static size_t utf8_length(const unsigned char *text, size_t room)
{
    static const uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    size_t length = text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

    if (length == 0 || length > room || text[0] > 0xf4)
        return 0;
    uint32_t character = text[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (text[i] & 0x3fU);
    }
    if (character < least[length] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    return length;
}

/* Tells whether the text is a dot-atom as it stands (RFC 5321 section 4.1.2, RFC 6531). */
static bool is_dot_atom(const char *text, size_t length)
{
    const unsigned char *octets = (const unsigned char *)text;
    bool in_atom = false;

    for (size_t i = 0; i < length;) {
        size_t step = octets[i] < 0x80 ? 1 : utf8_length(octets + i, length - i);
        bool dot = octets[i] == '.';
        if (step == 0 || (dot ? !in_atom : octets[i] < 0x80 && !is_atext(octets[i])))
            return false;
        in_atom = !dot;
        i += step;
    }
    return in_atom;
}

/*
 * Finds the end of the local part: the '@' that is not quoted. Returns its position, or `length`
 * where there is none.
 */
static size_t find_at(const char *text, size_t length)
{
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == '\\' && quoted)
            i++;
        else if (text[i] == '@' && !quoted)
            return i;
    }
    return length;
}

/*
 * Takes the quotes and the backslashes off a quoted string. Returns the octets written to value_r
 * (which has room for `length`), or -1 where it is not one quoted string.
 */
static long unquote(char *value_r, const char *text, size_t length)
{
    const unsigned char *octets = (const unsigned char *)text;
    size_t written = 0;

    if (length < 2 || text[length - 1] != '"')
        return -1;
    for (size_t i = 1; i < length - 1;) {
        if (octets[i] == '"')
            return -1;
        if (octets[i] == '\\' && ++i == length - 1)
            return -1;
        size_t step = octets[i] < 0x80 ? 1 : utf8_length(octets + i, length - 1 - i);
        if (step == 0 || octets[i] < ' ' || octets[i] == 0x7f)
            return -1;
        memcpy(value_r + written, text + i, step);
        written += step;
        i += step;
    }
    return (long)written;
}

/* Writes a local part in quotes, with no more backslashes than it needs. Returns 0, or -1: long. */
static int quote(char local_r[ADDRESS_LOCAL_MAX + 1], const char *value, size_t length)
{
    size_t written = 0;

    local_r[written++] = '"';
    for (size_t i = 0; i < length; i++) {
        if (written + 3 > ADDRESS_LOCAL_MAX)
            return -1;
        if (value[i] == '"' || value[i] == '\\')
            local_r[written++] = '\\';
        local_r[written++] = lower(value[i]);
    }
    if (written + 1 > ADDRESS_LOCAL_MAX)
        return -1;
    local_r[written++] = '"';
    local_r[written] = '\0';
    return 0;
}

static int parse_prepared(char local_r[ADDRESS_LOCAL_MAX + 1], const char *text, size_t length,
                          const char **error_r)
{
    static const char too_long[] = "the part before @ is longer than 64 octets";
    char value[2 * ADDRESS_LOCAL_MAX] = "";

    if (length > 0 && text[0] == '"') {
        long unquoted = length <= sizeof(value) ? unquote(value, text, length) : -1;
        if (unquoted < 0) {
            *error_r = "the quoted part before @ is not one quoted string of printable characters";
            return -1;
        }
        text = value;
        length = (size_t)unquoted;
        if (!is_dot_atom(text, length)) {
            *error_r = too_long;
            return quote(local_r, text, length);
        }
    }
    *error_r = "the part before @ may hold letters, digits, !#$%&'*+-/=?^_`{|}~ and single dots "
               "between them";
    if (!is_dot_atom(text, length))
        return -1;
    *error_r = too_long;
    if (length > ADDRESS_LOCAL_MAX)
        return -1;
    for (size_t i = 0; i < length; i++)
        local_r[i] = lower(text[i]);
    local_r[length] = '\0';
    return 0;
}

/* Names that look the same are the same: RFC 6856 section 2.2 wants it of logins, and so mail does.
 */
static int parse_local(char local_r[ADDRESS_LOCAL_MAX + 1], const char *text, size_t length,
                       const char **error_r)
{
    char prepared[4 * ADDRESS_LOCAL_MAX];

    *error_r =
        "the part before @ is longer than 64 octets, or not UTF-8, or holds a character that "
        "no name can hold (SASLprep)";
    long size = saslprep(prepared, sizeof(prepared), text, length);
    return size < 0 ? -1 : parse_prepared(local_r, prepared, (size_t)size, error_r);
}

/*
 * Checks that a domain is made of letters, digits and hyphens, in at least two labels, and writes
 * it in lower case. Returns 0, or -1 with a sentence in *error_r.
 */
static int copy_domain(char domain_r[ADDRESS_DOMAIN_MAX + 1], const char *text, size_t length,
                       const char **error_r)
{
    size_t start = 0;
    bool digits = true;

    *error_r = "the domain is longer than 253 octets";
    if (length > ADDRESS_DOMAIN_MAX)
        return -1;
    *error_r = "a domain is two or more labels of letters, digits and inner hyphens, each of 1 to "
               "63 octets, with dots between them";
    for (size_t i = 0; i <= length; i++) {
        if (i == length || text[i] == '.') {
            if (i == start || i - start > LABEL_MAX || text[start] == '-' || text[i - 1] == '-')
                return -1;
            if (i == length)
                break;
            start = i + 1;
            digits = true;
        } else if (!is_letter_or_digit((unsigned char)text[i]) && text[i] != '-') {
            return -1;
        } else if (!is_digit((unsigned char)text[i])) {
            digits = false;
        }
        domain_r[i] = lower(text[i]);
    }
    domain_r[length] = '\0';
    if (start == 0)
        return -1;
    *error_r = "an IP address is not a domain: its last label would not be a number";
    return digits ? -1 : 0;
}

/* Tells whether libidn2 must look at it: it is not ASCII, or has a label that begins with xn--. */
static bool needs_idn(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)text[i] >= 0x80)
            return true;
        if ((i == 0 || text[i - 1] == '.') && length - i >= 4 &&
            strncasecmp(text + i, "xn--", 4) == 0)
            return true;
    }
    return false;
}

int address_parse_domain(char domain_r[ADDRESS_DOMAIN_MAX + 1], const char *text, size_t length,
                         const char **error_r)
{
    char domain[DOMAIN_TEXT_MAX + 1];
    char *ascii = NULL;

    if (!needs_idn(text, length))
        return copy_domain(domain_r, text, length, error_r);
    *error_r = "the domain is longer than 253 octets";
    if (length > DOMAIN_TEXT_MAX)
        return -1;
    *error_r = "the domain holds a character that no domain name can hold (IDNA 2008)";
    if (memchr(text, '\0', length) != NULL)
        return -1;
    memcpy(domain, text, length);
    domain[length] = '\0';
    /*
     * Without IDN2_USE_STD3_ASCII_RULES, which makes libidn2 drop an underscore instead of refusing
     * it; copy_domain() refuses it.
     */
    if (idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return -1;
    int result = copy_domain(domain_r, ascii, strlen(ascii), error_r);
    idn2_free(ascii);
    return result;
}

int address_parse(struct address *address_r, const char *text, size_t length, const char **error_r)
{
    size_t at = find_at(text, length);

    *error_r = "an address is written as name@domain";
    if (at == 0 || at >= length)
        return -1;
    if (parse_local(address_r->local, text, at, error_r) < 0 ||
        address_parse_domain(address_r->domain, text + at + 1, length - at - 1, error_r) < 0)
        return -1;
    size_t local = strlen(address_r->local);
    memcpy(address_r->text, address_r->local, local);
    address_r->text[local] = '@';
    memcpy(address_r->text + local + 1, address_r->domain, strlen(address_r->domain) + 1);
    return 0;
}
