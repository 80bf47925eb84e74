/*
 * Power loss, thousands of times: a workload runs on the real store while every call that changes a
 * file is logged; then folders are built that a power loss could have left, and the store is
 * started on each of them and held to all that it had promised (image.h has the model, expect.h
 * the promises).
 *
 *   power [--seed N] [--images COUNT] [--image K] [--jobs COUNT] [--keep]
 *
 * An image is named by the seed and its number, and is the same each time.
 */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/image.h"
#include "tests/crash/life.h"
#include "tests/crash/random.h"
#include "tests/crash/trace.h"

/* Images that are made of one workload. */
#define WORKLOAD_IMAGES 25

/* Lives of stored in a workload, and steps of each. */
#define WORKLOAD_LIVES 3
#define WORKLOAD_STEPS 220

#define JOBS_MAX 64

static struct {
    uint64_t seed;
    uint64_t first, last; /* images */
    unsigned jobs;
    bool keep;
    char folder[64];
} options = {.last = 100};

/* Shared by all processes. */
struct tally {
    _Atomic uint64_t images, twice, failures;
    _Atomic uint64_t done[TRACE_FIRST_EVENT + 16]; /* in the workloads, by enum trace_type */
};

static struct tally *tally;

/* What one process works with. */
struct work {
    char folder[128], image[160], copy[160];
    struct trace *trace, *second, *third;
    struct life_result *result;
    uint64_t number; /* of the image; WORKLOAD_IMAGES times that of the workload before any */
    uint64_t cut;
    bool failed;
};

/* --- folders ---------------------------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void clear(const char *folder)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make(const char *folder)
{
    char store[256];

    snprintf(store, sizeof(store), "%s/store", folder);
    if (mkdir(folder, 0700) != 0 || mkdir(store, 0700) != 0) {
        perror(folder);
        exit(3);
    }
}

static void unlink_index(struct trace *trace, const char *folder)
{
    static const char *const names[] = {"index.db", "index.db-wal", "index.db-shm"};
    char path[256];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/store/%s", folder, names[i]);
        if (unlink(path) == 0)
            trace_unlink(trace, names[i]);
    }
}

/* --- failures --------------------------------------------------------------------------------- */

static void print_log(const char *folder)
{
    char path[256], line[512], last[20][512];
    unsigned count = 0;

    snprintf(path, sizeof(path), "%s/log", folder);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL)
        memcpy(last[count++ % 20], line, sizeof(line));
    fclose(file);
    for (unsigned i = count > 20 ? count - 20 : 0; i < count; i++)
        fprintf(stderr, "    %s", last[i % 20]);
}

static void fail(struct work *work, const char *folder, const char *when, const char *what)
{
    work->failed = true;
    tally->failures++;
    fprintf(stderr,
            "FAILED: --seed %llu --image %llu, power lost before operation %llu, %s: %s\n"
            "  its log ends with\n",
            (unsigned long long)options.seed, (unsigned long long)work->number,
            (unsigned long long)work->cut, when, what);
    print_log(folder);
    if (options.keep)
        fprintf(stderr, "  the folder is %s\n", folder);
}

static bool live(struct work *work, const struct life *life, const char *when)
{
    if (life_run(life, work->result))
        return true;
    fail(work, life->folder, when, work->result->failure);
    return false;
}

/* --- one image -------------------------------------------------------------------------------- */

/* Built anew from the log alone, the store lists what it did with its index. */
static bool same_without_index(struct work *work, struct trace *trace, const char *folder,
                               uint64_t listed, uint64_t seed)
{
    struct life life = {.trace = trace, .folder = folder, .seed = seed};

    unlink_index(trace, folder);
    if (!live(work, &life, "with the index removed"))
        return false;
    if (work->result->listed == listed)
        return true;
    fail(work, folder, "with the index removed", "the list is another one");
    return false;
}

/* The life after the loss: recovery, some more work, an orderly end, and a start after that. */
static bool go_on(struct work *work, struct trace *trace, struct random *random)
{
    struct life life = {.trace = trace, .folder = work->image};
    uint64_t listed;

    life.seed = random_next(random);
    life.steps = random_chance(random, 30) ? 80 : 12;
    if (!live(work, &life, "after it"))
        return false;
    life.seed = random_next(random);
    life.steps = 0;
    if (!live(work, &life, "after a clean restart"))
        return false;
    listed = work->result->listed;
    return same_without_index(work, trace, work->image, listed, random_next(random));
}

static bool rebuild_copy(struct work *work, uint64_t cut, struct random choices,
                         struct random *random)
{
    struct life life = {.trace = work->second, .folder = work->image};

    /* With the index as it was left. */
    image_continue(work->trace, cut, work->image, work->second);
    if (!live(work, &life, "in recovery"))
        return false;
    uint64_t listed = work->result->listed;
    image_build(work->trace, cut, choices, work->copy);
    image_continue(work->trace, cut, work->copy, work->second);
    bool same = same_without_index(work, work->second, work->copy, listed, random_next(random));
    if (same || !options.keep)
        clear(work->copy);
    return same;
}

/* Power is lost again, in the recovery or soon after. */
static bool lose_again(struct work *work, struct random *random)
{
    struct life life = {.trace = work->second, .folder = work->image, .killed = true};
    uint64_t first = work->second->count;

    life.seed = random_next(random);
    life.steps = random_chance(random, 50) ? 0 : 10;
    if (!live(work, &life, "after it"))
        return false;
    uint64_t cut = image_choose_cut(work->second, first, random);
    clear(work->image);
    image_build(work->second, cut, *random, work->image);
    image_continue(work->second, cut, work->image, work->third);
    tally->twice++;
    return go_on(work, work->third, random);
}

static void try_image(struct work *work)
{
    struct random random = random_of(options.seed, work->number);
    bool good = true;

    work->cut = image_choose_cut(work->trace, 0, &random);
    struct random choices = random_of(random_next(&random), 0);
    image_build(work->trace, work->cut, choices, work->image);
    if (random_chance(&random, 25)) {
        good = rebuild_copy(work, work->cut, choices, &random);
        clear(work->image);
        image_build(work->trace, work->cut, choices, work->image);
    }
    image_continue(work->trace, work->cut, work->image, work->second);
    if (good)
        good = random_chance(&random, 30) ? lose_again(work, &random)
                                          : go_on(work, work->second, &random);
    if (good || !options.keep)
        clear(work->image);
    tally->images++;
}

/* --- one workload ----------------------------------------------------------------------------- */

static bool are_same(const char *one, const char *other)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        execlp("diff", "diff", "-rq", "-x", "log", "-x", "*-shm", one, other, (char *)NULL);
        _exit(3);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Whether the trace tells all that was done to the files. */
static bool is_complete(struct work *work, const char *folder)
{
    image_build_whole(work->trace, work->trace->count, work->image);
    bool same = are_same(folder, work->image);
    clear(work->image);
    if (!same)
        fail(work, folder, "in the harness", "the files are not what the trace makes of them");
    return same;
}

/* What no workload does is not tried, whatever the number of images. */
static void count_done(const struct trace *trace)
{
    for (uint64_t i = 0; i < trace->count; i++)
        tally->done[trace->entries[i].type]++;
}

static bool run_workload(struct work *work, uint64_t workload)
{
    struct random random = random_of(options.seed, ~workload);
    char folder[160];
    bool good = true;

    snprintf(folder, sizeof(folder), "%s/workload", work->folder);
    make(folder);
    trace_clear(work->trace);
    for (int i = 0; good && i < WORKLOAD_LIVES; i++) {
        struct life life = {.trace = work->trace,
                            .folder = folder,
                            .seed = random_next(&random),
                            .steps = WORKLOAD_STEPS,
                            .killed = random_chance(&random, 60)};
        good = live(work, &life, "in the workload, without a loss");
    }
    good = good && is_complete(work, folder);
    count_done(work->trace);
    if (good || !options.keep)
        clear(folder);
    return good;
}

static void work_on(unsigned job)
{
    struct work work = {.trace = trace_new(), .second = trace_new(), .third = trace_new()};
    uint64_t end = (options.last + WORKLOAD_IMAGES - 1) / WORKLOAD_IMAGES;

    work.result =
        mmap(NULL, sizeof(*work.result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(work.folder, sizeof(work.folder), "%s/%u", options.folder, job);
    snprintf(work.image, sizeof(work.image), "%s/image", work.folder);
    snprintf(work.copy, sizeof(work.copy), "%s/copy", work.folder);
    if (mkdir(work.folder, 0700) != 0 || work.result == MAP_FAILED)
        exit(3);
    for (uint64_t i = options.first / WORKLOAD_IMAGES + job; i < end; i += options.jobs) {
        work.number = i * WORKLOAD_IMAGES;
        if (!run_workload(&work, i))
            break;
        for (uint64_t k = 0; k < WORKLOAD_IMAGES && !work.failed; k++, work.number++)
            if (work.number >= options.first && work.number < options.last)
                try_image(&work);
        if (work.failed)
            break;
    }
    _exit(work.failed);
}

/* --- options ---------------------------------------------------------------------------------- */

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "power: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},  {"images", required_argument, NULL, 'n'},
        {"image", required_argument, NULL, 'i'}, {"jobs", required_argument, NULL, 'j'},
        {"keep", no_argument, NULL, 'k'},        {NULL, 0, NULL, 0},
    };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int option;

    options.jobs = cores > 0 ? (unsigned)cores : 1;
    while ((option = getopt_long(argc, argv, "", names, NULL)) >= 0) {
        switch (option) {
        case 's': options.seed = number(optarg); break;
        case 'n': options.last = number(optarg); break;
        case 'i':
            options.first = number(optarg);
            options.last = options.first + 1;
            break;
        case 'j': options.jobs = (unsigned)number(optarg); break;
        case 'k': options.keep = true; break;
        default:
            fprintf(stderr, "usage: power [--seed N] [--images COUNT] [--image K] [--jobs COUNT] "
                            "[--keep]\n");
            exit(2);
        }
    }
    if (options.jobs == 0 || options.jobs > JOBS_MAX)
        options.jobs = 1;
}

/* In memory where that can be: nothing has to reach a disk. */
static void make_folder(void)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};

    for (size_t i = 0; i < 2; i++) {
        snprintf(options.folder, sizeof(options.folder), "%s/bellhop-power-XXXXXX", places[i]);
        if (mkdtemp(options.folder) != NULL)
            return;
    }
    perror(options.folder);
    exit(3);
}

int main(int argc, char **argv)
{
    int failed = 0, status;

    read_options(argc, argv);
    make_folder();
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 3;
    for (unsigned job = 0; job < options.jobs; job++)
        if (fork() == 0)
            work_on(job);
    while (wait(&status) > 0)
        failed |= status != 0;
    if (!failed || !options.keep)
        clear(options.folder);
    printf("power loss: %llu images of seed %llu, in %llu of them twice; %llu failures\n",
           (unsigned long long)tally->images, (unsigned long long)options.seed,
           (unsigned long long)tally->twice, (unsigned long long)tally->failures);
    printf("in the workloads: %llu messages sent, %llu syncs, %llu files made and %llu removed, "
           "%llu holes punched, %llu mailboxes dropped\n",
           (unsigned long long)tally->done[TRACE_SENT], (unsigned long long)tally->done[TRACE_SYNC],
           (unsigned long long)tally->done[TRACE_CREATE],
           (unsigned long long)tally->done[TRACE_UNLINK],
           (unsigned long long)tally->done[TRACE_PUNCH],
           (unsigned long long)tally->done[TRACE_DROPPED]);
    return failed;
}
