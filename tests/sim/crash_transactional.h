/* crash_transactional.h - what the parts of crash_transactional share; see
 * crash_transactional.c. */
#ifndef TESTS_SIM_CRASH_TRANSACTIONAL_H
#define TESTS_SIM_CRASH_TRANSACTIONAL_H

#include "crash_driver.h"
#include "ledger.h"

#define TXN_KEYS 24u
/* Named after its UUID, so that a creation that was cut short is taken up again. */
#define TXN_UUID "5ca1ab1e-0000-4000-8000-00000000feed"

struct txn_config {
    uint64_t segment_bytes; /* pages are as small as they may be */
    uint64_t inline_commit_bytes;
    bool syncs; /* the decider, each commit; else it may lose what came after the last checkpoint */
    bool takes_due; /* checkpoints, by themselves: in what is recorded */
};

enum txn_op {
    TXN_PUT,
    TXN_DELETE,
    TXN_COMMIT, /* a small one, whose row carries the log's bytes if it may */
    TXN_SYNCED, /* a large one */
    TXN_CHUNKED,
    TXN_SAVEPOINT,  /* undone */
    TXN_ROLLBACK,   /* of so much that a part is on disk */
    TXN_LOST,       /* in doubt, and the decider does not have its row */
    TXN_RETURNED,   /* in doubt, and it does */
    TXN_BUSY,       /* prepared, more writes, committed */
    TXN_CHECKPOINT, /* and rows are deleted */
    TXN_REOPEN,     /* clean, and in turn a kill */
    /* Checkpoints beside an open transaction: */
    TXN_COPY,  /* with a copy of the index */
    TXN_INDEX, /* for the index only, and of an older commit if there is one */
    TXN_LEAVE, /* of the log only */
    TXN_OPS
};
extern const char *const TXN_OP_NAMES[TXN_OPS];
extern const struct txn_config TXN_CONFIGS[];

/* What the decider held once, and what the store must show with it. MARK_ROW and
 * MARK_ROW_DURABLE carry its number. */
struct decision {
    struct ledger ledger;
    model_value map[TXN_KEYS];
    uint64_t hash;
};

struct decisions {
    struct decision *each;
    uint32_t count;
    uint32_t capacity;
};

/* A store in the present life. */
struct txn_store {
    const struct txn_config *config;
    uint64_t random;
    uint32_t next_value;
    uint32_t turns; /* of TXN_REOPEN */
    bool takes_due;
    struct model *model;
    struct decisions decisions;
    struct ledger ledger;           /* what the decider holds */
    struct faster_commit_row older; /* of this life, before the last commit; number 0: none */
    struct faster_store *store;
    struct faster_session *session;
    struct faster_txn *txn;
};

/* ---- crash_transactional_operations.c ---- */

uint32_t txn_draw(struct txn_store *store, uint32_t below);
enum faster_status txn_create(const struct txn_config *config);
enum faster_status txn_remove(void);
void txn_open(struct txn_store *store);
/* The same while something may fail. */
enum faster_status txn_try_open(struct txn_store *store);
/* An open transaction is rolled back. */
void txn_close(struct txn_store *store);

/* Begins a life of what the image holds, with this decider. The first TXN_MARKS entries of the log
 * say which one it is. */
#define TXN_MARKS 3u
void txn_begin(struct txn_store *store, const struct sim_image *image,
               const struct decision *decision, bool is_durable);
/* The decider's content is a decision from here on. */
void txn_decide(struct txn_store *store, const model_value *map, bool is_durable);
/* With what the decider holds, read by a session that has met it. */
void txn_read_map(struct txn_store *store, model_value map[TXN_KEYS]);
/* Value 0 deletes. Begins a transaction if there is none. */
void txn_write(struct txn_store *store, uint32_t key, model_value value);
void txn_commit(struct txn_store *store);
void txn_operate(struct txn_store *store, enum txn_op op);

/* What was recorded ends here; the store is closed behind it. */
void txn_end_recording(struct txn_store *store, struct crash_recording *recording);
void decisions_finish(struct decisions *decisions);

/* ---- crash_transactional_states.c: parts of struct crash_kind ---- */

uint32_t txn_choices(const struct crash_recording *recording, const struct crash_state *state);
uint64_t txn_identity(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice);
void txn_check_state(const struct crash_recording *recording, const struct crash_state *state,
                     uint32_t choice);
bool txn_has_store(const struct crash_recording *recording, const struct crash_state *state);
void txn_record_recovery(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice, struct crash_recording *deeper);
bool txn_fail_once(const struct crash_recording *recording, const struct crash_state *state,
                   uint32_t choice, enum crash_failure failure, uint64_t nth);

#endif
