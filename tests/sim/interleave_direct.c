/* interleave_direct.c - a whole direct store under a controlled scheduler (P9).
 *
 * The engine is built on the scheduler's atomics, so that a fibre may lose the processor at
 * each access to a shared word: in the guard, the epoch, the index, the log, the cut. The store
 * is in memory; what does not fit goes to its device all the same. Two or three fibres make up
 * to four operations each on one or two keys. Every schedule with at most two preemptions is
 * run (or as many as fit), then random ones; support/sched.h tells how one is replayed.
 *
 * Invariants: each schedule's operations, with a last read of each key, are linearizable
 * (support/linearizability.h); a value is never torn; what a fibre wrote before its commit
 * is of a version that the commit covers, and no record of a version lies behind its end.
 */
#include "arena_store.h"
#include "linearizability.h"
#include "shapes/format_codec.h"
#include "store/chain.h"
#include "store/log_cursor.h"
#include "structures/hybrid_log_internal.h"

#include <stdio.h>

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYS 4u
#define OPS_MAX 32u
#define SMALL_BYTES 20u /* not whole words beside a key of one byte */
#define LARGE_BYTES 60u
#define FILLER_BYTES 4000u

enum fill { FILL_NOT, FILL_LARGE, FILL_PAGE, FILL_MEMORY, FILL_COMMITTED };

static struct {
    struct faster_store *store;
    struct faster_session *sessions[SCHED_FIBRES_MAX];
    struct faster_snapshot views[SCHED_FIBRES_MAX];
    struct lin_op ops[OPS_MAX];
    uint32_t op_count;
    uint64_t clock;
    uint64_t next_value;
    char oldest[2]; /* with FILL_MEMORY: the key of the oldest record in memory */
    enum fill fill; /* of what was saved */
    bool has_saved;
} world;

/* ---- values: a number, again and again ---- */

static size_t make_value(uint64_t number, size_t count, unsigned char *bytes) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(number + (i == 0 ? 0 : 100));
    }
    return count;
}

static uint64_t number_of(const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    sched_expect(count == SMALL_BYTES || count == LARGE_BYTES, "a value of a wrong size");
    for (size_t i = 1; i < count; i++) {
        sched_expect(at[i] == (unsigned char)(at[0] + 100), "a torn value");
    }
    return count == 0 ? 99 : at[0];
}

/* ---- operations ---- */

struct context {
    uint64_t seen;
    uint64_t written;
    size_t count;
};

static enum faster_status merge(void *context, const struct faster_bytes *old,
                                struct faster_buffer *value) {
    struct context *merging = context;
    unsigned char bytes[LARGE_BYTES];
    sched_point(); /* it runs outside, so anything may happen meanwhile */
    merging->seen = old == NULL ? LIN_NONE : number_of(old->data, old->size_bytes);
    if (merging->written == LIN_NONE) {
        return FASTER_REMOVE;
    }
    return faster_buffer_assign(value, bytes, make_value(merging->written, merging->count, bytes));
}

static enum faster_status call(uint32_t fibre, struct faster_op *op, enum lin_kind kind) {
    struct faster_session *session = world.sessions[fibre];
    switch (kind) {
    case LIN_READ:
        return faster_snapshot_read(&world.views[fibre], op);
    case LIN_UPSERT:
        return faster_session_upsert(session, op);
    case LIN_DELETE:
        return faster_session_delete(session, op);
    case LIN_INSERT:
        return faster_session_insert(session, op);
    case LIN_CAS:
        return faster_session_compare_and_set(session, op);
    case LIN_RMW:
        return faster_session_rmw(session, op);
    }
    return FASTER_MISUSE;
}

/* Carries out one operation and notes what came of it. Returns what a read or RMW saw. */
static uint64_t operate(uint32_t fibre, enum lin_kind kind, char key, size_t count,
                        uint64_t expected) {
    unsigned char bytes[LARGE_BYTES];
    unsigned char expected_bytes[LARGE_BYTES];
    _Alignas(8) unsigned char room[4 * LARGE_BYTES];
    struct lin_op *what = &world.ops[world.op_count++];
    const bool removes = kind == LIN_DELETE || (kind == LIN_RMW && count == 0);
    struct context context = {.written = removes ? LIN_NONE : ++world.next_value, .count = count};
    struct faster_buffer result = {.env = &arena_env};
    if (world.op_count % 2 == 0) { /* with room, which opens a read's shorter way */
        result.data = room;
        result.capacity_bytes = sizeof room;
    }
    struct faster_op op = {.key = {&key, 1},
                           .value = {bytes, make_value(context.written, count, bytes)},
                           .merge = merge,
                           .context = &context,
                           .result = kind == LIN_READ ? &result : NULL};
    /* The last value written here has the size that the first ones have. */
    op.expected =
        (struct faster_bytes){expected_bytes, make_value(expected, SMALL_BYTES, expected_bytes)};
    *what = (struct lin_op){.key = (uint64_t)key,
                            .kind = kind,
                            .value = context.written,
                            .expected = expected,
                            .call = ++world.clock};
    enum faster_status status = call(fibre, &op, kind);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(world.sessions[fibre], true);
        status = op.status;
    }
    sched_expect(status == FASTER_OK || status == FASTER_EXISTS || status == FASTER_NOT_FOUND,
                 "an operation failed");
    what->outcome = status == FASTER_OK       ? LIN_OK
                    : status == FASTER_EXISTS ? LIN_EXISTS
                                              : LIN_NOT_FOUND;
    what->seen = context.seen;
    if (kind == LIN_READ) {
        what->seen = status == FASTER_OK ? number_of(result.data, result.size_bytes) : LIN_NONE;
    }
    what->end = ++world.clock;
    return what->seen;
}

static uint64_t read_key(uint32_t fibre, char key) {
    return operate(fibre, LIN_READ, key, 0, 0);
}
static void upsert(uint32_t fibre, char key, size_t count) {
    (void)operate(fibre, LIN_UPSERT, key, count, 0);
}
static void rmw(uint32_t fibre, char key, size_t count) {
    (void)operate(fibre, LIN_RMW, key, count, 0);
}
/* The value seen is the one that is removed. */
static void take(uint32_t fibre, char key) {
    (void)operate(fibre, LIN_RMW, key, 0, 0);
}

/* The version of the record that holds a key's newest value. */
static uint64_t version_of(uint32_t fibre, char key) {
    struct faster_bytes name = {&key, 1};
    struct fst_index_slot slot;
    struct fst_found found = {0};
    struct faster_store *store = world.store;
    uint64_t version = 0;
    fst_epoch_enter(store->epoch, world.sessions[fibre]->slot);
    if (fst_hash_index_find(store->index, fst_key_hash(store, &name), &slot) &&
        fst_chain_walk(store, fst_index_slot_addr(&slot), FST_UPPER_ALL, 0, &name, &found) ==
            FST_WALK_FOUND) {
        version = fst_header_version(found.header);
    }
    fst_epoch_leave(store->epoch, world.sessions[fibre]->slot);
    return version;
}

/* What this fibre alone has written to `key` is covered. */
static void commit(uint32_t fibre, char key) {
    uint64_t version = version_of(fibre, key);
    enum faster_status status = faster_session_commit(world.sessions[fibre]);
    sched_expect(status == FASTER_OK, "a commit failed");
    sched_expect(version <= fst_load_acquire_u64(&world.store->committed_number),
                 "a commit left out what was done before it");
}

/* ---- before and after ---- */

static void fill_up(enum fill fill) {
    static unsigned char filler[FILLER_BYTES];
    char key[2] = {'f', 0};
    uint32_t count = fill == FILL_PAGE ? 3 : fill == FILL_MEMORY ? 400 : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct faster_op op = {.key = {key, 2}, .value = {filler, sizeof filler}};
        key[1] = (char)(i & 0x7f);
        if (faster_session_upsert(world.sessions[0], &op) != FASTER_OK) {
            abort();
        }
    }
    if (fill == FILL_COMMITTED && faster_session_commit(world.sessions[0]) != FASTER_OK) {
        abort();
    }
}

/* The next page that is entered takes its frame. */
static void find_oldest(void) {
    struct faster_store *store = world.store;
    uint64_t lowest = UINT64_MAX;
    for (uint32_t i = 0; i < 128; i++) {
        const char key[2] = {'f', (char)i};
        const struct faster_bytes name = {key, 2};
        struct fst_index_slot slot;
        if (fst_hash_index_find(store->index, fst_key_hash(store, &name), &slot) &&
            fst_index_slot_addr(&slot).raw >= fst_log_head(store->log).raw &&
            fst_index_slot_addr(&slot).raw < lowest) {
            lowest = fst_index_slot_addr(&slot).raw;
            memcpy(world.oldest, key, 2);
        }
    }
}

/* A store in which key 'a' has a value, and what `fill` says has been done since. */
static void make_store(enum fill fill) {
    memset(&world, 0, sizeof world);
    world.store = arena_open_store(FASTER_WRITES_DIRECT);
    for (uint32_t i = 0; i < SCHED_FIBRES_MAX; i++) {
        if (faster_session_open(world.store, &world.sessions[i]) != FASTER_OK ||
            faster_snapshot_open_newest(world.sessions[i], &world.views[i]) != FASTER_OK) {
            abort();
        }
    }
    upsert(0, 'a', fill == FILL_LARGE ? LARGE_BYTES : SMALL_BYTES);
    fill_up(fill);
    find_oldest();
    world.fill = fill;
    world.has_saved = true;
    arena_save();
}

static void prepare(enum fill fill) {
    static struct {
        uint32_t op_count;
        uint64_t clock;
        uint64_t next_value;
        struct lin_op first;
    } saved;
    if (!world.has_saved || world.fill != fill) {
        make_store(fill);
        saved.op_count = world.op_count;
        saved.clock = world.clock;
        saved.next_value = world.next_value;
        saved.first = world.ops[0];
    }
    arena_restore();
    world.op_count = saved.op_count;
    world.clock = saved.clock;
    world.next_value = saved.next_value;
    world.ops[0] = saved.first;
}

static void prepare_new(void) {
    prepare(FILL_NOT);
}
static void prepare_large(void) {
    prepare(FILL_LARGE);
}
static void prepare_page_end(void) {
    prepare(FILL_PAGE);
}
static void prepare_full_memory(void) {
    prepare(FILL_MEMORY);
}
static void prepare_committed(void) {
    prepare(FILL_COMMITTED);
}

static void finish(void) {
    uint64_t bad_key;
    for (char key = 'a'; key < 'a' + (char)KEYS; key++) {
        (void)read_key(3, key);
    }
    sched_expect(lin_check(world.ops, world.op_count, &bad_key) == LIN_EXPLAINED,
                 "the operations have no order");
    sched_expect(!fst_epoch_has_actions(world.store->epoch), "an action was left behind");
}

/* What comes after a version's control record is of a later one. */
static void finish_cut(void) {
    struct faster_store *store = world.store;
    struct fst_log_cursor cursor;
    struct fst_log_item item;
    uint64_t ended = 0;
    enum faster_status status = fst_log_cursor_init(
        &cursor, world.sessions[3], fst_log_begin(store->log), fst_log_tail(store->log), false);
    while (status == FASTER_OK && (status = fst_log_cursor_next(&cursor, &item)) == FASTER_OK) {
        struct fst_cut cut;
        const void *sessions;
        if (fst_header_kind(item.header) == FST_KIND_CONTROL &&
            fst_cut_decode(fst_log_item_value(&item), item.shape.value_bytes, &cut, &sessions)) {
            ended = cut.version;
        } else if (fst_header_kind(item.header) == FST_KIND_DATA) {
            sched_expect(fst_header_version(item.header) > ended,
                         "a record of a version behind its end");
        }
    }
    sched_expect(status == FASTER_END, "the log cannot be read");
    fst_log_cursor_finish(&cursor);
    finish();
}

/* ---- scenarios ---- */

static void run_in_place_and_read(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'a', SMALL_BYTES);
    } else {
        (void)read_key(fibre, 'a');
        (void)read_key(fibre, 'a');
    }
}

/* Shorter and longer values in one record's room. */
static void run_sizes(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'a', LARGE_BYTES);
        upsert(0, 'a', SMALL_BYTES);
    } else {
        (void)read_key(fibre, 'a');
        rmw(fibre, 'a', LARGE_BYTES);
    }
}

static void run_updates(uint32_t fibre) {
    rmw(fibre, 'a', SMALL_BYTES);
}

/* In place, against a copy that seals. */
static void run_seal(uint32_t fibre) {
    rmw(fibre, 'a', fibre == 0 ? LARGE_BYTES : SMALL_BYTES);
}

static void run_seal_and_upsert(uint32_t fibre) {
    if (fibre == 0) {
        rmw(fibre, 'a', LARGE_BYTES);
    } else {
        upsert(fibre, 'a', SMALL_BYTES);
        (void)read_key(fibre, 'a');
    }
}

static void run_conditions(uint32_t fibre) {
    uint64_t seen = read_key(fibre, 'a');
    (void)operate(fibre, LIN_CAS, 'a', SMALL_BYTES, seen);
    (void)operate(fibre, LIN_INSERT, 'b', SMALL_BYTES, 0);
}

static void run_delete(uint32_t fibre) {
    if (fibre == 0) {
        (void)operate(0, LIN_DELETE, 'a', 0, 0);
        (void)operate(0, LIN_INSERT, 'a', SMALL_BYTES, 0);
    } else {
        rmw(fibre, 'a', SMALL_BYTES);
    }
}

/* The head of a batch's key is looked up before the group is done one by one. */
static void update_as_batch(uint32_t fibre, char first, char second) {
    const char keys[2] = {first, second};
    struct context contexts[2];
    struct faster_op ops[2];
    for (uint32_t i = 0; i < 2; i++) {
        contexts[i] = (struct context){.written = ++world.next_value, .count = SMALL_BYTES};
        ops[i] = (struct faster_op){.kind = (int32_t)FASTER_OP_RMW,
                                    .key = {&keys[i], 1},
                                    .merge = merge,
                                    .context = &contexts[i]};
    }
    const uint64_t called = ++world.clock;
    struct lin_op *whats = &world.ops[world.op_count];
    world.op_count += 2;
    enum faster_status status = faster_session_batch(world.sessions[fibre], ops, 2);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(world.sessions[fibre], true);
        status = FASTER_OK;
    }
    sched_expect(status == FASTER_OK, "a batch failed");
    for (uint32_t i = 0; i < 2; i++) {
        sched_expect(ops[i].status == FASTER_OK, "an operation of a batch failed");
        whats[i] = (struct lin_op){.key = (uint64_t)keys[i],
                                   .kind = LIN_RMW,
                                   .value = contexts[i].written,
                                   .seen = contexts[i].seen,
                                   .call = called,
                                   .end = ++world.clock};
    }
}

static void run_batch(uint32_t fibre) {
    if (fibre == 0) {
        update_as_batch(0, 'b', 'a');
    } else {
        upsert(fibre, 'a', LARGE_BYTES);
        rmw(fibre, 'a', SMALL_BYTES);
    }
}

static void run_two_batches(uint32_t fibre) {
    update_as_batch(fibre, fibre == 0 ? 'a' : 'b', fibre == 0 ? 'b' : 'a');
}

/* Two remove, of whom each value can serve one only. */
static void run_removals(uint32_t fibre) {
    if (fibre == 0) {
        take(0, 'a');
        rmw(0, 'a', SMALL_BYTES);
    } else {
        rmw(fibre, 'a', SMALL_BYTES);
        take(fibre, 'a');
    }
}

/* What comes while a merge runs. The first RMW makes room for copies: the second one takes the
 * short way. */
static void run_merge_and_upserts(uint32_t fibre) {
    if (fibre == 0) {
        rmw(0, 'a', SMALL_BYTES);
        rmw(0, 'a', SMALL_BYTES);
    } else {
        upsert(fibre, 'a', SMALL_BYTES);
        upsert(fibre, 'a', LARGE_BYTES);
    }
}

static void run_merge_and_delete(uint32_t fibre) {
    if (fibre == 0) {
        rmw(0, 'a', SMALL_BYTES);
        rmw(0, 'a', SMALL_BYTES);
    } else {
        (void)operate(fibre, LIN_DELETE, 'a', 0, 0);
        (void)read_key(fibre, 'a');
    }
}

static void run_merge_and_removal(uint32_t fibre) {
    if (fibre == 0) {
        rmw(0, 'a', SMALL_BYTES);
        rmw(0, 'a', SMALL_BYTES);
    } else {
        take(fibre, 'a');
        rmw(fibre, 'a', LARGE_BYTES);
    }
}

/* Of a key that nobody else writes: the record is of the version in which the update was made. */
static void rmw_alone(uint32_t fibre, char key) {
    rmw(fibre, key, SMALL_BYTES);
    sched_expect(version_of(fibre, key) == (world.sessions[fibre]->version & 0xff),
                 "a record of an earlier version was changed");
}

static void run_merge_and_cut(uint32_t fibre) {
    if (fibre == 0) {
        rmw_alone(0, 'a');
        rmw_alone(0, 'a');
    } else {
        upsert(1, 'd', SMALL_BYTES);
        commit(1, 'd');
        (void)read_key(1, 'a');
    }
}

/* One of them is late again and again, and then is the one that holds the version. */
static void run_late_merges(uint32_t fibre) {
    rmw(fibre, 'a', SMALL_BYTES);
    rmw(fibre, 'a', fibre == 2 ? LARGE_BYTES : SMALL_BYTES);
}

static void run_three(uint32_t fibre) {
    if (fibre == 0) {
        rmw(0, 'a', LARGE_BYTES);
        (void)operate(0, LIN_DELETE, 'a', 0, 0);
    } else if (fibre == 1) {
        upsert(1, 'a', SMALL_BYTES);
        rmw(1, 'a', SMALL_BYTES);
    } else {
        (void)read_key(2, 'a');
        (void)operate(2, LIN_INSERT, 'a', SMALL_BYTES, 0);
        (void)read_key(2, 'a');
    }
}

/* The page is closed, and its oldest fellows frozen, while records are written. */
static void fill_pages(uint32_t fibre) {
    static unsigned char filler[FILLER_BYTES * 3];
    struct faster_op op = {.key = {"g", 1}, .value = {filler, sizeof filler}};
    memset(filler, 0x55, sizeof filler); /* unlike what lies there */
    enum faster_status status = faster_session_upsert(world.sessions[fibre], &op);
    sched_expect(status == FASTER_OK, "no room");
}

static void run_page_end(uint32_t fibre) {
    if (fibre == 0) {
        fill_pages(0);
    } else {
        upsert(fibre, 'a', LARGE_BYTES);
        rmw(fibre, 'a', SMALL_BYTES);
    }
}

/* 'a' is on disk, 'b' on its way: frames are written and reused under readers. */
static void run_eviction(uint32_t fibre) {
    if (fibre == 0) {
        fill_pages(0);
        fill_pages(0);
    } else {
        (void)read_key(fibre, 'a');
        rmw(fibre, 'a', SMALL_BYTES);
    }
}

/* The oldest page in memory is given up while its last reader may still be in it. */
static void run_last_reader(uint32_t fibre) {
    static const unsigned char filler[FILLER_BYTES];
    if (fibre == 1) {
        fill_pages(1);
        fill_pages(1);
        return;
    }
    struct faster_buffer result = {.env = &arena_env};
    struct faster_op op = {.key = {world.oldest, 2}, .result = &result};
    enum faster_status status = faster_snapshot_read(&world.views[fibre], &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(world.sessions[fibre], true);
        status = op.status;
    }
    sched_expect(status == FASTER_OK && result.size_bytes == FILLER_BYTES &&
                     memcmp(result.data, filler, FILLER_BYTES) == 0,
                 "a reader met what came after it");
    faster_buffer_finish(&result);
}

/* A scan freezes all there is. */
static void run_freeze(uint32_t fibre) {
    if (fibre == 0) {
        fst_log_freeze(world.store->log, fst_log_tail(world.store->log));
        (void)read_key(0, 'a');
    } else {
        rmw(fibre, 'a', SMALL_BYTES);
        (void)read_key(fibre, 'a');
    }
}

/* The writer came before the boundary moved, the other one after it: the size that it saw may be
 * older than the bytes. */
static void freeze_meanwhile(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'a', SMALL_BYTES);
    } else {
        fst_log_raise_read_only(world.store->log, fst_log_tail(world.store->log).raw);
    }
}

static void run_freeze_and_read(uint32_t fibre) {
    if (fibre == 2) {
        (void)read_key(2, 'a');
    } else {
        freeze_meanwhile(fibre);
    }
}

static void run_freeze_and_update(uint32_t fibre) {
    if (fibre == 2) {
        rmw(2, 'a', LARGE_BYTES);
    } else {
        freeze_meanwhile(fibre);
    }
}

static void run_cut(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'b', SMALL_BYTES);
        commit(0, 'b');
    } else {
        rmw(1, 'a', SMALL_BYTES);
        rmw(1, 'a', SMALL_BYTES);
    }
}

/* A version must not end before the operation in the midst of which it is to. */
static void run_late_writer(uint32_t fibre) {
    if (fibre == 0) {
        rmw(0, 'a', LARGE_BYTES);
    } else {
        upsert(1, 'd', SMALL_BYTES);
        commit(1, 'd');
    }
}

static void run_batch_and_cut(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'c', SMALL_BYTES);
        commit(0, 'c');
        rmw(0, 'a', SMALL_BYTES);
    } else {
        update_as_batch(1, 'b', 'a');
    }
}

static void run_two_cuts(uint32_t fibre) {
    char own = fibre == 0 ? 'b' : 'c';
    upsert(fibre, own, SMALL_BYTES);
    commit(fibre, own);
}

static void run_cut_and_updates(uint32_t fibre) {
    if (fibre == 0) {
        commit(0, 'd');
        rmw(0, 'a', SMALL_BYTES);
    } else {
        rmw(fibre, 'a', fibre == 1 ? SMALL_BYTES : LARGE_BYTES);
    }
}

/* A record is complete before the index leads to it: whenever a flush comes, what it writes of the
 * record is what counts. */
static void run_flush_and_publish(uint32_t fibre) {
    if (fibre == 0) {
        upsert(0, 'b', SMALL_BYTES);
        rmw(0, 'a', LARGE_BYTES);
    } else {
        enum faster_status status = fst_log_sync(world.store->log, fst_log_tail(world.store->log));
        sched_expect(status == FASTER_OK, "a sync failed");
    }
}

/* Of a key's newest record, as it stands on the device. */
static void expect_valid_on_device(char key) {
    const struct faster_store *store = world.store;
    struct faster_bytes name = {&key, 1};
    struct fst_index_slot slot;
    struct fst_record_shape shape;
    unsigned char bytes[128];
    size_t done;
    sched_expect(fst_hash_index_find(store->index, fst_key_hash(store, &name), &slot),
                 "a key without an entry");
    const fst_addr addr = fst_index_slot_addr(&slot);
    sched_expect(addr.raw + sizeof bytes <= fst_log_durable(store->log).raw, "it was not written");
    enum faster_status status =
        fst_device_run(store->device, store->queue, FST_IO_READ, addr, bytes, sizeof bytes, &done);
    sched_expect(status == FASTER_OK &&
                     fst_record_is_intact(bytes, done, addr, store->checksum_seed, &shape),
                 "no record on the device");
    sched_expect((fst_raw_header(bytes) & FST_HEADER_INVALID) == 0,
                 "a published record is invalid on the device");
}

static void finish_on_device(void) {
    fst_addr sealed;
    sched_expect(fst_log_seal_tail(world.store->log, &sealed) == FASTER_OK &&
                     fst_log_sync(world.store->log, sealed) == FASTER_OK,
                 "a sync failed");
    expect_valid_on_device('a');
    expect_valid_on_device('b');
    finish();
}

static const struct sched_scenario scenarios[] = {
    {"no_half_of_two_values", 2, prepare_new, run_in_place_and_read, finish},
    {"sizes", 2, prepare_new, run_sizes, finish},
    {"two_updates_lose_nothing", 2, prepare_new, run_updates, finish},
    {"three_updates_lose_nothing", 3, prepare_new, run_updates, finish},
    {"seal", 2, prepare_new, run_seal, finish},
    {"seal_and_upsert", 2, prepare_new, run_seal_and_upsert, finish},
    {"copies_of_what_is_frozen", 2, prepare_committed, run_seal_and_upsert, finish},
    {"one_wins_each_condition", 2, prepare_new, run_conditions, finish},
    {"delete", 2, prepare_new, run_delete, finish},
    {"removals", 2, prepare_new, run_removals, finish},
    {"removals_from_disk", 2, prepare_full_memory, run_removals, finish},
    {"batch", 2, prepare_new, run_batch, finish},
    {"batch_of_what_is_frozen", 2, prepare_committed, run_batch, finish},
    {"two_batches", 2, prepare_new, run_two_batches, finish},
    {"batch_and_cut", 2, prepare_new, run_batch_and_cut, finish},
    {"three", 3, prepare_new, run_three, finish},
    {"merge_and_upserts", 2, prepare_new, run_merge_and_upserts, finish},
    {"merge_and_delete", 2, prepare_new, run_merge_and_delete, finish},
    {"merge_and_removal", 2, prepare_new, run_merge_and_removal, finish},
    {"merge_and_cut", 2, prepare_new, run_merge_and_cut, finish_cut},
    {"late_merges", 3, prepare_new, run_late_merges, finish},
    {"page_ends_under_writers", 2, prepare_page_end, run_page_end, finish},
    {"page_is_reused_under_readers", 2, prepare_full_memory, run_eviction, finish},
    {"page_is_reused_under_its_last_reader", 2, prepare_full_memory, run_last_reader, finish},
    {"record_is_whole_when_flushed", 2, prepare_new, run_flush_and_publish, finish_on_device},
    {"freeze", 2, prepare_new, run_freeze, finish},
    {"freeze_and_read", 3, prepare_large, run_freeze_and_read, finish},
    {"freeze_and_update", 3, prepare_large, run_freeze_and_update, finish},
    {"cut", 2, prepare_new, run_cut, finish_cut},
    {"version_ends_after_its_writers", 2, prepare_new, run_late_writer, finish_cut},
    {"two_cuts", 2, prepare_committed, run_two_cuts, finish_cut},
    {"cut_and_updates", 3, prepare_new, run_cut_and_updates, finish_cut},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, ARRAY_COUNT(scenarios));
}
