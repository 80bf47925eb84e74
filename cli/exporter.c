#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exporter.h"
#include "cli/progress.h"
#include "cli/sibling.h"
#include "cli/target.h"
#include "lib/message.h"
#include "lib/xalloc.h"

#define PIECE (64 * 1024)

struct exporter {
    struct target *target;
    struct progress *progress;
    FILE *pipe;
    uint64_t written, there, damaged;
    char stored[PIECE];
    char plain[PIECE];
};

/* --- stored, which reads ---------------------------------------------------------------------- */

/* Returns what it writes, or NULL after refuse(). */
static FILE *start(uint64_t mailbox, pid_t *pid_r)
{
    char path[PATH_MAX], number[24];
    char *arguments[] = {"stored", "export", number, NULL};
    int ends[2];

    if (sibling_path("stored", path) < 0) {
        refuse("cannot find the program stored (%s); install Bellhop whole", strerror(errno));
        return NULL;
    }
    snprintf(number, sizeof(number), "%" PRIu64, mailbox);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        refuse("cannot make a pipe: %s", strerror(errno));
        return NULL;
    }
    *pid_r = fork();
    if (*pid_r == 0) {
        if (dup2(ends[1], STDOUT_FILENO) >= 0)
            execv(path, arguments);
        _exit(127);
    }
    close(ends[1]);
    FILE *pipe = *pid_r > 0 ? fdopen(ends[0], "r") : NULL;
    if (pipe == NULL) {
        refuse("cannot run %s: %s", path, strerror(errno));
        close(ends[0]);
    }
    return pipe;
}

static bool take(struct exporter *exporter, void *data_r, size_t length)
{
    return fread(data_r, length, 1, exporter->pipe) == 1;
}

static int broken_off(void)
{
    refuse(
        "the store could not be read to the end; run the same command again, which goes on where "
        "this one was");
    return -1;
}

/* --- messages --------------------------------------------------------------------------------- */

/* Goes through a body; `write`: to the target, else past it. */
static int copy_body(struct exporter *exporter, uint64_t length, bool write)
{
    struct message_decoder decoder;
    struct target *target = exporter->target;

    message_decoder_init(&decoder);
    while (length > 0) {
        size_t part = length < PIECE ? (size_t)length : PIECE;
        if (!take(exporter, exporter->stored, part))
            return broken_off();
        size_t plain = message_decode(&decoder, exporter->stored, part, exporter->plain);
        if (write && target->write(target, exporter->plain, plain) < 0)
            return -1;
        progress_add(exporter->progress, part);
        length -= part;
    }
    return 0;
}

static int copy_message(struct exporter *exporter, const struct export_message *message)
{
    struct target *target = exporter->target;

    if (message->damaged != 0) {
        exporter->damaged++;
        progress_add(exporter->progress, message->body_length);
        return 0;
    }
    if (target->has(target, message)) {
        exporter->there++;
        return copy_body(exporter, message->body_length, false);
    }
    if (target->begin(target, message) < 0 || copy_body(exporter, message->body_length, true) < 0 ||
        target->end(target, message) < 0)
        return -1;
    exporter->written++;
    return 0;
}

static int copy_messages(struct exporter *exporter)
{
    struct export_message message;

    while (take(exporter, &message, sizeof(message)) && message.magic == EXPORT_MAGIC) {
        message.unique_id[sizeof(message.unique_id) - 1] = '\0';
        if (message.uid == 0)
            return 0;
        if (copy_message(exporter, &message) < 0)
            return -1;
    }
    return broken_off();
}

static int copy_all(struct exporter *exporter, bool asked)
{
    struct export_begin begin;

    if (!take(exporter, &begin, sizeof(begin)) || begin.magic != EXPORT_MAGIC)
        return broken_off();
    exporter->progress = progress_begin("export", PROGRESS_OCTETS, begin.octets, asked);
    int result = copy_messages(exporter);
    progress_end(exporter->progress);
    return result == 0 ? exporter->target->finish(exporter->target) : -1;
}

int exporter_run(struct target *target, uint64_t mailbox, bool asked)
{
    struct exporter *exporter = xcalloc(1, sizeof(*exporter));
    pid_t pid;
    int status;

    exporter->target = target;
    fflush(stdout);
    exporter->pipe = start(mailbox, &pid);
    int result = -1;
    if (exporter->pipe != NULL) {
        result = copy_all(exporter, asked);
        (void)fclose(exporter->pipe);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (result == 0) {
        printf("%" PRIu64 " written", exporter->written);
        if (exporter->there > 0)
            printf(", %" PRIu64 " there from an earlier run", exporter->there);
        if (exporter->damaged > 0)
            printf(", %" PRIu64 " damaged and LEFT OUT", exporter->damaged);
        printf("\n");
    }
    bool whole = result == 0 && exporter->damaged == 0;
    free(exporter);
    return whole ? EXIT_DONE : EXIT_REFUSED;
}
