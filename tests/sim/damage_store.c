/* damage_store.c - small stores that hold one of everything that FORMAT.md knows.
 *
 * Old versions, tombstones, ranges undone by a savepoint, a value in chunks, records of exactly one
 * sector at a sector's begin, a named session, a jump over what a failed write left, rows with and
 * without redo, two manifests, and, of a direct store that was closed, a copy of the index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"
#include "damage.h"
#include "sim_world.h"
#include "store/session.h"

#define RECORD_HEADER_BYTES 16u
#define CHUNKED_BYTES DAMAGE_VALUE_BYTES_MAX
#define SECTOR_VALUE_BYTES (SIM_SECTOR_BYTES - RECORD_HEADER_BYTES - DAMAGE_KEY_BYTES)
#define FILLER_KEY (DAMAGE_KEYS - 1)

struct maker {
    struct damage_store *made;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_txn *txn;
    uint32_t next_number;
    size_t older_count;
};

#define MUST(call)                                                                                 \
    do {                                                                                           \
        const enum faster_status must_status = (call);                                             \
        CASES_CHECK(must_status == FASTER_OK, "setup", "%s: %s: %s", #call,                        \
                    faster_status_name(must_status),                                               \
                    maker->session == NULL ? "" : faster_session_message(maker->session));         \
    } while (0)

/* ---- keys and values ---- */

void damage_key(uint32_t key, char text[DAMAGE_KEY_BYTES + 1]) {
    (void)snprintf(text, DAMAGE_KEY_BYTES + 1, "k%02u", key % 100);
}

static void fill_bytes(uint32_t key, struct damage_value value, unsigned char *bytes) {
    uint64_t state = (uint64_t)key << 32 | value.number;
    uint64_t word = 0;
    for (uint32_t i = 0; i < value.size_bytes; i++) {
        word = i % 8 == 0 ? sim_next(&state) : word >> 8;
        bytes[i] = (unsigned char)word;
    }
}

/* ---- lives ---- */

struct faster_options damage_options(const struct damage_store *store) {
    return (struct faster_options){
        .env = sim_world_env(),
        .directory = DAMAGE_PATH,
        .memory_bytes = FASTER_MEMORY_BYTES_MIN,
        .page_bytes = UINT64_C(1) << DAMAGE_SEGMENT_BITS,
        .segment_bytes = UINT64_C(1) << DAMAGE_SEGMENT_BITS,
        .writes = store->is_direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL,
        .io_threads = 1,
        .index_bits = 4,
    };
}

static void open_for(struct maker *maker, uint64_t inline_commit_bytes, bool is_named) {
    struct faster_options options = damage_options(maker->made);
    struct faster_error error = {0};
    options.inline_commit_bytes = inline_commit_bytes;
    MUST(faster_store_open(&options, &maker->store, &error));
    MUST(is_named ? faster_session_open_named(maker->store, "worker", NULL, &maker->session)
                  : faster_session_open(maker->store, &maker->session));
    if (!maker->made->is_direct) {
        MUST(ledger_meet(&maker->made->ledger, maker->session));
    }
}

static void open_store(struct maker *maker, uint64_t inline_commit_bytes) {
    open_for(maker, inline_commit_bytes, maker->made->is_direct);
}

static void close_store(struct maker *maker) {
    faster_session_close(maker->session);
    faster_store_close(maker->store);
    maker->session = NULL;
    maker->store = NULL;
}

static void reopen(struct maker *maker, uint64_t inline_commit_bytes) {
    close_store(maker);
    open_store(maker, inline_commit_bytes);
}

/* What the files hold now is kept as an older state. */
static void remember(struct maker *maker) {
    CASES_CHECK(maker->older_count < DAMAGE_OLDER, "setup", "too many older states");
    maker->made->older[maker->older_count++] = sim_disk_image(sim_world_disk());
}

/* ---- writing ---- */

static void begin(struct maker *maker) {
    if (!maker->made->is_direct) {
        MUST(ledger_begin(&maker->made->ledger, maker->session, &maker->txn));
    }
}

static void commit(struct maker *maker) {
    if (maker->made->is_direct) {
        MUST(faster_session_commit(maker->session));
    } else {
        MUST(ledger_commit(&maker->made->ledger, maker->txn));
    }
}

static void write_value(struct maker *maker, uint32_t key, struct damage_value value) {
    static unsigned char bytes[DAMAGE_VALUE_BYTES_MAX];
    char text[DAMAGE_KEY_BYTES + 1];
    damage_key(key, text);
    fill_bytes(key, value, bytes);
    struct faster_op op = {.key = {text, DAMAGE_KEY_BYTES}, .value = {bytes, value.size_bytes}};
    MUST(maker->made->is_direct ? faster_session_upsert(maker->session, &op)
                                : faster_txn_upsert(maker->txn, &op));
}

static void put(struct maker *maker, uint32_t key, uint32_t size_bytes) {
    const struct damage_value value = {++maker->next_number, size_bytes};
    write_value(maker, key, value);
    maker->made->expected[key] = value;
}

static void remove_key(struct maker *maker, uint32_t key) {
    char text[DAMAGE_KEY_BYTES + 1];
    damage_key(key, text);
    struct faster_op op = {.key = {text, DAMAGE_KEY_BYTES}};
    MUST(maker->made->is_direct ? faster_session_delete(maker->session, &op)
                                : faster_txn_delete(maker->txn, &op));
    maker->made->expected[key] = (struct damage_value){0};
}

static void put_small(struct maker *maker, uint32_t first, uint32_t end) {
    for (uint32_t key = first; key < end; key++) {
        put(maker, key, 5 + key * 7);
    }
}

/* A record that is exactly one sector. */
static void put_sector(struct maker *maker, uint32_t key) {
    const uint64_t tail = fst_log_tail(maker->store->log).raw;
    uint64_t gap = SIM_SECTOR_BYTES - tail % SIM_SECTOR_BYTES;
    gap = gap < 2u * RECORD_HEADER_BYTES ? gap + SIM_SECTOR_BYTES : gap;
    if (gap != SIM_SECTOR_BYTES) {
        put(maker, FILLER_KEY, (uint32_t)gap - RECORD_HEADER_BYTES - DAMAGE_KEY_BYTES);
    }
    CASES_CHECK(fst_log_tail(maker->store->log).raw % SIM_SECTOR_BYTES == 0, "setup",
                "no sector begins at %llu",
                (unsigned long long)fst_log_tail(maker->store->log).raw);
    put(maker, key, SECTOR_VALUE_BYTES);
}

/* ---- the history ---- */

static void write_first(struct maker *maker) {
    begin(maker);
    put_small(maker, 0, 10);
    commit(maker);
    remember(maker);
    begin(maker);
    put(maker, 10, CHUNKED_BYTES);
    put_small(maker, 11, 15);
    commit(maker);
    remember(maker);
    begin(maker);
    if (!maker->made->is_direct) {
        MUST(faster_txn_savepoint(maker->txn, 0));
        for (uint32_t key = 0; key < 3; key++) {
            write_value(maker, key, (struct damage_value){1000 + key, 40});
        }
        MUST(faster_txn_rollback_to(maker->txn, 0));
    }
    put_small(maker, 3, 5);
    remove_key(maker, 5);
    remove_key(maker, 6);
    commit(maker);
}

/* Two versions of each. */
static void write_sectors(struct maker *maker) {
    for (int version = 0; version < 2; version++) {
        begin(maker);
        for (uint32_t key = 15; key < 18; key++) {
            put_sector(maker, key);
        }
        commit(maker);
    }
    remember(maker);
}

/* A manifest that knows the commits so far. */
static void write_manifest(struct maker *maker) {
    uint64_t obsolete_below = 0;
    if (maker->made->is_direct) {
        reopen(maker, 0);
    } else {
        MUST(faster_session_checkpoint(maker->session, ledger_newest(&maker->made->ledger),
                                       &obsolete_below, NULL, NULL));
        ledger_delete_below(&maker->made->ledger, obsolete_below);
    }
    remember(maker);
}

/* Recovery begins with it, and reads the log from here on. In one store only: its file is larger
 * than all others. */
static void copy_index(struct maker *maker) {
    const struct faster_checkpoint_request request = {.kind = FASTER_CHECKPOINT_INDEX_ONLY};
    if (maker->made->is_direct && !maker->made->is_killed) {
        MUST(faster_session_take_checkpoint(maker->session, &request, NULL));
    }
}

/* A commit fails half written, the process ends, and the next one jumps over what is left. */
static void fail_half(struct maker *maker) {
    const struct sim_fault fault = {1u << SIM_CALL_WRITE, SIM_FILE_SEGMENT, 1,
                                    UINT64_MAX,           SIM_EIO_HALF,     0};
    struct damage_value expected[DAMAGE_KEYS];
    memcpy(expected, maker->made->expected, sizeof expected);
    if (!maker->made->is_direct) {
        reopen(maker, UINT64_MAX);
    }
    begin(maker);
    put(maker, 18, 3000);
    put(maker, 19, 3000);
    sim_fault_arm(&fault);
    const enum faster_status status = maker->made->is_direct
                                          ? faster_session_commit(maker->session)
                                          : ledger_commit(&maker->made->ledger, maker->txn);
    CASES_CHECK(status < 0, "setup", "the commit is %s", faster_status_name(status));
    sim_fault_arm(NULL);
    struct sim_image *left = sim_disk_image(sim_world_disk());
    close_store(maker);
    sim_world_life(left);
    sim_image_release(left);
    memcpy(maker->made->expected, expected, sizeof expected);
}

static void write_last(struct maker *maker) {
    begin(maker);
    put_small(maker, 0, 2);
    put(maker, 20, 300);
    commit(maker);
    copy_index(maker);
    remember(maker);
    begin(maker);
    put(maker, 21, 100);
    put_sector(maker, 22);
    remove_key(maker, 7);
    commit(maker);
    remember(maker);
    reopen(maker, 4096); /* this one's row has redo */
    begin(maker);
    put(maker, 18, 60);
    commit(maker);
}

/* ---- what is known of it ---- */

static void note_file(void *context, const char *path, uint64_t size_bytes) {
    struct damage_store *store = context;
    CASES_CHECK(store->file_count < DAMAGE_FILES_MAX, "setup", "too many files");
    struct damage_file *file = &store->files[store->file_count++];
    (void)snprintf(file->path, sizeof file->path, "%s", path);
    file->name = strrchr(file->path, '/') + 1;
    file->size_bytes = size_bytes;
}

/* Redo begins where the synced log ends: it is that of the newest rows, without a gap. */
static uint64_t find_log_end(const struct damage_store *store, uint64_t committed_end) {
    uint64_t end = committed_end;
    for (size_t i = 0; i < store->ledger.count; i++) {
        const struct faster_commit_row *row = &store->ledger.rows[i];
        if (row->redo_bytes > 0 && row->end - row->redo_bytes < end) {
            end = row->end - row->redo_bytes;
        }
    }
    return end;
}

/* Of a direct store's last cut only a clean close knows. So the last one of a killed process
 * changes nothing; the one before it is known by it. */
static struct sim_image *kill_behind_last(struct maker *maker) {
    write_value(maker, 18, maker->made->expected[18]);
    commit(maker);
    maker->made->serials[1] = faster_session_serial(maker->session);
    struct sim_image *left = sim_disk_image(sim_world_disk());
    close_store(maker);
    return left;
}

void damage_make_store(struct damage_store *store, const char *name, bool is_direct,
                       bool is_killed) {
    struct maker made = {.made = store};
    struct maker *maker = &made;
    struct faster_error error = {0};
    *store = (struct damage_store){.name = name, .is_direct = is_direct, .is_killed = is_killed};
    const struct faster_options options = damage_options(store);
    sim_world_life(NULL);
    MUST(faster_store_create(&options, NULL, &error));
    open_store(maker, 4096);
    write_first(maker);
    write_sectors(maker);
    write_manifest(maker);
    fail_half(maker);
    open_store(maker, UINT64_MAX);
    write_last(maker);
    if (!is_killed) {
        reopen(maker, 4096);
    }
    const uint64_t committed_end = maker->store->committed.end;
    store->serials[0] = store->serials[1] = faster_session_serial(maker->session);
    struct sim_image *left = NULL;
    if (is_killed) {
        left = kill_behind_last(maker);
    } else {
        close_store(maker);
        left = sim_disk_image(sim_world_disk());
    }
    CASES_CHECK(maker->older_count == DAMAGE_OLDER, "setup", "too few older states");

    /* The lock file names the process that had the store open last: that of the cases to come. A
     * session with a name would make the last cut durable. */
    sim_world_case(0, SIM_IN_ORDER);
    sim_world_life(left);
    sim_image_release(left);
    open_for(maker, 4096, false);
    close_store(maker);
    store->image = sim_disk_image(sim_world_disk());
    sim_image_each(store->image, note_file, store);
    store->log_end = find_log_end(store, committed_end);
    for (uint32_t key = 0; key < DAMAGE_KEYS; key++) {
        store->bytes[key] = malloc(store->expected[key].size_bytes + 1);
        CASES_CHECK(store->bytes[key] != NULL, "setup", "no memory");
        fill_bytes(key, store->expected[key], store->bytes[key]);
    }
}

void damage_forget_store(struct damage_store *store) {
    sim_image_release(store->image);
    for (size_t i = 0; i < DAMAGE_OLDER; i++) {
        sim_image_release(store->older[i]);
    }
    for (uint32_t key = 0; key < DAMAGE_KEYS; key++) {
        free(store->bytes[key]);
    }
    ledger_finish(&store->ledger);
}
