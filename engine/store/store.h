/* store.h - one store: its parts and who may change them (layer 4, private to the engine).
 *
 * Threads. Readers (store_read.c, scan.c) take no lock: they use the epoch, atomics and
 * their own session. Everything marked [writer] is changed by one thread at a time, the
 * one that holds the writer role: layer 7 (api.h) gives it out with one lock. Nothing below
 * layer 7 takes that lock, waits for I/O while it is needed elsewhere, or knows of it.
 */
#ifndef FST_STORE_STORE_H
#define FST_STORE_STORE_H

#include "base/checksum.h"
#include "base/diagnostics.h"
#include "base/error.h"
#include "base/hash.h"
#include "primitives/device.h"
#include "primitives/epoch.h"
#include "shapes/format.h"
#include "store/aborted.h"
#include "store/checkpoint_state.h"
#include "store/io_budget.h"
#include "store/key_locks.h"
#include "store/names.h"
#include "store/pins.h"
#include "store/progress.h"
#include "store/store_files.h"
#include "store/triggers.h"
#include "structures/hash_index.h"
#include "structures/hybrid_log.h"

/* How the memory budget is shared out; see DESIGN.md, "Memory". */
struct fst_budget {
    uint64_t memory_bytes;
    uint64_t index_bytes;
    uint32_t page_bits;
    uint32_t segment_bits;
    uint32_t frame_count;
    uint32_t flush_buffer_count;
    uint32_t session_io_max;  /* reads of one session in flight */
    uint64_t io_buffer_bytes; /* what pending operations take, of all sessions together */
};

/* The newest commit memory knows, and what the next control record must name. */
struct fst_commit_point {
    uint64_t number; /* 0: nothing is committed */
    uint64_t nonce;
    uint64_t start;
    uint64_t end;
    uint64_t control_address;
};

/* Group commit of a direct store: see procedures/cut.c. */
struct fst_cut_gate {
    struct fst_mutex *mutex; /* protects what follows */
    struct fst_condition *ended;
    bool is_running;
    uint64_t started; /* cuts begun so far */
    uint64_t done;    /* the last one that ended */
    enum faster_status status;
    bool must_cut;                 /* the next one is made even if nothing is new */
    struct fst_commit_point point; /* the newest durable cut when the last one ended */
};

/* Counters that are not on a hot path; relaxed. */
struct fst_store_counters {
    fst_atomic_u64 commits;
    fst_atomic_u64 rollbacks;
    fst_atomic_u64 log_syncs;
    fst_atomic_u64 inline_commits;
    fst_atomic_u64 truncated_bytes;
    fst_atomic_u64 recovered_records;
};

/* Counters of operations. Each session has its own, which only its thread raises (relaxed);
 * the figures of closed sessions are kept in the store's. */
struct fst_session_counters {
    fst_atomic_u64 disk_reads;
    fst_atomic_u64 disk_read_bytes;
    fst_atomic_u64 in_place_updates;
    fst_atomic_u64 appended_records;
    fst_atomic_u64 log_waits; /* turns in which an operation waited for a free page */
    fst_atomic_u64 log_wait_ns;
};

static inline void fst_session_count(fst_atomic_u64 *counter, uint64_t more) {
    fst_store_relaxed_u64(counter, fst_load_relaxed_u64(counter) + more);
}

#define FST_SPARE_BUFFERS 2 /* what a scan with read-ahead needs; the budget provides for it */

struct faster_store {
    const struct faster_env *env;
    struct fst_diagnostics diagnostics;
    bool in_memory;
    bool read_only;
    bool has_chunks; /* its format has values larger than a page; read-only once open */
    struct fst_store_files *files; /* NULL in memory */
    struct fst_identity identity;
    /* As last written. Changed in the checkpoint role only: it is written to disk outside [writer].
     * Besides, only open, recovery and the first begin read it, which no checkpoint runs beside. */
    struct fst_manifest manifest;
    struct fst_budget budget;
    uint64_t inline_commit_bytes;
    uint64_t redo_bytes_max; /* unsynced log that rows may carry altogether */
    uint64_t checksum_seed;

    struct fst_epoch *epoch;
    struct fst_device *device;
    struct fst_device_queue *queue; /* [writer] for recovery, verify and truncation */
    struct fst_hybrid_log *log;
    struct fst_hash_index *index;
    bool index_grows;           /* by itself; read-only once open */
    struct fst_aborted aborted; /* changed by [writer] */
    struct fst_pins pins;
    struct fst_io_budget io;
    /* Page-sized, of the last log cursor, for the next one; whoever exchanges one owns it. */
    fst_atomic_ptr spare_buffers[FST_SPARE_BUFFERS];

    /* Written by [writer] with release after everything a reader of that commit needs is
     * in place; readers acquire. */
    fst_atomic_u64 committed_number;
    fst_atomic_u64 committed_end;
    fst_atomic_u64 committed_nonce;
    fst_atomic_u64 knows_rows; /* 0 until a decider's snapshot has been read */

    /* Catch-up links records into chains before the log's positions cover them. All below
     * this address is on disk, even at or above head. [writer] stores before it publishes a
     * record's address in the index; readers load after they have read that. */
    fst_atomic_u64 on_disk_below;

    struct fst_commit_point committed;     /* [writer]; in a direct store, the leader of the cut */
    bool writing_started;                  /* [writer] the tail is fixed, see start_writing.c */
    struct fst_address_range redo_on_disk; /* [writer] redo that catch-up found written already */
    struct fst_address_range prepared_on_disk; /* [writer] of transactions without a row */
    uint64_t jump_target;                      /* [writer] of a jump appended but not yet written */
    struct faster_txn *current;                /* [writer] the unsettled transaction, or NULL */
    uint64_t obsolete_below; /* [writer] rows below are covered by the synced log */
    uint64_t obsolete_told;  /* [writer] and the decider has deleted those below */
    struct fst_store_counters counters;

    /* Of a direct store. Versions are explained in procedures/cut.h. Whoever cuts stores the
     * floor, then the version, with release; operations acquire the version inside the epoch. */
    bool direct;
    fst_atomic_u64 version;
    fst_atomic_u64 version_floor; /* records of `version` lie at or above it */
    fst_atomic_u32 is_writable;   /* the tail is fixed: writing_started for those without a lock */
    struct fst_key_locks key_locks;
    struct fst_cut_gate cut;
    struct fst_commit_point last_cut; /* [cut] appended last; `committed` is the last durable one */
    uint64_t uncut_version;           /* [cut] ended, but without a control record yet; 0: none */
    uint64_t covered_changes; /* [cut] by sessions before the last durable cut's version ended */
    bool has_void_records;    /* [open] below the last cut lie records of the version after it */

    struct fst_mutex *lock;          /* of layer 7, nobody else's */
    struct fst_mutex *sessions_lock; /* protects the list and the sum of what has closed */
    struct faster_session *sessions;
    struct fst_session_counters closed_sessions;
    fst_atomic_u64 session_count;

    struct fst_checkpoint_state checkpoint;
    /* [writer] Of a transactional store, once catch-up has looked for a checkpoint: the commit up
     * to which it has loaded a copy of the index; number 0: none. */
    struct fst_commit_point base;
    bool base_is_known;

    struct fst_triggers triggers;
    struct fst_progress progress;
    struct fst_names names; /* of a direct store; sessions_lock */
};

/* Its sessions may have names. */
static inline bool fst_store_has_names(const struct faster_store *store) {
    return store->direct && store->identity.format_version >= FST_FORMAT_VERSION_NAMES;
}

/* How long one poll of a device queue waits before its caller looks around. */
#define FST_POLL_NS UINT64_C(50000000)
/* The first read of a record on disk covers so much of it as the session's last ones had, between
 * these; one more read follows if the record is longer. */
#define FST_READ_FIRST_MIN 64u
#define FST_READ_FIRST_START 1024u
#define FST_READ_FIRST_MAX 4096u

/* A value larger than a page that the session's operation is writing; see chunks.h. Of one call. */
struct fst_large_value {
    struct faster_bytes value;
    uint64_t done_bytes;
    struct fst_chunk_list list; /* of what is written */
    bool is_ready;              /* all of it; false between calls */
};

/* What an RMW has seen and made, between its attempts; see store_rmw.c. Of one call. What was made
 * is in the session's scratch buffer. */
struct fst_merged {
    const struct faster_op *op; /* whose all this is; NULL: nobody's */
    struct faster_bytes old;    /* what the merge is given, if has_old */
    uint64_t head;              /* of a value in chunks, the record that leads to them; else 0 */
    uint32_t looks;             /* so often the old value was looked at */
    bool has_old;
    bool is_made; /* the merge has been called with it */
    bool removes; /* and wants the key removed */
    struct faster_buffer copy;
};

struct faster_session {
    struct faster_store *store;
    uint64_t version;      /* of a direct store, as of the present stay in the epoch */
    struct fst_name *name; /* NULL: it has none */
    struct fst_session_counters counters;
    struct faster_session *newer; /* the store's list */
    struct faster_session *older;
    struct fst_epoch_slot *slot;
    struct fst_device_queue *queue;
    struct fst_pending *free_pending; /* pool, at most budget.session_io_max in all */
    struct fst_pending *done_first;   /* I/O finished, operation not yet continued */
    struct fst_pending *done_last;
    struct fst_pending *starved_first; /* refused a buffer, see pending.h */
    struct fst_pending *starved_last;
    struct faster_op *waiting_first; /* operations that were refused a slot */
    struct faster_op *waiting_last;
    uint32_t pending_count; /* operations: in flight, done, starved, or waiting */
    uint32_t pool_count;
    uint32_t in_flight_count;
    bool has_turn;                 /* as this session believes, see io_budget.c */
    struct fst_pending *turn_slot; /* whose turn it is; NULL: of the first that is refused */
    struct fst_io_account io;
    uint32_t read_first_bytes;    /* what the next record on disk is expected to have */
    struct faster_txn *txn;       /* the transaction this session began */
    uint64_t txn_serial;          /* how many it has begun */
    struct faster_buffer scratch; /* merge results */
    struct fst_merged merged;
    struct fst_large_value large;
    struct fst_held_locks held_locks;
    bool index_full;  /* the last FULL came from the index */
    bool reached_due; /* fst_maintenance_reach() is to be told, see store/triggers.h */
    char message[FASTER_MESSAGE_BYTES];
};

static inline uint64_t fst_key_hash(const struct faster_store *store,
                                    const struct faster_bytes *key) {
    return fst_hash_key(key->data, key->size_bytes, store->identity.hash_seed);
}

/* On each way into the epoch of a direct store's session. */
static inline void fst_session_note_version(struct faster_session *session) {
    if (session->store->direct) {
        /* acquire: pairs with the release in raise_version() of cut.c */
        const uint64_t version = fst_load_acquire_u64(&session->store->version);
        if (session->name != NULL && session->version != version) {
            fst_name_note_version(session->name, version);
        }
        session->version = version;
    }
}

/* Sets the session's message and returns `status`. */
enum faster_status fst_session_fail(struct faster_session *session, enum faster_status status,
                                    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Says what FULL and FAILED mean of a write to the disk, unless the session has a message; returns
 * `status`, whatever it is. */
enum faster_status fst_session_explain(struct faster_session *session, enum faster_status status);
/* FOREIGN: the segment file that holds the address is none of this store's. */
enum faster_status fst_session_fail_foreign(struct faster_session *session, uint64_t address);

/* FULL: no place in the index, which has the largest size that the memory budget allows. */
enum faster_status fst_session_fail_index_full(struct faster_session *session);

/* Results of one attempt that never leave the engine. */
enum fst_attempt {
    FST_ATTEMPT_DONE,   /* op->status is final */
    FST_ATTEMPT_FOUND,  /* the version that counts is known: decide and apply */
    FST_ATTEMPT_IO,     /* a record on disk is needed first */
    FST_ATTEMPT_ROOM,   /* the log has no free frame: help it, then try again */
    FST_ATTEMPT_AGAIN,  /* lost a race: try again at once */
    FST_ATTEMPT_BUSY,   /* another thread is changing the value: let it run, then try again */
    FST_ATTEMPT_MERGE,  /* the merge is to be called: fst_rmw_merge() */
    FST_ATTEMPT_CHUNKS, /* session->large must be written first: see chunks.h */
    FST_ATTEMPT_LOCKED  /* another session has the key locked: wait, then try again */
};

#endif
