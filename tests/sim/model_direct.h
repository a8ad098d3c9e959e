/* model_direct.h - what the parts of model_direct share; see model_direct.c. */
#ifndef TESTS_SIM_MODEL_DIRECT_H
#define TESTS_SIM_MODEL_DIRECT_H

#include "faster.h"
#include "support/test_env.h"

#define KEY_COUNT 300u
#define SESSIONS 3u
#define PENDING_MAX 8u
#define VALUE_BYTES_MAX 50000u /* some pages: such values are kept in chunks */
#define CUTS_MAX 256u
#define SEGMENT_BYTES (64u << 10)

/* A value is a number; its bytes are derived from it. 0: absent. */
typedef uint32_t model_map[KEY_COUNT];

/* All there is at one moment. */
struct model_state {
    model_map map;
    uint64_t serials[SESSIONS]; /* of the last operation of each named session */
};

struct model_op {
    struct faster_op op;
    struct faster_buffer result;
    uint32_t session;
    uint32_t index;
    uint32_t value;
    uint32_t guess; /* of compare-and-set */
    bool reads;
    char key[16];
    unsigned char bytes[VALUE_BYTES_MAX + 4];
    unsigned char expected[VALUE_BYTES_MAX + 4];
};

struct run {
    uint64_t seed;
    uint64_t random;
    struct fst_test_env *test;
    char directory[300];
    char copy[300];
    uint32_t generation;
    struct faster_store *store;
    struct faster_session *sessions[SESSIONS];
    struct faster_snapshot now_seen[SESSIONS];
    struct model_state now;
    struct model_state *cuts; /* what an end may leave; the first was acknowledged */
    uint32_t cut_count;
    uint32_t next_value;
    uint64_t excess[SESSIONS]; /* of the numbers of operations that have ended; zero, unless some
                                  are pending */
    struct model_op pending[PENDING_MAX];
    uint32_t pending_count;
    bool has_written; /* in this life */
    bool has_early;   /* others have written during the last commit */
    uint32_t committer;
    bool cut_is_open; /* the last commit failed: what came then may be its, too */
    bool with_faults; /* failures are no differences */
    uint32_t copy_in; /* 1: at the next call of the hooked operation; 0: no copy */
    bool has_copied;
    uint64_t copied_durable;
    uint64_t copied_tail;
    uint64_t operations, commits, checkpoints, early, crashes, middle, closes, faults, torn,
        left_pending;
};

/* ---- model_direct_operations.c ---- */

/* Ends the program. */
_Noreturn void run_fail(const struct run *run, const char *what, int status);

#define CHECK(run, condition, what, status)                                                        \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            run_fail(run, what, (int)(status));                                                    \
        }                                                                                          \
    } while (0)

uint32_t run_draw(struct run *run, uint32_t below);
bool is_value(uint32_t value, const void *bytes, size_t count);
/* One operation, which may stay pending; checked against the map when it has ended. */
void operate(struct run *run);
/* Ends what was left pending. */
void complete(struct run *run);
/* By a drawn session. What an end may leave from here on is remembered. */
enum faster_status commit(struct run *run);

#endif
