/* test_direct_commit.c - direct stores: commits, crashes, damage, limits (layers 4 to 7; P2, P3,
 * P4, P6). */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "direct_rig.h"
#include "procedures/checkpoint_record.h"

TestSuite(direct_commit, .init = start, .fini = stop, .timeout = 60);

/* ---- durability ---- */

Test(direct_commit, clean_close_keeps_everything) {
    ASSERT_OK(put("a", "1"));
    evict();
    ASSERT_OK(put("b", "2"));
    rig_reopen(&rig);
    want("a", "1");
    want("b", "2");
    ASSERT_OK(put("a", "3"));
    rig_reopen(&rig);
    want("a", "3");
}

/* Of all log files; *count gets how many there are. */
static uint64_t log_file_bytes(unsigned *count) {
    uint64_t bytes = 0;
    DIR *directory = opendir(rig.directory);
    const struct dirent *entry;
    cr_assert_not_null(directory);
    *count = 0;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strncmp(entry->d_name, "log.", 4) == 0) {
            cr_assert_eq(fstatat(dirfd(directory), entry->d_name, &info, 0), 0);
            bytes += (uint64_t)info.st_size;
            (*count)++;
        }
    }
    closedir(directory);
    return bytes;
}

Test(direct_commit, files_are_as_large_as_the_log) {
    unsigned count;
    evict();
    commit();
    const uint64_t log_bytes = stat_of("log_tail");
    const uint64_t file_bytes = log_file_bytes(&count);
    cr_assert_geq(file_bytes, stat_of("log_durable"));
    cr_assert_leq(file_bytes, log_bytes + RIG_PAGE_BYTES + count * UINT64_C(4096));
    cr_assert_eq(count, log_bytes / rig.options.segment_bytes + 1);
}

Test(direct_commit, commit_survives_a_crash_and_what_follows_does_not) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("a", "2"));
    ASSERT_OK(put("b", "2"));
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", NULL);
}

Test(direct_commit, update_in_place_after_a_commit_does_not_touch_what_was_committed) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("a", "2"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
}

Test(direct_commit, what_was_lost_in_one_crash_stays_lost_after_the_next) {
    ASSERT_OK(put("a", "1"));
    commit();
    ASSERT_OK(put("lost", "x"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("lost", NULL);
    ASSERT_OK(put("b", "2"));
    commit();
    ASSERT_OK(put("lost", "y"));
    evict();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", "2");
    want("lost", NULL);
    rig_crash(&rig);
    rig_open(&rig);
    want("lost", NULL);
    want("b", "2");
}

Test(direct_commit, commit_without_a_descriptor_for_the_directory_is_repeated) {
    ASSERT_OK(put("a", "1"));
    fst_test_env_fail(rig.test, FST_TEST_DIRECTORY_SYNC, 1, FST_TEST_FOR_EVER, FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_FULL);
    want("a", "1");
    ASSERT_OK(put("b", "2"));
    fst_test_env_heal_all(rig.test);
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    want("b", "2");
}

Test(direct_commit, commit_of_nothing_writes_nothing) {
    commit();
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t tail = stat_of("log_tail");
    commit();
    cr_assert_eq(stat_of("log_tail"), tail);
}

Test(direct_commit, more_commits_than_a_short_version_counts) {
    char key[16];
    for (unsigned i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "%u", i % 7);
        ASSERT_OK(put(key, i % 2 == 0 ? "even" : "odd"));
        commit();
    }
    ASSERT_OK(put("0", "lost"));
    rig_crash(&rig);
    rig_open(&rig);
    want("0", "odd");
    want("6", "even");
    want("5", "odd");
}

static void damage_at(uint64_t address) {
    char path[400];
    uint64_t segment = 4 * RIG_PAGE_BYTES;
    snprintf(path, sizeof path, "%s/log.%012llx", rig.directory,
             (unsigned long long)(address / segment));
    FILE *file = fopen(path, "r+b");
    cr_assert_not_null(file);
    fseek(file, (long)(4096 + address % segment), SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 0x40, file);
    fclose(file);
}

Test(direct_commit, damage_below_an_acknowledged_commit_is_never_a_shorter_log) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t place = stat_of("log_tail");
    ASSERT_OK(put("b", "2"));
    commit();
    evict(); /* so that the next cut lies in another page */
    commit();
    ASSERT_OK(put("c", "3"));
    commit();
    rig_crash(&rig);
    damage_at(place + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* The cuts that tell of it may stand in the page where the intact log ends. */
Test(direct_commit, damage_before_a_later_commit_of_the_same_page_is_noticed) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t place = stat_of("log_tail");
    ASSERT_OK(put("b", "2"));
    commit();
    ASSERT_OK(put("c", "3"));
    commit();
    cr_assert_eq(place / RIG_PAGE_BYTES, (stat_of("log_tail") - 1) / RIG_PAGE_BYTES);
    rig_crash(&rig);
    damage_at(place + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* Its sync may have failed: the first write repeats it. */
Test(direct_commit, last_commit_found_after_a_crash_is_to_be_written_again) {
    ASSERT_OK(put("a", "1"));
    commit();
    uint64_t synced = rig.store->committed.end;
    ASSERT_OK(put("b", "2"));
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    cr_assert_eq(rig.store->redo_on_disk.start, synced);
    cr_assert_eq(rig.store->redo_on_disk.end, rig.store->committed.end);
    rig_reopen(&rig);
    ASSERT_OK(put("c", "3"));
    rig_reopen(&rig);
    cr_assert_eq(rig.store->redo_on_disk.end, 0);
}

/* A full disk took half of the unit: the commit is whole, and of its padding the header is there.
 */
Test(direct_commit, writing_does_not_go_on_behind_padding_that_ends_early) {
    char path[sizeof rig.directory + 32];
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_LEAVE};
    struct stat info;
    ASSERT_OK(put("a", "1"));
    commit();
    rig_crash(&rig);
    (void)snprintf(path, sizeof path, "%s/log.000000000000", rig.directory);
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(truncate(path, info.st_size - 2048), 0);
    rig_open(&rig);
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL)); /* of nothing new */
    rig_reopen(&rig);
    want("a", "1");
    ASSERT_OK(put("b", "2"));
    rig_reopen(&rig);
    want("a", "1");
    want("b", "2");
}

/* Others go on while a checkpoint syncs its cut, and what they wrote is synced with it: beyond the
 * last cut, and below the manifest's durable_end. The next life's jump takes its place. Returns
 * where that cut ends. */
static uint64_t sync_more_than_the_cut(const char *last) {
    ASSERT_OK(put("a", "1"));
    commit();
    const uint64_t end = rig.store->last_cut.end;
    for (unsigned i = 0; i < 12; i++) {
        char key[8];
        snprintf(key, sizeof key, "b%u", i);
        ASSERT_OK(put_sized(key, "lost", 900));
    }
    if (last != NULL) {
        ASSERT_OK(put("a", last));
        commit();
    }
    ASSERT_OK(fst_log_sync(rig.store->log, fst_log_tail(rig.store->log)));
    ASSERT_OK(fst_checkpoint_write_manifest(rig.store, NULL, rig.store->manifest.begin));
    cr_assert_gt(rig.store->manifest.durable_end, end + 2 * 4096);
    return end;
}

Test(direct_commit, torn_jump_over_synced_bytes_that_nobody_committed_is_no_damage) {
    const uint64_t end = sync_more_than_the_cut(NULL);
    rig_crash(&rig);
    rig_open(&rig);
    ASSERT_OK(put("d", "1"));
    commit();
    rig_crash(&rig);
    damage_at(end + 20);
    rig_open(&rig);
    want("a", "1");
    want("b1", NULL);
    ASSERT_OK(put("e", "1"));
    commit();
    rig_reopen(&rig);
    want("a", "1");
    want("e", "1");
}

/* The same bytes, with a commit behind them, are not such. */
Test(direct_commit, damage_behind_a_cut_and_before_one_that_was_synced_is_noticed) {
    const uint64_t end = sync_more_than_the_cut("2");
    rig_crash(&rig);
    damage_at(fst_align_up_u64(end, 4096) + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

Test(direct_commit, damage_after_a_clean_close_is_reported) {
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    damage_at(4096 + 20);
    ASSERT_STATUS(rig_try_open(&rig), FASTER_CORRUPT);
    rig.store = NULL;
}

/* ---- limits ---- */

Test(direct_commit, full_index_names_memory_and_keeps_working_for_old_keys) {
    char key[32];
    enum faster_status status = FASTER_OK;
    unsigned count = 0;
    while (status == FASTER_OK) {
        snprintf(key, sizeof key, "key %u", count++);
        status = put(key, "old");
    }
    ASSERT_STATUS(status, FASTER_FULL);
    cr_assert_not_null(strstr(faster_session_message(rig.session), "memory"));
    want(key, NULL);
    ASSERT_OK(put("key 1", "new"));
    struct faster_op op = {.key = {"key 2", 5}};
    ASSERT_OK(faster_session_delete(rig.session, &op));
    commit();
    rig_reopen(&rig);
    want("key 0", "old");
    want("key 1", "new");
    want("key 2", NULL);
    ASSERT_OK(put("key 3", "new"));
}

/* The message of an open that is refused. */
static enum faster_status open_again(uint64_t memory_bytes, struct faster_error *error) {
    rig.options.memory_bytes = memory_bytes;
    rig.options.directory = rig.directory;
    enum faster_status status = faster_store_open(&rig.options, &rig.store, error);
    if (status == FASTER_OK) {
        ASSERT_OK(faster_session_open(rig.store, &rig.session));
    }
    return status;
}

static void expect_refused_for_its_index(uint64_t memory_bytes) {
    struct faster_error error = {0};
    ASSERT_STATUS(open_again(memory_bytes, &error), FASTER_FULL);
    cr_assert_not_null(strstr(error.message, "index"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "memory"), "%s", error.message);
}

Test(direct_commit, index_larger_than_memory_is_refused_by_name_at_open) {
    struct faster_error error = {0};
    rig_close(&rig);
    rig.options.index_bits = 36; /* as many as memory allows */
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    expect_refused_for_its_index(FASTER_MEMORY_BYTES_MIN);
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    want("a", "1");
}

/* ---- writes while a cut runs ---- */

struct during_cut {
    struct faster_session *session;
    const char *key;
    const char *text;
};

/* Between the end of a version and its control record. */
static void write_during_cut(void *context, enum fst_test_operation operation) {
    const struct during_cut *write = context;
    struct faster_op op = {.key = {write->key, strlen(write->key)},
                           .value = {write->text, strlen(write->text)}};
    (void)operation;
    ASSERT_OK(faster_session_upsert(write->session, &op));
}

static void commit_and_meanwhile_put(const char *key, const char *text) {
    struct during_cut write = {.key = key, .text = text};
    ASSERT_OK(faster_session_open(rig.store, &write.session));
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, write_during_cut, &write);
    commit();
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, NULL, NULL);
    faster_session_close(write.session);
}

/* As write_during_cut(), by an index that has doubled as often as it can before. */
static void grow_and_write_during_cut(void *context, enum fst_test_operation operation) {
    const struct during_cut *write = context;
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK || status == FASTER_BUSY) {
        status = faster_session_grow(write->session);
    }
    ASSERT_STATUS(status, FASTER_FULL);
    write_during_cut(context, operation);
}

/* What is written during a cut lies below its control record, linked by the index of then. No
 * smaller index may ever link those records again, so the control record says its bits, not those
 * with which the cut began. */
Test(direct_commit, growth_during_a_cut_is_known_to_its_control_record) {
    struct during_cut write = {.key = "b", .text = "2"};
    struct faster_error error = {0};
    rig_close(&rig);
    rig.options.index_bits = 4;
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    ASSERT_OK(put("a", "1"));
    ASSERT_OK(faster_session_open(rig.store, &write.session));
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, grow_and_write_during_cut, &write);
    commit();
    fst_test_env_hook(rig.test, FST_TEST_RANDOM, NULL, NULL);
    faster_session_close(write.session);
    rig_crash(&rig); /* nobody else has written down the bits */
    expect_refused_for_its_index(FASTER_MEMORY_BYTES_MIN);
    ASSERT_OK(open_again(8 * FASTER_MEMORY_BYTES_MIN, &error));
    want("a", "1");
    want("b", NULL);
}

Test(direct_commit, write_during_a_cut_is_not_part_of_it) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    want("a", "2");
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "1");
    ASSERT_OK(put("b", "3"));
    rig_reopen(&rig);
    want("a", "1");
    want("b", "3");
}

Test(direct_commit, commit_covers_what_was_written_during_the_one_before) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    commit();
    rig_crash(&rig);
    rig_open(&rig);
    want("a", "2");
}

Test(direct_commit, close_covers_what_was_written_during_the_last_commit) {
    ASSERT_OK(put("a", "1"));
    commit_and_meanwhile_put("a", "2");
    rig_reopen(&rig);
    want("a", "2");
}

/* The names of segments that a killed process made are only in the page cache: a jump leads into
 * the last of them, and what is committed there must survive a power cut. */
Test(direct_commit, first_write_syncs_the_segments_that_a_killed_process_made) {
    unsigned before;
    unsigned after;
    ASSERT_OK(put("a", "1"));
    rig_reopen(&rig);
    (void)log_file_bytes(&before);
    evict();
    rig_crash(&rig);
    (void)log_file_bytes(&after);
    cr_assert_geq(after, before + 3);
    rig_open(&rig);
    const uint64_t file_syncs = fst_test_env_calls(rig.test, FST_TEST_FILE_SYNC);
    const uint64_t directory_syncs = fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC);
    ASSERT_OK(put("a", "2"));
    cr_assert_geq(fst_test_env_calls(rig.test, FST_TEST_FILE_SYNC) - file_syncs, after - before);
    cr_assert_gt(fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC), directory_syncs);
    commit();
    rig_reopen(&rig);
    want("a", "2");
}

Test(direct_commit, read_only_store_shows_the_last_commit) {
    ASSERT_OK(put("a", "1"));
    rig_close(&rig);
    rig.options.read_only = true;
    rig_open(&rig);
    want("a", "1");
    ASSERT_STATUS(put("a", "2"), FASTER_READ_ONLY);
    ASSERT_STATUS(faster_session_commit(rig.session), FASTER_READ_ONLY);
}

Test(direct_commit, verify_finds_nothing_wrong) {
    uint64_t findings = 1;
    ASSERT_OK(put("a", "1"));
    evict();
    add("count");
    commit();
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, 0);
}
