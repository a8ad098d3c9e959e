/* failing_calls_ring_cases.c - the workload on io_uring, with another completion spoilt each time.
 */
#include <errno.h>

#include "failing_calls.h"

/* What a completion says. */
struct answer {
    const char *name;
    const char *fault;
    enum transfer kind;
    int result;
    bool is_failure; /* else it changes nothing */
    bool may_break;
};

static const struct answer ANSWERS[] = {
    {"ring-read", "EIO", TRANSFER_READ, -EIO, true, true},
    {"ring-read", "short", TRANSFER_READ, RING_SHORT, false, false},
    {"ring-read", "EAGAIN", TRANSFER_READ, -EAGAIN, false, false},
    {"ring-write", "EIO", TRANSFER_WRITE, -EIO, true, true},
    {"ring-write", "ENOSPC", TRANSFER_WRITE, -ENOSPC, true, false},
    {"ring-write", "short", TRANSFER_WRITE, RING_SHORT, false, false},
    {"ring-sync", "EIO", TRANSFER_SYNC, -EIO, true, true},
    {"ring-sync", "ENOSPC", TRANSFER_SYNC, -ENOSPC, true, true},
    {"ring-sync", "ECANCELED", TRANSFER_SYNC, -ECANCELED, false, false},
};

static struct work *begin_on_ring(uint64_t seed) {
    struct work *work = begin(seed);
    work->uses_ring = true;
    fst_test_env_show_descriptors(work->test, true);
    return work;
}

static void run_answer(uint64_t seed, const struct answer *answer, uint64_t nth, enum span span) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu %s %llu %s %s", (unsigned long long)seed,
             answer->name, (unsigned long long)nth, answer->fault, SPAN_NAMES[span]);
    struct work *work = begin_on_ring(seed);
    work->may_fail = answer->is_failure;
    work->may_break = answer->may_break;
    work->is_final = answer->may_break && answer->kind != TRANSFER_READ;
    ring_spoil(answer->kind, nth, span == ONCE ? 1 : FST_TEST_FOR_EVER, answer->result);
    work_live(work, span);
    case_sum.fired += ring_spoilt() > 0;
    end(work, descriptors);
}

static void run_late_answer(uint64_t seed, uint64_t nth) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu: completion %llu is late", (unsigned long long)seed,
             (unsigned long long)nth);
    struct work *work = begin_on_ring(seed);
    ring_delay(nth);
    work_live(work, ONCE);
    case_sum.fired += ring_spoilt() > 0;
    end(work, descriptors);
}

static void count_answers(uint64_t seed, uint64_t counts[TRANSFER_KINDS]) {
    const unsigned descriptors = open_descriptors();
    snprintf(case_name, sizeof case_name, "%llu on io_uring without a failure",
             (unsigned long long)seed);
    struct work *work = begin_on_ring(seed);
    uint64_t before[TRANSFER_KINDS];
    for (int i = 0; i < TRANSFER_KINDS; i++) {
        before[i] = ring_calls((enum transfer)i);
    }
    work_live(work, ONCE);
    for (int i = 0; i < TRANSFER_KINDS; i++) {
        counts[i] = ring_calls((enum transfer)i) - before[i];
    }
    CHECK(work,
          counts[TRANSFER_READ] > 0 && counts[TRANSFER_WRITE] > 0 && counts[TRANSFER_SYNC] > 0,
          "io_uring is not used", FASTER_OK);
    end(work, descriptors);
}

void ring_run_all(uint64_t seed, uint64_t step) {
    uint64_t counts[TRANSFER_KINDS];
    uint64_t before = case_sum.cases;
    if (!ring_is_there()) {
        printf("  no io_uring here\n");
        return;
    }
    count_answers(seed, counts);
    for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        const struct answer *answer = &ANSWERS[i];
        const bool is_rare = counts[answer->kind] < 40;
        const uint64_t stride = is_rare ? (step + 15) / 16 : step;
        for (uint64_t nth = 1 + seed % stride; nth <= counts[answer->kind]; nth += stride) {
            run_answer(seed, answer, nth, ONCE);
            if (answer->is_failure && (is_rare || nth / stride % 3 == 0)) {
                run_answer(seed, answer, nth, UNTIL_CLOSE);
                run_answer(seed, answer, nth, UNTIL_OPEN);
            }
        }
        printf("  %-10s %-9s %4llu calls, %5llu cases\n", answer->name, answer->fault,
               (unsigned long long)counts[answer->kind],
               (unsigned long long)(case_sum.cases - before));
        before = case_sum.cases;
    }
    const uint64_t count = counts[TRANSFER_READ] + counts[TRANSFER_WRITE] + counts[TRANSFER_SYNC];
    for (uint64_t nth = 1 + seed % step; nth <= count; nth += step) {
        run_late_answer(seed, nth);
    }
    printf("  late completions   %4llu calls, %5llu cases\n", (unsigned long long)count,
           (unsigned long long)(case_sum.cases - before));
}

bool ring_replay(uint64_t seed, char **words) {
    for (size_t i = 0; i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        for (int span = 0; span < SPAN_COUNT; span++) {
            if (strcmp(words[0], ANSWERS[i].name) == 0 && strcmp(words[2], ANSWERS[i].fault) == 0 &&
                strcmp(words[3], SPAN_NAMES[span]) == 0) {
                run_answer(seed, &ANSWERS[i], strtoull(words[1], NULL, 10), (enum span)span);
                return true;
            }
        }
    }
    return false;
}
