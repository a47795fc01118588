/* SPDX-License-Identifier: MIT */
/* Feeds files to a fuzz target without a fuzzer: corpora and regressions are tests for any compiler. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX (1 << 20)

int main(int argc, char **argv)
{
    static uint8_t input[INPUT_MAX];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 1;
        }
        size_t size = fread(input, 1, sizeof(input), file);
        fclose(file);
        /* A copy of just that size, so that a read past its end is seen by a sanitizer. */
        uint8_t *copy = malloc(size != 0 ? size : 1);
        for (size_t k = 0; copy != NULL && k < size; k++)
            copy[k] = input[k];
        if (copy != NULL)
            LLVMFuzzerTestOneInput(copy, size);
        free(copy);
    }
    printf("%d passed, 0 failed\n", argc - 1);
    return 0;
}
