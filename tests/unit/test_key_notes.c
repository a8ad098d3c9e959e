/* test_key_notes.c - one survey at a time, and who waits for it (store/key_notes.h). */
#include <criterion/criterion.h>

#include "store/key_notes.h"

struct waiter {
    struct key_notes *notes;
    unsigned questions; /* that `interrupt` answers with no */
    enum faster_status status;
    bool begun;
};

static bool interrupt(void *context) {
    struct waiter *waiter = context;
    return waiter->questions-- == 0;
}

static void *wait_for_survey(void *context) {
    struct waiter *waiter = context;
    waiter->status = key_notes_begin_survey(waiter->notes, interrupt, waiter, &waiter->begun);
    return NULL;
}

static void start(pthread_t *thread, struct waiter *waiter) {
    cr_assert_eq(pthread_create(thread, NULL, wait_for_survey, waiter), 0);
}

Test(key_notes, who_waits_for_a_survey_can_be_interrupted) {
    struct key_notes notes;
    key_notes_init(&notes);
    struct waiter first = {.notes = &notes};
    struct waiter second = {.notes = &notes, .questions = 2};
    pthread_t thread;
    (void)wait_for_survey(&first);
    cr_assert_eq(first.status, FASTER_OK);
    cr_assert(first.begun);
    start(&thread, &second);
    (void)pthread_join(thread, NULL);
    cr_expect_eq(second.status, FASTER_INTERRUPTED);
    cr_expect_not(second.begun);
    key_notes_end_survey(&notes, false);
    key_notes_finish(&notes);
}

Test(key_notes, a_survey_that_saw_all_is_the_last_one) {
    struct key_notes notes;
    key_notes_init(&notes);
    struct waiter first = {.notes = &notes};
    struct waiter second = {.notes = &notes, .questions = 1000};
    pthread_t thread;
    (void)wait_for_survey(&first);
    key_notes_end_survey(&notes, false);
    (void)wait_for_survey(&first);
    cr_assert(first.begun, "the one before was broken off");
    start(&thread, &second);
    key_notes_end_survey(&notes, true);
    (void)pthread_join(thread, NULL);
    cr_expect_eq(second.status, FASTER_OK);
    cr_expect_not(second.begun);
    key_notes_finish(&notes);
}
