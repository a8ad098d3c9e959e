/* test_epoch.c - the epoch's contract on one thread; tests/sim/ and tests/stress/ have the
 * concurrent part. */
#include "primitives/epoch.h"
#include "support/test_env.h"

#include <criterion/criterion.h>

static struct fst_test_env *test;
static struct fst_epoch *epoch;
static uint32_t run_counts[FST_EPOCH_ACTIONS_MAX + 1];

static void set_up(void) {
    test = fst_test_env_create();
    cr_assert_not_null(test);
    cr_assert_eq(fst_epoch_create(fst_test_env_get(test), &epoch), FASTER_OK);
}

static void tear_down(void) {
    fst_epoch_destroy(epoch);
    cr_assert_eq(fst_test_env_live_allocations(test), 0);
    fst_test_env_destroy(test);
}

static void count_run(void *context, uint64_t argument) {
    uint32_t *counts = context;

    counts[argument]++;
}

static bool bump(uint64_t argument) {
    return fst_epoch_bump(epoch, count_run, run_counts, argument);
}

static struct fst_epoch_slot *enter_new_slot(void) {
    struct fst_epoch_slot *slot = fst_epoch_slot_open(epoch);

    cr_assert_not_null(slot);
    fst_epoch_enter(epoch, slot);
    return slot;
}

static void leave_and_close(struct fst_epoch_slot *slot) {
    fst_epoch_leave(epoch, slot);
    fst_epoch_slot_close(epoch, slot);
}

TestSuite(epoch, .init = set_up, .fini = tear_down);

Test(epoch_create, without_memory_fails_and_leaks_nothing) {
    struct fst_test_env *poor = fst_test_env_create();

    fst_test_env_fail(poor, FST_TEST_MAP, 1, 1, FASTER_NOMEM);
    cr_assert_eq(fst_epoch_create(fst_test_env_get(poor), &epoch), FASTER_NOMEM);
    cr_assert_null(epoch);
    fst_epoch_destroy(NULL);
    cr_assert_eq(fst_test_env_live_allocations(poor), 0);
    fst_test_env_destroy(poor);
}

Test(epoch, slot_is_inside_from_enter_to_leave) {
    struct fst_epoch_slot *slot = fst_epoch_slot_open(epoch);

    cr_assert(!fst_epoch_is_inside(slot));
    fst_epoch_enter(epoch, slot);
    cr_assert(fst_epoch_is_inside(slot));
    fst_epoch_leave(epoch, slot);
    cr_assert(!fst_epoch_is_inside(slot));
    fst_epoch_slot_close(epoch, slot);
    fst_epoch_slot_close(epoch, NULL);
}

Test(epoch, bump_with_nobody_inside_runs_at_once) {
    struct fst_epoch_slot *idle = fst_epoch_slot_open(epoch);

    cr_assert(bump(0));
    cr_assert_eq(run_counts[0], 1);
    cr_assert(!fst_epoch_has_actions(epoch));
    fst_epoch_slot_close(epoch, idle);
}

Test(epoch, bump_from_inside_waits_for_leave) {
    struct fst_epoch_slot *slot = enter_new_slot();

    cr_assert(bump(0));
    fst_epoch_drain(epoch);
    cr_assert_eq(run_counts[0], 0);
    cr_assert(fst_epoch_has_actions(epoch));
    leave_and_close(slot);
    cr_assert_eq(run_counts[0], 1);
    cr_assert(!fst_epoch_has_actions(epoch));
}

Test(epoch, action_waits_for_the_last_of_those_inside) {
    struct fst_epoch_slot *first = enter_new_slot();
    struct fst_epoch_slot *second = enter_new_slot();

    cr_assert(bump(0));
    leave_and_close(first);
    cr_assert_eq(run_counts[0], 0);
    leave_and_close(second);
    cr_assert_eq(run_counts[0], 1);
}

Test(epoch, action_does_not_wait_for_those_who_enter_later) {
    struct fst_epoch_slot *early = enter_new_slot();
    struct fst_epoch_slot *late;

    cr_assert(bump(0));
    late = enter_new_slot();
    cr_assert(bump(1));
    leave_and_close(early);
    cr_assert_eq(run_counts[0], 1);
    cr_assert_eq(run_counts[1], 0);
    leave_and_close(late);
    cr_assert_eq(run_counts[1], 1);
}

Test(epoch, entering_again_lets_earlier_actions_run) {
    struct fst_epoch_slot *slot = enter_new_slot();

    cr_assert(bump(0));
    fst_epoch_leave(epoch, slot);
    fst_epoch_enter(epoch, slot);
    cr_assert_eq(run_counts[0], 1);
    leave_and_close(slot);
    cr_assert_eq(run_counts[0], 1);
}

Test(epoch, slot_beyond_the_last_is_refused_until_one_is_closed) {
    struct fst_epoch_slot *slots[FST_EPOCH_SLOTS];

    for (int i = 0; i < FST_EPOCH_SLOTS; i++) {
        slots[i] = enter_new_slot();
    }
    cr_assert_null(fst_epoch_slot_open(epoch));
    cr_assert(bump(0));
    for (int i = 0; i < FST_EPOCH_SLOTS; i++) {
        cr_assert_eq(run_counts[0], 0);
        fst_epoch_leave(epoch, slots[i]);
    }
    cr_assert_eq(run_counts[0], 1);
    fst_epoch_slot_close(epoch, slots[300]);
    cr_assert_eq(fst_epoch_slot_open(epoch), slots[300]);
    cr_assert_null(fst_epoch_slot_open(epoch));
}

Test(epoch, full_list_refuses_and_runs_each_once) {
    struct fst_epoch_slot *slot = enter_new_slot();

    for (uint64_t i = 0; i < FST_EPOCH_ACTIONS_MAX; i++) {
        cr_assert(bump(i));
    }
    cr_assert(!bump(FST_EPOCH_ACTIONS_MAX));
    for (uint64_t i = 0; i < FST_EPOCH_ACTIONS_MAX; i++) {
        cr_assert_eq(run_counts[i], 0);
    }
    leave_and_close(slot);
    for (uint64_t i = 0; i < FST_EPOCH_ACTIONS_MAX; i++) {
        cr_assert_eq(run_counts[i], 1);
    }
    cr_assert_eq(run_counts[FST_EPOCH_ACTIONS_MAX], 0);
    cr_assert(bump(FST_EPOCH_ACTIONS_MAX));
    cr_assert_eq(run_counts[FST_EPOCH_ACTIONS_MAX], 1);
}

static void bump_again(void *context, uint64_t argument) {
    count_run(context, argument);
    if (argument > 0) {
        cr_assert(fst_epoch_bump(epoch, bump_again, context, argument - 1));
    }
}

Test(epoch, action_that_bumps_is_followed_by_its_own) {
    struct fst_epoch_slot *slot = enter_new_slot();

    cr_assert(fst_epoch_bump(epoch, bump_again, run_counts, 5));
    cr_assert_eq(run_counts[5], 0);
    leave_and_close(slot);
    for (int i = 0; i <= 5; i++) {
        cr_assert_eq(run_counts[i], 1);
    }
    cr_assert(!fst_epoch_has_actions(epoch));
}

static bool is_fenceable;

static bool fence_sometimes(const struct faster_env *env) {
    (void)env;
    return is_fenceable;
}

Test(epoch_drain, does_nothing_while_threads_cannot_be_fenced) {
    struct faster_env env = *faster_env_posix();

    is_fenceable = true;
    env.fence_threads = fence_sometimes;
    cr_assert_eq(fst_epoch_create(&env, &epoch), FASTER_OK);
    is_fenceable = false;
    cr_assert(bump(0));
    cr_assert_eq(run_counts[0], 0);
    is_fenceable = true;
    fst_epoch_drain(epoch);
    cr_assert_eq(run_counts[0], 1);
    fst_epoch_destroy(epoch);
}
