/*
 * Group commit; see commit.h. The thread touches only the group that is handed to it: the segment
 * to write, the records, where the result goes, and what it may tell. Everything else belongs to
 * the event loop.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/channel.h"
#include "lib/clock.h"
#include "lib/fault.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/index.h"
#include "stored/segment.h"
#include "stored/store.h"
#include "stored/trouble.h"

/* The end of a segment that only records which free space may use. */
#define SEGMENT_RESERVE (512 * 1024)

/* A group is bounded so that the first in it does not wait for a long write. */
#define GROUP_OCTETS_MAX  (8 * 1024 * 1024)
#define GROUP_RECORDS_MAX 4096

/*
 * On a full disk copies go into segments of this size, while so much stays free: for the index, and
 * for expunges.
 */
#define COPIES_SIZE(segment_size)  ((segment_size) / 16)
#define COPIES_SPARE(segment_size) ((segment_size) / 4)

/* After a new segment could not be made, how long to refuse deliveries before trying again. */
#define REFUSE_SECONDS 1

/*
 * Groups enter the index in one transaction until it has so many records or is so old: its pages,
 * which groups that follow each other mostly share, are then written once. More records would make
 * its commit long; more time, a recovery.
 */
#define INDEX_RECORDS_MAX  512
#define INDEX_MICROSECONDS 50000

/*
 * To make preallocated blocks part of the file costs a sync as much again as the data does. A small
 * group that reaches such blocks writes zeros behind itself, for those after it; in a large one the
 * cost is spread already.
 */
#define AHEAD_OCTETS    (256 * 1024)
#define AHEAD_GROUP_MAX (64 * 1024)

struct group {
    struct commit *first, **last;
    unsigned count;
    uint64_t octets;
    bool roll;              /* begin a new segment first */
    bool small;             /* with `roll`: one as small as can be, on a full disk */
    uint64_t spare;         /* with `roll`: what must stay free on the disk */
    struct segment segment; /* the one to write to */
    uint64_t start, end;    /* where in it */
    uint64_t zeros;         /* octets to write behind the end */
    uint64_t sealed_end;    /* with `roll`: what the segment before has to be trimmed to */
    struct segment sealed;
    struct channel_loan *loan; /* for what is told of a record that is alone */
    bool promised;             /* it has been */
    int error;                 /* errno of the shared part: 0, ENOSPC, or the disk is broken */
};

struct commits {
    struct store *store;
    struct commit *first, **last; /* waiting for a group */
    uint64_t waiting;             /* octets, the running group's included */
    struct group groups[2];       /* one runs while the other is entered into the index */
    unsigned current;
    bool running;
    struct segment active; /* fd -1: none */
    uint64_t active_end;
    uint64_t active_written; /* where the preallocated blocks begin; 0: not known */
    uint64_t number;         /* of the last group */
    uint32_t refuse_until;   /* no segment could be made a moment ago */
    int refusal;             /* why not the last time; 0: it could */
    bool healthy;
    void (*drained)(void *context);
    void *drained_context;

    struct event *start;    /* at the end of this turn of the loop */
    struct event *finished; /* the thread wrote to `wakeup` */
    struct event *age;      /* pending while the index has something to commit */
    unsigned uncommitted;   /* records that it has */
    /* One for each of the groups: the thread may still hold that of the one before. */
    struct channel_loan *loans[2];
    atomic_uint written; /* groups that the thread has run */
    unsigned settled;    /* of these, what the loop is done with */
    int wakeup;
    pthread_t thread;
    sem_t ready;       /* posted with a job for the thread, or without one for its end */
    struct group *job; /* set by the loop before it posts, taken by the thread after it */
};

/* --- the thread ----------------------------------------------------------------------------- */

/* One write for the whole group: header, body and padding of each record in turn. */
static int write_shared(const struct group *group)
{
    static uint8_t zeros[AHEAD_OCTETS];
    struct iovec *pieces = xcalloc(3 * (size_t)group->count + 1, sizeof(*pieces));
    int count = 0;

    for (struct commit *commit = group->first; commit != NULL; commit = commit->next) {
        const struct record_header *header = commit->header;
        if (commit->own != NULL)
            continue;
        uint64_t length = header->length + header->body_length;
        pieces[count++] = (struct iovec){commit->header, header->length};
        pieces[count++] = (struct iovec){(void *)(uintptr_t)commit->body, header->body_length};
        pieces[count++] = (struct iovec){zeros, record_span(header) - length};
    }
    pieces[count++] = (struct iovec){zeros, group->zeros};
    int error = segment_write(&group->segment, pieces, count, group->start);
    free(pieces);
    return error;
}

static int sync_timed(const struct segment *segment)
{
    uint64_t begin = clock_microseconds();
    int error = segment_sync(segment);

    metric_observe(METRIC_STORE_SYNC, clock_microseconds() - begin);
    return error;
}

static int write_group(struct group *group)
{
    int error = 0;

    if (group->roll) {
        error = segment_create(&group->segment, group->spare);
        fault_point("roll.created");
        /* Not before the new one exists: its rest is what goes on when the disk is full. */
        if (error == 0 && group->sealed.fd >= 0)
            (void)segment_trim(&group->sealed, group->sealed_end);
    }
    if (error == 0)
        error = fault_try("commit.write", write_shared(group));
    if (error == 0)
        error = fault_try("commit.sync", sync_timed(&group->segment));
    return error;
}

/* A body with a segment of its own is complete when its header is there. */
static int write_own(struct commit *commit)
{
    struct iovec piece = {commit->header, commit->header->length};
    uint64_t offset = commit->header->offset;
    int error = fault_try("large.write", segment_write(commit->own, &piece, 1, offset));

    if (error == 0)
        error = segment_trim(commit->own, offset + record_span(commit->header));
    if (error == 0)
        error = fault_try("large.sync", sync_timed(commit->own));
    return error;
}

static void run_group(struct group *group)
{
    if (group->end > group->start)
        group->error = write_group(group);
    for (struct commit *commit = group->first; commit != NULL; commit = commit->next)
        commit->error = commit->own != NULL ? write_own(commit) : group->error;
}

/* One message to one peer: what the thread can tell. */
static bool is_alone(const struct group *group)
{
    return group->count == 1 && group->first->promise != NULL;
}

static bool may_tell(const struct group *group)
{
    if (!is_alone(group) || group->first->error != 0)
        return false;
    fault_point("delivery.unanswered");
    return true;
}

static void *commit_thread(void *context)
{
    struct commits *commits = context;
    uint64_t one = 1;

    for (;;) {
        while (sem_wait(&commits->ready) < 0)
            if (errno != EINTR)
                log_panic("the writer of mail cannot wait: %s", strerror(errno));
        struct group *group = commits->job;
        if (group == NULL)
            return NULL;
        commits->job = NULL;
        run_group(group);
        fault_point("commit.synced");
        struct channel_loan *loan = may_tell(group) ? group->loan : NULL;
        /* From here on the group is the loop's, which sees it before anybody sees what is told. */
        atomic_fetch_add(&commits->written, 1);
        if (loan != NULL && channel_loan_use(loan))
            fault_point("delivery.answered");
        if (write(commits->wakeup, &one, sizeof(one)) != sizeof(one))
            log_panic("the event loop cannot be woken: %s", strerror(errno));
    }
}

/* --- making a group ------------------------------------------------------------------------- */

static struct commit *take_first(struct commits *commits)
{
    struct commit *commit = commits->first;

    commits->first = commit->next;
    if (commits->first == NULL)
        commits->last = &commits->first;
    commit->next = NULL;
    return commit;
}

static void append(struct group *group, struct commit *commit)
{
    *group->last = commit;
    group->last = &commit->next;
    group->count++;
    group->octets += record_span(commit->header);
}

static bool is_refusing(const struct commits *commits)
{
    return commits->refuse_until > clock_seconds();
}

static bool goes_through(const struct commit *commit)
{
    return commit->frees_space || commit->moves;
}

static bool fits_active(const struct commits *commits, const struct commit *commit)
{
    uint64_t reserve = commit->frees_space ? 0 : SEGMENT_RESERVE;
    bool small = commits->active.size < commits->store->segment_size;

    return commits->active.fd >= 0 && (!small || goes_through(commit)) &&
           commits->active_end + record_span(commit->header) + reserve <= commits->active.size;
}

/*
 * The group begins a new segment. Its record is the group's first, so the segment before holds
 * nothing of this group; it is kept until the new one exists (settle_segment()). When the disk is
 * full, what frees space gets along with little; copies take more, for theirs are many.
 */
static void roll(struct commits *commits, struct group *group, const struct commit *commit)
{
    uint64_t least = SEGMENT_START + record_span(commit->header) + SEGMENT_RESERVE;
    struct store *store = commits->store;

    group->roll = true;
    group->small = goes_through(commit) && is_refusing(commits) && commits_full(commits);
    group->spare = group->small ? 0 : store->segment_size;
    if (group->small && commit->moves) {
        group->spare = COPIES_SPARE(store->segment_size);
        least += COPIES_SIZE(store->segment_size);
    }
    group->sealed = commits->active;
    group->sealed_end = commits->active_end;
    commits->active.id = store->next_segment++;
    commits->active.seed = store->seed;
    commits->active.size = store->segment_size;
    if (group->small || least > store->segment_size)
        commits->active.size = least;
    commits->active_end = SEGMENT_START;
    commits->active_written = 0;
}

static void place(struct commits *commits, struct commit *commit)
{
    struct record_header *header = commit->header;

    header->commit = commits->number;
    if (commit->own != NULL) {
        record_seal(header, commit->own->id, SEGMENT_START, commit->own->seed);
        return;
    }
    header->body_sum = record_sum(commits->store->seed, commit->body, header->body_length);
    record_seal(header, commits->active.id, commits->active_end, commits->store->seed);
    commits->active_end += record_span(header);
}

static void write_ahead(struct commits *commits, struct group *group)
{
    uint64_t room = commits->active.size - group->end;

    if (group->end - group->start <= AHEAD_GROUP_MAX && group->end > commits->active_written)
        group->zeros = room < AHEAD_OCTETS ? room : AHEAD_OCTETS;
    if (group->end + group->zeros > commits->active_written)
        commits->active_written = group->end + group->zeros;
}

static void refuse_first(struct commits *commits, enum store_result result)
{
    struct commit *commit = take_first(commits);

    commits->waiting -= record_span(commit->header);
    commit->done(commit, result);
}

/* Moves waiting records into the group, in order, as far as one write can take them. */
static void fill_group(struct commits *commits, struct group *group)
{
    bool shared = false;

    while (commits->first != NULL && group->count < GROUP_RECORDS_MAX &&
           group->octets < GROUP_OCTETS_MAX) {
        struct commit *commit = commits->first;
        if (commit->abandoned) {
            refuse_first(commits, STORE_BROKEN);
            continue;
        }
        if (commit->own == NULL) {
            if (!fits_active(commits, commit)) {
                if (shared)
                    break;
                roll(commits, group, commit);
            }
            if (!shared)
                group->start = commits->active_end;
            shared = true;
        }
        place(commits, take_first(commits));
        append(group, commit);
    }
    group->end = shared ? commits->active_end : group->start;
    group->segment = commits->active;
    if (shared)
        write_ahead(commits, group);
}

static enum store_result result_of(int error)
{
    if (error == 0)
        return STORE_OK;
    return segment_is_full(error) ? STORE_FULL : STORE_BROKEN;
}

/* Where no segment could be made a moment ago, deliveries that need one fail at once. */
static void refuse_at_once(struct commits *commits)
{
    while (commits->first != NULL && is_refusing(commits) && commits->first->own == NULL &&
           !goes_through(commits->first) && !fits_active(commits, commits->first))
        refuse_first(commits, result_of(commits->refusal));
}

static void start_group(struct commits *commits)
{
    struct group *group = &commits->groups[commits->current];

    refuse_at_once(commits);
    if (commits->running || commits->first == NULL)
        return;
    memset(group, 0, sizeof(*group));
    group->last = &group->first;
    group->sealed.fd = -1;
    group->loan = commits->loans[commits->current];
    commits->number++;
    fill_group(commits, group);
    commits->running = true;
    commits->job = group;
    sem_post(&commits->ready);
}

/* --- after a group -------------------------------------------------------------------------- */

static void tell_failure(struct commits *commits, uint64_t segment, int error)
{
    char name[SEGMENT_NAME_SIZE], what[SEGMENT_NAME_SIZE + 64];

    segment_name(segment, name);
    snprintf(what, sizeof(what), "%s takes no more mail, which is deferred", name);
    trouble_tell(TROUBLE_WRITE, what, error);
    metric_add(METRIC_STORE_WRITE_FAILURES, 1);
    commits->healthy = false;
}

/*
 * What goes into the rest of a segment while no new one can be made says little, and so does a
 * large message that finds room where a whole segment does not.
 */
static void tell_success(struct commits *commits, bool in_new_segment)
{
    if (in_new_segment)
        trouble_passed(TROUBLE_FULL);
    if (is_refusing(commits))
        return;
    commits->healthy = true;
    trouble_passed(TROUBLE_WRITE);
}

/*
 * A segment whose write or sync failed is never written again: after a failed fdatasync the kernel
 * may have dropped the pages and would call the next one a success. What the group left in it was
 * not acknowledged, so it is cut off as far as the disk allows.
 */
static void abandon_segment(struct commits *commits, struct group *group)
{
    (void)fault_try("abandon.trim", segment_trim(&group->segment, group->start));
    segment_close(&group->segment);
    segment_close(&group->sealed);
    commits->active.fd = -1;
    tell_failure(commits, group->segment.id, group->error);
}

static bool made_no_segment(const struct group *group)
{
    return group->roll && group->error != 0 && group->segment.fd < 0;
}

/* A new segment could not be made: the one before, with which nothing is wrong, goes on. */
static void return_to_sealed(struct commits *commits, struct group *group)
{
    commits->active = group->sealed;
    commits->active_end = group->sealed_end;
    commits->refuse_until = clock_seconds() + REFUSE_SECONDS;
    commits->refusal = group->error;
    if (segment_is_full(group->error))
        trouble_tell(TROUBLE_FULL, "mail is deferred until there is room", group->error);
    else
        tell_failure(commits, group->segment.id, group->error);
}

static void settle_segment(struct commits *commits, struct group *group)
{
    if (group->end == group->start)
        return;
    if (made_no_segment(group)) {
        return_to_sealed(commits, group);
    } else if (group->error != 0) {
        abandon_segment(commits, group);
    } else {
        segment_close(&group->sealed);
        commits->active.fd = group->segment.fd;
        if (group->roll && !group->small) {
            commits->refuse_until = 0;
            commits->refusal = 0;
        }
        tell_success(commits, group->roll && !group->small);
    }
}

/* Large messages: each stands or falls for itself. Whether anything of the group is durable. */
static bool settle_records(struct commits *commits, const struct group *group)
{
    bool any = false;

    for (const struct commit *commit = group->first; commit != NULL; commit = commit->next) {
        any |= commit->error == 0;
        if (commit->own != NULL && commit->error != 0)
            tell_failure(commits, commit->own->id, commit->error);
        else if (commit->own != NULL)
            tell_success(commits, !commits_full(commits));
    }
    return any;
}

static void commit_index(struct commits *commits)
{
    index_commit(commits->store->index);
    commits->uncommitted = 0;
    event_del(commits->age);
}

static void on_age(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    commit_index(context);
}

static void enter_into_index(struct commits *commits, const struct group *group)
{
    static const struct timeval age = {.tv_usec = INDEX_MICROSECONDS};
    struct index *index = commits->store->index;

    index_begin(index);
    for (struct commit *commit = group->first; commit != NULL; commit = commit->next) {
        const struct record_header *header = commit->header;
        if (commit->error != 0)
            continue;
        index_apply(index, header);
        if (commit->own != NULL)
            index_set_applied(index, header->segment, header->offset + record_span(header));
    }
    if (group->end > group->start && group->error == 0)
        index_set_applied(index, group->segment.id, group->end);
    metric_add(METRIC_STORE_COMMITS, 1);
    commits->uncommitted += group->count;
    if (commits->uncommitted >= INDEX_RECORDS_MAX)
        commit_index(commits);
    else if (event_pending(commits->age, EV_TIMEOUT, NULL) == 0)
        event_add(commits->age, &age);
}

/*
 * What frees space tries once more, in the rest of the segment before or in a small one. One that
 * was for copies left more of the disk free than an expunge in the same group has to.
 */
static bool try_again(struct commits *commits, struct group *group, struct commit *commit)
{
    bool smaller =
        segment_is_full(group->error) && (commit->frees_space ? group->spare > 0 : !group->small);

    if (!made_no_segment(group) || !goes_through(commit) ||
        !(smaller || fits_active(commits, commit)))
        return false;
    commit->next = commits->first;
    if (commits->first == NULL)
        commits->last = &commit->next;
    commits->first = commit;
    return true;
}

/* Who only waits for the disk need not wait for the index. */
static void tell_durable(const struct commits *commits, const struct group *group)
{
    for (struct commit *commit = group->first; commit != NULL; commit = commit->next)
        if (commit->error == 0 && commit->durable != NULL)
            commit->durable(commit);
    if (commits->store->durable != NULL)
        commits->store->durable(commits->store->committed_context);
}

static void tell_done(struct commits *commits, struct group *group, bool frees_space)
{
    struct commit **link = &group->first;

    while (*link != NULL) {
        struct commit *commit = *link;
        if (commit->frees_space != frees_space) {
            link = &commit->next;
            continue;
        }
        *link = commit->next;
        if (try_again(commits, group, commit))
            continue;
        commits->waiting -= record_span(commit->header);
        commit->done(commit, result_of(commit->error));
    }
}

static void tell_drained(struct commits *commits)
{
    if (commits->drained != NULL && !commits->running && commits->first == NULL)
        commits->drained(commits->drained_context);
}

/* While the disk works on a record that is alone, and all before it are settled. */
static void promise(struct commits *commits)
{
    struct group *group = &commits->groups[commits->current];

    if (!commits->running || group->promised || !is_alone(group))
        return;
    group->promised = true;
    group->first->promise(group->first, group->loan);
}

static void finish_group(struct commits *commits)
{
    struct group *group = &commits->groups[commits->current];

    commits->settled++;
    commits->running = false;
    if (channel_loan_end(group->loan))
        group->first->answered = true;
    settle_segment(commits, group);
    /* The disk works on the next group while this one goes into the index. */
    commits->current ^= 1;
    if (group->error == 0)
        start_group(commits);
    if (settle_records(commits, group)) {
        tell_durable(commits, group);
        enter_into_index(commits, group);
    }
    /* Who reads usage anew from the index (expunges, drops) must not be followed by who adds to it.
     */
    tell_done(commits, group, false);
    tell_done(commits, group, true);
    /* What could not run while the group before it had failed. */
    start_group(commits);
    if (commits->store->committed != NULL)
        commits->store->committed(commits->store->committed_context);
    promise(commits);
    tell_drained(commits);
}

static void finish_written(struct commits *commits)
{
    if (atomic_load(&commits->written) != commits->settled)
        finish_group(commits);
}

void commits_catch_up(struct commits *commits)
{
    if (commits->groups[commits->current].promised)
        finish_written(commits);
}

static void on_finished(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    finish_written(context);
}

static void on_start(evutil_socket_t fd, short what, void *context)
{
    struct commits *commits = context;
    (void)fd;
    (void)what;

    start_group(commits);
    promise(commits);
    tell_drained(commits);
}

/* --- the interface -------------------------------------------------------------------------- */

struct commits *commits_new(struct store *store)
{
    struct commits *commits = xcalloc(1, sizeof(*commits));

    commits->store = store;
    commits->last = &commits->first;
    commits->number = store->last_commit;
    commits->active.fd = -1;
    commits->healthy = true;
    for (size_t i = 0; i < 2; i++)
        commits->loans[i] = channel_loan_new();
    commits->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    commits->start = event_new(store->base, -1, 0, on_start, commits);
    commits->finished =
        event_new(store->base, commits->wakeup, EV_READ | EV_PERSIST | EV_ET, on_finished, commits);
    commits->age = event_new(store->base, -1, 0, on_age, commits);
    if (sem_init(&commits->ready, 0, 0) < 0 || commits->wakeup < 0 || commits->start == NULL ||
        commits->finished == NULL || commits->age == NULL ||
        event_add(commits->finished, NULL) < 0 ||
        pthread_create(&commits->thread, NULL, commit_thread, commits) != 0)
        log_fatal("cannot start the thread that writes mail");
    return commits;
}

void commits_free(struct commits *commits)
{
    if (commits == NULL)
        return;
    sem_post(&commits->ready);
    pthread_join(commits->thread, NULL);
    sem_destroy(&commits->ready);
    event_free(commits->start);
    event_free(commits->finished);
    event_free(commits->age);
    close(commits->wakeup);
    if (commits->active.fd >= 0)
        (void)segment_trim(&commits->active, commits->active_end);
    segment_close(&commits->active);
    for (size_t i = 0; i < 2; i++)
        channel_loan_free(commits->loans[i]);
    free(commits);
}

void commit_add(struct commits *commits, struct commit *commit)
{
    commit->next = NULL;
    *commits->last = commit;
    commits->last = &commit->next;
    commits->waiting += record_span(commit->header);
    event_active(commits->start, EV_TIMEOUT, 0);
}

uint64_t commits_waiting(const struct commits *commits)
{
    return commits->waiting;
}

bool commits_use(const struct commits *commits, uint64_t segment)
{
    const struct group *group = &commits->groups[commits->current];

    return (commits->active.fd >= 0 && commits->active.id == segment) ||
           (commits->running && (group->segment.id == segment || group->sealed.id == segment));
}

bool commits_go_behind(const struct commits *commits, uint64_t segment)
{
    const struct group *group = &commits->groups[commits->current];

    /* The one before goes on if the roll to a new one fails. */
    if (commits->running && group->roll)
        return (group->sealed.fd >= 0 ? group->sealed.id : group->segment.id) > segment;
    return commits->active.fd < 0 || commits->active.id > segment;
}

bool commits_full(const struct commits *commits)
{
    return segment_is_full(commits->refusal);
}

uint64_t commits_room_for_copies(const struct commits *commits)
{
    uint64_t size = commits->store->segment_size, room = segment_disk_room();
    uint64_t taken = COPIES_SPARE(size) + COPIES_SIZE(size) + SEGMENT_RESERVE;

    return room > taken ? room - taken : 0;
}

bool commits_healthy(const struct commits *commits)
{
    return commits->healthy;
}

void commits_drain(struct commits *commits, void (*drained)(void *context), void *context)
{
    commits->drained = drained;
    commits->drained_context = context;
    tell_drained(commits);
}
