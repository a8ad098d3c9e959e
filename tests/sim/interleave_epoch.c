/* interleave_epoch.c - the epoch under a controlled scheduler.
 *
 * Readers enter, read which object is current, look at it, and leave; writers replace the
 * object and hand the old one to fst_epoch_bump(). Every schedule with at most two
 * preemptions is run, then random ones; support/sched.h tells how a failing one is replayed.
 * Each scenario is run twice: with fences in enter and leave, and light, where stores of slots are
 * seen late and drains fence all fibres.
 *
 * Invariants: nobody inside looks at an object that was freed; each replaced object is freed
 * once; when all have left, no action waits.
 */
#define FST_ATOMIC_SHIM "../../tests/support/sched_atomic.h"
#define FST_EPOCH_ACTIONS_MAX 2
#define FST_EPOCH_SLOTS 16
#include "../../engine/primitives/epoch.c"

#include "support/sched.h"
#include "support/sched_env.h"

#define OBJECTS_MAX 16u
#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct {
    struct fst_epoch *epoch;
    struct fst_epoch_slot *slots[SCHED_FIBRES_MAX]; /* those that are open from the start */
    fst_atomic_u64 current_object;
    uint64_t object_count;
    uint32_t free_counts[OBJECTS_MAX];
} world;

static void prepare(void) {
    memset(&world, 0, sizeof world);
    if (fst_epoch_create(&sched_env, &world.epoch) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    world.object_count = 1;
}

static void open_slots(void) {
    for (uint32_t i = 0; i < 3; i++) {
        world.slots[i] = fst_epoch_slot_open(world.epoch);
    }
}

static void prepare_open(void) {
    prepare();
    open_slots();
}

static void prepare_light(void) {
    sched_allow_late_stores(true);
    prepare();
}

static void prepare_light_open(void) {
    prepare_light();
    open_slots();
}

static void finish(void) {
    sched_expect(!fst_epoch_has_actions(world.epoch), "an action was left behind");
    for (uint64_t i = 0; i < world.object_count; i++) {
        const uint32_t expected = i == world.current_object ? 0 : 1;

        sched_expect(world.free_counts[i] == expected, "an action was lost, or ran twice");
    }
    for (uint32_t i = 0; i < SCHED_FIBRES_MAX; i++) {
        fst_epoch_slot_close(world.epoch, world.slots[i]);
    }
    fst_epoch_drain(world.epoch);
    if (!fst_epoch_has_actions(world.epoch)) { /* else destroy would wait for ever */
        fst_epoch_destroy(world.epoch);
    }
}

/* ---- what fibres do ---- */

static void free_object(void *context, uint64_t object) {
    (void)context;
    world.free_counts[object]++;
}

static void look_at(uint64_t object) {
    sched_expect(world.free_counts[object] == 0, "an action ran while somebody was inside");
    sched_point();
    sched_expect(world.free_counts[object] == 0, "an action ran while somebody was inside");
}

static void read_once(struct fst_epoch_slot *slot) {
    fst_epoch_enter(world.epoch, slot);
    look_at(fst_load_acquire_u64(&world.current_object));
    fst_epoch_leave(world.epoch, slot);
}

static void replace(void) {
    const uint64_t fresh = world.object_count++;
    const uint64_t old = fst_exchange_seq_cst_u64(&world.current_object, fresh);

    while (!fst_epoch_bump(world.epoch, free_object, NULL, old)) {
    }
}

/* From inside: the own action must wait. */
static void replace_inside(struct fst_epoch_slot *slot) {
    const uint64_t fresh = world.object_count++;
    uint64_t old;
    bool is_taken;

    fst_epoch_enter(world.epoch, slot);
    old = fst_exchange_seq_cst_u64(&world.current_object, fresh);
    is_taken = fst_epoch_bump(world.epoch, free_object, NULL, old);
    look_at(old);
    fst_epoch_leave(world.epoch, slot);
    while (!is_taken) {
        is_taken = fst_epoch_bump(world.epoch, free_object, NULL, old);
    }
}

static void read_through_new_slot(void) {
    struct fst_epoch_slot *slot = fst_epoch_slot_open(world.epoch);

    read_once(slot);
    fst_epoch_slot_close(world.epoch, slot);
}

/* ---- scenarios ---- */

static void run_reader_and_writer(uint32_t fibre) {
    if (fibre == 0) {
        replace();
        replace();
    } else {
        read_once(world.slots[fibre]);
        read_once(world.slots[fibre]);
    }
}

static void run_two_writers(uint32_t fibre) {
    if (fibre == 2) {
        read_once(world.slots[fibre]);
    } else {
        replace();
        if (fibre == 1) {
            replace();
        }
        fst_epoch_drain(world.epoch);
    }
}

static void run_writers_inside(uint32_t fibre) {
    replace_inside(world.slots[fibre]);
    read_once(world.slots[fibre]);
}

static void run_late_slots(uint32_t fibre) {
    if (fibre == 0) {
        replace();
        replace();
    } else {
        read_through_new_slot();
        read_through_new_slot();
    }
}

/* Three actions for a list of two, while somebody is inside. */
static void run_full_list(uint32_t fibre) {
    if (fibre == 0) {
        replace();
        replace();
        replace();
    } else {
        read_once(world.slots[fibre]);
    }
}

/* An action that bumps again. */
static void free_later(void *context, uint64_t object) {
    const bool is_taken = fst_epoch_bump(world.epoch, free_object, context, object);

    sched_expect(is_taken, "no room for an action's own action");
}

static void run_action_bumps(uint32_t fibre) {
    if (fibre == 0) {
        const uint64_t fresh = world.object_count++;
        const uint64_t old = fst_exchange_seq_cst_u64(&world.current_object, fresh);
        const bool is_taken = fst_epoch_bump(world.epoch, free_later, NULL, old);

        sched_expect(is_taken, "no room");
    } else {
        read_once(world.slots[fibre]);
        read_once(world.slots[fibre]);
    }
}

static const struct sched_scenario scenarios[] = {
    {"reader_and_writer", 2, prepare_open, run_reader_and_writer, finish},
    {"two_readers_and_writer", 3, prepare_open, run_reader_and_writer, finish},
    {"two_writers", 3, prepare_open, run_two_writers, finish},
    {"writers_inside", 2, prepare_open, run_writers_inside, finish},
    {"late_slots", 3, prepare, run_late_slots, finish},
    {"full_list", 3, prepare_open, run_full_list, finish},
    {"action_bumps", 3, prepare_open, run_action_bumps, finish},
    {"light_reader_and_writer", 2, prepare_light_open, run_reader_and_writer, finish},
    {"light_two_readers_and_writer", 3, prepare_light_open, run_reader_and_writer, finish},
    {"light_two_writers", 3, prepare_light_open, run_two_writers, finish},
    {"light_writers_inside", 2, prepare_light_open, run_writers_inside, finish},
    {"light_late_slots", 3, prepare_light, run_late_slots, finish},
    {"light_full_list", 3, prepare_light_open, run_full_list, finish},
    {"light_action_bumps", 3, prepare_light_open, run_action_bumps, finish},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
