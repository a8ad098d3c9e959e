/* io_budget.c - the memory that the pending operations of all sessions share (layer 4).
 *
 * Every pending operation takes the bytes of its slot, of the buffer that its record is read into,
 * and of an old value that it gathers for a merge before it allocates them, and gives them back
 * with them: used_bytes is the sum. What callers read into is theirs and does not count.
 *
 * WHO GETS SOMETHING. Whoever asks gets it if it fits the limit and the account has then at most
 * SHARE times what is still free. So one account alone gets three quarters; n of them a part of
 * 3 / (1 + 3n) each; and however many sessions hold results that nobody collects, a part is left
 * for those who come. Nobody waits for bytes: what is refused is asked for again when the session
 * has completed something of its own. Slots that are kept for the next operation count as taken,
 * and are kept only while no more than half of the limit is, so all that is kept is no more than
 * half: each of them was part of the sum that its keeper compared.
 *
 * THE TURN. A session that is refused and has nothing in flight would have nothing to wait for. It
 * gets the turn: one operation of the holder takes what it needs whatever is free, however large
 * its value is. So
 *
 *     used_bytes <= limit_bytes + what the operation that has the turn takes.
 *
 * WHY EVERYBODY GETS ON. The turn is given to those who wait in the order in which they came.
 *   1. It is taken and given back within one call of the holder's, which carries its operation to
 *      the end first (complete_pending, even without `wait`). So an idle session, whatever it holds
 *      undelivered, never has it.
 *   2. The holder's operation is refused nothing, so it waits only for its own I/O, which ends.
 *      Then it is delivered, its bytes are given back, and the turn is passed on.
 *   3. Should the holder's thread stand still (a merge that waits for something, a disk that
 *      hangs), the first that waits takes the turn over after FST_IO_STALL_NS. The operation of the
 *      holder keeps what it has, so each such second may add one operation to the sum above. A
 *      holder that was called and has not even woken up by then goes back to the head of the queue:
 *      whenever the mutex is free, who waits is in the queue or has the turn.
 *   4. So every session in a blocking call gets the turn or, sooner, its bytes, after each of those
 *      before it in the queue has had it once. One that only polls gets it when nobody waits.
 *
 * The bytes are numbers that order nothing, so they are relaxed; the turn is under the mutex, which
 * is a leaf: nothing is locked under it.
 */
#include "store/io_budget.h"

#include <assert.h>

#define SHARE 3u

enum faster_status fst_io_budget_init(struct fst_io_budget *budget, const struct faster_env *env,
                                      uint64_t limit_bytes) {
    budget->env = env;
    budget->limit_bytes = limit_bytes;
    return env->mutex_create(env, &budget->mutex);
}

void fst_io_budget_finish(struct fst_io_budget *budget) {
    assert(fst_load_relaxed_u64(&budget->used_bytes) == 0);
    assert(budget->holder == NULL && budget->first == NULL);
    if (budget->mutex != NULL) {
        budget->env->mutex_destroy(budget->env, budget->mutex);
    }
}

enum faster_status fst_io_account_init(struct fst_io_account *account,
                                       const struct faster_env *env) {
    return env->condition_create(env, &account->called);
}

void fst_io_account_finish(struct fst_io_account *account, const struct faster_env *env) {
    assert(account->held_bytes == 0);
    env->condition_destroy(env, account->called);
}

/* ---- bytes ---- */

static bool fits(const struct fst_io_budget *budget, const struct fst_io_account *account,
                 uint64_t used_bytes, uint64_t bytes) {
    if (used_bytes > budget->limit_bytes || bytes > budget->limit_bytes - used_bytes) {
        return false;
    }
    const uint64_t left_bytes = budget->limit_bytes - used_bytes - bytes;
    return account->held_bytes + bytes <= SHARE * left_bytes;
}

static void note_peak(struct fst_io_budget *budget, uint64_t used_bytes) {
    uint64_t peak_bytes = fst_load_relaxed_u64(&budget->peak_bytes);
    while (peak_bytes < used_bytes &&
           !fst_cas_relaxed_u64(&budget->peak_bytes, &peak_bytes, used_bytes)) {
    }
}

bool fst_io_take(struct fst_io_budget *budget, struct fst_io_account *account, uint64_t bytes) {
    uint64_t used_bytes = fst_load_relaxed_u64(&budget->used_bytes);
    do {
        if (!fits(budget, account, used_bytes, bytes)) {
            return false;
        }
    } while (!fst_cas_relaxed_u64(&budget->used_bytes, &used_bytes, used_bytes + bytes));
    account->held_bytes += bytes;
    note_peak(budget, used_bytes + bytes);
    return true;
}

void fst_io_overdraw(struct fst_io_budget *budget, struct fst_io_account *account, uint64_t bytes) {
    account->held_bytes += bytes;
    note_peak(budget, fst_add_relaxed_u64(&budget->used_bytes, bytes) + bytes);
}

void fst_io_give(struct fst_io_budget *budget, struct fst_io_account *account, uint64_t bytes) {
    assert(account->held_bytes >= bytes);
    account->held_bytes -= bytes;
    (void)fst_add_relaxed_u64(&budget->used_bytes, 0 - bytes);
}

bool fst_io_is_tight(const struct fst_io_budget *budget) {
    return fst_load_relaxed_u64(&budget->used_bytes) > budget->limit_bytes / 2;
}

/* ---- the turn; all with the mutex ---- */

/* The holder before may be asleep still: it waits on. */
static void hand_to(struct fst_io_budget *budget, struct fst_io_account *account) {
    struct fst_io_account *before = budget->holder;
    if (before != NULL && before->is_waiting) {
        before->next = budget->first;
        budget->first = before;
        if (budget->last == NULL) {
            budget->last = before;
        }
    }
    budget->holder = account;
    budget->since_ns = budget->env->monotonic_ns(budget->env);
}

static void hand_to_first(struct fst_io_budget *budget) {
    struct fst_io_account *account = budget->first;
    if (account == NULL) {
        budget->holder = NULL;
        return;
    }
    budget->first = account->next;
    if (budget->first == NULL) {
        budget->last = NULL;
    }
    hand_to(budget, account);
}

static void join_queue(struct fst_io_budget *budget, struct fst_io_account *account) {
    account->next = NULL;
    if (budget->last == NULL) {
        budget->first = account;
    } else {
        budget->last->next = account;
    }
    budget->last = account;
}

static bool is_free(const struct fst_io_budget *budget) {
    const struct faster_env *env = budget->env;
    return budget->holder == NULL || env->monotonic_ns(env) - budget->since_ns >= FST_IO_STALL_NS;
}

/* A turn that nobody has while somebody waits does not exist: it was passed on. So the queue moves
 * when the holder gives it, or here, when the first finds it stalled. */
static void wait_for_it(struct fst_io_budget *budget, struct fst_io_account *account) {
    const struct faster_env *env = budget->env;
    account->is_waiting = true;
    join_queue(budget, account);
    while (budget->holder != account) {
        (void)env->condition_wait(env, account->called, budget->mutex, FST_IO_STALL_NS);
        if (budget->first == account && is_free(budget)) {
            hand_to_first(budget);
        }
    }
    account->is_waiting = false;
}

bool fst_io_turn_take(struct fst_io_budget *budget, struct fst_io_account *account, bool wait) {
    const struct faster_env *env = budget->env;
    env->mutex_lock(env, budget->mutex);
    bool has_it = true;
    if (budget->first == NULL && is_free(budget)) {
        hand_to(budget, account);
    } else if (wait) {
        wait_for_it(budget, account);
    } else {
        has_it = false;
    }
    env->mutex_unlock(env, budget->mutex);
    return has_it;
}

/* It may have been taken over. */
void fst_io_turn_give(struct fst_io_budget *budget, struct fst_io_account *account) {
    const struct faster_env *env = budget->env;
    env->mutex_lock(env, budget->mutex);
    if (budget->holder == account) {
        hand_to_first(budget);
        if (budget->holder != NULL) {
            env->condition_signal(env, budget->holder->called);
        }
    }
    env->mutex_unlock(env, budget->mutex);
}
