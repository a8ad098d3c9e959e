/* test_names.c - named sessions: numbers of operations, and what is left of them after a crash
 * (P2, P3, P6, P7). */
#include "direct_rig.h"

#include "shapes/checkpoint_format.h"

#define WORKERS_MAX 300u

static struct faster_session *workers[WORKERS_MAX];

static void begin(void) {
    memset(workers, 0, sizeof workers);
    start();
}

TestSuite(names, .init = begin, .fini = stop, .timeout = 120);

/* ---- helpers ---- */

/* Opens worker i under the name and returns its number. */
static uint64_t open_as(unsigned i, const char *name) {
    uint64_t serial = UINT64_MAX;
    cr_assert_null(workers[i]);
    ASSERT_OK(faster_session_open_named(rig.store, name, &serial, &workers[i]));
    return serial;
}

static void close_worker(unsigned i) {
    faster_session_close(workers[i]);
    workers[i] = NULL;
}

static void close_workers(void) {
    for (unsigned i = 0; i < WORKERS_MAX; i++) {
        close_worker(i);
    }
}

/* As rig_crash(), with workers open. */
static void crash(void) {
    char command[1024];
    char copy[sizeof rig.directory];
    snprintf(copy, sizeof copy, "%s/%u", rig.base, ++rig.life);
    snprintf(command, sizeof command, "cp -r --sparse=always %s %s", rig.directory, copy);
    cr_assert(system(command) == 0);
    close_workers();
    rig_close(&rig);
    memcpy(rig.directory, copy, sizeof copy);
    rig_open(&rig);
}

/* Worker i sets a key; the operation's number. */
static uint64_t set(unsigned i, const char *key, const char *text) {
    struct faster_op op = {
        .key = {key, strlen(key)}, .value = {text, strlen(text)}, .serial = UINT64_MAX};
    ASSERT_OK(faster_session_upsert(workers[i], &op));
    return op.serial;
}

static const struct faster_session_info *info_of(const char *name) {
    static struct faster_session_info infos[FASTER_SESSION_NAMES_MAX];
    const size_t count = faster_store_sessions(rig.store, infos, FASTER_SESSION_NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(infos[i].name, name) == 0) {
            return &infos[i];
        }
    }
    return NULL;
}

/* What a closed name has; 0: it is not known. */
static void want_serial(const char *name, uint64_t serial) {
    const struct faster_session_info *info = info_of(name);
    cr_assert_eq(info == NULL ? 0 : info->serial, serial, "%s: %llu", name,
                 info == NULL ? 0ULL : (unsigned long long)info->serial);
}

static void want_durable(const char *name, uint64_t serial) {
    const struct faster_session_info *info = info_of(name);
    cr_assert_not_null(info, "%s", name);
    cr_assert_eq(info->durable_serial, serial, "%s: %llu", name,
                 (unsigned long long)info->durable_serial);
}

/* ---- numbers ---- */

Test(names, operation_that_takes_effect_gets_the_next_number) {
    struct faster_op op = {.key = {"k", 1}, .value = {"1", 1}, .expected = {"x", 1}};
    cr_assert_eq(open_as(0, "worker"), 0);
    cr_assert_eq(set(0, "k", "1"), 1);
    cr_assert_eq(set(0, "k", "2"), 2); /* in place */
    cr_assert_eq(set(0, "k", "a longer one"), 3);
    ASSERT_STATUS(faster_session_insert(workers[0], &op), FASTER_EXISTS);
    cr_assert_eq(op.serial, 0);
    ASSERT_STATUS(faster_session_compare_and_set(workers[0], &op), FASTER_EXISTS);
    cr_assert_eq(op.serial, 0);
    op.merge = add_one;
    op.key = (struct faster_bytes){"n", 1};
    ASSERT_OK(faster_session_rmw(workers[0], &op));
    cr_assert_eq(op.serial, 4);
    ASSERT_OK(faster_session_rmw(workers[0], &op));
    cr_assert_eq(op.serial, 5);
    op.key = (struct faster_bytes){"never there", 11};
    ASSERT_OK(faster_session_delete(workers[0], &op));
    cr_assert_eq(op.serial, 0);
    op.key = (struct faster_bytes){"n", 1};
    ASSERT_OK(faster_session_delete(workers[0], &op));
    cr_assert_eq(op.serial, 6);
    cr_assert_eq(faster_session_serial(workers[0]), 6);
    cr_assert_eq(faster_session_durable_serial(workers[0]), 0);
    ASSERT_OK(faster_session_upsert(rig.session, &op));
    cr_assert_eq(op.serial, 0);
    cr_assert_eq(faster_session_serial(rig.session), 0);
    close_workers();
}

Test(names, operation_on_disk_gets_its_number_when_it_is_there) {
    struct faster_op op = {.key = {"cold", 4}, .merge = add_one};
    add("cold");
    evict();
    (void)open_as(0, "worker");
    enum faster_status status = faster_session_rmw(workers[0], &op);
    ASSERT_STATUS(status, FASTER_PENDING);
    cr_assert_eq(op.serial, 0);
    cr_assert_eq(set(0, "k", "1"), 1);
    ASSERT_OK(finish(workers[0], &op, status));
    cr_assert_eq(op.serial, 2);
    close_workers();
}

Test(names, operations_of_a_batch_are_numbered) {
    struct faster_op ops[40] = {0};
    char keys[40][8];
    (void)open_as(0, "worker");
    for (unsigned i = 0; i < 40; i++) {
        snprintf(keys[i], sizeof keys[i], "%u", i);
        ops[i] = (struct faster_op){.kind = i % 4 == 0 ? FASTER_OP_READ : FASTER_OP_UPSERT,
                                    .key = {keys[i], strlen(keys[i])},
                                    .value = {"v", 1}};
    }
    ASSERT_OK(faster_session_batch(workers[0], ops, 40));
    uint64_t serial = 0;
    for (unsigned i = 0; i < 40; i++) {
        cr_assert_eq(ops[i].serial, i % 4 == 0 ? 0 : ++serial);
    }
    close_workers();
}

Test(names, names_are_checked) {
    struct faster_session *session;
    ASSERT_STATUS(faster_session_open_named(rig.store, "", NULL, &session), FASTER_INVALID);
    ASSERT_STATUS(faster_session_open_named(rig.store, NULL, NULL, &session), FASTER_INVALID);
    ASSERT_STATUS(
        faster_session_open_named(rig.store, "a name of thirty-two characters.", NULL, &session),
        FASTER_INVALID);
    cr_assert_null(session);
    (void)open_as(0, "a name of thirty-one characters");
    ASSERT_STATUS(
        faster_session_open_named(rig.store, "a name of thirty-one characters", NULL, &session),
        FASTER_BUSY);
    close_workers();
    (void)open_as(0, "a name of thirty-one characters");
    close_workers();
    ASSERT_STATUS(faster_session_forget(rig.session, ""), FASTER_INVALID);
    ASSERT_STATUS(faster_session_forget(rig.session, "nobody"), FASTER_NOT_FOUND);
    want_serial("a name of thirty-one characters", 0);
}

/* ---- crashes ---- */

Test(names, after_a_crash_numbers_go_on_from_the_last_commit) {
    (void)open_as(0, "worker");
    cr_assert_eq(set(0, "a", "1"), 1);
    cr_assert_eq(set(0, "b", "1"), 2);
    commit();
    cr_assert_eq(faster_session_durable_serial(workers[0]), 2);
    cr_assert_eq(set(0, "a", "2"), 3);
    cr_assert_eq(set(0, "c", "2"), 4);
    want_durable("worker", 2);
    crash();
    cr_assert_eq(open_as(0, "worker"), 2);
    want("a", "1");
    want("b", "1");
    want("c", NULL);
    cr_assert_eq(set(0, "c", "3"), 3);
    crash(); /* without a commit in this life */
    cr_assert_eq(open_as(0, "worker"), 2);
    cr_assert_eq(set(0, "c", "4"), 3);
    commit();
    crash();
    cr_assert_eq(open_as(0, "worker"), 3);
    want("c", "4");
    close_workers();
    rig_reopen(&rig);
    want_serial("worker", 3);
}

Test(names, several_sessions_have_numbers_of_their_own) {
    char name[32];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "worker %u", i);
        (void)open_as(i, name);
        for (unsigned n = 0; n < i; n++) {
            cr_assert_eq(set(i, name, "x"), n + 1);
        }
    }
    commit();
    (void)set(3, "lost", "x");
    crash();
    for (unsigned i = 1; i < 20; i++) {
        snprintf(name, sizeof name, "worker %u", i);
        want_serial(name, i);
    }
    want_serial("worker 0", 0);
    want("lost", NULL);
}

Test(names, closed_before_the_cut_is_told_and_goes_on) {
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    close_workers();
    cr_assert_eq(open_as(0, "worker"), 1);
    cr_assert_eq(set(0, "a", "2"), 2);
    close_workers();
    want_durable("worker", 0);
    commit();
    want_durable("worker", 2);
    (void)open_as(0, "worker"); /* idle over several cuts */
    for (unsigned i = 0; i < 5; i++) {
        ASSERT_OK(put("b", "x"));
        commit();
    }
    cr_assert_eq(set(0, "a", "3"), 3);
    crash();
    want_serial("worker", 2);
    want("a", "2");
}

Test(names, cut_that_could_not_be_synced_is_not_durable) {
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    fst_test_env_fail(rig.test, FST_TEST_DIRECTORY_SYNC, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    cr_assert_eq(faster_session_durable_serial(workers[0]), 0);
    (void)set(0, "a", "2");
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    cr_assert_eq(faster_session_durable_serial(workers[0]), 0);
    fst_test_env_heal_all(rig.test);
    commit();
    cr_assert_eq(faster_session_durable_serial(workers[0]), 2);
    crash();
    want_serial("worker", 2);
    want("a", "2");
}

/* Its bytes can be read after a kill, and the next power cut may take them: who opens the name is
 * told what is safe by then. */
Test(names, what_a_kill_left_unsynced_is_durable_once_the_name_is_open) {
    (void)open_as(0, "worker");
    (void)open_as(1, "other");
    (void)set(0, "a", "1");
    (void)set(1, "b", "1");
    commit();
    (void)set(0, "a", "2");
    fst_test_env_fail(rig.test, FST_TEST_FILE_SYNC, 1, FST_TEST_FOR_EVER, FASTER_IO);
    cr_assert_neq(faster_session_commit(rig.session), FASTER_OK);
    fst_test_env_heal_all(rig.test);
    crash();
    want_serial("worker", 2);
    want_durable("worker", 1);
    want_durable("other", 1);
    const uint64_t syncs = fst_test_env_calls(rig.test, FST_TEST_FILE_SYNC);
    cr_assert_eq(open_as(0, "worker"), 2);
    cr_assert_gt(fst_test_env_calls(rig.test, FST_TEST_FILE_SYNC), syncs);
    cr_assert_eq(faster_session_durable_serial(workers[0]), 2);
    want_durable("other", 1);
    want("a", "2");
    close_workers();
}

/* The control record finds no room: what the version had is told when it does. */
Test(names, full_disk_delays_what_is_told) {
    (void)open_as(0, "worker");
    (void)open_as(1, "other");
    (void)set(1, "b", "1");
    commit();
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    uint64_t written = 0;
    struct faster_op op = {.value = {"x", 1}};
    char value[1000] = "x";
    char key[16];
    do {
        snprintf(key, sizeof key, "%llu", (unsigned long long)written);
        op.key = (struct faster_bytes){key, strlen(key)};
        op.value = (struct faster_bytes){value, sizeof value};
        const enum faster_status status = faster_session_upsert(workers[0], &op);
        cr_assert(status == FASTER_OK || status == FASTER_FULL);
        written += status == FASTER_OK;
    } while (op.status == FASTER_OK);
    cr_assert_eq(faster_session_serial(workers[0]), written);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    close_worker(1);
    ASSERT_STATUS(faster_session_forget(rig.session, "other"), FASTER_OK);
    fst_test_env_heal_all(rig.test);
    commit();
    cr_assert_eq(faster_session_durable_serial(workers[0]), written);
    (void)set(0, "lost", "x");
    crash();
    want_serial("worker", written);
    want_serial("other", 0);
    want("lost", NULL);
}

/* ---- many names ---- */

static void use_once(const char *name) {
    const uint64_t serial = open_as(0, name);
    cr_assert_eq(set(0, name, "x"), serial + 1);
    close_worker(0);
}

Test(names, more_names_than_a_control_record_holds) {
    char name[32];
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "name %u", i);
        use_once(name);
    }
    want_durable("name 100", 1); /* room was made */
    commit();
    cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), 600);
    crash();
    cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), 600);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "name %u", i);
        want_serial(name, 1);
        use_once(name);
    }
    rig_reopen(&rig);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "name %u", i);
        want_serial(name, 2);
    }
}

Test(names, no_more_are_open_than_one_cut_can_tell_of) {
    struct faster_session *session;
    char name[32];
    for (unsigned i = 0; i < FASTER_NAMED_SESSIONS_MAX; i++) {
        snprintf(name, sizeof name, "name %u", i);
        (void)open_as(i, name);
        (void)set(i, name, "x");
    }
    ASSERT_STATUS(faster_session_open_named(rig.store, "one more", NULL, &session), FASTER_BUSY);
    close_worker(7);
    ASSERT_OK(faster_session_open_named(rig.store, "one more", NULL, &session));
    /* All open ones have something new, and one is forgotten besides. */
    for (unsigned i = 0; i < FASTER_NAMED_SESSIONS_MAX; i++) {
        if (i != 7) {
            (void)set(i, "a", "x");
        }
    }
    struct faster_op op = {.key = {"a", 1}, .value = {"y", 1}};
    ASSERT_OK(faster_session_upsert(session, &op));
    ASSERT_OK(faster_session_forget(rig.session, "name 7"));
    faster_session_close(session);
    crash();
    want_serial("name 7", 1);
    want_serial("name 8", 1);
    rig_reopen(&rig);
    want_serial("name 7", 1);
}

Test(names, names_that_are_known_are_limited_until_some_are_forgotten) {
    struct faster_session *session;
    char name[32];
    for (unsigned i = 0; i < FASTER_SESSION_NAMES_MAX; i++) {
        snprintf(name, sizeof name, "name %u", i);
        use_once(name);
    }
    ASSERT_STATUS(faster_session_open_named(rig.store, "one more", NULL, &session), FASTER_BUSY);
    for (unsigned i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "name %u", i);
        ASSERT_OK(faster_session_forget(rig.session, name));
        ASSERT_STATUS(faster_session_forget(rig.session, name), FASTER_NOT_FOUND);
    }
    use_once("one more");
    commit();
    cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), FASTER_SESSION_NAMES_MAX - 399);
    crash();
    cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), FASTER_SESSION_NAMES_MAX - 399);
    want_serial("name 399", 0);
    want_serial("name 400", 1);
    want_serial("one more", 1);
    rig_reopen(&rig);
    cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), FASTER_SESSION_NAMES_MAX - 399);
}

Test(names, forgotten_name_is_gone_with_the_next_commit) {
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    ASSERT_STATUS(faster_session_forget(rig.session, "worker"), FASTER_BUSY);
    close_workers();
    commit();
    ASSERT_OK(faster_session_forget(rig.session, "worker"));
    want_serial("worker", 0);
    crash();
    want_serial("worker", 1);
    ASSERT_OK(faster_session_forget(rig.session, "worker"));
    commit(); /* nothing else is new */
    crash();
    want_serial("worker", 0);
    want("a", "1");
    cr_assert_eq(open_as(0, "worker"), 0);
    cr_assert_eq(set(0, "a", "2"), 1);
    close_workers();
}

Test(names, forgotten_name_that_is_used_again_begins_anew) {
    (void)open_as(0, "worker");
    for (unsigned i = 0; i < 5; i++) {
        (void)set(0, "a", "1");
    }
    commit();
    close_workers();
    ASSERT_OK(faster_session_forget(rig.session, "worker"));
    cr_assert_eq(open_as(0, "worker"), 0);
    cr_assert_eq(set(0, "a", "2"), 1);
    crash();
    want_serial("worker", 5);
    want("a", "1");
    ASSERT_OK(faster_session_forget(rig.session, "worker"));
    (void)open_as(0, "worker");
    (void)set(0, "a", "2");
    commit();
    crash();
    want_serial("worker", 1);
    want("a", "2");
}

/* ---- checkpoints ---- */

static struct faster_checkpoint take(enum faster_checkpoint_kind kind,
                                     enum faster_checkpoint_index index) {
    const struct faster_checkpoint_request request = {.kind = kind, .index = index};
    struct faster_checkpoint made;
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, &made));
    return made;
}

/* One name is last told of before the copy of the index, one between copy and root, one behind. */
static void use_around_checkpoints(void) {
    (void)open_as(0, "before");
    (void)open_as(1, "between");
    (void)open_as(2, "behind");
    (void)set(0, "a", "1");
    commit();
    (void)set(1, "b", "1");
    evict();
    cr_assert_eq(take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_COPY).session_count, 2);
    (void)set(1, "b", "2");
    cr_assert_eq(take(FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE).session_count, 2);
    (void)set(2, "c", "1");
    commit();
    (void)set(0, "a", "lost");
}

static void want_around_checkpoints(void) {
    want_serial("before", 1);
    want_serial("between", 2);
    want_serial("behind", 1);
    want("a", "1");
    want("b", "2");
    want("c", "1");
}

Test(names, roots_and_the_log_behind_give_names_back) {
    use_around_checkpoints();
    crash();
    cr_assert_lt(stat_of("recovered_records"), 50);
    want_around_checkpoints();
    rig_reopen(&rig);
    want_around_checkpoints();
}

Test(names, index_only_checkpoint_has_the_names) {
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    evict();
    cr_assert_eq(take(FASTER_CHECKPOINT_INDEX_ONLY, FASTER_INDEX_AUTO).session_count, 1);
    (void)set(0, "a", "lost");
    crash();
    cr_assert_lt(stat_of("recovered_records"), 50);
    want_serial("worker", 1);
    want("a", "1");
}

static void damage(enum fst_checkpoint_file file, uint64_t number, long offset) {
    char name[FST_CHECKPOINT_NAME_BYTES];
    char path[512];
    fst_checkpoint_name(file, number, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    FILE *stream = fopen(path, "r+b");
    cr_assert_not_null(stream, "%s", path);
    cr_assert_eq(fseek(stream, offset, SEEK_SET), 0);
    const int byte = fgetc(stream);
    cr_assert_eq(fseek(stream, -1, SEEK_CUR), 0);
    fputc(byte ^ 0x40, stream);
    fclose(stream);
}

/* The table in the newest root, that in both, and the index. */
Test(names, damaged_roots_fall_back_to_older_ones_and_to_the_log) {
    for (unsigned which = 0; which < 3; which++) {
        if (which > 0) {
            rig_finish(&rig);
            start();
        }
        use_around_checkpoints();
        close_workers();
        struct faster_checkpoint made[2];
        cr_assert_eq(faster_store_checkpoints(rig.store, made, 2), 2);
        rig_crash(&rig); /* the copy has the files as they are now */
        damage(which < 2 ? FST_CHECKPOINT_FILE_ROOT : FST_CHECKPOINT_FILE_INDEX,
               which < 2 ? made[0].number : made[0].index_number,
               which < 2 ? (long)sizeof(struct fst_root) + 36 : 5000);
        if (which == 1) {
            damage(FST_CHECKPOINT_FILE_ROOT, made[1].number, (long)sizeof(struct fst_root) + 2);
        }
        rig_open(&rig);
        want_around_checkpoints();
    }
}

Test(names, read_only_store_tells_names_and_gives_none) {
    struct faster_session *session;
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    close_workers();
    rig_close(&rig);
    rig.options.read_only = true;
    rig_open(&rig);
    want_serial("worker", 1);
    ASSERT_STATUS(faster_session_open_named(rig.store, "worker", NULL, &session), FASTER_READ_ONLY);
    ASSERT_STATUS(faster_session_forget(rig.session, "worker"), FASTER_READ_ONLY);
}

Test(names, store_in_memory_has_names) {
    struct faster_store *store;
    struct faster_session *session;
    struct faster_options options = rig.options;
    options.directory = NULL;
    ASSERT_OK(faster_store_open(&options, &store, NULL));
    ASSERT_OK(faster_session_open_named(store, "worker", NULL, &session));
    struct faster_op op = {.key = {"a", 1}, .value = {"y", 1}};
    ASSERT_OK(faster_session_upsert(session, &op));
    ASSERT_OK(faster_session_commit(session));
    cr_assert_eq(faster_session_durable_serial(session), 1);
    faster_session_close(session);
    faster_store_close(store);
}

/* ---- memory ---- */

Test(names, opening_without_memory_changes_nothing) {
    struct faster_session *session = NULL;
    char name[32];
    ASSERT_OK(put("a", "1"));
    for (unsigned n = 0; n < 20; n++) { /* the list grows meanwhile */
        enum faster_status status = FASTER_NOMEM;
        snprintf(name, sizeof name, "name %u", n);
        for (unsigned call = 1; status == FASTER_NOMEM; call++) {
            fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, call, 1, FASTER_NOMEM);
            status = faster_session_open_named(rig.store, name, NULL, &session);
            fst_test_env_heal_all(rig.test);
            cr_assert(status == FASTER_OK || session == NULL);
            cr_assert_eq(faster_store_sessions(rig.store, NULL, 0), n + (status == FASTER_OK));
        }
        ASSERT_OK(status);
        struct faster_op op = {.key = {"a", 1}, .value = {"y", 1}};
        ASSERT_OK(faster_session_upsert(session, &op));
        faster_session_close(session);
    }
}

Test(names, checkpoint_and_recovery_without_memory_lose_no_name) {
    (void)open_as(0, "worker");
    (void)set(0, "a", "1");
    const struct faster_checkpoint_request request = {0};
    enum faster_status status = FASTER_NOMEM;
    for (unsigned call = 1; status == FASTER_NOMEM; call++) {
        fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, call, 1, FASTER_NOMEM);
        status = faster_session_take_checkpoint(workers[0], &request, NULL);
        fst_test_env_heal_all(rig.test);
    }
    ASSERT_OK(status);
    close_workers();
    rig_close(&rig);
    status = FASTER_NOMEM;
    for (unsigned call = 1; status == FASTER_NOMEM; call++) {
        fst_test_env_fail(rig.test, FST_TEST_ALLOCATE, call, 1, FASTER_NOMEM);
        status = rig_try_open(&rig);
        fst_test_env_heal_all(rig.test);
    }
    ASSERT_OK(status);
    ASSERT_OK(faster_session_open(rig.store, &rig.session));
    want_serial("worker", 1);
}
