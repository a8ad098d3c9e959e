/* epoch.h - epoch protection (layer 2).
 *
 * Threads enter the epoch before they touch a shared structure and leave it after; an
 * action given to fst_epoch_bump() runs once every thread that was inside at the time of
 * the bump has left. So whoever is inside may keep raw pointers into log pages
 * and published arrays until it leaves; nobody keeps them longer. Threads stay
 * inside only for the length of a short operation and never wait there.
 *
 * The proof is at the head of epoch.c. Source: FASTER (SIGMOD 2018), section 2.4.
 */
#ifndef FST_PRIMITIVES_EPOCH_H
#define FST_PRIMITIVES_EPOCH_H

#include "base/atomic.h"
#include "base/env.h"

/* Of 128 bytes each. An entry costs the same however many there are; a drain looks at those that
 * were ever open. */
#ifndef FST_EPOCH_SLOTS /* simulations set a small one */
#define FST_EPOCH_SLOTS 1024
#endif
#ifndef FST_EPOCH_ACTIONS_MAX /* simulations set a small one */
#define FST_EPOCH_ACTIONS_MAX 256
#endif

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
static inline void fst_epoch_enter(struct fst_epoch *epoch, struct fst_epoch_slot *slot);
static inline void fst_epoch_leave(struct fst_epoch *epoch, struct fst_epoch_slot *slot);
static inline bool fst_epoch_is_inside(const struct fst_epoch_slot *slot);

/* Starts a new epoch and has `action` run when all who are inside now have left. May run
 * it, and other ready actions, before it returns; if the caller is inside itself, its own
 * action waits until it leaves. When FST_EPOCH_ACTIONS_MAX actions are waiting, the caller
 * helps and yields for a short while; false: still no room, and the action is not taken.
 * Callers that are inside must then leave before they try again. */
bool fst_epoch_bump(struct fst_epoch *epoch, fst_epoch_action *action, void *context,
                    uint64_t argument) FASTER_MUST_CHECK;

/* Returns once everyone who was inside at the time of the call has left. Outside. */
void fst_epoch_await(struct fst_epoch *epoch);

/* Runs every action that is ready; may be called at any time, inside or outside. Leave does
 * it when actions may wait for the leaver, so none is left behind. */
void fst_epoch_drain(struct fst_epoch *epoch);

/* True while actions wait or run; false means that all actions taken have finished, and
 * that the caller sees what they did. */
bool fst_epoch_has_actions(const struct fst_epoch *epoch);

/* Every operation enters and leaves: these functions are inline, and defined there. */
#include "primitives/epoch_internal.h"

#endif
