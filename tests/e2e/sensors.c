/* SPDX-License-Identifier: MIT */
/* Prints believable readings of one room as CSV, the same for the same seed: sensors ROWS SEED [START]. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PERIOD 60 /* seconds between rows */

static uint64_t state;

/* splitmix64, S. Vigna (public domain algorithm). */
static uint32_t random_below(uint32_t limit)
{
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ (z >> 31)) % limit);
}

/* One step of a walk that is drawn back to `centre`. */
static int32_t walk(int32_t value, int32_t centre, int32_t step)
{
    return value + (centre - value) / 64 + (int32_t)random_below((uint32_t)(2 * step + 1)) - step;
}

/* What a person would note: mostly nothing (NULL), now and then a word, a sentence with a comma, or an empty
 * string. */
static const char *note(void)
{
    switch (random_below(200)) {
    case 0:
        return "\"window open, again\"";
    case 1:
        return "cleaned";
    case 2:
        return "\"\"";
    case 3:
        return "\"said \"\"too dry\"\"\"";
    default:
        return "";
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: sensors ROWS SEED [START]\n");
        return 2;
    }
    uint64_t rows = strtoull(argv[1], NULL, 10);
    int64_t at = argc > 3 ? strtoll(argv[3], NULL, 10) : 1767225600;
    state = strtoull(argv[2], NULL, 10);
    int32_t celsius = 2100, humidity = 410, co2 = 600;
    printf("at,celsius,humidity,co2,note\n");
    for (uint64_t i = 0; i < rows; i++, at += PERIOD) {
        int32_t hour = (int32_t)(at / 3600 % 24);
        int32_t busy = hour >= 8 && hour < 18;
        celsius = walk(celsius, busy ? 2250 : 1900, 6);
        humidity = walk(humidity, busy ? 450 : 380, 3);
        co2 = walk(co2, busy ? 950 : 450, 9);
        printf("%" PRId64 ",%d.%02d,%d.%d,%d,%s\n", at, celsius / 100, celsius % 100, humidity / 10,
               humidity % 10, co2, note());
    }
    return ferror(stdout) || fclose(stdout) != 0;
}
