/*
 * The bare program that RETR is measured against: a POP3 server that sends each message by one
 * sendfile from one file, and does nothing else: a thread for each connection, no password, no
 * lock, no checksum. Prints its port and serves `load retr` until it is killed.
 *
 *   sender FILE MESSAGES SIZE
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/xalloc.h"
#include "tests/bench/bare.h"

#define STATUS      "+OK\r\n"
#define LINE_END    "\r\n"
#define DOT         ".\r\n"
#define LINE_LENGTH 512

static struct {
    int fd;
    unsigned messages;
    size_t size;   /* octets of a message */
    size_t record; /* and of all that RETR answers */
    char *list;    /* what LIST answers */
    size_t list_length;
} mailbox;

static void make_file(const char *path)
{
    mailbox.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    mailbox.record = strlen(STATUS) + mailbox.size + strlen(DOT);
    char *record = xmalloc(mailbox.record);

    bare_check(mailbox.fd >= 0, path);
    memset(record, 'x', mailbox.record);
    memcpy(record, STATUS, strlen(STATUS));
    memcpy(record + mailbox.record - strlen(LINE_END DOT), LINE_END DOT, strlen(LINE_END DOT));
    for (unsigned i = 0; i < mailbox.messages; i++)
        bare_check(write(mailbox.fd, record, mailbox.record) == (ssize_t)mailbox.record, path);
    free(record);
}

static void make_list(void)
{
    FILE *file = open_memstream(&mailbox.list, &mailbox.list_length);

    bare_check(file != NULL, "memory");
    fputs(STATUS, file);
    for (unsigned i = 0; i < mailbox.messages; i++)
        fprintf(file, "%u %zu\r\n", i + 1, mailbox.size);
    fputs(DOT, file);
    fclose(file);
}

/* False: the client has gone. */
static bool send_message(int fd, unsigned long number)
{
    if (number == 0 || number > mailbox.messages)
        log_fatal("there is no message %lu", number);
    off_t offset = (off_t)((number - 1) * mailbox.record);
    size_t left = mailbox.record;

    while (left > 0) {
        ssize_t sent = sendfile(fd, mailbox.fd, &offset, left);
        if (sent <= 0)
            return false;
        left -= (size_t)sent;
    }
    return true;
}

static bool answer(int fd, const char *line)
{
    if (strncmp(line, "RETR ", 5) == 0)
        return send_message(fd, strtoul(line + 5, NULL, 10));
    if (strncmp(line, "LIST", 4) == 0)
        return send(fd, mailbox.list, mailbox.list_length, MSG_NOSIGNAL) > 0;
    return send(fd, STATUS, strlen(STATUS), MSG_NOSIGNAL) > 0 && strncmp(line, "QUIT", 4) != 0;
}

static void *serve(void *context)
{
    FILE *input = context;
    char line[LINE_LENGTH];

    if (answer(fileno(input), "greeting"))
        while (fgets(line, sizeof(line), input) != NULL && answer(fileno(input), line))
            ;
    fclose(input);
    return NULL;
}

static void serve_next(int listener)
{
    pthread_t thread;
    FILE *input = fdopen(bare_accept(listener), "r");

    bare_check(input != NULL, "fdopen");
    bare_check(pthread_create(&thread, NULL, serve, input) == 0, "a thread");
    pthread_detach(thread);
}

int main(int argc, char **argv)
{
    log_open("sender");
    mailbox.messages = argc == 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    mailbox.size = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (mailbox.messages == 0 || mailbox.size < strlen(LINE_END)) {
        fputs("usage: sender FILE MESSAGES SIZE\n", stderr);
        return 2;
    }
    make_file(argv[1]);
    make_list();
    int listener = bare_listen();
    for (;;)
        serve_next(listener);
}
