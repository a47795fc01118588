/* SPDX-License-Identifier: MIT */
#include "library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tern_host.h"

/* `*name` is the one that was opened, or else the first that was tried. */
static void *open_library(const struct tern_library *library, const char **name)
{
    const char *path = getenv(library->variable);
    void *found = NULL;
    if (path != NULL && path[0] != '\0') {
        *name = path;
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    *name = library->names[0];
    for (const char *const *next = library->names; *next != NULL && found == NULL; next++)
        if ((found = dlopen(*next, RTLD_NOW | RTLD_LOCAL)) != NULL)
            *name = *next;
    return found;
}

int tern_library_load(const struct tern_library *library, void *api, char *error, size_t size)
{
    const char *name;
    void *found = open_library(library, &name);
    if (found == NULL) {
        snprintf(error, size,
                 "%s %s cannot be opened: install it (Debian package %s), or name it in the environment "
                 "variable %s",
                 library->product, name, library->package, library->variable);
        return -1;
    }
    for (size_t i = 0; i < library->symbol_count; i++) {
        void *address = dlsym(found, library->symbols[i].name);
        if (address == NULL && !library->symbols[i].optional) {
            snprintf(error, size, "%s has no function %s: it is not %s, or too old a one", name,
                     library->symbols[i].name, library->product);
            return -1;
        }
        memcpy((char *)api + library->symbols[i].offset, &address, sizeof address);
    }
    const char *reason = library->refuse == NULL ? NULL : library->refuse(api);
    if (reason == NULL)
        return 0;
    snprintf(error, size, "%s %s", name, reason);
    return -1;
}

int tern_library_find(const struct tern_library *library, void *pointer, void *room, char *error, size_t size)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    const void *there;
    int status = TERN_HOST_OK;
    pthread_mutex_lock(&mutex);
    memcpy(&there, pointer, sizeof there);
    if (there == NULL && tern_library_load(library, room, error, size) == 0)
        memcpy(pointer, &room, sizeof room);
    else if (there == NULL)
        status = TERN_HOST_E_LIBRARY;
    pthread_mutex_unlock(&mutex);
    return status;
}
