/* key_locks.h - locks on keys over several operations (layer 4).
 *
 * Of direct stores. A lock is on a *stripe*: all keys whose hashes have the same low bits. The
 * proof is at the head of key_locks.c.
 */
#ifndef FST_STORE_KEY_LOCKS_H
#define FST_STORE_KEY_LOCKS_H

#include "base/atomic.h"
#include "base/env.h"

struct faster_session;
struct faster_store;

/* A store's. The words are changed by the sessions that lock and unlock. */
struct fst_key_locks {
    fst_atomic_u64 user_count; /* sessions that hold locks, or are about to */
    fst_atomic_ptr stripes;    /* of fst_atomic_u32; NULL until the first lock, then for good */
    uint64_t wait_ns;          /* of a write; read-only once open */
    uint32_t stripe_bits;      /* read-only once open */
};

/* What a session holds, in ascending order of stripes, each once. Its own thread's. */
struct fst_held_locks {
    uint32_t count;
    uint32_t stripes[FASTER_KEY_LOCKS_MAX]; /* number * 2, + 1: exclusive */
};

/* At open, once the budget is known. */
void fst_key_locks_open(struct faster_store *store, const struct faster_options *options);
/* No session is open. */
void fst_key_locks_close(struct faster_store *store);
/* What they may take of memory, and what they take now. */
uint64_t fst_key_locks_bytes_max(const struct faster_store *store);
uint64_t fst_key_locks_bytes(const struct faster_store *store);

/* Takes all, waiting at most wait_ns, or none. The session holds none, and nothing of it is
 * pending; 1 to FASTER_KEY_LOCKS_MAX of them. OK, BUSY, NOMEM. Outside the epoch. */
enum faster_status fst_key_locks_take(struct faster_session *session,
                                      const struct faster_key_lock *locks, size_t count,
                                      uint64_t wait_ns) FASTER_MUST_CHECK;
/* Gives back what the session holds, if anything. Outside the epoch. */
void fst_key_locks_give(struct faster_session *session);

/* What a write of a key is to do in this stay in the epoch. */
enum fst_key_access {
    FST_KEY_FREE,    /* go on */
    FST_KEY_LOCKED,  /* by another session: wait outside, look again */
    FST_KEY_NOT_MINE /* the session holds locks, but not the exclusive one of this key */
};

/* The same when somebody has locks; see operations.h. */
enum fst_key_access fst_key_locks_look(const struct faster_session *session, uint64_t hash);

/* A wait that has an end. Set limit_ns, the rest is 0. */
struct fst_lock_wait {
    uint64_t limit_ns;
    uint64_t until_ns; /* set by the first pause */
    unsigned round;
};

/* Lets others run for a moment; false: the time is up. Outside the epoch. */
bool fst_lock_wait_pause(const struct faster_env *env, struct fst_lock_wait *wait);

#endif
