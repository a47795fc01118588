/* SPDX-License-Identifier: MIT */
/*
 * The gateway under faults: a device pushes three batches into a gateway with an SQLite and a csv
 * destination, and at the Nth system call something happens (control.h), for every N until a run ends before
 * its Nth call. The gateway is started again where it ended; then every row must be in both destinations,
 * once, and whatever was acknowledged must outlast a power cut. Usage: faults [WHAT [N]]; the environment's
 * WORKERS says how many run at a time.
 */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "../unit/chunks.h"
#include "control.h"
#include "device.h"

#define PATIENCE 30000 /* milliseconds until a run counts as hung */
#define FULL_FOR 60    /* milliseconds that a full disk stays full */
#define BEYOND   3     /* runs without a hit until the sweep is over */
#define FILES    (FAULT_ALL & ~FAULT_SOCKET)
#define FILLING  (FAULT_WRITE | FAULT_SYNC | FAULT_NAME | FAULT_CREATE)

static const struct plan {
    const char *name;
    uint32_t what;
    uint32_t kinds;
    int32_t error;
    bool lasting;
    bool late; /* calls count from the second start on, after a power cut: recovery */
    unsigned workers;
    const char *sentence;
} plans[] = {
    {"kill", FAULT_KILL, FAULT_ALL, 0, false, false, 8, "killed at every system call the gateway converges"},
    {"cut", FAULT_CUT, FILES, 0, false, false, 8, "a power cut at every change of a file loses nothing"},
    {"some", FAULT_SOME, FILES, 0, false, false, 8, "a power cut that keeps some changes loses nothing"},
    {"EIO", FAULT_ERROR, FILES, EIO, false, false, 16, "an input/output error at every call loses nothing"},
    {"ENOSPC", FAULT_ERROR, FILLING, ENOSPC, true, false, 16, "a disk full from every call on loses nothing"},
    {"short", FAULT_SHORT, FAULT_WRITE, ENOSPC, true, false, 16,
     "a write cut short by a full disk loses nothing"},
    {"kill-again", FAULT_KILL, FAULT_ALL, 0, false, true, 8,
     "killed at every call of a recovery it converges"},
    {"cut-again", FAULT_CUT, FILES, 0, false, true, 8,
     "a power cut at every change of a recovery loses nothing"},
    {"EIO-again", FAULT_ERROR, FILES, EIO, false, true, 16,
     "an error at every call of a recovery loses nothing"},
    {"ENOSPC-again", FAULT_ERROR, FILLING, ENOSPC, true, true, 16,
     "a disk full during a recovery loses nothing"},
};
#define PLANS (sizeof plans / sizeof plans[0])

struct run {
    const struct plan *plan;
    uint64_t at;
    struct fault_control *control;
    pid_t gateway;
    int64_t begun, hit_at;
    unsigned starts;
    char why[600]; /* empty: all is well */
};

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void nap(void)
{
    struct timespec little = {0, 500000};
    nanosleep(&little, NULL);
}

static void complain(struct run *run, const char *why, const char *more)
{
    if (run->why[0] == '\0')
        snprintf(run->why, sizeof run->why, "%s%s%.400s", why, more[0] == '\0' ? "" : ": ", more);
}

static bool is_late(struct run *run)
{
    if (clock_now() - run->begun < PATIENCE)
        return false;
    complain(run, "hangs", "");
    return true;
}

/* ---- The gateway ----------------------------------------------------------------------------- */

/* The file's text, to be freed. */
static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t room = 1u << 16, size = 0;
    char *text = malloc(room);
    while (file != NULL && text != NULL) {
        size += fread(text + size, 1, room - 1 - size, file);
        if (size < room - 1)
            break;
        text = realloc(text, room *= 2);
    }
    if (file != NULL)
        fclose(file);
    if (text != NULL)
        text[size] = '\0';
    return text;
}

static void exec_gateway(void)
{
    char stage[900], sqlite[900], csv[900];
    int log = open(folder_path("log"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log, 2);
    setenv("FAULT_CONTROL", folder_path("control"), 1);
    setenv("FAULT_ROOT", folder_path("root"), 1);
    setenv("FAULT_TRASH", folder_path("trash"), 1);
    setenv("LD_PRELOAD", getenv("FAULT_LIBRARY"), 1);
    snprintf(stage, sizeof stage, "%s", folder_path("root/stage"));
    snprintf(sqlite, sizeof sqlite, "sqlite:%s", folder_path("root/x.db"));
    snprintf(csv, sizeof csv, "csv:%s", folder_path("root/out"));
    execl(getenv("FAULT_GATEWAY"), "tern-gateway", "--listen", "tcp://127.0.0.1:0", "--stage", stage,
          "--sink", sqlite, "--sink", csv, "--drain-seconds", "20", (char *)NULL);
    _exit(127);
}

static bool has_ended(struct run *run, int *status)
{
    return waitpid(run->gateway, status, WNOHANG) == run->gateway;
}

/* Starts the gateway and waits until it listens or ends. */
static uint16_t start_once(struct run *run)
{
    const char *path = folder_path("log");
    long before = file_bytes(path);
    int status;
    run->starts++;
    run->gateway = fork();
    if (run->gateway == 0)
        exec_gateway();
    for (;;) {
        char *log = read_file(path);
        const char *line = log == NULL ? NULL : strstr(log + (before < 0 ? 0 : before), "event=listening");
        const char *port = line == NULL ? NULL : strstr(line, "127.0.0.1:");
        unsigned found = port == NULL || strchr(port, '\n') == NULL ? 0 : (unsigned)atoi(port + 10);
        free(log);
        if (found != 0)
            return (uint16_t)found;
        if (has_ended(run, &status) || is_late(run))
            return 0;
        nap();
    }
}

/* A disk that was full has room again after a while. */
static void watch_disk(struct run *run)
{
    if (atomic_load(&run->control->hits) == 0)
        return;
    if (run->hit_at == 0)
        run->hit_at = clock_now();
    if (clock_now() - run->hit_at >= FULL_FOR)
        atomic_store(&run->control->healthy, 1);
}

static void start(struct run *run)
{
    while (run->why[0] == '\0') {
        uint16_t port = start_once(run);
        device_port(port);
        if (port != 0)
            return;
        if (run->plan->lasting)
            watch_disk(run);
        else
            run->control->at = 0;
    }
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* The gateway has ended by itself: that is right only if it was made to. */
static void go_on(struct run *run, int status)
{
    if (!was_killed(status) || run->control->at == 0)
        complain(run, "the gateway ended by itself", run->control->hit);
    run->control->at = 0;
    start(run);
}

/* ---- A run ----------------------------------------------------------------------------------- */

/* Pushes batches from one to the next. */
static void push(struct run *run, unsigned batches, unsigned end)
{
    int status;
    while (run->why[0] == '\0' && !is_late(run)) {
        if (has_ended(run, &status))
            go_on(run, status);
        if (run->plan->lasting)
            watch_disk(run);
        if (device_backlog() == 0) {
            if (batches == end)
                return;
            device_batch(batches++);
        }
        device_poll();
    }
}

/* What was acknowledged must outlast this. */
static void cut_power(struct run *run)
{
    int status;
    atomic_store(&run->control->cut, 1);
    while (!has_ended(run, &status) && !is_late(run))
        nap();
    atomic_store(&run->control->cut, 0);
    run->control->at = run->plan->late && run->starts == 1 ? run->at : 0;
    atomic_store(&run->control->calls, 0);
    start(run);
}

static const char *describe_end(int status)
{
    static char text[100];
    snprintf(text, sizeof text, "the gateway did not stop well (%s %d)",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return text;
}

/* SIGTERM; when the fault comes during the drain, once more. */
static void stop(struct run *run)
{
    while (run->why[0] == '\0') {
        int status = 0;
        kill(run->gateway, SIGTERM);
        while (!has_ended(run, &status) && !is_late(run)) {
            if (run->plan->lasting)
                watch_disk(run);
            nap();
        }
        run->gateway = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return;
        if (!was_killed(status) || run->control->at == 0)
            complain(run, describe_end(status), run->control->hit);
        run->control->at = 0;
        start(run);
    }
}

static void compare(struct run *run, const char *what, const char *sql, const char *expected)
{
    char command[2400];
    snprintf(command, sizeof command, "%s '%s' '%s' >'%s' 2>&1", getenv("FAULT_DBDUMP"),
             folder_path("root/x.db"), sql, folder_path("answer"));
    int status = system(command);
    char *text = read_file(folder_path("answer"));
    if (status != 0 || strcmp(text, expected) != 0)
        complain(run, what, text);
    free(text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Lines of a table's closed segments, without their headers. */
static char *read_segments(struct run *run, const char *table)
{
    char names[200][256];
    size_t count = 0;
    DIR *listing = opendir(folder_path("root/out"));
    for (struct dirent *entry; listing != NULL && count < 200 && (entry = readdir(listing)) != NULL;) {
        size_t size = strlen(entry->d_name);
        if (size > 5 && strcmp(entry->d_name + size - 5, ".open") == 0)
            complain(run, "a segment is still open", entry->d_name);
        if (strncmp(entry->d_name, table, strlen(table)) == 0 &&
            strcmp(entry->d_name + size - 4, ".csv") == 0)
            snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
    }
    if (listing != NULL)
        closedir(listing);
    qsort(names, count, sizeof names[0], by_name);
    char *all = calloc(1, 1u << 16);
    for (size_t i = 0; i < count; i++) {
        char path[900];
        snprintf(path, sizeof path, "root/out/%.255s", names[i]);
        char *text = read_file(folder_path(path));
        const char *line = strchr(text, '\n');
        if (line == NULL || strlen(all) + strlen(line) >= 1u << 16)
            complain(run, "a segment without a header", names[i]);
        else
            strcat(all, line + 1);
        free(text);
    }
    return all;
}

static void verify(struct run *run)
{
    char *text = read_segments(run, "climate-");
    if (strcmp(text, device_expected_csv(0)) != 0)
        complain(run, "climate in the segments is not what was put", text);
    free(text);
    text = read_segments(run, "event-");
    if (strcmp(text, device_expected_csv(1)) != 0)
        complain(run, "event in the segments is not what was put", text);
    free(text);
    compare(run, "climate in SQLite is not what was put",
            "SELECT device, tern_id, at, celsius, note FROM climate ORDER BY at", device_expected_rows(0));
    compare(run, "event in SQLite is not what was put",
            "SELECT device, tern_id, count, what FROM event ORDER BY tern_id", device_expected_rows(1));
    compare(run, "a gap that nothing explains", "SELECT * FROM tern_gap", "");
}

/* SQLite keeps to itself what does no harm: a checkpoint that fails leaves everything in the WAL. So does the
 * note of the last batch: without it a database that was set back is read from its own cursor; and the filter
 * of keys, without which rows take longer. */
static void check_log(struct run *run)
{
    if (strstr(run->control->hit, "/root/stage/batches") != NULL ||
        strstr(run->control->hit, "/root/stage/seen") != NULL)
        return;
    if (strstr(run->control->hit, "/root/stage") == NULL && strstr(run->control->hit, "/root/out") == NULL)
        return;
    char *log = read_file(folder_path("log"));
    if (log == NULL || (strstr(log, "level=error") == NULL && strstr(log, "level=warn") == NULL))
        complain(run, "the log says nothing of it", run->control->hit);
    free(log);
}

static void arm(struct run *run)
{
    struct fault_control *control = run->control;
    memset(control, 0, sizeof *control);
    control->at = run->plan->late ? 0 : run->at;
    control->kinds = run->plan->kinds;
    control->what = run->plan->what;
    control->error = run->plan->error;
    control->lasting = run->plan->lasting;
    control->seed = run->at;
}

static struct fault_control *map_control(void)
{
    int descriptor = open(folder_path("control"), O_RDWR | O_CREAT, 0600);
    if (descriptor < 0 || ftruncate(descriptor, sizeof(struct fault_control)) != 0)
        exit(1);
    void *mapped =
        mmap(NULL, sizeof(struct fault_control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    return mapped;
}

/* True when the fault was reached. */
static bool run_one(struct run *run)
{
    folder_fresh();
    mkdir(folder_path("root"), 0700);
    mkdir(folder_path("trash"), 0700);
    run->control = map_control();
    arm(run);
    run->begun = clock_now();
    device_open();
    start(run);
    if (run->plan->late) {
        push(run, 0, BATCHES - 1);
        cut_power(run);
    }
    push(run, run->plan->late ? BATCHES - 1 : 0, BATCHES);
    bool fails = run->plan->what >= FAULT_ERROR;
    if (fails && run->at % 2 == 0)
        cut_power(run);
    stop(run);
    bool hit = atomic_load(&run->control->hits) != 0;
    if (run->why[0] == '\0')
        verify(run);
    if (run->gateway != 0) {
        kill(run->gateway, SIGKILL);
        waitpid(run->gateway, NULL, 0);
    }
    if (fails && hit)
        check_log(run);
    if (run->why[0] != '\0')
        printf("    %s at call %llu (%s): %s\n", run->plan->name, (unsigned long long)run->at,
               run->control->hit, run->why);
    device_close();
    munmap(run->control, sizeof *run->control);
    return hit;
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

struct result {
    unsigned runs, hits, failures;
};

static struct result work(const struct plan *plan, unsigned first, unsigned step)
{
    struct result result = {0, 0, 0};
    unsigned beyond = 0;
    folder[0] = '\0';
    for (uint64_t at = first; beyond < BEYOND; at += step) {
        struct run run = {.plan = plan, .at = at};
        bool hit = run_one(&run);
        result.runs++;
        result.hits += hit;
        result.failures += run.why[0] != '\0';
        beyond = hit ? 0 : beyond + 1;
        if (run.why[0] != '\0' && getenv("KEEP") != NULL) {
            printf("    kept: %s\n", folder);
            return result;
        }
    }
    folder_remove();
    return result;
}

static const struct plan *current;

static void sweep(void)
{
    const struct plan *plan = current;
    unsigned workers = getenv("WORKERS") == NULL ? plan->workers : (unsigned)atoi(getenv("WORKERS"));
    int ends[2];
    struct result sum = {0, 0, 0}, one;
    if (pipe(ends) != 0)
        exit(1);
    fflush(stdout);
    for (unsigned i = 0; i < workers; i++) {
        if (fork() == 0) {
            one = work(plan, 1 + i, workers);
            fflush(stdout);
            _exit(write(ends[1], &one, sizeof one) != sizeof one);
        }
    }
    close(ends[1]);
    while (read(ends[0], &one, sizeof one) == sizeof one) {
        sum.runs += one.runs;
        sum.hits += one.hits;
        sum.failures += one.failures;
        workers--;
    }
    close(ends[0]);
    while (wait(NULL) > 0)
        continue;
    printf("    %s: %u runs, %u with the fault, %u wrong\n", plan->name, sum.runs, sum.hits, sum.failures);
    CHECK_EQ(workers, 0);
    CHECK_EQ(sum.failures, 0);
    CHECK(sum.hits >= 20);
}

static int repeat_one(const struct plan *plan, uint64_t at)
{
    struct run run = {.plan = plan, .at = at};
    bool hit = run_one(&run);
    printf("%s, %u starts: %s\n", hit ? "hit" : "not reached", run.starts,
           run.why[0] == '\0' ? "well" : "wrong");
    printf("    %s\n", folder);
    return 0;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < PLANS; i++) {
        if (argc > 1 && strcmp(argv[1], plans[i].name) != 0)
            continue;
        if (argc > 2)
            return repeat_one(&plans[i], strtoull(argv[2], NULL, 10));
        current = &plans[i];
        test_run(sweep, current->sentence);
    }
    return test_report();
}
