/* test_progress.c - a recovery tells how far it has come, and can be stopped (P2). */
#include "direct_rig.h"

/* The test clock goes on by two seconds at each question whether to stop. */
#define QUESTION_NS UINT64_C(2000000000)

static unsigned info_count;
static char first_info[FASTER_MESSAGE_BYTES];
static unsigned asked;
static unsigned stop_at; /* 0: never */
static unsigned seen_works;

static void note_info(void *context, enum faster_diagnostic_level level, const char *module,
                      const char *message) {
    (void)context;
    if (level == FASTER_DIAGNOSTIC_INFO && strcmp(module, "recovery") == 0) {
        if (info_count++ == 0) {
            snprintf(first_info, sizeof first_info, "%s", message);
        }
    }
}

static bool question(void *context) {
    (void)context;
    fst_test_env_advance(rig.test, QUESTION_NS);
    return ++asked == stop_at;
}

/* Of a store that its callers have: its figures. */
static bool look_at_figures(void *context) {
    cr_assert_leq(stat_of("work_done_bytes"), stat_of("work_total_bytes"));
    seen_works |= 1u << stat_of("work");
    return question(context);
}

static void set_up(void) {
    info_count = asked = stop_at = seen_works = 0;
    first_info[0] = '\0';
}

TestSuite(progress, .init = set_up);

static void tell_me(void) {
    rig.options.diagnostic = note_info;
    rig.options.interrupt = question;
}

Test(progress, direct_open_tells_every_five_seconds) {
    start();
    evict();
    commit();
    rig_crash(&rig);
    tell_me();
    rig_open(&rig);
    cr_assert_gt(asked, 20);
    /* After the third question more than five seconds are over. */
    cr_assert_geq(info_count, asked / 3 - 3);
    cr_assert_leq(info_count, asked / 3 + 1);
    cr_assert_not_null(strstr(first_info, "end of the log"), "%s", first_info);
    cr_assert_eq(stat_of("work"), 0);
    cr_assert_geq(stat_of("recovery_ns"), (asked - 1) * QUESTION_NS);
    rig.options.interrupt = NULL;
    stop();
}

/* Wherever it is stopped, the next open has all. */
Test(progress, open_stops_at_each_question) {
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    start();
    ASSERT_OK(put("before", "1"));
    evict();
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    ASSERT_OK(put("behind", "2"));
    commit();
    rig_crash(&rig);
    tell_me();
    for (stop_at = 1; rig_try_open(&rig) == FASTER_INTERRUPTED; stop_at++) {
        asked = 0;
    }
    cr_assert_gt(stop_at, 3);
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
    want("before", "1");
    want("behind", "2");
    rig.options.interrupt = NULL;
    stop();
}

Test(progress, catch_up_has_figures) {
    rig_start(&rig, 4096);
    for (unsigned i = 0; i < 600; i++) {
        char key[32];
        snprintf(key, sizeof key, "key %u", i);
        rig_commit_put(&rig, key, i + 1, 1000);
    }
    rig_crash(&rig);
    tell_me();
    rig.options.interrupt = NULL;
    rig_open(&rig);
    ledger_rewind(&rig.ledger);
    ASSERT_OK(
        faster_session_catch_up(rig.session, ledger_next, &rig.ledger, look_at_figures, NULL));
    cr_assert_eq(seen_works, 1u << 3);
    cr_assert_gt(info_count, 10);
    cr_assert_eq(stat_of("work"), 0);
    cr_assert_gt(stat_of("recovery_ns"), 0);
    cr_assert_eq(rig_get(&rig, "key 599"), 600);
    stop();
}
