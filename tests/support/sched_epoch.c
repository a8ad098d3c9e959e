/* sched_epoch.c - the epoch on the scheduler's atomics, for simulations of what uses it. It
 * stands in for the library's. */
#define FST_ATOMIC_SHIM "../../tests/support/sched_atomic.h"
#define FST_EPOCH_ACTIONS_MAX 2
#define FST_EPOCH_SLOTS 16 /* drains look at each, once per schedule */

#include "../../engine/primitives/epoch.c"
