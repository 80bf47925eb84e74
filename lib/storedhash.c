#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/storedhash.h"

#define DAMAGED "the hash is cut off or damaged"
#define UNKNOWN                                                                                    \
    "the scheme of the hash is not known here; known are Argon2, bcrypt, yescrypt, SHA-512, "      \
    "SHA-256 and MD5 of crypt, SSHA, SSHA256, SSHA512, SHA, SHA256, SHA512, SMD5, PLAIN-MD5, "     \
    "LDAP-MD5, PBKDF2, SCRAM-SHA-1 and SCRAM-SHA-256, as {SCHEME}hash"
#define TOO_LONG "the hash is longer than 255 octets"
#define ITSELF                                                                                     \
    "it is the password itself: give what stands behind {SCHEME} as a password, and it is hashed"
#define CHALLENGE                                                                                  \
    "this scheme is for a challenge and not taken here; give the owner a new password or an "      \
    "invitation"
#define BROKEN                                                                                     \
    "this scheme counts 8 characters or hashes with MD4, and is not taken; give the owner a new "  \
    "password or an invitation"

/* As of crypto_pwhash_str() of libsodium. */
#define OWN_SALT 16
#define OWN_HASH 32

#define MEMORY_MAX      (UINT64_C(256) << 20)
#define ARGON2_WORK_MAX (UINT64_C(2) << 30) /* octets filled, over all passes */

static const size_t digest_lengths[] = {
    [STOREDHASH_MD5] = 16,
    [STOREDHASH_SHA1] = 20,
    [STOREDHASH_SHA256] = 32,
    [STOREDHASH_SHA512] = 64,
};

/* --- pieces: each moves *text behind what it has read, and returns 0 or -1 ----------------------
 */

static int read_label(const char **text, const char *label)
{
    size_t length = strlen(label);

    if (strncmp(*text, label, length) != 0)
        return -1;
    *text += length;
    return 0;
}

static int read_number(const char **text, uint32_t *number_r)
{
    char *end;

    if (!isdigit((unsigned char)**text))
        return -1;
    errno = 0;
    unsigned long number = strtoul(*text, &end, 10);
    *text = end;
    *number_r = (uint32_t)number;
    return errno == 0 && number <= UINT32_MAX ? 0 : -1;
}

/* As far as base64 goes, padded or not as Dovecot and others have it. */
static int read_base64(const char **text, int variant, uint8_t *octets_r, size_t size,
                       size_t *length_r)
{
    return sodium_base642bin(octets_r, size, *text, strlen(*text), NULL, length_r, text, variant);
}

/* What crypt(5) has in a hash. */
static size_t crypt_length(const char *text)
{
    return strspn(text, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}

/* crypt(5) takes nearly anything in a salt that is not one of its own. */
static size_t salt_length(const char *text)
{
    size_t length = 0;

    while (text[length] > ' ' && text[length] < 0x7f && strchr("$:;*!\\", text[length]) == NULL)
        length++;
    return length;
}

/* --- forms that begin with $ --------------------------------------------------------------------
 */

/* salt$hash to the end */
static int read_crypt_rest(const char *text, size_t salt_max, size_t length)
{
    size_t salt = salt_length(text);

    if (salt > salt_max || text[salt] != '$')
        return -1;
    text += salt + 1;
    return crypt_length(text) == length && text[length] == '\0' ? 0 : -1;
}

static int read_md5_crypt(struct storedhash *hash, const char *text)
{
    hash->iterations = 1000;
    return read_crypt_rest(text, 8, 22);
}

static int read_sha_crypt(struct storedhash *hash, const char *text, size_t length)
{
    hash->iterations = 5000;
    if (read_label(&text, "rounds=") == 0 &&
        (read_number(&text, &hash->iterations) < 0 || read_label(&text, "$") < 0))
        return -1;
    return read_crypt_rest(text, 16, length);
}

static int read_sha256_crypt(struct storedhash *hash, const char *text)
{
    return read_sha_crypt(hash, text, 43);
}

static int read_sha512_crypt(struct storedhash *hash, const char *text)
{
    return read_sha_crypt(hash, text, 86);
}

/* Two digits, "$", 22 characters of salt and 31 of hash. */
static int read_bcrypt(struct storedhash *hash, const char *text)
{
    if (!isdigit((unsigned char)text[0]) || !isdigit((unsigned char)text[1]))
        return -1;
    unsigned cost = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    if (cost < 4 || cost > 31 || text[2] != '$' || crypt_length(text + 3) != 53 || text[56] != '\0')
        return -1;
    hash->iterations = 1U << cost;
    return 0;
}

/* A number of crypt(5)'s that is one character: 1 and more, below 49. Returns 0 for another. */
static unsigned yescrypt_number(char character)
{
    static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij";
    const char *found = character != '\0' ? strchr(digits, character) : NULL;

    return found != NULL ? (unsigned)(found - digits) + 1 : 0;
}

/* The flavour that everybody uses (j), log2 of N, and r; what may follow nobody uses. */
static int read_yescrypt(struct storedhash *hash, const char *text)
{
    if (text[0] != 'j')
        return -1;
    unsigned log = yescrypt_number(text[1]);
    unsigned blocks = log > 0 ? yescrypt_number(text[2]) : 0;
    if (blocks == 0 || log >= 40 || text[3] != '$')
        return -1;
    hash->iterations = 1;
    hash->memory = ((uint64_t)128 * blocks) << log;
    return read_crypt_rest(text + 4, 86, 43);
}

/* v=19$m=KIBIBYTES,t=PASSES,p=LANES$salt$hash; without v=, it is the first version. */
static int read_argon2(struct storedhash *hash, const char *text)
{
    uint32_t kibibytes;

    hash->version = 0x10;
    if (read_label(&text, "v=") == 0 &&
        (read_number(&text, &hash->version) < 0 || read_label(&text, "$") < 0))
        return -1;
    if (read_label(&text, "m=") < 0 || read_number(&text, &kibibytes) < 0 ||
        read_label(&text, ",t=") < 0 || read_number(&text, &hash->iterations) < 0 ||
        read_label(&text, ",p=") < 0 || read_number(&text, &hash->lanes) < 0 ||
        read_label(&text, "$") < 0 ||
        read_base64(&text, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, hash->salt,
                    sizeof(hash->salt), &hash->salt_length) < 0 ||
        read_label(&text, "$") < 0 ||
        read_base64(&text, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, hash->hash,
                    sizeof(hash->hash), &hash->hash_length) < 0 ||
        *text != '\0')
        return -1;
    hash->memory = (uint64_t)kibibytes * 1024;
    bool bounded = (hash->version == 0x10 || hash->version == 0x13) && hash->lanes >= 1 &&
                   hash->lanes <= 64 && kibibytes >= 8 * hash->lanes && hash->iterations >= 1 &&
                   hash->salt_length >= 8 && hash->hash_length >= 16;
    return bounded ? 0 : -1;
}

static int read_argon2d(struct storedhash *hash, const char *text)
{
    hash->argon2 = STOREDHASH_ARGON2D;
    return read_argon2(hash, text);
}

static int read_argon2i(struct storedhash *hash, const char *text)
{
    hash->argon2 = STOREDHASH_ARGON2I;
    return read_argon2(hash, text);
}

static int read_argon2id(struct storedhash *hash, const char *text)
{
    hash->argon2 = STOREDHASH_ARGON2ID;
    return read_argon2(hash, text);
}

static const struct form {
    const char *label;
    const char *name;
    enum storedhash_kind kind;
    int (*read)(struct storedhash *hash, const char *text);
} forms[] = {
    {"$argon2id$", "ARGON2ID", STOREDHASH_ARGON2, read_argon2id},
    {"$argon2i$", "ARGON2I", STOREDHASH_ARGON2, read_argon2i},
    {"$argon2d$", "ARGON2D", STOREDHASH_ARGON2, read_argon2d},
    {"$2y$", "BLF-CRYPT", STOREDHASH_CRYPT, read_bcrypt},
    {"$2b$", "BLF-CRYPT", STOREDHASH_CRYPT, read_bcrypt},
    {"$2a$", "BLF-CRYPT", STOREDHASH_CRYPT, read_bcrypt},
    {"$y$", "YESCRYPT", STOREDHASH_CRYPT, read_yescrypt},
    {"$6$", "SHA512-CRYPT", STOREDHASH_CRYPT, read_sha512_crypt},
    {"$5$", "SHA256-CRYPT", STOREDHASH_CRYPT, read_sha256_crypt},
    {"$1$", "MD5-CRYPT", STOREDHASH_CRYPT, read_md5_crypt},
};

/* One of the forms; where `name` is not NULL, the one with that name. */
static int read_form(struct storedhash *hash, const char *name, const char *text,
                     const char **error_r)
{
    *error_r = name == NULL ? UNKNOWN : DAMAGED;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *rest = text;
        if ((name != NULL && strcmp(name, forms[i].name) != 0) ||
            read_label(&rest, forms[i].label) < 0)
            continue;
        *error_r = DAMAGED;
        hash->scheme = forms[i].name;
        hash->kind = forms[i].kind;
        memcpy(hash->text, text, strlen(text) + 1);
        return forms[i].read(hash, rest);
    }
    return -1;
}

/* --- schemes of {SCHEME} ------------------------------------------------------------------------
 */

enum encoding { ENCODING_NONE, ENCODING_HEX, ENCODING_BASE64 };

/* What stands behind {SCHEME}, its encoding undone, with a NUL behind it. */
struct content {
    size_t length;
    char octets[STOREDHASH_MAX + 1];
};

static int decode(struct content *content_r, const char *text, enum encoding encoding)
{
    size_t length = strlen(text);
    uint8_t *octets = (uint8_t *)content_r->octets;

    if (encoding == ENCODING_NONE)
        memcpy(octets, text, content_r->length = length);
    else if (encoding == ENCODING_HEX
                 ? sodium_hex2bin(octets, STOREDHASH_MAX, text, length, NULL, &content_r->length,
                                  NULL) != 0
                 : sodium_base642bin(octets, STOREDHASH_MAX, text, length, NULL, &content_r->length,
                                     NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return -1;
    content_r->octets[content_r->length] = '\0';
    return 0;
}

static int take_octets(struct storedhash *hash, const struct content *content)
{
    size_t length = digest_lengths[hash->digest];

    if (content->length < length)
        return -1;
    hash->hash_length = length;
    hash->salt_length = content->length - length;
    memcpy(hash->hash, content->octets, length);
    memcpy(hash->salt, content->octets + length, hash->salt_length);
    return 0;
}

static int read_digest(struct storedhash *hash, const struct content *content)
{
    return take_octets(hash, content) == 0 && hash->salt_length == 0 ? 0 : -1;
}

static int read_salted(struct storedhash *hash, const struct content *content)
{
    return take_octets(hash, content) == 0 && hash->salt_length > 0 ? 0 : -1;
}

/* $1$salt$rounds$hexadecimal: the salt counts as it is written. */
static int read_pbkdf2(struct storedhash *hash, const struct content *content)
{
    const char *text = content->octets;

    if (read_label(&text, "$1$") < 0)
        return -1;
    hash->salt_length = strcspn(text, "$");
    memcpy(hash->salt, text, hash->salt_length);
    text += hash->salt_length;
    if (read_label(&text, "$") < 0 || read_number(&text, &hash->iterations) < 0 ||
        read_label(&text, "$") < 0 ||
        sodium_hex2bin(hash->hash, sizeof(hash->hash), text, strlen(text), NULL, &hash->hash_length,
                       &text) != 0 ||
        *text != '\0')
        return -1;
    return hash->iterations > 0 && hash->hash_length == digest_lengths[hash->digest] ? 0 : -1;
}

/* iterations,salt,StoredKey,ServerKey: the third is enough to know a password by. */
static int read_scram(struct storedhash *hash, const struct content *content)
{
    const int variant = sodium_base64_VARIANT_ORIGINAL;
    const char *text = content->octets;
    uint8_t server[sizeof(hash->hash)];
    size_t length;

    if (read_number(&text, &hash->iterations) < 0 || read_label(&text, ",") < 0 ||
        read_base64(&text, variant, hash->salt, sizeof(hash->salt), &hash->salt_length) < 0 ||
        read_label(&text, ",") < 0 ||
        read_base64(&text, variant, hash->hash, sizeof(hash->hash), &hash->hash_length) < 0 ||
        read_label(&text, ",") < 0 ||
        read_base64(&text, variant, server, sizeof(server), &length) < 0 || *text != '\0')
        return -1;
    return hash->iterations > 0 && hash->salt_length > 0 && length == hash->hash_length &&
                   length == digest_lengths[hash->digest]
               ? 0
               : -1;
}

/* Two schemes, as Dovecot has it: that of crypt(5), and PLAIN-MD5. */
static int read_md5(struct storedhash *hash, const struct content *content)
{
    struct content digest;
    const char *error;

    if (strncmp(content->octets, "$1$", 3) == 0)
        return read_form(hash, "MD5-CRYPT", content->octets, &error);
    hash->scheme = "PLAIN-MD5";
    if (decode(&digest, content->octets, content->length == 32 ? ENCODING_HEX : ENCODING_BASE64) <
        0)
        return -1;
    int result = read_digest(hash, &digest);
    sodium_memzero(&digest, sizeof(digest));
    return result;
}

/* As Dovecot names them; one that is refused says why. */
static const struct scheme {
    const char *name;
    const char *form; /* it is that of the forms with this name */
    enum storedhash_kind kind;
    enum storedhash_digest digest;
    enum encoding encoding;
    int (*read)(struct storedhash *hash, const struct content *content);
    const char *refusal;
} schemes[] = {
#define FORM(name, form)                                                                           \
    {                                                                                              \
        name, form, STOREDHASH_CRYPT, STOREDHASH_MD5, ENCODING_NONE, NULL, NULL                    \
    }
#define REFUSED(name, refusal)                                                                     \
    {                                                                                              \
        name, NULL, STOREDHASH_CRYPT, STOREDHASH_MD5, ENCODING_NONE, NULL, refusal                 \
    }
    FORM("ARGON2ID", "ARGON2ID"),
    FORM("ARGON2I", "ARGON2I"),
    FORM("ARGON2D", "ARGON2D"),
    FORM("CRYPT", NULL),
    FORM("BLF-CRYPT", "BLF-CRYPT"),
    FORM("SHA512-CRYPT", "SHA512-CRYPT"),
    FORM("SHA256-CRYPT", "SHA256-CRYPT"),
    FORM("MD5-CRYPT", "MD5-CRYPT"),
    {"MD5", NULL, STOREDHASH_DIGEST, STOREDHASH_MD5, ENCODING_NONE, read_md5, NULL},
    {"SHA", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA1, ENCODING_BASE64, read_digest, NULL},
    {"SHA1", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA1, ENCODING_BASE64, read_digest, NULL},
    {"SHA256", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA256, ENCODING_BASE64, read_digest, NULL},
    {"SHA512", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA512, ENCODING_BASE64, read_digest, NULL},
    {"PLAIN-MD5", NULL, STOREDHASH_DIGEST, STOREDHASH_MD5, ENCODING_HEX, read_digest, NULL},
    {"LDAP-MD5", NULL, STOREDHASH_DIGEST, STOREDHASH_MD5, ENCODING_BASE64, read_digest, NULL},
    {"SMD5", NULL, STOREDHASH_DIGEST, STOREDHASH_MD5, ENCODING_BASE64, read_salted, NULL},
    {"SSHA", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA1, ENCODING_BASE64, read_salted, NULL},
    {"SSHA256", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA256, ENCODING_BASE64, read_salted, NULL},
    {"SSHA512", NULL, STOREDHASH_DIGEST, STOREDHASH_SHA512, ENCODING_BASE64, read_salted, NULL},
    {"PBKDF2", NULL, STOREDHASH_PBKDF2, STOREDHASH_SHA1, ENCODING_NONE, read_pbkdf2, NULL},
    {"SCRAM-SHA-1", NULL, STOREDHASH_SCRAM, STOREDHASH_SHA1, ENCODING_NONE, read_scram, NULL},
    {"SCRAM-SHA-256", NULL, STOREDHASH_SCRAM, STOREDHASH_SHA256, ENCODING_NONE, read_scram, NULL},
    REFUSED("PLAIN", ITSELF),
    REFUSED("CLEAR", ITSELF),
    REFUSED("CLEARTEXT", ITSELF),
    REFUSED("PLAIN-TRUNC", ITSELF),
    REFUSED("CRAM-MD5", CHALLENGE),
    REFUSED("HMAC-MD5", CHALLENGE),
    REFUSED("DIGEST-MD5", CHALLENGE),
    REFUSED("RPA", CHALLENGE),
    REFUSED("OTP", CHALLENGE),
    REFUSED("DES-CRYPT", BROKEN),
    REFUSED("LANMAN", BROKEN),
    REFUSED("NTLM", BROKEN),
    REFUSED("PLAIN-MD4", BROKEN),
};

static const struct scheme *scheme_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strlen(schemes[i].name) == length && strncasecmp(schemes[i].name, name, length) == 0)
            return &schemes[i];
    return NULL;
}

/* {SCHEME.HEX} and {SCHEME.B64}; a digest alone tells its encoding by its length. */
static int find_encoding(const struct scheme *scheme, const char *suffix, size_t suffix_length,
                         const char *text, enum encoding *encoding_r)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } suffixes[] = {
        {".HEX", ENCODING_HEX}, {".B64", ENCODING_BASE64}, {".BASE64", ENCODING_BASE64}};

    *encoding_r = scheme->encoding;
    if (scheme->read == read_digest)
        *encoding_r =
            strlen(text) == 2 * digest_lengths[scheme->digest] ? ENCODING_HEX : ENCODING_BASE64;
    if (suffix_length == 0)
        return 0;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (strlen(suffixes[i].name) == suffix_length &&
            strncasecmp(suffixes[i].name, suffix, suffix_length) == 0) {
            *encoding_r = suffixes[i].encoding;
            return 0;
        }
    return -1;
}

/* text: what stands behind {SCHEME} */
static int read_scheme(struct storedhash *hash, const struct scheme *scheme, enum encoding encoding,
                       const char *text, const char **error_r)
{
    struct content content;
    int result = -1;

    *error_r = scheme->refusal;
    if (scheme->refusal != NULL)
        return -1;
    *error_r = DAMAGED;
    bool sound = decode(&content, text, encoding) == 0 &&
                 (scheme->encoding != ENCODING_NONE || strlen(content.octets) == content.length);
    if (sound && scheme->read == NULL) {
        result = read_form(hash, scheme->form, content.octets, error_r);
    } else if (sound) {
        hash->scheme = scheme->name;
        hash->kind = scheme->kind;
        hash->digest = scheme->digest;
        result = scheme->read(hash, &content);
    }
    sodium_memzero(&content, sizeof(content));
    return result;
}

static bool has_own_form(const struct storedhash *hash)
{
    return hash->kind == STOREDHASH_ARGON2 && hash->argon2 == STOREDHASH_ARGON2ID &&
           hash->version == 0x13 && hash->lanes == 1 && hash->salt_length == OWN_SALT &&
           hash->hash_length == OWN_HASH;
}

/* Without {SCHEME} before it. */
static int read_bare(struct storedhash *hash, const char *text, const char **error_r)
{
    if (read_form(hash, NULL, text, error_r) < 0)
        return -1;
    if (has_own_form(hash))
        hash->kind = STOREDHASH_OWN;
    return 0;
}

int storedhash_parse(struct storedhash *hash_r, const char *text, const char **error_r)
{
    enum encoding encoding;

    memset(hash_r, 0, sizeof(*hash_r));
    *error_r = TOO_LONG;
    if (strlen(text) > STOREDHASH_MAX)
        return -1;
    if (text[0] == '$')
        return read_bare(hash_r, text, error_r);
    *error_r = UNKNOWN;
    size_t end = strcspn(text, "}");
    if (text[0] != '{' || text[end] == '\0')
        return -1;
    size_t name = strcspn(text + 1, ".}");
    const struct scheme *scheme = scheme_find(text + 1, name);
    if (scheme == NULL ||
        find_encoding(scheme, text + 1 + name, end - name - 1, text + end + 1, &encoding) < 0)
        return -1;
    return read_scheme(hash_r, scheme, encoding, text + end + 1, error_r);
}

/* --- cost ---------------------------------------------------------------------------------------
 */

/* Rounds that take one or two seconds at most, with the longest password. */
static uint32_t iterations_max(const struct storedhash *hash)
{
    switch (hash->kind) {
    case STOREDHASH_OWN:
    case STOREDHASH_ARGON2:
        return (uint32_t)(ARGON2_WORK_MAX / (hash->memory > 0 ? hash->memory : 1));
    case STOREDHASH_CRYPT: return strcmp(hash->scheme, "BLF-CRYPT") == 0 ? 1U << 14 : 500000;
    case STOREDHASH_DIGEST: break;
    case STOREDHASH_PBKDF2:
    case STOREDHASH_SCRAM: return 2000000;
    }
    return 1;
}

int storedhash_check_cost(const struct storedhash *hash, const char **error_r)
{
    if (hash->memory <= MEMORY_MAX && hash->iterations <= iterations_max(hash))
        return 0;
    *error_r = "to compare a password with this hash would take more than 256 MiB of memory or "
               "several seconds; give the owner a new password or an invitation";
    return -1;
}

int storedhash_import(char stored_r[STOREDHASH_MAX + 1], const char *text, const char **error_r)
{
    struct storedhash hash;

    int result = storedhash_parse(&hash, text, error_r);
    if (result == 0)
        result = storedhash_check_cost(&hash, error_r);
    sodium_memzero(&hash, sizeof(hash));
    if (result < 0)
        return -1;
    *error_r = TOO_LONG;
    int length =
        snprintf(stored_r, STOREDHASH_MAX + 1, "%s%s", text[0] == '$' ? "{CRYPT}" : "", text);
    return length <= STOREDHASH_MAX ? 0 : -1;
}

bool storedhash_is_current(const struct storedhash *hash, uint64_t operations, uint64_t memory)
{
    return hash->kind == STOREDHASH_OWN && hash->iterations >= operations &&
           hash->memory >= memory / 1024 * 1024;
}
