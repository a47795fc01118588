/* SPDX-License-Identifier: MIT */
/* Threads, locks and clocks of the gateways on virtual time: a thread is a fiber that runs until it waits. By
 * the linker's --wrap. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "sim.h"

#define FIBERS     48
#define STACK_SIZE (512u << 10)
#define START_WALL 1790000000000ll /* Unix milliseconds at virtual time 0 */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __real_pthread_cond_destroy(pthread_cond_t *condition);
int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __real_pthread_cond_broadcast(pthread_cond_t *condition);
int __real_pthread_cond_signal(pthread_cond_t *condition);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_destroy(pthread_cond_t *condition);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until);
int __wrap_pthread_cond_broadcast(pthread_cond_t *condition);
int __wrap_pthread_cond_signal(pthread_cond_t *condition);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

struct fiber {
    bool is_used, is_done;
    struct sim_gateway *gateway;
    const pthread_cond_t *waits; /* NULL: sleeps only */
    bool was_woken;
    int64_t due;
    void *(*run)(void *);
    void *context;
    ucontext_t state;
    uint8_t *stack;
};

static struct fiber fibers[FIBERS];
static struct fiber *running; /* NULL: the main stack */
static ucontext_t main_state;

/* ---- Switching ------------------------------------------------------------------------------- */

static void start(void)
{
    running->run(running->context);
    running->is_done = true;
    swapcontext(&running->state, &main_state);
}

static void resume(struct fiber *fiber)
{
    struct sim_gateway *was = sim.here;
    running = fiber;
    sim.here = fiber->gateway;
    swapcontext(&main_state, &fiber->state);
    running = NULL;
    sim.here = was;
}

/* Leaves the fiber until `due`, or until it is woken. */
static void leave(int64_t due)
{
    struct fiber *fiber = running;
    fiber->due = due;
    swapcontext(&fiber->state, &main_state);
}

void sim_fibers_reset(void)
{
    for (unsigned i = 0; i < FIBERS; i++)
        fibers[i].is_used = false;
    running = NULL;
}

void sim_fibers_kill(struct sim_gateway *gateway)
{
    for (unsigned i = 0; i < FIBERS; i++)
        if (fibers[i].gateway == gateway)
            fibers[i].is_used = false;
}

static bool is_alive(const struct fiber *fiber)
{
    return fiber->is_used && !fiber->is_done && !fiber->gateway->has_crashed;
}

int64_t sim_fibers_due(void)
{
    int64_t due = SIM_NEVER;
    for (unsigned i = 0; i < FIBERS; i++)
        if (is_alive(&fibers[i]) && fibers[i].due < due)
            due = fibers[i].due;
    return due;
}

void sim_fibers_run(void)
{
    for (unsigned i = 0; i < FIBERS; i++)
        if (is_alive(&fibers[i]) && fibers[i].due <= sim.now)
            resume(&fibers[i]);
}

void sim_sleep(int64_t milliseconds)
{
    if (running == NULL)
        return;
    running->waits = NULL;
    leave(sim.now + milliseconds);
}

void sim_crash(void)
{
    sim.here->has_crashed = true;
    TRACE("gateway %u crashes", sim.here->number);
    if (running != NULL)
        swapcontext(&running->state, &main_state);
    longjmp(sim.here->escape, 1);
}

void sim_crash_point(enum sim_fault fault)
{
    if (sim.here != NULL && (running != NULL || sim.here->on_main) && sim_happens(fault))
        sim_crash();
}

/* ---- Threads --------------------------------------------------------------------------------- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context)
{
    if (sim.here == NULL)
        return __real_pthread_create(thread, attributes, run, context);
    for (unsigned i = 0; i < FIBERS; i++) {
        struct fiber *fiber = &fibers[i];
        if (fiber->is_used)
            continue;
        if (fiber->stack == NULL)
            fiber->stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        fiber->is_used = true;
        fiber->is_done = fiber->was_woken = false;
        fiber->waits = NULL;
        fiber->gateway = sim.here;
        fiber->due = sim.now;
        fiber->run = run;
        fiber->context = context;
        getcontext(&fiber->state);
        fiber->state.uc_stack.ss_sp = fiber->stack;
        fiber->state.uc_stack.ss_size = STACK_SIZE;
        fiber->state.uc_link = &main_state;
        makecontext(&fiber->state, start, 0);
        *thread = (pthread_t)(i + 1);
        return 0;
    }
    return EAGAIN;
}

/* On the main stack all else stands still: the fibers of this gateway run, and time goes on for them. */
static bool run_others(void)
{
    int64_t due = SIM_NEVER;
    for (unsigned i = 0; i < FIBERS; i++)
        if (is_alive(&fibers[i]) && fibers[i].gateway == sim.here && fibers[i].due < due)
            due = fibers[i].due;
    if (due == SIM_NEVER)
        return false;
    if (due > sim.now)
        sim.now = due;
    for (unsigned i = 0; i < FIBERS; i++)
        if (is_alive(&fibers[i]) && fibers[i].gateway == sim.here && fibers[i].due <= sim.now)
            resume(&fibers[i]);
    if (sim.here->has_crashed)
        longjmp(sim.here->escape, 1);
    return true;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    if (sim.here == NULL)
        return __real_pthread_join(thread, result);
    struct fiber *fiber = &fibers[(size_t)thread - 1];
    while (!fiber->is_done && !sim.is_over) {
        if (running != NULL)
            sim_sleep(1);
        else if (!run_others())
            sim_violate("gateway %u waits for a thread that waits for ever", sim.here->number);
    }
    fiber->is_used = false;
    return 0;
}

/* ---- Locks: the first int of the mutex says whether it is held ------------------------------- */

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    if (sim.here == NULL)
        return __real_pthread_mutex_init(mutex, attributes);
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    if (sim.here == NULL)
        return __real_pthread_mutex_destroy(mutex);
    if (*(int *)mutex != 0)
        sim_violate("a mutex is destroyed while it is held");
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (sim.here == NULL)
        return __real_pthread_mutex_lock(mutex);
    while (*(int *)mutex != 0 && !sim.is_over) {
        if (running != NULL)
            sim_sleep(1);
        else if (!run_others())
            sim_violate("gateway %u is locked for ever", sim.here->number);
    }
    *(int *)mutex = 1;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (sim.here == NULL)
        return __real_pthread_mutex_unlock(mutex);
    if (*(int *)mutex == 0)
        sim_violate("a mutex is released that nobody holds");
    *(int *)mutex = 0;
    return 0;
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    if (sim.here == NULL)
        return __real_pthread_cond_init(condition, attributes);
    memset(condition, 0, sizeof *condition);
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *condition)
{
    return sim.here == NULL ? __real_pthread_cond_destroy(condition) : 0;
}

static int wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t due)
{
    __wrap_pthread_mutex_unlock(mutex);
    bool woken = false;
    if (running != NULL) {
        struct fiber *fiber = running;
        fiber->waits = condition;
        fiber->was_woken = false;
        leave(due < sim.now ? sim.now : due);
        fiber->waits = NULL;
        woken = fiber->was_woken;
    } else {
        woken = run_others();
    }
    __wrap_pthread_mutex_lock(mutex);
    return woken || sim.now < due ? 0 : ETIMEDOUT;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    if (sim.here == NULL)
        return __real_pthread_cond_wait(condition, mutex);
    return wait_until(condition, mutex, SIM_NEVER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    if (sim.here == NULL)
        return __real_pthread_cond_timedwait(condition, mutex, until);
    return wait_until(condition, mutex, (int64_t)until->tv_sec * 1000 + (until->tv_nsec + 999999) / 1000000);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *condition)
{
    if (sim.here == NULL)
        return __real_pthread_cond_broadcast(condition);
    for (unsigned i = 0; i < FIBERS; i++)
        if (fibers[i].is_used && fibers[i].waits == condition) {
            fibers[i].was_woken = true;
            fibers[i].due = sim.now;
        }
    return 0;
}

int __wrap_pthread_cond_signal(pthread_cond_t *condition)
{
    return sim.here == NULL ? __real_pthread_cond_signal(condition)
                            : __wrap_pthread_cond_broadcast(condition);
}

/* ---- Clocks ---------------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (sim.here == NULL)
        return __real_clock_gettime(clock, now);
    int64_t time = clock == CLOCK_REALTIME ? START_WALL + sim.now + sim.here->wall : sim.now;
    if (time < 0)
        time = 0;
    now->tv_sec = (time_t)(time / 1000);
    now->tv_nsec = (long)(time % 1000) * 1000000;
    return 0;
}
