/* device_sim.h - the file device, with completions that are late, in another order, short, or
 * failures.
 *
 * Linked with `sim_link` of meson.build, every device of files that the engine opens is the
 * product's file device inside one of these; io_uring is not used. What the disk can do to a call
 * is for sim_disk.h: here are the effects that no disk has, on whole requests.
 */
#ifndef FST_TESTS_SUPPORT_DEVICE_SIM_H
#define FST_TESTS_SUPPORT_DEVICE_SIM_H

#include "primitives/device.h"

enum device_effect {
    DEVICE_LATE = 1,       /* completes 1 to 8 polls later */
    DEVICE_OVERTAKEN,      /* completes after the next other request of its queue, if one is under
                              way */
    DEVICE_SHORT,          /* half of it is carried out: OK, done_bytes half */
    DEVICE_CANCELLED,      /* IO, and not carried out */
    DEVICE_CANCELLED_DONE, /* IO, but carried out */
    DEVICE_GONE            /* a read: MISSING, as if its segment had been removed */
};

/* The nth request of a kind from now on, and the `times - 1` after it. One fault at a time; times
 * 0 heals. */
void device_sim_arm(enum fst_io_kind kind, uint64_t nth, uint64_t times, enum device_effect effect);
/* Every completion is held back for a virtual time of at most max_ns, drawn from the seed. 0: none
 * is. */
void device_sim_latency(uint64_t seed, uint64_t max_ns);

/* Requests of a kind so far: where an enumeration ends. */
uint64_t device_sim_calls(enum fst_io_kind kind);
/* How often the armed fault, or the one before it was healed, has struck. */
uint64_t device_sim_fired(void);

/* A new world: no faults, no latency, no calls. */
void device_sim_reset(void);

#endif
