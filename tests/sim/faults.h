/* faults.h - what the parts of faults_engine share; see faults_engine.c. */
#ifndef TESTS_SIM_FAULTS_H
#define TESTS_SIM_FAULTS_H

#include "cases.h"
#include "ledger.h"
#include "model.h"
#include "sim_crash.h"

#define FAULTS_KEYS 64u
#define FAULTS_PARENT "/db"
#define FAULTS_PATH FAULTS_PARENT "/00000000-0000-4000-8000-000000000001"

/* What a case may do to a store, by the fault that is armed. */
struct faults_allowed {
    bool failures; /* calls may fail */
    bool damage;   /* with CORRUPT, too: bytes were not what was written */
    bool breaking; /* the store may refuse to write until it is opened again */
    bool is_final; /* it must, if the fault has struck */
};

/* A store in its present life, and what it ought to hold. */
struct faults_life {
    bool is_direct;
    struct faults_allowed allowed;
    struct model *model;
    uint64_t acked; /* the newest version of the model that was acknowledged */
    struct ledger ledger;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_txn *txn;
    bool is_broken;
    bool close_has_failed;
    uint32_t next_value;
    uint64_t failures;
};

/* ---- faults_life.c: calls that may fail, and are checked all the same ---- */

struct faster_options faults_options(struct faults_life *life);
/* A failure that is allowed, or the end of the program. */
void faults_failed(struct faults_life *life, enum faster_status status, const char *call);

/* True: the store is open, with its session, and has met the rows. */
bool faults_open(struct faults_life *life);
void faults_close(struct faults_life *life);

/* Writes; in a transactional store inside a transaction that they begin. Value 0 deletes. */
void faults_write(struct faults_life *life, uint32_t key, model_value value);
void faults_put(struct faults_life *life, uint32_t key, enum model_size size);
void faults_merge(struct faults_life *life, uint32_t key);
void faults_commit(struct faults_life *life);
/* False: it failed. The first is of a transactional store, under the decider's lock. */
bool faults_checkpoint(struct faults_life *life);
bool faults_take_checkpoint(struct faults_life *life, enum faster_checkpoint_index index);

/* Reads that are right or fail; of a transactional store between transactions. */
void faults_read_all(struct faults_life *life);
void faults_scan(struct faults_life *life);
void faults_records(struct faults_life *life);
void faults_verify(struct faults_life *life);
/* After a reopen, when nothing fails: which version it is. The model goes on from there. */
void faults_find(struct faults_life *life);

/* ---- faults_phases.c ---- */

/* A part of a store's life that fails in one place. */
struct faults_phase {
    const char *name;
    bool is_direct;
    bool opens; /* an open store comes before it */
    bool only_reads;
    bool is_log_only; /* what it writes and syncs is the log: a failure is final */
    void (*run)(struct faults_life *life);
    void (*after)(struct faults_life *life); /* nothing fails any more */
};

extern const struct faults_phase faults_phases[];
extern const size_t faults_phase_count;

/* Makes what the phases begin with; in a world that has begun. */
void faults_make_images(void);
void faults_forget_images(void);
/* The life that a phase begins in; a copy of what was made. */
void faults_begin(struct faults_life *life, const struct faults_phase *phase);
void faults_end(struct faults_life *life);

#endif
