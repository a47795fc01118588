/* SPDX-License-Identifier: MIT */
/* The gateways' memory: an arena each, at a fixed place, so that a run is the same each time and a crash
 * leaves nothing behind. malloc and its kin come here by the linker's --wrap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim.h"

#define ARENA_SIZE (1ull << 30)
#define ARENA_BASE 0x200000000000ull
#define CLASSES    32
#define HEAD       16u
#define POISON_MAX 4096u

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);

/* In front of each block. */
struct head {
    uint32_t class;
    uint32_t magic;
    struct head *next; /* of the free list */
};

#define MAGIC_LIVE 0x4C495645u
#define MAGIC_FREE 0x46524545u

static struct arena {
    uint8_t *base;
    size_t used;
    size_t live; /* blocks */
    struct head *free[CLASSES];
} arenas[SIM_GATEWAYS];

void sim_memory_reset(unsigned gateway)
{
    struct arena *arena = &arenas[gateway];
    if (arena->base == NULL) {
        void *place = (void *)(uintptr_t)(ARENA_BASE + gateway * ARENA_SIZE);
        arena->base = mmap(place, ARENA_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        if (arena->base == MAP_FAILED) {
            perror("sim: mmap");
            exit(2);
        }
    }
    arena->used = arena->live = 0;
    memset(arena->free, 0, sizeof arena->free);
}

size_t sim_memory_live(unsigned gateway)
{
    return arenas[gateway].live;
}

static struct arena *arena_of(const void *memory)
{
    uintptr_t at = (uintptr_t)memory;
    if (at < ARENA_BASE || at >= ARENA_BASE + SIM_GATEWAYS * ARENA_SIZE)
        return NULL;
    return &arenas[(at - ARENA_BASE) / ARENA_SIZE];
}

static void *allocate(struct arena *arena, size_t size)
{
    uint32_t class = 5;
    while (((size_t)1 << class) < size + HEAD)
        class ++;
    struct head *head = arena->free[class];
    if (head != NULL) {
        arena->free[class] = head->next;
    } else {
        if (arena->used + ((size_t)1 << class) > ARENA_SIZE)
            return NULL;
        head = (struct head *)(void *)(arena->base + arena->used);
        arena->used += (size_t)1 << class;
    }
    head->class = class;
    head->magic = MAGIC_LIVE;
    arena->live++;
    uint8_t *memory = (uint8_t *)head + HEAD;
    memset(memory, 0xA5, size < POISON_MAX ? size : POISON_MAX);
    return memory;
}

static struct head *head_of(void *memory)
{
    struct head *head = (struct head *)(void *)((uint8_t *)memory - HEAD);
    if (head->magic != MAGIC_LIVE)
        sim_violate("memory is freed twice, or was overwritten in front");
    return head;
}

static void release(struct arena *arena, void *memory)
{
    struct head *head = head_of(memory);
    size_t size = ((size_t)1 << head->class) - HEAD;
    if (head->magic != MAGIC_LIVE)
        return;
    memset(memory, 0xDD, size < POISON_MAX ? size : POISON_MAX);
    head->magic = MAGIC_FREE;
    head->next = arena->free[head->class];
    arena->free[head->class] = head;
    arena->live--;
}

void *__wrap_malloc(size_t size)
{
    return sim.here == NULL ? __real_malloc(size) : allocate(&arenas[sim.here->number], size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (sim.here == NULL)
        return __real_calloc(count, size);
    void *memory = allocate(&arenas[sim.here->number], count * size);
    return memory == NULL ? NULL : memset(memory, 0, count * size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    struct arena *arena = memory == NULL ? NULL : arena_of(memory);
    if (arena == NULL && (memory != NULL || sim.here == NULL))
        return __real_realloc(memory, size);
    if (memory == NULL)
        return __wrap_malloc(size);
    size_t old = ((size_t)1 << head_of(memory)->class) - HEAD;
    if (size <= old)
        return memory;
    void *bigger = allocate(arena, size);
    if (bigger != NULL) {
        memcpy(bigger, memory, old);
        release(arena, memory);
    }
    return bigger;
}

void __wrap_free(void *memory)
{
    struct arena *arena = memory == NULL ? NULL : arena_of(memory);
    if (arena != NULL)
        release(arena, memory);
    else
        __real_free(memory);
}

char *__wrap_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = __wrap_malloc(size);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}
