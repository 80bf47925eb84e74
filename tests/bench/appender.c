/*
 * The bare program that deliveries are measured against: it appends messages to one file and calls
 * fdatasync for as many at once as wait. It keeps no index, no quota and no checksum, and checks
 * nothing.
 *
 *   appender alone FILE COUNT SIZE             one write and one fdatasync for each message
 *   appender threads FILE COUNT SIZE SENDERS   each thread waits until its message is durable
 *   appender serve FILE                        senders are connections, of `load lmtp`; prints its
 *                                              port and serves until it is killed
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/bare.h"
#include "tests/bench/latency.h"

/* More than senders there ever are. */
#define GROUP_MAX 1024

struct message {
    const void *data;
    size_t length;
    struct message *next;
};

struct appender {
    int fd;
    off_t end;
    pthread_mutex_t mutex;
    pthread_cond_t ready;
    struct message *waiting;
    void (*durable)(struct message *group);
};

static struct appender appender = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .ready = PTHREAD_COND_INITIALIZER,
};

static void open_file(const char *path)
{
    appender.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bare_check(appender.fd >= 0, path);
}

static void append(const struct message *group)
{
    struct iovec pieces[GROUP_MAX];
    ssize_t length = 0;
    int count = 0;

    for (; group != NULL && count < GROUP_MAX; group = group->next) {
        pieces[count++] = (struct iovec){(void *)(uintptr_t)group->data, group->length};
        length += (ssize_t)group->length;
    }
    bare_check(group == NULL, "too many senders");
    bare_check(pwritev(appender.fd, pieces, count, appender.end) == length, "pwritev");
    bare_check(fdatasync(appender.fd) == 0, "fdatasync");
    appender.end += length;
}

static void *commit_groups(void *context)
{
    for (;;) {
        pthread_mutex_lock(&appender.mutex);
        while (appender.waiting == NULL)
            pthread_cond_wait(&appender.ready, &appender.mutex);
        struct message *group = appender.waiting;
        appender.waiting = NULL;
        pthread_mutex_unlock(&appender.mutex);
        append(group);
        appender.durable(group);
    }
    return context;
}

static void start_committing(void (*durable)(struct message *group))
{
    pthread_t thread;

    appender.durable = durable;
    bare_check(pthread_create(&thread, NULL, commit_groups, NULL) == 0, "a thread");
}

static void hand_over(struct message *message)
{
    pthread_mutex_lock(&appender.mutex);
    message->next = appender.waiting;
    appender.waiting = message;
    pthread_cond_signal(&appender.ready);
    pthread_mutex_unlock(&appender.mutex);
}

static uint64_t number(const char *text, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*end != '\0' || value == 0 || value > most)
        log_fatal("%s is not a number from 1 to %llu", text, (unsigned long long)most);
    return value;
}

static void print(const char *mode, uint64_t count, uint64_t started)
{
    double seconds = (double)(latency_now() - started) / 1e9;

    printf("mode=%s operations=%llu seconds=%.3f rate=%.0f\n", mode, (unsigned long long)count,
           seconds, (double)count / seconds);
}

/* --- one after another ------------------------------------------------------------------------ */

static char *make_text(size_t size)
{
    char *text = xmalloc(size);

    memset(text, 'x', size);
    return text;
}

static void run_alone(char **arguments)
{
    uint64_t count = number(arguments[0], UINT32_MAX), size = number(arguments[1], INT32_MAX);
    char *text = make_text(size);
    struct message message = {.data = text, .length = size};
    uint64_t started = latency_now();

    for (uint64_t i = 0; i < count; i++)
        append(&message);
    print("alone", count, started);
    free(text);
}

/* --- threads ---------------------------------------------------------------------------------- */

struct sender {
    struct message message; /* first: tell_threads() finds the sender by it */
    sem_t durable;
    uint64_t count;
    pthread_t thread;
};

static void tell_threads(struct message *group)
{
    while (group != NULL) {
        struct sender *sender = (struct sender *)group;
        group = group->next; /* before the sender goes on */
        sem_post(&sender->durable);
    }
}

static void *send_all(void *context)
{
    struct sender *sender = context;

    for (uint64_t i = 0; i < sender->count; i++) {
        hand_over(&sender->message);
        while (sem_wait(&sender->durable) < 0)
            bare_check(errno == EINTR, "sem_wait");
    }
    return NULL;
}

static void run_threads(char **arguments)
{
    uint64_t count = number(arguments[0], UINT32_MAX), size = number(arguments[1], INT32_MAX);
    uint64_t senders = number(arguments[2], GROUP_MAX);
    struct sender *all = xcalloc(senders, sizeof(*all));
    char *text = make_text(size);

    start_committing(tell_threads);
    uint64_t started = latency_now();
    for (uint64_t i = 0; i < senders; i++) {
        all[i].message = (struct message){.data = text, .length = size};
        all[i].count = count / senders;
        sem_init(&all[i].durable, 0, 0);
        bare_check(pthread_create(&all[i].thread, NULL, send_all, &all[i]) == 0, "a thread");
    }
    for (uint64_t i = 0; i < senders; i++)
        pthread_join(all[i].thread, NULL);
    print("threads", count / senders * senders, started);
    free(text);
    free(all);
}

/* --- connections ------------------------------------------------------------------------------ */

#define INPUT_SIZE (256 * 1024)
#define END        "\r\n.\r\n"

enum state { COMMANDS, CONTENT, WAITING };

struct connection {
    struct message message; /* first: answer_all() finds the connection by it */
    int fd;
    enum state state;
    size_t length; /* of what has come and is not done with */
    char input[INPUT_SIZE];
};

static struct message *durable; /* appender.mutex's */
static int wakeup;

static void tell_loop(struct message *group)
{
    uint64_t one = 1;
    struct message *last = group;

    while (last->next != NULL)
        last = last->next;
    pthread_mutex_lock(&appender.mutex);
    last->next = durable;
    durable = group;
    pthread_mutex_unlock(&appender.mutex);
    bare_check(write(wakeup, &one, sizeof(one)) == sizeof(one), "eventfd");
}

static void reply(const struct connection *connection, const char *text)
{
    bare_check(send(connection->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text),
               "send");
}

/* Whole lines, of which only the first letter is looked at; `first` goes in front of the answers.
 */
static void take_commands(struct connection *connection, const char *first)
{
    char replies[256];
    char *at = connection->input, *end = at + connection->length, *feed;

    snprintf(replies, sizeof(replies), "%s", first);
    while (at < end && (feed = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        const char *text = *at == 'D' ? "354 go on\r\n" : *at == 'Q' ? "221 bye\r\n" : "250 ok\r\n";
        if (*at == 'D')
            connection->state = CONTENT;
        strncat(replies, text, sizeof(replies) - strlen(replies) - 1);
        at = feed + 1;
    }
    connection->length = (size_t)(end - at);
    memmove(connection->input, at, connection->length);
    if (replies[0] != '\0')
        reply(connection, replies);
}

/* The message ends where CRLF.CRLF is, or has not come whole yet. `seen` octets hold no end. */
static void take_content(struct connection *connection, size_t seen)
{
    size_t from = seen < strlen(END) ? 0 : seen - strlen(END);
    const char *end = memmem(connection->input + from, connection->length - from, END, strlen(END));

    bare_check(connection->length < INPUT_SIZE, "a message that is too long");
    if (end == NULL)
        return;
    connection->state = WAITING;
    connection->message.data = connection->input;
    connection->message.length = (size_t)(end - connection->input) + strlen(END);
    hand_over(&connection->message);
}

/* The next message's commands may have come behind it: they are answered with it. */
static void answer_one(struct connection *connection)
{
    connection->state = COMMANDS;
    connection->length -= connection->message.length;
    memmove(connection->input, connection->input + connection->message.length, connection->length);
    take_commands(connection, "250 durable\r\n");
}

static void answer_all(void)
{
    uint64_t count;

    bare_check(read(wakeup, &count, sizeof(count)) == sizeof(count), "eventfd");
    pthread_mutex_lock(&appender.mutex);
    struct message *group = durable;
    durable = NULL;
    pthread_mutex_unlock(&appender.mutex);
    while (group != NULL) {
        struct connection *connection = (struct connection *)group;
        group = group->next;
        answer_one(connection);
    }
}

static void take_input(struct connection *connection)
{
    size_t seen = connection->length;
    ssize_t got = recv(connection->fd, connection->input + seen, INPUT_SIZE - seen, 0);

    if (got <= 0) {
        close(connection->fd);
        free(connection);
        return;
    }
    connection->length += (size_t)got;
    switch (connection->state) {
    case COMMANDS: take_commands(connection, ""); break;
    case CONTENT: take_content(connection, seen); break;
    case WAITING: break;
    }
}

static void watch(int epoll, int fd, void *context)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = context};

    bare_check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_one(int epoll, int listener)
{
    struct connection *connection = xmalloc(sizeof(*connection));

    connection->state = COMMANDS;
    connection->length = 0;
    connection->fd = bare_accept(listener);
    watch(epoll, connection->fd, connection);
    reply(connection, "220 bare\r\n");
}

static void run_serve(char **arguments)
{
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = bare_listen();
    (void)arguments;

    wakeup = eventfd(0, EFD_CLOEXEC);
    start_committing(tell_loop);
    watch(epoll, listener, &listener);
    watch(epoll, wakeup, &wakeup);
    for (;;) {
        int count = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener)
                accept_one(epoll, listener);
            else if (events[i].data.ptr == &wakeup)
                answer_all();
            else
                take_input(events[i].data.ptr);
        }
    }
}

static const struct {
    const char *name;
    int arguments;
    void (*run)(char **arguments);
} forms[] = {{"alone", 2, run_alone}, {"threads", 3, run_threads}, {"serve", 0, run_serve}};

int main(int argc, char **argv)
{
    log_open("appender");
    for (size_t i = 0; argc >= 3 && i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(argv[1], forms[i].name) != 0 || argc != 3 + forms[i].arguments)
            continue;
        open_file(argv[2]);
        forms[i].run(argv + 3);
        return 0;
    }
    fputs("usage: appender alone FILE COUNT SIZE | threads FILE COUNT SIZE SENDERS | serve FILE\n",
          stderr);
    return 2;
}
