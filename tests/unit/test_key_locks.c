/* test_key_locks.c - locks on keys over several operations of a direct store (P9). */
#include "direct_rig.h"

#include <pthread.h>

#define OTHERS 3u
#define MS UINT64_C(1000000)
#define LONG_NS (20000 * MS)

static struct faster_session *others[OTHERS];

/* A write waits hardly at all, unless a test wants it to. */
static void open_others(uint64_t key_lock_wait_ns) {
    rig_close(&rig);
    rig.options.key_lock_wait_ns = key_lock_wait_ns;
    rig_open(&rig);
    for (unsigned i = 0; i < OTHERS; i++) {
        ASSERT_OK(faster_session_open(rig.store, &others[i]));
    }
}

static void begin(void) {
    start();
    open_others(MS);
}

static void close_others(void) {
    for (unsigned i = 0; i < OTHERS; i++) {
        faster_session_close(others[i]);
        others[i] = NULL;
    }
}

static void end(void) {
    close_others();
    stop();
}

TestSuite(key_locks, .init = begin, .fini = end, .timeout = 120);

/* ---- helpers ---- */

static struct faster_key_lock lock_of(const char *key, enum faster_lock_kind kind) {
    return (struct faster_key_lock){.key = {key, strlen(key)}, .kind = kind};
}

static enum faster_status lock_one(struct faster_session *session, const char *key,
                                   enum faster_lock_kind kind, uint64_t wait_ns) {
    const struct faster_key_lock lock = lock_of(key, kind);
    return faster_session_lock(session, &lock, 1, wait_ns);
}

static enum faster_status share(struct faster_session *session, const char *key) {
    return lock_one(session, key, FASTER_LOCK_SHARED, 0);
}

static enum faster_status own(struct faster_session *session, const char *key) {
    return lock_one(session, key, FASTER_LOCK_EXCLUSIVE, 0);
}

static enum faster_status set(struct faster_session *session, const char *key, const char *text) {
    struct faster_op op = {.key = {key, strlen(key)}, .value = {text, strlen(text)}};
    return faster_session_upsert(session, &op);
}

static enum faster_status append_plus(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *value) {
    char text[64];
    const size_t size = old == NULL ? 0 : old->size_bytes;
    (void)context;
    if (size > 0) {
        memcpy(text, old->data, size);
    }
    text[size] = '+';
    return faster_buffer_assign(value, text, size + 1);
}

/* Every kind of write, alone and in a batch. */
static void want_writes(struct faster_session *session, const char *key,
                        enum faster_status wanted) {
    const struct faster_bytes name = {key, strlen(key)};
    struct faster_op op = {
        .key = name, .value = {"other", 5}, .expected = {"v", 1}, .merge = append_plus};
    ASSERT_STATUS(faster_session_upsert(session, &op), wanted);
    ASSERT_STATUS(faster_session_insert(session, &op), wanted);
    ASSERT_STATUS(faster_session_compare_and_set(session, &op), wanted);
    ASSERT_STATUS(faster_session_rmw(session, &op), wanted);
    ASSERT_STATUS(faster_session_delete(session, &op), wanted);
    struct faster_op ops[2] = {op, op};
    ops[0].kind = FASTER_OP_UPSERT;
    ops[1].kind = FASTER_OP_RMW;
    ASSERT_OK(faster_session_batch(session, ops, 2));
    ASSERT_STATUS(ops[0].status, wanted);
    ASSERT_STATUS(ops[1].status, wanted);
}

/* ---- locks among each other ---- */

Test(key_locks, shared_locks_stand_beside_each_other_and_exclusive_alone) {
    ASSERT_OK(share(others[0], "k"));
    ASSERT_OK(share(others[1], "k"));
    ASSERT_STATUS(own(others[2], "k"), FASTER_BUSY);
    cr_assert_neq(faster_session_message(others[2])[0], '\0');
    faster_session_unlock(others[0]);
    ASSERT_STATUS(own(others[2], "k"), FASTER_BUSY);
    faster_session_unlock(others[1]);
    ASSERT_OK(own(others[2], "k"));
    ASSERT_STATUS(own(others[0], "k"), FASTER_BUSY);
    ASSERT_STATUS(share(others[0], "k"), FASTER_BUSY);
    faster_session_unlock(others[2]);
    ASSERT_OK(own(others[0], "k"));
    faster_session_unlock(others[0]);
    faster_session_unlock(others[0]); /* nothing */
    faster_session_unlock(NULL);
}

Test(key_locks, all_keys_are_locked_or_none) {
    struct faster_key_lock three[] = {lock_of("a", FASTER_LOCK_EXCLUSIVE),
                                      lock_of("b", FASTER_LOCK_EXCLUSIVE),
                                      lock_of("c", FASTER_LOCK_EXCLUSIVE)};
    for (unsigned held = 0; held < 3; held++) { /* whichever comes first in their order */
        const char *const names[] = {"a", "b", "c"};
        ASSERT_OK(own(others[0], names[held]));
        ASSERT_STATUS(faster_session_lock(others[1], three, 3, MS), FASTER_BUSY);
        faster_session_unlock(others[0]);
        ASSERT_OK(faster_session_lock(others[0], three, 3, 0));
        faster_session_unlock(others[0]);
    }
}

Test(key_locks, key_that_is_named_twice_gets_the_stronger_lock) {
    struct faster_key_lock twice[] = {lock_of("k", FASTER_LOCK_SHARED),
                                      lock_of("k", FASTER_LOCK_EXCLUSIVE),
                                      lock_of("k", FASTER_LOCK_SHARED)};
    ASSERT_OK(faster_session_lock(others[0], twice, 3, 0));
    ASSERT_STATUS(share(others[1], "k"), FASTER_BUSY);
    ASSERT_OK(set(others[0], "k", "mine"));
    faster_session_unlock(others[0]);
    ASSERT_OK(own(others[1], "k"));
    faster_session_unlock(others[1]);
}

Test(key_locks, as_many_as_allowed) {
    static struct faster_key_lock many[FASTER_KEY_LOCKS_MAX];
    static char names[FASTER_KEY_LOCKS_MAX][8];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < FASTER_KEY_LOCKS_MAX; i++) {
            snprintf(names[i], sizeof names[i], "%u", i);
            many[i] = lock_of(names[i], i % 2 ? FASTER_LOCK_SHARED : FASTER_LOCK_EXCLUSIVE);
        }
        ASSERT_OK(faster_session_lock(others[0], many, FASTER_KEY_LOCKS_MAX, 0));
        for (unsigned i = 0; i < FASTER_KEY_LOCKS_MAX; i++) {
            ASSERT_STATUS(own(others[1], names[i]), FASTER_BUSY);
        }
        faster_session_unlock(others[0]);
        for (unsigned i = 0; i < FASTER_KEY_LOCKS_MAX; i++) {
            ASSERT_OK(own(others[1], names[i]));
            faster_session_unlock(others[1]);
        }
    }
    cr_assert_eq(stat_of("key_lock_bytes"), 4096);
}

Test(key_locks, wait_is_bounded) {
    const struct faster_env *env = rig.options.env;
    ASSERT_OK(own(others[0], "k"));
    const uint64_t since_ns = env->monotonic_ns(env);
    ASSERT_STATUS(lock_one(others[1], "k", FASTER_LOCK_SHARED, 30 * MS), FASTER_BUSY);
    ASSERT_STATUS(lock_one(others[1], "k", FASTER_LOCK_EXCLUSIVE, 30 * MS), FASTER_BUSY);
    cr_assert_geq(env->monotonic_ns(env) - since_ns, 60 * MS);
    faster_session_unlock(others[0]);
}

static void *own_k_however_long(void *session) {
    return lock_one(session, "k", FASTER_LOCK_EXCLUSIVE, UINT64_MAX) == FASTER_OK ? session : NULL;
}

Test(key_locks, wait_without_a_bound_has_no_end_that_overflows) {
    const struct faster_env *env = rig.options.env;
    const uint64_t since_ns = env->monotonic_ns(env);
    pthread_t waiter;
    void *had = NULL;
    ASSERT_OK(share(others[0], "k"));
    cr_assert_eq(pthread_create(&waiter, NULL, own_k_however_long, others[1]), 0);
    while (share(others[2], "k") == FASTER_OK) { /* it does not wait yet */
        faster_session_unlock(others[2]);
        cr_assert_lt(env->monotonic_ns(env) - since_ns, LONG_NS, "it does not wait");
    }
    faster_session_unlock(others[0]);
    cr_assert_eq(pthread_join(waiter, &had), 0);
    cr_assert_eq(had, others[1]);
    faster_session_unlock(others[1]);
}

static void *own_k_for_a_while(void *session) {
    return lock_one(session, "k", FASTER_LOCK_EXCLUSIVE, LONG_NS) == FASTER_OK ? session : NULL;
}

Test(key_locks, waiting_exclusive_lock_keeps_new_shared_ones_out) {
    pthread_t waiter;
    void *had = NULL;
    ASSERT_OK(share(others[0], "k"));
    cr_assert_eq(pthread_create(&waiter, NULL, own_k_for_a_while, others[1]), 0);
    while (share(others[2], "k") == FASTER_OK) { /* it has not come yet */
        faster_session_unlock(others[2]);
    }
    faster_session_unlock(others[0]);
    cr_assert_eq(pthread_join(waiter, &had), 0);
    cr_assert_eq(had, others[1]);
    faster_session_unlock(others[1]);
    ASSERT_OK(share(others[2], "k"));
    faster_session_unlock(others[2]);
}

Test(key_locks, who_gives_up_waiting_leaves_no_claim) {
    ASSERT_OK(share(others[0], "k"));
    ASSERT_STATUS(lock_one(others[1], "k", FASTER_LOCK_EXCLUSIVE, MS), FASTER_BUSY);
    ASSERT_OK(share(others[2], "k"));
    faster_session_unlock(others[0]);
    faster_session_unlock(others[2]);
    ASSERT_OK(set(others[0], "k", "free"));
}

struct crossing {
    struct faster_session *session;
    const char *first;
    const char *second;
    unsigned failed;
};

static void *cross(void *argument) {
    struct crossing *crossing = argument;
    const struct faster_key_lock both[] = {lock_of(crossing->first, FASTER_LOCK_EXCLUSIVE),
                                           lock_of(crossing->second, FASTER_LOCK_EXCLUSIVE)};
    for (unsigned i = 0; i < 2000; i++) {
        if (faster_session_lock(crossing->session, both, 2, LONG_NS) != FASTER_OK) {
            crossing->failed++;
            continue;
        }
        crossing->failed += set(crossing->session, crossing->first, "1") != FASTER_OK;
        crossing->failed += set(crossing->session, crossing->second, "2") != FASTER_OK;
        faster_session_unlock(crossing->session);
    }
    return NULL;
}

Test(key_locks, no_deadlock) {
    pthread_t threads[OTHERS];
    struct crossing crossings[OTHERS] = {
        {others[0], "a", "b", 0}, {others[1], "b", "c", 0}, {others[2], "c", "a", 0}};
    for (unsigned i = 0; i < OTHERS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, cross, &crossings[i]), 0);
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(crossings[i].failed, 0);
    }
}

/* ---- operations without locks ---- */

static void plain_writer_is_busy(enum faster_lock_kind kind, bool in_place) {
    ASSERT_OK(put("k", "v"));
    if (!in_place) {
        commit(); /* the record is changed by a copy */
    }
    ASSERT_OK(lock_one(others[0], "k", kind, 0));
    want_writes(others[1], "k", FASTER_BUSY);
    want("k", "v"); /* reads wait for nothing */
    faster_session_unlock(others[0]);
    want("k", "v");
    struct faster_op op = {.key = {"k", 1}, .merge = append_plus};
    ASSERT_OK(faster_session_rmw(others[1], &op));
    want("k", "v+");
}

Test(key_locks, plain_write_of_a_locked_key_is_busy_in_the_end) {
    plain_writer_is_busy(FASTER_LOCK_EXCLUSIVE, true);
    plain_writer_is_busy(FASTER_LOCK_EXCLUSIVE, false);
    plain_writer_is_busy(FASTER_LOCK_SHARED, true);
    plain_writer_is_busy(FASTER_LOCK_SHARED, false);
}

Test(key_locks, key_that_does_not_exist_is_locked_as_well) {
    struct faster_op op = {.key = {"new", 3}, .value = {"1", 1}};
    ASSERT_OK(own(others[0], "new"));
    ASSERT_STATUS(faster_session_insert(others[1], &op), FASTER_BUSY);
    want("new", NULL);
    ASSERT_OK(faster_session_insert(others[0], &op));
    want("new", "1"); /* before the lock is given back */
    faster_session_unlock(others[0]);
}

static void *set_k(void *session) {
    return set(session, "k", "after") == FASTER_OK ? session : NULL;
}

Test(key_locks, plain_writer_goes_on_when_the_lock_is_given_back) {
    pthread_t writer;
    void *had = NULL;
    close_others();
    open_others(LONG_NS);
    ASSERT_OK(put("k", "before"));
    ASSERT_OK(own(others[0], "k"));
    cr_assert_eq(pthread_create(&writer, NULL, set_k, others[1]), 0);
    for (unsigned i = 0; i < 20; i++) {
        const struct timespec nap = {.tv_nsec = (long)MS};
        want("k", "before");
        nanosleep(&nap, NULL);
    }
    faster_session_unlock(others[0]);
    cr_assert_eq(pthread_join(writer, &had), 0);
    cr_assert_eq(had, others[1]);
    want("k", "after");
}

/* Another session locks the key while an RMW is in its merge, outside the epoch. */
static enum faster_status append_while_locked(void *context, const struct faster_bytes *old,
                                              struct faster_buffer *value) {
    unsigned *calls = context;
    if ((*calls)++ == 0) {
        ASSERT_OK(own(others[0], "k"));
    }
    return append_plus(NULL, old, value);
}

Test(key_locks, update_whose_merge_was_overtaken_by_a_lock_waits) {
    for (unsigned round = 0; round < 2;
         round++) { /* then there is room for copies: the short way */
        unsigned calls = 0;
        struct faster_op op = {.key = {"k", 1}, .merge = append_while_locked, .context = &calls};
        ASSERT_OK(put("k", "v  "));
        ASSERT_OK(put("k", "v")); /* with room for more */
        ASSERT_STATUS(faster_session_rmw(others[1], &op), FASTER_BUSY);
        cr_assert_eq(calls, 1);
        want("k", "v");
        faster_session_unlock(others[0]);
        ASSERT_OK(faster_session_rmw(others[1], &op));
        want("k", "v+");
    }
}

Test(key_locks, record_that_comes_from_disk_after_the_lock_waits) {
    struct faster_op op = {.key = {"cold", 4}, .merge = append_plus};
    ASSERT_OK(put("cold", "v"));
    evict();
    ASSERT_STATUS(faster_session_rmw(others[1], &op), FASTER_PENDING);
    ASSERT_OK(own(others[0], "cold"));
    ASSERT_OK(faster_session_complete_pending(others[1], true));
    ASSERT_STATUS(op.status, FASTER_BUSY);
    faster_session_unlock(others[0]);
    want("cold", "v");
}

/* ---- the holder ---- */

Test(key_locks, holder_writes_what_it_has_locked_exclusively_and_nothing_else) {
    const struct faster_key_lock locks[] = {lock_of("mine", FASTER_LOCK_EXCLUSIVE),
                                            lock_of("shared", FASTER_LOCK_SHARED)};
    ASSERT_OK(put("shared", "v"));
    ASSERT_OK(put("free", "v"));
    ASSERT_OK(faster_session_lock(rig.session, locks, 2, 0));
    ASSERT_OK(put("mine", "1"));
    ASSERT_OK(put("mine", "2")); /* in place */
    struct faster_op op = {.key = {"mine", 4}, .merge = append_plus};
    ASSERT_OK(faster_session_rmw(rig.session, &op));
    want("mine", "2+");
    want_writes(rig.session, "shared", FASTER_MISUSE);
    want_writes(rig.session, "free", FASTER_MISUSE);
    cr_assert_neq(faster_session_message(rig.session)[0], '\0');
    want("shared", "v");
    want("free", "v");
    ASSERT_OK(set(others[0], "free", "w")); /* those without locks go on */
    want("free", "w");
    faster_session_unlock(rig.session);
    ASSERT_OK(put("free", "v"));
}

Test(key_locks, holder_has_one_set) {
    ASSERT_OK(own(others[0], "a"));
    ASSERT_STATUS(own(others[0], "b"), FASTER_MISUSE);
    ASSERT_STATUS(own(others[0], "a"), FASTER_MISUSE);
    ASSERT_OK(own(others[1], "b"));
    faster_session_unlock(others[0]);
    faster_session_unlock(others[1]);
}

Test(key_locks, pending_operations_end_before_locks_are_taken_and_given_back) {
    struct faster_op before = {.key = {"cold", 4}, .merge = append_plus};
    struct faster_op under = before;
    ASSERT_OK(put("cold", "v"));
    evict();
    ASSERT_STATUS(faster_session_rmw(others[0], &before), FASTER_PENDING);
    ASSERT_OK(own(others[0], "another")); /* under which "cold" could not be written */
    ASSERT_OK(before.status);
    faster_session_unlock(others[0]);
    evict();
    ASSERT_OK(own(others[0], "cold"));
    ASSERT_STATUS(faster_session_rmw(others[0], &under), FASTER_PENDING);
    faster_session_unlock(others[0]);
    ASSERT_OK(under.status);
    want("cold", "v++");
}

Test(key_locks, close_gives_them_back) {
    struct faster_op under = {.key = {"cold", 4}, .merge = append_plus};
    ASSERT_OK(put("cold", "v"));
    evict();
    ASSERT_OK(own(others[0], "cold"));
    ASSERT_STATUS(faster_session_rmw(others[0], &under), FASTER_PENDING);
    faster_session_close(others[0]);
    others[0] = NULL;
    ASSERT_OK(under.status);
    ASSERT_OK(own(others[1], "cold"));
    faster_session_unlock(others[1]);
    ASSERT_OK(put("cold", "free"));
}

/* ---- the rest of the store ---- */

Test(key_locks, commits_checkpoints_and_growth_do_not_wait_for_locks) {
    pthread_t writer;
    void *had = NULL;
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    close_others();
    open_others(LONG_NS);
    ASSERT_OK(put("k", "before"));
    ASSERT_OK(own(others[0], "k"));
    ASSERT_OK(set(others[0], "k", "under"));
    cr_assert_eq(pthread_create(&writer, NULL, set_k, others[1]), 0);
    commit();
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    ASSERT_OK(faster_session_take_checkpoint(others[0], &request, NULL)); /* the holder, too */
    const enum faster_status grown = faster_session_grow(rig.session);
    cr_assert(grown == FASTER_OK || grown == FASTER_FULL);
    ASSERT_OK(set(others[0], "k", "under it still"));
    faster_session_unlock(others[0]);
    cr_assert_eq(pthread_join(writer, &had), 0);
    cr_assert_eq(had, others[1]);
    want("k", "after");
}

Test(key_locks, locks_are_gone_when_the_store_is_opened_again) {
    ASSERT_OK(own(others[0], "k"));
    ASSERT_OK(set(others[0], "k", "v"));
    close_others();
    rig_reopen(&rig);
    cr_assert_eq(stat_of("key_lock_bytes"), 0);
    ASSERT_OK(put("k", "w"));
}

Test(key_locks, without_memory_nothing_is_locked) {
    fst_test_env_fail(rig.test, FST_TEST_MAP, 1, 1, FASTER_NOMEM);
    ASSERT_STATUS(own(others[0], "k"), FASTER_NOMEM);
    ASSERT_OK(put("k", "v"));
    ASSERT_OK(own(others[0], "k"));
    ASSERT_STATUS(put("k", "w"), FASTER_BUSY);
    faster_session_unlock(others[0]);
    ASSERT_OK(put("k", "w"));
}

Test(key_locks, misuse) {
    static struct faster_key_lock many[FASTER_KEY_LOCKS_MAX + 1];
    struct faster_key_lock lock = lock_of("k", FASTER_LOCK_SHARED);
    ASSERT_STATUS(faster_session_lock(NULL, &lock, 1, 0), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_lock(others[0], NULL, 1, 0), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_lock(others[0], &lock, 0, 0), FASTER_MISUSE);
    for (unsigned i = 0; i <= FASTER_KEY_LOCKS_MAX; i++) {
        many[i] = lock;
    }
    ASSERT_STATUS(faster_session_lock(others[0], many, FASTER_KEY_LOCKS_MAX + 1, 0), FASTER_MISUSE);
    ASSERT_OK(faster_session_lock(others[0], many, FASTER_KEY_LOCKS_MAX, 0));
    faster_session_unlock(others[0]);
    lock.kind = (enum faster_lock_kind)0;
    ASSERT_STATUS(faster_session_lock(others[0], &lock, 1, 0), FASTER_MISUSE);
    lock = (struct faster_key_lock){.key = {NULL, 1}, .kind = FASTER_LOCK_SHARED};
    ASSERT_STATUS(faster_session_lock(others[0], &lock, 1, 0), FASTER_MISUSE);
}

Test(key_locks, transactional_store_has_none, .init = NULL, .fini = NULL) {
    const struct faster_key_lock lock = lock_of("k", FASTER_LOCK_SHARED);
    struct rig transactional;
    rig_start(&transactional, 0);
    ASSERT_STATUS(faster_session_lock(transactional.session, &lock, 1, 0), FASTER_MISUSE);
    faster_session_unlock(transactional.session);
    rig_finish(&transactional);
}
