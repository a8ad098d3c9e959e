/* scenarios_support.c - tables, comparisons and processes of the scenario test. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenarios.h"

bool expect(struct scenario *scenario, bool condition, const char *format, ...) {
    scenario->checks++;
    if (!condition) {
        va_list list;
        va_start(list, format);
        struct text text = {0};
        text_add_list(&text, format, list);
        va_end(list);
        printf("  %s (%s): %s\n", scenario->name, scenario->mode, text.data);
        fflush(stdout);
        text_finish(&text);
        scenario->failures++;
    }
    return condition;
}

sqlite3 *scenario_open(const struct scenario *scenario) {
    sqlite3 *db = db_open(scenario->options, scenario->path);
    /* A large cache: a rollback mode that spills pages locks all readers out. */
    db_must(db, "PRAGMA journal_mode=%s; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000",
            scenario->mode);
    return db;
}

void tables_create(const struct scenario *scenario, sqlite3 *db, const char *store_options) {
    const char *columns = "key TEXT PRIMARY KEY, value, n INTEGER";
    if (scenario->options->self) {
        db_must(db, "CREATE TABLE f(%s) WITHOUT ROWID", columns);
    } else {
        db_must(db, "CREATE VIRTUAL TABLE f USING faster(%s%s)", columns, store_options);
    }
    db_must(db, "CREATE TABLE o(%s) WITHOUT ROWID", columns);
}

void rows_put(sqlite3 *db, int first, int last, int size, int version) {
    static const char *const tables[] = {"f", "o"};
    for (int i = 0; i < 2; i++) {
        db_must(db,
                "WITH RECURSIVE c(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
                " INSERT OR REPLACE INTO %s SELECT printf('k%%05d', i),"
                " substr(printf('%%d.%%d.%%.*c', i, %d, %d, 'v'), 1, %d), %d FROM c",
                first, last - 1, tables[i], version, size, size, version);
    }
}

int run_both(struct scenario *scenario, sqlite3 *db, const char *pattern) {
    int codes[2];
    static const char *const tables[] = {"f", "o"};
    char message[200] = "";
    for (int i = 0; i < 2; i++) {
        char *sql = sqlite3_mprintf(pattern, tables[i], tables[i]);
        codes[i] = sqlite3_exec(db, sql, NULL, NULL, NULL) & 0xff;
        if (codes[i]) {
            snprintf(message, sizeof message, "%s", sqlite3_errmsg(db));
        }
        sqlite3_free(sql);
    }
    expect(scenario, codes[0] == codes[1], "%s: FASTER %d, ordinary %d (%s)", pattern, codes[0],
           codes[1], message);
    return codes[0];
}

bool same_rows(struct scenario *scenario, sqlite3 *db, int64_t count, const char *when) {
    struct rows rows[2] = {{0}, {0}};
    rows_run(&rows[0], db, "SELECT * FROM f");
    rows_run(&rows[1], db, "SELECT * FROM o");
    bool same = expect(scenario, rows[0].code == SQLITE_OK && rows[1].code == SQLITE_OK,
                       "%s: reading gives %d (%s) and %d (%s)", when, rows[0].extended_code,
                       rows[0].message, rows[1].extended_code, rows[1].message);
    rows_sort(&rows[0]);
    rows_sort(&rows[1]);
    long index = rows_difference(&rows[0], &rows[1]);
    same = same && expect(scenario, index < 0,
                          "%s: %zu and %zu rows; row %ld: FASTER %.100s, ordinary %.100s", when,
                          rows[0].count, rows[1].count, index, rows_at(&rows[0], index),
                          rows_at(&rows[1], index));
    same = same && expect(scenario, count < 0 || (int64_t)rows[0].count == count,
                          "%s: %zu rows instead of %lld", when, rows[0].count, (long long)count);
    rows_clear(&rows[0]);
    rows_clear(&rows[1]);
    return same;
}

bool all_sound(struct scenario *scenario, sqlite3 *db, const char *when) {
    struct rows rows = {0};
    bool sound = true;
    if (!scenario->options->self) {
        rows_run(&rows, db, "SELECT faster_verify('f')");
        sound =
            expect(scenario, strcmp(rows_at(&rows, 0), "text:ok") == 0,
                   "%s: faster_verify: %d %s %s", when, rows.code, rows.message, rows_at(&rows, 0));
    }
    rows_run(&rows, db, "PRAGMA integrity_check");
    sound =
        expect(scenario, strcmp(rows_at(&rows, 0), "text:ok") == 0, "%s: integrity_check: %d %s %s",
               when, rows.code, rows.message, rows_at(&rows, 0)) &&
        sound;
    rows_clear(&rows);
    return sound;
}

bool expect_error(struct scenario *scenario, sqlite3 *db, const char *sql, int code, ...) {
    struct rows rows = {0};
    rows_run(&rows, db, sql);
    bool fine =
        expect(scenario, rows.code == code || (code < 0 && rows.code != SQLITE_OK),
               "%.120s: code %d instead of %d (%s)", sql, rows.extended_code, code, rows.message);
    va_list words;
    va_start(words, code);
    for (const char *word; (word = va_arg(words, const char *)) != NULL;) {
        fine = expect(scenario, strcasestr(rows.message, word) != NULL,
                      "%.120s: the message does not name '%s': %s", sql, word, rows.message) &&
               fine;
    }
    va_end(words);
    if (scenario->options->verbose) {
        printf("    %.70s -> %d %s\n", sql, rows.extended_code, rows.message);
    }
    rows_clear(&rows);
    return fine;
}

/* --------------------------------------------------------------------- processes */

void kill_self(void) {
    fflush(NULL);
    raise(SIGKILL);
    abort();
}

void run_phase(struct scenario *scenario, scenario_fn *phase, bool killed) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(170);
        scenario->failures = 0;
        phase(scenario);
        fflush(NULL);
        _exit(scenario->failures ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (killed) {
        expect(scenario, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
               "a phase that kills itself ended with 0x%x", status);
    } else {
        expect(scenario, status == 0, "a phase ended with 0x%x", status);
    }
}

void partner_start(struct scenario *scenario, struct partner *partner,
                   void (*phase)(struct scenario *scenario, int from_test, int to_test)) {
    int down[2];
    int up[2];
    fflush(NULL);
    if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) {
        test_fail("pipe: %s", strerror(errno));
    }
    partner->pid = fork();
    if (partner->pid == 0) {
        alarm(170);
        close(down[1]);
        close(up[0]);
        scenario->failures = 0;
        phase(scenario, down[0], up[1]);
        fflush(NULL);
        _exit(scenario->failures ? 1 : 0);
    }
    close(down[0]);
    close(up[1]);
    partner->to_partner = down[1];
    partner->from_partner = up[0];
}

void partner_tell(int pipe) {
    if (write(pipe, "x", 1) != 1) {
        test_fail("the other process is gone");
    }
}

void partner_wait(int pipe) {
    char byte;
    if (read(pipe, &byte, 1) != 1) {
        test_fail("the other process is gone");
    }
}

void partner_end(struct scenario *scenario, struct partner *partner) {
    int status = 0;
    waitpid(partner->pid, &status, 0);
    expect(scenario, status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
           "the other process ended with 0x%x", status);
    close(partner->to_partner);
    close(partner->from_partner);
}

static void add_file(void *context, const char *path) {
    uint64_t *sum = context;
    const char *slash = strrchr(path, '/');
    size_t size = strlen(path);
    if (strcmp(slash + 1, "lock") == 0 || (size > 4 && strcmp(path + size - 4, "-shm") == 0)) {
        return;
    }
    uint64_t hash = 1;
    for (const char *at = path; *at; at++) {
        hash = mix_words(hash, (uint64_t)*at);
    }
    FILE *file = fopen(path, "re");
    if (file && size > 4 && strcmp(path + size - 4, "-wal") == 0 && fgetc(file) == EOF) {
        fclose(file);
        return; /* opening a database may make an empty one */
    }
    uint64_t words[512];
    if (file) {
        rewind(file);
    }
    for (size_t got; file && (got = fread(words, 1, sizeof words, file)) > 0;) {
        memset((char *)words + got, 0, sizeof words - got);
        for (size_t i = 0; i < (got + 7) / 8; i++) {
            hash = mix_words(hash, words[i] + got);
        }
    }
    if (file) {
        fclose(file);
    }
    *sum += hash; /* a sum: the order of a walk is not determined */
}

uint64_t tree_fingerprint(const char *path) {
    uint64_t sum = 0;
    tree_each_file(path, add_file, &sum);
    return sum;
}
