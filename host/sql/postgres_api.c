/* SPDX-License-Identifier: MIT */
#include "postgres_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct tern_postgres_api *tern_postgres_library;

struct symbol {
    const char *name;
    size_t offset;
};

#define SYMBOL(name)                                                                                         \
    {                                                                                                        \
        "PQ" #name, offsetof(struct tern_postgres_api, name)                                                 \
    }

static const struct symbol symbols[] = {SYMBOL(connectStartParams),
                                        SYMBOL(connectPoll),
                                        SYMBOL(status),
                                        SYMBOL(finish),
                                        SYMBOL(errorMessage),
                                        SYMBOL(socket),
                                        SYMBOL(serverVersion),
                                        SYMBOL(transactionStatus),
                                        SYMBOL(setNoticeProcessor),
                                        SYMBOL(conninfoParse),
                                        SYMBOL(conninfoFree),
                                        SYMBOL(freemem),
                                        SYMBOL(sendQuery),
                                        SYMBOL(sendPrepare),
                                        SYMBOL(sendQueryPrepared),
                                        SYMBOL(isBusy),
                                        SYMBOL(consumeInput),
                                        SYMBOL(getResult),
                                        SYMBOL(putCopyData),
                                        SYMBOL(putCopyEnd),
                                        SYMBOL(resultStatus),
                                        SYMBOL(resultErrorField),
                                        SYMBOL(ntuples),
                                        SYMBOL(nfields),
                                        SYMBOL(ftype),
                                        SYMBOL(getvalue),
                                        SYMBOL(getlength),
                                        SYMBOL(getisnull),
                                        SYMBOL(cmdStatus),
                                        SYMBOL(cmdTuples),
                                        SYMBOL(clear),
                                        SYMBOL(libVersion),
                                        SYMBOL(isthreadsafe)};

int tern_postgres_load(struct tern_postgres_api *api, char *error, unsigned long size)
{
    const char *path = getenv("TERN_POSTGRES_LIBRARY");
    if (path == NULL || path[0] == '\0')
        path = "libpq.so.5";
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(
            error, size,
            "PostgreSQL's library %s cannot be opened: install it (Debian package libpq5), or name it in "
            "the environment variable TERN_POSTGRES_LIBRARY",
            path);
        return -1;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) {
            snprintf(error, size, "%s has no function %s: it is not PostgreSQL's libpq, or too old a one",
                     path, symbols[i].name);
            return -1;
        }
        memcpy((char *)api + symbols[i].offset, &address, sizeof address);
    }
    if (!api->isthreadsafe()) {
        snprintf(error, size, "%s was built without threads and cannot be used", path);
        return -1;
    }
    return 0;
}

static pthread_mutex_t load_mutex = PTHREAD_MUTEX_INITIALIZER;

int tern_postgres_find(char *error, unsigned long size)
{
    static struct tern_postgres_api loaded;
    int status = 0;
    pthread_mutex_lock(&load_mutex);
    if (tern_postgres_library == NULL) {
        status = tern_postgres_load(&loaded, error, size);
        if (status == 0)
            tern_postgres_library = &loaded;
    }
    pthread_mutex_unlock(&load_mutex);
    return status;
}
