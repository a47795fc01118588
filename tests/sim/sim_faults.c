/* SPDX-License-Identifier: MIT */
/* Chance, faults and their rates, the trace. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim.h"
#include "../test.h"

struct sim sim;

/* Opportunities in a million, at strength 1. What counts as one: for LINK_LOSS to LINK_TRUNCATE a frame; for
 * HOST_CRASH, HOST_FULL and HOST_FSYNC a file operation; for SINK_CRASH to SINK_UNKNOWN an operation of the
 * destination; for SINK_POISON a record; for HOST_STOP, HOST_CLOCK and SINK_RESTORE a turn; for LINK_LATE a
 * flash's first start; for DEVICE_AIMED, a power cut in one of the programs that follow, a failure of the
 * flash or a new epoch; for everything else a step of a device's application. */
static const struct {
    const char *name;
    uint32_t rate;
} faults[SIM_FAULTS] = {
    [LINK_LOSS] = {"loss", 40000},       [LINK_DUPLICATE] = {"duplicate", 40000},
    [LINK_REORDER] = {"reorder", 40000}, [LINK_DELAY] = {"delay", 60000},
    [LINK_CORRUPT] = {"corrupt", 20000}, [LINK_TRUNCATE] = {"truncate", 15000},
    [LINK_STALL] = {"stall", 4000},      [LINK_HALF_OPEN] = {"half-open", 3000},
    [LINK_HANGUP] = {"hangup", 10000},   [LINK_ROAM] = {"roam", 8000},
    [LINK_LATE] = {"late", 300000},      [LINK_REPLAY] = {"replay", 4000},
    [LINK_HOSTILE] = {"hostile", 3000},  [LINK_FORGED] = {"forged", 4000},
    [HOST_CRASH] = {"crash", 3000},      [HOST_TORN] = {"torn", 500000},
    [HOST_STOP] = {"stop", 800},         [HOST_FULL] = {"disk-full", 2000},
    [HOST_FSYNC] = {"fsync", 6000},      [HOST_CLOCK] = {"wall-clock", 2000},
    [SINK_CRASH] = {"sink-crash", 2000}, [SINK_DOWN] = {"down", 1500},
    [SINK_SLOW] = {"slow", 20000},       [SINK_DEADLOCK] = {"deadlock", 8000},
    [SINK_UNKNOWN] = {"unknown", 20000}, [SINK_RESTORE] = {"restore", 1500},
    [SINK_POISON] = {"poison", 6000},    [DEVICE_CUT] = {"cut", 5000},
    [DEVICE_RESET] = {"reset", 5000},    [DEVICE_CLOCK] = {"clock", 3000},
    [DEVICE_FACTORY] = {"factory", 500}, [DEVICE_FIRMWARE] = {"firmware", 2000},
    [DEVICE_CLONE] = {"clone", 250},     [DEVICE_ROT] = {"rot", 200},
    [DEVICE_FLASH] = {"flash", 2000},    [DEVICE_PROGRAM] = {"program", 8000},
    [DEVICE_AIMED] = {"aimed", 1000000},
};

uint64_t sim_random(void)
{
    return test_random(&sim.random);
}

uint32_t sim_below(uint32_t limit)
{
    return (uint32_t)((sim_random() >> 32) * limit >> 32);
}

bool sim_happens(enum sim_fault fault)
{
    if (sim.is_calm || sim.rates[fault] == 0 || sim_below(1000000) >= sim.rates[fault])
        return false;
    sim.counts[fault]++;
    TRACE("fault %s", faults[fault].name);
    return true;
}

const char *sim_fault_name(enum sim_fault fault)
{
    return faults[fault].name;
}

bool sim_find_fault(const char *name, size_t size, enum sim_fault *fault)
{
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        if (strlen(faults[i].name) == size && memcmp(faults[i].name, name, size) == 0) {
            *fault = (enum sim_fault)i;
            return true;
        }
    return false;
}

/* Half of them are off in a run, so that one fault cannot hide another. */
void sim_draw_rates(void)
{
    static const uint32_t strengths[] = {0, 0, 0, 0, 1, 2, 4, 12}; /* quarters */
    bool rare = sim_below(3) != 0; /* those after which less can be expected */
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        sim.rates[i] = faults[i].rate * strengths[sim_below(8)] / 4;
    if (rare)
        sim.rates[DEVICE_CLONE] = sim.rates[DEVICE_ROT] = sim.rates[DEVICE_FACTORY] =
            sim.rates[DEVICE_FLASH] = 0;
    if (sim.rates[HOST_TORN] > 1000000)
        sim.rates[HOST_TORN] = 1000000;
}

void sim_trace(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%8lld.%03d ", (long long)(sim.now / 1000), (int)(sim.now % 1000));
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void sim_violate(const char *format, ...)
{
    va_list arguments;
    if (sim.is_over)
        return;
    sim.is_over = true;
    va_start(arguments, format);
    vsnprintf(sim.what, sizeof sim.what, format, arguments);
    va_end(arguments);
    TRACE("VIOLATION %s", sim.what);
}
