/* backup_rig.h - a store, copies of it, and what either holds: for the unit tests of backups.
 * Included once per program. */
#ifndef TESTS_UNIT_BACKUP_RIG_H
#define TESTS_UNIT_BACKUP_RIG_H

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "direct_rig.h"

#define KEYS 400u

static char target[400];

static inline void backup_set_up(void) {
    memset(target, 0, sizeof target);
}

static inline void start_transactional(uint64_t inline_commit_bytes) {
    rig_start(&rig, inline_commit_bytes);
}

static inline const char *aim(const char *name) {
    snprintf(target, sizeof target, "%s/%s/store", rig.base, name);
    return target;
}

static inline enum faster_status back_up(const struct faster_commit_row *row,
                                         struct faster_backup_request *request) {
    request->directory = target;
    request->durable = row;
    return faster_session_backup(rig.session, request);
}

static inline void must_back_up(const struct faster_commit_row *row) {
    struct faster_backup_request request = {0};
    const enum faster_status status = back_up(row, &request);
    cr_assert(status == FASTER_OK, "%s: %s", faster_status_name(status),
              faster_session_message(rig.session));
    cr_assert(request.shared_bytes + request.copied_bytes > 0);
}

static inline bool exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

/* Neither the directory nor the parent that was made for it. */
static inline void want_nothing(void) {
    char parent[sizeof target];
    snprintf(parent, sizeof parent, "%s", target);
    cr_assert(!exists(parent), "%s is left", parent);
    *strrchr(parent, '/') = '\0';
    cr_assert(!exists(parent), "%s is left", parent);
}

/* The copy with a decider of its own; the rig goes back to the original by leave(). */
static struct rig original;

static inline void enter(struct ledger ledger) {
    original = rig;
    snprintf(rig.directory, sizeof rig.directory, "%.290s", target);
    rig.ledger = ledger;
    rig.store = NULL;
    rig.session = NULL;
}

static inline void leave(void) {
    if (rig.store != NULL) {
        rig_close(&rig);
    }
    ledger_finish(&rig.ledger);
    rig = original;
}

static inline const char *key_of(unsigned i) {
    static char key[32];
    snprintf(key, sizeof key, "key %u", i);
    return key;
}

static inline void fill_direct(unsigned turn) {
    char text[32];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "%u of %u", i, turn);
        ASSERT_OK(put_sized(key_of(i), text, 500));
    }
}

static inline void want_direct(unsigned turn) {
    char text[32];
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "%u of %u", i, turn);
        want(key_of(i), text);
    }
}

static inline void verify_direct(void) {
    uint64_t findings = 1;
    ASSERT_OK(faster_session_verify(rig.session, NULL, NULL, NULL, NULL, &findings));
    cr_assert_eq(findings, 0);
}

static inline void fill_rows(unsigned turn, size_t size) {
    struct faster_txn *txn = rig_begin(&rig);
    for (unsigned i = 0; i < KEYS; i++) {
        ASSERT_OK(rig_put(txn, key_of(i), turn * 1000 + i, size));
    }
    rig_commit(&rig, txn);
}

static inline void want_rows(unsigned turn) {
    for (unsigned i = 0; i < KEYS; i++) {
        cr_assert_eq(rig_get(&rig, key_of(i)), turn * 1000 + i, "%s", key_of(i));
    }
}

static inline uint64_t bytes_of_segment(uint64_t index) {
    char path[500];
    struct stat info;
    snprintf(path, sizeof path, "%s/log.%012llx", target, (unsigned long long)index);
    cr_assert_eq(stat(path, &info), 0, "%s", path);
    return (uint64_t)info.st_size;
}

/* Of all segments in the directory: their bytes, and when they were written, be it the same bytes
 * again. */
static inline uint64_t hash_of_log(const char *directory) {
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

static inline unsigned count_linked(const char *directory) {
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

#endif
