/* index_world.h - the hash index with chains of records that hold nothing, for programs under the
 * controlled scheduler. Included behind the index's own sources, once: the world is static.
 *
 * A key is a tag and a half; the two keys of a tag share a chain until it is split.
 */
#ifndef TESTS_SIM_INDEX_WORLD_H
#define TESTS_SIM_INDEX_WORLD_H

#include "support/sched.h"
#include "support/sched_env.h"

#define BITS FST_INDEX_BITS_MIN
#define BUCKET_COUNT (UINT64_C(1) << BITS)
#define HIGH BUCKET_COUNT /* the hash's bit of the first growth */
#define RECORDS_MAX 64u
#define RECORD_BYTES 64u
#define FIBRES_MAX 3u

struct model_record {
    uint64_t hash;
    uint64_t previous;
    bool is_published;
    bool is_wanted; /* for the program's own use */
};

static struct {
    struct fst_epoch *epoch;
    struct fst_hash_index *index;
    struct fst_epoch_slot *slots[FIBRES_MAX];
    fst_atomic_u64 begin;
    uint64_t on_disk_below;
    struct model_record records[RECORDS_MAX];
    uint32_t record_count;
    uint32_t full_count;
} world;

static uint64_t address_of(uint32_t number) {
    return FST_ADDR_FIRST_RAW + (uint64_t)number * RECORD_BYTES;
}

static struct model_record *record_at(uint64_t address) {
    return &world.records[(address - FST_ADDR_FIRST_RAW) / RECORD_BYTES];
}

/* All in bucket 0 before the first growth. */
static uint64_t hash_of(uint64_t tag, uint64_t bits) {
    return tag << FST_INDEX_BITS_MAX | bits;
}

/* ---- the store's part ---- */

static void divide_chain(void *context, fst_addr head, const struct fst_index_halves *halves,
                         fst_addr known, fst_addr heads[2]) {
    fst_addr found[3] = {{0}, {0}, {0}};
    fst_addr rest[2] = {{0}, {0}};
    uint64_t at = head.raw;

    (void)context;
    while (at != 0 && at >= world.begin) {
        const int half = fst_index_half_of(halves, record_at(at)->hash);

        if (at == known.raw || at < world.on_disk_below) {
            rest[0] = at == known.raw ? heads[0] : fst_addr_of(at);
            rest[1] = at == known.raw ? heads[1] : fst_addr_of(at);
            break;
        }
        if (found[half].raw == 0) {
            found[half] = fst_addr_of(at);
        }
        at = record_at(at)->previous;
    }
    for (int half = 0; half < 2; half++) {
        heads[half] = found[half].raw != 0 ? found[half] : rest[half];
    }
}

/* ---- what fibres do ---- */

static void enter(uint32_t fibre) {
    fst_epoch_enter(world.epoch, world.slots[fibre]);
}

static void leave(uint32_t fibre) {
    fst_epoch_leave(world.epoch, world.slots[fibre]);
}

/* Links a new record into the chain of the slot; its address, or 0: find again. As in the store,
 * a record gets its address after the head was read, and is given up if that has changed. */
static uint64_t link_record(uint64_t hash, struct fst_index_slot *slot) {
    while (slot->word != NULL) {
        const uint32_t number = world.record_count++;

        sched_expect(number < RECORDS_MAX, "too many records");
        world.records[number] =
            (struct model_record){.hash = hash, .previous = fst_index_slot_addr(slot).raw};
        if (fst_hash_index_publish(world.index, slot, fst_addr_of(address_of(number)))) {
            world.records[number].is_published = true;
            return address_of(number);
        }
    }
    return 0;
}

/* The record's address, or 0 if the index is full. */
static uint64_t append_record(uint64_t hash) {
    struct fst_index_slot slot;
    uint64_t address = 0;

    while (address == 0) {
        if (fst_hash_index_find_or_create(world.index, hash, &slot) != FASTER_OK) {
            world.full_count++;
            return 0;
        }
        address = link_record(hash, &slot);
    }
    return address;
}

/* ---- before and after ---- */

/* An index that may double `doublings` times from BITS, with room for `pool` overflow buckets. */
static struct fst_hash_index *make_index(uint32_t bits, uint32_t doublings, uint32_t pool,
                                         struct fst_epoch *epoch) {
    const struct fst_hash_index_config config = {
        .env = &sched_env,
        .epoch = epoch,
        .begin = &world.begin,
        .budget_bytes = ((BUCKET_COUNT << doublings) + pool) * FST_INDEX_BUCKET_BYTES,
        .bits = bits,
        .bits_max = BITS + doublings,
        .load_percent = FST_INDEX_LOAD_NEVER,
        .divide = divide_chain};
    struct fst_hash_index *index;

    if (fst_hash_index_create(&config, &index) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    return index;
}

static void prepare_world(uint32_t doublings, uint32_t pool) {
    memset(&world, 0, sizeof world);
    world.begin = FST_ADDR_FIRST_RAW;
    if (fst_epoch_create(&sched_env, &world.epoch) != FASTER_OK) {
        exit(EXIT_FAILURE);
    }
    world.index = make_index(BITS, doublings, pool, world.epoch);
    for (uint32_t i = 0; i < FIBRES_MAX; i++) {
        world.slots[i] = fst_epoch_slot_open(world.epoch);
    }
}

static void close_world(void) {
    for (uint32_t i = 0; i < FIBRES_MAX; i++) {
        fst_epoch_slot_close(world.epoch, world.slots[i]);
    }
    fst_hash_index_destroy(world.index);
    fst_epoch_destroy(world.epoch);
}

#endif
