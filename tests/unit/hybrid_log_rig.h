/* hybrid_log_rig.h - what the tests of the hybrid log share: a small log over a recording device.
 *
 * Pages are small and frames few, so that every page is evicted many times. Record n has key n
 * and a value that follows from n and its size, so what stands on the device can be checked
 * record by record. */
#ifndef FST_TESTS_UNIT_HYBRID_LOG_RIG_H
#define FST_TESTS_UNIT_HYBRID_LOG_RIG_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "structures/hybrid_log.h"
#include "support/recording_device.h"
#include "support/test_env.h"

#define PAGE_BITS 14u
#define PAGE_BYTES (UINT64_C(1) << PAGE_BITS)
#define FRAMES 4u
#define SEED UINT64_C(0x5eed)
#define UNIT ((uint64_t)FST_WRITE_UNIT_BYTES)
/* Too big for the small header, and what its value fits with the large one is bigger. */
#define NO_RECORD_BYTES 8192u

struct rig {
    const struct faster_env *env;
    struct fst_test_env *test;
    struct fst_epoch *epoch;
    struct recording_device *device;
    struct fst_device_queue *queue;
    struct fst_hybrid_log *log;
    struct fst_epoch_slot *slot;
    uint64_t next; /* number of the next record */
    char directory[256];
};

static inline void open_log(struct rig *rig) {
    const struct fst_hybrid_log_config config = {
        .env = rig->env,
        .epoch = rig->epoch,
        .device = &rig->device->head,
        .checksum_seed = SEED,
        .page_bits = PAGE_BITS,
        .frame_count = FRAMES,
        .flush_buffer_count = 3,
    };
    cr_assert_eq(fst_log_create(&config, &rig->log), FASTER_OK);
}

static inline void start_on(struct rig *rig, struct fst_device *inner) {
    rig->device = recording_device_create(inner);
    cr_assert_not_null(rig->device);
    cr_assert_eq(fst_epoch_create(rig->env, &rig->epoch), FASTER_OK);
    rig->slot = fst_epoch_slot_open(rig->epoch);
    cr_assert_eq(rig->device->head.ops->queue_open(&rig->device->head, &rig->queue), FASTER_OK);
    open_log(rig);
}

static inline void start_env(struct rig *rig) {
    memset(rig, 0, sizeof *rig);
    rig->test = fst_test_env_create();
    cr_assert_not_null(rig->test);
    rig->env = fst_test_env_get(rig->test);
}

static inline void start(struct rig *rig) {
    struct fst_device *inner;
    start_env(rig);
    cr_assert_eq(fst_device_memory_open(rig->env, 18, &inner), FASTER_OK);
    start_on(rig, inner);
}

static inline void start_on_files(struct rig *rig) {
    struct fst_device *inner;
    start_env(rig);
    cr_assert(fst_test_directory_create(rig->directory, sizeof rig->directory));
    const struct fst_device_file_config config = {
        .env = rig->env,
        .directory = rig->directory,
        .generation = 1,
        .checksum_seed = SEED,
        .segment_bits = 18,
        .thread_count = 2,
        .mode = 0600,
    };
    cr_assert_eq(fst_device_file_open(&config, &inner), FASTER_OK);
    start_on(rig, inner);
}

static inline void finish(struct rig *rig) {
    fst_log_destroy(rig->log);
    fst_epoch_slot_close(rig->epoch, rig->slot);
    fst_epoch_destroy(rig->epoch);
    rig->device->head.ops->queue_close(&rig->device->head, rig->queue);
    rig->device->head.ops->close(&rig->device->head);
    if (rig->directory[0] != '\0') {
        fst_test_directory_remove(rig->directory);
    }
    cr_assert_eq(fst_test_env_live_allocations(rig->test), 0);
    fst_test_env_destroy(rig->test);
}

/* A new life of the log: memory is lost, the device stays. */
static inline void reopen(struct rig *rig) {
    fst_log_destroy(rig->log);
    open_log(rig);
}

/* ---- records ---- */

static inline unsigned char value_byte(uint64_t number, size_t offset) {
    return (unsigned char)(1 + (number * 31 + offset * 7) % 255);
}

/* A record of exactly `whole_bytes`, at least 16. Records below 24 bytes have no key. */
static inline void fill(void *memory, uint64_t number, uint32_t whole_bytes) {
    static unsigned char value[PAGE_BYTES];
    const uint32_t key_bytes = whole_bytes >= 24 ? 8 : 0;
    uint32_t header = whole_bytes > FST_RECORD_SMALL_UNITS_MAX * 8 ? 24 : 16;
    const uint32_t value_bytes = whole_bytes - header - key_bytes;
    const struct fst_record_shape shape = fst_record_shape_for(key_bytes, value_bytes, value_bytes);
    cr_assert_eq(shape.whole_bytes, whole_bytes);
    for (uint32_t i = 0; i < value_bytes; i++) {
        value[i] = value_byte(number, i);
    }
    fst_record_write(memory, &shape, fst_addr_of(0), FST_KIND_DATA, 0, &number, value);
}

static inline enum faster_status put(struct rig *rig, uint32_t whole_bytes, fst_addr *addr) {
    fst_addr place;
    void *memory;
    for (int tries = 0; tries < 1000; tries++) {
        fst_epoch_enter(rig->epoch, rig->slot);
        const enum fst_log_result result = fst_log_allocate(rig->log, whole_bytes, &place, &memory);
        if (result == FST_LOG_OK) {
            fill(memory, rig->next++, whole_bytes);
        }
        fst_epoch_leave(rig->epoch, rig->slot);
        if (result == FST_LOG_OK) {
            if (addr != NULL) {
                *addr = place;
            }
            return FASTER_OK;
        }
        const enum faster_status status = fst_log_help(rig->log);
        if (status != FASTER_OK) {
            return status;
        }
    }
    cr_assert_fail("the log never makes room");
    return FASTER_BUSY;
}

static inline void put_ok(struct rig *rig, uint64_t whole_bytes) {
    if (whole_bytes == NO_RECORD_BYTES) {
        cr_assert_eq(put(rig, NO_RECORD_BYTES / 2, NULL), FASTER_OK);
        whole_bytes /= 2;
    }
    cr_assert_eq(put(rig, (uint32_t)whole_bytes, NULL), FASTER_OK);
}

static inline uint32_t random_size(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint32_t draw = (uint32_t)(*state >> 33);
    const uint32_t most = draw % 64 == 0 ? PAGE_BYTES : draw % 8 == 0 ? 9000 : 200;
    const uint32_t size = 24 + (draw / 64) % (most / 8 - 3) * 8;
    return size == NO_RECORD_BYTES ? size - 8 : size;
}

static inline fst_addr seal_and_sync(struct rig *rig) {
    fst_addr sealed;
    cr_assert_eq(fst_log_seal_tail(rig->log, &sealed), FASTER_OK);
    cr_assert_eq(fst_log_sync(rig->log, sealed), FASTER_OK);
    cr_assert_eq(sealed.raw % UNIT, 0);
    cr_assert_geq(fst_log_durable(rig->log).raw, sealed.raw);
    return sealed;
}

static inline void read_device(struct rig *rig, uint64_t from, uint64_t count, unsigned char *out) {
    size_t done;
    memset(out, 0xEE, count);
    cr_assert_eq(fst_device_run(&rig->device->head, rig->queue, FST_IO_READ, fst_addr_of(from), out,
                                count, &done),
                 FASTER_OK);
    cr_assert(done <= count);
}

static inline void check_data(const unsigned char *at, const struct fst_record_shape *shape,
                              uint64_t number) {
    if (shape->key_bytes != 0) {
        cr_assert_eq(shape->key_bytes, 8);
        cr_assert_eq(memcmp(at + shape->key_offset_bytes, &number, 8), 0, "key %lu",
                     (unsigned long)number);
    }
    const unsigned char *value = at + shape->key_offset_bytes + shape->key_bytes;
    for (uint32_t i = 0; i < shape->value_bytes; i++) {
        if (value[i] != value_byte(number, i)) {
            cr_assert_fail("record %lu differs at %u", (unsigned long)number, i);
        }
    }
}

static inline void check_pad(const unsigned char *at, const struct fst_record_shape *shape) {
    for (uint32_t i = shape->key_offset_bytes; i < shape->whole_bytes; i++) {
        if (at[i] != 0) {
            cr_assert_fail("garbage in a pad");
        }
    }
}

/* Checks [from, to) of the device record by record; returns how many DATA records it holds. */
static inline uint64_t check_device(struct rig *rig, uint64_t from, uint64_t to, uint64_t number) {
    unsigned char *bytes = malloc(to - from);
    uint64_t count = 0;
    read_device(rig, from, to - from, bytes);
    for (uint64_t addr = from; addr < to;) {
        const unsigned char *at = bytes + (addr - from);
        const uint64_t page_end = (addr | (PAGE_BYTES - 1)) + 1;
        const uint64_t available = (page_end < to ? page_end : to) - addr;
        struct fst_record_shape shape;
        cr_assert(fst_record_is_intact(at, available, fst_addr_of(addr), SEED, &shape),
                  "no record at %lu of [%lu, %lu)", (unsigned long)addr, (unsigned long)from,
                  (unsigned long)to);
        if (fst_header_kind(fst_raw_header(at)) == FST_KIND_DATA) {
            check_data(at, &shape, number + count++);
        } else {
            check_pad(at, &shape);
        }
        addr += shape.whole_bytes;
    }
    free(bytes);
    return count;
}

static inline void check_all(struct rig *rig) {
    const fst_addr sealed = seal_and_sync(rig);
    cr_assert_eq(check_device(rig, FST_ADDR_FIRST_RAW, sealed.raw, 0), rig->next);
    cr_assert_eq(recording_device_unit_writes_max(rig->device), 1);
}

static inline void put_many(struct rig *rig, uint64_t bytes, uint64_t seed) {
    const uint64_t until = fst_log_tail(rig->log).raw + bytes;
    while (fst_log_tail(rig->log).raw < until) {
        put_ok(rig, random_size(&seed));
    }
}

#endif
