#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/sibling.h"

/* From the folder of the running binary: where `make install` puts programs, where `make` does. */
static const char *const places[] = {"../libexec/bellhop", "."};

int sibling_path(const char *name, char path_r[PATH_MAX])
{
    char self[PATH_MAX];

    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length < 0)
        return -1;
    self[length] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int size = snprintf(path_r, PATH_MAX, "%s/%s/%s", self, places[i], name);
        if (size >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (access(path_r, X_OK) == 0)
            return 0;
    }
    return -1;
}

int sibling_start(struct sibling *sibling_r, char *const arguments[])
{
    char path[PATH_MAX];
    int in[2], out[2];

    if (sibling_path(arguments[0], path) < 0 || pipe2(in, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(out, O_CLOEXEC) < 0) {
        close(in[0]);
        close(in[1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0)
            execv(path, arguments);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *sibling_r = (struct sibling){.pid = pid, .to = in[1], .from = out[0]};
    if (pid > 0)
        return 0;
    int error = errno;
    close(in[1]);
    close(out[0]);
    errno = error;
    return -1;
}

void sibling_close_input(struct sibling *sibling)
{
    if (sibling->to >= 0)
        close(sibling->to);
    sibling->to = -1;
}

int sibling_end(struct sibling *sibling)
{
    int status;

    sibling_close_input(sibling);
    close(sibling->from);
    while (waitpid(sibling->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}
