/* interleave_copy.c - copying the hash index beside growth, under a controlled scheduler.
 *
 * One fibre reads the index bucket by bucket, in stays of a few buckets; another doubles the
 * table; a third publishes records of both halves. Schedules as in interleave_growth.c.
 *
 * Invariants: what was read, loaded into an empty index of the same or of a larger size, leads
 * from each key to every record that was published before the reading began; no entry covers a
 * bucket that the table did not have.
 */
#define FST_ATOMIC_SHIM "../../tests/support/sched_atomic.h"
#include "../../engine/structures/hash_index.c"
#include "../../engine/structures/hash_index_copy.c"
#include "../../engine/structures/hash_index_grow.c"
#include "../../engine/structures/hash_index_table.c"

#include "index_world.h"

#define COPIED_MAX 128u
#define STAY_BUCKETS 12u /* so that one stay reaches behind the low buckets that are used */
#define DOUBLINGS_MAX 2u
#define POOL 16u

static struct fst_index_copied entries[COPIED_MAX];
static uint32_t entry_count;

/* ---- what fibres do ---- */

static void must_append(uint64_t hash) {
    sched_expect(append_record(hash) != 0, "FULL, although there was room");
}

static void note_copied(void *context, const struct fst_index_copied *copied) {
    (void)context;
    sched_expect(entry_count < COPIED_MAX, "too many entries");
    entries[entry_count++] = *copied;
}

static void copy(uint32_t fibre) {
    struct fst_index_reader reader = {.index = world.index};
    bool goes_on = true;

    for (uint32_t i = 0; i < world.record_count; i++) {
        world.records[i].is_wanted = world.records[i].is_published;
    }
    while (goes_on) {
        enter(fibre);
        goes_on = fst_index_read(&reader, STAY_BUCKETS, note_copied, NULL);
        leave(fibre);
    }
}

static void append_in_stay(uint32_t fibre, uint64_t hash) {
    enter(fibre);
    must_append(hash);
    leave(fibre);
}

/* ---- before and after ---- */

static void prepare(void) {
    prepare_world(DOUBLINGS_MAX, POOL);
    entry_count = 0;
    must_append(hash_of(0, 0));
    must_append(hash_of(0, HIGH));
    must_append(hash_of(1, HIGH));
    must_append(hash_of(2, 0));
}

static void prepare_on_disk(void) {
    prepare();
    world.on_disk_below = address_of(2);
}

static void expect_in(struct fst_hash_index *index, uint64_t hash, uint64_t address) {
    struct fst_index_slot slot;
    uint64_t at;

    sched_expect(fst_hash_index_find(index, hash, &slot), "a key is not in the copy");
    at = fst_index_slot_addr(&slot).raw;
    while (at > address) {
        at = record_at(at)->previous;
    }
    sched_expect(at == address, "a record is not in its chain of the copy");
}

static void check_loaded(uint32_t bits) {
    struct fst_hash_index *loaded = make_index(bits, DOUBLINGS_MAX, POOL, NULL);

    for (uint32_t i = entry_count; i > 0; i--) {
        const struct fst_index_copied *copied = &entries[i - 1];

        sched_expect(copied->bucket >> copied->bits == 0, "a bucket beyond the table");
        sched_expect(fst_index_load(loaded, copied) == FASTER_OK, "FULL, although there was room");
    }
    for (uint32_t i = 0; i < world.record_count; i++) {
        if (world.records[i].is_wanted) {
            expect_in(loaded, world.records[i].hash, address_of(i));
        }
    }
    fst_hash_index_destroy(loaded);
}

static void finish(void) {
    sched_expect(fst_hash_index_bits(world.index) > BITS, "nothing has grown");
    for (uint32_t bits = BITS; bits <= BITS + DOUBLINGS_MAX; bits++) {
        if (bits >= fst_hash_index_bits(world.index)) {
            check_loaded(bits);
        }
    }
    close_world();
}

/* ---- scenarios ---- */

static void run_growth(uint32_t fibre) {
    if (fibre == 0) {
        copy(0);
    } else {
        (void)!fst_hash_index_grow(world.index, world.slots[fibre]);
    }
}

static void run_growth_and_writer(uint32_t fibre) {
    if (fibre < 2) {
        run_growth(fibre);
    } else {
        append_in_stay(2, hash_of(0, HIGH));
        append_in_stay(2, hash_of(0, 0));
    }
}

static void run_two_growths(uint32_t fibre) {
    run_growth(fibre);
    if (fibre == 1) {
        (void)!fst_hash_index_grow(world.index, world.slots[1]);
    }
}

/* After a growth within one stay of the reader the newest record is of the low half, in a chain
 * without those of the high one. Whoever grows does not yield in between, so that it happens with
 * one preemption. */
static void run_growth_then_write(uint32_t fibre) {
    if (fibre == 0) {
        copy(0);
        return;
    }
    enter(1);
    (void)!fst_index_start_growth(world.index);
    fst_index_help(world.index, fst_load_acquire_u64(&world.index->level));
    must_append(hash_of(0, 0));
    leave(1);
}

static const struct sched_scenario scenarios[] = {
    {"growth", 2, prepare, run_growth, finish},
    {"growth_and_writer", 3, prepare, run_growth_and_writer, finish},
    {"growth_then_write", 2, prepare, run_growth_then_write, finish},
    {"two_growths", 2, prepare, run_two_growths, finish},
    {"on_disk", 3, prepare_on_disk, run_growth_and_writer, finish},
};

int main(int argument_count, char **arguments) {
    return sched_main(argument_count, arguments, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
