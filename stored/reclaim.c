#include <event2/event.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/xalloc.h"
#include "stored/commit.h"
#include "stored/emptying.h"
#include "stored/index.h"
#include "stored/reclaim.h"
#include "stored/segment.h"
#include "stored/store.h"

/*
 * What the segments may take up: two fifths more than the live mail in them, and one segment. That
 * the sparsest goes first keeps what is copied low; less slack would copy more for less.
 */
#define RECLAIM_ALLOWED(live, segment_size) ((live) + (live) / 5 * 2 + (segment_size))

/* A segment that is fuller than this is not worth the copying: nine tenths. */
#define RECLAIM_SPARSE(used, live) ((live) < (used) / 10 * 9)

/* Milliseconds between steps while there is work that has to wait, and while there is none. */
#define PAUSE_WORKING 20
#define PAUSE_IDLE    500

/* A step is followed by a rest of so many times what it took: to remove a segment is two syncs. */
#define REST 4

/* Seconds until a segment is looked at again of which something had to stay. */
#define PATIENCE 10

/* Octets that may be copied at once after a pause: a quarter of a second's. */
#define BURST(rate) ((rate) / 4)

#define NEVER UINT64_MAX

/* Segments that are left alone for a while, or for good. */
struct avoided {
    uint64_t segment;
    uint32_t until; /* 0: as long as this process runs */
};

struct reclaim {
    struct store *store;
    struct event *tick;
    struct emptying *emptying; /* NULL: nothing to do */
    uint64_t segment;          /* that it is about */
    uint64_t punched;          /* the segment that was punched last, so is next to be emptied */
    struct avoided *avoided;
    size_t avoided_count;
    int64_t budget;     /* octets that may be copied now */
    uint64_t filled;    /* this, in clock_microseconds() */
    uint64_t looked_at; /* index_changes() at the last look for work, or NEVER */
    bool looked_full;   /* and whether the disk was full */
    bool stopped;
};

struct choice {
    const struct reclaim *reclaim;
    uint64_t used, live; /* of all segments */
    uint64_t dead;       /* the oldest without live mail; 0: none */
    uint64_t sparsest;
    uint64_t sparsest_used, sparsest_live;
};

/* --- which segment ---------------------------------------------------------------------------- */

static void avoid(struct reclaim *reclaim, uint64_t segment, uint32_t until)
{
    reclaim->avoided =
        xrealloc(reclaim->avoided, (reclaim->avoided_count + 1) * sizeof(*reclaim->avoided));
    reclaim->avoided[reclaim->avoided_count++] = (struct avoided){segment, until};
}

/* Another one may be worked on meanwhile. */
static void leave_for_now(struct reclaim *reclaim)
{
    avoid(reclaim, reclaim->segment, clock_seconds() + PATIENCE);
    reclaim->looked_at = NEVER;
}

/* Whether there were any whose time has come. */
static bool forgive(struct reclaim *reclaim)
{
    uint32_t now = clock_seconds();
    size_t kept = 0, count = reclaim->avoided_count;

    for (size_t i = 0; i < count; i++)
        if (reclaim->avoided[i].until == 0 || reclaim->avoided[i].until > now)
            reclaim->avoided[kept++] = reclaim->avoided[i];
    reclaim->avoided_count = kept;
    return kept < count;
}

static bool is_avoided(const struct reclaim *reclaim, uint64_t segment)
{
    for (size_t i = 0; i < reclaim->avoided_count; i++)
        if (reclaim->avoided[i].segment == segment)
            return true;
    return false;
}

static int consider(void *context, const struct index_segment *row)
{
    struct choice *choice = context;
    uint64_t used = row->applied > row->punched ? row->applied - row->punched : 0;

    choice->used += used;
    choice->live += row->live;
    if (commits_use(choice->reclaim->store->commits, row->segment) ||
        is_avoided(choice->reclaim, row->segment))
        return 0;
    if (row->live == 0) {
        if (choice->dead == 0)
            choice->dead = row->segment;
    } else if (RECLAIM_SPARSE(used, row->live) &&
               (choice->sparsest == 0 ||
                (double)row->live / (double)used <
                    (double)choice->sparsest_live / (double)choice->sparsest_used)) {
        choice->sparsest = row->segment;
        choice->sparsest_used = used;
        choice->sparsest_live = row->live;
    }
    return 0;
}

/* Looks for a segment to work on, if anything has changed since the last look. */
static void choose(struct reclaim *reclaim)
{
    struct store *store = reclaim->store;
    struct choice choice = {.reclaim = reclaim};
    enum emptying_way way = EMPTYING_REMOVE;
    uint64_t changes = index_changes(store->index);
    bool full = commits_full(store->commits);

    if (!forgive(reclaim) && reclaim->looked_at == changes && reclaim->looked_full == full)
        return;
    reclaim->looked_at = changes;
    reclaim->looked_full = full;
    if (index_each_segment(store->index, consider, &choice) < 0)
        return;
    metric_set(METRIC_STORE_LIVE_OCTETS, (int64_t)choice.live);
    metric_set(METRIC_STORE_USED_OCTETS, (int64_t)choice.used);
    reclaim->segment = choice.dead;
    /* With the disk full, mail is refused for the want of the slack: then none is left. */
    uint64_t allowed = full ? choice.live : RECLAIM_ALLOWED(choice.live, store->segment_size);
    bool possible = true; /* copies that cannot be finished would take room and give none */
    if (choice.dead == 0 && choice.used > allowed) {
        reclaim->segment = choice.sparsest;
        if (reclaim->punched != choice.sparsest)
            way = EMPTYING_PUNCH;
        else if (full)
            possible = choice.sparsest_live <= commits_room_for_copies(store->commits);
        reclaim->punched = choice.sparsest;
    }
    if (reclaim->segment == 0)
        return;
    if (possible)
        reclaim->emptying = emptying_new(store, reclaim->segment, way);
    if (reclaim->emptying == NULL)
        leave_for_now(reclaim);
}

/* --- when ------------------------------------------------------------------------------------- */

static void refill(struct reclaim *reclaim)
{
    uint64_t rate = reclaim->store->reclaim_rate;
    uint64_t now = clock_microseconds();

    reclaim->budget += (int64_t)((double)(now - reclaim->filled) / 1e6 * (double)rate);
    reclaim->filled = now;
    if (reclaim->budget > (int64_t)BURST(rate))
        reclaim->budget = (int64_t)BURST(rate);
}

static void schedule(struct reclaim *reclaim, int milliseconds)
{
    const struct timeval pause = {.tv_usec = milliseconds * 1000};

    if (event_add(reclaim->tick, &pause) < 0)
        log_fatal("out of memory");
}

static void end_job(struct reclaim *reclaim, enum emptying_result result)
{
    char name[SEGMENT_NAME_SIZE];

    emptying_free(reclaim->emptying);
    reclaim->emptying = NULL;
    /* Its own writes have changed the index; and a change meanwhile may have been overlooked. */
    reclaim->looked_at = NEVER;
    if (result == EMPTYING_BUSY)
        leave_for_now(reclaim);
    if (result != EMPTYING_DAMAGED)
        return;
    segment_name(reclaim->segment, name);
    log_warning("%s is damaged and keeps its space; run \"bellhop -C DIR store verify\"", name);
    avoid(reclaim, reclaim->segment, 0);
}

/* One step. The milliseconds until the next. */
static int work(struct reclaim *reclaim)
{
    uint64_t copied;

    if (reclaim->store->holds > 0)
        return PAUSE_WORKING;
    if (reclaim->emptying == NULL)
        choose(reclaim);
    if (reclaim->emptying == NULL)
        return PAUSE_IDLE;
    refill(reclaim);
    if (reclaim->budget < 0)
        return PAUSE_WORKING;
    uint64_t begun = clock_microseconds();
    enum emptying_result result = emptying_step(reclaim->emptying, &copied);
    reclaim->budget -= (int64_t)copied;
    if (result == EMPTYING_WAITS)
        return PAUSE_WORKING;
    if (result != EMPTYING_GOES_ON)
        end_job(reclaim, result);
    double rest = REST * (double)(clock_microseconds() - begun) / 1000;
    return rest < PAUSE_IDLE ? (int)rest : PAUSE_IDLE;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct reclaim *reclaim = context;
    (void)fd;
    (void)what;

    if (!reclaim->stopped)
        schedule(reclaim, work(reclaim));
}

struct reclaim *reclaim_new(struct store *store)
{
    struct reclaim *reclaim = xcalloc(1, sizeof(*reclaim));

    reclaim->store = store;
    reclaim->looked_at = NEVER;
    reclaim->filled = clock_microseconds();
    reclaim->tick = evtimer_new(store->base, on_tick, reclaim);
    if (reclaim->tick == NULL)
        log_fatal("out of memory");
    schedule(reclaim, PAUSE_WORKING);
    return reclaim;
}

void reclaim_stop(struct reclaim *reclaim)
{
    reclaim->stopped = true;
}

void reclaim_free(struct reclaim *reclaim)
{
    if (reclaim == NULL)
        return;
    if (reclaim->emptying != NULL)
        emptying_free(reclaim->emptying);
    event_free(reclaim->tick);
    free(reclaim->avoided);
    free(reclaim);
}
