/* model_store_check.c - reading a store and comparing it with the model. */
#include "model_store.h"

static void check_key(struct run *run, const struct faster_snapshot *snapshot,
                      const uint32_t *state, uint32_t index) {
    char key[16];
    unsigned char expected[VALUE_BYTES_MAX + 4];
    key_of(index, key);
    struct faster_buffer value = {.env = faster_env_posix()};
    struct faster_op op = {.key = {key, strlen(key)}, .result = &value};
    enum faster_status status = faster_snapshot_read(snapshot, &op);
    if (status == FASTER_PENDING) {
        faster_session_complete_pending(snapshot->session, true);
        status = op.status;
    }
    run->reads++;
    if (state[index] == 0) {
        CHECK(run, status == FASTER_NOT_FOUND, "a deleted key came back", status);
    } else {
        CHECK(run, status == FASTER_OK, "a key is missing", status);
        size_t count = value_bytes_of(state[index], expected);
        CHECK(run, count == value.size_bytes && memcmp(value.data, expected, count) == 0,
              "a wrong value", status);
    }
    faster_buffer_finish(&value);
}

static void check_scan(struct run *run, const struct faster_snapshot *snapshot,
                       const uint32_t *state) {
    struct faster_scan *scan;
    struct faster_bytes key, value;
    unsigned char expected[VALUE_BYTES_MAX + 4];
    uint32_t live = 0, seen = 0;
    bool found[KEY_COUNT] = {false};
    enum faster_status status = faster_scan_open(snapshot, &scan);
    CHECK(run, status == FASTER_OK, "scan_open", status);
    while ((status = faster_scan_next(scan, &key, &value)) == FASTER_OK) {
        char text[16] = {0};
        CHECK(run, key.size_bytes < sizeof text, "a scan shows a strange key", key.size_bytes);
        memcpy(text, key.data, key.size_bytes);
        uint32_t index = (uint32_t)strtoul(text + 4, NULL, 10);
        CHECK(run, index < KEY_COUNT && !found[index], "a scan repeats a key", index);
        found[index] = true;
        CHECK(run, state[index] != 0, "a scan shows a deleted key", index);
        size_t count = value_bytes_of(state[index], expected);
        CHECK(run, count == value.size_bytes && memcmp(value.data, expected, count) == 0,
              "a scan shows a wrong value", index);
        seen++;
    }
    CHECK(run, status == FASTER_END, "scan_next", status);
    faster_scan_close(scan);
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        live += state[i] != 0;
    }
    CHECK(run, live == seen, "a scan misses keys", seen);
    run->scans++;
}

void model_check_state(struct run *run, const struct faster_snapshot *snapshot,
                       const uint32_t *state, bool all) {
    if (all) {
        for (uint32_t i = 0; i < KEY_COUNT; i++) {
            check_key(run, snapshot, state, i);
        }
        check_scan(run, snapshot, state);
    } else {
        for (int i = 0; i < 5; i++) {
            check_key(run, snapshot, state, draw(run, KEY_COUNT));
        }
    }
}

void model_check_ledger(struct run *run, struct ledger *ledger, bool all) {
    struct faster_snapshot snapshot;
    const struct faster_commit_row *newest = ledger_newest(ledger);
    enum faster_status status = ledger_meet(ledger, run->reader);
    CHECK(run, status == FASTER_OK, faster_session_message(run->reader), status);
    status = faster_snapshot_open(run->reader, newest, &snapshot);
    CHECK(run, status == FASTER_OK, "snapshot_open", status);
    model_check_state(run, &snapshot, run->history[newest == NULL ? 0 : newest->number], all);
    faster_snapshot_close(&snapshot);
}

void model_verify(struct run *run) {
    uint64_t findings = 0;
    enum faster_status status =
        faster_session_verify(run->session, NULL, NULL, NULL, NULL, &findings);
    CHECK(run, status == FASTER_OK && findings == 0, "verify", status);
}
