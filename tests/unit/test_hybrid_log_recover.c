/* test_hybrid_log_recover.c - the log when something went wrong: no space, failed writes and
 * syncs, no memory; and when it goes on: truncation, jump, resume, redo, partial units.
 *
 * Strategy: see hybrid_log_rig.h. Only a partial unit is written twice, with the same beginning. */
#include "hybrid_log_rig.h"

/* ---- failures ---- */

Test(hybrid_log_recover, full_device_loses_nothing_and_goes_on_with_space) {
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

Test(hybrid_log_recover, one_write_without_space_holds_back_only_what_follows) {
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

Test(hybrid_log_recover, failed_write_is_final) {
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

Test(hybrid_log_recover, failed_sync_is_final_whatever_its_status) {
    const enum faster_status statuses[] = {FASTER_IO, FASTER_READ_ONLY};
    const uint64_t bytes[] = {0, 3 * PAGE_BYTES}; /* with its write, and after several */
    for (int i = 0; i < 4; i++) {
        struct rig rig;
        start(&rig);
        put_ok(&rig, 64);
        put_many(&rig, bytes[i / 2], 5);
        rig.device->sync_status = statuses[i % 2];
        cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_IO);
        cr_assert_eq(rig.device->write_sync_count, i < 2 ? 1 : 0);
        cr_assert_eq(rig.device->sync_count, 1);
        expect_failed_for_ever(&rig);
        finish(&rig);
    }
}

Test(hybrid_log_recover, sync_that_was_not_tried_is_repeated) {
    const enum faster_status statuses[] = {FASTER_FULL, FASTER_NOMEM};
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        start(&rig);
        put_ok(&rig, 64);
        const fst_addr until = fst_log_tail(rig.log);
        rig.device->sync_status = statuses[i];
        cr_assert_eq(fst_log_sync(rig.log, until), statuses[i]);
        cr_assert_lt(fst_log_durable(rig.log).raw, until.raw);
        put_ok(&rig, 64);
        rig.device->sync_status = FASTER_OK;
        cr_assert_eq(fst_log_sync(rig.log, until), FASTER_OK);
        cr_assert_geq(fst_log_durable(rig.log).raw, until.raw);
        finish(&rig);
    }
}

Test(hybrid_log_recover, sync_goes_out_with_the_one_write_it_waits_for) {
    struct rig rig;
    start(&rig);
    for (unsigned i = 1; i <= 5; i++) {
        put_ok(&rig, 64);
        const fst_addr end = fst_log_tail(rig.log);
        cr_assert_eq(fst_log_sync(rig.log, end), FASTER_OK);
        cr_assert_geq(fst_log_durable(rig.log).raw, end.raw);
        cr_assert_leq(fst_log_durable(rig.log).raw, fst_log_flushed(rig.log).raw);
        cr_assert_eq(rig.device->write_sync_count, i);
        cr_assert_eq(rig.device->write_count, i);
        cr_assert_eq(rig.device->sync_count, i);
    }
    put_many(&rig, 3 * PAGE_BYTES, 5);
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_OK);
    cr_assert_eq(rig.device->write_sync_count, 5, "one of several writes is not the last to end");
    cr_assert_eq(rig.device->sync_count, 6);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log_recover, write_without_space_is_synced_when_it_goes_out_again) {
    struct rig rig;
    start(&rig);
    put_ok(&rig, 64);
    rig.device->write_status = FASTER_FULL;
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_FULL);
    cr_assert_eq(rig.device->sync_count, 0);
    rig.device->write_status = FASTER_OK;
    cr_assert_eq(fst_log_sync(rig.log, fst_log_tail(rig.log)), FASTER_OK);
    cr_assert_eq(rig.device->sync_count, 1);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log_recover, failed_eviction_is_final) {
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

Test(hybrid_log_recover, file_without_space_goes_on_when_there_is_some) {
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

Test(hybrid_log_recover, failed_file_write_or_sync_is_final) {
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

Test(hybrid_log_recover, create_without_memory_leaks_nothing) {
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

Test(hybrid_log_recover, truncation_frees_segments_and_never_goes_back) {
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

Test(hybrid_log_recover, jump_empties_memory_and_goes_on_at_the_target) {
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

Test(hybrid_log_recover, log_goes_on_after_resume_redo_and_jump) {
    for (uint32_t size = 24; size <= 5000; size += 712) {
        struct rig rig;
        start(&rig);
        round_trip(&rig, 6 * PAGE_BYTES + size, size, 7);
        finish(&rig);
    }
}

Test(hybrid_log_recover, log_on_files_goes_on_after_resume_redo_and_jump) {
    struct rig rig;
    start_on_files(&rig);
    round_trip(&rig, 6 * PAGE_BYTES, 1000, 20);
    finish(&rig);
}

/* A log that ends anywhere in a unit, as after a jump record was cut off by a crash. */
Test(hybrid_log_recover, partial_unit_is_written_again_with_the_same_beginning) {
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

Test(hybrid_log_recover, partial_unit_that_the_device_lacks_is_corrupt) {
    struct rig rig;
    start(&rig);
    fst_log_resume(rig.log, fst_addr_of(FST_ADDR_FIRST_RAW), fst_addr_of(10 * PAGE_BYTES + 48));
    cr_assert_eq(fst_log_load_partial_unit(rig.log, rig.queue), FASTER_CORRUPT);
    finish(&rig);
}

Test(hybrid_log_recover, resume_again_reads_what_was_written_elsewhere) {
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

Test(hybrid_log_recover, redo_that_does_not_fit_the_frames_is_full) {
    struct rig rig;
    static unsigned char bytes[6 * PAGE_BYTES];
    start(&rig);
    cr_assert_eq(fst_log_append_redo(rig.log, bytes, sizeof bytes), FASTER_FULL);
    cr_assert_eq(fst_log_tail(rig.log).raw, FST_ADDR_FIRST_RAW);
    put_ok(&rig, 64);
    check_all(&rig);
    finish(&rig);
}

Test(hybrid_log_recover, redo_that_is_no_record_is_corrupt) {
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
