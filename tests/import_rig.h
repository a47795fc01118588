/* SPDX-License-Identifier: MIT */
/* The importer against a model, with any SQL database: devices that switch between two gateways with stores
 * of their own, forget what was acknowledged, are reset to new epochs, and go on in others; importers that
 * stop and start; all modes, merge rules and deletes. */
#ifndef TERN_IMPORT_RIG_H
#define TERN_IMPORT_RIG_H

#include <stdbool.h>
#include <stdint.h>

struct rig_target {
    const char *url;
    bool soft; /* deletes */
    const char
        *hundred; /* a whole number from a decimal with two digits, as "CAST(ROUND(%s*100) AS INTEGER)" */
    /* Runs a query and gives each row as one line "a|b|NULL" to `line`. False: the error is printed. */
    bool (*query)(void *context, const char *sql, void (*line)(void *to, const char *text), void *to);
    /* Executes statements, separated by semicolons. */
    bool (*execute)(void *context, const char *sql);
    void *context;
    uint32_t workers; /* of each importer, 0: 1 */
    unsigned kills; /* of a process that imports, with SIGKILL at random moments, among the steps; at the end
                       it has been killed so often */
};

/* One schedule of `steps` in `folder`, which must be empty. True: the database equals the model at its end,
 * and again after a replay of everything without cursors. Prints what differs. */
bool rig_run(const struct rig_target *target, const char *folder, uint64_t seed, unsigned steps);

#endif
