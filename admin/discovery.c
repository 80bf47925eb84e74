#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "admin/discovery.h"

#define SCHEME "https://"

/* Sets have two or three. */
#define KEYS_MAX 64

static const char openid[] = "/.well-known/openid-configuration";
static const char oauth[] = "/.well-known/oauth-authorization-server";

void discovery_url(char url_r[FETCH_URL_MAX + 1], const char *issuer, enum discovery_place place)
{
    const char *host = issuer + strlen(SCHEME);
    size_t length = strlen(issuer);

    if (issuer[length - 1] == '/')
        length--;
    const size_t front = (size_t)(host - issuer) + strcspn(host, "/"); /* with the host */
    const int path = front < length ? (int)(length - front) : 0;
    if (place == DISCOVERY_OPENID)
        snprintf(url_r, FETCH_URL_MAX + 1, "%.*s%s", (int)length, issuer, openid);
    else
        snprintf(url_r, FETCH_URL_MAX + 1, "%.*s%s%.*s", (int)front, issuer, oauth, path,
                 issuer + front);
}

int discovery_keys_url(char url_r[FETCH_URL_MAX + 1], const char *issuer, const char *text,
                       size_t length, const char **error_r)
{
    int result = -1;

    json_t *metadata = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const json_t *name = json_object_get(metadata, "issuer");
    const json_t *url = json_object_get(metadata, "jwks_uri");
    if (metadata == NULL)
        *error_r = "its configuration is not JSON";
    else if (!json_is_string(name) || strcmp(json_string_value(name), issuer) != 0)
        *error_r = "its configuration names another issuer; write it exactly as it does";
    else if (!json_is_string(url) || json_string_length(url) > FETCH_URL_MAX ||
             strncmp(json_string_value(url), SCHEME, strlen(SCHEME)) != 0)
        *error_r = "its configuration names no URL of keys (jwks_uri)";
    else
        result = 0;
    if (result == 0)
        memcpy(url_r, json_string_value(url), json_string_length(url) + 1);
    json_decref(metadata);
    return result;
}

static bool is_kind(const json_t *key)
{
    static const char *const kinds[] = {"RSA", "EC", "OKP"};
    const char *kind = json_string_value(json_object_get(key, "kty"));

    for (size_t i = 0; kind != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

/* Not what makes it a private one, should somebody have published that. */
static json_t *take_key(const json_t *key)
{
    static const char *const members[] = {"kty", "kid", "use", "key_ops", "alg",
                                          "crv", "n",   "e",   "x",       "y"};
    json_t *taken = json_object();

    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_t *member = json_object_get(key, members[i]);
        if (member != NULL)
            json_object_set(taken, members[i], member);
    }
    return taken;
}

static json_t *take_keys(const json_t *set)
{
    json_t *taken = json_array();
    const json_t *key;
    size_t i;

    json_array_foreach(json_object_get(set, "keys"), i,
                       key) if (is_kind(key) && json_array_size(taken) < KEYS_MAX)
        json_array_append_new(taken, take_key(key));
    return taken;
}

char *discovery_keys(const char *text, size_t length, size_t most, const char **error_r)
{
    json_t *set = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    json_t *taken = json_pack("{so}", "keys", take_keys(set));
    char *keys = NULL;

    if (set == NULL)
        *error_r = "its keys are not JSON";
    else if (json_array_size(json_object_get(taken, "keys")) == 0)
        *error_r = "none of its keys can verify a signature";
    else
        keys = json_dumps(taken, JSON_COMPACT);
    if (keys != NULL && strlen(keys) > most) {
        *error_r = "its keys are too long";
        free(keys);
        keys = NULL;
    }
    json_decref(set);
    json_decref(taken);
    return keys;
}
