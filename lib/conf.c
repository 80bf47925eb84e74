#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf.h"
#include "lib/language.h"
#include "lib/networks.h"

/* A configuration larger than this is somebody's mistake. */
#define CONF_FILE_MAX (64 * 1024)

enum conf_type {
    CONF_STRING,
    CONF_NUMBER,
    CONF_SIZE,
    CONF_BOOL,
    CONF_CHOICE,
    CONF_NETWORKS,
    CONF_URL,   /* this and the next one may be empty */
    CONF_SERVER /* HOST:PORT */
};

struct conf_setting {
    const char *name;
    enum conf_type type;
    size_t offset;
    const char *value; /* the default */
    uint64_t least;
    uint64_t most;
    const char *choices[LANGUAGE__MAX + 1]; /* NULL ends them */
    const char *meaning;                    /* lines are separated by \n */
};

#define AT(member) offsetof(struct conf, member)

/* One setting a paragraph reads better than one member a line. */
/* clang-format off */
static const struct conf_setting conf_settings[] = {
    {"hostname", CONF_STRING, AT(hostname), "localhost", 1, 255, {0},
     "The name that mail programs connect to; it stands in greetings and in Received lines."},
    {"pop3_listen", CONF_STRING, AT(pop3_listen), "*:110", 1, 255, {0},
     "Where POP3 is served, with STLS: ADDRESS:PORT; * is every address, IPv4 and IPv6.\n"
     "Changes of the five *_listen settings need a restart."},
    {"pop3s_listen", CONF_STRING, AT(pop3s_listen), "*:995", 1, 255, {0},
     "Where POP3 is served over TLS from the first octet (RFC 8314)."},
    {"lmtp_listen", CONF_STRING, AT(lmtp_listen), "127.0.0.1:24", 1, 255, {0},
     "Where the mail server delivers (LMTP, RFC 2033), besides the socket run/lmtp.sock.\n"
     "Whoever reaches this port can deliver to every mailbox: keep it private."},
    {"http_listen", CONF_STRING, AT(http_listen), "127.0.0.1:80", 1, 255, {0},
     "Where the HTTP API, /readyz and /metrics are served without TLS: keep it on this machine."},
    {"https_listen", CONF_STRING, AT(https_listen), "", 0, 255, {0},
     "Where they are served over TLS, with the certificates of tls/, like *:443. Empty: nowhere."},
    {"page_url", CONF_URL, AT(page_url), "", 0, 255, {0},
     "Where people reach the pages with a browser, like https://mail.example.net: links to choose a\n"
     "password begin with it. Empty: no links are made."},
    {"pop3_server", CONF_SERVER, AT(pop3_server), "", 0, 255, {0},
     "The POP3 server that welcome cards name, like pop3.example.net:995, where it is not hostname\n"
     "with the port of pop3s_listen."},
    {"smtp_server", CONF_SERVER, AT(smtp_server), "", 0, 255, {0},
     "The server through which people send, like smtp.example.net:465, for welcome cards."},
    {"pop3_proxy_networks", CONF_NETWORKS, AT(pop3_proxy_networks), "", 0, 255, {0},
     "Proxies whose POP3 connections begin with a PROXY header (v1 or v2), which names the client:\n"
     "addresses and networks like 192.0.2.1 10.0.0.0/8. From there, nothing else is taken."},
    {"pop3_xclient_networks", CONF_NETWORKS, AT(pop3_xclient_networks), "", 0, 255, {0},
     "Webmails and proxies that may name their client with the command XCLIENT, as Dovecot does."},
    {"pop3_processes", CONF_NUMBER, AT(pop3_processes), "0", 0, 64, {0},
     "How many processes serve POP3; 0 is one for each core. Counts from the next \"bellhop reload\"."},
    {"pop3_sessions", CONF_NUMBER, AT(pop3_sessions), "20000", 1, 1000000, {0},
     "How many sessions one POP3 process holds; further clients are told to come again."},
    {"pop3_address_sessions", CONF_NUMBER, AT(pop3_address_sessions), "1000", 1, 1000000, {0},
     "How many of them may come from one IPv4 address or one /64 of IPv6. A whole hotel may be\n"
     "behind one address. Connections from this machine do not count."},
    {"pop3_idle", CONF_NUMBER, AT(pop3_idle), "600", 600, 86400, {0},
     "Seconds of silence after which a session is closed (RFC 1939 section 3: at least 600)."},
    {"cleartext_login", CONF_BOOL, AT(cleartext_login), "no", 0, 1, {0},
     "Whether a password is accepted without TLS from elsewhere than this machine."},
    {"hash_operations", CONF_NUMBER, AT(hash_operations), "2", 1, 64, {0},
     "Argon2id passes for new passwords. 2 passes with 64M are libsodium's INTERACTIVE."},
    {"hash_memory", CONF_SIZE, AT(hash_memory), "64M", 8192, UINT64_C(4) << 30, {0},
     "Argon2id memory for new passwords."},
    {"hash_threads", CONF_NUMBER, AT(hash_threads), "0", 0, 256, {0},
     "How many passwords are checked at once, each in hash_memory; 0 is one for each core.\n"
     "Needs a restart."},
    {"auth_cache_entries", CONF_NUMBER, AT(auth_cache_entries), "100000", 0, 100000000, {0},
     "How many checked credentials are remembered, at about 100 octets each; 0 is none.\n"
     "Needs a restart."},
    {"auth_cache_time", CONF_NUMBER, AT(auth_cache_time), "3600", 1, 604800, {0},
     "Seconds for which a checked credential is remembered."},
    {"lmtp_connections", CONF_NUMBER, AT(lmtp_connections), "512", 1, 100000, {0},
     "How many LMTP connections are served at once; further ones wait to be accepted."},
    {"fetch_networks", CONF_NETWORKS, AT(fetch_networks), "", 0, 255, {0},
     "Bellhop asks customers' servers over HTTPS, such as issuers of tokens, but connects to nothing\n"
     "on this machine or in private networks unless it is listed here, like 127.0.0.1 10.0.0.0/8."},
    {"fetch_authorities", CONF_STRING, AT(fetch_authorities), "/etc/ssl/certs/ca-certificates.crt", 1, 255, {0},
     "A PEM file with the certificates of the authorities that it believes there."},
    {"suspended", CONF_CHOICE, AT(suspended), "defer", 0, 0,
     {"defer", "refuse", "keep"},
     "Mail for who is suspended, unless that was said with it: defer (450, the sender keeps it),\n"
     "refuse (550) or keep (it is delivered)."},
    {"removed_days", CONF_NUMBER, AT(removed_days), "30", 0, 3650, {0},
     "Days for which a removed customer, domain or address can be restored with all its mail;\n"
     "0: it is gone at once. What was removed before keeps the days it had."},
    {"language", CONF_CHOICE, AT(language), "en", 0, 0, {LANGUAGE_CODES},
     "The language of new customers: in which warnings are written to their mailboxes."},
    {"segment_size", CONF_SIZE, AT(segment_size), "64M", UINT64_C(4) << 20, UINT64_C(4) << 30, {0},
     "The size of the store's files. Needs a restart."},
    {"reclaim_rate", CONF_SIZE, AT(reclaim_rate), "16M", UINT64_C(1) << 20, UINT64_C(64) << 30, {0},
     "Octets a second that the store may copy to give back the space of deleted mail. Less is\n"
     "kinder to a slow disk; more keeps up with a service that deletes more. Needs a restart."},
};
/* clang-format on */

#define CONF_SETTINGS (sizeof(conf_settings) / sizeof(conf_settings[0]))

static int set_number(const struct conf_setting *setting, uint64_t *number_r, const char *value)
{
    char *end;

    if (!isdigit((unsigned char)value[0]))
        return -1;
    errno = 0;
    uint64_t number = strtoull(value, &end, 10);
    if (errno != 0)
        return -1;
    if (setting->type == CONF_SIZE && *end != '\0') {
        static const char units[] = "KMG";
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (unit == NULL || end[1] != '\0')
            return -1;
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (number > (UINT64_MAX >> shift))
            return -1;
        number <<= shift;
        end++;
    }
    if (*end != '\0' || number < setting->least || number > setting->most)
        return -1;
    *number_r = number;
    return 0;
}

/* One that can stand in a text and have a path put behind it. */
static bool is_url(const char *value)
{
    size_t scheme = strncmp(value, "https://", 8) == 0  ? 8
                    : strncmp(value, "http://", 7) == 0 ? 7
                                                        : 0;

    if (scheme == 0 || !isalnum((unsigned char)value[scheme]))
        return false;
    for (const char *at = value; *at != '\0'; at++)
        if (!isgraph((unsigned char)*at) || strchr("\"'<>\\^`{|}?", *at) != NULL)
            return false;
    return true;
}

static bool is_server(const char *value)
{
    size_t host = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    size_t digits = value[host] == ':' ? strspn(value + host + 1, "0123456789") : 0;

    if (host == 0 || digits == 0 || digits > 5 || value[host + 1 + digits] != '\0')
        return false;
    unsigned long port = strtoul(value + host + 1, NULL, 10);
    return port > 0 && port <= UINT16_MAX;
}

static int set_text(const struct conf_setting *setting, char *member, const char *value)
{
    struct networks networks;
    size_t length = strlen(value);

    if (length < setting->least || length > setting->most)
        return -1;
    if (length > 0 && ((setting->type == CONF_NETWORKS && networks_parse(&networks, value) < 0) ||
                       (setting->type == CONF_URL && !is_url(value)) ||
                       (setting->type == CONF_SERVER && !is_server(value))))
        return -1;
    memcpy(member, value, length + 1);
    return 0;
}

static int set_value(const struct conf_setting *setting, struct conf *conf, const char *value)
{
    char *member = (char *)conf + setting->offset;

    switch (setting->type) {
    case CONF_STRING:
    case CONF_NETWORKS:
    case CONF_URL:
    case CONF_SERVER: return set_text(setting, member, value);
    case CONF_NUMBER:
    case CONF_SIZE: return set_number(setting, (uint64_t *)(void *)member, value);
    case CONF_BOOL:
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
            return -1;
        *(bool *)member = value[0] == 'y';
        return 0;
    case CONF_CHOICE:
        for (uint64_t i = 0; setting->choices[i] != NULL; i++)
            if (strcmp(value, setting->choices[i]) == 0) {
                *(uint64_t *)(void *)member = i;
                return 0;
            }
        return -1;
    }
    return -1;
}

static void describe_choices(const struct conf_setting *setting, char *text_r, size_t size)
{
    size_t length = 0;

    for (unsigned i = 0; setting->choices[i] != NULL && length < size; i++) {
        const char *between = i == 0 ? "" : setting->choices[i + 1] != NULL ? ", " : " or ";
        length +=
            (size_t)snprintf(text_r + length, size - length, "%s%s", between, setting->choices[i]);
    }
}

/* Writes what the setting takes, for the message about a value that it does not take. */
static void describe(const struct conf_setting *setting, char *text_r, size_t size)
{
    switch (setting->type) {
    case CONF_STRING:
        snprintf(text_r, size, "%" PRIu64 " to 255 octets of text", setting->least);
        break;
    case CONF_NUMBER:
        snprintf(text_r, size, "a number from %" PRIu64 " to %" PRIu64, setting->least,
                 setting->most);
        break;
    case CONF_SIZE:
        snprintf(text_r, size, "a size from %" PRIu64 " to %" PRIu64 " octets, like 64M",
                 setting->least, setting->most);
        break;
    case CONF_BOOL: snprintf(text_r, size, "yes or no"); break;
    case CONF_NETWORKS:
        snprintf(text_r, size, "addresses and networks like 192.0.2.1 10.0.0.0/8");
        break;
    case CONF_URL:
        snprintf(text_r, size, "an address like https://mail.example.net without ? and #, or none");
        break;
    case CONF_SERVER: snprintf(text_r, size, "a server like mail.example.net:995, or none"); break;
    case CONF_CHOICE: describe_choices(setting, text_r, size); break;
    }
}

void conf_default(struct conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        (void)set_value(&conf_settings[i], conf, conf_settings[i].value);
}

/* Cuts comment and white space off both ends of a line, in place. */
static char *trim(char *text)
{
    text[strcspn(text, "#")] = '\0';
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

static int parse_line(struct conf *conf, char *line, unsigned number, char *error_r,
                      size_t error_size)
{
    char takes[128];

    char *name = trim(line);
    if (*name == '\0')
        return 0;
    char *value = strchr(name, '=');
    if (value == NULL) {
        snprintf(error_r, error_size, "line %u: write it as \"name = value\"", number);
        return -1;
    }
    *value = '\0';
    value = trim(value + 1);
    name = trim(name);
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        if (strcmp(conf_settings[i].name, name) != 0)
            continue;
        if (set_value(&conf_settings[i], conf, value) == 0)
            return 0;
        describe(&conf_settings[i], takes, sizeof(takes));
        snprintf(error_r, error_size, "line %u: %s takes %s, not \"%.60s\"", number, name, takes,
                 value);
        return -1;
    }
    snprintf(error_r, error_size,
             "line %u: there is no setting \"%.60s\"; bellhop init writes a file with all of them",
             number, name);
    return -1;
}

int conf_parse(struct conf *conf, const char *text, size_t length, char *error_r, size_t error_size)
{
    struct conf parsed;
    char line[1024];
    unsigned number = 0;

    conf_default(&parsed);
    while (length > 0) {
        const char *newline = memchr(text, '\n', length);
        size_t size = newline != NULL ? (size_t)(newline - text) : length;
        number++;
        if (size >= sizeof(line) || memchr(text, '\0', size) != NULL) {
            snprintf(error_r, error_size, "line %u: not a line of text below 1024 octets", number);
            return -1;
        }
        memcpy(line, text, size);
        line[size] = '\0';
        if (parse_line(&parsed, line, number, error_r, error_size) < 0)
            return -1;
        size += newline != NULL;
        text += size;
        length -= size;
    }
    *conf = parsed;
    return 0;
}

int conf_read(struct conf *conf, int fd, char *error_r, size_t error_size)
{
    struct stat status;
    int result = -1;
    char *text = NULL;

    if (fstat(fd, &status) < 0 || status.st_size > CONF_FILE_MAX) {
        snprintf(error_r, error_size, "it is not a file below %d octets", CONF_FILE_MAX);
        return -1;
    }
    size_t size = (size_t)status.st_size;
    text = malloc(size + 1);
    if (text == NULL || pread(fd, text, size, 0) != (ssize_t)size)
        snprintf(error_r, error_size, "cannot read it: %s", strerror(errno));
    else
        result = conf_parse(conf, text, size, error_r, error_size);
    free(text);
    return result;
}

static void write_size(FILE *file, uint64_t size)
{
    static const char units[] = {'K', 'M', 'G'};
    int unit = -1;

    while (unit < 2 && size > 0 && size % 1024 == 0) {
        size /= 1024;
        unit++;
    }
    fprintf(file, "%" PRIu64, size);
    if (unit >= 0)
        fputc(units[unit], file);
}

static void write_value(const struct conf_setting *setting, const struct conf *conf, FILE *file)
{
    const char *member = (const char *)conf + setting->offset;
    uint64_t number = 0;

    if (setting->type == CONF_NUMBER || setting->type == CONF_SIZE || setting->type == CONF_CHOICE)
        memcpy(&number, member, sizeof(number));
    switch (setting->type) {
    case CONF_STRING:
    case CONF_NETWORKS:
    case CONF_URL:
    case CONF_SERVER: fputs(member, file); break;
    case CONF_NUMBER: fprintf(file, "%" PRIu64, number); break;
    case CONF_SIZE: write_size(file, number); break;
    case CONF_BOOL: fputs(*(const bool *)member ? "yes" : "no", file); break;
    case CONF_CHOICE: fputs(setting->choices[number], file); break;
    }
}

int conf_write(const struct conf *conf, FILE *file)
{
    fputs("# Settings of this Bellhop instance. After a change: send SIGHUP to bellhop serve.\n",
          file);
    for (size_t i = 0; i < CONF_SETTINGS; i++) {
        fputs("\n# ", file);
        for (const char *at = conf_settings[i].meaning; *at != '\0'; at++) {
            fputc(*at, file);
            if (*at == '\n')
                fputs("# ", file);
        }
        fprintf(file, "\n%s = ", conf_settings[i].name);
        write_value(&conf_settings[i], conf, file);
        fputc('\n', file);
    }
    return fflush(file) == 0 && !ferror(file) ? 0 : -1;
}

void conf_pop3_server(const struct conf *conf, char server_r[CONF_SERVER_SIZE])
{
    const char *port = strrchr(conf->pop3s_listen, ':');

    if (conf->pop3_server[0] != '\0')
        snprintf(server_r, CONF_SERVER_SIZE, "%s", conf->pop3_server);
    else
        snprintf(server_r, CONF_SERVER_SIZE, "%s%s", conf->hostname, port != NULL ? port : "");
}
