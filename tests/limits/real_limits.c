/* real_limits.c - limits of the system that are met: a full disk, the largest file, descriptors,
 * memory. Sources: real_limits.c real_limits_cases.c, client*.c loop_disk.c,
 * ../support/sql_support.c ../support/sql_files.c.
 *
 * Strategy. Each case has a process of its own, a file system of its own, and one of four clients:
 * a transactional or a direct store, through SQL or the C interface. It writes rows, sets the
 * limit, goes on until that is met, lifts it, goes on, and opens the store again.
 *
 * Invariants (P6, P7). Whoever meets the limit gets an error that names it, and the process lives;
 * what was committed is read meanwhile and later; a transaction that failed has left nothing, and
 * of a direct store's writes each is there or is not; with the limit lifted writes go on;
 * faster_verify() says ok.
 *
 * Replay. `--seed N`; `--only NAME` runs the cases of one kind of limit.
 */
#include "real_limits.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop_disk.h"

#define DISK_BYTES (UINT64_C(48) << 20)
#define SECONDS_MAX 300u

/* -------------------------------------------------------------------- rows */

static void key_of(char key[16], unsigned number) {
    snprintf(key, 16, "k%05u", number);
}

static size_t value_of(char value[ROW_BYTES_MAX], unsigned number, unsigned version) {
    size_t size = mix_words(number, version) % (ROW_BYTES_MAX - 64) + 32;
    memset(value, (int)('a' + version % 26), size);
    size_t name = (size_t)snprintf(value, 32, "%u:%u", number, version);
    value[name] = ':';
    return size;
}

enum client_code world_write(struct world *world, unsigned count) {
    char key[16], value[ROW_BYTES_MAX];
    enum client_code code = CLIENT_OK;
    for (unsigned i = 0; i < count && code == CLIENT_OK; i++) {
        unsigned number = random_below(&world->random, ROW_COUNT);
        world->tried[number] = ++world->newest;
        key_of(key, number);
        size_t size = value_of(value, number, world->tried[number]);
        code = client_put(&world->client, key, value, size);
    }
    code = code ? code : client_commit(&world->client);
    if (code == CLIENT_OK) {
        memcpy(world->version, world->tried, sizeof world->version);
        return code;
    }
    client_rollback(&world->client);
    if (!world->config.is_direct) {
        memcpy(world->tried, world->version, sizeof world->version);
    }
    return code;
}

/* Of a direct store a failed write may have taken effect: what is found stays. A later version of
 * the row may have been tried since the one that is there. */
static bool is_possible(const struct world *world, unsigned number, unsigned found) {
    return found == world->version[number] ||
           (world->config.is_direct && found > world->version[number] &&
            found <= world->tried[number]);
}

void world_check(struct world *world, const char *when) {
    char key[16], expected[ROW_BYTES_MAX];
    struct text value = {0};
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        unsigned number = 0, found = 0;
        key_of(key, i);
        enum client_code code = client_get(&world->client, key, &value);
        if (code != CLIENT_OK && code != CLIENT_NOT_FOUND) {
            test_fail("%s: reading %s: %s, %s", when, key, client_code_name(code),
                      world->client.message);
        }
        if (code == CLIENT_OK) {
            text_add_bytes(&value, "", 1);
            if (sscanf(value.data, "%u:%u:", &number, &found) != 2 || number != i ||
                value_of(expected, i, found) != value.size_bytes - 1 ||
                memcmp(expected, value.data, value.size_bytes - 1) != 0) {
                test_fail("%s: %s is '%.30s'", when, key, value.data);
            }
        }
        if (!is_possible(world, i, found)) {
            test_fail("%s: %s has version %u; %u is committed, %u was tried", when, key, found,
                      world->version[i], world->tried[i]);
        }
        world->version[i] = world->tried[i] = found;
    }
    text_finish(&value);
}

void world_expect(const struct world *world, enum client_code code, enum client_code expected,
                  const char *word) {
    if (code != expected || strstr(world->client.message, word) == NULL) {
        test_fail("%s, '%s' instead of %s, '...%s...'", client_code_name(code),
                  world->client.message, client_code_name(expected), word);
    }
}

void world_must(const struct world *world, enum client_code code, const char *what) {
    if (code != CLIENT_OK) {
        test_fail("%s: %s, %s", what, client_code_name(code), world->client.message);
    }
}

void world_open(struct world *world) {
    world_must(world, client_open(&world->client, &world->config, NULL), "opening");
}

void world_go_on(struct world *world) {
    world_check(world, "with the limit lifted");
    for (int i = 0; i < 20; i++) {
        world_must(world, world_write(world, 5), "writing with the limit lifted");
    }
    world_check(world, "after more writes");
    world_must(world, client_checkpoint(&world->client), "a checkpoint with the limit lifted");
    world_must(world, client_verify(&world->client), "verify");
    client_close(&world->client);
    world_open(world);
    world_check(world, "reopened");
    world_must(world, client_verify(&world->client), "verify, reopened");
    client_close(&world->client);
}

/* ------------------------------------------------------------------- cases */

static void run_case(const struct test_options *options, const struct limit_case *one,
                     unsigned client_number, uint64_t seed) {
    static struct world world;
    struct ledger decider = {0};
    char directory[TEST_PATH_BYTES];
    world = (struct world){
        .random = random_of(seed, client_number),
        .config = {.options = options,
                   .is_sql = client_number & 1,
                   .is_direct = client_number & 2,
                   .memory_bytes = one->memory_bytes,
                   .page_bytes = 16 << 10,
                   .segment_bytes = one->segment_bytes,
                   .directory = directory,
                   .decider = &decider},
    };
    path_format(world.disk, "%s", loop_disk_path());
    path_format(directory, world.config.is_sql ? "%s" : "%s/store", world.disk);
    alarm(SECONDS_MAX);
    one->run(&world);
    ledger_finish(&decider);
}

/* False: it was skipped, and has said why. */
static bool run_in_process(const struct test_options *options, const struct limit_case *one,
                           unsigned client_number, uint64_t seed) {
    char path[TEST_PATH_BYTES], group[TEST_PATH_BYTES];
    int status = 0;
    loop_disk_make(DISK_BYTES, "", path);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_case(options, one, client_number, seed);
        fflush(NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    limit_cgroup(pid, group);
    (void)rmdir(group); /* of a process that was killed */
    bool is_skipped = WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIP;
    if (status != 0 && !is_skipped) {
        test_fail("%s, %s %s: ended with 0x%x; replay with --seed %llu --only %s", one->name,
                  client_number & 2 ? "direct" : "transactional", client_number & 1 ? "SQL" : "C",
                  status, (unsigned long long)options->seed, one->name);
    }
    loop_disk_remove();
    return !is_skipped;
}

int main(int argc, char **argv) {
    struct test_options options;
    unsigned cases = 0, skipped = 0;
    test_options_parse(&options, argc, argv);
    loop_disk_require();
    uint64_t rounds = (options.scale_percent + 99) / 100;
    for (uint64_t round = 0; round < rounds; round++) {
        for (const struct limit_case *one = limit_cases; one->name; one++) {
            if (options.only && strcmp(options.only, one->name) != 0) {
                continue;
            }
            for (unsigned client = 0; client < 4; client++) {
                double begin = test_seconds();
                bool ran = run_in_process(&options, one, client, mix_words(options.seed, round));
                cases += ran;
                skipped += !ran;
                if (options.verbose) {
                    printf("%s, client %u: %.2f s\n", one->name, client, test_seconds() - begin);
                }
            }
        }
    }
    if (cases == 0) {
        test_fail("no case has run");
    }
    printf("real_limits: %u cases, %u skipped, 0 failures\n", cases, skipped);
    return 0;
}
