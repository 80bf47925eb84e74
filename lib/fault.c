#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fault.h"
#include "lib/log.h"

#define FAULT_PATH     "run/fault"
#define FAULT_NEW_PATH FAULT_PATH ".new"

#define LINES_MAX 16

struct fault {
    char point[64];
    unsigned long passes; /* until it fires; 1: the next */
    char action[16];
    char name[16]; /* of the errno, or empty */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EMFILE", EMFILE}, {"EACCES", EACCES}};

static int error_number(const struct fault *fault)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(errors[i].name, fault->name) == 0)
            return errors[i].number;
    log_panic(FAULT_PATH ": point %s has no errno that is known here", fault->point);
}

/* Takes the next word of the line into word_r; what does not fit is no word of ours. */
static void take_word(char **line, char *word_r, size_t size)
{
    size_t length = strcspn(*line, " \n");

    snprintf(word_r, size, "%.*s", (int)length, *line);
    *line += length;
    *line += strspn(*line, " \n");
}

static int read_faults(struct fault faults_r[LINES_MAX])
{
    char line[256], count[24], *rest;
    int lines = 0;
    FILE *file = fopen(FAULT_PATH, "re");

    if (file == NULL)
        return 0;
    while (lines < LINES_MAX && fgets(line, sizeof(line), file) != NULL) {
        struct fault *fault = &faults_r[lines++];
        rest = line;
        take_word(&rest, fault->point, sizeof(fault->point));
        take_word(&rest, count, sizeof(count));
        take_word(&rest, fault->action, sizeof(fault->action));
        take_word(&rest, fault->name, sizeof(fault->name));
        fault->passes = strtoul(count, NULL, 10);
    }
    fclose(file);
    return lines;
}

/* Without those whose time has come; no file when none is left. */
static void write_faults(const struct fault *faults, int lines)
{
    bool any = false;
    FILE *file = fopen(FAULT_NEW_PATH, "we");

    if (file == NULL)
        log_panic(FAULT_NEW_PATH " cannot be written: %s", strerror(errno));
    for (int i = 0; i < lines; i++)
        if (faults[i].passes > 0) {
            fprintf(file, "%s %lu %s %s\n", faults[i].point, faults[i].passes, faults[i].action,
                    faults[i].name);
            any = true;
        }
    fclose(file);
    if ((any ? rename(FAULT_NEW_PATH, FAULT_PATH) : unlink(FAULT_PATH)) < 0)
        log_panic(FAULT_PATH " cannot be changed: %s", strerror(errno));
    if (!any)
        (void)unlink(FAULT_NEW_PATH);
}

/* The line that fires at this pass, or NULL. */
static struct fault *count_down(struct fault *faults, int lines, const char *point)
{
    int i = 0;

    while (i < lines && strcmp(faults[i].point, point) != 0)
        i++;
    if (i == lines)
        return NULL;
    struct fault *fault = &faults[i];
    if (fault->passes == 1 && strcmp(fault->action, "failing") == 0)
        return fault;
    fault->passes--;
    write_faults(faults, lines);
    return fault->passes == 0 ? fault : NULL;
}

int fault_pass(const char *point)
{
    struct fault faults[LINES_MAX] = {0};
    int error = 0;

    pthread_mutex_lock(&mutex);
    int lines = read_faults(faults);
    const struct fault *fault = count_down(faults, lines, point);
    if (fault != NULL && strcmp(fault->action, "kill") == 0) {
        log_info("fault: %s: killed", point);
        kill(getpid(), SIGKILL);
    } else if (fault != NULL) {
        error = error_number(fault);
        log_info("fault: %s: %s", point, fault->name);
        errno = error;
    }
    pthread_mutex_unlock(&mutex);
    return error;
}

void fault_die_at(const char *point)
{
    if (fault_pass(point) != 0)
        log_panic("nothing can fail at the point %s", point);
}
