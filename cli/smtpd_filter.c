/*
 * `bellhop smtpd-filter`: what OpenSMTPD starts as a filter (smtpd-filters(7)). It asks lmtpd at
 * each RCPT whether the mailbox takes the message, as Postfix does with its policy service
 * (lmtpd/policy.h), and refuses with the words that it is told.
 *
 * OpenSMTPD tells no size with MAIL FROM, so the client's own command is looked at for it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <uthash.h>

#include "cli/command.h"
#include "lib/unixsocket.h"
#include "lib/xalloc.h"

/* OpenSMTPD's own lines have less than 4096 octets. */
#define LINE_SIZE   8192
#define ANSWER_SIZE 512

/* A lmtpd that hangs holds up all sessions. */
#define ANSWER_SECONDS 5

#define AWAY "451 4.3.0 the mail store is not available; try again later"

/* A client's session, while it has announced the size of a message. */
struct session {
    UT_hash_handle hh;
    char id[32];
    char size[21]; /* digits */
};

struct filter {
    char socket[PATH_MAX];
    int policy; /* -1: not connected */
    struct session *sessions;
};

/* --- what the policy service says */

static void hang_up(struct filter *filter)
{
    if (filter->policy >= 0)
        close(filter->policy);
    filter->policy = -1;
}

static int call_up(struct filter *filter)
{
    const struct timeval patience = {.tv_sec = ANSWER_SECONDS};

    if (filter->policy >= 0)
        return 0;
    filter->policy = unixsocket_connect(filter->socket);
    if (filter->policy >= 0 &&
        (fcntl(filter->policy, F_SETFL, 0) < 0 ||
         setsockopt(filter->policy, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
         setsockopt(filter->policy, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0))
        hang_up(filter);
    return filter->policy < 0 ? -1 : 0;
}

/* Reads up to the empty line. Returns 0 with what stands behind "action=", or -1. */
static int hear(int policy, char answer_r[ANSWER_SIZE])
{
    static const char name[] = "action=";
    size_t length = 0;

    do {
        ssize_t got = read(policy, answer_r + length, ANSWER_SIZE - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        length += (size_t)got;
    } while (length < 2 || memcmp(answer_r + length - 2, "\n\n", 2) != 0);
    answer_r[length - 2] = '\0';
    if (strncmp(answer_r, name, sizeof(name) - 1) != 0 || strchr(answer_r, '\n') != NULL)
        return -1;
    memmove(answer_r, answer_r + sizeof(name) - 1, length - sizeof(name));
    return 0;
}

static int ask_once(struct filter *filter, const char *question, char answer_r[ANSWER_SIZE])
{
    size_t length = strlen(question);

    if (call_up(filter) == 0 &&
        send(filter->policy, question, length, MSG_NOSIGNAL) == (ssize_t)length &&
        hear(filter->policy, answer_r) == 0)
        return 0;
    hang_up(filter);
    return -1;
}

/*
 * Twice: a connection may have been closed since because nobody asked, or with a restart. But not
 * where lmtpd has been given its time: all sessions wait.
 */
static void judge(struct filter *filter, const char *recipient, const char *size,
                  char answer_r[ANSWER_SIZE])
{
    char question[LINE_SIZE + 128];
    bool known = filter->policy >= 0;

    snprintf(question, sizeof(question),
             "request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=%s\nsize=%s\n\n",
             recipient, size);
    errno = 0;
    if (ask_once(filter, question, answer_r) < 0 &&
        (!known || errno == EAGAIN || ask_once(filter, question, answer_r) < 0))
        snprintf(answer_r, ANSWER_SIZE, "%s", AWAY);
}

/* --- OpenSMTPD's lines */

struct line {
    const char *stream; /* report, filter, config */
    const char *event;
    const char *session;
    char *rest;
};

/* Splits "stream|version|time|smtp-in|event|session|rest" in place; "" is what is not there. */
static void split(char *text, struct line *line_r)
{
    const char *fields[6];

    for (size_t i = 0; i < 6; i++) {
        fields[i] = strsep(&text, "|");
        if (text == NULL)
            text = strchr(fields[i], '\0');
    }
    *line_r =
        (struct line){.stream = fields[0], .event = fields[4], .session = fields[5], .rest = text};
}

static struct session *find(struct filter *filter, const char *id)
{
    struct session *session;

    HASH_FIND_STR(filter->sessions, id, session);
    return session;
}

static void forget(struct filter *filter, const char *id)
{
    struct session *session = find(filter, id);

    if (session == NULL)
        return;
    HASH_DEL(filter->sessions, session);
    free(session);
}

/* Finds SIZE among a command's parameters (RFC 1870). Returns how many digits it has. */
static size_t find_size(const char *command, const char **digits_r)
{
    static const char name[] = " SIZE=";
    const char *found = strcasestr(command, name);

    *digits_r = found != NULL ? found + sizeof(name) - 1 : "";
    return strspn(*digits_r, "0123456789");
}

/* What the client said: of MAIL FROM the size, before there is a request about it. */
static void take_command(struct filter *filter, const struct line *line)
{
    const char *digits;

    if (strncasecmp(line->rest, "MAIL FROM:", 10) != 0)
        return;
    forget(filter, line->session);
    size_t count = find_size(line->rest, &digits);
    if (count == 0 || count >= sizeof(filter->sessions->size) ||
        strlen(line->session) >= sizeof(filter->sessions->id))
        return;
    struct session *session = xcalloc(1, sizeof(*session));
    memcpy(session->id, line->session, strlen(line->session));
    memcpy(session->size, digits, count);
    HASH_ADD_STR(filter->sessions, id, session);
}

static void take_report(struct filter *filter, struct line *line)
{
    if (strcmp(line->event, "protocol-client") == 0)
        take_command(filter, line);
    else
        forget(filter, line->session);
}

/* "token|recipient" */
static void take_request(struct filter *filter, struct line *line)
{
    char answer[ANSWER_SIZE];
    const char *token = strsep(&line->rest, "|");
    const struct session *session = find(filter, line->session);

    judge(filter, line->rest != NULL ? line->rest : "", session != NULL ? session->size : "",
          answer);
    bool refused = isdigit((unsigned char)answer[0]) != 0;
    printf("filter-result|%s|%s|%s%s\n", line->session, token, refused ? "reject|" : "proceed",
           refused ? answer : "");
}

static void take(struct filter *filter, char *text)
{
    struct line line;

    if (strcmp(text, "config|ready") == 0)
        printf("register|report|smtp-in|protocol-client\n"
               "register|report|smtp-in|link-disconnect\n"
               "register|filter|smtp-in|rcpt-to\n"
               "register|ready\n");
    split(text, &line);
    if (strcmp(line.stream, "report") == 0)
        take_report(filter, &line);
    else if (strcmp(line.stream, "filter") == 0)
        take_request(filter, &line);
}

int smtpd_filter_main(struct instance *instance, int argc, char **argv)
{
    static const struct option options[] = {{0}};
    struct filter filter = {.policy = -1};
    char line[LINE_SIZE];

    if (command_option(argc, argv, options) != -1 || command_arguments(argc, argv, 0, 0) != 0)
        return EXIT_USAGE;
    /* The configuration is not for whom OpenSMTPD runs this as: it is not read. */
    snprintf(filter.socket, sizeof(filter.socket), "%s/" INSTANCE_POLICY, instance->directory);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        size_t length = strcspn(line, "\n");
        if (line[length] == '\0')
            return refuse("OpenSMTPD has sent a line of more than %d octets", LINE_SIZE);
        line[length] = '\0';
        take(&filter, line);
    }
    while (filter.sessions != NULL)
        forget(&filter, filter.sessions->id);
    hang_up(&filter);
    return EXIT_DONE;
}
