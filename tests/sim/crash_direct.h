/* crash_direct.h - what the parts of crash_direct share; see crash_direct.c. */
#ifndef TESTS_SIM_CRASH_DIRECT_H
#define TESTS_SIM_CRASH_DIRECT_H

#include "crash_driver.h"

#define DIRECT_KEYS 24u
#define DIRECT_SESSIONS 2u
/* Named after its UUID, so that a creation that was cut short is taken up again. */
#define DIRECT_UUID "5ca1ab1e-0000-4000-8000-00000000cafe"

struct direct_config {
    uint64_t segment_bytes; /* pages are as small as they may be */
    uint32_t io_threads;
    bool takes_due; /* checkpoints, by themselves: in what is recorded */
};

enum direct_op {
    DIRECT_NEW,      /* upsert of an absent key */
    DIRECT_IN_PLACE, /* upsert twice: the second one fits the first one's place */
    DIRECT_RMW,
    DIRECT_DELETE,
    DIRECT_CAS,
    DIRECT_CHUNKED, /* a value larger than a page */
    DIRECT_FILL,    /* three pages */
    DIRECT_COMMIT,
    DIRECT_EARLY, /* commit by the other session, writes before its control record */
    DIRECT_GROW,
    DIRECT_REOPEN, /* clean */
    DIRECT_KILL,   /* of the process, and the next one */
    /* Checkpoints by the other session, writes beside them: */
    DIRECT_COPY,  /* with a copy of the index */
    DIRECT_INDEX, /* for the index only */
    DIRECT_LEAVE, /* of the log only */
    DIRECT_OPS
};

/* A store in the present life, and what it ought to hold. */
struct direct {
    const struct direct_config *config;
    uint64_t random;
    uint32_t next_value;
    uint64_t tried; /* the version that a checkpoint has ended */
    uint32_t early; /* how often there were writes between two ends of versions */
    bool takes_due;
    struct model *model;
    struct faster_store *store;
    struct faster_session *sessions[DIRECT_SESSIONS + 1]; /* the last one has no name */
    struct faster_snapshot views[DIRECT_SESSIONS];
};

extern const char *const DIRECT_OP_NAMES[DIRECT_OPS];

/* ---- crash_direct_operations.c ---- */

/* What faster_store_create() says. */
enum faster_status direct_create(const struct direct_config *config);
enum faster_status direct_remove(void);
/* The store, its sessions and views. */
void direct_open(struct direct *direct);
/* The same while something may fail. */
enum faster_status direct_try_open(struct direct *direct);
void direct_close(struct direct *direct);

/* One write that must succeed; value 0 deletes. */
void direct_write(struct direct *direct, uint32_t session, uint32_t key, model_value value);
/* One that may fail; the model is told if it has not. */
enum faster_status direct_try_write(struct direct *direct, uint32_t key, model_value value);
void direct_operate(struct direct *direct, enum direct_op op);
/* A clean close, which commits. */
void direct_end(struct direct *direct);

/* Begins the first or the next life: the image is mounted, the store opened, and the model goes
 * on from what it holds. The first DIRECT_MARKS entries of its log say what may be left. */
#define DIRECT_MARKS 3u
void direct_begin(struct direct *direct, const struct sim_image *image, struct case_range range,
                  bool is_kill);
/* The version that the map is, of those that a crash may have left; the named sessions have its
 * numbers. Before anything is written. */
uint64_t direct_find(const struct direct *direct, const model_value map[DIRECT_KEYS],
                     struct case_range range);
/* Reads all there is. */
void direct_read_map(struct direct *direct, model_value map[DIRECT_KEYS]);

uint32_t direct_draw(struct direct *direct, uint32_t below);

/* What was recorded ends here; the store is closed behind it. */
void direct_end_recording(struct direct *direct, struct crash_recording *recording);

/* ---- crash_direct_states.c: parts of struct crash_kind ---- */

/* The versions that may be left: a kill takes back what was tried and did not come back, after the
 * mark that told of it. */
struct case_range direct_acceptable(const struct crash_recording *recording,
                                    const struct crash_state *state);
void direct_check_state(const struct crash_recording *recording, const struct crash_state *state,
                        uint32_t choice);
bool direct_has_store(const struct crash_recording *recording, const struct crash_state *state);
void direct_record_recovery(const struct crash_recording *recording,
                            const struct crash_state *state, uint32_t choice,
                            struct crash_recording *deeper);
bool direct_fail_once(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice, enum crash_failure failure, uint64_t nth);

extern const struct direct_config DIRECT_CONFIGS[];

#endif
