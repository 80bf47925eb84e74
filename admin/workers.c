#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "admin/workers.h"
#include "lib/log.h"
#include "lib/xalloc.h"

struct queue {
    struct work *first;
    struct work **end;
    unsigned count;
};

struct workers {
    pthread_mutex_t lock; /* of all that the threads change */
    pthread_cond_t some;
    struct queue waiting;
    struct queue finished;
    bool ending;
    unsigned most;
    unsigned limit;
    void (*run)(void *context, struct work *first);
    void *context;
    int bell; /* rings for the event loop when something is finished */
    struct event *rung;
    unsigned count;
    pthread_t *threads;
};

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

static void queue_add(struct queue *queue, struct work *work)
{
    work->next = NULL;
    *queue->end = work;
    queue->end = &work->next;
    queue->count++;
}

static struct work *queue_take(struct queue *queue)
{
    struct work *work = queue->first;

    queue->first = work->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    queue->count--;
    return work;
}

/* Moves up to `most` to another queue. */
static void queue_move(struct queue *from, struct queue *to, unsigned most)
{
    while (from->count > 0 && most-- > 0)
        queue_add(to, queue_take(from));
}

static void ring(const struct workers *workers)
{
    const uint64_t one = 1;

    if (write(workers->bell, &one, sizeof(one)) < 0 && errno != EAGAIN)
        log_panic("cannot wake the event loop: %s", strerror(errno));
}

static void *work_on(void *context)
{
    struct workers *workers = context;

    pthread_mutex_lock(&workers->lock);
    for (;;) {
        struct queue taken;
        while (workers->waiting.count == 0 && !workers->ending)
            pthread_cond_wait(&workers->some, &workers->lock);
        if (workers->waiting.count == 0)
            break;
        queue_init(&taken);
        queue_move(&workers->waiting, &taken, workers->most);
        pthread_mutex_unlock(&workers->lock);
        workers->run(workers->context, taken.first);
        pthread_mutex_lock(&workers->lock);
        bool silent = workers->finished.count == 0;
        queue_move(&taken, &workers->finished, taken.count);
        if (silent)
            ring(workers);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static void finish(struct workers *workers)
{
    struct queue done;

    queue_init(&done);
    pthread_mutex_lock(&workers->lock);
    queue_move(&workers->finished, &done, workers->finished.count);
    pthread_mutex_unlock(&workers->lock);
    while (done.count > 0) {
        struct work *work = queue_take(&done);
        work->done(work);
    }
}

static void on_rung(evutil_socket_t fd, short what, void *context)
{
    uint64_t count;
    (void)what;

    if (read(fd, &count, sizeof(count)) > 0)
        finish(context);
}

struct workers *workers_new(struct event_base *base, unsigned threads, unsigned most,
                            unsigned limit, void (*run)(void *context, struct work *first),
                            void *context)
{
    struct workers *workers = xcalloc(1, sizeof(*workers));

    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->some, NULL);
    queue_init(&workers->waiting);
    queue_init(&workers->finished);
    workers->most = most;
    workers->limit = limit;
    workers->run = run;
    workers->context = context;
    workers->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (workers->bell < 0)
        log_fatal("cannot make an eventfd: %s", strerror(errno));
    workers->rung = event_new(base, workers->bell, EV_READ | EV_PERSIST, on_rung, workers);
    if (workers->rung == NULL || event_add(workers->rung, NULL) < 0)
        log_fatal("cannot watch an eventfd");
    workers->threads = xcalloc(threads, sizeof(*workers->threads));
    for (; workers->count < threads; workers->count++)
        if ((errno = pthread_create(&workers->threads[workers->count], NULL, work_on, workers)) !=
            0)
            log_fatal("cannot start a thread: %s", strerror(errno));
    return workers;
}

int workers_submit(struct workers *workers, struct work *work)
{
    pthread_mutex_lock(&workers->lock);
    bool room = workers->waiting.count < workers->limit;
    if (room) {
        queue_add(&workers->waiting, work);
        pthread_cond_signal(&workers->some);
    }
    pthread_mutex_unlock(&workers->lock);
    return room ? 0 : -1;
}

unsigned workers_waiting(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    unsigned count = workers->waiting.count;
    pthread_mutex_unlock(&workers->lock);
    return count;
}

void workers_free(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    pthread_cond_broadcast(&workers->some);
    pthread_mutex_unlock(&workers->lock);
    while (workers->count > 0)
        pthread_join(workers->threads[--workers->count], NULL);
    finish(workers);
    event_free(workers->rung);
    close(workers->bell);
    pthread_cond_destroy(&workers->some);
    pthread_mutex_destroy(&workers->lock);
    free(workers->threads);
    free(workers);
}
