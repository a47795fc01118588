/* SPDX-License-Identifier: MIT */
/* Feeds files to a fuzz target without a fuzzer: corpora and regressions are tests for any compiler.
 * Usage: TARGET [--changes N] FILE... gives each file as it is, and N times with a change: cut short, a few
 * bytes other, a piece doubled. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[INPUT_MAX];
static unsigned long inputs;
static uint64_t state = 1;

static size_t below(size_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return limit == 0 ? 0 : (size_t)(state % limit);
}

/* A copy of just that size, so that a read past its end is seen by a sanitizer. */
static void give(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size != 0 ? size : 1);
    if (copy == NULL)
        return;
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs++;
}

static void give_changed(size_t size)
{
    static uint8_t changed[2 * INPUT_MAX];
    memcpy(changed, input, size);
    size_t from = below(size), length = below(size - from), to = below(size);
    switch (below(3)) {
    case 0:
        size = from;
        break;
    case 1:
        for (size_t count = 1 + below(4); count != 0 && size != 0; count--)
            changed[below(size)] = (uint8_t)(below(2) == 0 ? below(256) : 255 * below(2));
        break;
    default:
        memmove(changed + to + length, changed + to, size - to);
        memcpy(changed + to, input + from, length);
        size += length;
        break;
    }
    give(changed, size);
}

static int give_file(const char *path, unsigned long changes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    give(input, size);
    while (changes-- != 0)
        give_changed(size);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long changes = 0;
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--changes") == 0) {
        changes = strtoul(argv[2], NULL, 10);
        first = 3;
    }
    for (int i = first; i < argc; i++)
        if (give_file(argv[i], changes) != 0)
            return 1;
    printf("%lu inputs\n", inputs);
    return 0;
}
