#include <ctype.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/owner.h"
#include "lmtpd/limits.h"
#include "lmtpd/lookup.h"
#include "lmtpd/server.h"
#include "lmtpd/socketmap.h"

/* An answer: the word, a space, and logins of an alias with commas between. */
#define ANSWER_SIZE (sizeof("NOTFOUND ") + DB_ROUTE_MAX * (ADDRESS_MAX + 1))

#define NOT_FOUND "NOTFOUND "
#define TEMPORARY "TEMP the accounts cannot be read at the moment"

static enum db_result find_domain(const struct server *server, const char *key,
                                  char answer_r[ANSWER_SIZE])
{
    char domain[ADDRESS_DOMAIN_MAX + 1];
    const char *error;

    if (address_parse_domain(domain, key, strlen(key), &error) < 0)
        return DB_NONE;
    snprintf(answer_r, ANSWER_SIZE, "OK %s", domain);
    return lookup_domain(server->lookup, domain);
}

static enum db_result find_routes(const struct server *server, const char *key,
                                  struct address *address_r, struct db_route *routes_r,
                                  unsigned *count_r)
{
    const char *error;

    if (address_parse(address_r, key, strlen(key), &error) < 0)
        return DB_NONE;
    return lookup_route(server->lookup, address_r, routes_r, count_r);
}

static enum db_result find_recipient(const struct server *server, const char *key,
                                     char answer_r[ANSWER_SIZE])
{
    struct db_route routes[DB_ROUTE_MAX];
    struct address address;
    unsigned count;

    enum db_result result = find_routes(server, key, &address, routes, &count);
    if (result == DB_OK)
        snprintf(answer_r, ANSWER_SIZE, "OK %s", address.text);
    return result;
}

static enum db_result find_sender(const struct server *server, const char *key,
                                  char answer_r[ANSWER_SIZE])
{
    struct db_route routes[DB_ROUTE_MAX];
    struct address address;
    struct db_owner owner;
    unsigned count = 0;
    size_t length = 2;

    enum db_result result = find_routes(server, key, &address, routes, &count);
    memcpy(answer_r, "OK", 3);
    for (unsigned i = 0; i < count && result == DB_OK; i++) {
        result = lookup_owner(server->lookup, routes[i].mailbox, &owner);
        length += (size_t)snprintf(answer_r + length, ANSWER_SIZE - length, "%c%s",
                                   i == 0 ? ' ' : ',', owner.address.text);
    }
    return result;
}

static const struct map {
    const char *name;
    enum db_result (*find)(const struct server *server, const char *key,
                           char answer_r[ANSWER_SIZE]);
} maps[] = {{"domains", find_domain}, {"recipients", find_recipient}, {"senders", find_sender}};

static const struct map *find_map(const char *name)
{
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        if (strcmp(maps[i].name, name) == 0)
            return &maps[i];
    return NULL;
}

static void look_up(struct inquiry *inquiry, char *question)
{
    char answer[ANSWER_SIZE];
    char *key = question;
    const struct map *map = find_map(strsep(&key, " "));

    if (map == NULL || key == NULL) {
        inquiry_answer(inquiry, "PERM ask \"domains\", \"recipients\" or \"senders\" and a key");
        return;
    }
    switch (map->find(inquiry_server(inquiry), key, answer)) {
    case DB_OK: inquiry_answer(inquiry, answer); break;
    case DB_NONE: inquiry_answer(inquiry, NOT_FOUND); break;
    default: inquiry_answer(inquiry, TEMPORARY); break;
    }
}

/*
 * The length that a netstring begins with: 1 and how many octets it takes with its colon, 0 when it
 * is not there whole, -1 when it is none or too large.
 */
static int parse_length(struct evbuffer *input, size_t *length_r, size_t *taken_r)
{
    char digits[sizeof("4096:") - 1];
    ev_ssize_t count = evbuffer_copyout(input, digits, sizeof(digits));

    *length_r = 0;
    for (ev_ssize_t i = 0; i < count; i++) {
        if (digits[i] == ':' && i > 0) {
            *taken_r = (size_t)i + 1;
            return *length_r <= SOCKETMAP_QUESTION_MAX ? 1 : -1;
        }
        if (!isdigit((unsigned char)digits[i]))
            return -1;
        *length_r = 10 * *length_r + (size_t)(digits[i] - '0');
    }
    return (size_t)count < sizeof(digits) ? 0 : -1;
}

static int take(struct inquiry *inquiry, struct evbuffer *input)
{
    char question[SOCKETMAP_QUESTION_MAX + 1];
    size_t length, head;

    int parsed = parse_length(input, &length, &head);
    if (parsed <= 0)
        return parsed;
    if (evbuffer_get_length(input) < head + length + 1)
        return 0;
    evbuffer_drain(input, head);
    evbuffer_remove(input, question, length + 1);
    if (question[length] != ',' || memchr(question, '\0', length) != NULL)
        return -1;
    question[length] = '\0';
    look_up(inquiry, question);
    return 1;
}

static void frame(struct evbuffer *output, const char *answer, size_t length)
{
    evbuffer_add_printf(output, "%zu:%s,", length, answer);
}

const struct inquiry_protocol socketmap_protocol = {"map", take, frame};
