/* faults_life.c - calls of a store that may fail, each compared with the model. */
#include <stdio.h>
#include <string.h>

#include "faults.h"
#include "sim_world.h"

static unsigned char bytes_of[MODEL_VALUE_BYTES_MAX];

static void on_diagnostic(void *context, enum faster_diagnostic_level level, const char *module,
                          const char *message) {
    struct faults_life *life = context;
    (void)message;
    life->close_has_failed = life->close_has_failed ||
                             (level == FASTER_DIAGNOSTIC_ERROR && strcmp(module, "close") == 0);
}

struct faster_options faults_options(struct faults_life *life) {
    return (struct faster_options){
        .env = sim_world_env(),
        .directory = FAULTS_PATH,
        .uuid = {0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1},
        .memory_bytes = FASTER_MEMORY_BYTES_MIN,
        .page_bytes = FASTER_PAGE_BYTES_MIN,
        .segment_bytes = 4 * FASTER_PAGE_BYTES_MIN,
        .inline_commit_bytes = 256,
        .writes = life->is_direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL,
        .io_threads = 2,
        .index_bits = 4,
        .diagnostic = on_diagnostic,
        .diagnostic_context = life,
    };
}

void faults_failed(struct faults_life *life, enum faster_status status, const char *call) {
    const bool is_damage = status == FASTER_CORRUPT || status == FASTER_FOREIGN ||
                           status == FASTER_VERSION_NEWER || status == FASTER_COPY ||
                           status == FASTER_MISSING;
    CASES_CHECK(life->allowed.failures, "P6", "%s: %s%s%s", call, faster_status_name(status),
                life->session != NULL ? ": " : "",
                life->session != NULL ? faster_session_message(life->session) : "");
    CASES_CHECK(status == FASTER_IO || status == FASTER_FULL || status == FASTER_NOMEM ||
                    status == FASTER_FAILED || (is_damage && life->allowed.damage),
                "P4", "%s: %s", call, faster_status_name(status));
    life->failures++;
    if (status == FASTER_FAILED) {
        CASES_CHECK(life->allowed.breaking, "P6", "%s: writes no more, for no reason", call);
        life->is_broken = true;
    }
}

static bool succeeds(struct faults_life *life, enum faster_status status, const char *call) {
    if (status < FASTER_OK) {
        faults_failed(life, status, call);
    }
    return status >= FASTER_OK;
}

/* The final status of a call that may be waiting. */
static enum faster_status complete(struct faults_life *life, const struct faster_op *op,
                                   enum faster_status status) {
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(life->session, true);
        status = op->status;
    }
    CASES_CHECK(status != FASTER_PENDING, "P9", "an operation is pending for ever");
    return status;
}

/* ---- open and close ---- */

bool faults_open(struct faults_life *life) {
    const struct faster_options options = faults_options(life);
    struct faster_error error = {0};
    enum faster_status status = faster_store_open(&options, &life->store, &error);
    CASES_CHECK(status == FASTER_OK || error.message[0] != '\0', "P4", "%s without a message",
                faster_status_name(status));
    if (status == FASTER_OK) {
        status = faster_session_open(life->store, &life->session);
    }
    if (status == FASTER_OK && !life->is_direct) {
        status = ledger_meet(&life->ledger, life->session);
    }
    if (succeeds(life, status, "open")) {
        return true;
    }
    faster_session_close(life->session);
    faster_store_close(life->store);
    life->session = NULL;
    life->store = NULL;
    return false;
}

/* A clean close keeps all of a direct store; one that fails, or of a broken store, may. */
void faults_close(struct faults_life *life) {
    uint64_t last = life->acked;
    if (life->txn != NULL) {
        faster_txn_rollback(life->txn);
        life->txn = NULL;
        model_rollback(life->model);
    }
    if (life->is_direct) {
        last = model_commit(life->model);
    }
    life->close_has_failed = false;
    faster_session_close(life->session);
    faster_store_close(life->store);
    life->session = NULL;
    life->store = NULL;
    if (!life->is_broken && !life->close_has_failed) {
        life->acked = last;
    }
    life->is_broken = false;
}

/* ---- writes ---- */

/* True: there is a transaction, or none is needed. */
static bool begin(struct faults_life *life) {
    if (life->is_direct || life->txn != NULL) {
        return true;
    }
    if (!succeeds(life, ledger_begin(&life->ledger, life->session, &life->txn), "begin")) {
        life->txn = NULL;
        return false;
    }
    model_begin(life->model);
    return true;
}

static void wrote(struct faults_life *life, enum faster_status status, uint32_t key,
                  model_value value, const char *call) {
    if (succeeds(life, status, call)) {
        /* A transaction that was open already goes on, and does not commit. */
        CASES_CHECK(!life->is_broken || !life->is_direct, "P5",
                    "%s: a write after one that has failed for ever", call);
        CASES_CHECK(status == FASTER_OK, "P9", "%s: %s", call, faster_status_name(status));
        model_put(life->model, key, value);
    }
}

void faults_write(struct faults_life *life, uint32_t key, model_value value) {
    char text[16];
    struct faster_op op = {.key = {text, model_key(key, text)}};
    enum faster_status status;
    if (!begin(life)) {
        return;
    }
    if (value == 0) {
        status = life->is_direct ? faster_session_delete(life->session, &op)
                                 : faster_txn_delete(life->txn, &op);
    } else {
        op.value = (struct faster_bytes){bytes_of, model_bytes(value, bytes_of)};
        status = life->is_direct ? faster_session_upsert(life->session, &op)
                                 : faster_txn_upsert(life->txn, &op);
    }
    wrote(life, complete(life, &op, status), key, value, value == 0 ? "delete" : "upsert");
}

void faults_put(struct faults_life *life, uint32_t key, enum model_size size) {
    faults_write(life, key, model_value_make(life->next_value++, size));
}

static enum faster_status set_value(void *context, const struct faster_bytes *old,
                                    struct faster_buffer *value) {
    const model_value *new_value = context;
    (void)old;
    return faster_buffer_assign(value, bytes_of, model_bytes(*new_value, bytes_of));
}

void faults_merge(struct faults_life *life, uint32_t key) {
    char text[16];
    model_value value = model_value_make(life->next_value++, MODEL_MEDIUM);
    struct faster_op op = {
        .key = {text, model_key(key, text)}, .merge = set_value, .context = &value};
    if (begin(life)) {
        const enum faster_status status = life->is_direct ? faster_session_rmw(life->session, &op)
                                                          : faster_txn_rmw(life->txn, &op);
        wrote(life, complete(life, &op, status), key, value, "merge");
    }
}

static enum faster_status commit_direct(struct faults_life *life) {
    const uint64_t tried = model_commit(life->model);
    const enum faster_status status = faster_session_commit(life->session);
    life->acked = status == FASTER_OK ? tried : life->acked;
    return status;
}

static enum faster_status commit_transaction(struct faults_life *life) {
    const enum faster_status status = ledger_commit(&life->ledger, life->txn);
    life->txn = NULL;
    if (status == FASTER_OK) {
        life->acked = model_commit(life->model);
    } else {
        model_rollback(life->model);
    }
    return status;
}

void faults_commit(struct faults_life *life) {
    if (!begin(life)) {
        return;
    }
    const enum faster_status status =
        life->is_direct ? commit_direct(life) : commit_transaction(life);
    if (succeeds(life, status, "commit")) {
        CASES_CHECK(!life->is_broken, "P5", "a commit after a failure that is final");
        CASES_CHECK(!life->allowed.is_final || sim_fault_fired() == 0, "P5",
                    "a commit that is acknowledged after a failed write or sync");
    }
}

bool faults_checkpoint(struct faults_life *life) {
    uint64_t obsolete_below = 0;
    const enum faster_status status = faster_session_checkpoint(
        life->session, ledger_newest(&life->ledger), &obsolete_below, NULL, NULL);
    if (!succeeds(life, status, "checkpoint")) {
        return false;
    }
    ledger_delete_below(&life->ledger, obsolete_below);
    return true;
}

/* Of a direct store it is a commit, too. */
bool faults_take_checkpoint(struct faults_life *life, enum faster_checkpoint_index index) {
    struct faster_checkpoint_request request = {.index = index};
    uint64_t tried = life->acked;
    if (life->is_direct) {
        tried = model_commit(life->model);
    } else if (begin(life)) {
        request.durable = ledger_newest(&life->ledger);
    } else {
        return false;
    }
    const enum faster_status status = faster_session_take_checkpoint(life->session, &request, NULL);
    if (!succeeds(life, status, "checkpoint")) {
        return false;
    }
    CASES_CHECK(status == FASTER_OK, "P3", "a checkpoint: %s", faster_status_name(status));
    CASES_CHECK(!life->is_broken, "P5", "a checkpoint after a failure that is final");
    life->acked = tried;
    return true;
}

/* ---- reads ---- */

/* Whether the read was carried out; a key that is not there has value 0. */
static bool read_key(struct faults_life *life, const struct faster_snapshot *snapshot, uint32_t key,
                     model_value *value) {
    char text[16];
    struct faster_buffer result = {.env = sim_world_env()};
    struct faster_op op = {.key = {text, model_key(key, text)}, .result = &result};
    const enum faster_status status = complete(life, &op, faster_snapshot_read(snapshot, &op));
    const bool is_done = succeeds(life, status, "read");
    if (is_done) {
        *value = status == FASTER_OK ? model_value_parse(result.data, result.size_bytes) : 0;
        CASES_CHECK(status == FASTER_NOT_FOUND || *value != 0, "P4",
                    "key %u: %zu bytes that were never written", key, result.size_bytes);
    }
    faster_buffer_finish(&result);
    return is_done;
}

static bool open_newest(struct faults_life *life, struct faster_snapshot *snapshot) {
    enum faster_status status = FASTER_OK;
    if (!life->is_direct) {
        status = ledger_meet(&life->ledger, life->session);
    }
    if (status == FASTER_OK) {
        status = faster_snapshot_open_newest(life->session, snapshot);
    }
    return succeeds(life, status, "a snapshot");
}

void faults_read_all(struct faults_life *life) {
    struct faster_snapshot snapshot;
    if (!open_newest(life, &snapshot)) {
        return;
    }
    for (uint32_t key = 0; key < FAULTS_KEYS; key++) {
        model_value value;
        if (read_key(life, &snapshot, key, &value)) {
            CASES_CHECK(value == model_get(life->model, key), "P4", "key %u: %u instead of %u", key,
                        value, model_get(life->model, key));
        }
    }
    faster_snapshot_close(&snapshot);
}

/* Each record of a scan is the model's, and none comes twice. */
static enum faster_status scan_records(struct faults_life *life, struct faster_scan *scan,
                                       bool *is_seen) {
    struct faster_bytes key, value;
    enum faster_status status;
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        uint32_t number = FAULTS_KEYS;
        CASES_CHECK(model_key_parse(key.data, key.size_bytes, &number) && number < FAULTS_KEYS,
                    "P4", "a scan gives a key that was never written");
        CASES_CHECK(!is_seen[number], "P4", "a scan gives key %u twice", number);
        CASES_CHECK(model_is_bytes(model_get(life->model, number), value.data, value.size_bytes),
                    "P4", "a scan gives another value of key %u", number);
        is_seen[number] = true;
    }
    return status;
}

void faults_scan(struct faults_life *life) {
    struct faster_snapshot snapshot;
    struct faster_scan *scan;
    bool is_seen[FAULTS_KEYS] = {false};
    if (!open_newest(life, &snapshot)) {
        return;
    }
    enum faster_status status = faster_scan_open(&snapshot, &scan);
    if (status == FASTER_OK) {
        status = scan_records(life, scan, is_seen);
        faster_scan_close(scan);
    }
    for (uint32_t key = 0; status == FASTER_END && key < FAULTS_KEYS; key++) {
        CASES_CHECK(is_seen[key] == (model_get(life->model, key) != 0), "P4",
                    "a scan ends without key %u", key);
    }
    faster_snapshot_close(&snapshot);
    (void)succeeds(life, status, "scan");
}

/* Old versions, too: whatever was written, and nothing else. */
static enum faster_status walk_records(struct faster_records *records) {
    struct faster_record record;
    enum faster_status status;
    while ((status = faster_records_next(records, &record)) == FASTER_OK) {
        uint32_t key = FAULTS_KEYS;
        CASES_CHECK(record.kind != FASTER_RECORD_VALUE ||
                        (model_key_parse(record.key.data, record.key.size_bytes, &key) &&
                         model_value_parse(record.value.data, record.value.size_bytes) != 0),
                    "P4", "a record at %llu that was never written",
                    (unsigned long long)record.address);
    }
    return status;
}

void faults_records(struct faults_life *life) {
    struct faster_snapshot snapshot;
    struct faster_scan *scan;
    struct faster_records *records;
    if (!open_newest(life, &snapshot)) {
        return;
    }
    /* Beside a scan, which has taken the buffers that the store keeps. */
    enum faster_status status = faster_scan_open(&snapshot, &scan);
    const bool has_scan = status == FASTER_OK;
    if (status == FASTER_OK) {
        status = faster_records_open(&snapshot, 0, UINT64_MAX, &records);
    }
    if (status == FASTER_OK) {
        status = walk_records(records);
        faster_records_close(records);
    }
    if (has_scan) {
        faster_scan_close(scan);
    }
    faster_snapshot_close(&snapshot);
    (void)succeeds(life, status, "the records");
}

static void print_finding(void *context, const struct faster_finding *finding) {
    (void)context;
    fprintf(stderr, "verify: %s: %s at %llu\n", finding->file, finding->what,
            (unsigned long long)finding->address);
}

void faults_verify(struct faults_life *life) {
    uint64_t findings = 0;
    const enum faster_status status = faster_session_verify(
        life->session, life->allowed.damage ? NULL : print_finding, NULL, NULL, NULL, &findings);
    CASES_CHECK(findings == 0 || life->allowed.damage, "P4", "verify finds damage where none is");
    (void)succeeds(life, status, "verify");
}

void faults_find(struct faults_life *life) {
    struct faster_snapshot snapshot;
    model_value map[FAULTS_KEYS];
    char why[MODEL_WHY_BYTES] = "";
    if (!open_newest(life, &snapshot)) {
        return;
    }
    for (uint32_t key = 0; key < FAULTS_KEYS; key++) {
        map[key] = 0;
        (void)read_key(life, &snapshot, key, &map[key]);
    }
    faster_snapshot_close(&snapshot);
    const uint64_t found =
        model_find(life->model, map, life->acked, model_newest(life->model), why);
    CASES_CHECK(found != UINT64_MAX, "P3", "what is recovered is no commit: %s", why);
    model_resume(life->model, found);
    life->acked = found;
}
