#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/inventory.h"
#include "cli/process.h"
#include "cli/sibling.h"
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

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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
    metric_add(METRIC_RESTARTS, 1);
    if (process_start(process) < 0)
        process_restart(process);
}

void process_init(struct process *process, struct event_base *base, const struct program *program,
                  const struct inventory *inventory, unsigned slot)
{
    memset(process, 0, sizeof(*process));
    process->program = program;
    process->inventory = inventory;
    process->slot = slot;
    process->first = true;
    process->delay = -1;
    process->again = evtimer_new(base, on_again, process);
    if (process->again == NULL)
        log_fatal("cannot make a timer: out of memory");
}

void process_fini(struct process *process)
{
    event_free(process->again);
}

int process_start(struct process *process)
{
    const struct program *program = process->program;
    char path[PATH_MAX];
    struct launch launch = {.path = path, .name = program->name, .slot = process->slot};

    process->started = now_ms();
    if (sibling_path(program->name, path) < 0) {
        log_error("cannot find the program %s: %s; build or install all of Bellhop", program->name,
                  strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < COMMON; i++)
        inventory_give(process->inventory, common[i], &launch);
    for (size_t i = 0; program->descriptors[i] != NULL; i++)
        inventory_give(process->inventory, program->descriptors[i], &launch);
    pid_t pid = launch_start(&launch);
    if (pid < 0) {
        log_error("cannot start %s: %s", path, strerror(errno));
        return -1;
    }
    process->pid = pid;
    log_info("started %s[%d]", program->name, (int)pid);
    return 0;
}

bool process_ended(struct process *process, int status)
{
    const char *name = process->program->name;
    const int pid = (int)process->pid;
    const uint64_t lived = now_ms() - process->started;

    process->pid = 0;
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
    process->delay = process_delay(process->delay, now_ms() - process->started);
    const struct timeval delay = {.tv_sec = process->delay / 1000,
                                  .tv_usec = process->delay % 1000 * 1000};

    log_warning("starting %s again in %d ms", process->program->name, process->delay);
    event_add(process->again, &delay);
}

void process_cancel(struct process *process)
{
    event_del(process->again);
}
