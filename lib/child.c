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
static bool told_ready;

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

/* What the supervisor has said before, and is not heard yet, is of no use any more. */
static void drain(struct child *child)
{
    if (child->word != NULL)
        event_del(child->word);
    child->drain(child->context);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct child *child = context;
    (void)what;

    if (number != SIGHUP)
        drain(child);
    else if (read_conf(child) == 0 && child->reload != NULL)
        child->reload(child->context);
}

static void say(enum child_word word)
{
    const char octet = (char)word;

    /* Without a supervisor nobody needs to know. */
    ssize_t written = write(child_descriptor("supervisor", 0), &octet, 1);
    (void)written;
}

void child_ready(void)
{
    if (!told_ready)
        say(CHILD_READY);
    told_ready = true;
}

static void retire(struct child *child)
{
    const struct timeval limit = {.tv_sec = CHILD_RETIRE_TIME};

    if (child->retire == NULL || event_pending(child->overdue, EV_TIMEOUT, NULL))
        return;
    log_info("others take over: this process ends with its last client");
    event_add(child->overdue, &limit);
    child->retire(child->context);
    say(CHILD_RETIRED);
}

static void on_overdue(evutil_socket_t fd, short what, void *context)
{
    struct child *child = context;
    (void)fd;
    (void)what;

    log_warning("retired %d s ago and still with clients: ending", CHILD_RETIRE_TIME);
    drain(child);
}

static void on_word(evutil_socket_t fd, short what, void *context)
{
    struct child *child = context;
    char octet;
    (void)what;

    ssize_t got = read(fd, &octet, 1);
    if (got == 0)
        event_del(child->word); /* SIGTERM comes when the supervisor has gone */
    else if (got == 1 && octet == CHILD_SERVE && child->serve != NULL)
        child->serve(child->context);
    else if (got == 1 && octet == CHILD_RETIRE)
        retire(child);
}

static void watch_words(struct child *child)
{
    int fd = child_descriptor("supervisor", 0);

    if (fd < 0)
        return;
    child->word = event_new(child->base, fd, EV_READ | EV_PERSIST, on_word, child);
    child->overdue = evtimer_new(child->base, on_overdue, child);
    if (child->word == NULL || child->overdue == NULL || event_add(child->word, NULL) < 0)
        log_fatal("cannot watch the supervisor: out of memory");
}

static struct event *watch_signal(struct child *child, int number)
{
    struct event *event = evsignal_new(child->base, number, on_signal, child);

    if (event == NULL || event_add(event, NULL) < 0)
        log_fatal("cannot watch signal %d", number);
    return event;
}

static void hold_hangup(int how)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(how, &set, NULL);
}

static void take_descriptors(const char *name)
{
    descriptor_count = sd_listen_fds_with_names(1, &descriptor_names);
    if (descriptor_count <= 0)
        log_fatal("%s is started by \"bellhop -C DIR serve\", not by hand", name);
    for (int i = 0; i < descriptor_count; i++)
        if (fcntl(SD_LISTEN_FDS_START + i, F_SETFL, O_NONBLOCK) < 0)
            log_fatal("descriptor %s: %s", descriptor_names[i], strerror(errno));
    log_report_to(child_descriptor("supervisor", 0));
}

/* During a reload there are those that finish and those that have taken over. */
static void count_process(const char *name)
{
    static const struct {
        const char *name;
        enum metric metric;
    } programs[] = {
        {"pop3d", METRIC_POP3_PROCESSES}, {"authd", METRIC_AUTH_PROCESSES},
        {"lmtpd", METRIC_LMTP_PROCESSES}, {"stored", METRIC_STORE_PROCESSES},
        {"admin", METRIC_HTTP_PROCESSES}, {"fetchd", METRIC_FETCH_PROCESSES},
    };

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        if (strcmp(programs[i].name, name) == 0)
            metric_add(programs[i].metric, 1);
}

void child_init(struct child *child, const char *name)
{
    memset(child, 0, sizeof(*child));
    child->name = name;
    log_open(name);
    umask(077);
    take_descriptors(name);
    prctl(PR_SET_NAME, name); /* it was started without one, by its descriptor */
    owner_become();
    const char *slot = getenv("BELLHOP_SLOT");
    if (slot == NULL ||
        metrics_attach(child_descriptor("metrics", 0), (unsigned)strtoul(slot, NULL, 10)) < 0)
        log_fatal("cannot map the shared counters: %s",
                  errno == EPROTO ? "the supervisor is of another version; restart bellhop serve"
                                  : strerror(errno));
    count_process(name);
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
    watch_words(child);
    hold_hangup(SIG_UNBLOCK);
}

void child_run(struct child *child)
{
    event_base_dispatch(child->base);
}

void child_fini(struct child *child)
{
    hold_hangup(SIG_BLOCK); /* without its event it would end the process as a crash */
    event_free(child->hangup);
    event_free(child->terminate);
    event_free(child->interrupt);
    if (child->word != NULL) {
        event_free(child->word);
        event_free(child->overdue);
    }
    event_base_free(child->base);
}
