#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/crash/check.h"
#include "tests/crash/disk.h"
#include "tests/crash/expect.h"
#include "tests/crash/life.h"
#include "tests/crash/service.h"
#include "tests/crash/workload.h"
#include "tests/crash/writer.h"

/* Seconds of the real clock; a life takes a small part of one. */
#define PATIENCE 60

static void live(const struct life *life, struct life_result *result)
{
    static struct service service;
    struct random random = random_of(life->seed, 1);

    alarm(PATIENCE);
    if (chdir(life->folder) != 0)
        _exit(3);
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(3);
    close_range(3, ~0U, 0);
    expect_failure = result->failure;
    service_prepare(&service);
    writer_init();
    expect_load(life->trace);
    disk_attach(life->trace, random_of(life->seed, 2));
    service.store.segment_size = 1024 * (544 + random_below(&random, 1024));
    service.store.reclaim_rate = UINT64_C(1) << (20 + random_below(&random, 6));
    service_recover(&service);
    result->listed = check_store(&service.store, service.store.segments);
    service_serve(&service);
    workload_run(&service, random, life->steps);
    if (life->killed) {
        workload_interrupt();
        _exit(0);
    }
    workload_end();
    service_stop(&service);
    _exit(0);
}

static int run_once(const struct life *life, struct life_result *result)
{
    int status;

    memset(result, 0, sizeof(*result));
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        live(life, result);
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("fork");
        exit(3);
    }
    return status;
}

bool life_run(const struct life *life, struct life_result *result_r)
{
    int status = run_once(life, result_r);

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (result_r->failure[0] == '\0')
        snprintf(result_r->failure, sizeof(result_r->failure), "stored ended with %s %d",
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}
