/* test_checkpoint.c - giving back what is dead, and being asked to stop (P2, P3). */
#include "store_rig.h"

static bool stop_at_third(void *context) {
    return ++*(int *)context == 3;
}

/* The search for the first live record may have all of the log before it. */
Test(checkpoint, interrupted_in_the_dead_prefix_changes_nothing) {
    struct rig rig;
    uint64_t obsolete;
    int asked = 0;
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < 100; i++) {
        rig_commit_put(&rig, "a", i, 2000);
    }
    uint64_t begin = rig_stat(&rig, "log_begin");
    ASSERT_STATUS(faster_session_checkpoint(rig.session, ledger_newest(&rig.ledger), &obsolete,
                                            stop_at_third, &asked),
                  FASTER_INTERRUPTED);
    cr_assert_eq(asked, 3);
    cr_assert_eq(obsolete, 0);
    cr_assert_eq(rig_stat(&rig, "log_begin"), begin);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete));
    cr_assert_gt(rig_stat(&rig, "log_begin"), begin);
    cr_assert_eq(rig_get(&rig, "a"), 99);
    rig_verify(&rig);
    rig_finish(&rig);
}
