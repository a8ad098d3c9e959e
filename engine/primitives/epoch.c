/* epoch.c - epoch protection and the drain list (layer 2).
 *
 * Source: FASTER (SIGMOD 2018), section 2.4.
 *
 * Words
 *
 *   current         the epoch. Starts at 1, only fst_epoch_bump() adds 1. Read by all.
 *   slot.entered    0 outside, else the epoch its thread read on the way in. Written only by
 *                   the thread that uses the slot; read by whoever drains.
 *   slot.is_open    taken by compare-and-swap in slot_open(), given back by its owner.
 *   slot_limit      every slot that was ever open lies below it. Only grows.
 *   action.state    FREE -> BUSY [claim] -> epoch e [bump] -> BUSY [run_if_ready] -> FREE.
 *                   The thread that made it BUSY owns the entry's plain fields meanwhile.
 *   waiting_count   actions claimed and not yet finished. Raised before `current` is.
 *
 * Claim 1: an action runs only when nobody is inside who may have seen the state from
 * before its bump.
 *
 *   Let X be the shared state which the caller changes before it calls bump, and let the
 *   bump move `current` from e to e + 1. The action runs if e < safe, where safe is the least
 *   of `current`, read first, and every slot.entered that is not 0. So `current` was
 *   already above e when the slots were read. Take any thread R inside, and what the
 *   drainer read in its slot:
 *   (a) A value above e, or 0, left by R on its way out, or stored after that: R's release
 *       there pairs with the drainer's read, so all that R did inside happened before the
 *       action.
 *   (b) A value above e with which R entered, and R is still inside: R read `current` above
 *       e, so case (d).
 *   (c) A value from 1 to e: then safe <= e, and the action does not run.
 *   (d) Something older than R's entry. R's exchange of slot.entered, R's second read of
 *       `current`, the bump's change of `current` and the drainer's reads are all seq_cst,
 *       so they have one total order, and in it: bump < drainer's read of the slot < R's
 *       exchange < R's second read of `current`. R therefore reads e + 1 or more, which
 *       acquires what the bump released: R sees X as changed, and is none of those whom the
 *       action waits for.
 *   An entry that is stale when it is stored (the first read of `current` is relaxed) is too
 *   low, never too high: it delays actions, and nothing else.
 *
 * Claim 2: no slot that opens late is missed. slot_open() raises slot_limit before it
 * returns (or reads that another one has), by seq_cst operations. A drainer that read the
 * old limit comes before that in the total order, so the slot's thread enters later and
 * (d) applies to it.
 *
 * Claim 3: no action is lost or runs twice. Epochs are unique, since each bump adds one by
 * compare-and-swap; so a state with epoch e means one registration, and the one thread whose
 * compare-and-swap takes it from e to BUSY runs it. Nobody else touches a BUSY entry.
 *
 * Claim 4: no action is left behind: it runs at the latest when the last one whom it waits
 * for leaves. A slot that holds action e back has entered <= e < current, so its leave finds
 * `current` changed and drains. Suppose bump's own drain still saw the slot inside. Then in
 * the total order: state := e < bump's read of the slot < the leave's exchange < its reads
 * of `current` and of the state; so leave finds the action. If instead leave saw the state
 * BUSY, the bump that still fills it reads the slots later, and finds this one empty. Of
 * several leavers the last in the total order finds all slots empty.
 *
 * Light slots. The store-load barrier on the way in and on the way out is all that enter and
 * leave cost, and drains are rare. Where the system can fence all threads (fence_threads() of the
 * environment, tried once by create), enter and leave are light: they store slot.entered with
 * release, and only the compiler keeps what follows behind the store. Instead safe_epoch() fences
 * all threads between its load of `current` and its loads of slot_limit and the slots. Let F be
 * such a fence, and F(R) the point at which thread R passes it, between two steps of R's program.
 * Then (*): what R stored before F(R) the drainer's loads after F see, or something later; and
 * R's loads after F(R) see what the drainer had stored or seen before F, or something later.
 *
 *   Claim 1: cases (a) to (c) need the release alone. In case (d) the drainer did not see R's
 *   entry, so by (*) F(R) comes before it, and R's loads inside see `current` above e, and X, as
 *   the drainer had seen that `current`, and so X, before F. (R's second read of `current`
 *   acquires it for the abstract machine as well.)
 *   Claim 2: the limit is loaded after F. A drainer that misses a raise has F(R) before it, by
 *   (*), and so before the entry that follows: case (d).
 *   Claim 4: let F be the fence of the drain at bump's end, which saw the slot inside. By (*) F(R)
 *   comes before the leave's store, so the leave's loads see the new `current` and the state e,
 *   which bump had stored before F; so leave drains and finds the action. If it found BUSY
 *   instead, it had passed a fence G of its own, as caller, and the bump B stored e after G(B),
 *   else it had been seen; so B's loads of the slots come after G(B) and see this one empty.
 *   Of two leavers that hold e back, let R's drain fence by G and see the other, S, inside:
 *   then G(S) comes before S's leave, and S's drain sees R's slot empty, as R had stored that
 *   before G. So the last to store sees all slots empty.
 *   A fence that fails (the system is short of memory) makes the drain do nothing. Then the action
 *   waits for the next drain, and those who wait for it drain again and again.
 *
 * The orders that pair. No fence is needed: the exchange on slot.entered is the one
 * store-load barrier on the way in, and on the way out; or all threads are fenced.
 *
 *   enter, leave: exchange, or light store of slot.entered <-> safe_epoch(): load slot.entered
 *   bump: CAS current                     <->  enter, leave, safe_epoch(): load current
 *   bump: store state                     <->  run_if_ready(): load and CAS state
 *   run_if_ready(): store state FREE      <->  claim(): CAS state
 *   run_if_ready(): add waiting_count     <->  fst_epoch_has_actions(): load waiting_count
 */
#include "primitives/epoch.h"

#include <stddef.h>

#define STATE_FREE UINT64_C(0)
#define STATE_BUSY UINT64_MAX
#define FULL_RETRIES_MAX 64

_Static_assert(sizeof(struct fst_epoch_slot) == FST_EPOCH_SEPARATION_BYTES,
               "slots share no cache line");

enum faster_status fst_epoch_create(const struct faster_env *env, struct fst_epoch **epoch) {
    struct fst_epoch *made = env->map(env, sizeof *made);

    *epoch = made;
    if (made == NULL) {
        return FASTER_NOMEM;
    }
    made->env = env;
    made->is_light = env->fence_threads(env);
    fst_store_relaxed_u64(&made->current, 1);
    return FASTER_OK;
}

void fst_epoch_destroy(struct fst_epoch *epoch) {
    if (epoch == NULL) {
        return;
    }
    while (fst_epoch_has_actions(epoch)) {
        fst_epoch_drain(epoch);
    }
    epoch->env->unmap(epoch->env, epoch, sizeof *epoch);
}

/* ---- slots ---- */

/* Claim 2: seq_cst, so that a drainer that misses the new limit precedes our entry. */
static void raise_slot_limit(struct fst_epoch *epoch, uint64_t limit) {
    uint64_t seen = fst_load_seq_cst_u64(&epoch->slot_limit);

    while (seen < limit && !fst_cas_seq_cst_u64(&epoch->slot_limit, &seen, limit)) {
    }
}

struct fst_epoch_slot *fst_epoch_slot_open(struct fst_epoch *epoch) {
    for (uint64_t i = 0; i < FST_EPOCH_SLOTS; i++) {
        struct fst_epoch_slot *slot = &epoch->slots[i];
        uint64_t is_open = fst_load_relaxed_u64(&slot->is_open);

        /* acq_rel: pairs with the release in fst_epoch_slot_close() */
        if (is_open == 0 && fst_cas_acq_rel_u64(&slot->is_open, &is_open, 1)) {
            raise_slot_limit(epoch, i + 1);
            return slot;
        }
    }
    return NULL;
}

void fst_epoch_slot_close(struct fst_epoch *epoch, struct fst_epoch_slot *slot) {
    (void)epoch;
    if (slot == NULL) {
        return;
    }
    assert(!fst_epoch_is_inside(slot));
    /* release: pairs with the compare-and-swap in fst_epoch_slot_open() */
    fst_store_release_u64(&slot->is_open, 0);
}

/* ---- actions ---- */

/* Every action with a lower epoch may run. */
static uint64_t safe_epoch(const struct fst_epoch *epoch) {
    /* seq_cst, and before the slots: pairs with the compare-and-swap in start_epoch() */
    uint64_t safe = fst_load_seq_cst_u64(&epoch->current);
    uint64_t limit;

    if (epoch->is_light && !epoch->env->fence_threads(epoch->env)) {
        return 0;
    }
    /* seq_cst: pairs with raise_slot_limit() */
    limit = fst_load_seq_cst_u64(&epoch->slot_limit);
    for (uint64_t i = 0; i < limit; i++) {
        /* seq_cst: pairs with the stores in enter and leave */
        uint64_t entered = fst_load_seq_cst_u64(&epoch->slots[i].entered);

        if (entered != 0 && entered < safe) {
            safe = entered;
        }
    }
    return safe;
}

static void run_if_ready(struct fst_epoch *epoch, struct fst_epoch_action_entry *entry,
                         uint64_t safe) {
    /* seq_cst: pairs with the store in fst_epoch_bump(); claim 4 */
    uint64_t state = fst_load_seq_cst_u64(&entry->state);
    struct fst_epoch_action_entry taken;

    if (state == STATE_FREE || state >= safe) { /* BUSY is above every epoch */
        return;
    }
    /* acq_rel: pairs with the store in fst_epoch_bump(), which released the fields */
    if (!fst_cas_acq_rel_u64(&entry->state, &state, STATE_BUSY)) {
        return;
    }
    taken.action = entry->action;
    taken.context = entry->context;
    taken.argument = entry->argument;
    /* release: pairs with the compare-and-swap in claim() */
    fst_store_release_u64(&entry->state, STATE_FREE);
    taken.action(taken.context, taken.argument);
    /* acq_rel: pairs with fst_epoch_has_actions(): what the action did is seen there */
    (void)fst_add_acq_rel_u64(&epoch->waiting_count, UINT64_MAX);
}

void fst_epoch_drain(struct fst_epoch *epoch) {
    uint64_t safe;

    if (!fst_epoch_has_actions(epoch)) {
        return;
    }
    safe = safe_epoch(epoch);
    for (size_t i = 0; i < FST_EPOCH_ACTIONS_MAX; i++) {
        run_if_ready(epoch, &epoch->actions[i], safe);
    }
}

bool fst_epoch_has_actions(const struct fst_epoch *epoch) {
    /* acquire: pairs with the adds in run_if_ready() and fst_epoch_bump() */
    return fst_load_acquire_u64(&epoch->waiting_count) != 0;
}

/* A free entry, now BUSY, or NULL. */
static struct fst_epoch_action_entry *claim(struct fst_epoch *epoch) {
    for (size_t i = 0; i < FST_EPOCH_ACTIONS_MAX; i++) {
        uint64_t state = fst_load_relaxed_u64(&epoch->actions[i].state);

        /* acq_rel: pairs with the release in run_if_ready() */
        if (state == STATE_FREE &&
            fst_cas_acq_rel_u64(&epoch->actions[i].state, &state, STATE_BUSY)) {
            return &epoch->actions[i];
        }
    }
    return NULL;
}

static struct fst_epoch_action_entry *claim_or_help(struct fst_epoch *epoch) {
    struct fst_epoch_action_entry *entry = claim(epoch);

    for (int i = 0; entry == NULL && i < FULL_RETRIES_MAX; i++) {
        fst_epoch_drain(epoch);
        epoch->env->yield(epoch->env);
        entry = claim(epoch);
    }
    return entry;
}

/* Returns the epoch that ends. */
static uint64_t start_epoch(struct fst_epoch *epoch) {
    uint64_t current = fst_load_relaxed_u64(&epoch->current);

    /* seq_cst: pairs with the loads in enter, leave and safe_epoch() */
    while (!fst_cas_seq_cst_u64(&epoch->current, &current, current + 1)) {
    }
    return current;
}

bool fst_epoch_bump(struct fst_epoch *epoch, fst_epoch_action *action, void *context,
                    uint64_t argument) {
    struct fst_epoch_action_entry *entry = claim_or_help(epoch);

    if (entry == NULL) {
        return false;
    }
    entry->action = action;
    entry->context = context;
    entry->argument = argument;
    /* acq_rel, and before the epoch: whoever sees the new epoch sees the count */
    (void)fst_add_acq_rel_u64(&epoch->waiting_count, 1);
    /* seq_cst: pairs with the load in run_if_ready(); claim 4 */
    fst_store_seq_cst_u64(&entry->state, start_epoch(epoch));
    fst_epoch_drain(epoch);
    return true;
}

/* ---- waiting ---- */

#define NAP_NS UINT64_C(20000)
#define SPINS_MAX 100

static void have_left(void *context, uint64_t argument) {
    /* release: pairs with the acquire in fst_epoch_await(), which may return at once */
    fst_store_release_u64(context, argument);
}

static void let_others_run(const struct faster_env *env, unsigned round) {
    if (round < SPINS_MAX) {
        env->yield(env);
    } else {
        env->sleep_ns(env, NAP_NS);
    }
}

void fst_epoch_await(struct fst_epoch *epoch) {
    fst_atomic_u64 done;
    unsigned round = 0;

    fst_store_relaxed_u64(&done, 0);
    while (!fst_epoch_bump(epoch, have_left, &done, 1)) {
        let_others_run(epoch->env, round++);
    }
    /* acquire: pairs with the release in have_left(): what those who left did is seen */
    while (fst_load_acquire_u64(&done) == 0) {
        let_others_run(epoch->env, round++);
        fst_epoch_drain(epoch);
    }
}
