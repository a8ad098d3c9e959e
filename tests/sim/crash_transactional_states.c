/* crash_transactional_states.c - what is checked of one state, and what its recovery is recorded
 * for. */
#include "crash_transactional.h"

#include "sim_run.h"
#include "sim_world.h"

#define TXNS 4u
#define WRITES_PER_TXN 5u

/* ---- what the decider has kept ---- */

enum { CHOICE_MOST, CHOICE_LEAST, CHOICE_DRAWN };

static struct case_range range_of(const struct crash_recording *recording,
                                  const struct crash_state *state) {
    return (struct case_range){
        cases_newest_mark(recording->disk, state->position, MARK_ROW_DURABLE),
        cases_newest_mark(recording->disk, state->position, MARK_ROW)};
}

/* Of a process that was killed the decider has everything. */
uint32_t txn_choices(const struct crash_recording *recording, const struct crash_state *state) {
    const struct case_range range = range_of(recording, state);
    if (state->variant == SIM_KILL || range.low >= range.high) {
        return 1;
    }
    return range.high - range.low > 1 ? 3 : 2;
}

static const struct decision *decision_of(const struct crash_recording *recording,
                                          const struct crash_state *state, uint32_t choice) {
    const struct decisions *decisions = recording->content;
    const struct case_range range = range_of(recording, state);
    uint64_t number = choice == CHOICE_LEAST ? range.low : range.high;
    if (choice == CHOICE_DRAWN) {
        number = range.low + 1 + sim_mix(state->draw, 5) % (range.high - range.low - 1);
    }
    return &decisions->each[number];
}

uint64_t txn_identity(const struct crash_recording *recording, const struct crash_state *state,
                      uint32_t choice) {
    return sim_mix(decision_of(recording, state, choice)->hash, state->variant == SIM_KILL);
}

bool txn_has_store(const struct crash_recording *recording, const struct crash_state *state) {
    return cases_newest_mark(recording->disk, state->position, MARK_SAFE) != 0;
}

/* ---- one state ---- */

static void expect_map(struct txn_store *store, const model_value *expected, const char *when) {
    model_value map[TXN_KEYS];
    txn_read_map(store, map);
    for (uint32_t key = 0; key < TXN_KEYS; key++) {
        CASES_CHECK(map[key] == expected[key], "P1", "%s key %u is %#x, not %#x", when, key,
                    map[key], expected[key]);
    }
}

static const model_value *committed(const struct txn_store *store) {
    return model_version(store->model, model_newest(store->model));
}

/* Life goes on: transactions, a clean close, and all of it is there. */
static void write_on(struct txn_store *store) {
    for (uint32_t i = 0; i < TXNS; i++) {
        for (uint32_t k = 0; k < WRITES_PER_TXN; k++) {
            const uint32_t key = txn_draw(store, TXN_KEYS);
            txn_write(store, key,
                      txn_draw(store, 4) == 0 ? 0
                                              : model_value_make(store->next_value++, MODEL_SMALL));
        }
        txn_commit(store);
    }
    txn_close(store);
    txn_open(store);
    expect_map(store, committed(store), "written after:");
}

static struct txn_store store_for(const struct crash_recording *recording,
                                  const struct crash_state *state, uint32_t first_value) {
    return (struct txn_store){.config = &TXN_CONFIGS[recording->config],
                              .random = state->draw,
                              .next_value = first_value};
}

static void finish(struct txn_store *store) {
    model_destroy(store->model);
    ledger_finish(&store->ledger);
    decisions_finish(&store->decisions);
}

/* A process was killed, the next one commits, and then the power goes. */
static void cut_power_after_kill(struct txn_store *store, const struct crash_state *state,
                                 const struct decision *decision) {
    txn_begin(store, state->image, decision, true);
    txn_operate(store, TXN_COMMIT);
    struct sim_disk *disk = sim_world_take_disk();
    const uint64_t position = sim_log_length(disk);
    txn_close(store);
    for (enum sim_variant variant = SIM_NOTHING; variant < SIM_VARIANTS; variant++) {
        struct sim_image *image = crash_one_state(disk, position, variant, state->draw);
        sim_world_life(image);
        txn_open(store);
        expect_map(store, committed(store), "after a kill and a power cut:");
        txn_close(store);
        sim_image_release(image);
    }
    sim_disk_destroy(disk);
}

/* The creation was not over: if there is no store, what there is can be removed, and one made. */
static bool check_creation(struct txn_store *store, const struct sim_image *image) {
    sim_world_life(image);
    if (txn_try_open(store) == FASTER_OK) {
        txn_close(store);
        return true;
    }
    enum faster_status status = txn_remove();
    if (status == FASTER_FOREIGN || status == FASTER_CORRUPT) {
        cases_add("half identities", 1); /* neither opened nor removed: see engine/FORMAT.md */
        return false;
    }
    CASES_CHECK(status == FASTER_OK || status == FASTER_MISSING, "P2", "removing what is left: %s",
                faster_status_name(status));
    status = txn_create(store->config);
    CASES_CHECK(status == FASTER_OK, "P2", "creating it again: %s", faster_status_name(status));
    return false;
}

void txn_check_state(const struct crash_recording *recording, const struct crash_state *state,
                     uint32_t choice) {
    const struct decision *decision = decision_of(recording, state, choice);
    struct txn_store store = store_for(recording, state, 2000);
    sim_world_case(state->draw, SIM_IN_ORDER);
    if (txn_has_store(recording, state) || check_creation(&store, state->image)) {
        txn_begin(&store, state->image, decision, true);
        expect_map(&store, decision->map, "recovered:");
        crash_verify(store.session);
        txn_close(&store);
        txn_open(&store);
        expect_map(&store, decision->map, "the second recovery:");
        write_on(&store);
        txn_close(&store);
        if (state->variant == SIM_KILL && txn_has_store(recording, state)) {
            cut_power_after_kill(&store, state, decision);
        }
    }
    sim_world_expect_closed();
    finish(&store);
}

/* ---- deeper ---- */

void txn_record_recovery(const struct crash_recording *recording, const struct crash_state *state,
                         uint32_t choice, struct crash_recording *deeper) {
    struct txn_store store = store_for(recording, state, 3000 + 100 * recording->depth);
    sim_world_case(sim_mix(state->draw, 4), SIM_IN_ORDER);
    txn_begin(&store, state->image, decision_of(recording, state, choice), true);
    txn_operate(&store, TXN_PUT);
    txn_operate(&store, TXN_COMMIT);
    txn_operate(&store, TXN_COMMIT);
    deeper->from = TXN_MARKS;
    txn_end_recording(&store, deeper);
}

/* Opens and commits once, if it can. What the decider holds then is what the store must show. */
static void try_to_write(struct txn_store *store) {
    static unsigned char bytes[MODEL_VALUE_BYTES_MAX];
    const model_value value = model_value_make(store->next_value++, MODEL_SMALL);
    struct faster_op op = {.key = {"key-00005", 9}, .value = {bytes, model_bytes(value, bytes)}};
    struct faster_txn *txn;
    if (txn_try_open(store) != FASTER_OK) {
        return;
    }
    enum faster_status status = ledger_begin(&store->ledger, store->session, &txn);
    if (status == FASTER_OK) {
        status = crash_complete(store->session, &op, faster_txn_upsert(txn, &op));
        if (status == FASTER_OK) {
            status = ledger_commit(&store->ledger, txn);
        } else {
            faster_txn_rollback(txn);
        }
    }
    if (status == FASTER_OK) {
        model_put(store->model, 5, value);
        (void)model_commit(store->model);
    }
    txn_close(store);
}

bool txn_fail_once(const struct crash_recording *recording, const struct crash_state *state,
                   uint32_t choice, enum crash_failure failure, uint64_t nth) {
    struct txn_store store = store_for(recording, state, 4000);
    sim_world_case(state->draw, SIM_IN_ORDER);
    txn_begin(&store, state->image, decision_of(recording, state, choice), true);
    txn_close(&store);
    sim_world_life(state->image);
    crash_arm(failure, nth);
    try_to_write(&store);
    const bool has_fired = crash_heal(failure);
    txn_open(&store);
    expect_map(&store, committed(&store), "after a failing call:");
    crash_verify(store.session);
    write_on(&store);
    txn_close(&store);
    sim_world_expect_closed();
    finish(&store);
    return has_fired;
}
