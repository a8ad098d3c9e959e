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

#include "support/sched.h"
#include "support/sched_env.h"

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define HIGH BUCKET_COUNT /* the hash's bit of the first growth */
#define RECORDS_MAX 64u
#define RECORD_BYTES 64u
#define FIBRES_MAX 3u
#define COPIED_MAX 128u
#define STAY_BUCKETS 12u /* so that one stay reaches behind the low buckets that are used */
#define DOUBLINGS_MAX 2u

struct model_record {
    uint64_t hash;
    uint64_t previous;
    bool is_published;
    bool is_wanted; /* published before the reading began */
};

static struct {
    struct fst_epoch *epoch;
    struct fst_hash_index *index;
    struct fst_epoch_slot *slots[FIBRES_MAX];
    fst_atomic_u64 begin;
    uint64_t on_disk_below;
    struct model_record records[RECORDS_MAX];
    uint32_t record_count;
    struct fst_index_copied copied[COPIED_MAX];
    uint32_t copied_count;
} world;

static uint64_t address_of(uint32_t number) {
    return FST_ADDR_FIRST_RAW + (uint64_t)number * RECORD_BYTES;
}

static struct model_record *record_at(uint64_t address) {
    return &world.records[(address - FST_ADDR_FIRST_RAW) / RECORD_BYTES];
}

static uint64_t hash_of(uint64_t tag, uint64_t bits) {
    return tag << FST_INDEX_BITS_MAX | bits;
}

static void divide_chain(void *context, fst_addr head, const struct fst_index_halves *halves,
                         fst_addr known, fst_addr heads[2]) {
    fst_addr found[3] = {{0}, {0}, {0}};
    fst_addr rest[2] = {{0}, {0}};

    (void)context;
    for (uint64_t at = head.raw; at != 0; at = record_at(at)->previous) {
        const int half = fst_index_half_of(halves, record_at(at)->hash);

        if (at == known.raw || at < world.on_disk_below) {
            rest[0] = at == known.raw ? heads[0] : fst_addr_of(at);
            rest[1] = at == known.raw ? heads[1] : fst_addr_of(at);
            break;
        }
        if (found[half].raw == 0) {
            found[half] = fst_addr_of(at);
        }
    }
    for (int half = 0; half < 2; half++) {
        heads[half] = found[half].raw != 0 ? found[half] : rest[half];
    }
}

/* ---- what fibres do ---- */

static void append_record(uint64_t hash) {
    struct fst_index_slot slot;

    for (;;) {
        sched_expect(fst_hash_index_find_or_create(world.index, hash, &slot) == FASTER_OK,
                     "FULL, although there was room");
        while (slot.word != NULL) {
            const uint32_t number = world.record_count++;

            sched_expect(number < RECORDS_MAX, "too many records");
            world.records[number] =
                (struct model_record){.hash = hash, .previous = fst_index_slot_addr(&slot).raw};
            if (fst_hash_index_publish(world.index, &slot, fst_addr_of(address_of(number)))) {
                world.records[number].is_published = true;
                return;
            }
        }
    }
}

static void note_copied(void *context, const struct fst_index_copied *copied) {
    (void)context;
    sched_expect(world.copied_count < COPIED_MAX, "too many entries");
    world.copied[world.copied_count++] = *copied;
}

static void copy(uint32_t fibre) {
    struct fst_index_reader reader = {.index = world.index};
    bool goes_on = true;

    for (uint32_t i = 0; i < world.record_count; i++) {
        world.records[i].is_wanted = world.records[i].is_published;
    }
    while (goes_on) {
        fst_epoch_enter(world.epoch, world.slots[fibre]);
        goes_on = fst_index_read(&reader, STAY_BUCKETS, note_copied, NULL);
        fst_epoch_leave(world.epoch, world.slots[fibre]);
    }
}

static void append_in_stay(uint32_t fibre, uint64_t hash) {
    fst_epoch_enter(world.epoch, world.slots[fibre]);
    append_record(hash);
    fst_epoch_leave(world.epoch, world.slots[fibre]);
}

/* ---- before and after ---- */

static struct fst_hash_index *make_index(uint32_t bits, struct fst_epoch *epoch) {
    const struct fst_hash_index_config config = {
        .env = &sched_env,
        .epoch = epoch,
        .begin = &world.begin,
        .budget_bytes = ((BUCKET_COUNT << DOUBLINGS_MAX) + 16) * FST_INDEX_BUCKET_BYTES,
        .bits = bits,
        .bits_max = BITS + DOUBLINGS_MAX,
        .load_percent = FST_INDEX_LOAD_NEVER,
        .divide = divide_chain};
    struct fst_hash_index *index;

    if (fst_hash_index_create(&config, &index) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    return index;
}

static void prepare(void) {
    memset(&world, 0, sizeof world);
    world.begin = FST_ADDR_FIRST_RAW;
    if (fst_epoch_create(&sched_env, &world.epoch) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    world.index = make_index(BITS, world.epoch);
    for (uint32_t i = 0; i < FIBRES_MAX; i++) {
        world.slots[i] = fst_epoch_slot_open(world.epoch);
    }
    append_record(hash_of(0, 0));
    append_record(hash_of(0, HIGH));
    append_record(hash_of(1, HIGH));
    append_record(hash_of(2, 0));
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
    struct fst_hash_index *loaded = make_index(bits, NULL);

    for (uint32_t i = world.copied_count; i > 0; i--) {
        const struct fst_index_copied *copied = &world.copied[i - 1];

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
    for (uint32_t i = 0; i < FIBRES_MAX; i++) {
        fst_epoch_slot_close(world.epoch, world.slots[i]);
    }
    fst_hash_index_destroy(world.index);
    fst_epoch_destroy(world.epoch);
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
    fst_epoch_enter(world.epoch, world.slots[1]);
    (void)!fst_index_start_growth(world.index);
    fst_index_help(world.index, fst_load_acquire_u64(&world.index->level));
    append_record(hash_of(0, 0));
    fst_epoch_leave(world.epoch, world.slots[1]);
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
