#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/xalloc.h"
#include "tests/bench/tree.h"

struct process {
    pid_t pid;
    pid_t parent;
    uint64_t ticks;
    uint64_t pages;
    bool inside;
};

/* The number-th field of proc_pid_stat(5), of which `fields` begins with the end of the second. */
static unsigned long field(const char *fields, unsigned number)
{
    for (unsigned i = 2; i < number && fields != NULL; i++)
        fields = strchr(fields + 1, ' ');
    return fields != NULL ? strtoul(fields, NULL, 10) : 0;
}

/* Returns 0, or -1 when the process is gone. The name may hold anything, so fields count from ")".
 */
static int read_process(struct process *process, const char *pid)
{
    char path[64];
    char text[1024];

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    if (fields == NULL)
        return -1;
    process->pid = (pid_t)strtol(pid, NULL, 10);
    process->parent = (pid_t)field(fields, 4);
    process->ticks = field(fields, 14) + field(fields, 15);
    process->pages = field(fields, 24);
    process->inside = false;
    return 0;
}

static struct process *read_all(size_t *count_r)
{
    struct process *all = NULL;
    struct dirent *entry;
    size_t count = 0;

    DIR *directory = opendir("/proc");
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        all = xrealloc(all, (count + 1) * sizeof(*all));
        if (read_process(&all[count], entry->d_name) == 0)
            count++;
    }
    if (directory != NULL)
        closedir(directory);
    *count_r = count;
    return all;
}

static bool has_parent_inside(const struct process *all, size_t count, const struct process *one)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].pid == one->parent)
            return all[i].inside;
    return false;
}

/* Marks the tree below `root`, level by level. */
static void mark(struct process *all, size_t count, pid_t root)
{
    bool found = true;

    while (found) {
        found = false;
        for (size_t i = 0; i < count; i++) {
            if (all[i].inside || (all[i].pid != root && !has_parent_inside(all, count, &all[i])))
                continue;
            all[i].inside = true;
            found = true;
        }
    }
}

void tree_measure(pid_t root, struct tree_use *use_r)
{
    uint64_t tick = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    size_t count;

    memset(use_r, 0, sizeof(*use_r));
    struct process *all = read_all(&count);
    mark(all, count, root);
    for (size_t i = 0; i < count; i++) {
        if (!all[i].inside)
            continue;
        use_r->cpu += all[i].ticks * tick;
        use_r->memory += all[i].pages * page;
        use_r->processes++;
    }
    free(all);
}
