/* checkpoint_state.h - what a store knows of its checkpoints (layer 4).
 *
 * One checkpoint is taken at a time: whoever does it has the *checkpoint role*, which is held
 * across I/O. The role comes before the role of a cut, and before the log's locks; nobody who
 * holds one of those, or the writer's role, waits for it.
 */
#ifndef FST_STORE_CHECKPOINT_STATE_H
#define FST_STORE_CHECKPOINT_STATE_H

#include "base/atomic.h"
#include "shapes/checkpoint_format.h"
#include "store/store_files.h"

#define FST_CHECKPOINTS_KEPT_MAX 64u
#define FST_CHECKPOINTS_KEPT_DEFAULT 2u

/* What goes on; the table is in procedures/checkpoint.c. */
enum fst_checkpoint_phase {
    FST_CHECKPOINT_REST = 0,
    FST_CHECKPOINT_PREPARE,
    FST_CHECKPOINT_INDEX,
    FST_CHECKPOINT_CUT,
    FST_CHECKPOINT_WRITE,
    FST_CHECKPOINT_RECORD,
    FST_CHECKPOINT_TRIM,
    FST_CHECKPOINT_PHASE_COUNT
};

struct fst_checkpoint_entry {
    struct fst_root root;
    uint64_t replay_from; /* of its index; 0: it has none, or none that can be read */
    uint64_t bytes;       /* of its own files */
};

struct fst_checkpoint_state {
    struct fst_mutex *mutex; /* protects is_running, and entries against those without the role */
    struct fst_condition *ended;
    bool is_running;      /* somebody has the role */
    fst_atomic_u32 phase; /* enum fst_checkpoint_phase; changed in the role; read relaxed */
    bool has_files;       /* format 4, on disk; read-only once open */
    uint32_t kept_max;    /* of entries; read-only once open */
    /* [checkpoint] what follows; open and recovery have it alone. */
    uint64_t last_number;                 /* of any checkpoint there was */
    struct fst_checkpoint_entry *entries; /* newest first; room for kept_max + 1 */
    uint32_t entry_count;
    struct fst_named_serial *sessions; /* of the newest root there was at open; for recovery */
    /* The index copy that a root without one of its own may name; number 0: none. */
    uint64_t index_number;
    uint64_t index_nonce;
    uint64_t index_replay_from;
};

struct faster_store;

/* Makes the locks, and reads the roots there are (a damaged one is diagnosed and left out). Nobody
 * else has the store. OK, NOMEM, FULL (no descriptor), IO (the directory cannot be read),
 * VERSION_NEWER (a root of a kind that this library cannot recover from). */
enum faster_status fst_checkpoints_open(struct faster_store *store, uint32_t kept_max,
                                        struct faster_error *error) FASTER_MUST_CHECK;
/* A state of zeroes may be closed, too. */
void fst_checkpoints_close(struct faster_store *store);

/* Takes the role; waits for whoever has it, until `interrupt` (may be NULL) says so: then false.
 * Outside the epoch. */
bool fst_checkpoints_enter(struct faster_store *store, faster_interrupt_fn *interrupt,
                           void *interrupt_context) FASTER_MUST_CHECK;
void fst_checkpoints_leave(struct faster_store *store);

/* In the role. Puts a new entry first, and drops those that are too many or that lie below
 * `begin` now, as far as what they would read of the log does. */
void fst_checkpoints_add(struct faster_store *store, const struct fst_checkpoint_entry *entry,
                         uint64_t begin);

/* Fills at most `count_max`, newest first, and returns how many there are. Any thread. */
size_t fst_checkpoints_list(struct faster_store *store, struct faster_checkpoint *checkpoints,
                            size_t count_max);

#endif
