#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/inventory.h"
#include "cli/process.h"
#include "cli/program.h"
#include "cli/share.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"

/*
 * All in ms. The first restart is at once; then 100, 200, ... so that a program that cannot run
 * does not take a core, and is back within 10 s of the moment when it can.
 */
#define RESTART_FIRST 100
#define RESTART_MOST  10000
#define RESTART_CALM  10000 /* a program that lived so long begins anew at once */

/* A program that gives up this soon after the very first start has said why: go no further. */
#define STARTUP_TIME 5000

static const char *const common[] = {"conf", "metrics", "lock"};

#define COMMON (sizeof(common) / sizeof(common[0]))

int process_delay(int last, uint64_t lived)
{
    if (last < 0 || lived >= RESTART_CALM)
        return 0;
    if (last == 0)
        return RESTART_FIRST;
    return last < RESTART_MOST / 2 ? 2 * last : RESTART_MOST;
}

static void on_again(evutil_socket_t fd, short what, void *context)
{
    struct process *process = context;
    (void)fd;
    (void)what;

    process->first = false;
    metric_add(process->program->restarts, 1);
    process->events->again(process->context, process);
}

static void stop_listening(struct process *process)
{
    if (process->words < 0)
        return;
    event_free(process->heard);
    close(process->words);
    process->words = -1;
}

static void hear_sentence(struct process *process, const char *text, size_t length)
{
    memcpy(process->sentence, text, length);
    process->sentence[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            process->sentence[i] = '?';
}

/*
 * A program that has clients may be somebody else's by now: what is taken from it are two words,
 * each once, and before it serves a sentence. Returns whether there may be more.
 */
static bool hear(struct process *process)
{
    char text[CHILD_SENTENCE_MAX - 1];

    ssize_t got = read(process->words, text, sizeof(text));
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got == 1 && text[0] == CHILD_READY && !process->ready && process->pid > 0) {
        process->ready = true;
        process->events->told(process->context, process, CHILD_READY);
    } else if (got == 1 && text[0] == CHILD_RETIRED && process->role == PROCESS_LEAVING) {
        stop_listening(process);
        process->retired = true;
        process->events->told(process->context, process, CHILD_RETIRED);
    } else if (got > 1 && process->sentence[0] == '\0' && process->role == PROCESS_COMING) {
        hear_sentence(process, text, (size_t)got);
    } else {
        stop_listening(process);
    }
    return process->words >= 0;
}

static void on_heard(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    hear(context);
}

void process_init(struct process *process, const struct process_setting *setting,
                  const struct program *program, enum process_role role, unsigned slot)
{
    memset(process, 0, sizeof(*process));
    process->program = program;
    process->role = role;
    process->inventory = setting->inventory;
    process->events = setting->events;
    process->context = setting->context;
    process->slot = slot;
    process->first = role == PROCESS_SERVING;
    process->delay = -1;
    process->words = -1;
    process->memory = -1;
    process->again = evtimer_new(setting->base, on_again, process);
    if (process->again == NULL)
        log_fatal("cannot make a timer: out of memory");
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void process_fini(struct process *process)
{
    stop_listening(process);
    close_if_open(process->memory);
    process->memory = -1;
    event_free(process->again);
    process->again = NULL;
    process->role = PROCESS_NONE;
}

/* Makes the connection; its other end goes to the program. Returns that, or -1 (errno). */
static int connect_words(struct process *process)
{
    int ends[2];

    stop_listening(process);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    process->words = ends[0];
    process->heard =
        event_new(event_get_base(process->again), ends[0], EV_READ | EV_PERSIST, on_heard, process);
    if (process->heard == NULL || event_add(process->heard, NULL) < 0)
        log_fatal("cannot watch a program: out of memory");
    process->ready = false;
    process->sentence[0] = '\0';
    if (process->role == PROCESS_SERVING)
        process_tell(process, CHILD_SERVE);
    return ends[1];
}

void process_tell(struct process *process, enum child_word word)
{
    const char octet = (char)word;

    /* One that has ended is waited for by on_child(). */
    ssize_t written = write(process->words, &octet, 1);
    (void)written;
}

/* Without memory it begins with nothing, and so does the next one. */
static void give_memory(struct launch *launch, int memory, int last)
{
    if (memory >= 0)
        launch_give(launch, "memory", memory);
    if (last >= 0)
        launch_give(launch, "last", last);
}

/* Returns 0, or -1 after a log line. */
static int start(struct process *process, struct launch *launch)
{
    int words = connect_words(process);
    launch_give(launch, "supervisor", words);
    pid_t pid = launch_start(launch);
    int error = errno;
    close_if_open(words);
    if (pid < 0) {
        log_error("cannot start %s: %s", launch->name, strerror(error));
        return -1;
    }
    process->pid = pid;
    log_info("started %s[%d]", launch->name, (int)pid);
    return 0;
}

int process_start(struct process *process, int binary, int last)
{
    const struct program *program = process->program;
    struct launch launch = {.binary = binary, .name = program->name, .slot = process->slot};
    int memory = program->remembers ? share_new(program->name, NULL, 0) : -1;
    int reader = program->remembers && last >= 0 ? share_reader(last) : -1;

    process->started = clock_milliseconds();
    give_memory(&launch, memory, reader);
    for (size_t i = 0; i < COMMON; i++)
        inventory_give(process->inventory, common[i], &launch);
    for (size_t i = 0; program->descriptors[i] != NULL; i++)
        inventory_give(process->inventory, program->descriptors[i], &launch);
    int result = start(process, &launch);
    close_if_open(reader);
    close_if_open(result == 0 ? process->memory : memory);
    if (result == 0)
        process->memory = memory;
    return result;
}

bool process_ended(struct process *process, int status)
{
    const char *name = process->program->name;
    const int pid = (int)process->pid;
    const uint64_t lived = clock_milliseconds() - process->started;

    process->pid = 0;
    metrics_leave(process->slot);
    if (process->memory >= 0)
        share_seal(process->memory);
    while (process->words >= 0 && hear(process)) /* its last words */
        ;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error(
            "%s[%d] asked for a system call that no program of Bellhop has a reason for: it may "
            "have been taken over; the kernel's log has the number",
            name, pid);
    if (WIFSIGNALED(status))
        log_info("%s[%d] was ended by signal %d (%s) after %" PRIu64 " ms", name, pid,
                 WTERMSIG(status), strsignal(WTERMSIG(status)), lived);
    else
        log_info("%s[%d] ended with status %d after %" PRIu64 " ms", name, pid, WEXITSTATUS(status),
                 lived);
    return process->first && lived < STARTUP_TIME && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

void process_restart(struct process *process)
{
    process->delay = process_delay(process->delay, clock_milliseconds() - process->started);
    const struct timeval delay = {.tv_sec = process->delay / 1000,
                                  .tv_usec = process->delay % 1000 * 1000};

    log_warning("starting %s again in %d ms", process->program->name, process->delay);
    event_add(process->again, &delay);
}

void process_cancel(struct process *process)
{
    event_del(process->again);
}
