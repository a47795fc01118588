/* SPDX-License-Identifier: MIT */
/* A database's client library, opened at run time: its functions as pointers in a struct. */
#ifndef TERN_LIBRARY_H
#define TERN_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct tern_library {
    const char *const *names; /* of files, ended by NULL: the first that opens is taken */
    const char *variable;     /* of the environment: the file instead */
    const char *product;      /* for messages, as "PostgreSQL's library" */
    const char *package;      /* Debian's */
    const struct tern_library_symbol {
        const char *name;
        size_t offset; /* of its pointer in the struct */
        bool optional; /* the pointer is NULL where the library has no such function */
    } * symbols;
    size_t symbol_count;
    const char *(*refuse)(const void *api); /* why the one that was found cannot be used, NULL: it can */
};

/* Fills `api`. 0, or -1 with the reason in `error`. The library stays open for the life of the process. */
int tern_library_load(const struct tern_library *library, void *api, char *error, size_t size);

/* Where `pointer`, the address of a pointer to such a struct, holds NULL: fills `room` and lets it point
 * there. From any thread. TERN_HOST_OK, or TERN_HOST_E_LIBRARY with the reason in `error`. */
int tern_library_find(const struct tern_library *library, void *pointer, void *room, char *error,
                      size_t size);

#endif
