/* crash_transactional_operations.c - the store of crash_transactional, its decider, and what is
 * done to them.
 *
 * The decider is a ledger in memory. Whatever it comes to hold is remembered as a decision, with
 * the map that belongs to it: MARK_ROW when its transaction may have reached the disk,
 * MARK_ROW_DURABLE when it cannot be lost any more. A crash leaves one of those between.
 */
#include "crash_transactional.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sim_run.h"
#include "sim_world.h"

#define SMALL_KEYS 16u
#define CHUNKED_KEY 16u /* and the next one */
#define LARGE_KEY 18u   /* and the next five */
#define LARGE_KEYS 6u
#define ROLLBACK_TURNS 7u /* more pages than memory keeps */

const char *const TXN_OP_NAMES[TXN_OPS] = {
    [TXN_PUT] = "put",
    [TXN_DELETE] = "delete",
    [TXN_COMMIT] = "commit",
    [TXN_SYNCED] = "synced",
    [TXN_CHUNKED] = "chunked",
    [TXN_SAVEPOINT] = "savepoint",
    [TXN_ROLLBACK] = "rollback",
    [TXN_LOST] = "lost",
    [TXN_RETURNED] = "returned",
    [TXN_BUSY] = "busy",
    [TXN_CHECKPOINT] = "checkpoint",
    [TXN_REOPEN] = "reopen",
    [TXN_COPY] = "copy",
    [TXN_INDEX] = "index",
    [TXN_LEAVE] = "leave",
};

uint32_t txn_draw(struct txn_store *store, uint32_t below) {
    return (uint32_t)(sim_next(&store->random) >> 33) % below;
}

/* ---- decisions ---- */

void decisions_finish(struct decisions *decisions) {
    for (uint32_t i = 0; i < decisions->count; i++) {
        ledger_finish(&decisions->each[i].ledger);
    }
    free(decisions->each);
    *decisions = (struct decisions){0};
}

static uint64_t hash_of(const struct decision *decision) {
    uint64_t hash = fst_hash_bytes(decision->map, sizeof decision->map, 0);
    for (size_t i = 0; i < decision->ledger.count; i++) {
        hash = sim_mix(hash, decision->ledger.rows[i].checksum);
    }
    return hash;
}

/* Takes the ledger over. */
static void push(struct decisions *decisions, struct ledger ledger, const model_value *map) {
    if (decisions->count == decisions->capacity) {
        decisions->capacity = decisions->capacity * 2 + 16;
        decisions->each = realloc(decisions->each, decisions->capacity * sizeof *decisions->each);
        CASES_CHECK(decisions->each != NULL, "memory", "no memory for decisions");
    }
    struct decision *decision = &decisions->each[decisions->count++];
    decision->ledger = ledger;
    memcpy(decision->map, map, sizeof decision->map);
    decision->hash = hash_of(decision);
}

void txn_decide(struct txn_store *store, const model_value *map, bool is_durable) {
    push(&store->decisions, ledger_copy(&store->ledger), map);
    sim_mark(MARK_ROW, store->decisions.count - 1);
    if (is_durable) {
        sim_mark(MARK_ROW_DURABLE, store->decisions.count - 1);
    }
}

static const model_value *committed_map(const struct txn_store *store) {
    return model_version(store->model, model_newest(store->model));
}

/* What the working map is. */
static void copy_now(const struct txn_store *store, model_value map[TXN_KEYS]) {
    for (uint32_t key = 0; key < TXN_KEYS; key++) {
        map[key] = model_get(store->model, key);
    }
}

/* ---- life ---- */

static struct faster_options options_of(const struct txn_config *config) {
    struct faster_options options = {.directory = "/" TXN_UUID,
                                     .memory_bytes = FASTER_MEMORY_BYTES_MIN,
                                     .inline_commit_bytes = config->inline_commit_bytes,
                                     .io = FASTER_IO_THREADS,
                                     .io_threads = 2,
                                     .index_bits = 4};
    (void)faster_uuid_parse(TXN_UUID, options.uuid);
    return options;
}

enum faster_status txn_create(const struct txn_config *config) {
    struct faster_options options = options_of(config);
    options.page_bytes = FASTER_PAGE_BYTES_MIN;
    options.segment_bytes = config->segment_bytes;
    return faster_store_create(&options, NULL, NULL);
}

enum faster_status txn_remove(void) {
    const struct faster_options options = options_of(&TXN_CONFIGS[0]);
    return faster_store_remove(faster_env_posix(), options.directory, options.uuid, NULL);
}

static enum faster_status open_store(struct txn_store *store, struct faster_error *error) {
    struct faster_options options = options_of(store->config);
    options.checkpoint_bytes = store->takes_due ? FASTER_CHECKPOINT_BYTES_MIN : UINT64_MAX;
    enum faster_status status = faster_store_open(&options, &store->store, error);
    if (status == FASTER_OK) {
        status = faster_session_open(store->store, &store->session);
    }
    if (status == FASTER_OK) {
        status = ledger_meet(&store->ledger, store->session);
    }
    return status;
}

void txn_open(struct txn_store *store) {
    struct faster_error error = {0};
    store->older = (struct faster_commit_row){0};
    const enum faster_status status = open_store(store, &error);
    CASES_CHECK(status == FASTER_OK, "P1", "open: %s: %s%s", faster_status_name(status),
                error.message,
                store->session != NULL ? faster_session_message(store->session) : "");
}

enum faster_status txn_try_open(struct txn_store *store) {
    struct faster_error error = {0};
    const enum faster_status status = open_store(store, &error);
    if (status != FASTER_OK) {
        txn_close(store);
    }
    return status;
}

static void roll_back(struct txn_store *store) {
    if (store->txn != NULL) {
        faster_txn_rollback(store->txn);
        store->txn = NULL;
        model_rollback(store->model);
    }
}

void txn_close(struct txn_store *store) {
    roll_back(store);
    faster_session_close(store->session);
    faster_store_close(store->store);
    store->session = NULL;
    store->store = NULL;
}

static void open_snapshot(struct txn_store *store, struct faster_snapshot *snapshot) {
    enum faster_status status = ledger_meet(&store->ledger, store->session);
    CASES_CHECK(status == FASTER_OK, "P1", "meet: %s: %s", faster_status_name(status),
                faster_session_message(store->session));
    status = faster_snapshot_open(store->session, ledger_newest(&store->ledger), snapshot);
    CASES_CHECK(status == FASTER_OK, "P1", "snapshot: %s", faster_status_name(status));
}

void txn_read_map(struct txn_store *store, model_value map[TXN_KEYS]) {
    struct faster_snapshot snapshot;
    open_snapshot(store, &snapshot);
    crash_read_map(store->session, &snapshot, TXN_KEYS, map);
    faster_snapshot_close(&snapshot);
}

/* The model begins anew: its version 1 is the decision's map. */
static void set_model(struct txn_store *store, const model_value *map) {
    model_destroy(store->model);
    store->model = model_create(TXN_KEYS);
    for (uint32_t key = 0; key < TXN_KEYS; key++) {
        model_put(store->model, key, map[key]);
    }
    (void)model_commit(store->model);
}

void txn_begin(struct txn_store *store, const struct sim_image *image,
               const struct decision *decision, bool is_durable) {
    struct ledger ledger = ledger_copy(&decision->ledger);
    sim_world_life(image);
    set_model(store, decision->map);
    ledger_finish(&store->ledger);
    store->ledger = ledger;
    txn_decide(store, committed_map(store), false);
    sim_mark(is_durable ? MARK_ROW_DURABLE : MARK_PHASE, store->decisions.count - 1);
    sim_mark(MARK_SAFE, 1); /* the store is there */
    txn_open(store);
}

void txn_end_recording(struct txn_store *store, struct crash_recording *recording) {
    recording->disk = sim_world_take_disk();
    recording->to = sim_log_length(recording->disk);
    txn_close(store);
    struct decisions *content = malloc(sizeof *content);
    CASES_CHECK(content != NULL, "memory", "no memory for decisions");
    *content = store->decisions;
    recording->content = content;
    ledger_finish(&store->ledger);
    model_destroy(store->model);
}

/* ---- writes ---- */

static void ensure_txn(struct txn_store *store) {
    if (store->txn == NULL) {
        const enum faster_status status = ledger_begin(&store->ledger, store->session, &store->txn);
        CASES_CHECK(status == FASTER_OK, "P1", "begin: %s: %s", faster_status_name(status),
                    faster_session_message(store->session));
        model_begin(store->model);
    }
}

void txn_write(struct txn_store *store, uint32_t key, model_value value) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    char text[16];
    ensure_txn(store);
    struct faster_op op = {.value = {bytes, value != 0 ? model_bytes(value, bytes) : 0}};
    op.key = (struct faster_bytes){text, model_key(key, text)};
    enum faster_status status =
        value != 0 ? faster_txn_upsert(store->txn, &op) : faster_txn_delete(store->txn, &op);
    status = crash_complete(store->session, &op, status);
    CASES_CHECK(status == FASTER_OK, "P4", "a write: %s: %s", faster_status_name(status),
                faster_session_message(store->session));
    model_put(store->model, key, value);
}

static void put(struct txn_store *store, uint32_t key, enum model_size size) {
    txn_write(store, key, model_value_make(store->next_value++, size));
}

/* Nothing in place: a value takes none of a deletion's. */
static void write_pages(struct txn_store *store) {
    for (uint32_t i = 0; i < LARGE_KEYS; i++) {
        txn_write(store, LARGE_KEY + i, 0);
        put(store, LARGE_KEY + i, MODEL_PAGE);
    }
}

static void undo_savepoint(struct txn_store *store) {
    ensure_txn(store);
    put(store, 1, MODEL_SMALL);
    CASES_CHECK(faster_txn_savepoint(store->txn, 0) == FASTER_OK, "P2", "savepoint");
    model_savepoint(store->model, 0);
    put(store, 1, MODEL_MEDIUM);
    put(store, 2, MODEL_SMALL);
    txn_write(store, 3, 0);
    CASES_CHECK(faster_txn_rollback_to(store->txn, 0) == FASTER_OK, "P2", "rollback_to");
    model_rollback_to(store->model, 0);
    put(store, 4, MODEL_SMALL);
}

/* ---- ends ---- */

/* Ends the transaction with a row that the decider inserts; false: there is nothing to insert. */
static bool prepare(struct txn_store *store, struct faster_commit_row *row,
                    uint64_t *obsolete_below) {
    ensure_txn(store);
    *obsolete_below = 0;
    const enum faster_status status = faster_txn_prepare(store->txn, row, obsolete_below);
    CASES_CHECK(status == FASTER_OK || status == FASTER_NOT_FOUND, "P3", "prepare: %s",
                faster_status_name(status));
    return status == FASTER_OK;
}

/* Whoever takes a checkpoint of it may have it from before. */
static void note_older(struct txn_store *store) {
    const struct faster_commit_row *newest = ledger_newest(&store->ledger);
    if (newest != NULL) {
        store->older = *newest;
        store->older.redo = NULL;
        store->older.redo_bytes = 0;
    }
}

/* The decider is synced, and the store's own thread takes a checkpoint while life goes on. */
static void hand_over_if_due(struct txn_store *store) {
    struct faster_commit_row row;
    if (faster_store_checkpoint_claim(store->store)) {
        CASES_CHECK(faster_store_committed(store->store, &row), "P3", "due without a commit");
        sim_mark(MARK_ROW_DURABLE, store->decisions.count - 1);
        cases_add("checkpoints due", 1);
        faster_store_checkpoint_hand_over(store->store, &row);
    }
}

void txn_commit(struct txn_store *store) {
    struct faster_commit_row row;
    uint64_t obsolete_below;
    if (prepare(store, &row, &obsolete_below)) {
        note_older(store);
        ledger_insert(&store->ledger, &row, obsolete_below);
        (void)model_commit(store->model);
        txn_decide(store, committed_map(store), store->config->syncs);
    } else {
        model_rollback(store->model);
    }
    faster_txn_commit(store->txn);
    store->txn = NULL;
    hand_over_if_due(store);
}

/* The decider may have the row, and then it turns out that it has, or has not. */
static void doubt(struct txn_store *store, bool returns) {
    struct faster_commit_row row;
    uint64_t obsolete_below;
    model_value map[TXN_KEYS];
    put(store, 5, MODEL_SMALL);
    put(store, txn_draw(store, SMALL_KEYS), MODEL_MEDIUM);
    CASES_CHECK(prepare(store, &row, &obsolete_below), "P1", "nothing to commit");
    struct ledger before = ledger_copy(&store->ledger);
    ledger_insert(&store->ledger, &row, obsolete_below);
    copy_now(store, map);
    txn_decide(store, map, returns && store->config->syncs);
    faster_txn_rollback(store->txn);
    store->txn = NULL;
    if (returns) {
        (void)model_commit(store->model);
        ledger_finish(&before);
        return;
    }
    model_rollback(store->model);
    ledger_finish(&store->ledger);
    store->ledger = before;
    txn_decide(store, committed_map(store), false);
}

/* The decider may have the row, though it says that it has not. */
static void hand_out(struct txn_store *store, const struct faster_commit_row *row,
                     uint64_t obsolete_below) {
    model_value map[TXN_KEYS];
    struct ledger before = ledger_copy(&store->ledger);
    ledger_insert(&store->ledger, row, obsolete_below);
    copy_now(store, map);
    txn_decide(store, map, false);
    ledger_finish(&store->ledger);
    store->ledger = before;
}

static void commit_after_busy(struct txn_store *store) {
    struct faster_commit_row row;
    uint64_t obsolete_below;
    put(store, 6, MODEL_SMALL);
    put(store, 7, MODEL_WORD);
    if (prepare(store, &row, &obsolete_below)) {
        hand_out(store, &row, obsolete_below);
    }
    /* What a savepoint has frozen thaws, but for what the row tells of. */
    CASES_CHECK(faster_txn_savepoint(store->txn, 0) == FASTER_OK, "P2", "savepoint");
    faster_txn_release(store->txn, 0);
    put(store, 7, MODEL_WORD);
    put(store, 6, MODEL_SMALL);
    txn_commit(store);
}

/* All there is, so that what was written before is dead. A value in chunks comes first. */
static void rewrite_all(struct txn_store *store) {
    put(store, CHUNKED_KEY, MODEL_CHUNKED);
    for (uint32_t key = 0; key < TXN_KEYS; key++) {
        if (key != CHUNKED_KEY && model_get(store->model, key) != 0) {
            put(store, key, MODEL_SMALL);
        }
    }
}

/* Under the decider's lock, with its newest row safe. */
static void run_checkpoint(struct txn_store *store, uint64_t *obsolete_below) {
    ensure_txn(store);
    const enum faster_status status = faster_session_checkpoint(
        store->session, ledger_newest(&store->ledger), obsolete_below, NULL, NULL);
    CASES_CHECK(status == FASTER_OK, "P3", "checkpoint: %s: %s", faster_status_name(status),
                faster_session_message(store->session));
    roll_back(store);
}

/* Once beside a snapshot, which keeps what it sees, and once without. */
static void checkpoint(struct txn_store *store) {
    uint64_t obsolete_below = 0;
    struct faster_snapshot snapshot;
    model_value before[TXN_KEYS], now[TXN_KEYS];
    roll_back(store);
    open_snapshot(store, &snapshot);
    memcpy(before, committed_map(store), sizeof before);
    rewrite_all(store);
    txn_commit(store);
    sim_mark(MARK_ROW_DURABLE, store->decisions.count - 1);
    run_checkpoint(store, &obsolete_below);
    crash_read_map(store->session, &snapshot, TXN_KEYS, now);
    CASES_CHECK(memcmp(before, now, sizeof now) == 0, "P4", "a snapshot has changed");
    faster_snapshot_close(&snapshot);
    run_checkpoint(store, &obsolete_below);
    ledger_delete_below(&store->ledger, obsolete_below);
    txn_decide(store, committed_map(store), store->config->syncs);
}

/* Everything up to this row is safe in the decider; what came later is as it was. */
static void make_durable(const struct txn_store *store, const struct faster_commit_row *row) {
    const struct sim_disk *disk = sim_world_disk();
    const uint64_t before = cases_newest_mark(disk, sim_log_length(disk), MARK_ROW_DURABLE);
    uint64_t number = store->decisions.count - 1;
    for (; number > before; number--) {
        const struct faster_commit_row *newest =
            ledger_newest(&store->decisions.each[number].ledger);
        if (newest != NULL && newest->number == row->number && newest->nonce == row->nonce) {
            break;
        }
    }
    sim_mark(MARK_ROW_DURABLE, number);
}

/* Without the decider's lock. What the open transaction has written is no part of it. */
static void take_checkpoint(struct txn_store *store, enum faster_checkpoint_kind kind,
                            enum faster_checkpoint_index index) {
    struct faster_checkpoint_request request = {.kind = kind, .index = index};
    put(store, 9, MODEL_SMALL);
    put(store, txn_draw(store, SMALL_KEYS), MODEL_MEDIUM);
    request.durable = ledger_newest(&store->ledger);
    if (request.durable == NULL) {
        return;
    }
    if (kind == FASTER_CHECKPOINT_INDEX_ONLY && store->older.number != 0) {
        request.durable = &store->older;
    }
    make_durable(store, request.durable);
    const enum faster_status status =
        faster_session_take_checkpoint(store->session, &request, NULL);
    CASES_CHECK(status == FASTER_OK ||
                    (status == FASTER_BUSY && kind == FASTER_CHECKPOINT_INDEX_ONLY),
                "P3", "checkpoint: %s: %s", faster_status_name(status),
                faster_session_message(store->session));
}

/* ---- reopening ---- */

static void kill_process(struct txn_store *store) {
    sim_mark(MARK_PHASE, 0); /* a boundary */
    const struct sim_disk *disk = sim_world_disk();
    struct sim_image *image = crash_one_state(disk, sim_log_length(disk), SIM_KILL, 0);
    txn_close(store);
    const struct decision decision = store->decisions.each[store->decisions.count - 1];
    txn_begin(store, image, &decision, true);
    sim_image_release(image);
}

static void reopen(struct txn_store *store) {
    if (store->turns++ % 2 == 1) {
        kill_process(store);
    } else {
        txn_close(store);
        txn_open(store);
    }
}

void txn_operate(struct txn_store *store, enum txn_op op) {
    switch (op) {
    case TXN_PUT:
        put(store, txn_draw(store, SMALL_KEYS), MODEL_SMALL);
        put(store, txn_draw(store, SMALL_KEYS), MODEL_MEDIUM);
        break;
    case TXN_DELETE:
        txn_write(store, txn_draw(store, SMALL_KEYS), 0);
        break;
    case TXN_COMMIT:
        put(store, 8, MODEL_SMALL);
        txn_commit(store);
        break;
    case TXN_SYNCED:
        write_pages(store);
        txn_commit(store);
        break;
    case TXN_CHUNKED:
        put(store, CHUNKED_KEY + txn_draw(store, 2), MODEL_CHUNKED);
        break;
    case TXN_SAVEPOINT:
        undo_savepoint(store);
        break;
    case TXN_ROLLBACK:
        for (uint32_t i = 0; i < ROLLBACK_TURNS; i++) {
            write_pages(store);
        }
        roll_back(store);
        break;
    case TXN_LOST:
        doubt(store, false);
        break;
    case TXN_RETURNED:
        doubt(store, true);
        break;
    case TXN_BUSY:
        commit_after_busy(store);
        break;
    case TXN_CHECKPOINT:
        checkpoint(store);
        break;
    case TXN_REOPEN:
        reopen(store);
        break;
    case TXN_COPY:
        take_checkpoint(store, FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_COPY);
        break;
    case TXN_INDEX:
        take_checkpoint(store, FASTER_CHECKPOINT_INDEX_ONLY, FASTER_INDEX_COPY);
        break;
    case TXN_LEAVE:
        take_checkpoint(store, FASTER_CHECKPOINT_FOLD_OVER, FASTER_INDEX_LEAVE);
        break;
    case TXN_OPS:
        break;
    }
}
