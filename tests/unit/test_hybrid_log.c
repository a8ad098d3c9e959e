/* test_hybrid_log.c - the log alone: rings, pads, flush, failures, recovery.
 *
 * Strategy: small pages and few frames over a recording device, so that every page is evicted
 * many times. Record n has key n and a value that follows from n and its size, so what stands
 * on the device can be checked record by record. After each test that does not recover, no
 * write unit was written twice. */
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

static void open_log(struct rig *rig) {
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

static void start_on(struct rig *rig, struct fst_device *inner) {
    rig->device = recording_device_create(inner);
    cr_assert_not_null(rig->device);
    cr_assert_eq(fst_epoch_create(rig->env, &rig->epoch), FASTER_OK);
    rig->slot = fst_epoch_slot_open(rig->epoch);
    cr_assert_eq(rig->device->head.ops->queue_open(&rig->device->head, &rig->queue), FASTER_OK);
    open_log(rig);
}

static void start_env(struct rig *rig) {
    memset(rig, 0, sizeof *rig);
    rig->test = fst_test_env_create();
    cr_assert_not_null(rig->test);
    rig->env = fst_test_env_get(rig->test);
}

static void start(struct rig *rig) {
    struct fst_device *inner;
    start_env(rig);
    cr_assert_eq(fst_device_memory_open(rig->env, 18, &inner), FASTER_OK);
    start_on(rig, inner);
}

static void start_on_files(struct rig *rig) {
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

static void finish(struct rig *rig) {
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
static void reopen(struct rig *rig) {
    fst_log_destroy(rig->log);
    open_log(rig);
}

/* ---- records ---- */

static unsigned char value_byte(uint64_t number, size_t offset) {
    return (unsigned char)(1 + (number * 31 + offset * 7) % 255);
}

/* A record of exactly `whole_bytes`, at least 16. Records below 24 bytes have no key. */
static void fill(void *memory, uint64_t number, uint32_t whole_bytes) {
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

static enum faster_status put(struct rig *rig, uint32_t whole_bytes, fst_addr *addr) {
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

static void put_ok(struct rig *rig, uint64_t whole_bytes) {
    if (whole_bytes == NO_RECORD_BYTES) {
        cr_assert_eq(put(rig, NO_RECORD_BYTES / 2, NULL), FASTER_OK);
        whole_bytes /= 2;
    }
    cr_assert_eq(put(rig, (uint32_t)whole_bytes, NULL), FASTER_OK);
}

static uint32_t random_size(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    const uint32_t draw = (uint32_t)(*state >> 33);
    const uint32_t most = draw % 64 == 0 ? PAGE_BYTES : draw % 8 == 0 ? 9000 : 200;
    const uint32_t size = 24 + (draw / 64) % (most / 8 - 3) * 8;
    return size == NO_RECORD_BYTES ? size - 8 : size;
}

static fst_addr seal_and_sync(struct rig *rig) {
    fst_addr sealed;
    cr_assert_eq(fst_log_seal_tail(rig->log, &sealed), FASTER_OK);
    cr_assert_eq(fst_log_sync(rig->log, sealed), FASTER_OK);
    cr_assert_eq(sealed.raw % UNIT, 0);
    cr_assert_geq(fst_log_durable(rig->log).raw, sealed.raw);
    return sealed;
}

static void read_device(struct rig *rig, uint64_t from, uint64_t count, unsigned char *out) {
    size_t done;
    memset(out, 0xEE, count);
    cr_assert_eq(fst_device_run(&rig->device->head, rig->queue, FST_IO_READ, fst_addr_of(from), out,
                                count, &done),
                 FASTER_OK);
    cr_assert(done <= count);
}

static void check_data(const unsigned char *at, const struct fst_record_shape *shape,
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

static void check_pad(const unsigned char *at, const struct fst_record_shape *shape) {
    for (uint32_t i = shape->key_offset_bytes; i < shape->whole_bytes; i++) {
        if (at[i] != 0) {
            cr_assert_fail("garbage in a pad");
        }
    }
}

/* Checks [from, to) of the device record by record; returns how many DATA records it holds. */
static uint64_t check_device(struct rig *rig, uint64_t from, uint64_t to, uint64_t number) {
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

static void check_all(struct rig *rig) {
    const fst_addr sealed = seal_and_sync(rig);
    cr_assert_eq(check_device(rig, FST_ADDR_FIRST_RAW, sealed.raw, 0), rig->next);
    cr_assert_eq(recording_device_unit_writes_max(rig->device), 1);
}

static void put_many(struct rig *rig, uint64_t bytes, uint64_t seed) {
    const uint64_t until = fst_log_tail(rig->log).raw + bytes;
    while (fst_log_tail(rig->log).raw < until) {
        put_ok(rig, random_size(&seed));
    }
}

/* ---- flush and eviction ---- */

Test(hybrid_log, ring_filled_many_times_leaves_every_record_on_the_device) {
    struct rig rig;
    start(&rig);
    put_many(&rig, 100 * PAGE_BYTES, 1);
    cr_assert_geq(fst_log_head(rig.log).raw, 90 * PAGE_BYTES);
    cr_assert_eq(fst_log_memory_bytes(rig.log), (FRAMES + 3) * PAGE_BYTES);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, files_hold_every_record) {
    struct rig rig;
    start_on_files(&rig);
    for (uint64_t i = 0; i < 10; i++) {
        put_many(&rig, 7 * PAGE_BYTES, i);
        (void)seal_and_sync(&rig);
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, completions_out_of_order_advance_flushed_in_order) {
    struct rig rig;
    start(&rig);
    rig.device->is_reversed = true;
    rig.device->completes_one = true;
    put_many(&rig, 60 * PAGE_BYTES, 2);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, every_gap_at_a_page_end_is_padded) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, PAGE_BYTES - UNIT); /* to the first page's end */
    for (uint64_t gap = 0; gap <= PAGE_BYTES - 16; gap += 8) {
        put_ok(&rig, PAGE_BYTES - gap);
        put_ok(&rig, PAGE_BYTES);
        cr_assert_eq(fst_log_tail(rig.log).raw % PAGE_BYTES, 0);
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, every_gap_at_a_unit_end_is_sealed_and_no_unit_rewritten) {
    struct rig rig;
    start(&rig);
    for (uint64_t gap = 0; gap <= UNIT - 16; gap += 8) {
        const uint64_t before = fst_log_tail(rig.log).raw;
        put_ok(&rig, UNIT - gap);
        const fst_addr sealed = seal_and_sync(&rig);
        cr_assert_eq(sealed.raw, before + UNIT);
        cr_assert_eq(fst_log_tail(rig.log).raw, sealed.raw);
        cr_assert_eq(fst_log_flushed(rig.log).raw, sealed.raw);
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, syncs_between_writes_rewrite_no_unit) {
    struct rig rig;
    uint64_t state = 9;
    start(&rig);
    for (int round = 0; round < 400; round++) {
        for (int i = 0; i < round % 7; i++) {
            put_ok(&rig, random_size(&state));
        }
        const fst_addr tail = fst_log_tail(rig.log);
        if (round % 3 == 0) {
            (void)seal_and_sync(&rig);
        } else if (round % 3 == 1) { /* in the middle of a unit: sync completes it */
            cr_assert_eq(fst_log_sync(rig.log, tail), FASTER_OK);
            cr_assert_geq(fst_log_durable(rig.log).raw, tail.raw);
        } else {
            fst_log_freeze(rig.log, tail);
            cr_assert_eq(fst_log_read_only(rig.log).raw, tail.raw);
        }
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, repeated_sync_costs_nothing) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, 64);
    const fst_addr sealed = seal_and_sync(&rig);
    const uint32_t syncs = rig.device->sync_count;
    cr_assert_eq(fst_log_sync(rig.log, sealed), FASTER_OK);
    cr_assert_eq(rig.device->sync_count, syncs);
    finish(&rig);
}

Test(hybrid_log, sync_of_a_complete_unit_leaves_later_records_alone) {
    struct rig rig;
    fst_addr first;
    start(&rig);
    cr_assert_eq(put(&rig, 64, &first), FASTER_OK);
    put_ok(&rig, 6000);
    put_ok(&rig, 64);
    const fst_addr tail = fst_log_tail(rig.log);
    cr_assert_eq(fst_log_sync(rig.log, fst_addr_plus(first, 64)), FASTER_OK);
    cr_assert_eq(fst_log_tail(rig.log).raw, tail.raw, "no pad was needed");
    cr_assert_eq(fst_log_durable(rig.log).raw, FST_ADDR_FIRST_RAW + UNIT);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, page_end_pad_leaves_a_hole) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, 24);
    put_ok(&rig, PAGE_BYTES);
    put_ok(&rig, 24);
    (void)seal_and_sync(&rig);
    cr_assert_eq(rig.device->unit_writes[1], 1);
    cr_assert_eq(rig.device->unit_writes[2], 0);
    cr_assert_eq(rig.device->unit_writes[3], 0);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, sealed_flag_stays_in_memory) {
    struct rig rig;
    fst_addr addr;
    start(&rig);
    cr_assert_eq(put(&rig, 64, &addr), FASTER_OK);
    fst_epoch_enter(rig.epoch, rig.slot);
    struct fst_record *record = fst_log_at(rig.log, addr);
    const uint64_t header = fst_load_relaxed_u64(&record->header) | FST_HEADER_SEALED;
    fst_store_relaxed_u64(&record->header, header);
    fst_store_relaxed_u32(&record->guard, 42);
    fst_epoch_leave(rig.epoch, rig.slot);
    check_all(&rig);
    record = fst_log_at(rig.log, addr);
    cr_assert_eq(fst_load_relaxed_u64(&record->header), header);
    cr_assert_eq(fst_load_relaxed_u32(&record->guard), 42, "the frame never changes");
    finish(&rig);
}

Test(hybrid_log, memory_is_readable_from_head_to_tail) {
    struct rig rig;
    uint64_t state = 4;
    fst_addr addrs[4000];
    uint32_t count = 0;
    start(&rig);
    for (; fst_log_tail(rig.log).raw < 20 * PAGE_BYTES; count++) {
        cr_assert_eq(put(&rig, random_size(&state), &addrs[count]), FASTER_OK);
        fst_epoch_enter(rig.epoch, rig.slot);
        for (uint32_t i = count + 1; i-- > 0 && addrs[i].raw >= fst_log_head(rig.log).raw;) {
            struct fst_record_shape shape;
            cr_assert(fst_record_parse(fst_log_at(rig.log, addrs[i]), PAGE_BYTES, &shape));
            check_data(fst_log_at(rig.log, addrs[i]), &shape, i);
        }
        fst_epoch_leave(rig.epoch, rig.slot);
    }
    finish(&rig);
}

/* ---- images ---- */

Test(hybrid_log, image_is_what_the_device_gets) {
    struct rig rig;
    uint64_t state = 5;
    static unsigned char image[FRAMES * PAGE_BYTES];
    static unsigned char disk[FRAMES * PAGE_BYTES];
    start(&rig);
    for (int round = 0; round < 200; round++) {
        const fst_addr from = fst_log_tail(rig.log);
        do {
            put_ok(&rig, random_size(&state) % 2000 / 8 * 8 + 24);
        } while (random_size(&state) % 3 != 0 && fst_log_tail(rig.log).raw - from.raw < PAGE_BYTES);
        fst_addr to = fst_log_tail(rig.log);
        fst_log_freeze(rig.log, to);
        cr_assert(fst_log_image(rig.log, from, to, image));
        (void)seal_and_sync(&rig);
        read_device(&rig, from.raw, to.raw - from.raw, disk);
        cr_assert_eq(memcmp(image, disk, to.raw - from.raw), 0);
    }
    check_all(&rig);
    cr_assert_not(fst_log_image(rig.log, fst_addr_of(UNIT), fst_addr_of(UNIT + 24), image),
                  "evicted bytes have no image");
    finish(&rig);
}

/* ---- failures ---- */

Test(hybrid_log, full_device_loses_nothing_and_goes_on_with_space) {
    struct rig rig;
    uint64_t state = 6;
    enum faster_status status = FASTER_OK;
    start(&rig);
    for (int round = 0; round < 5; round++) {
        rig.device->write_status = FASTER_FULL;
        while ((status = put(&rig, random_size(&state), NULL)) == FASTER_OK) {
        }
        cr_assert_eq(status, FASTER_FULL);
        cr_assert_eq(fst_log_health(rig.log), FASTER_FULL);
        const uint32_t failed = rig.device->failed_count;
        cr_assert_eq(fst_log_help(rig.log), FASTER_FULL);
        cr_assert_leq(rig.device->failed_count - failed, 3, "one try for each call and write");
        cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_FULL);
        cr_assert_lt(fst_log_durable(rig.log).raw, fst_log_tail(rig.log).raw);
        rig.device->write_status = FASTER_OK;
        put_many(&rig, 10 * PAGE_BYTES, (uint64_t)round);
        cr_assert_eq(fst_log_health(rig.log), FASTER_OK);
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, one_write_without_space_holds_back_only_what_follows) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, PAGE_BYTES - UNIT);
    put_ok(&rig, PAGE_BYTES);
    put_ok(&rig, PAGE_BYTES);
    rig.device->is_reversed = true;
    rig.device->write_status = FASTER_FULL;
    rig.device->fail_from = 2 * PAGE_BYTES;
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_FULL);
    cr_assert_eq(fst_log_flushed(rig.log).raw, 2 * PAGE_BYTES);
    cr_assert_eq(fst_log_durable(rig.log).raw, FST_ADDR_FIRST_RAW);
    rig.device->write_status = FASTER_OK;
    check_all(&rig);
    finish(&rig);
}

/* Fills until the log refuses; every record it took that memory holds is still readable. */
static void expect_failed_for_ever(struct rig *rig) {
    struct fst_record_shape shape;
    fst_addr addr;
    fst_addr sealed;
    enum faster_status status;
    rig->device->write_status = FASTER_OK;
    rig->device->sync_status = FASTER_OK;
    const uint32_t writes = rig->device->write_count;
    const uint64_t durable = fst_log_durable(rig->log).raw;
    do {
        const uint64_t number = rig->next;
        status = put(rig, 4000, &addr);
        if (status == FASTER_OK) {
            cr_assert(fst_record_parse(fst_log_at(rig->log, addr), 4000, &shape));
            check_data(fst_log_at(rig->log, addr), &shape, number);
        }
    } while (status == FASTER_OK);
    cr_assert_eq(status, FASTER_FAILED);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(fst_log_health(rig->log), FASTER_FAILED);
        cr_assert_eq(fst_log_help(rig->log), FASTER_FAILED);
        cr_assert_eq(fst_log_seal_tail(rig->log, &sealed), FASTER_FAILED);
        cr_assert_eq(fst_log_sync(rig->log, fst_log_tail(rig->log)), FASTER_FAILED);
        cr_assert_eq(fst_log_jump(rig->log, fst_addr_of(100 * PAGE_BYTES)), FASTER_FAILED);
    }
    cr_assert_eq(rig->device->write_count, writes, "nothing is retried");
    cr_assert_eq(fst_log_durable(rig->log).raw, durable);
}

Test(hybrid_log, failed_write_is_final) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, 64);
    (void)seal_and_sync(&rig);
    put_ok(&rig, 64);
    rig.device->write_status = FASTER_IO;
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_IO);
    expect_failed_for_ever(&rig);
    finish(&rig);
}

Test(hybrid_log, failed_sync_is_final_whatever_its_status) {
    const enum faster_status statuses[] = {FASTER_IO, FASTER_FULL};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        start(&rig);
        put_ok(&rig, 64);
        rig.device->sync_status = statuses[i];
        cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_IO);
        expect_failed_for_ever(&rig);
        finish(&rig);
    }
}

Test(hybrid_log, failed_eviction_is_final) {
    struct rig rig;
    uint64_t state = 7;
    start(&rig);
    put_many(&rig, 10 * PAGE_BYTES, 8);
    rig.device->write_status = FASTER_IO;
    enum faster_status status;
    while ((status = put(&rig, random_size(&state), NULL)) == FASTER_OK) {
    }
    cr_assert_eq(status, FASTER_FAILED);
    expect_failed_for_ever(&rig);
    finish(&rig);
}

Test(hybrid_log, file_without_space_goes_on_when_there_is_some) {
    struct rig rig;
    start_on_files(&rig);
    put_many(&rig, 3 * PAGE_BYTES, 16);
    fst_test_env_fail(rig.test, FST_TEST_FILE_WRITE, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    fst_test_env_tear_writes(rig.test, true);
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_FULL);
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_FULL);
    fst_test_env_heal_all(rig.test);
    put_many(&rig, 10 * PAGE_BYTES, 17);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, failed_file_write_or_sync_is_final) {
    const enum fst_test_operation operations[] = {FST_TEST_FILE_WRITE, FST_TEST_FILE_SYNC,
                                                  FST_TEST_DIRECTORY_SYNC};
    for (int i = 0; i < 3; i++) {
        struct rig rig;
        start_on_files(&rig);
        put_many(&rig, 2 * PAGE_BYTES, 18);
        fst_test_env_fail(rig.test, operations[i], 1, 1, FASTER_IO);
        cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_IO);
        cr_assert_eq(fst_test_env_failed(rig.test, operations[i]), 1);
        fst_test_env_heal_all(rig.test);
        expect_failed_for_ever(&rig);
        finish(&rig);
    }
}

Test(hybrid_log, create_without_memory_leaks_nothing) {
    struct rig rig;
    start(&rig);
    const uint64_t live = fst_test_env_live_allocations(rig.test);
    fst_log_destroy(rig.log);
    rig.log = NULL;
    const struct fst_hybrid_log_config config = {
        .env = rig.env,
        .epoch = rig.epoch,
        .device = &rig.device->head,
        .page_bits = PAGE_BITS,
        .frame_count = FRAMES,
        .flush_buffer_count = 2,
    };
    const enum fst_test_operation kinds[] = {FST_TEST_ALLOCATE, FST_TEST_MAP};
    for (int kind = 0; kind < 2; kind++) {
        for (uint64_t nth = 1;; nth++) {
            fst_test_env_fail(rig.test, kinds[kind], nth, 1, FASTER_NOMEM);
            const enum faster_status status = fst_log_create(&config, &rig.log);
            const bool failed = fst_test_env_failed(rig.test, kinds[kind]) != 0;
            cr_assert_eq(status, failed ? FASTER_NOMEM : FASTER_OK);
            fst_log_destroy(rig.log);
            cr_assert_lt(fst_test_env_live_allocations(rig.test), live);
            rig.log = NULL;
            if (!failed) {
                break;
            }
        }
        fst_test_env_heal_all(rig.test);
    }
    finish(&rig);
}

/* ---- truncation ---- */

Test(hybrid_log, truncation_frees_segments_and_never_goes_back) {
    struct rig rig;
    start(&rig);
    put_many(&rig, 100 * PAGE_BYTES, 10);
    const fst_addr sealed = seal_and_sync(&rig);
    const uint64_t stored = rig.device->head.ops->stored_bytes(&rig.device->head);
    const fst_addr begin = fst_addr_align_down(fst_log_head(rig.log), PAGE_BYTES);
    cr_assert_eq(fst_log_truncate(rig.log, begin), FASTER_OK);
    cr_assert_eq(fst_log_begin(rig.log).raw, begin.raw);
    cr_assert_eq(fst_load_acquire_u64(fst_log_begin_word(rig.log)), begin.raw);
    cr_assert_lt(rig.device->head.ops->stored_bytes(&rig.device->head), stored);
    cr_assert_eq(fst_log_truncate(rig.log, fst_addr_of(UNIT)), FASTER_OK);
    cr_assert_eq(fst_log_begin(rig.log).raw, begin.raw);
    cr_assert_eq(fst_log_truncate(rig.log, sealed), FASTER_OK);
    put_many(&rig, 10 * PAGE_BYTES, 11);
    (void)seal_and_sync(&rig);
    finish(&rig);
}

/* ---- recovery ---- */

Test(hybrid_log, jump_empties_memory_and_goes_on_at_the_target) {
    struct rig rig;
    start(&rig);
    put_many(&rig, 3 * PAGE_BYTES, 12);
    const fst_addr target = fst_addr_of(57 * PAGE_BYTES);
    cr_assert_eq(fst_log_jump(rig.log, target), FASTER_OK);
    const uint64_t first = rig.next;
    cr_assert_eq(fst_log_tail(rig.log).raw, target.raw);
    cr_assert_eq(fst_log_head(rig.log).raw, target.raw);
    cr_assert_eq(check_device(&rig, FST_ADDR_FIRST_RAW, 3 * PAGE_BYTES, 0) > 0, true);
    put_many(&rig, 20 * PAGE_BYTES, 13);
    const fst_addr sealed = seal_and_sync(&rig);
    cr_assert_eq(first + check_device(&rig, target.raw, sealed.raw, first), rig.next);
    cr_assert_eq(recording_device_unit_writes_max(rig.device), 1);
    finish(&rig);
}

/* Sealed bytes on the device, then `tail_bytes` that only a redo image holds. A second life
 * puts them together; then the log jumps and goes on. */
static void round_trip(struct rig *rig, uint64_t sealed_bytes, uint32_t record_bytes,
                       uint32_t record_count) {
    static unsigned char image[FRAMES * PAGE_BYTES];
    put_many(rig, sealed_bytes, 14);
    const fst_addr durable = seal_and_sync(rig);
    for (uint32_t i = 0; i < record_count; i++) {
        put_ok(rig, record_bytes);
    }
    const fst_addr end = fst_log_tail(rig->log);
    fst_log_freeze(rig->log, end);
    cr_assert(fst_log_image(rig->log, durable, end, image));

    reopen(rig);
    fst_log_resume(rig->log, fst_addr_of(FST_ADDR_FIRST_RAW), durable);
    cr_assert_eq(fst_log_append_redo(rig->log, image, end.raw - durable.raw), FASTER_OK);
    cr_assert_eq(fst_log_tail(rig->log).raw, end.raw);
    cr_assert_eq(fst_log_head(rig->log).raw, durable.raw);
    cr_assert_eq(fst_log_flushed(rig->log).raw, durable.raw);
    const struct fst_record *record = fst_log_at(rig->log, durable);
    cr_assert_eq(fst_load_relaxed_u32(&record->guard), 0);
    cr_assert_eq(fst_log_load_partial_unit(rig->log, rig->queue), FASTER_OK);
    const fst_addr target = fst_addr_of((end.raw / PAGE_BYTES + 9) * PAGE_BYTES);
    cr_assert_eq(fst_log_jump(rig->log, target), FASTER_OK);
    cr_assert_eq(check_device(rig, FST_ADDR_FIRST_RAW, fst_addr_align_up(end, UNIT).raw, 0),
                 rig->next);
    const uint64_t first = rig->next;
    put_many(rig, 9 * PAGE_BYTES, 15);
    const fst_addr sealed = seal_and_sync(rig);
    cr_assert_eq(first + check_device(rig, target.raw, sealed.raw, first), rig->next);
    cr_assert_eq(recording_device_unit_writes_max(rig->device), 1);
}

Test(hybrid_log, resume_redo_jump_round_trip) {
    for (uint32_t size = 24; size <= 5000; size += 712) {
        struct rig rig;
        start(&rig);
        round_trip(&rig, 6 * PAGE_BYTES + size, size, 7);
        finish(&rig);
    }
}

Test(hybrid_log, resume_redo_jump_round_trip_on_files) {
    struct rig rig;
    start_on_files(&rig);
    round_trip(&rig, 6 * PAGE_BYTES, 1000, 20);
    finish(&rig);
}

/* A log that ends anywhere in a unit, as after a jump record was cut off by a crash. */
Test(hybrid_log, partial_unit_is_written_again_with_the_same_beginning) {
    for (uint64_t cut = 1; cut < 40; cut += 3) {
        struct rig rig;
        fst_addr end;
        unsigned char before[FST_WRITE_UNIT_BYTES];
        unsigned char after[FST_WRITE_UNIT_BYTES];
        start(&rig);
        for (uint64_t i = 0; i < 60 + cut; i++) {
            put_ok(&rig, 200);
        }
        end = fst_log_tail(rig.log);
        const uint64_t unit = fst_addr_align_down(end, UNIT).raw;
        (void)seal_and_sync(&rig);
        read_device(&rig, unit, UNIT, before);
        reopen(&rig);
        fst_log_resume(rig.log, fst_addr_of(FST_ADDR_FIRST_RAW), end);
        cr_assert_eq(fst_log_load_partial_unit(rig.log, rig.queue), FASTER_OK);
        cr_assert_eq(fst_log_load_partial_unit(rig.log, rig.queue), FASTER_OK, "once is enough");
        cr_assert_eq(fst_log_flushed(rig.log).raw, unit);
        cr_assert_eq(fst_log_head(rig.log).raw, end.raw);
        put_many(&rig, cut % 2 == 0 ? 100 : 12 * PAGE_BYTES, cut);
        const fst_addr sealed = seal_and_sync(&rig);
        read_device(&rig, unit, UNIT, after);
        cr_assert_eq(memcmp(before, after, end.raw - unit), 0);
        cr_assert_eq(check_device(&rig, FST_ADDR_FIRST_RAW, sealed.raw, 0), rig.next);
        cr_assert_leq(recording_device_unit_writes_max(rig.device), 2);
        finish(&rig);
    }
}

Test(hybrid_log, partial_unit_that_the_device_lacks_is_corrupt) {
    struct rig rig;
    start(&rig);
    fst_log_resume(rig.log, fst_addr_of(FST_ADDR_FIRST_RAW), fst_addr_of(10 * PAGE_BYTES + 48));
    cr_assert_eq(fst_log_load_partial_unit(rig.log, rig.queue), FASTER_CORRUPT);
    finish(&rig);
}

Test(hybrid_log, resume_again_reads_what_was_written_elsewhere) {
    struct rig rig;
    fst_addr ends[5];
    start(&rig);
    for (int i = 0; i < 5; i++) {
        put_many(&rig, 5 * PAGE_BYTES / 2, (uint64_t)i);
        ends[i] = seal_and_sync(&rig);
    }
    reopen(&rig);
    for (int i = 0; i < 5; i++) {
        fst_log_resume(rig.log, fst_addr_of(FST_ADDR_FIRST_RAW), ends[i]);
        cr_assert_eq(fst_log_durable(rig.log).raw, ends[i].raw);
    }
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, redo_that_does_not_fit_the_frames_is_full) {
    struct rig rig;
    static unsigned char bytes[6 * PAGE_BYTES];
    start(&rig);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, sizeof bytes), FASTER_FULL);
    cr_assert_eq(fst_log_tail(rig.log).raw, FST_ADDR_FIRST_RAW);
    put_ok(&rig, 64);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log, redo_that_is_no_record_is_corrupt) {
    struct rig rig;
    unsigned char bytes[256] = {0};
    start(&rig);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, sizeof bytes), FASTER_CORRUPT);
    fill(bytes, 0, 256);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, 248), FASTER_CORRUPT, "cut off");
    cr_assert_eq(fst_log_tail(rig.log).raw, FST_ADDR_FIRST_RAW);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, 0), FASTER_OK);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, 256), FASTER_OK);
    rig.next = 1;
    put_ok(&rig, 64);
    check_all(&rig);
    finish(&rig);
}
