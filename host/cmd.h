/* SPDX-License-Identifier: MIT */
/* What the gateway program can do beside serving: one file a command, cmd_NAME.c, named in the table of
 * gateway.c. Each gets the command line from its own name on, and returns the exit status. They print to
 * standard output, unlike the library. */
#ifndef TERN_CMD_H
#define TERN_CMD_H

#include "options.h"
#include "tern_host.h"

enum { TERN_EXIT_OK = 0, TERN_EXIT_FAILED = 1, TERN_EXIT_USAGE = 2 };

int tern_cmd_status(int argc, char **argv);
int tern_cmd_sinks(int argc, char **argv);
int tern_cmd_replay(int argc, char **argv);
int tern_cmd_rejects(int argc, char **argv);
int tern_cmd_ddl(int argc, char **argv);
int tern_cmd_check(int argc, char **argv);
int tern_cmd_import(int argc, char **argv);
int tern_cmd_audit(int argc, char **argv);

/* Reads the command's options; --stage is required. True: go on. False: *status is the exit status, and what
 * is to be said has been. */
bool tern_cmd_begin(struct tern_options *options, enum tern_command command, const char *usage, int argc,
                    char **argv, int *status);

/* What the options say about databases. Points into `options`. */
struct tern_host_style tern_cmd_style(const struct tern_options *options);

/* Unix milliseconds by this machine. */
int64_t tern_cmd_now(void);

/* Events go to standard error, as the gateway's. */
struct tern_report tern_cmd_report(const struct tern_options *options);

/* Reads `2026-11-01T00:00:00Z`, or a part from the left as `2026-11-01`, as Unix milliseconds. False: it is
 * none, and that has been said. */
bool tern_cmd_time(const struct tern_options *options, enum tern_option option, int64_t *milliseconds);

/* Prints `tern-gateway: MESSAGE` to standard error and returns the status. */
int tern_cmd_complain(int status, const char *message);

#endif
