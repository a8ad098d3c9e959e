/* test_hybrid_log.c - the log alone: the ring, pads, flush, images.
 *
 * Strategy: see hybrid_log_rig.h. After each test no write unit was written twice. */
#include "hybrid_log_rig.h"

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

Test(hybrid_log, synced_files_hold_every_record) {
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

/* ---- who is inside the epoch holds pages ---- */

/* Appends until there is no room, and asks for some now and then. */
static void fill_memory(struct rig *rig) {
    for (int waits = 0; waits < 5;) {
        fst_addr addr;
        void *memory;
        fst_epoch_enter(rig->epoch, rig->slot);
        const enum fst_log_result result = fst_log_allocate(rig->log, 4096, &addr, &memory);
        if (result == FST_LOG_OK) {
            fill(memory, rig->next++, 4096);
        }
        fst_epoch_leave(rig->epoch, rig->slot);
        if (result != FST_LOG_OK) {
            cr_assert_eq(fst_log_help(rig->log), FASTER_OK);
            waits++;
        }
    }
}

/* Else a record that is not written yet would be on disk for ever. */
Test(hybrid_log, no_page_is_written_before_its_writers_have_left_the_epoch) {
    struct rig rig;
    fst_addr addr;
    void *memory;
    start(&rig);
    struct fst_epoch_slot *writer = fst_epoch_slot_open(rig.epoch);
    fst_epoch_enter(rig.epoch, writer);
    cr_assert_eq(fst_log_allocate(rig.log, 4096, &addr, &memory), FST_LOG_OK);
    const uint64_t number = rig.next++;
    fill_memory(&rig);
    cr_assert_eq(rig.device->write_count, 0);
    fill(memory, number, 4096);
    fst_epoch_leave(rig.epoch, writer);
    fst_epoch_slot_close(rig.epoch, writer);
    put_many(&rig, 5 * PAGE_BYTES, 1);
    cr_assert_gt(rig.device->write_count, 0);
    check_all(&rig);
    finish(&rig);
}

/* Else a reader would find another record where it looks. */
Test(hybrid_log, no_page_is_reused_before_its_readers_have_left_the_epoch) {
    struct rig rig;
    struct fst_record_shape shape;
    fst_addr addr;
    start(&rig);
    cr_assert_eq(put(&rig, 4096, &addr), FASTER_OK);
    const uint64_t number = rig.next - 1;
    put_many(&rig, PAGE_BYTES, 3); /* so that its page is written, and could go */
    (void)seal_and_sync(&rig);
    struct fst_epoch_slot *reader = fst_epoch_slot_open(rig.epoch);
    fst_epoch_enter(rig.epoch, reader);
    cr_assert_geq(addr.raw, fst_log_head(rig.log).raw);
    const unsigned char *record = fst_log_at(rig.log, addr);
    fill_memory(&rig);
    cr_assert(fst_record_parse(record, 4096, &shape));
    check_data(record, &shape, number);
    fst_epoch_leave(rig.epoch, reader);
    fst_epoch_slot_close(rig.epoch, reader);
    put_many(&rig, 5 * PAGE_BYTES, 2);
    cr_assert_gt(fst_log_head(rig.log).raw, addr.raw);
    check_all(&rig);
    finish(&rig);
}
