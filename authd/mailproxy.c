#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "authd/login.h"
#include "authd/mailproxy.h"
#include "authd/proxyquery.h"
#include "authd/service.h"
#include "lib/acceptor.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* nginx sends all that it has to say at once. */
#define QUESTION_SECONDS 10

/* On one connection of a client's, as pop3d has it (LIMIT_FAILED_LOGINS). */
#define ATTEMPTS_MAX 3

#define ANSWER_SIZE 512

struct connection {
    struct connection *prev;
    struct connection *next;
    struct mailproxy *mailproxy;
    int fd;
    struct event *readable;
    bool asked; /* its check is under way */
    unsigned attempt;
    struct login login;
    size_t used;
    char input[PROXYQUERY_OCTETS_MAX]; /* holds a password: wiped */
};

struct mailproxy {
    const struct service *service;
    struct acceptor *acceptor;
    struct connection *connections;
    unsigned count;
    bool open;
    void (*idle)(void *context);
    void *context;
    char server[INET6_ADDRSTRLEN];
    char port[8];
};

static void set_accepting(struct mailproxy *mailproxy)
{
    acceptor_set_open(mailproxy->acceptor,
                      mailproxy->open && mailproxy->count < mailproxy->service->connections_max);
}

static void connection_free(struct connection *connection)
{
    struct mailproxy *mailproxy = connection->mailproxy;

    if (connection->asked)
        check_cancel(mailproxy->service->checker, &connection->login.check);
    DL_DELETE(mailproxy->connections, connection);
    mailproxy->count--;
    event_free(connection->readable);
    close(connection->fd);
    sodium_memzero(connection->input, connection->used);
    free(connection);
}

static void finish(struct connection *connection)
{
    struct mailproxy *mailproxy = connection->mailproxy;

    connection_free(connection);
    set_accepting(mailproxy);
    if (mailproxy->count == 0)
        mailproxy->idle(mailproxy->context);
}

/* A few octets into an empty socket, so they fit. Ends the connection. */
static void answer(struct connection *connection, const char *status, const char *fields)
{
    char text[ANSWER_SIZE];

    int length = snprintf(text, sizeof(text), "HTTP/1.0 %s\r\n%s\r\n", status, fields);
    if (send(connection->fd, text, (size_t)length, MSG_NOSIGNAL) != length)
        log_warning("a client of %s has not taken its answer",
                    connection->mailproxy->service->name);
    finish(connection);
}

static void let_in(struct connection *connection)
{
    const struct mailproxy *mailproxy = connection->mailproxy;
    char fields[ANSWER_SIZE / 2];

    snprintf(fields, sizeof(fields), "Auth-Status: OK\r\nAuth-Server: %s\r\nAuth-Port: %s\r\n",
             mailproxy->server, mailproxy->port);
    answer(connection, "200 OK", fields);
}

static void keep_out(struct connection *connection, const char *code, const char *reason)
{
    char fields[ANSWER_SIZE / 2];
    bool again = connection->attempt < ATTEMPTS_MAX;

    snprintf(fields, sizeof(fields), "Auth-Status: %s%s\r\n%s", code, reason,
             again ? "Auth-Wait: 1\r\n" : "");
    answer(connection, "200 OK", fields);
}

/* --- the check */

#define WRONG "wrong user name or password"

/* The codes of RFC 2449 and RFC 3206, as pop3d has them (pop3d/reply.c). */
static const char *const codes[] = {
    [CHECK_WRONG] = "[AUTH] ",         [CHECK_DISABLED] = "[SYS/PERM] ",
    [CHECK_FORBIDDEN] = "[SYS/PERM] ", [CHECK_DELAYED] = "[SYS/TEMP] ",
    [CHECK_BUSY] = "[SYS/TEMP] ",      [CHECK_BROKEN] = "[SYS/TEMP] ",
};

/* That somebody is let in is told by pop3d's check, with the session that begins. */
static void on_checked(struct check *check, enum check_result result)
{
    struct connection *connection =
        (struct connection *)(void *)((char *)check - offsetof(struct connection, login.check));
    char reason[LOGIN_REASON_SIZE];

    connection->asked = false;
    if (result == CHECK_GOOD) {
        let_in(connection);
        return;
    }
    login_refused(&connection->login, connection->mailproxy->service->report, result);
    login_reason(&connection->login, result, reason);
    keep_out(connection, codes[result], reason[0] != '\0' ? reason : WRONG);
}

static void begin(struct connection *connection, const struct proxyquery *query)
{
    struct login *login = &connection->login;

    login_init(login, query->protocol, query->address);
    login->mechanism = "PLAIN";
    login->check.done = on_checked;
    connection->attempt = query->attempt;
    if (strcmp(query->protocol, "pop3") != 0) {
        login_malformed(login, "nginx asks for another protocol than pop3");
        keep_out(connection, "[SYS/PERM] ", "only POP3 is served here");
        return;
    }
    if (strcmp(query->method, "plain") != 0) {
        login->mechanism = "-";
        login_malformed(login, "nginx offers a mechanism that needs stored passwords");
        keep_out(connection, "", "log in with USER and PASS, or AUTH PLAIN");
        return;
    }
    if (query->unfit) {
        login_malformed(login, "a name or a password that nobody can have");
        keep_out(connection, codes[CHECK_WRONG], WRONG);
        return;
    }
    connection->asked = true;
    check_start(connection->mailproxy->service->checker, &login->check, query->name,
                strlen(query->name), query->password, strlen(query->password));
}

/* --- connections */

static void take_input(struct connection *connection)
{
    struct proxyquery query;

    switch (proxyquery_parse(connection->input, connection->used, &query)) {
    case PROXYQUERY_PART: return;
    case PROXYQUERY_BAD:
        log_warning("a client of %s sent what nginx does not send; closing its connection",
                    connection->mailproxy->service->name);
        answer(connection, "400 Bad Request", "");
        return;
    case PROXYQUERY_WHOLE:
        sodium_memzero(connection->input, connection->used);
        connection->used = 0;
        begin(connection, &query);
        sodium_memzero(&query, sizeof(query));
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;

    if ((what & EV_TIMEOUT) != 0) {
        if (!connection->asked)
            finish(connection);
        return;
    }
    ssize_t got = read(fd, connection->input + connection->used,
                       sizeof(connection->input) - connection->used);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* Whoever leaves, or says more while it is checked, does not wait for the answer. */
    if (got <= 0 || connection->asked) {
        finish(connection);
        return;
    }
    connection->used += (size_t)got;
    take_input(connection);
}

static void on_accept(void *context, int fd, const struct sockaddr *address)
{
    const struct timeval patience = {.tv_sec = QUESTION_SECONDS};
    struct mailproxy *mailproxy = context;
    struct connection *connection = xmalloc(sizeof(*connection));
    (void)address;

    memset(connection, 0, offsetof(struct connection, input));
    connection->mailproxy = mailproxy;
    connection->fd = fd;
    connection->readable =
        event_new(mailproxy->service->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    if (connection->readable == NULL || event_add(connection->readable, &patience) < 0)
        log_fatal("out of memory");
    DL_APPEND(mailproxy->connections, connection);
    mailproxy->count++;
    set_accepting(mailproxy);
}

/* Where pop3d listens, as somebody on this machine reaches it. The supervisor has parsed it. */
static void find_server(struct mailproxy *mailproxy, const char *pop3_listen)
{
    static const char *const every[] = {"*", "0.0.0.0"};
    const char *colon = strrchr(pop3_listen, ':');
    const char *host = pop3_listen;
    int length = colon != NULL ? (int)(colon - host) : 0;

    if (length > 2 && host[0] == '[') {
        host++;
        length -= 2;
    }
    snprintf(mailproxy->server, sizeof(mailproxy->server), "%.*s", length, host);
    snprintf(mailproxy->port, sizeof(mailproxy->port), "%s", colon != NULL ? colon + 1 : "");
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++)
        if (strcmp(mailproxy->server, every[i]) == 0)
            snprintf(mailproxy->server, sizeof(mailproxy->server), "127.0.0.1");
    if (strcmp(mailproxy->server, "::") == 0)
        snprintf(mailproxy->server, sizeof(mailproxy->server), "::1");
}

struct mailproxy *mailproxy_new(const struct service *service, const char *pop3_listen,
                                void (*idle)(void *context), void *context)
{
    struct mailproxy *mailproxy = xcalloc(1, sizeof(*mailproxy));

    mailproxy->service = service;
    mailproxy->idle = idle;
    mailproxy->context = context;
    find_server(mailproxy, pop3_listen);
    mailproxy->acceptor = acceptor_new(service->base);
    acceptor_set_open(mailproxy->acceptor, false);
    acceptor_listen(mailproxy->acceptor, service->name, on_accept, mailproxy);
    return mailproxy;
}

void mailproxy_set_open(struct mailproxy *mailproxy, bool open)
{
    mailproxy->open = open;
    set_accepting(mailproxy);
}

bool mailproxy_is_idle(const struct mailproxy *mailproxy)
{
    return mailproxy->count == 0;
}

void mailproxy_free(struct mailproxy *mailproxy)
{
    if (mailproxy == NULL)
        return;
    while (mailproxy->connections != NULL)
        connection_free(mailproxy->connections);
    acceptor_free(mailproxy->acceptor);
    free(mailproxy);
}
