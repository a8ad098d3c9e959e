/* test_write_tally.c - what no rollback undid, against a plain count (store/write_tally.h). */
#include <criterion/criterion.h>

#include "store/write_tally.h"

Test(write_tally, savepoints_that_were_open_before_the_first_write_are_undone_whole) {
    struct write_tally tally = {0};
    cr_assert_eq(write_tally_savepoint(&tally, 1), 0);
    tally.written += 3;
    write_tally_rollback_to(&tally, 1);
    cr_expect_eq(tally.kept, 3);
    tally.written += 2;
    write_tally_rollback_to(&tally, 0);
    cr_expect_eq(write_tally_end(&tally, true), 5);
    write_tally_finish(&tally);
}

Test(write_tally, rollback_of_all_counts_no_write_twice) {
    struct write_tally tally = {0};
    tally.written += 1;
    cr_assert_eq(write_tally_savepoint(&tally, 0), 0);
    tally.written += 10;
    write_tally_rollback_to(&tally, 0);
    write_tally_rollback_to(&tally, 0);
    tally.written += 100;
    cr_expect_eq(write_tally_end(&tally, false), 111);
    cr_expect_eq(write_tally_end(&tally, false), 0);
    write_tally_finish(&tally);
}

Test(write_tally, released_savepoint_is_marked_anew) {
    struct write_tally tally = {0};
    for (int i = 0; i < 40; i++) {
        cr_assert_eq(write_tally_savepoint(&tally, i), 0);
        tally.written += 1;
    }
    write_tally_release(&tally, 20);
    cr_assert_eq(write_tally_savepoint(&tally, 20), 0);
    tally.written += 5;
    write_tally_rollback_to(&tally, 20);
    cr_expect_eq(tally.kept, 5);
    write_tally_rollback_to(&tally, -1);
    cr_expect_eq(write_tally_end(&tally, true), 45);
    write_tally_finish(&tally);
}
