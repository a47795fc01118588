/* SPDX-License-Identifier: MIT */
#include "postgres_api.h"

#include "library.h"

const struct tern_postgres_api *tern_postgres_library;

#define SYMBOL(name)                                                                                         \
    {                                                                                                        \
        "PQ" #name, offsetof(struct tern_postgres_api, name), false                                          \
    }

static const struct tern_library_symbol symbols[] = {SYMBOL(connectStartParams),
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

static const char *const names[] = {"libpq.so.5", NULL};

static const char *refuse(const void *filled)
{
    const struct tern_postgres_api *api = filled;
    return api->isthreadsafe() ? NULL : "was built without threads and cannot be used";
}

static const struct tern_library library = {names,
                                            "TERN_POSTGRES_LIBRARY",
                                            "PostgreSQL's library",
                                            "libpq5",
                                            symbols,
                                            sizeof symbols / sizeof symbols[0],
                                            refuse};

int tern_postgres_load(struct tern_postgres_api *api, char *error, unsigned long size)
{
    return tern_library_load(&library, api, error, size);
}

int tern_postgres_find(char error[256])
{
    static struct tern_postgres_api loaded;
    return tern_library_find(&library, &tern_postgres_library, &loaded, error, 256);
}
