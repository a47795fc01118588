/* SPDX-License-Identifier: MIT */
#include "mysql_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tern_host.h"

const struct tern_mysql_api *tern_mysql_library;

struct symbol {
    const char *name;
    size_t offset;
};

#define SYMBOL(name, field)                                                                                  \
    {                                                                                                        \
        "mysql_" #name, offsetof(struct tern_mysql_api, field)                                               \
    }

static const struct symbol symbols[] = {SYMBOL(server_init, server_init),
                                        SYMBOL(init, init),
                                        SYMBOL(options, options),
                                        SYMBOL(real_connect, real_connect),
                                        SYMBOL(close, close),
                                        SYMBOL(errno, error_number),
                                        SYMBOL(sqlstate, sqlstate),
                                        SYMBOL(error, error),
                                        SYMBOL(get_server_version, get_server_version),
                                        SYMBOL(get_server_info, get_server_info),
                                        SYMBOL(real_query, real_query),
                                        SYMBOL(set_local_infile_handler, set_local_infile_handler),
                                        SYMBOL(affected_rows, affected_rows),
                                        SYMBOL(warning_count, warning_count),
                                        SYMBOL(use_result, use_result),
                                        SYMBOL(next_result, next_result),
                                        SYMBOL(num_fields, num_fields),
                                        SYMBOL(fetch_field_direct, fetch_field_direct),
                                        SYMBOL(fetch_row, fetch_row),
                                        SYMBOL(fetch_lengths, fetch_lengths),
                                        SYMBOL(free_result, free_result)};

static const char *const libraries[] = {"libmariadb.so.3", "libmysqlclient.so.24", "libmysqlclient.so.23",
                                        "libmysqlclient.so.22", "libmysqlclient.so.21"};

static void *open_library(const char *path)
{
    void *library = NULL;
    if (path != NULL && path[0] != '\0')
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0] && library == NULL; i++)
        library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

int tern_mysql_load(struct tern_mysql_api *api, char *error, unsigned long size)
{
    const char *path = getenv("TERN_MYSQL_LIBRARY");
    void *library = open_library(path);
    if (library == NULL) {
        snprintf(error, size,
                 "MySQL's client library %s cannot be opened: install it (Debian package libmariadb3), or "
                 "name it in "
                 "the environment variable TERN_MYSQL_LIBRARY",
                 path == NULL || path[0] == '\0' ? libraries[0] : path);
        return -1;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address == NULL) {
            snprintf(error, size,
                     "the client library for mysql: has no function %s: it is too old, or another one",
                     symbols[i].name);
            return -1;
        }
        memcpy((char *)api + symbols[i].offset, &address, sizeof address);
    }
    if (api->server_init(0, NULL, NULL) != 0) {
        snprintf(error, size, "MySQL's client library cannot be initialized");
        return -1;
    }
    return 0;
}

static pthread_mutex_t load_mutex = PTHREAD_MUTEX_INITIALIZER;

int tern_mysql_find(char error[256])
{
    static struct tern_mysql_api loaded;
    int status = TERN_HOST_OK;
    pthread_mutex_lock(&load_mutex);
    if (tern_mysql_library == NULL) {
        if (tern_mysql_load(&loaded, error, 256) == 0)
            tern_mysql_library = &loaded;
        else
            status = TERN_HOST_E_LIBRARY;
    }
    pthread_mutex_unlock(&load_mutex);
    return status;
}
