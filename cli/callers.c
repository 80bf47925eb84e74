#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "cli/callers.h"
#include "lib/log.h"
#include "lib/xalloc.h"

/* Connections at once; a further one waits. And seconds for the request to come. */
#define CALLERS_MAX  8
#define REQUEST_TIME 5

struct caller {
    struct callers *callers;
    int fd;
    struct event *readable;
    struct caller *prev, *next;
};

struct callers {
    struct event_base *base;
    int listener;
    struct event *connected;
    struct caller *all;
    unsigned count;
    bool busy;              /* a reload is under way */
    struct caller *waiting; /* for its end; NULL: it has left */
    void (*reload)(void *context);
    void *context;
};

static void caller_free(struct caller *caller)
{
    struct callers *callers = caller->callers;

    if (callers->waiting == caller)
        callers->waiting = NULL;
    DL_DELETE(callers->all, caller);
    event_free(caller->readable);
    close(caller->fd);
    free(caller);
    callers->count--;
    event_add(callers->connected, NULL);
}

/* Who does not read goes: the supervisor waits for nobody. */
static void tell(struct caller *caller, enum callers_answer answer, const char *sentence)
{
    char *line = xasprintf("%c%s\n", (char)answer, sentence);
    size_t length = strlen(line);

    ssize_t sent = send(caller->fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    free(line);
    if (sent != (ssize_t)length || answer != CALLERS_PROGRESS)
        caller_free(caller);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct caller *caller = context;
    struct callers *callers = caller->callers;
    char request[CALLERS_REQUEST_SIZE];
    (void)what;

    ssize_t got = recv(fd, request, sizeof(request), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR) && (what & EV_TIMEOUT) == 0)
        return;
    if (got != sizeof(request) || memcmp(request, CALLERS_RELOAD, sizeof(request)) != 0 ||
        callers->waiting == caller) {
        caller_free(caller);
        return;
    }
    if (callers->busy) {
        tell(caller, CALLERS_REFUSED, "another reload is under way; wait for its end");
        return;
    }
    callers->busy = true;
    callers->waiting = caller;
    event_remove_timer(caller->readable); /* from now on it is only to be seen that it leaves */
    callers->reload(callers->context);
}

/* The file's mode keeps others out already. */
static bool may_ask(int fd)
{
    struct ucred peer;
    struct stat folder;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && stat(".", &folder) == 0 &&
           (peer.uid == 0 || peer.uid == folder.st_uid || peer.uid == geteuid());
}

static void on_connected(evutil_socket_t listener, short what, void *context)
{
    const struct timeval limit = {.tv_sec = REQUEST_TIME};
    struct callers *callers = context;
    (void)what;

    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (!may_ask(fd)) {
        close(fd);
        return;
    }
    struct caller *caller = xcalloc(1, sizeof(*caller));
    caller->callers = callers;
    caller->fd = fd;
    caller->readable = event_new(callers->base, fd, EV_READ | EV_PERSIST, on_readable, caller);
    if (caller->readable == NULL || event_add(caller->readable, &limit) < 0)
        log_fatal("cannot watch a command: out of memory");
    DL_APPEND(callers->all, caller);
    if (++callers->count == CALLERS_MAX)
        event_del(callers->connected);
}

struct callers *callers_new(struct event_base *base, int listener, void (*reload)(void *context),
                            void *context)
{
    struct callers *callers = xcalloc(1, sizeof(*callers));

    callers->base = base;
    callers->listener = listener;
    callers->reload = reload;
    callers->context = context;
    callers->connected = event_new(base, listener, EV_READ | EV_PERSIST, on_connected, callers);
    if (callers->connected == NULL || event_add(callers->connected, NULL) < 0)
        log_fatal("cannot watch for commands: out of memory");
    return callers;
}

void callers_free(struct callers *callers)
{
    while (callers->all != NULL)
        caller_free(callers->all);
    event_free(callers->connected);
    free(callers);
}

void callers_tell(struct callers *callers, enum callers_answer answer, const char *sentence)
{
    if (callers->waiting != NULL)
        tell(callers->waiting, answer, sentence);
    callers->busy = callers->busy && answer == CALLERS_PROGRESS;
}
