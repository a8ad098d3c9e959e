/* key_locks.c - locks on keys over several operations (layer 4).
 *
 * Words
 *
 *   user_count   sessions between the beginning of take() and the end of give(). Raised before the
 *                session's first stripe is touched, lowered after its last one is given back.
 *   stripes      the table, made and published once by the first take(), under sessions_lock.
 *   a stripe     EXCLUSIVE: one session has it. WAITED: a session wants it exclusively. The rest is
 *                a count of sessions that share it. Changed by compare-and-swap only:
 *
 *       free, or WAITED alone     -> EXCLUSIVE           [try_take, exclusive]
 *       neither bit               -> one more            [try_take, shared]
 *       held                      -> and WAITED          [try_take, exclusive, in vain]
 *       WAITED                    -> without             [stop_waiting: the time is up]
 *       EXCLUSIVE, or n > 0       -> without, or n - 1   [give_one]; WAITED stays
 *
 * Who holds a stripe is known to the holder alone (session->held_locks), who is the only one that
 * gives it back. Sessions take stripes by ascending number.
 *
 * Claim 1: two sessions hold a stripe at a time only if both share it. The table above says so.
 * What a holder did before give_one() is seen by who takes the stripe next: both swaps are
 * acquire-release on the same word.
 *
 * Claim 2: from the return of take() until give(), no other session changes a key of the stripes.
 *
 *   A change takes effect in a stay in the epoch, after its session has looked in that same stay
 *   (fst_key_access_of() of operations.h: by fst_op_attempt() in each attempt, by newest.h where it
 *   goes around that, and again when an RMW has come back from its merge). take() raises
 *   user_count, takes its stripes and then awaits the epoch, which bumps it. Let W be the stay of
 *   another session's write.
 *   (a) W began before the bump, as the epoch sees it: it has ended when take() returns, whatever
 *       it saw, and what the holder does then sees its change.
 *   (b) W began after it. Then W sees what take() had stored before the bump, by claim 1 of
 *       epoch.c: the table; a user_count that includes the holder, since that word is only added
 *       to; and the stripe held, since nobody but the holder frees it. Relaxed loads are enough.
 *       W finds the stripe LOCKED and leaves without having changed anything.
 *   W may also begin after give(), and have found its record before: an RMW in the stay before its
 *   merge, an operation of a batch, or of one stay, that has read the chain's head before the lock
 *   (newest.h). If the record is still the key's newest, nothing is wrong. If a write has overtaken
 *   it, an update of it in place counts as before that write (apply.c), which is right unless that
 *   write was the holder's: then the update would lie between two of his operations. So
 *   (c) what a holder's write overtakes is sealed before the new record is published: by RMW and
 *   compare-and-set as always, by UPSERT and DELETE because the session holds locks
 *   (fst_hold_overtaken()). W does not see the lock, so it has seen give(), and so the seal: it
 *   takes the guard, finds the seal, and begins anew, with the lock first and the head after it. A
 *   record that is evicted or read-only by then is not changed in place anyhow.
 *
 *   A write of case (a) may see any part of this: a count without a table (there is nothing to look
 *   at, and it goes on), or a stripe that its taker will not keep (it waits once in vain). None is
 *   half done when W ends: an attempt lies within its stay, and chunks of a large value are in no
 *   chain.
 *
 * Claim 3: nobody waits in a circle. A session waits for a stripe in take() only, where it holds
 * stripes with lower numbers, has nothing pending, no role, no guard, and is outside the epoch; or
 * as a writer, when it holds none (who holds locks and writes another key is refused). So who waits
 * holds what is below the stripe he waits for, and the holder of the highest stripe waits for none.
 * Nothing else of the store waits for stripes: cuts, checkpoints, growth and flushes wait for stays
 * in the epoch, which end. One thing joins the two: a writer whose record came from disk may have
 * the turn at the I/O buffers (io_budget.c) when it meets a lock, and the holder may want that
 * turn. Then the bound below parts them: the writer is BUSY.
 *
 * Bounds. take() waits no longer than it was told, and a write no longer than wait_ns, each on the
 * environment's clock and outside the epoch. Memory: the table, a 256th of the budget, at most
 * 64 KiB, from the share of batches' results (budget.c); and room for the session's own set in it.
 *
 * Turns. Who waits asks again and again; there is no queue. WAITED keeps sharers out, so that
 * readers who come and go do not keep a writer off for ever. It is a hint: who gets the stripe
 * takes it away, and so does who gives up, even if a third one waits, who sets it when it asks
 * next. So no WAITED outlasts the last session that waits.
 *
 * The orders that pair
 *
 *   make_table(): release store of stripes  <->  fst_key_locks_look(), take(): acquire load
 *   give_one(): CAS of the stripe           <->  try_take(): CAS of the stripe
 *   give(): the count, after the stripes    <->  fst_key_access_of(): acquire load of the count
 *   give_one(): CAS of the stripe           <->  fst_key_locks_look(): acquire load of the stripe
 *                                                both for claim 2, (c)
 */
#include "store/key_locks.h"

#include "base/bytes.h"
#include "store/store.h"

#define EXCLUSIVE 0x80000000u
#define WAITED 0x40000000u

#define WAIT_NS_DEFAULT UINT64_C(1000000000)
#define STRIPE_BITS_MIN 10u
#define STRIPE_BITS_MAX 14u
#define MEMORY_SHARE_BITS 10u /* a stripe for each KiB of memory */

#define NAP_NS UINT64_C(50000)
#define YIELDS_MAX 20u

void fst_key_locks_open(struct faster_store *store, const struct faster_options *options) {
    struct fst_key_locks *locks = &store->key_locks;
    const uint32_t bits = fst_log2_floor_u64(store->budget.memory_bytes >> MEMORY_SHARE_BITS);
    locks->wait_ns = options->key_lock_wait_ns != 0 ? options->key_lock_wait_ns : WAIT_NS_DEFAULT;
    locks->stripe_bits = bits < STRIPE_BITS_MIN   ? STRIPE_BITS_MIN
                         : bits > STRIPE_BITS_MAX ? STRIPE_BITS_MAX
                                                  : bits;
}

uint64_t fst_key_locks_bytes_max(const struct faster_store *store) {
    return store->direct ? sizeof(fst_atomic_u32) << store->key_locks.stripe_bits : 0;
}

static fst_atomic_u32 *stripes_of(const struct faster_store *store) {
    return fst_load_acquire_ptr(&store->key_locks.stripes);
}

uint64_t fst_key_locks_bytes(const struct faster_store *store) {
    return stripes_of(store) != NULL ? fst_key_locks_bytes_max(store) : 0;
}

void fst_key_locks_close(struct faster_store *store) {
    fst_atomic_u32 *stripes = stripes_of(store);
    if (stripes != NULL) {
        store->env->unmap(store->env, stripes, (size_t)fst_key_locks_bytes_max(store));
    }
}

/* Mapped memory is zero: every stripe is free. */
static enum faster_status make_table(struct faster_store *store) {
    const struct faster_env *env = store->env;
    enum faster_status status = FASTER_OK;
    if (stripes_of(store) != NULL) {
        return FASTER_OK;
    }
    env->mutex_lock(env, store->sessions_lock);
    if (stripes_of(store) == NULL) {
        void *made = env->map(env, (size_t)fst_key_locks_bytes_max(store));
        status = made == NULL ? FASTER_NOMEM : FASTER_OK;
        fst_store_release_ptr(&store->key_locks.stripes, made);
    }
    env->mutex_unlock(env, store->sessions_lock);
    return status;
}

/* ---- waiting ---- */

bool fst_lock_wait_pause(const struct faster_env *env, struct fst_lock_wait *wait) {
    const uint64_t now_ns = env->monotonic_ns(env);
    if (wait->round == 0) {
        wait->until_ns = now_ns + fst_min_u64(wait->limit_ns, UINT64_MAX - now_ns);
    }
    if (now_ns >= wait->until_ns) {
        return false;
    }
    if (wait->round++ < YIELDS_MAX) {
        env->yield(env);
    } else {
        env->sleep_ns(env, fst_min_u64(NAP_NS, wait->until_ns - now_ns));
    }
    return true;
}

/* ---- one stripe ---- */

/* What the word becomes; the same: nothing is to be done, and it is not had. */
static uint32_t taken(uint32_t seen, bool exclusive) {
    if (!exclusive) {
        return (seen & (EXCLUSIVE | WAITED)) == 0 ? seen + 1 : seen;
    }
    return (seen & ~WAITED) == 0 ? EXCLUSIVE : seen | WAITED;
}

static bool try_take(fst_atomic_u32 *stripe, bool exclusive) {
    uint32_t seen = fst_load_relaxed_u32(stripe);
    uint32_t wanted = taken(seen, exclusive);
    while (wanted != seen && !fst_cas_acq_rel_u32(stripe, &seen, wanted)) {
        wanted = taken(seen, exclusive);
    }
    return wanted != seen && (wanted & ~WAITED) != (seen & ~WAITED);
}

static void stop_waiting(fst_atomic_u32 *stripe) {
    uint32_t seen = fst_load_relaxed_u32(stripe);
    while ((seen & WAITED) != 0 && !fst_cas_acq_rel_u32(stripe, &seen, seen & ~WAITED)) {
    }
}

static void give_one(fst_atomic_u32 *stripe, bool exclusive) {
    uint32_t seen = fst_load_relaxed_u32(stripe);
    while (!fst_cas_acq_rel_u32(stripe, &seen, seen - (exclusive ? EXCLUSIVE : 1u))) {
    }
}

static bool take_one(const struct faster_env *env, fst_atomic_u32 *stripe, bool exclusive,
                     struct fst_lock_wait *wait) {
    while (!try_take(stripe, exclusive)) {
        if (!fst_lock_wait_pause(env, wait)) {
            if (exclusive) {
                stop_waiting(stripe);
            }
            return false;
        }
    }
    return true;
}

/* ---- a session's set ---- */

static uint32_t number_of(const struct faster_store *store, uint64_t hash) {
    return (uint32_t)(hash & ((UINT64_C(1) << store->key_locks.stripe_bits) - 1));
}

/* Where the stripe is in the set, or belongs. */
static uint32_t place_of(const struct fst_held_locks *held, uint32_t number) {
    uint32_t low = 0;
    uint32_t high = held->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (held->stripes[middle] >> 1 < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add(struct fst_held_locks *held, uint32_t number, bool exclusive) {
    const uint32_t place = place_of(held, number);
    if (place < held->count && held->stripes[place] >> 1 == number) {
        held->stripes[place] |= exclusive ? 1 : 0;
        return;
    }
    memmove(&held->stripes[place + 1], &held->stripes[place],
            (held->count - place) * sizeof held->stripes[0]);
    held->stripes[place] = number << 1 | (exclusive ? 1 : 0);
    held->count++;
}

/* Gives back the set's first `count` stripes, and all claims. */
static void give_all(struct faster_session *session, uint32_t count) {
    struct faster_store *store = session->store;
    struct fst_held_locks *held = &session->held_locks;
    fst_atomic_u32 *stripes = stripes_of(store);
    for (uint32_t i = 0; i < count; i++) {
        give_one(&stripes[held->stripes[i] >> 1], (held->stripes[i] & 1) != 0);
    }
    held->count = 0;
    (void)fst_add_acq_rel_u64(&store->key_locks.user_count, UINT64_MAX);
}

enum faster_status fst_key_locks_take(struct faster_session *session,
                                      const struct faster_key_lock *locks, size_t count,
                                      uint64_t wait_ns) {
    struct faster_store *store = session->store;
    struct fst_held_locks *held = &session->held_locks;
    struct fst_lock_wait wait = {.limit_ns = wait_ns};
    const enum faster_status status = make_table(store);
    if (status != FASTER_OK) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        add(held, number_of(store, fst_key_hash(store, &locks[i].key)),
            locks[i].kind == FASTER_LOCK_EXCLUSIVE);
    }
    fst_atomic_u32 *stripes = stripes_of(store);
    (void)fst_add_acq_rel_u64(&store->key_locks.user_count, 1);
    for (uint32_t i = 0; i < held->count; i++) {
        if (!take_one(store->env, &stripes[held->stripes[i] >> 1], (held->stripes[i] & 1) != 0,
                      &wait)) {
            give_all(session, i);
            return FASTER_BUSY;
        }
    }
    fst_epoch_await(store->epoch); /* claim 2 */
    return FASTER_OK;
}

void fst_key_locks_give(struct faster_session *session) {
    if (session->held_locks.count > 0) {
        give_all(session, session->held_locks.count);
    }
}

/* ---- writers ---- */

enum fst_key_access fst_key_locks_look(const struct faster_session *session, uint64_t hash) {
    const struct faster_store *store = session->store;
    const struct fst_held_locks *held = &session->held_locks;
    const uint32_t number = number_of(store, hash);
    if (held->count > 0) {
        const uint32_t place = place_of(held, number);
        return place < held->count && held->stripes[place] == (number << 1 | 1) ? FST_KEY_FREE
                                                                                : FST_KEY_NOT_MINE;
    }
    const fst_atomic_u32 *stripes = stripes_of(store);
    return stripes != NULL && (fst_load_acquire_u32(&stripes[number]) & ~WAITED) != 0
               ? FST_KEY_LOCKED
               : FST_KEY_FREE;
}
