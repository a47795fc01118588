/* SPDX-License-Identifier: MIT */
/* Runs the commands of tern-gateway in this process, and keeps what they say. */
#ifndef TERN_FAIL_COMMAND_H
#define TERN_FAIL_COMMAND_H

#include <fcntl.h>

#include "../../host/cmd.h"
#include "../unit/chunks.h"
#include "fail.h"

static char said[20000], complained[20000]; /* to standard output and error */

static inline void read_back(const char *name, char *to, size_t room)
{
    FILE *file = fopen(folder_path(name), "rb");
    to[0] = '\0';
    if (!CHECK(file != NULL))
        return;
    to[fread(to, 1, room - 1, file)] = '\0';
    fclose(file);
}

/* Standard output and error go to files from here on, and back. */
static inline void redirect(bool away)
{
    static int kept[2];
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        if (away) {
            kept[i] = dup(1 + i);
            int file = open(folder_path(i == 0 ? "said" : "complained"),
                            O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
            dup2(file, 1 + i);
            close(file);
        } else {
            dup2(kept[i], 1 + i);
            close(kept[i]);
        }
    }
}

/* `line`: the words after tern-gateway, with a blank between; @ stands for the folder. */
static inline int run(const char *line)
{
    static const struct {
        const char *name;
        int (*call)(int argc, char **argv);
    } commands[] = {{"status", tern_cmd_status},   {"sinks", tern_cmd_sinks}, {"replay", tern_cmd_replay},
                    {"rejects", tern_cmd_rejects}, {"ddl", tern_cmd_ddl},     {"check", tern_cmd_check},
                    {"import", tern_cmd_import},   {"audit", tern_cmd_audit}};
    static char words[4000];
    char *argv[40] = {NULL};
    int argc = 0, status = -1;
    size_t size = 0;
    fail_off(true);
    for (const char *at = line; *at != '\0' && size + 70 < sizeof words; at++)
        size += (size_t)(*at == '@' ? snprintf(words + size, sizeof words - size, "%s", folder)
                                    : snprintf(words + size, sizeof words - size, "%c", *at));
    for (char *word = strtok(words, " "); word != NULL && argc < 39; word = strtok(NULL, " "))
        argv[argc++] = word;
    redirect(true);
    fail_off(false);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, argv[0]) == 0)
            status = commands[i].call(argc, argv);
    fail_off(true);
    redirect(false);
    read_back("said", said, sizeof said);
    read_back("complained", complained, sizeof complained);
    fail_off(false);
    return status;
}

#define EXPECT(line, status, text) expect(line, status, text, __LINE__)

/* The command ends so, and says the text. */
static inline void expect(const char *line, int status, const char *text, int where)
{
    int ended = run(line);
    const char *spoken = status == 0 ? said : complained;
    if (!test_check(ended == status && strstr(spoken, text) != NULL, line, __FILE__, where))
        printf("    status %d, it said: %s%s\n", ended, said, complained);
}

static inline void write_file(const char *name, const char *text)
{
    FILE *file = fopen(folder_path(name), "wb");
    if (CHECK(file != NULL)) {
        fputs(text, file);
        fclose(file);
    }
}

#endif
