/* failing_calls.c - each call to the system fails in turn, in the life of a direct store (P3-P7).
 *
 * Strategy: one scripted workload (create, every operation, growth, eviction, reads from disk,
 * batches, commits, scan, verify, close, reopen, removal) runs again and again. Each time another
 * call fails: of each kind of call, number 1, 2, 3, ... to the last that the workload makes. It
 * fails with an I/O error, for want of space, or of memory; once, until it heals before the
 * close, or over the close and the next open. Failing writes may store half of their bytes.
 * Besides, transfers are cut short or interrupted, and calls are held back so that later ones
 * overtake them; on io_uring the same is done to completions.
 *
 * Invariants: every call comes back with a status (a watchdog names the case that does not); an
 * operation that failed did nothing, reads and scans are right or an error, and an error of the
 * system is never called damage (P4); after a failed write or sync no commit and no write succeeds
 * until the store is opened again (P5), and after any other failure everything works again
 * (P6, P7); what a reopen finds is the last acknowledged commit, or what a commit that failed, or
 * the close, was to cover (P3); short, late and reordered transfers change nothing; no memory and
 * no descriptor is left over.
 *
 * A count of the calls of a run without faults tells where an enumeration ends. One run takes a
 * part of the calls where there are many, from the seed on; FASTER_TEST_SCALE=1600 takes all.
 * Replay: failing_calls SEED KIND CALL FAULT SPAN, as printed.
 */
#include <dirent.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include "base/atomic.h"
#include "failing_calls.h"

#define MANY_CALLS 100u
#define WHOLE_PERCENT 1600u /* the scale at which no call is left out */
#define WATCHDOG_SECONDS 60u

const char *const SPAN_NAMES[] = {"once", "until-close", "until-open"};

static char base[256];
char case_name[CASE_NAME_BYTES];
struct case_sums case_sum;

/* What can fail, and how. */
struct kind {
    const char *name;
    enum fst_test_operation operation;
    bool is_sync; /* whatever it says, it may be final */
    bool is_write;
    enum faster_status statuses[3];
};

static const struct kind KINDS[] = {
    {"open", FST_TEST_FILE_OPEN, false, false, {FASTER_IO, FASTER_FULL, FASTER_NOMEM}},
    {"read", FST_TEST_FILE_READ, false, false, {FASTER_IO}},
    {"write", FST_TEST_FILE_WRITE, false, true, {FASTER_IO, FASTER_FULL}},
    {"sync", FST_TEST_FILE_SYNC, true, false, {FASTER_IO, FASTER_FULL}},
    {"truncate", FST_TEST_FILE_TRUNCATE, false, false, {FASTER_IO, FASTER_FULL}},
    {"size", FST_TEST_FILE_SIZE, false, false, {FASTER_IO}},
    {"lock", FST_TEST_FILE_LOCK, false, false, {FASTER_IO}},
    {"own", FST_TEST_FILE_OWN, false, false, {FASTER_IO}},
    {"info", FST_TEST_PATH_INFO, false, false, {FASTER_IO}},
    {"rename", FST_TEST_PATH_RENAME, false, false, {FASTER_IO, FASTER_FULL}},
    {"remove", FST_TEST_PATH_REMOVE, false, false, {FASTER_IO}},
    {"directory-create", FST_TEST_DIRECTORY_CREATE, false, false, {FASTER_IO, FASTER_FULL}},
    {"directory-remove", FST_TEST_DIRECTORY_REMOVE, false, false, {FASTER_IO}},
    {"directory-sync", FST_TEST_DIRECTORY_SYNC, false, false, {FASTER_IO, FASTER_FULL}},
    {"directory-list", FST_TEST_DIRECTORY_LIST, false, false, {FASTER_IO, FASTER_FULL}},
    {"random", FST_TEST_RANDOM, false, false, {FASTER_IO}},
    {"thread", FST_TEST_THREAD_START, false, false, {FASTER_FULL}},
    {"allocate", FST_TEST_ALLOCATE, false, false, {FASTER_NOMEM}},
    {"map", FST_TEST_MAP, false, false, {FASTER_NOMEM}},
};
#define KIND_COUNT (sizeof KINDS / sizeof KINDS[0])

/* ---- when something is wrong ---- */

void work_fail(const struct work *work, const char *what, enum faster_status status) {
    fprintf(stderr, "failing_calls: %s: %s: %s\n", work->name, what, faster_status_name(status));
    exit(1);
}

static void write_text(const char *text) {
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(2);
    }
}

static void on_alarm(int number) {
    (void)number;
    write_text("failing_calls: hangs: ");
    write_text(case_name);
    write_text("\n");
    _exit(1);
}

unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *stream = opendir("/proc/self/fd");
    while (stream != NULL && readdir(stream) != NULL) {
        count++;
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return count;
}

/* ---- cases ---- */

struct work *begin(uint64_t seed) {
    static struct work work;
    static uint64_t number;
    memset(&work, 0, sizeof work);
    work.name = case_name;
    work.test = fst_test_env_create();
    work.io_threads = 1;
    work.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    work.next_value = 1;
    work.cut_count = 1;
    /* Named after the UUID, a creation or removal that was cut short can be taken up again. */
    number++;
    memcpy(work.uuid, &number, sizeof number);
    char text[FASTER_UUID_TEXT_BYTES];
    faster_uuid_text(work.uuid, text);
    snprintf(work.directory, sizeof work.directory, "%s/%s", base, text);
    CHECK(&work, work.test != NULL, "no memory", FASTER_NOMEM);
    alarm(WATCHDOG_SECONDS);
    return &work;
}

void end(struct work *work, unsigned descriptors) {
    CHECK(work, fst_test_env_live_allocations(work->test) == 0, "memory is left over", FASTER_OK);
    CHECK(work, open_descriptors() == descriptors, "a descriptor is left over", FASTER_OK);
    fst_test_env_destroy(work->test);
    case_sum.cases++;
    case_sum.failures += work->failures;
    case_sum.operations += work->operations;
}

/* One call of one kind fails. */
static void run_failure(uint64_t seed, const struct kind *kind, uint64_t nth,
                        enum faster_status status, bool tears, enum span span) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu %s %llu %s%s %s", (unsigned long long)seed,
             kind->name, (unsigned long long)nth, faster_status_name(status), tears ? "+half" : "",
             SPAN_NAMES[span]);
    struct work *work = begin(seed);
    work->may_fail = true;
    work->may_break = status == FASTER_IO || kind->is_sync;
    work->operation = kind->operation;
    work->is_final = status == FASTER_IO && (kind->is_write || kind->is_sync ||
                                             kind->operation == FST_TEST_DIRECTORY_SYNC);
    fst_test_env_tear_writes(work->test, tears);
    fst_test_env_fail(work->test, kind->operation, nth, span == ONCE ? 1 : FST_TEST_FOR_EVER,
                      status);
    work_live(work, span);
    case_sum.fired += fst_test_env_failed(work->test, kind->operation) > 0;
    end(work, descriptors);
}

/* The same in the removal of a store. False: it was done before the call came. */
static bool run_removal(uint64_t seed, const struct kind *kind, uint64_t nth,
                        enum faster_status status, enum span span) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu: removal with %s %llu %s %s",
             (unsigned long long)seed, kind->name, (unsigned long long)nth,
             faster_status_name(status), SPAN_NAMES[span]);
    struct work *work = begin(seed);
    work_prepare_removal(work);
    work->may_fail = true;
    fst_test_env_fail(work->test, kind->operation, nth, span == ONCE ? 1 : FST_TEST_FOR_EVER,
                      status);
    work_remove(work);
    bool fired = fst_test_env_failed(work->test, kind->operation) > 0;
    case_sum.fired += fired;
    end(work, descriptors);
    return fired;
}

/* Fault-free; gives how many calls of each kind the workload makes. */
static void count_calls(uint64_t seed, uint64_t counts[KIND_COUNT],
                        uint64_t moved[TRANSFER_KINDS]) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu without a failure", (unsigned long long)seed);
    struct work *work = begin(seed);
    uint64_t before[TRANSFER_KINDS];
    for (int i = 0; i < TRANSFER_KINDS; i++) {
        before[i] = transfer_calls((enum transfer)i);
    }
    work_live(work, ONCE);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        counts[i] = fst_test_env_calls(work->test, KINDS[i].operation);
    }
    for (int i = 0; i < TRANSFER_KINDS; i++) {
        moved[i] = transfer_calls((enum transfer)i) - before[i];
    }
    end(work, descriptors);
}

/* ---- transfers that are short, interrupted, or late ---- */

static void run_short(uint64_t seed, enum transfer kind, uint64_t nth, uint64_t times,
                      size_t bytes_max) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu: %s %llu and %llu more of %zu bytes at most",
             (unsigned long long)seed, kind == TRANSFER_READ ? "read" : "write",
             (unsigned long long)nth, (unsigned long long)times - 1, bytes_max);
    struct work *work = begin(seed);
    transfer_shorten(kind, nth, times, bytes_max);
    work_live(work, ONCE);
    case_sum.fired += transfer_shortened() > 0;
    end(work, descriptors);
}

/* A call that waits until others have overtaken it, or for a while. */
static struct {
    fst_atomic_u64 calls;
    fst_atomic_u64 overtaken;
    uint64_t nth;
} late;

#define OVERTAKERS 3u
#define LATE_NS 200000u
#define LATE_TURNS 20u

static void hold_back(void *context, enum fst_test_operation operation) {
    const struct faster_env *env = context;
    (void)operation;
    if (fst_add_relaxed_u64(&late.calls, 1) + 1 != late.nth) {
        return;
    }
    for (unsigned i = 0; i < LATE_TURNS; i++) {
        if (fst_load_relaxed_u64(&late.calls) >= late.nth + OVERTAKERS) {
            (void)fst_add_relaxed_u64(&late.overtaken, 1);
            return;
        }
        env->sleep_ns(env, LATE_NS);
    }
}

static void run_late(uint64_t seed, uint64_t nth) {
    static const enum fst_test_operation TRANSFERS[] = {FST_TEST_FILE_READ, FST_TEST_FILE_WRITE,
                                                        FST_TEST_FILE_SYNC};
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu: transfer %llu is late", (unsigned long long)seed,
             (unsigned long long)nth);
    struct work *work = begin(seed);
    work->io_threads = 4;
    fst_store_relaxed_u64(&late.calls, 0);
    late.nth = nth;
    for (size_t i = 0; i < sizeof TRANSFERS / sizeof TRANSFERS[0]; i++) {
        fst_test_env_hook(work->test, TRANSFERS[i], hold_back,
                          (void *)(uintptr_t)faster_env_posix());
    }
    work_live(work, ONCE);
    case_sum.fired += fst_load_relaxed_u64(&late.calls) >= nth;
    end(work, descriptors);
}

/* ---- enumerations ---- */

static void fail_one(uint64_t seed, const struct kind *kind, uint64_t nth, bool lastingly) {
    for (int i = 0; i < 3 && kind->statuses[i] != FASTER_OK; i++) {
        for (int span = 0; span < (lastingly ? SPAN_COUNT : UNTIL_CLOSE); span++) {
            run_failure(seed, kind, nth, kind->statuses[i], false, (enum span)span);
            if (kind->is_write) {
                run_failure(seed, kind, nth, kind->statuses[i], true, (enum span)span);
            }
        }
    }
}

/* Where calls are many, neighbours that fail for long are much the same: every third of them. */
static void fail_each(uint64_t seed, const struct kind *kind, uint64_t count, uint64_t step) {
    const uint64_t before = case_sum.cases;
    for (uint64_t nth = 1 + seed % step; nth <= count; nth += step) {
        fail_one(seed, kind, nth, count < MANY_CALLS || nth / step % 3 == 0);
    }
    for (int i = 0; i < 3 && kind->statuses[i] != FASTER_OK; i++) {
        for (int span = 0; span < UNTIL_OPEN; span++) {
            for (uint64_t nth = 1; run_removal(seed, kind, nth, kind->statuses[i], (enum span)span);
                 nth++) {
            }
        }
    }
    printf("  %-16s %4llu calls, %5llu cases\n", kind->name, (unsigned long long)count,
           (unsigned long long)(case_sum.cases - before));
}

static void shorten_each(uint64_t seed, enum transfer kind, uint64_t count, uint64_t step) {
    const uint64_t before = case_sum.cases;
    for (uint64_t nth = 1 + seed % step; nth <= count; nth += step) {
        run_short(seed, kind, nth, 1, 1);
        run_short(seed, kind, nth, 1, 600);
        run_short(seed, kind, nth, 3, 0);
    }
    run_short(seed, kind, 1, FST_TEST_FOR_EVER, 1000);
    printf("  short %-10s %4llu calls, %5llu cases\n", kind == TRANSFER_READ ? "reads" : "writes",
           (unsigned long long)count, (unsigned long long)(case_sum.cases - before));
}

static void delay_each(uint64_t seed, uint64_t count, uint64_t step) {
    const uint64_t before = case_sum.cases;
    fst_store_relaxed_u64(&late.overtaken, 0);
    for (uint64_t nth = 1 + seed % step; nth <= count; nth += step) {
        run_late(seed, nth);
    }
    printf("  late transfers   %4llu calls, %5llu cases, %llu overtaken\n",
           (unsigned long long)count, (unsigned long long)(case_sum.cases - before),
           (unsigned long long)fst_load_relaxed_u64(&late.overtaken));
}

static void run_all(uint64_t seed, uint64_t step) {
    uint64_t counts[KIND_COUNT];
    uint64_t moved[TRANSFER_KINDS];
    count_calls(seed, counts, moved);
    for (size_t i = 0; i < KIND_COUNT; i++) {
        /* Few calls are few cases. */
        fail_each(seed, &KINDS[i], counts[i], counts[i] < 40 ? (step + 15) / 16 : step);
    }
    shorten_each(seed, TRANSFER_READ, moved[TRANSFER_READ], step);
    shorten_each(seed, TRANSFER_WRITE, moved[TRANSFER_WRITE], step);
    delay_each(seed, moved[TRANSFER_READ] + moved[TRANSFER_WRITE], step);
    ring_run_all(seed, step);
    printf(
        "failing_calls: seed %llu, %llu cases (%llu reached their call), %llu operations as they "
        "should be, %llu failed: nothing lost, wrong or left over\n",
        (unsigned long long)seed, (unsigned long long)case_sum.cases,
        (unsigned long long)case_sum.fired, (unsigned long long)case_sum.operations,
        (unsigned long long)case_sum.failures);
}

/* KIND CALL FAULT SPAN as the report names them. */
static int replay(uint64_t seed, char **words) {
    for (size_t kind = 0; kind < KIND_COUNT; kind++) {
        for (int i = 0; i < 3 && strcmp(KINDS[kind].name, words[0]) == 0; i++) {
            const char *name = faster_status_name(KINDS[kind].statuses[i]);
            for (int span = 0; span < SPAN_COUNT; span++) {
                if (strncmp(words[2], name, strlen(name)) == 0 &&
                    strcmp(words[3], SPAN_NAMES[span]) == 0) {
                    run_failure(seed, &KINDS[kind], strtoull(words[1], NULL, 10),
                                KINDS[kind].statuses[i], strstr(words[2], "+half") != NULL,
                                (enum span)span);
                    return 0;
                }
            }
        }
    }
    if (ring_replay(seed, words)) {
        return 0;
    }
    fprintf(stderr, "failing_calls: no such case\n");
    return 2;
}

int main(int argc, char **argv) {
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const char *scale = getenv("FASTER_TEST_SCALE");
    const uint64_t percent = scale != NULL ? strtoull(scale, NULL, 10) : 100;
    int result = 0;
    signal(SIGALRM, on_alarm);
#ifdef M_TRIM_THRESHOLD
    /* Giving memory back to the system after each case would take a third of the time. */
    (void)mallopt(M_TRIM_THRESHOLD, 64 << 20);
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
#endif
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!fst_test_directory_create(base, sizeof base)) {
        return 1;
    }
    if (argc == 6) {
        result = replay(seed, argv + 2);
    } else {
        run_all(seed, percent == 0 || percent >= WHOLE_PERCENT ? 1 : WHOLE_PERCENT / percent);
    }
    fst_test_directory_remove(base);
    return result;
}
