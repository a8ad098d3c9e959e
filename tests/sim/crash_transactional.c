/* crash_transactional.c - a crash at every moment of a transactional store's life (P1-P4).
 *
 * Strategy and replay: crash_driver.h. The decider is not on the disk: each state is checked with
 * the most and the least of what it may have kept, and with something between. Invariants, after
 * each crash: the store opens, and with the decider's newest row it holds exactly what was
 * committed by that row (P1, P2, P3); reads and a scan agree, verify finds nothing (P4); opening it
 * again gives the same; it takes further transactions, and keeps them; nothing is left open or
 * allocated. After a kill the same holds once more for a power cut in the next life.
 */
#include "crash_transactional.h"

#include <stdlib.h>

#include "sim_run.h"
#include "sim_world.h"

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first half's rows carry small commits. Two take checkpoints by themselves, while they are
 * recorded. */
const struct txn_config TXN_CONFIGS[] = {
    {16u << 10, 4096, true, false},       {64u << 10, 4096, false, false},
    {16u << 10, 4096, false, true},       {16u << 10, 1, false, false},
    {64u << 10, UINT64_MAX, true, false}, {64u << 10, 1, true, true}};
#define CONFIG_COUNT ARRAY_COUNT(TXN_CONFIGS)

static const struct crash_script SCRIPTS[] = {
    {"create", "put,commit,delete,commit,reopen,put,commit", 1, 1, true},
    {"life",
     "put,commit,delete,synced,chunked,commit,savepoint,commit,rollback,put,busy,checkpoint,"
     "commit,reopen,put,commit,reopen,delete,commit",
     1, 1, false},
    {"doubts", "lost,commit,returned,lost,lost,synced,returned,reopen,lost,reopen,commit,lost", 1,
     1, false},
    {"checkpoints",
     "synced,checkpoint,chunked,synced,checkpoint,commit,checkpoint,synced,reopen,chunked,commit,"
     "synced,checkpoint,reopen,checkpoint",
     1, 2, false},
    {"indexes",
     "copy,commit,leave,savepoint,commit,index,commit,copy,delete,copy,commit,checkpoint,copy,"
     "reopen,copy,rollback,leave,commit,lost,copy,reopen,index,commit,copy",
     1, 1, false},
    {"behind", "synced,index,busy,index,synced,put,index,busy,index,leave,chunked,busy,index", 1, 1,
     false},
    {"busy", "busy,savepoint,reopen,index,busy,reopen,busy,returned,reopen", 1, 1, false},
    {"shorter", "chunked,synced,checkpoint", 6, 1, false},
    {"kills",
     "put,commit,reopen,put,reopen,commit,lost,reopen,reopen,rollback,reopen,reopen,commit", 1, 1,
     false},
    {"rollbacks",
     "commit,reopen,rollback,reopen,commit,savepoint,commit,rollback,synced,put,rollback,reopen,"
     "commit,rollback,reopen,commit",
     1, 2, false},
};

/* ---- the store that most workloads begin with ---- */

static struct {
    struct sim_image *image;
    struct decision decision;
} bases[CONFIG_COUNT];

static void create(struct txn_store *store) {
    const model_value nothing[TXN_KEYS] = {0};
    sim_world_life(NULL);
    txn_decide(store, nothing, true);
    CASES_CHECK(txn_create(store->config) == FASTER_OK, "P3", "create");
    sim_mark(MARK_SAFE, 1);
    txn_open(store);
}

static void make_base(size_t number) {
    struct txn_store store = {
        .config = &TXN_CONFIGS[number], .next_value = 1, .model = model_create(TXN_KEYS)};
    sim_world_case(number, SIM_IN_ORDER);
    create(&store);
    txn_operate(&store, TXN_PUT);
    txn_operate(&store, TXN_CHUNKED);
    txn_operate(&store, TXN_COMMIT);
    txn_operate(&store, TXN_PUT);
    txn_operate(&store, TXN_COMMIT);
    txn_close(&store);
    bases[number].image = sim_disk_image(sim_world_disk());
    /* The newest decision moves here. */
    bases[number].decision = store.decisions.each[--store.decisions.count];
    decisions_finish(&store.decisions);
    ledger_finish(&store.ledger);
    model_destroy(store.model);
}

/* ---- workloads ---- */

static void record(const struct crash_workload *workload, struct crash_recording *recording) {
    const uint32_t number = recording->config;
    struct txn_store store = {.config = &TXN_CONFIGS[number],
                              .random = sim_mix(recording->seed, 2),
                              .next_value = 1000,
                              .takes_due = TXN_CONFIGS[number].takes_due};
    if (bases[number].image == NULL) {
        make_base(number);
    }
    sim_world_case(recording->seed, SIM_IN_ORDER);
    if (workload->from_empty) {
        store.model = model_create(TXN_KEYS);
        create(&store);
    } else {
        txn_begin(&store, bases[number].image, &bases[number].decision, true);
    }
    for (uint32_t i = 0; i < workload->op_count; i++) {
        const struct sim_disk *disk = sim_world_disk();
        const uint64_t before = sim_log_length(disk);
        txn_operate(&store, (enum txn_op)workload->ops[i]);
        /* A killed process has a new disk, of which everything is new. */
        recording->from = disk == sim_world_disk() ? before : TXN_MARKS;
    }
    if (!workload->only_last) {
        recording->from = workload->from_empty ? 0 : TXN_MARKS;
    }
    txn_end_recording(&store, recording);
}

static void forget(struct crash_recording *recording) {
    decisions_finish(recording->content);
    free(recording->content);
}

static void finish(void) {
    for (size_t i = 0; i < CONFIG_COUNT; i++) {
        sim_image_release(bases[i].image);
        ledger_finish(&bases[i].decision.ledger);
    }
}

int main(int argc, char **argv) {
    const struct crash_kind kind = {.program = "crash_transactional",
                                    .promises = "P1 P2 P3 P4",
                                    .states = 45000,
                                    .deeper_states = 2500,
                                    .op_names = TXN_OP_NAMES,
                                    .op_count = TXN_OPS,
                                    .config_count = CONFIG_COUNT,
                                    .scripts = SCRIPTS,
                                    .script_count = ARRAY_COUNT(SCRIPTS),
                                    .record = record,
                                    .forget = forget,
                                    .choices = txn_choices,
                                    .identity = txn_identity,
                                    .check = txn_check_state,
                                    .has_store = txn_has_store,
                                    .record_recovery = txn_record_recovery,
                                    .fail_once = txn_fail_once,
                                    .finish = finish};
    return crash_main(argc, argv, &kind);
}
