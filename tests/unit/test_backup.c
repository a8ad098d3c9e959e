/* test_backup.c - copies of a store that is in use: they open with the decider's copy, share what
 * nobody writes again, and leave nothing when they fail (P1, P2, P4, P6, P7, P8). */
#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "large_values.h" /* before the rig: its own are parameters */

#include "direct_rig.h"

#include "store/checkpoint_files.h"

#define LARGE_BYTES 200000u
#define KEYS 400u

static char target[400];

static void set_up(void) {
    memset(target, 0, sizeof target);
}

TestSuite(backup, .init = set_up);

/* ---- helpers ---- */

static void start_transactional(uint64_t inline_commit_bytes) {
    rig_start(&rig, inline_commit_bytes);
}

static const char *aim(const char *name) {
    snprintf(target, sizeof target, "%s/%s/store", rig.base, name);
    return target;
}

static enum faster_status back_up(const struct faster_commit_row *row,
                                  struct faster_backup_request *request) {
    request->directory = target;
    request->durable = row;
    return faster_session_backup(rig.session, request);
}

static void must_back_up(const struct faster_commit_row *row) {
    struct faster_backup_request request = {0};
    const enum faster_status status = back_up(row, &request);
    cr_assert(status == FASTER_OK, "%s: %s", faster_status_name(status),
              faster_session_message(rig.session));
    cr_assert(request.shared_bytes + request.copied_bytes > 0);
}

static bool exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

/* Neither the directory nor the parent that was made for it. */
static void want_nothing(void) {
    char parent[sizeof target];
    snprintf(parent, sizeof parent, "%s", target);
    cr_assert(!exists(parent), "%s is left", parent);
    *strrchr(parent, '/') = '\0';
    cr_assert(!exists(parent), "%s is left", parent);
}

/* The copy with a decider of its own; the rig goes back to the original by leave(). */
static struct rig original;

static void enter(struct ledger ledger) {
    original = rig;
    snprintf(rig.directory, sizeof rig.directory, "%.290s", target);
    rig.ledger = ledger;
    rig.store = NULL;
    rig.session = NULL;
}

static void leave(void) {
    if (rig.store != NULL) {
        rig_close(&rig);
    }
    ledger_finish(&rig.ledger);
    rig = original;
}

static const char *key_of(unsigned i) {
    static char key[32];
    snprintf(key, sizeof key, "key %u", i);
    return key;
}

static void fill_direct(unsigned turn) {
    char text[32];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "%u of %u", i, turn);
        ASSERT_OK(put_sized(key_of(i), text, 500));
    }
}

static void want_direct(unsigned turn) {
    char text[32];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "%u of %u", i, turn);
        want(key_of(i), text);
    }
}

static void verify_direct(void) {
    uint64_t findings = 1;
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, 0);
}

static void fill_rows(unsigned turn, size_t size) {
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < KEYS; i++) {
        ASSERT_OK(rig_put(txn, key_of(i), turn * 1000 + i, size));
    }
    rig_commit(&rig, txn);
}

static void want_rows(unsigned turn) {
    for (unsigned i = 0; i < KEYS; i++) {
        cr_assert_eq(rig_get(&rig, key_of(i)), turn * 1000 + i, "%s", key_of(i));
    }
}

static uint64_t bytes_of_segment(uint64_t index) {
    char path[500];
    struct stat info;
    snprintf(path, sizeof path, "%s/log.%012llx", target, (unsigned long long)index);
    cr_assert_eq(stat(path, &info), 0, "%s", path);
    return (uint64_t)info.st_size;
}

/* Of all segments in the directory: their bytes, and when they were written, be it the same bytes
 * again. */
static uint64_t hash_of_log(const char *directory) {
    uint64_t hash = 0;
    char path[1024];
    struct stat info;
    DIR *opened = opendir(directory);
    cr_assert_not_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        if (strncmp(entry->d_name, "log.", 4) == 0) {
            uint64_t of_file = 14695981039346656037u;
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
            FILE *stream = fopen(path, "rb");
            for (int byte = fgetc(stream); byte != EOF; byte = fgetc(stream)) {
                of_file = (of_file ^ (unsigned)byte) * 1099511628211u;
            }
            cr_assert_eq(fstat(fileno(stream), &info), 0);
            fclose(stream);
            of_file ^= (uint64_t)info.st_mtim.tv_sec * 1000000007u + (uint64_t)info.st_mtim.tv_nsec;
            hash += of_file * (strtoull(entry->d_name + 4, NULL, 16) + 1);
        }
    }
    closedir(opened);
    return hash;
}

static unsigned count_linked(const char *directory) {
    unsigned count = 0;
    char path[1024];
    DIR *opened = opendir(directory);
    cr_assert_not_null(opened);
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        struct stat info;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        count += stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink > 1;
    }
    closedir(opened);
    return count;
}

/* ---- what a copy holds ---- */

Test(backup, direct_copy_holds_what_was_written_before_and_goes_on) {
    start();
    fill_direct(1);
    unsigned char *large = large_value(LARGE_BYTES, 7);
    struct faster_op op = {.key = {"large", 5}, .value = {large, LARGE_BYTES}};
    ASSERT_OK(finish(rig.session, &op, faster_session_upsert(rig.session, &op)));
    aim("copy");
    must_back_up(NULL);
    fill_direct(2);
    commit();
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    verify_direct();
    struct faster_snapshot now;
    struct faster_buffer value;
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    ASSERT_OK(large_read(&rig, &now, "large", &value));
    cr_assert(large_equals(value.data, value.size_bytes, LARGE_BYTES, 7));
    faster_buffer_finish(&value);
    faster_snapshot_close(&now);
    fill_direct(3);
    rig_reopen(&rig);
    want_direct(3);
    verify_direct();
    leave();
    want_direct(2);
    rig_reopen(&rig);
    want_direct(2);
    verify_direct();
    free(large);
    stop();
}

static void copy_while_writing(uint64_t inline_commit_bytes) {
    start_transactional(inline_commit_bytes);
    fill_rows(1, 300);
    large_commit_put(&rig, "large", LARGE_BYTES, 3);
    rig_commit_delete(&rig, "key 0");
    rig_commit_put(&rig, "key 0", 1000, 10);
    struct ledger copied = ledger_copy(&rig.ledger);
    const struct faster_commit_row row = *ledger_newest(&copied);
    fill_rows(2, 200); /* the copy of the rows is older by now */
    struct faster_txn *txn = rig_begin(&rig);
    ASSERT_OK(rig_put(txn, "open", 1, 5000));
    aim("copy");
    must_back_up(&row);
    rig_commit(&rig, txn);
    if (inline_commit_bytes == RIG_NEVER_INLINE) { /* nothing goes along of what came later */
        const uint64_t segment_bytes = rig.options.segment_bytes;
        cr_assert_eq(bytes_of_segment(row.end / segment_bytes),
                     4096 + (row.end % segment_bytes + 4095) / 4096 * 4096);
    }
    enter(copied);
    rig_open(&rig);
    want_rows(1);
    large_want(&rig, "large", LARGE_BYTES, 3);
    cr_assert_eq(rig_get(&rig, "open"), 0);
    rig_verify(&rig);
    fill_rows(3, 100);
    rig_reopen(&rig);
    want_rows(3);
    rig_verify(&rig);
    leave();
    want_rows(2);
    cr_assert_eq(rig_get(&rig, "open"), 1);
    rig_reopen(&rig);
    want_rows(2);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(backup, copy_of_a_store_whose_rows_carry_bytes_pairs_with_the_copied_rows) {
    copy_while_writing(0);
}

Test(backup, copy_of_a_store_that_syncs_each_commit_pairs_with_the_copied_rows) {
    copy_while_writing(RIG_NEVER_INLINE);
}

/* What the files lack, the copied rows hold. */
Test(backup, before_the_first_write_of_a_life_the_rows_complete_the_copy) {
    start_transactional(0);
    fill_rows(1, 300);
    for (unsigned i = 0; i < 20; i++) {
        rig_commit_put(&rig, key_of(i), 1000 + i, 1000);
    }
    rig_crash(&rig);
    rig_open(&rig);
    want_rows(1);
    struct ledger copied = ledger_copy(&rig.ledger);
    const uint64_t on_disk_below = fst_log_head(rig.store->log).raw;
    cr_assert_lt(on_disk_below, ledger_newest(&copied)->end);
    const uint64_t hash = hash_of_log(rig.directory);
    aim("copy");
    must_back_up(ledger_newest(&copied));
    cr_assert_eq(hash_of_log(rig.directory), hash); /* it is no write */
    fill_rows(2, 300);
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(rig.store->manifest.durable_end, on_disk_below);
    want_rows(1);
    rig_verify(&rig);
    fill_rows(3, 300);
    leave();
    want_rows(2);
    rig_verify(&rig);
    rig_finish(&rig);
}

Test(backup, checkpoint_goes_along_if_the_copied_rows_have_its_commit) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    struct faster_checkpoint found[4];
    fill_rows(1, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    struct ledger copied = ledger_copy(&rig.ledger);
    aim("with");
    must_back_up(ledger_newest(&copied));
    fill_rows(2, 300);
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 1);
    want_rows(1);
    rig_verify(&rig);
    leave();
    rig_finish(&rig);
}

/* Its checkpoint, that is: the one before it serves the copy. */
Test(backup, checkpoint_of_a_later_commit_than_the_copied_rows_is_left_out) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    struct faster_checkpoint found[4];
    struct faster_checkpoint_request later = {.kind = FASTER_CHECKPOINT_INDEX_ONLY};
    fill_rows(1, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    struct ledger copied = ledger_copy(&rig.ledger);
    fill_rows(2, 300);
    later.durable = ledger_newest(&rig.ledger);
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &later, NULL)); /* gives nothing back */
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 2);
    aim("copy");
    must_back_up(ledger_newest(&copied));
    enter(copied);
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 1);
    cr_assert_eq(found[0].point_number, ledger_newest(&rig.ledger)->number);
    want_rows(1);
    rig_verify(&rig);
    leave();
    rig_finish(&rig);
}

/* Recovery reads all of the log then. */
Test(backup, checkpoint_whose_index_is_missing_is_left_out) {
    char path[500];
    char name[FST_CHECKPOINT_NAME_BYTES];
    struct faster_checkpoint found[4];
    start();
    fill_direct(1);
    const struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, found));
    fst_checkpoint_name(FST_CHECKPOINT_FILE_INDEX, found[0].index_number, name);
    snprintf(path, sizeof path, "%s/%s", rig.directory, name);
    cr_assert_eq(unlink(path), 0);
    aim("copy");
    must_back_up(NULL);
    enter((struct ledger){0});
    rig_open(&rig);
    cr_assert_eq(faster_store_checkpoints(rig.store, found, 4), 0);
    want_direct(1);
    verify_direct();
    leave();
    stop();
}

Test(backup, empty_stores_are_copied) {
    start();
    aim("direct");
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    enter((struct ledger){0});
    rig_open(&rig);
    want("key 1", NULL);
    fill_direct(1);
    leave();
    stop();
    start_transactional(0);
    ASSERT_OK(ledger_meet(&rig.ledger, rig.session));
    aim("transactional");
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 2000; i++) { /* reaches the disk */
        ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
    }
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_leq(request.shared_bytes + request.copied_bytes, 2 * 4096);
    faster_txn_rollback(txn);
    fill_rows(1, 100);
    enter((struct ledger){0});
    rig_open(&rig);
    cr_assert_eq(rig_count(&rig), 0);
    fill_rows(2, 100);
    want_rows(2);
    leave();
    want_rows(1);
    rig_finish(&rig);
}

static void copy_read_only(const char *name) {
    struct faster_backup_request request = {0};
    rig.options.read_only = true;
    rig_reopen(&rig);
    const uint64_t hash = hash_of_log(rig.directory);
    aim(name);
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_eq(hash_of_log(rig.directory), hash);
    rig.options.read_only = false;
}

Test(backup, store_that_is_read_only_is_copied) {
    start();
    copy_read_only("empty");
    enter((struct ledger){0});
    rig_open(&rig);
    want("key 1", NULL);
    leave();
    rig_reopen(&rig);
    fill_direct(1);
    copy_read_only("filled");
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    leave();
    stop();
}

/* ---- pairs that are none ---- */

Test(backup, older_rows_do_not_open_with_the_copy) {
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    struct ledger older = ledger_copy(&rig.ledger);
    fill_rows(2, 100);
    aim("copy");
    must_back_up(ledger_newest(&rig.ledger));
    enter(older);
    rig_open(&rig);
    ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_COPY);
    leave();
    rig_finish(&rig);
}

/* Rows that carry their bytes are enough; of others the copy lacks the bytes, and says so. */
Test(backup, newer_rows_open_with_the_copy_if_they_carry_what_it_lacks) {
    for (unsigned never = 0; never < 2; never++) {
        start_transactional(never ? RIG_NEVER_INLINE : 0);
        fill_rows(1, 20);
        aim("copy");
        must_back_up(ledger_newest(&rig.ledger));
        rig_commit_put(&rig, "key 0", 77, 20);
        struct ledger newer = ledger_copy(&rig.ledger);
        enter(newer);
        rig_open(&rig);
        if (never) {
            ASSERT_STATUS(ledger_meet(&rig.ledger, rig.session), FASTER_CORRUPT);
            cr_assert_not_null(strstr(faster_session_message(rig.session), "backups"));
        } else {
            cr_assert_eq(rig_get(&rig, "key 0"), 77);
            rig_verify(&rig);
        }
        leave();
        rig_finish(&rig);
    }
}

Test(backup, checkpoint_after_the_rows_were_copied_refuses_the_pair) {
    start_transactional(RIG_NEVER_INLINE);
    uint64_t obsolete_below;
    fill_rows(1, 300);
    struct ledger copied = ledger_copy(&rig.ledger);
    fill_rows(2, 300);
    ASSERT_OK(rig_checkpoint(&rig, &obsolete_below));
    aim("copy");
    struct faster_backup_request request = {0};
    ASSERT_STATUS(back_up(ledger_newest(&copied), &request), FASTER_SNAPSHOT_GONE);
    cr_assert_not_null(strstr(faster_session_message(rig.session), "copy the database again"));
    want_nothing();
    must_back_up(ledger_newest(&rig.ledger));
    ledger_finish(&copied);
    rig_finish(&rig);
}

Test(backup, row_of_another_database_is_refused) {
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    struct faster_commit_row older = *ledger_newest(&rig.ledger);
    fill_rows(2, 100);
    struct faster_commit_row newest = *ledger_newest(&rig.ledger);
    struct faster_commit_row newer = newest;
    struct faster_backup_request request = {0};
    aim("copy");
    older.nonce++;
    ASSERT_STATUS(back_up(&older, &request), FASTER_COPY);
    newest.nonce++;
    ASSERT_STATUS(back_up(&newest, &request), FASTER_COPY);
    newer.number++;
    ASSERT_STATUS(back_up(&newer, &request), FASTER_BEHIND);
    want_nothing();
    rig_finish(&rig);
}

/* To it the store is empty, and a copy of that would be. */
Test(backup, store_that_has_not_met_its_rows_is_not_copied) {
    struct faster_backup_request request = {0};
    start_transactional(RIG_NEVER_INLINE);
    fill_rows(1, 100);
    rig_reopen(&rig);
    aim("copy");
    ASSERT_STATUS(back_up(NULL, &request), FASTER_BEHIND);
    want_nothing();
    want_rows(1);
    must_back_up(ledger_newest(&rig.ledger));
    rig_finish(&rig);
}

/* ---- targets ---- */

Test(backup, target_that_is_in_the_way_is_left_alone) {
    char path[500];
    struct faster_backup_request request = {0};
    start();
    fill_direct(1);
    aim("copy");
    must_back_up(NULL);
    const uint64_t hash = hash_of_log(target);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_EXISTS); /* it holds a store */
    cr_assert_eq(hash_of_log(target), hash);
    snprintf(target, sizeof target, "%s", rig.directory);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_EXISTS); /* it is the store itself */
    snprintf(target, sizeof target, "%s/lock", rig.directory);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_FOREIGN);
    snprintf(target, sizeof target, "%s/a/b/c", rig.base);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_INVALID); /* two levels are missing */
    snprintf(target, sizeof target, "%s", "");
    ASSERT_STATUS(back_up(NULL, &request), FASTER_INVALID);
    snprintf(target, sizeof target, "%s/empty", rig.base);
    cr_assert_eq(mkdir(target, 0700), 0);
    must_back_up(NULL); /* an empty directory is used */
    snprintf(path, sizeof path, "%s/store", target);
    cr_assert(exists(path));
    request.directory = NULL;
    ASSERT_STATUS(faster_session_backup(rig.session, &request), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(rig.session, NULL), FASTER_MISUSE);
    ASSERT_STATUS(faster_session_backup(NULL, &request), FASTER_MISUSE);
    stop();
}

Test(backup, store_in_memory_has_no_files) {
    struct faster_store *store;
    struct faster_session *session;
    const struct faster_options options = {.writes = FASTER_WRITES_DIRECT,
                                           .memory_bytes = FASTER_MEMORY_BYTES_MIN};
    struct faster_backup_request request = {.directory = "/nowhere"};
    ASSERT_OK(faster_store_open(&options, &store, NULL));
    ASSERT_OK(faster_session_open(store, &session));
    ASSERT_STATUS(faster_session_backup(session, &request), FASTER_INVALID);
    faster_session_close(session);
    faster_store_close(store);
}

/* ---- sharing ---- */

Test(backup, what_is_final_is_linked_and_neither_store_writes_to_it_again) {
    start();
    for (unsigned turn = 1; turn < 4; turn++) {
        fill_direct(turn);
        commit();
    }
    aim("copy");
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert(request.shared_bytes > request.copied_bytes, "%llu shared, %llu copied",
              (unsigned long long)request.shared_bytes, (unsigned long long)request.copied_bytes);
    cr_assert(count_linked(target) > 2);
    const uint64_t hash = hash_of_log(target);
    /* A life that ends without a word, and one that goes on behind it. */
    fill_direct(4);
    rig_crash(&rig);
    rig_open(&rig);
    fill_direct(5);
    rig_close(&rig);
    cr_assert_eq(hash_of_log(target), hash);
    rig_open(&rig);
    const uint64_t hash_of_original = hash_of_log(rig.directory);
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(3);
    fill_direct(6);
    rig_close(&rig);
    rig_open(&rig);
    want_direct(6);
    leave();
    cr_assert_eq(hash_of_log(rig.directory), hash_of_original);
    want_direct(5);
    verify_direct();
    stop();
}

/* Commits that their rows carry, up to the next segment; returns the one in which they begin. */
static uint64_t commit_over_a_segments_end(void) {
    const uint64_t segment_bytes = rig.options.segment_bytes;
    const uint64_t segment = ledger_newest(&rig.ledger)->end / segment_bytes;
    const uint64_t before = rig_stat(&rig, "inline_commits");
    uint64_t count = 0;
    for (; ledger_newest(&rig.ledger)->end / segment_bytes == segment; count++) {
        rig_commit_put(&rig, key_of((unsigned)count % KEYS), 1000 + (unsigned)count % KEYS, 3000);
    }
    cr_assert_eq(rig_stat(&rig, "inline_commits"), before + count);
    return segment;
}

/* What rows hold is written, or written again, before anything new is: while files are copied,
 * perhaps. Such segments are not linked, though all their bytes are of commits. */
Test(backup, segments_that_the_first_write_may_repeat_are_copied) {
    for (unsigned is_on_disk = 0; is_on_disk < 2; is_on_disk++) {
        start_transactional(0);
        fill_rows(1, 300);
        const uint64_t repeated_from = commit_over_a_segments_end();
        const uint64_t segment_count =
            ledger_newest(&rig.ledger)->end / rig.options.segment_bytes + 1;
        struct faster_txn *txn = rig_begin(&rig);
        for (unsigned i = 0; is_on_disk && i < 2000; i++) { /* pushes them out of memory */
            ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
        }
        rig_crash(&rig);
        rig_open(&rig);
        want_rows(1);
        aim("copy");
        must_back_up(ledger_newest(&rig.ledger));
        cr_assert_gt(repeated_from, 0);
        for (uint64_t i = 0; i < segment_count; i++) {
            char path[500];
            struct stat info;
            snprintf(path, sizeof path, "%s/log.%012llx", target, (unsigned long long)i);
            if (stat(path, &info) == 0) {
                cr_assert_eq(info.st_nlink, i < repeated_from ? 2 : 1, "%s has %lu names", path,
                             (unsigned long)info.st_nlink);
            } else {
                cr_assert(i > repeated_from && !is_on_disk, "%s is missing", path);
            }
        }
        rig_finish(&rig);
    }
}

/* Every file has a second name, and the next life has to write again what the last one left:
 * a cut whose sync the manifest does not know, a jump in place of what was never committed. */
static void open_among_links(void (*write)(unsigned)) {
    char command[1300];
    char linked[400];
    snprintf(linked, sizeof linked, "%s/linked", rig.base);
    snprintf(command, sizeof command, "cp -al %s %s", rig.directory, linked);
    cr_assert_eq(system(command), 0);
    const unsigned before = count_linked(linked);
    const uint64_t hash = hash_of_log(linked);
    rig_open(&rig);
    cr_assert_eq(count_linked(linked), before); /* reading changes nothing */
    write(9);
    rig_close(&rig);
    cr_assert_eq(hash_of_log(linked), hash);
    cr_assert(count_linked(linked) < before);
}

static void write_rows(unsigned turn) {
    fill_rows(turn, 100);
    want_rows(turn);
}

static void write_direct(unsigned turn) {
    fill_direct(turn);
    want_direct(turn);
}

static void crash_and_close(void) {
    rig_crash(&rig);
}

Test(backup, files_with_a_second_name_are_replaced_before_the_first_write) {
    start();
    fill_direct(1);
    commit();
    fill_direct(2);
    commit();
    crash_and_close();
    open_among_links(write_direct);
    rig_open(&rig);
    want_direct(9);
    verify_direct();
    stop();
    start_transactional(0);
    fill_rows(1, 500);
    rig_commit_put(&rig, "key 1", 1001, 100);
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < 2000; i++) { /* reaches the disk, and never counts */
        ASSERT_OK(rig_put(txn, key_of(i), 5, 500));
    }
    crash_and_close();
    open_among_links(write_rows);
    rig_open(&rig);
    want_rows(9);
    rig_verify(&rig);
    rig_finish(&rig);
}

/* One read of a worker's, in the middle of which it waits. */
static struct {
    pthread_t caller;
    atomic_bool is_taken;
    sem_t has_begun;
    sem_t may_go_on;
} held;

static void hold_read(void *context, enum fst_test_operation operation) {
    (void)context;
    (void)operation;
    if (!pthread_equal(pthread_self(), held.caller) && !atomic_exchange(&held.is_taken, true)) {
        sem_post(&held.has_begun);
        sem_wait(&held.may_go_on);
    }
}

/* A reader whose read is under way has the old file open: it is not waited for, and reads on. */
Test(backup, pending_reads_go_on_while_files_are_replaced, .timeout = 60) {
    enum { READS = 32 };
    struct faster_op ops[READS];
    struct faster_buffer values[READS];
    struct faster_snapshot now;
    char keys[READS][32];
    char command[1300];
    start();
    fill_direct(1);
    commit();
    crash_and_close();
    snprintf(command, sizeof command, "cp -al %s %s/linked", rig.directory, rig.base);
    cr_assert_eq(system(command), 0);
    rig.options.io = FASTER_IO_THREADS;
    rig.options.io_threads = 4;
    rig_open(&rig);
    held.caller = pthread_self();
    cr_assert(sem_init(&held.has_begun, 0, 0) == 0 && sem_init(&held.may_go_on, 0, 0) == 0);
    fst_test_env_hook(rig.test, FST_TEST_FILE_READ, hold_read, NULL);
    ASSERT_OK(faster_snapshot_open_newest(rig.session, &now));
    for (unsigned i = 0; i < READS; i++) {
        snprintf(keys[i], sizeof keys[i], "%s", key_of(i * 10));
        values[i] = (struct faster_buffer){.env = rig.options.env};
        ops[i] = (struct faster_op){.key = {keys[i], strlen(keys[i])}, .result = &values[i]};
        const enum faster_status status = faster_snapshot_read(&now, &ops[i]);
        cr_assert(status == FASTER_OK || status == FASTER_PENDING);
    }
    cr_assert_eq(sem_wait(&held.has_begun), 0);
    ASSERT_OK(put("another", "value")); /* the first write */
    sem_post(&held.may_go_on);
    faster_session_complete_pending(rig.session, true);
    for (unsigned i = 0; i < READS; i++) {
        ASSERT_OK(ops[i].status);
        faster_buffer_finish(&values[i]);
    }
    faster_snapshot_close(&now);
    want_direct(1);
    stop();
}

Test(backup, bytes_are_copied_where_links_are_refused) {
    start();
    fill_direct(1);
    aim("copy");
    fst_test_env_fail(rig.test, FST_TEST_PATH_LINK, 1, FST_TEST_FOR_EVER, FASTER_INVALID);
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert_eq(request.shared_bytes, 0);
    cr_assert(request.copied_bytes > 0);
    cr_assert_eq(count_linked(target), 0);
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    leave();
    stop();
}

/* A file system that can clone. */
static unsigned clone_count;

static enum faster_status clone_by_copying(const struct faster_env *env, struct fst_file *from,
                                           struct fst_file *to) {
    static char bytes[1u << 20];
    uint64_t at = 0;
    size_t count = 1;
    clone_count++;
    while (count > 0) {
        ASSERT_OK(env->file_read(env, from, at, bytes, sizeof bytes, &count));
        ASSERT_OK(env->file_write(env, to, at, bytes, count));
        at += count;
    }
    return FASTER_OK;
}

Test(backup, files_are_cloned_where_the_file_system_can) {
    static struct faster_env cloning;
    start();
    rig_close(&rig);
    cloning = *rig.options.env;
    cloning.file_clone = clone_by_copying;
    rig.options.env = &cloning;
    rig_open(&rig);
    fill_direct(1);
    aim("copy");
    clone_count = 0;
    struct faster_backup_request request = {0};
    ASSERT_OK(back_up(NULL, &request));
    cr_assert(clone_count > 2);
    cr_assert_eq(request.copied_bytes, 0);
    cr_assert_eq(count_linked(target), 0);
    fill_direct(2);
    commit();
    enter((struct ledger){0});
    rig_open(&rig);
    want_direct(1);
    verify_direct();
    leave();
    stop();
}

/* The clone has all of the file first. */
Test(backup, clone_ends_with_the_copied_commit) {
    static struct faster_env cloning;
    struct faster_backup_request request = {0};
    start_transactional(RIG_NEVER_INLINE);
    rig_close(&rig);
    cloning = *rig.options.env;
    cloning.file_clone = clone_by_copying;
    rig.options.env = &cloning;
    rig_open(&rig);
    rig_commit_put(&rig, "key 1", 1001, 100);
    const struct faster_commit_row row = *ledger_newest(&rig.ledger);
    fill_rows(2, 30);
    aim("copy");
    clone_count = 0;
    ASSERT_OK(back_up(&row, &request));
    cr_assert_eq(clone_count, 1);
    cr_assert_eq(bytes_of_segment(0), 4096 + (row.end + 4095) / 4096 * 4096);
    cr_assert_eq(request.shared_bytes, bytes_of_segment(0));
    rig_finish(&rig);
}

/* ---- failures ---- */

static bool stop_at_zero(void *context) {
    unsigned *left = context;
    return *left == 0 || --*left == 0;
}

/* Between two files, and within one. */
Test(backup, interrupted_at_any_time_leaves_nothing) {
    start();
    fill_direct(1);
    commit();
    const unsigned file_count = (unsigned)(rig.store->last_cut.end / rig.options.segment_bytes) + 1;
    fst_test_env_fail(rig.test, FST_TEST_PATH_LINK, 1, FST_TEST_FOR_EVER, FASTER_INVALID);
    aim("copy");
    enum faster_status status = FASTER_INTERRUPTED;
    unsigned count = 0;
    while (status != FASTER_OK) {
        unsigned left = ++count;
        struct faster_backup_request request = {.interrupt = stop_at_zero,
                                                .interrupt_context = &left};
        status = back_up(NULL, &request);
        if (status != FASTER_OK) {
            ASSERT_STATUS(status, FASTER_INTERRUPTED);
            want_nothing();
        }
    }
    cr_assert(count > 2 * file_count, "asked %u times for %u files", count, file_count);
    stop();
}

/* Everything is durable already: the calls are those of the backup alone. Some are not needed. */
static void fail_each(enum fst_test_operation operation, enum faster_status injected,
                      bool is_needed) {
    for (uint64_t nth = 1;; nth++) {
        struct faster_backup_request request = {0};
        fst_test_env_fail(rig.test, operation, nth, 1, injected);
        const enum faster_status status = back_up(NULL, &request);
        const bool has_failed = fst_test_env_failed(rig.test, operation) > 0;
        fst_test_env_heal_all(rig.test);
        if (status != FASTER_OK) {
            cr_assert(has_failed, "%s without a fault", faster_status_name(status));
            cr_assert(is_needed, "operation %d, call %llu: %s", operation, (unsigned long long)nth,
                      faster_status_name(status));
            want_nothing();
        } else {
            cr_assert(!has_failed || !is_needed, "operation %d, call %llu", operation,
                      (unsigned long long)nth);
            char command[600];
            enter((struct ledger){0});
            rig_open(&rig);
            want_direct(2);
            leave();
            snprintf(command, sizeof command, "rm -r %s/copy", rig.base);
            cr_assert_eq(system(command), 0);
            if (!has_failed) {
                cr_assert_gt(nth, 1, "operation %d is not called", operation);
                return;
            }
        }
    }
}

Test(backup, any_call_that_fails_leaves_nothing_or_a_whole_copy) {
    static const struct {
        enum fst_test_operation operation;
        enum faster_status status;
        bool is_needed;
    } faults[] = {
        {FST_TEST_ALLOCATE, FASTER_NOMEM, true},    {FST_TEST_FILE_OPEN, FASTER_FULL, true},
        {FST_TEST_FILE_READ, FASTER_IO, true},      {FST_TEST_FILE_WRITE, FASTER_FULL, true},
        {FST_TEST_FILE_WRITE, FASTER_IO, true},     {FST_TEST_FILE_SYNC, FASTER_IO, true},
        {FST_TEST_FILE_SIZE, FASTER_IO, true},      {FST_TEST_FILE_OWN, FASTER_IO, false},
        {FST_TEST_PATH_LINK, FASTER_IO, false},     {FST_TEST_DIRECTORY_CREATE, FASTER_FULL, true},
        {FST_TEST_DIRECTORY_SYNC, FASTER_IO, true}, {FST_TEST_DIRECTORY_LIST, FASTER_IO, true},
    };
    start();
    fill_direct(1);
    commit();
    fill_direct(2);
    commit();
    struct faster_checkpoint_request request = {.index = FASTER_INDEX_COPY};
    ASSERT_OK(faster_session_take_checkpoint(rig.session, &request, NULL));
    aim("copy");
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        fail_each(faults[i].operation, faults[i].status, faults[i].is_needed);
    }
    want_direct(2);
    fill_direct(3);
    commit();
    stop();
}

/* What cannot be removed is not taken for a store: the identity goes first. */
Test(backup, failure_that_cannot_be_undone_leaves_no_store) {
    struct faster_backup_request request = {0};
    char path[500];
    start();
    fill_direct(1);
    commit();
    aim("copy");
    must_back_up(NULL);
    const uint64_t syncs = fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC);
    aim("again");
    must_back_up(NULL);
    const uint64_t count = fst_test_env_calls(rig.test, FST_TEST_DIRECTORY_SYNC) - syncs;
    aim("failed");
    fst_test_env_fail(rig.test, FST_TEST_DIRECTORY_SYNC, count, 1, FASTER_IO);
    fst_test_env_fail(rig.test, FST_TEST_PATH_REMOVE, 2, FST_TEST_FOR_EVER, FASTER_IO);
    ASSERT_STATUS(back_up(NULL, &request), FASTER_IO);
    cr_assert_gt(fst_test_env_failed(rig.test, FST_TEST_PATH_REMOVE), 0);
    fst_test_env_heal_all(rig.test);
    cr_assert(exists(target));
    snprintf(path, sizeof path, "%s/%s", target, FST_NAME_IDENTITY);
    cr_assert(!exists(path));
    stop();
}

/* The replacement of files with a second name may fail, too: the first write may be repeated. */
Test(backup, first_write_may_be_repeated_if_a_file_could_not_be_replaced) {
    static const enum fst_test_operation operations[] = {
        FST_TEST_ALLOCATE,    FST_TEST_FILE_OPEN,   FST_TEST_FILE_WRITE,     FST_TEST_FILE_READ,
        FST_TEST_PATH_RENAME, FST_TEST_PATH_REMOVE, FST_TEST_DIRECTORY_LIST, FST_TEST_PATH_INFO};
    char command[1300];
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        start();
        fill_direct(1);
        commit();
        crash_and_close();
        snprintf(command, sizeof command, "cp -al %s %s/linked", rig.directory, rig.base);
        cr_assert_eq(system(command), 0);
        snprintf(target, sizeof target, "%s/linked", rig.base);
        const uint64_t hash = hash_of_log(target);
        rig_open(&rig);
        unsigned failures = 0;
        for (uint64_t nth = 1; nth < 12; nth++) {
            fst_test_env_fail(rig.test, operations[i], nth, 1, FASTER_FULL);
            const enum faster_status status = put("first", "write");
            const bool has_failed = fst_test_env_failed(rig.test, operations[i]) > 0;
            fst_test_env_heal_all(rig.test);
            if (status == FASTER_OK) {
                break;
            }
            cr_assert(has_failed, "%s without a fault", faster_status_name(status));
            failures++;
        }
        cr_assert_gt(failures, 0, "operation %d", operations[i]);
        ASSERT_OK(put("first", "write"));
        want_direct(1);
        rig_reopen(&rig);
        want("first", "write");
        cr_assert_eq(hash_of_log(target), hash);
        stop();
    }
}
