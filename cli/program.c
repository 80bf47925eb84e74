#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/sibling.h"
#include "lib/child.h"

/* lib/conf.c allows as many. */
#define POP3_PROCESSES 64

const struct program programs[PROGRAMS] = {
    [PROGRAM_STORED] = {.name = "stored",
                        .stage = STAGE_BACK,
                        .restarts = METRIC_RESTARTS_STORE,
                        .descriptors = {"key", "deliver", "front", "control"}},
    [PROGRAM_AUTHD] = {.name = "authd",
                       .stage = STAGE_BACK,
                       .restarts = METRIC_RESTARTS_AUTH,
                       .descriptors = {"key", "auth", "auth-front", "auth-control", "nginx"},
                       .remembers = true},
    [PROGRAM_FETCHD] = {.name = "fetchd",
                        .stage = STAGE_FRONT,
                        .restarts = METRIC_RESTARTS_FETCH,
                        .descriptors = {"fetch", "authorities"}},
    [PROGRAM_LMTPD] = {.name = "lmtpd",
                       .stage = STAGE_FRONT,
                       .restarts = METRIC_RESTARTS_LMTP,
                       .descriptors = {"lmtp", "lmtp-unix", "policy", "map", "text"}},
    [PROGRAM_POP3D] = {.name = "pop3d",
                       .stage = STAGE_FRONT,
                       .restarts = METRIC_RESTARTS_POP3,
                       .descriptors = {"tls", "tickets", "pop3", "pop3s"}},
    [PROGRAM_ADMIN] = {.name = "admin",
                       .stage = STAGE_WRITER,
                       .restarts = METRIC_RESTARTS_HTTP,
                       .descriptors = {"http", "https", "https-tls"}},
};

unsigned program_count(const struct program *program, const struct conf *conf)
{
    if (program != &programs[PROGRAM_POP3D])
        return 1;
    unsigned count = child_per_core(conf->pop3_processes);
    return count < POP3_PROCESSES ? count : POP3_PROCESSES;
}

int program_open_binaries(int fds_r[PROGRAMS], char *error_r, size_t error_size)
{
    char path[PATH_MAX];

    for (int i = 0; i < PROGRAMS; i++)
        fds_r[i] = -1;
    for (int i = 0; i < PROGRAMS; i++) {
        if (sibling_path(programs[i].name, path) == 0)
            fds_r[i] = open(path, O_PATH | O_CLOEXEC);
        if (fds_r[i] >= 0)
            continue;
        snprintf(error_r, error_size,
                 "cannot find the program %s: %s; build or install all of Bellhop",
                 programs[i].name, strerror(errno));
        program_close_binaries(fds_r);
        return -1;
    }
    return 0;
}

void program_close_binaries(int fds[PROGRAMS])
{
    for (int i = 0; i < PROGRAMS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}
