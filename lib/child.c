#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/child.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/owner.h"

static int descriptor_count;
static char **descriptor_names;

int child_descriptor(const char *name, unsigned number)
{
    for (int i = 0; i < descriptor_count; i++)
        if (strcmp(descriptor_names[i], name) == 0 && number-- == 0)
            return SD_LISTEN_FDS_START + i;
    return -1;
}

long child_read(int fd, void *buffer_r, size_t size)
{
    size_t got = 0;

    while (got < size) {
        ssize_t part = pread(fd, (char *)buffer_r + got, size - got, (off_t)got);
        if (part < 0 && errno == EINTR)
            continue;
        if (part < 0)
            return -1;
        if (part == 0)
            break;
        got += (size_t)part;
    }
    return (long)got;
}

unsigned child_per_core(uint64_t configured)
{
    cpu_set_t cores;

    if (configured > 0)
        return (unsigned)configured;
    if (sched_getaffinity(0, sizeof(cores), &cores) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&cores);
}

static int read_conf(struct child *child)
{
    char error[256];

    if (conf_read(&child->conf, child_descriptor("conf", 0), error, sizeof(error)) == 0)
        return 0;
    log_error("the configuration is not usable: %s", error);
    return -1;
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct child *child = context;
    (void)what;

    if (number != SIGHUP)
        child->drain(child->context);
    else if (read_conf(child) == 0 && child->reload != NULL)
        child->reload(child->context);
}

static struct event *watch_signal(struct child *child, int number)
{
    struct event *event = evsignal_new(child->base, number, on_signal, child);

    if (event == NULL || event_add(event, NULL) < 0)
        log_fatal("cannot watch signal %d", number);
    return event;
}

static void unblock_hangup(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void take_descriptors(const char *name)
{
    descriptor_count = sd_listen_fds_with_names(1, &descriptor_names);
    if (descriptor_count <= 0)
        log_fatal("%s is started by \"bellhop -C DIR serve\", not by hand", name);
    for (int i = 0; i < descriptor_count; i++)
        if (fcntl(SD_LISTEN_FDS_START + i, F_SETFL, O_NONBLOCK) < 0)
            log_fatal("descriptor %s: %s", descriptor_names[i], strerror(errno));
}

void child_init(struct child *child, const char *name)
{
    memset(child, 0, sizeof(*child));
    child->name = name;
    log_open(name);
    umask(077);
    take_descriptors(name);
    owner_become();
    const char *slot = getenv("BELLHOP_SLOT");
    if (slot == NULL ||
        metrics_attach(child_descriptor("metrics", 0), (unsigned)strtoul(slot, NULL, 10)) < 0)
        log_fatal("cannot map the shared counters: %s", strerror(errno));
    if (read_conf(child) < 0)
        exit(1);
    if (sodium_init() < 0)
        log_fatal("libsodium does not start");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        log_warning("no_new_privs is not to be had here: %s", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an errno, EFBIG */
    child->base = event_base_new();
    if (child->base == NULL)
        log_fatal("cannot make an event loop");
    child->hangup = watch_signal(child, SIGHUP);
    child->terminate = watch_signal(child, SIGTERM);
    child->interrupt = watch_signal(child, SIGINT);
    unblock_hangup();
}

void child_run(struct child *child)
{
    event_base_dispatch(child->base);
}

void child_fini(struct child *child)
{
    event_free(child->hangup);
    event_free(child->terminate);
    event_free(child->interrupt);
    event_base_free(child->base);
}
