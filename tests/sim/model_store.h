/* model_store.h - what the parts of model_store share; see model_store.c. */
#ifndef TESTS_SIM_MODEL_STORE_H
#define TESTS_SIM_MODEL_STORE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"
#include "support/test_env.h"

#define KEY_COUNT 300
#define SMALL_VALUE_BYTES 900
#define VALUE_BYTES_MAX 40000 /* some pages: such values are kept in chunks */
#define HISTORY_MAX 4096
#define SNAPSHOT_MAX 4
#define PAST_MAX 6
#define PENDING_MAX 6
#define STEPS 400
#define SEGMENT_BYTES (64u << 10)

/* A value is a number; its bytes are derived from it. 0: absent. */
typedef uint32_t model_state[KEY_COUNT];

/* A write, and what it must come to. */
struct model_write {
    struct faster_op op;
    uint32_t index;
    uint32_t value;
    enum faster_status expected;
    char key[16];
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    unsigned char old[VALUE_BYTES_MAX + 4];
};

struct run {
    uint64_t seed;
    uint64_t random;
    struct fst_test_env *test;
    char directory[300];
    uint32_t generation; /* of the copies */
    struct ledger ledger;
    struct ledger past[PAST_MAX]; /* the decider as it was some commits ago; count 0: unused */
    uint32_t past_next;
    uint64_t durable_number; /* the decider cannot lose it any more */
    /* A transaction in doubt whose row a crash may bring back. */
    struct ledger doubt;
    model_state doubt_state;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_session *reader;
    model_state *history; /* [commit number] */
    model_state now;
    uint32_t next_value;
    struct model_write pending[PENDING_MAX]; /* of the open transaction, each of another key */
    uint32_t pending_count;
    bool with_faults; /* failing operations are no differences */
    uint64_t inline_bytes;
    uint32_t index_load_percent;
    uint64_t growths; /* on command */
    struct {
        struct faster_snapshot snapshot;
        uint64_t number;
        bool open;
    } snapshots[SNAPSHOT_MAX];
    uint64_t reads, commits, reopens, scans, torn, lost, returned, faults, left_pending;
};

_Noreturn void model_fail(const struct run *run, const char *what, int status);

#define CHECK(run, condition, what, status)                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            model_fail(run, what, (int)(status));                                                  \
        }                                                                                          \
    } while (0)

static inline uint32_t draw(struct run *run, uint32_t below) {
    run->random ^= run->random << 13;
    run->random ^= run->random >> 7;
    run->random ^= run->random << 17;
    return (uint32_t)((run->random >> 16) % below);
}

static inline size_t value_bytes_of(uint32_t value, unsigned char *bytes) {
    const uint32_t mixed = value * 2654435761u >> 8;
    const uint32_t most = value % 32 == 7 ? VALUE_BYTES_MAX : SMALL_VALUE_BYTES;
    const size_t count = 4 + mixed % most;
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)((value >> (8 * (i % 4))) + i / 4099);
    }
    return count;
}

static inline void key_of(uint32_t index, char key[16]) {
    snprintf(key, 16, "key-%05u", index);
}

static inline uint64_t newest_number(const struct run *run) {
    const struct faster_commit_row *newest = ledger_newest(&run->ledger);
    return newest == NULL ? 0 : newest->number;
}

/* ---- model_store_check.c: reading, and comparing with the model ---- */
void model_check_state(struct run *run, const struct faster_snapshot *snapshot,
                       const uint32_t *state, bool all);
/* The state of the newest row of `ledger`, which the reader meets first. */
void model_check_ledger(struct run *run, struct ledger *ledger, bool all);
void model_verify(struct run *run);

/* ---- model_store_crash.c: open, close, crash ---- */
void model_open(struct run *run);
void model_close(struct run *run);
void model_reopen(struct run *run, bool crash);
/* Remembers the decider as it is after a commit. */
void model_remember(struct run *run);

#endif
