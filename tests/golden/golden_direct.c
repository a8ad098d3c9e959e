/* golden_direct.c - a direct store of every released format opens and holds its keys (P10).
 *
 *     golden_direct check <golden directory, with direct-v2, ...>
 *     golden_direct make <a new directory>
 *
 * What `make` writes, in three lives of the store: a life that ends by a kill, after two commits
 * and writes that no commit covers; a life that ends the same way after one more commit; a life
 * that ends with a clean close. So the log has cuts, records without one, and jumps; and, from
 * version 3 on, values larger than a page on all sides of them; from version 4 on, a copy of the
 * index in each of the first two lives, which what is lost follows; from version 5 on, sessions
 * with names, some of whose operations are lost. `check` copies each version, since opening may
 * write, and looks at every key, at what a scan sees, and at verify, before and after some more
 * writes.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "faster.h"

#define KEY_COUNT 300u
#define PATH_BYTES 600
#define VERSION_FIRST 2
#define VERSION_CHUNKS 3 /* the first with values larger than a page */
#define VERSION_CHECKPOINTS 4
#define VERSION_NAMES 5
#define LARGE_COUNT 4u
#define LARGE_BYTES_MAX 80000u
#define VERSION_MAX 100

static void must(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "golden_direct: %s\n", what);
        exit(1);
    }
}

static void run_command(const char *verb, const char *from, const char *to) {
    char command[2 * PATH_BYTES + 32];
    snprintf(command, sizeof command, "%s '%s' '%s'", verb, from, to);
    must(system(command) == 0, command);
}

static struct faster_options options_for(const char *directory) {
    return (struct faster_options){.directory = directory,
                                   .writes = FASTER_WRITES_DIRECT,
                                   .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                   .page_bytes = FASTER_PAGE_BYTES_MIN,
                                   .segment_bytes = 4u * FASTER_PAGE_BYTES_MIN};
}

static struct faster_store *open_store(const char *directory, struct faster_session **session) {
    struct faster_options options = options_for(directory);
    struct faster_error error;
    struct faster_store *store = NULL;
    must(faster_store_open(&options, &store, &error) == FASTER_OK, error.message);
    must(faster_session_open(store, session) == FASTER_OK, "no session");
    return store;
}

static void close_store(struct faster_store *store, struct faster_session *session) {
    faster_session_close(session);
    faster_store_close(store);
}

static void put(struct faster_session *session, const char *key, const char *value) {
    struct faster_op op = {.key = {key, strlen(key)}, .value = {value, strlen(value)}};
    must(faster_session_upsert(session, &op) == FASTER_OK, "upsert failed");
}

static void put_number(struct faster_session *session, const char *name, unsigned number,
                       const char *value) {
    char key[32];
    snprintf(key, sizeof key, "%s %u", name, number);
    put(session, key, value);
}

/* Letters; from a page and a bit to some pages. Valid until the next call. */
static const char *large_value(unsigned number, char first_letter) {
    static char text[LARGE_BYTES_MAX];
    const size_t size = 17000 + number * 20000;
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(first_letter + (int)((i * 7 + i / 1000) % 20));
    }
    text[size] = '\0';
    return text;
}

static void put_large(struct faster_session *session, char first_letter) {
    for (unsigned i = 0; i < LARGE_COUNT; i++) {
        put_number(session, "large", i, large_value(i, first_letter));
    }
}

/* ---- make ---- */

static void copy_index(struct faster_session *session) {
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    must(faster_session_take_checkpoint(session, &request, NULL) == FASTER_OK, "checkpoint failed");
}

static void first_life(struct faster_session *session) {
    struct faster_op op = {.key = {"deleted", 7}};
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        put_number(session, "key", i, "first");
    }
    put(session, "deleted", "x");
    put_large(session, 'A');
    copy_index(session);
    must(faster_session_delete(session, &op) == FASTER_OK, "delete failed");
    for (unsigned i = 0; i < KEY_COUNT; i += 3) {
        put_number(session, "key", i, "second, and longer");
    }
    put_large(session, 'a');
    must(faster_session_commit(session) == FASTER_OK, "commit failed");
}

/* No commit covers these, but some of them get to the disk. */
static void write_what_is_lost(struct faster_session *session) {
    static char filler[2000];
    memset(filler, 'f', sizeof filler - 1);
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        put_number(session, "key", i, "lost");
        put_number(session, "lost", i, filler);
    }
    put_large(session, '0');
}

/* As many operations of a session of that name. */
static void work_as(struct faster_store *store, const char *name, unsigned count) {
    struct faster_session *session;
    must(faster_session_open_named(store, name, NULL, &session) == FASTER_OK, "no named session");
    for (unsigned i = 0; i < count; i++) {
        put(session, "worked", "yes");
    }
    faster_session_close(session);
}

static void make(const char *directory) {
    char life[PATH_BYTES];
    char next[PATH_BYTES];
    struct faster_session *session;
    struct faster_options options = options_for(life);
    snprintf(life, sizeof life, "%s-0", directory);
    must(faster_store_create(&options, NULL, NULL) == FASTER_OK, "cannot create");
    for (unsigned i = 0; i < 2; i++) {
        struct faster_store *store = open_store(life, &session);
        work_as(store, "worker", 3);
        if (i == 0) {
            work_as(store, "first life's", 7);
            first_life(session);
        } else {
            put(session, "second life", "yes");
            copy_index(session);
        }
        write_what_is_lost(session);
        work_as(store, "worker", 5);
        work_as(store, "lost", 1);
        snprintf(next, sizeof next, "%s-%u", directory, i + 1);
        run_command("cp -r --sparse=always", life, next);
        close_store(store, session);
        memcpy(life, next, sizeof life);
    }
    struct faster_store *store = open_store(life, &session);
    put(session, "third life", "yes");
    work_as(store, "third life's", 1);
    close_store(store, session);
    run_command("mv", life, directory);
}

/* ---- check ---- */

static void want(struct faster_session *session, const char *key, const char *expected) {
    struct faster_snapshot now;
    struct faster_buffer value = {.env = faster_env_posix()};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &value};
    must(faster_snapshot_open_newest(session, &now) == FASTER_OK, "no snapshot");
    if (faster_snapshot_read(&now, &op) == FASTER_PENDING) {
        (void)faster_session_complete_pending(session, true);
    }
    if (expected == NULL) {
        must(op.status == FASTER_NOT_FOUND, key);
    } else {
        must(op.status == FASTER_OK && value.size_bytes == strlen(expected) &&
                 memcmp(value.data, expected, value.size_bytes) == 0,
             key);
    }
    faster_snapshot_close(&now);
    faster_buffer_finish(&value);
}

static uint64_t count_keys(struct faster_session *session) {
    struct faster_snapshot now;
    struct faster_scan *scan;
    struct faster_bytes key;
    struct faster_bytes value;
    uint64_t count = 0;
    enum faster_status status;
    must(faster_snapshot_open_newest(session, &now) == FASTER_OK, "no snapshot");
    must(faster_scan_open(&now, &scan) == FASTER_OK, "no scan");
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        count++;
    }
    must(status == FASTER_END, "the scan failed");
    faster_scan_close(scan);
    faster_snapshot_close(&now);
    return count;
}

static void check_names(struct faster_store *store, int version) {
    struct faster_session_info infos[4];
    struct faster_session *session;
    if (version < VERSION_NAMES) {
        must(faster_session_open_named(store, "worker", NULL, &session) == FASTER_MISUSE,
             "an earlier version's store has a named session");
        must(faster_store_sessions(store, infos, 4) == 0, "there are names");
        return;
    }
    must(faster_store_sessions(store, infos, 4) == 3, "there are other names");
    must(strcmp(infos[0].name, "first life's") == 0 && infos[0].durable_serial == 7 &&
             strcmp(infos[1].name, "third life's") == 0 && infos[1].durable_serial == 1 &&
             strcmp(infos[2].name, "worker") == 0 && infos[2].durable_serial == 6,
         "named sessions have other numbers");
}

static void check_keys(struct faster_session *session, int version, uint64_t more) {
    const unsigned large_count = version >= VERSION_CHUNKS ? LARGE_COUNT : 0;
    uint64_t findings = 1;
    char key[32];
    for (unsigned i = 0; i < KEY_COUNT; i++) {
        snprintf(key, sizeof key, "key %u", i);
        want(session, key, i % 3 == 0 ? "second, and longer" : "first");
        snprintf(key, sizeof key, "lost %u", i);
        want(session, key, NULL);
    }
    for (unsigned i = 0; i < large_count; i++) {
        snprintf(key, sizeof key, "large %u", i);
        want(session, key, large_value(i, 'a'));
    }
    want(session, "deleted", NULL);
    want(session, "second life", "yes");
    want(session, "third life", "yes");
    if (version >= VERSION_NAMES) {
        want(session, "worked", "yes");
        more++;
    }
    must(count_keys(session) == KEY_COUNT + 2 + large_count + more, "the scan shows other keys");
    must(faster_session_verify(session, NULL, NULL, NULL, NULL, &findings) == FASTER_OK &&
             findings == 0,
         "verify finds something");
}

static bool check_version(const char *golden, int version) {
    char directory[PATH_BYTES];
    char copy[] = "/tmp/faster-golden.XXXXXX";
    char path[sizeof copy + 8];
    struct stat info;
    struct faster_session *session;
    snprintf(directory, sizeof directory, "%s/direct-v%d", golden, version);
    if (stat(directory, &info) != 0) {
        return false;
    }
    must(mkdtemp(copy) != NULL, "no temporary directory");
    snprintf(path, sizeof path, "%s/store", copy);
    run_command("cp -r", directory, path);
    for (uint64_t life = 0; life < 3; life++) {
        struct faster_store *store = open_store(path, &session);
        must((faster_store_checkpoints(store, NULL, 0) > 0) == (version >= VERSION_CHECKPOINTS),
             "there are other checkpoints");
        check_names(store, version);
        check_keys(session, version, life);
        put_number(session, "new", (unsigned)life, "one more");
        check_keys(session, version, life + 1);
        close_store(store, session);
    }
    run_command("rm -r", path, copy);
    return true;
}

int main(int argument_count, char **arguments) {
    int count = 0;
    if (argument_count == 3 && strcmp(arguments[1], "make") == 0) {
        make(arguments[2]);
        return 0;
    }
    must(argument_count == 3 && strcmp(arguments[1], "check") == 0,
         "usage: golden_direct check|make DIRECTORY");
    for (int version = VERSION_FIRST; version < VERSION_MAX; version++) {
        count += check_version(arguments[2], version) ? 1 : 0;
    }
    must(count > 0, "there are no golden stores");
    printf("golden_direct: %d passed, 0 failed\n", count);
    return 0;
}
