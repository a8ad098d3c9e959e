/* failing_calls.h - what the parts of failing_calls share; see failing_calls.c. */
#ifndef TESTS_SIM_FAILING_CALLS_H
#define TESTS_SIM_FAILING_CALLS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faster.h"
#include "support/test_env.h"

#define KEY_COUNT 50u
#define CUTS_MAX 32u
#define SESSIONS 2u

/* A value is a number; its bytes are derived from it. 0: absent. */
typedef uint32_t model_map[KEY_COUNT];

/* One run of the workload, on a store of its own. */
struct work {
    const char *name; /* of the case, for a failure's report */
    struct fst_test_env *test;
    char directory[300];
    uint8_t uuid[FASTER_UUID_BYTES];
    uint32_t io_threads;
    bool uses_ring; /* io_uring, whose transfers failing_calls_ring.c spoils */
    bool may_fail;  /* failures of operations are no differences */
    bool may_break; /* nor is a store that writes no more until it is opened again */
    bool is_broken; /* it has said so */
    bool is_final;  /* a failure of `operation` while the store is open must break it */
    enum fst_test_operation operation;
    uint64_t failed_at_open; /* of its failures, so many came before the store was open */
    bool is_healed;          /* nothing fails any more */
    bool in_doubt;           /* the last close, or what came before it, has failed */
    uint64_t random;
    uint32_t next_value;
    struct faster_store *store;
    struct faster_session *sessions[SESSIONS];
    struct faster_snapshot seen[SESSIONS];
    model_map now;
    model_map cuts[CUTS_MAX]; /* what a reopen may find; the first was acknowledged */
    uint32_t cut_count;
    uint64_t operations; /* that came out as the model says */
    uint64_t failures;   /* that failed */
};

_Noreturn void work_fail(const struct work *work, const char *what, enum faster_status status);

#define CHECK(work, condition, what, status)                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            work_fail(work, what, status);                                                         \
        }                                                                                          \
    } while (0)

static inline uint32_t draw(struct work *work, uint32_t below) {
    work->random ^= work->random << 13;
    work->random ^= work->random >> 7;
    work->random ^= work->random << 17;
    return (uint32_t)((work->random >> 16) % below);
}

/* How long a fault lasts. */
enum span { ONCE = 0, UNTIL_CLOSE, UNTIL_OPEN, SPAN_COUNT };
extern const char *const SPAN_NAMES[];

/* ---- failing_calls.c: cases ---- */

#define CASE_NAME_BYTES 128u
extern char case_name[CASE_NAME_BYTES]; /* what is printed if it fails, or hangs */
extern struct case_sums {
    uint64_t cases;
    uint64_t fired; /* their call was reached */
    uint64_t failures;
    uint64_t operations;
} case_sum;

unsigned open_descriptors(void);
/* A store that is still to be made; case_name is set. One at a time. */
struct work *begin(uint64_t seed);
/* Nothing may be left over, nor other than these descriptors be open. */
void end(struct work *work, unsigned descriptors);

/* failing_calls_ring_cases.c: every step-th completion. */
void ring_run_all(uint64_t seed, uint64_t step);
/* One case: its kind, call, fault and span in words. False: there is no such case. */
bool ring_replay(uint64_t seed, char **words);

/* ---- failing_calls_life.c: the workload ---- */

/* From creation to removal. A fault that is armed heals at the end of `span`. */
void work_live(struct work *work, enum span span);
/* A small store, closed. */
void work_prepare_removal(struct work *work);
/* Removes the store; if a fault is in the way, again without it. */
void work_remove(struct work *work);

/* How often what was armed has failed so far. */
uint64_t work_fault_count(const struct work *work);

/* ---- failing_calls_operations.c: the map of the model, and operations that must agree ---- */

/* A failure, where one is allowed; of anything else the test ends. */
void work_failed(struct work *work, const char *what, enum faster_status status);
/* `count` operations of one kind, or of any (0), on keys from `first` on, one after the other;
 * those that wait for the disk are completed together. */
void work_operate(struct work *work, enum faster_op_kind kind, uint32_t first, uint32_t count);
/* The same as one batch. */
void work_batch(struct work *work, uint32_t first, uint32_t count);
enum faster_status work_commit(struct work *work);
void work_scan(struct work *work);
void work_verify(struct work *work);
/* Everything, read one by one, is what the model says. Nothing fails any more. */
void work_check_now(struct work *work);
/* After a reopen: it is what one of the cuts was. */
void work_find_cut(struct work *work);

/* ---- failing_calls_transfer.c: the system calls of this program ---- */

/* Syncs are told apart on io_uring only. */
enum transfer { TRANSFER_READ = 0, TRANSFER_WRITE, TRANSFER_SYNC, TRANSFER_KINDS };

/* From the `nth` call on (1: the next), `times` transfers of this kind move `bytes_max` bytes at
 * most; with 0 they are interrupted (EINTR). Syncs of this program do nothing: no power is cut. */
void transfer_shorten(enum transfer kind, uint64_t nth, uint64_t times, size_t bytes_max);
void transfer_heal(void);
uint64_t transfer_calls(enum transfer kind);
/* How many were cut short, or interrupted, since the last transfer_shorten(). */
uint64_t transfer_shortened(void);

/* ---- failing_calls_ring.c: what io_uring says ---- */

#define RING_SHORT 1 /* a completion's result: half of what it was */

/* False: the build or the system has none, and all below does nothing. */
bool ring_is_there(void);
/* From the `nth` completion of this kind on, `times` of them have this result: a negative error
 * number, or RING_SHORT. */
void ring_spoil(enum transfer kind, uint64_t nth, uint64_t times, int result);
/* The `nth` completion from now on comes when others have overtaken it, or a while later. */
void ring_delay(uint64_t nth);
void ring_heal(void);
uint64_t ring_calls(enum transfer kind);
/* How many completions were spoilt or delayed since the last ring_spoil() or ring_delay(). */
uint64_t ring_spoilt(void);

#endif
