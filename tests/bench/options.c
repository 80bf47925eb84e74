#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/mode.h"
#include "tests/bench/options.h"

static const struct option long_options[] = {
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"connections", required_argument, NULL, 'c'},
    {"count", required_argument, NULL, 'n'},
    {"seconds", required_argument, NULL, 't'},
    {"size", required_argument, NULL, 's'},
    {"recipients", required_argument, NULL, 'R'},
    {"sources", required_argument, NULL, 'S'},
    {"retrieve", no_argument, NULL, 'f'},
    {"users", required_argument, NULL, 'u'},
    {"tls", no_argument, NULL, 'T'},
    {"tls-version", required_argument, NULL, 'v'},
    {"resume", no_argument, NULL, 'r'},
    {"ca", required_argument, NULL, 'a'},
    {"serve-pid", required_argument, NULL, 'P'},
    {"one-by-one", no_argument, NULL, '1'},
    {"pipeline", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'H'},
    {0},
};

static void print_usage(FILE *file)
{
    fputs("usage: load MODE --port N --users FILE [OPTIONS]\n\n", file);
    for (size_t i = 0; modes[i] != NULL; i++)
        fprintf(file, "  %-11s%s\n", modes[i]->name, modes[i]->help);
    fputs("\n"
          "  --users FILE       a line \"address<TAB>password\" for each mailbox\n"
          "  --host ADDRESS     a loopback address (127.0.0.1)\n"
          "  --port N\n"
          "  --connections N    how many at once (32; open: 1)\n"
          "  --count N          operations in all (10000; fetch, login: all there are)\n"
          "  --seconds N        ends after this time at the latest (60)\n"
          "  --size N           octets of a message, for lmtp (8192)\n"
          "  --recipients N     of a message, for lmtp (1): each one is an operation\n"
          "  --sources N        comes from 127.0.1.1, 127.0.1.2 and so on, N of them in turn\n"
          "  --retrieve         session: also RETR of the first message\n"
          "  --pipeline         session: all commands after the login in one write\n"
          "  --one-by-one       retr: each RETR after the message before, not pipelined\n"
          "  --tls              POP3 over TLS from the first octet; needs --ca\n"
          "  --tls-version V    speaks 1.2 or 1.3 alone (the newest that both know)\n"
          "  --resume           each connection of a client after its first must resume\n"
          "                     its session of TLS\n"
          "  --ca FILE          the certificate of the server, or of who signed it (PEM)\n"
          "  --serve-pid PID    counts the CPU time of the processes below this one\n",
          file);
}

static void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void wrong(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\n\n", stderr);
    va_end(arguments);
    print_usage(stderr);
    exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] == '-' || end == text || *end != '\0' || errno != 0 || value < least ||
        value > most)
        wrong("%s is not a number from %llu to %llu", text, (unsigned long long)least,
              (unsigned long long)most);
    return value;
}

static int version(const char *text)
{
    if (strcmp(text, "1.2") == 0)
        return TLS1_2_VERSION;
    if (strcmp(text, "1.3") != 0)
        wrong("%s is no version of TLS that a server here speaks", text);
    return TLS1_3_VERSION;
}

/* A generator of load that could be pointed at somebody else's machine would be a weapon. */
static void set_server(struct options *options, const char *host, uint16_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&options->server;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&options->server;

    if (inet_pton(AF_INET, host, &four->sin_addr) == 1 &&
        ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        options->server_length = sizeof(*four);
        return;
    }
    memset(&options->server, 0, sizeof(options->server));
    if (inet_pton(AF_INET6, host, &six->sin6_addr) != 1 || !IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))
        wrong("%s is not a loopback address (127.0.0.1 or ::1)", host);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    options->server_length = sizeof(*six);
}

static void set_one(struct options *options, int option, const char **host, uint64_t *port)
{
    switch (option) {
    case 'h': *host = optarg; break;
    case 'p': *port = number(optarg, 1, 65535); break;
    case 'c': options->connections = (unsigned)number(optarg, 1, 100000); break;
    case 'n': options->count = number(optarg, 1, UINT64_C(100000000)); break;
    case 't': options->seconds = (unsigned)number(optarg, 1, 3600); break;
    case 's': options->size = (unsigned)number(optarg, 200, 100000000); break;
    case 'R': options->recipients = (unsigned)number(optarg, 1, 10000); break;
    case 'S': options->sources = (unsigned)number(optarg, 1, 254); break;
    case 'f': options->retrieve = true; break;
    case 'u': options->users = optarg; break;
    case 'P': options->serve = (pid_t)number(optarg, 1, INT32_MAX); break;
    case 'l': options->pipeline = true; break;
    case '1': options->one_by_one = true; break;
    case 'T': options->tls = true; break;
    case 'v': options->tls_version = version(optarg); break;
    case 'r': options->resume = true; break;
    case 'a': options->ca = optarg; break;
    case 'H': print_usage(stdout); exit(0);
    default: wrong("see the options below");
    }
}

void options_parse(struct options *options_r, int argc, char **argv)
{
    const char *host = "127.0.0.1";
    uint64_t port = 0;
    int option;

    *options_r = (struct options){.seconds = 60, .size = 8192, .recipients = 1};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        set_one(options_r, option, &host, &port);
    if (optind + 1 != argc)
        wrong("name one mode");
    if (port == 0 || options_r->users == NULL)
        wrong("--port and --users are needed");
    if (options_r->tls != (options_r->ca != NULL) || options_r->resume > options_r->tls)
        wrong("--tls and --ca go together, and --resume goes with both");
    options_r->mode = argv[optind];
    set_server(options_r, host, (uint16_t)port);
    if (options_r->sources != 0 && options_r->server.ss_family != AF_INET)
        wrong("--sources goes with a server on 127.0.0.1");
}
