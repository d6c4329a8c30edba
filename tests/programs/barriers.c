/* Threads that work for some 200 us each and wait for one another in a spin barrier, as those of OpenMP do. */

#include <pthread.h>
#include <stdatomic.h>

enum { MOST = 256, WORK = 60000 };

static atomic_long arrived;
static long threads, rounds;

static void *work(void *unused)
{
    (void)unused;
    volatile double x = 1;
    for (long round = 1; round <= rounds; round++) {
        for (long i = 0; i < WORK; i++)
            x = x * 1.0000001 + 1e-9;
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&arrived) < round * threads)
            ;
    }
    return 0;
}

int meet(int count, int times)
{
    pthread_t others[MOST];
    threads = count > MOST ? MOST : count;
    rounds = times;
    atomic_store(&arrived, 0);
    for (long i = 1; i < threads; i++)
        if (pthread_create(&others[i], 0, work, 0))
            return 1;
    work(0);
    for (long i = 1; i < threads; i++)
        pthread_join(others[i], 0);
    return 0;
}
