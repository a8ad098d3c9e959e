/* fuzz_store.c - see fuzz_store.h. */
#include "fuzz/fuzz_store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "shapes/format_codec.h"
#include "shapes/record.h"

#define GUARD_OFF 8u
#define LONG_VALUE_BYTES 600u
#define CHUNKED_VALUE_BYTES (FUZZ_PAGE_BYTES + 2000u)

/* ---- making them ---- */

static struct faster_bytes text(const char *string) {
    return (struct faster_bytes){string, strlen(string)};
}

static enum faster_status append_x(void *context, const struct faster_bytes *old,
                                   struct faster_buffer *value) {
    char bytes[64] = {0};
    size_t count = 0;
    (void)context;
    if (old != NULL && old->size_bytes < sizeof bytes) {
        count = old->size_bytes;
        memcpy(bytes, old->data, count);
    }
    bytes[count] = 'x';
    return faster_buffer_assign(value, bytes, count + 1);
}

static void begin_store(struct fuzz_store *store, enum faster_writes writes) {
    struct fst_identity identity;
    size_t count;
    snprintf(store->directory, sizeof store->directory, "%s/%s", fuzz_directory(),
             writes == FASTER_WRITES_DIRECT ? "direct" : "transactional");
    store->options = (struct faster_options){.env = fuzz_env(),
                                             .directory = store->directory,
                                             .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                             .page_bytes = FUZZ_PAGE_BYTES,
                                             .segment_bytes = FUZZ_SEGMENT_BYTES,
                                             .index_bits = 4,
                                             .io = FASTER_IO_URING, /* no threads to wait for */
                                             .io_threads = 1,
                                             .writes = writes};
    fuzz_env_begin();
    FUZZ_OK(faster_store_create(&store->options, NULL, NULL));
    void *bytes = fuzz_read_file(store->directory, FST_NAME_IDENTITY, &count);
    FUZZ_OK(fst_identity_check(bytes, count, &identity));
    free(bytes);
    store->checksum_seed = fst_format_owner_of(&identity).checksum_seed;
}

/* As a crash leaves it: what closing would write is not there yet. */
static void take_image(struct fuzz_store *store) {
    size_t count;
    store->log.file = fuzz_read_file(store->directory, FUZZ_LOG_NAME, &store->log.count);
    store->manifest = fuzz_read_file(store->directory, FST_NAME_MANIFEST_0, &count);
    FUZZ_CHECK(count == sizeof(struct fst_manifest), "manifest");
}

static void put_direct(struct faster_session *session, const char *key, const char *value) {
    struct faster_op op = {.key = text(key), .value = text(value)};
    FUZZ_OK(faster_session_upsert(session, &op));
}

static void write_direct(struct faster_session *session) {
    char *large = calloc(1, CHUNKED_VALUE_BYTES + 1);
    memset(large, 'c', CHUNKED_VALUE_BYTES);
    put_direct(session, "a", "first");
    put_direct(session, "b", "second");
    put_direct(session, "", "of an empty key");
    FUZZ_OK(faster_session_commit(session));
    large[LONG_VALUE_BYTES] = '\0';
    put_direct(session, "long", large);
    large[LONG_VALUE_BYTES] = 'c';
    struct faster_op op = {.key = text("a"), .merge = append_x};
    FUZZ_OK(faster_session_rmw(session, &op));
    op = (struct faster_op){.key = text("b")};
    FUZZ_OK(faster_session_delete(session, &op));
    FUZZ_OK(faster_session_commit(session));
    put_direct(session, "large", large);
    put_direct(session, "b", "again");
    FUZZ_OK(faster_session_commit(session));
    put_direct(session, "z", "of no cut");
    free(large);
}

const struct fuzz_store *fuzz_store_direct(void) {
    static struct fuzz_store store;
    if (store.log.file == NULL) {
        struct faster_store *open;
        struct faster_session *session;
        begin_store(&store, FASTER_WRITES_DIRECT);
        FUZZ_OK(faster_store_open(&store.options, &open, NULL));
        FUZZ_OK(faster_session_open(open, &session));
        write_direct(session);
        take_image(&store);
        faster_session_close(session);
        faster_store_close(open);
        fuzz_store_restore(&store);
    }
    return &store;
}

static void put_txn(struct faster_txn *txn, const char *key, const char *value) {
    struct faster_op op = {.key = text(key), .value = text(value)};
    FUZZ_OK(faster_txn_upsert(txn, &op));
}

/* Two of each life's commits; those of the first are in the log, later ones in their rows. */
static void write_transactional(struct fuzz_store *store, bool second_life) {
    struct faster_store *open;
    struct faster_session *session;
    struct faster_txn *txn;
    store->options.inline_commit_bytes = second_life ? 0 : UINT64_MAX;
    FUZZ_OK(faster_store_open(&store->options, &open, NULL));
    FUZZ_OK(faster_session_open(open, &session));
    FUZZ_OK(ledger_meet(&store->ledger, session));
    FUZZ_OK(ledger_begin(&store->ledger, session, &txn));
    put_txn(txn, "a", second_life ? "third" : "first");
    FUZZ_OK(faster_txn_savepoint(txn, 0));
    put_txn(txn, "undone", "never");
    FUZZ_OK(faster_txn_rollback_to(txn, 0));
    put_txn(txn, second_life ? "c" : "b", "kept");
    FUZZ_OK(ledger_commit(&store->ledger, txn));
    FUZZ_OK(ledger_begin(&store->ledger, session, &txn));
    struct faster_op op = {.key = text("b")};
    FUZZ_OK(faster_txn_delete(txn, &op));
    put_txn(txn, "d", second_life ? "of the fourth" : "of the second");
    FUZZ_OK(ledger_commit(&store->ledger, txn));
    if (second_life) {
        take_image(store);
    }
    faster_session_close(session);
    faster_store_close(open);
}

const struct fuzz_store *fuzz_store_transactional(void) {
    static struct fuzz_store store;
    if (store.log.file == NULL) {
        begin_store(&store, FASTER_WRITES_TRANSACTIONAL);
        write_transactional(&store, false);
        write_transactional(&store, true);
        fuzz_store_restore(&store);
    }
    return &store;
}

/* All but the files that say whose directory it is. */
static void remove_files(const char *directory) {
    char path[400];
    DIR *list = opendir(directory);
    FUZZ_CHECK(list != NULL, "opendir");
    for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        if (entry->d_type == DT_REG && strcmp(entry->d_name, FST_NAME_IDENTITY) != 0 &&
            strcmp(entry->d_name, FST_NAME_LOCK) != 0) {
            snprintf(path, sizeof path, "%s/%.100s", directory, entry->d_name);
            (void)unlink(path);
        }
    }
    (void)closedir(list);
}

void fuzz_store_restore(const struct fuzz_store *store) {
    remove_files(store->directory);
    fuzz_write_file(store->directory, FST_NAME_MANIFEST_0, store->manifest,
                    sizeof(struct fst_manifest));
    fuzz_write_file(store->directory, FUZZ_LOG_NAME, store->log.file, store->log.count);
}

/* ---- checksums ---- */

void fuzz_log_seal(const struct fuzz_store *store, unsigned char *file, size_t count) {
    size_t at = FUZZ_LOG_FIRST_BYTES;
    struct fst_record_shape shape;
    while (at < count && fst_record_parse(file + at, count - at, &shape) &&
           shape.whole_bytes <= count - at) {
        const enum fst_record_kind kind = fst_header_kind(fst_raw_header(file + at));
        const uint64_t addr = at - FUZZ_LOG_HEADER_BYTES;
        struct fst_jump jump;
        if (kind != FST_KIND_PAD_WORD) {
            fst_store_le_u32(
                file + at + GUARD_OFF,
                fst_record_checksum(file + at, &shape, fst_addr_of(addr), store->checksum_seed));
        }
        at += shape.whole_bytes;
        if (kind == FST_KIND_JUMP &&
            fst_jump_decode(file + at - shape.whole_bytes + fst_record_value_offset(&shape),
                            shape.value_bytes, 14, &jump) &&
            jump.target > addr && jump.target < FUZZ_SEGMENT_BYTES) {
            at = (size_t)jump.target + FUZZ_LOG_HEADER_BYTES;
        }
    }
}

/* ---- reading ---- */

void fuzz_contents_read(struct fuzz_contents *contents, const struct faster_snapshot *snapshot) {
    struct faster_scan *scan = NULL;
    struct faster_bytes key;
    struct faster_bytes value;
    contents->count = 0;
    contents->status = faster_scan_open(snapshot, &scan);
    FUZZ_CHECK(contents->status == FASTER_OK, "a scan cannot be opened");
    while (contents->count < FUZZ_PAIRS_MAX) {
        struct fuzz_pair *pair = &contents->pairs[contents->count];
        contents->status = faster_scan_next(scan, &key, &value);
        if (contents->status != FASTER_OK) {
            break;
        }
        pair->key_bytes = key.size_bytes;
        pair->value_bytes = value.size_bytes;
        pair->bytes = malloc(key.size_bytes + value.size_bytes + 1);
        FUZZ_CHECK(pair->bytes != NULL, "out of memory");
        if (key.size_bytes > 0) {
            memcpy(pair->bytes, key.data, key.size_bytes);
        }
        if (value.size_bytes > 0) {
            memcpy(pair->bytes + key.size_bytes, value.data, value.size_bytes);
        }
        contents->count++;
    }
    faster_scan_close(scan);
}

void fuzz_contents_finish(struct fuzz_contents *contents) {
    for (size_t i = 0; i < contents->count; i++) {
        free(contents->pairs[i].bytes);
    }
    contents->count = 0;
}

static int compare_pairs(const void *left, const void *right) {
    const struct fuzz_pair *a = left;
    const struct fuzz_pair *b = right;
    const size_t common = fst_min_u64(a->key_bytes, b->key_bytes);
    const int order = memcmp(a->bytes, b->bytes, common);
    return order != 0 ? order : (a->key_bytes > b->key_bytes) - (a->key_bytes < b->key_bytes);
}

static bool pairs_equal(const struct fuzz_pair *a, const struct fuzz_pair *b) {
    return a->key_bytes == b->key_bytes && a->value_bytes == b->value_bytes &&
           memcmp(a->bytes, b->bytes, a->key_bytes + a->value_bytes) == 0;
}

static void sort(struct fuzz_contents *contents) {
    qsort(contents->pairs, contents->count, sizeof contents->pairs[0], compare_pairs);
}

bool fuzz_contents_equal(const struct fuzz_contents *a, const struct fuzz_contents *b) {
    bool equal = a->status == b->status && a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = pairs_equal(&a->pairs[i], &b->pairs[i]);
    }
    return equal;
}

enum faster_status fuzz_read(const struct faster_snapshot *snapshot, struct faster_bytes key,
                             struct faster_buffer *result) {
    struct faster_op op = {.key = key, .result = result};
    const enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status != FASTER_PENDING) {
        return status;
    }
    (void)faster_session_complete_pending(snapshot->session, true);
    return op.status;
}

static void read_back(const struct faster_snapshot *snapshot, const struct fuzz_pair *pair) {
    struct faster_buffer result = {.env = fuzz_env()};
    const struct faster_bytes key = {pair->bytes, pair->key_bytes};
    FUZZ_OK(fuzz_read(snapshot, key, &result));
    FUZZ_CHECK(result.size_bytes == pair->value_bytes &&
                   (result.size_bytes == 0 ||
                    memcmp(result.data, pair->bytes + pair->key_bytes, result.size_bytes) == 0),
               "a scan and a read give different values");
    faster_buffer_finish(&result);
}

void fuzz_store_check(struct faster_session *session, const struct faster_snapshot *snapshot,
                      struct fuzz_contents *contents) {
    uint64_t findings = 0;
    fuzz_contents_read(contents, snapshot);
    sort(contents);
    for (size_t i = 0; i < contents->count; i++) {
        FUZZ_CHECK(i == 0 || compare_pairs(&contents->pairs[i - 1], &contents->pairs[i]) != 0,
                   "a scan gives a key twice");
        read_back(snapshot, &contents->pairs[i]);
    }
    FUZZ_OK(faster_session_verify(session, NULL, NULL, NULL, NULL, &findings));
    FUZZ_CHECK(contents->count == FUZZ_PAIRS_MAX || contents->status == FASTER_END || findings > 0,
               "a scan fails with %s, and verify finds nothing",
               faster_status_name(contents->status));
}
