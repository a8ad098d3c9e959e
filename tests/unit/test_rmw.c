/* test_rmw.c - what happens while a merge runs, and after it (layers 4 to 7; P9).
 *
 * A merge must not call the engine. Here some do, with another session: whoever is outside the
 * epoch and holds nothing may, so it takes the place of another thread.
 */
#include "direct_rig.h"
#include "store/operations.h"

#include <pthread.h>

TestSuite(rmw, .init = start, .fini = stop, .timeout = 60);

#define LARGE_BYTES (3u * RIG_PAGE_BYTES)
#define SEEN_BYTES 16u

/* ---- a merge that appends "+", and lets something happen first ---- */

static struct {
    struct faster_session *other;
    void (*meddle)(void);
    unsigned meddle_max; /* in so many calls */
    unsigned call_count;
    unsigned inside_count;      /* of these, inside the epoch */
    char last_seen[SEEN_BYTES]; /* how the old value of the last call began; "" if there was none */
} world;

static void meddle_as_other(struct faster_session *mine) {
    rig.session = world.other;
    world.meddle();
    rig.session = mine;
}

static enum faster_status append_plus(void *context, const struct faster_bytes *old,
                                      struct faster_buffer *value) {
    struct faster_session *mine = context;
    const size_t old_bytes = old == NULL ? 0 : old->size_bytes;
    const size_t seen_bytes = old_bytes < SEEN_BYTES ? old_bytes : SEEN_BYTES - 1;
    world.call_count++;
    world.inside_count += fst_epoch_is_inside(mine->slot);
    memset(world.last_seen, 0, sizeof world.last_seen);
    if (seen_bytes > 0) {
        memcpy(world.last_seen, old->data, seen_bytes);
    }
    if (world.call_count <= world.meddle_max) {
        meddle_as_other(mine);
    }
    enum faster_status status = faster_buffer_reserve(value, old_bytes + 1);
    if (status == FASTER_OK) {
        if (old_bytes > 0) {
            memcpy(value->data, old->data, old_bytes);
        }
        ((char *)value->data)[old_bytes] = '+';
        value->size_bytes = old_bytes + 1;
    }
    return status;
}

/* As append_plus(), but for what becomes of the key. */
static enum faster_status remove_after_all(void *context, const struct faster_bytes *old,
                                           struct faster_buffer *value) {
    const enum faster_status status = append_plus(context, old, value);
    return status == FASTER_OK ? FASTER_REMOVE : status;
}

static enum faster_status run(const char *key, faster_merge_fn *merge, void (*meddle)(void),
                              unsigned meddle_max) {
    struct faster_op op = {.key = {key, strlen(key)}, .merge = merge, .context = rig.session};
    world.meddle = meddle;
    world.meddle_max = meddle_max;
    world.call_count = world.inside_count = 0;
    ASSERT_OK(faster_session_open(rig.store, &world.other));
    const enum faster_status status =
        finish(rig.session, &op, faster_session_rmw(rig.session, &op));
    faster_session_close(world.other);
    return status;
}

/* ---- what happens meanwhile ---- */

static void put_another(void) {
    ASSERT_OK(put("k", "another"));
}

static void put_longer(void) {
    ASSERT_OK(put("k", "one that has no room in the record that there is"));
}

static void put_and_put_back(void) {
    ASSERT_OK(put("k", "zzz"));
    ASSERT_OK(put("k", "abc"));
}

static void delete_it(void) {
    struct faster_op op = {.key = {"k", 1}};
    ASSERT_OK(faster_session_delete(rig.session, &op));
}

static void delete_and_put_back(void) {
    delete_it();
    ASSERT_OK(put("k", "abc"));
}

static void put_large(void) {
    ASSERT_OK(put_sized("k", "large", LARGE_BYTES));
}

static unsigned counter;

static void put_next(void) {
    char text[8];
    snprintf(text, sizeof text, "%u", ++counter % 100);
    ASSERT_OK(put("k", text));
}

static void put_another_and_evict(void) {
    put_another();
    evict();
}

struct outcome {
    unsigned call_count;
    const char *seen;  /* by the last call */
    const char *after; /* NULL: there is no such key */
};

#define LONGER "one that has no room in the record that there is"
#define LONGER_SEEN "one that has no"

/* An update in place that a blind write has overtaken comes before it: nobody looks for the new
 * record then. */
static const struct {
    const char *what;
    const char *before; /* NULL: the key does not exist */
    void (*meddle)(void);
    struct outcome in_place;
    struct outcome copied;
} MEANWHILE[] = {
    {"another value",
     "abcdefg",
     put_another,
     {2, "another", "another+"},
     {2, "another", "another+"}},
    {"another size",
     "abcdefghij",
     put_another,
     {2, "another", "another+"},
     {2, "another", "another+"}},
    {"a longer value", "abc", put_longer, {1, "abc", LONGER}, {2, LONGER_SEEN, LONGER "+"}},
    {"the same value again", "abc", put_and_put_back, {1, "abc", "abc+"}, {1, "abc", "abc+"}},
    {"deletion", "abc", delete_it, {1, "abc", NULL}, {2, "", "+"}},
    {"deletion and the same value",
     "abc",
     delete_and_put_back,
     {1, "abc", "abc"},
     {1, "abc", "abc+"}},
    {"the first value", NULL, put_another, {2, "another", "another+"}, {2, "another", "another+"}},
    {"still none", NULL, delete_it, {1, "", "+"}, {1, "", "+"}},
    {"a commit", "abc", commit, {1, "abc", "abc+"}, {1, "abc", "abc+"}},
    {"eviction", "abc", evict, {2, "abc", "abc+"}, {2, "abc", "abc+"}},
    {"another value, and eviction",
     "abc",
     put_another_and_evict,
     {2, "another", "another+"},
     {2, "another", "another+"}},
    {"a value in chunks", "abc", put_large, {1, "abc", "large"}, {2, "large", "large"}},
};

/* With a copy's room the first one takes the short way; a cut keeps it from that. */
static void meet(const char *before, bool is_copied) {
    delete_it();
    if (before != NULL) {
        ASSERT_OK(put("k", before));
    }
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(put("warm", "abc"));
        ASSERT_OK(run("warm", append_plus, NULL, 0));
    }
    if (is_copied) {
        commit();
    }
}

Test(rmw, result_is_stored_on_the_value_it_was_made_from) {
    for (size_t i = 0; i < 2 * sizeof MEANWHILE / sizeof MEANWHILE[0]; i++) {
        const char *what = MEANWHILE[i / 2].what;
        const bool is_copied = i % 2 == 1;
        const struct outcome *outcome =
            is_copied ? &MEANWHILE[i / 2].copied : &MEANWHILE[i / 2].in_place;
        meet(MEANWHILE[i / 2].before, is_copied);
        ASSERT_OK(run("k", append_plus, MEANWHILE[i / 2].meddle, 1));
        cr_assert(world.call_count == outcome->call_count, "%s, %d: %u calls", what, is_copied,
                  world.call_count);
        cr_assert(strcmp(world.last_seen, outcome->seen) == 0, "%s, %d: %s was seen", what,
                  is_copied, world.last_seen);
        cr_assert(world.inside_count == 0, "%s, %d: a merge inside the epoch", what, is_copied);
        want("k", outcome->after);
    }
}

Test(rmw, removal_is_of_the_value_that_was_seen) {
    ASSERT_OK(put("k", "abc"));
    ASSERT_OK(run("k", remove_after_all, put_another, 1));
    cr_assert_eq(world.call_count, 2);
    cr_assert_str_eq(world.last_seen, "another");
    want("k", NULL);
    ASSERT_OK(put("k", "abc"));
    ASSERT_STATUS(run("k", remove_after_all, delete_it, 1), FASTER_NOT_FOUND);
    want("k", NULL);
}

Test(rmw, value_in_chunks_that_is_replaced_is_merged_again) {
    ASSERT_OK(put_sized("k", "first", LARGE_BYTES));
    ASSERT_OK(run("k", append_plus, put_large, 1));
    cr_assert_eq(world.call_count, 2);
    cr_assert_str_eq(world.last_seen, "large");
    ASSERT_OK(run("k", append_plus, commit, 1)); /* its head stays the same */
    cr_assert_eq(world.call_count, 1);
}

/* Whose key is changed all the time gets its turn, and nobody comes before it then. */
Test(rmw, merge_that_is_always_late_is_called_with_the_version_held) {
    for (int removes = 0; removes < 2; removes++) {
        ASSERT_OK(put("k", "abc"));
        counter = 0;
        ASSERT_OK(run("k", removes ? remove_after_all : append_plus, put_next, FST_RMW_LOOKS_MAX));
        cr_assert_eq(world.call_count, FST_RMW_LOOKS_MAX + 1);
        cr_assert_eq(world.inside_count, 1);
        want("k", removes ? NULL : "8+");
    }
}

/* ---- calls ---- */

/* Nothing that an update may need, another record, its chunks, or a removal, needs one more. */
Test(rmw, merge_is_called_once_if_nobody_interferes) {
    ASSERT_OK(put("k", "1234567"));
    for (int i = 0; i < 40; i++) { /* in place, and in new records as it grows */
        ASSERT_OK(run("k", append_plus, NULL, 0));
        cr_assert_eq(world.call_count, 1);
    }
    ASSERT_OK(put_sized("k", "large", LARGE_BYTES));
    ASSERT_OK(run("k", append_plus, NULL, 0));
    cr_assert_eq(world.call_count, 1);
    ASSERT_OK(run("k", remove_after_all, NULL, 0));
    cr_assert_eq(world.call_count, 1);
    want("k", NULL);
    ASSERT_OK(put("k", "x"));
    evict();
    ASSERT_OK(run("k", append_plus, NULL, 0));
    cr_assert_eq(world.call_count, 1);
    want("k", "x+");
}

Test(rmw, batch_calls_each_merge_twice_at_most_and_outside) {
    static const char *const KEYS[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct faster_op ops[8];
    for (int round = 1; round <= 12; round++) {
        world.call_count = world.inside_count = 0;
        world.meddle_max = 0;
        for (size_t i = 0; i < 8; i++) {
            ops[i] = (struct faster_op){.key = {KEYS[i], 1},
                                        .merge = append_plus,
                                        .context = rig.session,
                                        .kind = FASTER_OP_RMW};
        }
        ASSERT_OK(faster_session_batch(rig.session, ops, 8));
        /* One whose result has no room is kept for the long way only if it is the group's last. */
        cr_assert_leq(world.call_count, 16);
        cr_assert_eq(world.inside_count, 0);
        for (size_t i = 0; i < 8; i++) {
            ASSERT_OK(ops[i].status);
            cr_assert_eq(strlen(get(KEYS[i])), (size_t)round);
        }
    }
}

/* ---- others, while a merge waits ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_merging;
    bool may_end;
    struct faster_session *session;
    char seen[16];
    enum faster_status committed;
} meeting = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void say(bool *what) {
    pthread_mutex_lock(&meeting.mutex);
    *what = true;
    pthread_cond_broadcast(&meeting.changed);
    pthread_mutex_unlock(&meeting.mutex);
}

/* False: nobody said it. */
static bool wait_for(const bool *what) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&meeting.mutex);
    int failure = 0;
    while (!*what && failure == 0) {
        failure = pthread_cond_timedwait(&meeting.changed, &meeting.mutex, &until);
    }
    const bool is_said = *what;
    pthread_mutex_unlock(&meeting.mutex);
    return is_said;
}

static void *read_and_commit(void *unused) {
    char text[16] = {0};
    struct faster_snapshot now;
    struct faster_buffer result = {.data = text, .capacity_bytes = sizeof text - 1};
    struct faster_op op = {.key = {"k", 1}, .result = &result};
    (void)unused;
    if (!wait_for(&meeting.is_merging) ||
        faster_snapshot_open_newest(meeting.session, &now) != FASTER_OK) {
        return NULL;
    }
    if (faster_snapshot_read(&now, &op) == FASTER_OK) {
        memcpy(meeting.seen, text, sizeof text);
    }
    faster_snapshot_close(&now);
    meeting.committed = faster_session_commit(meeting.session);
    say(&meeting.may_end);
    return NULL;
}

static enum faster_status append_and_wait(void *context, const struct faster_bytes *old,
                                          struct faster_buffer *value) {
    bool *has_waited = context;
    say(&meeting.is_merging);
    *has_waited = wait_for(&meeting.may_end);
    return faster_buffer_assign(value, old->size_bytes == 3 ? "abc+" : "?", 4);
}

/* On the short way and on the long one. */
Test(rmw, merge_that_waits_holds_up_neither_reader_nor_commit) {
    struct faster_op first = {.key = {"other", 5}, .merge = append_plus, .context = rig.session};
    ASSERT_OK(faster_session_open(rig.store, &meeting.session));
    for (int is_short = 0; is_short < 2; is_short++) {
        bool has_waited = false;
        pthread_t helper;
        struct faster_op op = {.key = {"k", 1}, .merge = append_and_wait, .context = &has_waited};
        ASSERT_OK(put("k", "abc"));
        meeting.is_merging = meeting.may_end = false;
        meeting.committed = FASTER_FAILED;
        memset(meeting.seen, 0, sizeof meeting.seen);
        cr_assert_eq(pthread_create(&helper, NULL, read_and_commit, NULL), 0);
        ASSERT_OK(faster_session_rmw(rig.session, &op));
        cr_assert_eq(pthread_join(helper, NULL), 0);
        cr_assert(has_waited, "the others could not go on");
        cr_assert_str_eq(meeting.seen, "abc");
        ASSERT_OK(meeting.committed);
        want("k", "abc+");
        ASSERT_OK(faster_session_rmw(rig.session, &first)); /* there is room for copies now */
    }
    faster_session_close(meeting.session);
}

/* ---- in a transaction ---- */

static enum faster_status append_unlocked(void *context, const struct faster_bytes *old,
                                          struct faster_buffer *value) {
    struct faster_session *session = context;
    struct faster_store *store = session->store;
    cr_assert(!fst_epoch_is_inside(session->slot));
    cr_assert(store->env->mutex_try_lock(store->env, store->lock), "with the writer role");
    store->env->mutex_unlock(store->env, store->lock);
    return append_plus(context, old, value);
}

Test(rmw, merge_in_a_transaction_runs_without_the_writer_role, .init = NULL, .fini = NULL) {
    struct rig mine;
    rig_start(&mine, 4096);
    rig_commit_put(&mine, "old", 7, 0);
    struct faster_txn *txn = rig_begin(&mine);
    ASSERT_OK(rig_put(txn, "new", 8, 0));
    static const char *const KEYS[] = {"old", "new", "new", "none"};
    for (size_t i = 0; i < 4; i++) {
        struct faster_op op = {
            .key = {KEYS[i], strlen(KEYS[i])}, .merge = append_unlocked, .context = mine.session};
        world.call_count = 0;
        ASSERT_OK(faster_txn_rmw(txn, &op));
        cr_assert_eq(world.call_count, 1);
    }
    rig_commit(&mine, txn);
    cr_assert_eq(rig_get(&mine, "old"), 7);
    cr_assert_eq(rig_get(&mine, "new"), 8);
    rig_finish(&mine);
}
