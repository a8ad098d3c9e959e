/* fuzz_script.c - the input is a program of operations on a store in memory; a map says how each
 * one must come out (P1, P4).
 *
 * Input: a byte that chooses the kind of store, then operations: a byte for the kind, one for the
 * key, one for the value. Properties: each operation's status and each value read is the map's;
 * the last scan gives the map, verify finds nothing, and all memory comes back.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz_store.h"

#define KEY_COUNT 32u
#define OPERATIONS_MAX 150u
#define LEVELS 4
#define VALUE_BYTES_MAX 20000u /* more than a page */
/* The log of a store in memory is memory, too. */
#define MEMORY_BYTES_MAX (FUZZ_STORE_BYTES_MAX + OPERATIONS_MAX * (VALUE_BYTES_MAX + 4096u))

/* A value is a number; 0: absent. */
typedef uint32_t map[KEY_COUNT];

struct script {
    bool is_direct;
    struct ledger ledger;
    struct faster_store *store;
    struct faster_session *session;
    struct faster_txn *txn; /* open, of a transactional store */
    map now;                /* with the open transaction's writes */
    map committed;
    map savepoints[LEVELS];
    int levels; /* savepoints 0 to levels - 1 are set */
    uint32_t next_value;
};

/* ---- keys and values ---- */

static struct faster_bytes key_of(uint32_t key, char text[300]) {
    const size_t count = key == 0 ? 0 : key == 1 ? 299 : 1 + key % 7;
    memset(text, 'a' + (int)key % 26, count);
    if (count > 0) {
        text[0] = (char)key;
    }
    return (struct faster_bytes){text, count};
}

static size_t value_bytes(uint32_t value, unsigned char *bytes) {
    static const uint32_t sizes[] = {0, 4, 5, 8, 60, 900, 9000, VALUE_BYTES_MAX};
    const size_t count = sizes[value & 7];
    memset(bytes, (int)(value >> 3 & 0xff), count);
    if (count >= sizeof value) {
        memcpy(bytes, &value, sizeof value);
    }
    return count;
}

static bool is_value(uint32_t value, const void *bytes, size_t count) {
    static unsigned char expected[VALUE_BYTES_MAX];
    return value_bytes(value, expected) == count &&
           (count == 0 || memcmp(expected, bytes, count) == 0);
}

/* The low bits are the size. */
static uint32_t draw_value(struct script *script, struct fuzz_input *input) {
    return ++script->next_value << 3 | (fuzz_byte(input) & 7u);
}

/* Where two values cannot be told apart they are one. */
static bool same_value(uint32_t a, uint32_t b) {
    static unsigned char bytes[VALUE_BYTES_MAX];
    return a != 0 && b != 0 && is_value(a, bytes, value_bytes(b, bytes));
}

/* ---- operations ---- */

struct call {
    struct script *script;
    uint32_t key;
    uint32_t value;
    bool removes;
    bool leaves;
};

static enum faster_status merge(void *context, const struct faster_bytes *old,
                                struct faster_buffer *value) {
    static unsigned char bytes[VALUE_BYTES_MAX];
    const struct call *call = context;
    const uint32_t known = call->script->now[call->key];
    FUZZ_CHECK((old == NULL) == (known == 0), "a merge sees no value, or one that is gone");
    FUZZ_CHECK(old == NULL || is_value(known, old->data, old->size_bytes), "a merge's old value");
    if (call->removes || call->leaves) {
        return call->removes ? FASTER_REMOVE : FASTER_NOT_FOUND;
    }
    return faster_buffer_assign(value, bytes, value_bytes(call->value, bytes));
}

static enum faster_status run(struct script *script, struct faster_op *op,
                              enum faster_op_kind kind) {
    enum faster_status status = FASTER_MISUSE;
    switch (kind) {
    case FASTER_OP_UPSERT:
        status = script->is_direct ? faster_session_upsert(script->session, op)
                                   : faster_txn_upsert(script->txn, op);
        break;
    case FASTER_OP_INSERT:
        status = script->is_direct ? faster_session_insert(script->session, op)
                                   : faster_txn_insert(script->txn, op);
        break;
    case FASTER_OP_COMPARE_AND_SET:
        status = script->is_direct ? faster_session_compare_and_set(script->session, op)
                                   : faster_txn_compare_and_set(script->txn, op);
        break;
    case FASTER_OP_RMW:
        status = script->is_direct ? faster_session_rmw(script->session, op)
                                   : faster_txn_rmw(script->txn, op);
        break;
    case FASTER_OP_DELETE:
        status = script->is_direct ? faster_session_delete(script->session, op)
                                   : faster_txn_delete(script->txn, op);
        break;
    case FASTER_OP_READ:
        break;
    }
    if (status == FASTER_PENDING) {
        (void)faster_session_complete_pending(script->session, true);
        status = op->status;
    }
    return status;
}

static void begin_if_none(struct script *script) {
    if (!script->is_direct && script->txn == NULL) {
        FUZZ_OK(ledger_begin(&script->ledger, script->session, &script->txn));
        script->levels = 0;
    }
}

/* What the map says of a write, which it makes. */
static enum faster_status expect(struct script *script, const struct call *call,
                                 enum faster_op_kind kind, uint32_t guess) {
    uint32_t *now = &script->now[call->key];
    const bool was_there = *now != 0;
    switch (kind) {
    case FASTER_OP_INSERT:
        if (was_there) {
            return FASTER_EXISTS;
        }
        break;
    case FASTER_OP_COMPARE_AND_SET:
        if (!was_there || !same_value(*now, guess)) {
            return was_there ? FASTER_EXISTS : FASTER_NOT_FOUND;
        }
        break;
    case FASTER_OP_RMW:
        if (call->leaves || (call->removes && !was_there)) {
            return FASTER_NOT_FOUND;
        }
        *now = call->removes ? 0 : call->value;
        return FASTER_OK;
    case FASTER_OP_DELETE:
        *now = 0;
        return FASTER_OK;
    case FASTER_OP_UPSERT:
    case FASTER_OP_READ:
        break;
    }
    *now = call->value;
    return FASTER_OK;
}

static void write_key(struct script *script, struct fuzz_input *input, enum faster_op_kind kind) {
    static unsigned char bytes[VALUE_BYTES_MAX];
    static unsigned char expected[VALUE_BYTES_MAX];
    char text[300];
    struct call call = {.script = script, .key = fuzz_below(input, KEY_COUNT)};
    const uint8_t how = fuzz_byte(input);
    call.value = draw_value(script, input);
    call.removes = kind == FASTER_OP_RMW && how % 4 == 1;
    call.leaves = kind == FASTER_OP_RMW && how % 4 == 2;
    const uint32_t guess = how % 4 == 0 ? 8 : script->now[call.key];
    begin_if_none(script);
    struct faster_op op = {.key = key_of(call.key, text),
                           .value = {bytes, value_bytes(call.value, bytes)},
                           .expected = {expected, value_bytes(guess, expected)},
                           .merge = merge,
                           .context = &call};
    const enum faster_status status = run(script, &op, kind);
    const enum faster_status wanted = expect(script, &call, kind, guess);
    FUZZ_CHECK(status == wanted, "operation %d on key %u: %s instead of %s: %s", (int)kind,
               call.key, faster_status_name(status), faster_status_name(wanted),
               faster_session_message(script->session));
}

/* ---- reading ---- */

static void open_view(struct script *script, struct faster_snapshot *view, bool of_txn) {
    if (of_txn) {
        FUZZ_OK(faster_snapshot_open_txn(script->session, script->txn, view));
    } else {
        FUZZ_OK(faster_snapshot_open_newest(script->session, view));
    }
}

static void read_key(struct script *script, struct fuzz_input *input) {
    char text[300];
    const uint32_t key = fuzz_below(input, KEY_COUNT);
    const bool of_txn = script->txn != NULL && fuzz_byte(input) % 2 == 0;
    const uint32_t wanted = script->is_direct || of_txn ? script->now[key] : script->committed[key];
    struct faster_buffer result = {.env = fuzz_env()};
    struct faster_snapshot view;
    open_view(script, &view, of_txn);
    const enum faster_status status = fuzz_read(&view, key_of(key, text), &result);
    FUZZ_CHECK(status == (wanted != 0 ? FASTER_OK : FASTER_NOT_FOUND), "read: %s",
               faster_status_name(status));
    FUZZ_CHECK(wanted == 0 || is_value(wanted, result.data, result.size_bytes), "read: the value");
    faster_snapshot_close(&view);
    faster_buffer_finish(&result);
}

static uint32_t key_index(const struct fuzz_pair *pair) {
    char text[300];
    for (uint32_t key = 0; key < KEY_COUNT; key++) {
        const struct faster_bytes bytes = key_of(key, text);
        if (bytes.size_bytes == pair->key_bytes &&
            memcmp(text, pair->bytes, bytes.size_bytes) == 0) {
            return key;
        }
    }
    fuzz_fail(__FILE__, __LINE__, "a key that nobody wrote");
}

static void scan_all(struct script *script, bool of_txn) {
    static struct fuzz_contents contents;
    const uint32_t *wanted = script->is_direct || of_txn ? script->now : script->committed;
    struct faster_snapshot view;
    size_t count = 0;
    open_view(script, &view, of_txn);
    fuzz_contents_read(&contents, &view);
    FUZZ_CHECK(contents.status == FASTER_END, "scan: %s", faster_status_name(contents.status));
    for (size_t i = 0; i < contents.count; i++) {
        const struct fuzz_pair *pair = &contents.pairs[i];
        const uint32_t value = wanted[key_index(pair)];
        FUZZ_CHECK(value != 0 && is_value(value, pair->bytes + pair->key_bytes, pair->value_bytes),
                   "scan: key %u", key_index(pair));
    }
    for (uint32_t key = 0; key < KEY_COUNT; key++) {
        count += wanted[key] != 0;
    }
    FUZZ_CHECK(contents.count == count, "scan: %zu keys instead of %zu", contents.count, count);
    fuzz_contents_finish(&contents);
    faster_snapshot_close(&view);
}

static void verify(struct script *script) {
    uint64_t findings = 0;
    FUZZ_OK(faster_session_verify(script->session, NULL, NULL, NULL, NULL, &findings));
    FUZZ_CHECK(findings == 0, "verify: %llu findings", (unsigned long long)findings);
}

/* ---- transactions ---- */

static void commit(struct script *script) {
    if (script->is_direct) {
        FUZZ_OK(faster_session_commit(script->session));
    } else if (script->txn != NULL) {
        FUZZ_OK(ledger_commit(&script->ledger, script->txn));
        script->txn = NULL;
        memcpy(script->committed, script->now, sizeof script->now);
    }
}

static void roll_back(struct script *script) {
    if (script->txn != NULL) {
        faster_txn_rollback(script->txn);
        script->txn = NULL;
        memcpy(script->now, script->committed, sizeof script->now);
    }
}

/* A savepoint sets those below it that are not set; a level that is not set undoes all. */
static void use_savepoint(struct script *script, struct fuzz_input *input) {
    const int level = (int)fuzz_below(input, LEVELS);
    const uint32_t what = fuzz_below(input, 3);
    if (script->is_direct) {
        return;
    }
    begin_if_none(script);
    if (what == 0) {
        FUZZ_OK(faster_txn_savepoint(script->txn, level));
        for (int i = script->levels < level ? script->levels : level; i <= level; i++) {
            memcpy(script->savepoints[i], script->now, sizeof script->now);
        }
        script->levels = level + 1;
    } else if (what == 1) {
        faster_txn_release(script->txn, level);
        script->levels = script->levels < level ? script->levels : level;
    } else {
        const bool is_set = level < script->levels;
        FUZZ_OK(faster_txn_rollback_to(script->txn, level));
        memcpy(script->now, is_set ? script->savepoints[level] : script->committed,
               sizeof script->now);
        script->levels = is_set ? level + 1 : 0;
    }
}

static void grow(struct script *script) {
    const enum faster_status status = faster_session_grow(script->session);
    FUZZ_CHECK(status == FASTER_OK || status == FASTER_FULL, "grow: %s",
               faster_status_name(status));
}

static void step(struct script *script, struct fuzz_input *input) {
    switch (fuzz_below(input, 16)) {
    case 0:
    case 1:
    case 2:
        write_key(script, input, FASTER_OP_UPSERT);
        break;
    case 3:
        write_key(script, input, FASTER_OP_INSERT);
        break;
    case 4:
        write_key(script, input, FASTER_OP_COMPARE_AND_SET);
        break;
    case 5:
    case 6:
        write_key(script, input, FASTER_OP_RMW);
        break;
    case 7:
        write_key(script, input, FASTER_OP_DELETE);
        break;
    case 8:
    case 9:
        commit(script);
        break;
    case 10:
        roll_back(script);
        break;
    case 11:
        use_savepoint(script, input);
        break;
    case 12:
        grow(script);
        break;
    case 13:
        scan_all(script, script->txn != NULL && fuzz_byte(input) % 2 == 0);
        break;
    default:
        read_key(script, input);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static struct script script;
    struct fuzz_input input = {data, size_bytes};
    memset(&script, 0, sizeof script);
    fuzz_env_begin();
    script.is_direct = fuzz_byte(&input) % 2 == 0;
    const struct faster_options options = {
        .env = fuzz_env(),
        .memory_bytes = FASTER_MEMORY_BYTES_MIN,
        .page_bytes = FUZZ_PAGE_BYTES,
        .segment_bytes = FUZZ_SEGMENT_BYTES,
        .index_bits = 4,
        .writes = script.is_direct ? FASTER_WRITES_DIRECT : FASTER_WRITES_TRANSACTIONAL};
    FUZZ_OK(faster_store_open(&options, &script.store, NULL));
    FUZZ_OK(faster_session_open(script.store, &script.session));
    if (!script.is_direct) {
        FUZZ_OK(ledger_meet(&script.ledger, script.session));
    }
    for (unsigned i = 0; i < OPERATIONS_MAX && input.left_bytes > 0; i++) {
        step(&script, &input);
    }
    commit(&script);
    scan_all(&script, false);
    verify(&script);
    faster_session_close(script.session);
    faster_store_close(script.store);
    ledger_finish(&script.ledger);
    fuzz_env_end(MEMORY_BYTES_MAX);
    return 0;
}
