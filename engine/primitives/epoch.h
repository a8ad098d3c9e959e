/* epoch.h - epoch protection (layer 2).
 *
 * Threads enter the epoch before they touch a shared structure and leave it after; an
 * action given to fst_epoch_bump() runs once every thread that was inside at the time of
 * the bump has left. So whoever is inside may keep raw pointers into log pages, overflow
 * buckets and published arrays until it leaves; nobody keeps them longer. Threads stay
 * inside only for the length of a short operation and never wait there.
 *
 * The proof is at the head of epoch.c. Source: FASTER (SIGMOD 2018), section 2.4.
 */
#ifndef FST_PRIMITIVES_EPOCH_H
#define FST_PRIMITIVES_EPOCH_H

#include "base/atomic.h"
#include "base/env.h"

#define FST_EPOCH_SLOTS 512

struct fst_epoch;

/* One participant. Owned by the epoch; used by one thread at a time. */
struct fst_epoch_slot;

/* Runs on whichever thread drains it, outside or inside the epoch; must not block or
 * enter the epoch; may bump. */
typedef void fst_epoch_action(void *context, uint64_t argument);

/* OK or NOMEM. Destroy: no slot is open, remaining actions are run. */
enum faster_status fst_epoch_create(const struct faster_env *env,
                                    struct fst_epoch **epoch) FASTER_MUST_CHECK;
void fst_epoch_destroy(struct fst_epoch *epoch);

/* Any thread. NULL if all FST_EPOCH_SLOTS are open. */
struct fst_epoch_slot *fst_epoch_slot_open(struct fst_epoch *epoch);
void fst_epoch_slot_close(struct fst_epoch *epoch, struct fst_epoch_slot *slot);

/* Not recursive. */
void fst_epoch_enter(struct fst_epoch *epoch, struct fst_epoch_slot *slot);
void fst_epoch_leave(struct fst_epoch *epoch, struct fst_epoch_slot *slot);
bool fst_epoch_is_inside(const struct fst_epoch_slot *slot);

/* Starts a new epoch and has `action` run when all who are inside now have left. May run
 * it, and other ready actions, before it returns; if the caller is inside itself, its own
 * action waits until it leaves. When the drain list is full the caller helps and yields
 * until there is room, so callers that are inside must leave and re-enter first if
 * fst_epoch_bump returns false (action not taken). */
bool fst_epoch_bump(struct fst_epoch *epoch, fst_epoch_action *action, void *context,
                    uint64_t argument) FASTER_MUST_CHECK;

/* Runs every action that is ready. Called on leave when some are waiting; may be called at
 * any time, inside or outside. */
void fst_epoch_drain(struct fst_epoch *epoch);

/* True while actions are waiting. */
bool fst_epoch_has_actions(const struct fst_epoch *epoch);

#endif
