#include <sodium.h>
#include <string.h>

#include "authd/jwk.h"
#include "authd/jws.h"

/* Keys that are tried where none is named: sets have two or three. */
#define TRIES_MAX 4

struct part {
    const char *text;
    size_t length;
};

/* Exactly three, none empty. */
static int split(struct part parts_r[3], const char *text, size_t length)
{
    const char *end = text + length;

    for (unsigned i = 0; i < 3; i++) {
        const char *dot = memchr(text, '.', (size_t)(end - text));
        if ((dot == NULL) != (i == 2))
            return -1;
        parts_r[i] = (struct part){text, (size_t)((dot != NULL ? dot : end) - text)};
        if (parts_r[i].length == 0)
            return -1;
        text = dot != NULL ? dot + 1 : end;
    }
    return 0;
}

/* Strictly: no padding, no white space, no bits behind the last octet. */
static int decode(void *octets_r, size_t size, size_t *length_r, const struct part *part)
{
    return sodium_base642bin(octets_r, size, part->text, part->length, NULL, length_r, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* An optional member of text. Returns 0; or -1 for what is none, or has no room. */
static int copy_member(const json_t *header, const char *name, char *text_r, size_t size)
{
    const json_t *member = json_object_get(header, name);

    text_r[0] = '\0';
    if (member == NULL)
        return 0;
    if (!json_is_string(member) || json_string_length(member) == 0 ||
        json_string_length(member) >= size)
        return -1;
    memcpy(text_r, json_string_value(member), json_string_length(member) + 1);
    return 0;
}

/* Keys in the header, or where to find some (jku, jwk, x5c), are anybody's and not looked at. */
static const char *read_header(struct jws *jws, const json_t *header)
{
    char algorithm[16];

    if (!json_is_object(header))
        return "its header is no JSON object";
    if (json_object_get(header, "crit") != NULL)
        return "it has an extension that nobody here understands";
    if (copy_member(header, "alg", algorithm, sizeof(algorithm)) < 0 ||
        copy_member(header, "kid", jws->kid, sizeof(jws->kid)) < 0 ||
        copy_member(header, "typ", jws->type, sizeof(jws->type)) < 0)
        return "its header is not as it should be";
    jws->algorithm = jwk_algorithm(algorithm);
    return jws->algorithm != NULL ? NULL : "its algorithm is not taken here";
}

static const char *parse_header(struct jws *jws, const struct part *part)
{
    char text[JWS_MAX];
    size_t length;

    if (decode(text, sizeof(text), &length, part) != 0)
        return "it is not base64url";
    json_t *header = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *fault = read_header(jws, header);
    json_decref(header);
    return fault;
}

int jws_parse(struct jws *jws_r, const char *text, size_t length, const char **fault_r)
{
    struct part parts[3];

    *fault_r = "it is not a signed token of at most 8192 octets";
    if (length > JWS_MAX || split(parts, text, length) < 0)
        return -1;
    *fault_r = parse_header(jws_r, &parts[0]);
    if (*fault_r != NULL)
        return -1;
    *fault_r = "it is not base64url";
    if (decode(jws_r->payload, sizeof(jws_r->payload) - 1, &jws_r->payload_length, &parts[1]) !=
            0 ||
        decode(jws_r->signature, sizeof(jws_r->signature), &jws_r->signature_length, &parts[2]) !=
            0)
        return -1;
    jws_r->payload[jws_r->payload_length] = '\0';
    jws_r->signed_text = text;
    jws_r->signed_length = parts[0].length + 1 + parts[1].length;
    return 0;
}

enum jws_result jws_verify(const struct jws *jws, const json_t *keys)
{
    const json_t *list = json_object_get(keys, "keys");
    const char *kid = jws->kid[0] != '\0' ? jws->kid : NULL;
    unsigned tries = 0;
    const json_t *key;
    size_t i;

    json_array_foreach(list, i, key)
    {
        if (tries == TRIES_MAX || !jwk_is_for(key, jws->algorithm, kid))
            continue;
        tries++;
        if (jwk_verify(key, jws->algorithm, jws->signed_text, jws->signed_length, jws->signature,
                       jws->signature_length))
            return JWS_GOOD;
    }
    return tries > 0 ? JWS_WRONG : JWS_NO_KEY;
}
