#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "tests/crash/writer.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_t loop_thread;
static bool begun;
static unsigned work;  /* groups that it was handed, until its word that it is done with each */
static bool its_turn;  /* the mutex's, as the next */
static unsigned calls; /* left in its turn */

/* Takes the place of libc's: how a group is handed over (stored/commit.c). */
int sem_post(sem_t *semaphore)
{
    static int (*real)(sem_t *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "sem_post");
    if (!writer_is_self())
        work++;
    return real(semaphore);
}

void writer_init(void)
{
    loop_thread = pthread_self();
    begun = true;
    its_turn = false;
    calls = work = 0;
}

bool writer_is_self(void)
{
    return begun && !pthread_equal(pthread_self(), loop_thread);
}

bool writer_is_busy(void)
{
    return work > 0;
}

static void hand_over(bool to_writer)
{
    its_turn = to_writer;
    pthread_cond_broadcast(&changed);
    while (its_turn == to_writer)
        pthread_cond_wait(&changed, &mutex);
}

void writer_let(unsigned number)
{
    if (work == 0 || number == 0)
        return;
    pthread_mutex_lock(&mutex);
    calls = number;
    hand_over(true);
    pthread_mutex_unlock(&mutex);
}

void writer_enter(void)
{
    if (!writer_is_self())
        return;
    pthread_mutex_lock(&mutex);
    if (its_turn && calls == 0)
        hand_over(false);
    while (!its_turn)
        pthread_cond_wait(&changed, &mutex);
    calls--;
    pthread_mutex_unlock(&mutex);
}

void writer_done(void)
{
    pthread_mutex_lock(&mutex);
    work--;
    its_turn = false;
    calls = 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}
