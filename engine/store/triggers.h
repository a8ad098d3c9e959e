/* triggers.h - when a store is to take a checkpoint by itself (layer 4).
 *
 * What makes one due: so many bytes of log that recovery would have to read, or so much time in
 * which something was written. procedures/maintenance.h has the thread that then takes it.
 *
 * BYTES. `due_at` is an address. Whoever appends at or above it exchanges it for NEVER, and tells
 * (fst_maintenance_reach()) when its operation is over: of any number of writers one pays, once for
 * each checkpoint. All others pay a relaxed load. Nothing hangs on what is seen late: the word
 * orders nothing, and the log only grows. `due_at` gets an address again
 *   - from the holder of the checkpoint role, for each checkpoint that was taken;
 *   - from the one who starts writing, before any checkpoint can be;
 *   - from whoever finds, with the mutex, that none is due.
 * An address that is too low only makes somebody tell in vain: whoever hears of it looks again.
 *
 * TIME. The first append after open is below no address: that starts the clock, so a store that is
 * only read has no thread. At each tick one is due if there is news since the last one.
 *
 * TRANSACTIONAL stores cannot take one alone: a commit must be safe in the decider first. So what
 * is due is *wanted* of the callers: one of them claims it (fst_triggers_claim()) and then gives a
 * commit, or says that it failed. Neither is forgotten when a failure makes it wait.
 *
 *   cause     -> next      by
 *   NONE, TIME -> BYTES    fst_maintenance_reach()
 *   NONE      -> TIME      a tick of the thread, and there is news
 *   BYTES     -> NONE      the thread: taken, or no longer due, or never to be tried again
 *   TIME      -> NONE      the same
 */
#ifndef FST_STORE_TRIGGERS_H
#define FST_STORE_TRIGGERS_H

#include "base/atomic.h"
#include "base/env.h"
#include "structures/hybrid_log.h"

/* Why a checkpoint is taken. */
enum fst_checkpoint_cause {
    FST_CAUSE_NONE = 0,
    FST_CAUSE_CALL,
    FST_CAUSE_BYTES,
    FST_CAUSE_TIME,
    FST_CAUSE_CLOSE
};

#define FST_DUE_NEVER UINT64_MAX
#define FST_CHECKPOINT_BYTES_DEFAULT_MIN (UINT64_C(256) << 20)
#define FST_RETRY_NS_MIN UINT64_C(1000000000)
#define FST_RETRY_NS_MAX (UINT64_C(64) * FST_RETRY_NS_MIN)

struct faster_store;
struct faster_session;

/* Takes one. It is layer 7's, which gives out the writer's role. */
typedef enum faster_status fst_triggers_take_fn(struct faster_session *session,
                                                const struct faster_checkpoint_request *request,
                                                enum fst_checkpoint_cause cause);

struct fst_triggers {
    /* Read-only once open. */
    uint64_t bytes;       /* of log; FST_DUE_NEVER: not by bytes */
    uint64_t interval_ns; /* 0: not by time */

    fst_atomic_u64 due_at;      /* see above; relaxed */
    fst_atomic_u64 replay_from; /* of a recovery now; 0: nothing was written. By the role's holder
                                   and who starts writing; relaxed */
    fst_atomic_u64 news_taken;  /* fst_triggers_news() of the last checkpoint; the same */
    fst_atomic_u32 is_wanted;   /* of callers; written under the mutex, read relaxed before it */
    fst_atomic_u32 must_stop;   /* set by close under the mutex; the interrupt reads it relaxed */

    struct fst_mutex *mutex; /* a leaf; protects what follows */
    struct fst_condition *changed;
    struct fst_thread *thread;  /* NULL: none yet */
    fst_triggers_take_fn *take; /* read-only once open */
    enum fst_checkpoint_cause cause;
    uint64_t tick_at_ns; /* of the thread's clock; set when it is started, and by it */
    bool has_row;        /* `row` was claimed for, and is safe in the decider */
    struct faster_commit_row row;
    uint64_t retry_at_ns; /* not before; 0: at once */
    uint32_t failure_run; /* failures since the last success */

    /* Figures; relaxed. */
    fst_atomic_u64 taken;
    fst_atomic_u64 taken_alone; /* of them, due by themselves */
    fst_atomic_u64 failures;    /* of those */
    fst_atomic_u32 last_cause;  /* of the newest that was begun */
    fst_atomic_u64 last_begun_ns;
};

/* By the options. Of a store that is being opened: files, budget and format are known. OK, NOMEM,
 * INVALID. */
enum faster_status fst_triggers_open(struct faster_store *store,
                                     const struct faster_options *options,
                                     struct faster_error *error) FASTER_MUST_CHECK;
/* The thread has ended. Zeroes may be closed, too. */
void fst_triggers_close(struct faster_store *store);

/* True if anything makes one due. */
static inline bool fst_triggers_are_on(const struct fst_triggers *triggers) {
    return triggers->bytes != FST_DUE_NEVER || triggers->interval_ns != 0;
}

/* Writing starts: [writer], and nobody takes a checkpoint. */
void fst_triggers_start_writing(struct faster_store *store);

/* A record was appended at `addr`. True: the caller tells fst_maintenance_reach(), outside the
 * epoch and without locks. */
static inline bool fst_triggers_note(struct fst_triggers *triggers, fst_addr addr) {
    uint64_t due_at = fst_load_relaxed_u64(&triggers->due_at);
    return addr.raw >= due_at && fst_cas_relaxed_u64(&triggers->due_at, &due_at, FST_DUE_NEVER);
}

/* The address at which the next one is due, as things are. In the checkpoint role, or with the
 * mutex. */
void fst_triggers_set_due(struct faster_store *store);
/* The same if none is to be due before a quarter of that more has been written. */
void fst_triggers_postpone(struct faster_store *store);

/* How much has been written that a checkpoint would hold: changes, or the newest commit. */
uint64_t fst_triggers_news(struct faster_store *store);
/* True if recovery would read so much log that a checkpoint is due. */
bool fst_triggers_log_is_long(struct faster_store *store);

/* In the checkpoint role: one begins, for `cause`; one was taken, which holds `news`. */
void fst_triggers_begun(struct faster_store *store, enum fst_checkpoint_cause cause);
void fst_triggers_taken(struct faster_store *store, enum fst_checkpoint_cause cause, uint64_t news);

/* With the mutex. One that was due has failed: it is tried again later. `what` and `status` go to
 * the diagnostics the first time, for which the mutex is given back for a moment. */
void fst_triggers_failed(struct faster_store *store, enum faster_status status, const char *what);

/* True: a checkpoint of a transactional store is due and nobody else has been told so. One relaxed
 * load if none is. */
bool fst_triggers_claim(struct faster_store *store);

#endif
