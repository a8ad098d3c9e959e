/* flip_bytes.c - every byte of a small store is changed, one at a time.
 * Sources: flip_bytes.c, ../sim/damage_padding.c, ../support/sql_support.c, ../support/sql_files.c.
 *
 * Strategy. A small store with some hundred rows, overwritten and deleted ones among them,
 * is closed. For every byte of every file of its directory (holes are skipped) some of the
 * byte's bits are flipped; a fresh connection then opens the database, scans the table and
 * reads some keys; the byte is put back. Two processes share the work, each with a store of
 * its own; one that crashes is replaced and the byte that killed it is named.
 *
 * Invariants (P4, P8). A statement ends with an error or has returned exactly the right
 * rows; a key that exists is never reported missing; no crash, no hang; reading changes no
 * file. What reading does not notice is shown to faster_verify(); what that does not notice
 * either must be among the bytes that FORMAT.md lists under "Bytes that nothing checks".
 *
 * Replay. `--seed N` gives the same bits and keys. At scale 100 every fourth byte is taken, from
 * the one on that the seed says; scale 400 takes all. (sim/damage.c takes all, without SQL.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/damage_padding.h"
#include "sql_support.h"

#define ROWS 160
#define WORKERS 2u
#define FILES_MAX 64
#define FLIP_SECONDS_MAX 20u
#define CRASHES_MAX 10u

#define SEGMENT_BITS 14 /* of segment_size below */

struct file_copy {
    char path[TEST_PATH_BYTES];
    const char *name;
    unsigned char *bytes;
    size_t size;
    unsigned char *is_data; /* per byte: not in a hole */
};

struct worker {
    const struct test_options *options;
    char directory[TEST_PATH_BYTES];
    char database[TEST_PATH_BYTES];
    char store[TEST_PATH_BYTES];
    struct file_copy file[FILES_MAX];
    unsigned file_count;
    char expected[ROWS][80]; /* value of each key; empty: deleted */
    uint64_t log_end;        /* beyond it, commit rows hold what counts of the log */
};

/* Shared by all processes. */
struct tally {
    uint64_t position[WORKERS]; /* byte that is being tried */
    uint64_t tried;             /* the rest is atomic */
    uint64_t noticed_by_reading;
    uint64_t noticed_by_verify;
    uint64_t unnoticed;
    uint64_t overlooked; /* not noticed, although FORMAT.md says that something checks it */
    uint64_t wrong;
};
static struct tally *tally;

static void count(uint64_t *figure) {
    __atomic_fetch_add(figure, 1, __ATOMIC_RELAXED);
}

/* -------------------------------------------------------------------- the store */

static void make_store(struct worker *worker) {
    sqlite3 *db = db_open(worker->options, worker->database);
    db_must(db, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=OFF");
    db_must(db, worker->options->self
                    ? "CREATE TABLE f(key TEXT PRIMARY KEY, value) WITHOUT ROWID"
                    : "CREATE VIRTUAL TABLE f USING faster(key TEXT PRIMARY KEY, value,"
                      " memory='1MiB', page_size='16KiB', segment_size='16KiB')");
    for (int round = 0; round < 3; round++) {
        db_must(db, "BEGIN");
        for (int i = 0; i < ROWS; i += 1 + round * 3) {
            snprintf(worker->expected[i], sizeof *worker->expected, "value %d of round %d %s", i,
                     round, i % 5 ? "" : "which is a longer one than most others");
            db_must(db, "REPLACE INTO f VALUES('key%05d', '%s')", i, worker->expected[i]);
        }
        db_must(db, round == 1 ? "SAVEPOINT s; DELETE FROM f; ROLLBACK TO s; COMMIT" : "COMMIT");
    }
    if (!worker->options->self) {
        /* From here on the log alone holds the rows; the deletes stay in commit rows too. */
        db_must(db, "INSERT INTO f(f) VALUES('checkpoint')");
    }
    for (int i = 3; i < ROWS; i += 13) {
        db_must(db, "DELETE FROM f WHERE key = 'key%05d'", i);
        worker->expected[i][0] = 0;
    }
    if (!worker->options->self) {
        worker->log_end = (uint64_t)db_int(
            db, "SELECT min(CASE WHEN redo IS NULL THEN newest.at ELSE end - length(redo) END) "
                "FROM f_log, (SELECT max(end) AS at FROM f_log) AS newest");
    }
    db_close(db);
    if (worker->options->self) {
        path_format(worker->store, "%s/nothing", worker->directory);
        mkdir(worker->store, 0755);
        char path[TEST_PATH_BYTES];
        path_format(path, "%s/file", worker->store);
        FILE *file = fopen(path, "we");
        fprintf(file, "%01000d", 0);
        fclose(file);
    } else if (!store_directory_find(worker->directory, worker->store)) {
        test_fail("no store below %s", worker->directory);
    }
}

static void load_file(void *context, const char *path) {
    struct worker *worker = context;
    struct stat status;
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, "lock") == 0) {
        return; /* it holds the owner's pid, which every open writes */
    }
    if (worker->file_count == FILES_MAX) {
        test_fail("more than %d files", FILES_MAX);
    }
    struct file_copy *file = &worker->file[worker->file_count++];
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        test_fail("cannot read %s", path);
    }
    path_format(file->path, "%s", path);
    file->name = strrchr(file->path, '/') + 1;
    file->size = (size_t)status.st_size;
    file->bytes = malloc(file->size + 1);
    file->is_data = calloc(file->size + 1, 1);
    if (file->bytes == NULL || file->is_data == NULL ||
        pread(descriptor, file->bytes, file->size, 0) != (ssize_t)file->size) {
        test_fail("cannot read %s", path);
    }
    off_t start = 0;
    while (start < status.st_size && (start = lseek(descriptor, start, SEEK_DATA)) >= 0) {
        off_t end = lseek(descriptor, start, SEEK_HOLE);
        memset(file->is_data + start, 1, (size_t)(end - start));
        start = end;
    }
    close(descriptor);
}

static void write_byte(const struct file_copy *file, size_t offset, unsigned char byte) {
    int descriptor = open(file->path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0 || pwrite(descriptor, &byte, 1, (off_t)offset) != 1) {
        test_fail("cannot write %s: %s", file->path, strerror(errno));
    }
    close(descriptor);
}

/* -------------------------------------------------------- what nothing checks */

static size_t read_copy(const void *context, const char *name, uint64_t offset, void *bytes,
                        size_t count) {
    const struct worker *worker = context;
    for (unsigned i = 0; i < worker->file_count; i++) {
        const struct file_copy *file = &worker->file[i];
        if (strcmp(file->name, name) == 0 && offset < file->size) {
            const size_t left = file->size - (size_t)offset;
            count = count < left ? count : left;
            memcpy(bytes, file->bytes + offset, count);
            return count;
        }
    }
    return 0;
}

static bool is_unchecked(const struct worker *worker, const struct file_copy *file, size_t offset) {
    const struct padding_store store = {read_copy, worker, SEGMENT_BITS, worker->log_end};
    return padding_is_unchecked(&store, file->name, file->size, offset);
}

/* ------------------------------------------------------------------- one byte */

/* The index of a key such as key00012, or -1. */
static int key_index(const char *key) {
    int index = -1;
    if (key == NULL || sscanf(key, "key%05d", &index) != 1 || index < 0 || index >= ROWS) {
        return -1;
    }
    return index;
}

/* Returns false if an error was reported. `*wrong` is set if rows are wrong. */
static bool scan(struct worker *worker, sqlite3 *db, bool *wrong) {
    sqlite3_stmt *statement = NULL;
    bool seen[ROWS] = {false};
    int code = sqlite3_prepare_v2(db, "SELECT key, value FROM f", -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            int index = key_index((const char *)sqlite3_column_text(statement, 0));
            const char *value = (const char *)sqlite3_column_text(statement, 1);
            if (index < 0 || seen[index] || value == NULL || worker->expected[index][0] == 0 ||
                strcmp(value, worker->expected[index]) != 0) {
                *wrong = true;
            } else {
                seen[index] = true;
            }
        }
    }
    sqlite3_finalize(statement);
    for (int i = 0; i < ROWS && code == SQLITE_DONE; i++) {
        *wrong = *wrong || seen[i] != (worker->expected[i][0] != 0);
    }
    return code == SQLITE_DONE;
}

static bool read_point(struct worker *worker, sqlite3 *db, int index, bool *wrong) {
    struct rows rows = {0};
    char sql[80];
    char expected[100];
    snprintf(sql, sizeof sql, "SELECT value FROM f WHERE key = 'key%05d'", index);
    snprintf(expected, sizeof expected, "text:%s", worker->expected[index]);
    rows_run(&rows, db, sql);
    bool fine = rows.code == SQLITE_OK;
    bool lives = worker->expected[index][0] != 0;
    if (rows.count > 1 || (fine && (rows.count == 1) != lives) ||
        (rows.count == 1 && strcmp(rows.row[0], expected) != 0)) {
        *wrong = true;
    }
    rows_clear(&rows);
    return fine;
}

static bool verify_is_ok(struct worker *worker, sqlite3 *db) {
    if (worker->options->self) {
        return true;
    }
    struct rows rows = {0};
    rows_run(&rows, db, "SELECT faster_verify('f')");
    bool ok = rows.code == SQLITE_OK && strcmp(rows_at(&rows, 0), "text:ok") == 0;
    rows_clear(&rows);
    return ok;
}

static void try_byte(struct worker *worker, const struct file_copy *file, size_t offset,
                     uint64_t position) {
    struct random_state random = random_of(worker->options->seed, position);
    unsigned char mask = (unsigned char)(1 + random_below(&random, 255));
    bool wrong = false;
    alarm(FLIP_SECONDS_MAX);
    write_byte(file, offset, file->bytes[offset] ^ mask);
    sqlite3 *db = db_open(worker->options, worker->database);
    bool right = true;
    for (int i = 0; i < 2; i++) {
        right = read_point(worker, db, (int)random_below(&random, ROWS), &wrong) && right;
    }
    right = scan(worker, db, &wrong) && right;
    right = read_point(worker, db, (int)random_below(&random, ROWS), &wrong) && right;
    bool ok = right && verify_is_ok(worker, db);
    db_close(db);
    write_byte(file, offset, file->bytes[offset]);
    count(&tally->tried);
    count(!right ? &tally->noticed_by_reading
          : !ok  ? &tally->noticed_by_verify
                 : &tally->unnoticed);
    if (wrong) {
        count(&tally->wrong);
        printf("WRONG ROWS: %s, offset %zu, bits %02x, seed %llu\n", file->name, offset, mask,
               (unsigned long long)worker->options->seed);
    } else if (ok && !is_unchecked(worker, file, offset)) {
        count(&tally->overlooked);
        printf("NOT NOTICED: %s, offset %zu, bits %02x, seed %llu\n", file->name, offset, mask,
               (unsigned long long)worker->options->seed);
    } else if (ok && worker->options->verbose) {
        printf("  not noticed: %s, offset %zu\n", file->name, offset);
    }
}

/* Reading a damaged store must leave its files as they are. */
static void compare_files(struct worker *worker) {
    for (unsigned i = 0; i < worker->file_count; i++) {
        const struct file_copy *file = &worker->file[i];
        unsigned char *bytes = malloc(file->size + 2);
        int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
        ssize_t size = descriptor < 0 ? -1 : pread(descriptor, bytes, file->size + 1, 0);
        if (size != (ssize_t)file->size || memcmp(bytes, file->bytes, file->size) != 0) {
            printf("CHANGED BY READING: %s\n", file->path);
            count(&tally->wrong);
            fflush(NULL);
            _exit(1);
        }
        close(descriptor);
        free(bytes);
    }
}

/* Tries the worker's share of the bytes, from `*position` on. */
static void work(struct worker *worker, unsigned number, uint64_t from) {
    const unsigned scale = worker->options->scale_percent;
    const uint64_t step = scale < 1 ? 400 : scale > 400 ? 1 : 400 / scale;
    const uint64_t first = worker->options->seed % step;
    uint64_t position = 0;
    for (unsigned i = 0; i < worker->file_count; i++) {
        const struct file_copy *file = &worker->file[i];
        for (size_t offset = 0; offset < file->size; offset++, position++) {
            if (position < from || position / step % WORKERS != number ||
                position % step != first || !file->is_data[offset]) {
                continue;
            }
            tally->position[number] = position;
            try_byte(worker, file, offset, position);
            if (position / step % 128 == number) {
                compare_files(worker);
            }
        }
    }
    compare_files(worker);
}

static void put_back(const struct worker *worker, uint64_t position) {
    for (unsigned i = 0; i < worker->file_count; i++) {
        const struct file_copy *file = &worker->file[i];
        if (position < file->size) {
            printf("CRASHED: %s, offset %llu\n", file->name, (unsigned long long)position);
            write_byte(file, (size_t)position, file->bytes[position]);
            return;
        }
        position -= file->size;
    }
}

/* ------------------------------------------------------------------- processes */

static pid_t start(struct worker *worker, unsigned number, uint64_t from) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work(worker, number, from);
        fflush(NULL);
        _exit(0);
    }
    return pid;
}

/* The store is made by another process, so that this one never loads the extension. */
static void prepare(struct worker *worker, const struct test_options *options) {
    worker->options = options;
    directory_make(worker->directory, "flip");
    path_format(worker->database, "%s/flip.db", worker->directory);
    struct worker *shared =
        mmap(NULL, sizeof *worker, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shared = *worker;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        make_store(shared);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) {
        test_fail("the store could not be made");
    }
    *worker = *shared;
    munmap(shared, sizeof *shared);
    tree_each_file(worker->store, load_file, worker);
}

int main(int argc, char **argv) {
    struct test_options options;
    static struct worker worker[WORKERS];
    pid_t pid[WORKERS];
    unsigned crashes = 0;
    unsigned failures = 0;
    test_options_parse(&options, argc, argv);
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        prepare(&worker[i], &options);
        pid[i] = start(&worker[i], i, 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        int status = 0;
        while (waitpid(pid[i], &status, 0) == pid[i] && WIFSIGNALED(status) &&
               crashes < CRASHES_MAX) {
            crashes++;
            put_back(&worker[i], tally->position[i]);
            pid[i] = start(&worker[i], i, tally->position[i] + 1);
        }
        failures += status != 0;
        directory_remove(worker[i].directory);
    }
    printf("flip_bytes: %llu bytes: %llu noticed by reading, %llu by verify alone, %llu not at"
           " all, %llu of these against FORMAT.md; %llu wrong, %u crashes\n",
           (unsigned long long)tally->tried, (unsigned long long)tally->noticed_by_reading,
           (unsigned long long)tally->noticed_by_verify, (unsigned long long)tally->unnoticed,
           (unsigned long long)tally->overlooked, (unsigned long long)tally->wrong, crashes);
    return tally->wrong || tally->overlooked || crashes || failures || tally->tried == 0 ? 1 : 0;
}
