/* faults_sql.c - each call of a database with FASTER tables to the system fails in turn (P1-P7).
 *
 * Strategy. SQLite's files and the stores' are on one simulated disk. A database's life is cut into
 * phases (faults_sql_phases.c), each in WAL, DELETE and PERSIST mode. A phase runs without a fault,
 * and its calls are counted: the engine's and SQLite's, by kind of call and kind of file. Then it
 * runs again and again, and each time another one of them fails, in each way that it can
 * (fault_cases.h), once or as every one after it does, until the phase ends. With --allocations
 * only memory is short: the engine's, and SQLite's, which is the extension's, too.
 *
 * Invariants. While it lasts: a statement succeeds, or fails with a code that the fault can have
 * and with a message; what is read is right (P4); a statement that has failed in an open
 * transaction, which is committed in every second case, has done nothing to both tables; after a
 * write or sync of a direct store's log that has failed, no commit of it is acknowledged (P5).
 * Afterwards the same connection shows one version, whole, in both kinds of table: the newest
 * acknowledged one, or one whose COMMIT has failed (P1); it writes again, or, after a failure that
 * may have cost something, it says each time that a store wants to be opened again (P5, P6, P7). A
 * new connection shows the same, and the direct table all its writes, or, if its store was broken,
 * a prefix with all that a commit has covered (P2, P3); it takes commits, and no store is left
 * over; and after a reopen, in some cases after a power cut, it shows them, and integrity_check and
 * faster_verify() find nothing. A copy that faster_backup() has made shows what it was made of. No
 * file is left open, nor anything allocated.
 *
 * --self runs the same with ordinary tables in place of FASTER ones: what fails there is SQLite's
 * own behaviour.
 *
 * A run goes through the list of all cases with the device's threads taking turns, then through the
 * list again, and who runs next is drawn; with a lower count through a part of the list, evenly
 * spread. Replay: --replay "commit-wal sync segment EIO_LOST 2 once 0".
 */
#include "faults_sql.h"

#include <string.h>

#include "fault_cases.h"
#include "primitives/device.h"
#include "sim_sqlite.h"
#include "sim_world.h"

#define QUICK_CASES 12000u
#define QUICK_ALLOCATIONS 4000u
#define POWER_CUT_ONE_IN 4u

/* ---- what a fault may do ---- */

#define CODE(name) (1u << SQLITE_##name)

/* CORRUPT is what SQLite makes of EIO from a read of a file of its own. VACUUM INTO takes a file
 * whose size it cannot ask for one that is there already. */
static uint32_t sqlite_codes(const struct fault_group *group) {
    const uint32_t size_codes = group->kind == SIM_CALL_SIZE ? CODE(ERROR) : 0;

    if (group->kind == SIM_CALL_LOCK) {
        return CODE(IOERR) | CODE(BUSY) | CODE(PROTOCOL);
    }
    return fault_effect_is_eio(fault_disk_effect(group))
               ? CODE(IOERR) | CODE(CORRUPT) | CODE(CANTOPEN) | size_codes
               : CODE(FULL) | CODE(IOERR) | CODE(CANTOPEN);
}

static uint32_t store_codes(const struct fault_group *group) {
    const enum sim_effect effect = fault_disk_effect(group);

    if (fault_effect_is_silent(effect)) {
        return CODE(IOERR) | CODE(CORRUPT) | CODE(CANTOPEN);
    }
    return fault_effect_is_eio(effect) ? CODE(IOERR) : CODE(FULL) | CODE(IOERR);
}

static struct sql_allowed allowed_on_disk(const struct fault_group *group) {
    const enum sim_effect effect = fault_disk_effect(group);
    const uint32_t file = 1u << group->file_class;
    const bool is_store = group->side == SIM_ENGINE;
    const bool is_sync = group->kind == SIM_CALL_SYNC || group->kind == SIM_CALL_DIRSYNC;
    const bool is_error = fault_effect_is_eio(effect);

    return (struct sql_allowed){
        .codes = is_store ? store_codes(group) : sqlite_codes(group),
        .damage = is_store && fault_effect_is_silent(effect),
        .breaking = is_store && (is_error || is_sync) && file != SIM_FILE_CHECKPOINT,
        .is_final = is_store && is_error && faults_sql_phase(group->phase)->is_direct &&
                    file == SIM_FILE_SEGMENT &&
                    (group->kind == SIM_CALL_SYNC || group->kind == SIM_CALL_WRITE),
    };
}

static struct sql_allowed allowed_on_device(const struct fault_group *group) {
    const bool may_fail = fault_device_may_fail(group);
    const bool is_short = fault_device_is_short(group);

    return (struct sql_allowed){
        .codes = is_short   ? CODE(IOERR) | CODE(CORRUPT)
                 : may_fail ? CODE(IOERR)
                            : 0,
        .damage = is_short,
        .breaking = may_fail && group->kind != FST_IO_READ,
    };
}

static struct sql_allowed allowed(const struct fault_group *group) {
    switch (group->source) {
    case FAULT_DISK:
        return allowed_on_disk(group);
    case FAULT_DEVICE:
        return allowed_on_device(group);
    case FAULT_MEMORY:
        return (struct sql_allowed){.codes = fault_is_random(group) ? CODE(IOERR) : CODE(NOMEM)};
    case FAULT_OTHER:
        break;
    }
    return (struct sql_allowed){.codes = CODE(NOMEM) | CODE(ABORT)};
}

/* ---- SQLite's allocator ---- */

static uint64_t heal_allocations(void) {
    const bool has_failed = sim_sqlite_failed();

    sim_sqlite_fail_allocation(0, false);
    return has_failed;
}

static const struct fault_other sqlite_memory = {
    .kind = "allocate",
    .place = "sqlite",
    .count = sim_sqlite_allocations,
    .arm = sim_sqlite_fail_allocation,
    .heal = heal_allocations,
};

/* ---- cases ---- */

static bool is_lost_sync(const struct fault_group *group) {
    return group->source == FAULT_DISK && fault_disk_effect(group) == SIM_EIO_LOST;
}

static bool run_case(const struct fault_case *one) {
    const struct fault_group *group = one->group;
    static struct faults_sql life;

    fault_case_begin(one);
    faults_sql_begin(&life, group->phase);
    life.allowed = allowed(group);
    life.keeps_on = one->nth % 2 == 0;
    fault_case_arm(one);
    faults_sql_phase(group->phase)->run(&life);
    const bool has_struck = fault_case_heal(one) > 0;
    cases_add("statements that failed", life.failures);
    faults_sql_after(&life, has_struck, is_lost_sync(group) || one->nth % POWER_CUT_ONE_IN == 0);
    return has_struck;
}

static void measure(unsigned phase) {
    static struct faults_sql life;

    faults_sql_begin(&life, phase);
    fault_count_from_here();
    faults_sql_phase(phase)->run(&life);
    fault_count_to_here();
    faults_sql_after(&life, false, false);
}

/* Bytes that are said to be missing where a log may end are its end, and what is written there next
 * takes the place of what was. What is read wrongly and written again is damage, too. */
static bool is_case_of_store(const struct fault_group *group, bool is_silent, bool is_short) {
    const struct faults_sql_phase *phase = faults_sql_phase(group->phase);

    return !is_silent || phase->only_reads || (is_short && !phase->begins_closed);
}

/* What SQLite reads wrongly it does not notice, and it takes a file for missing that it cannot ask
 * about. */
static bool is_case(const struct fault_group *group) {
    if (group->source == FAULT_DEVICE) {
        const bool is_short = group->kind == FST_IO_READ && fault_device_is_short(group);
        return is_case_of_store(group, is_short, is_short);
    }
    const enum sim_effect effect = fault_disk_effect(group);
    if (group->side == SIM_SQLITE) {
        return group->kind != SIM_CALL_INFO && !fault_effect_is_silent(effect);
    }
    return (group->kind == SIM_CALL_READ || !fault_effect_is_silent(effect)) &&
           is_case_of_store(group, fault_effect_is_silent(effect), effect == SIM_SHORT);
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "faults_sql", .count = QUICK_CASES};
    const struct fault_program program = {
        .phase_count = faults_sql_phase_count(),
        .phase_name = faults_sql_phase_name,
        .measure = measure,
        .run = run_case,
        .is_case = is_case,
        .tells_sides = true,
        .other = &sqlite_memory,
    };
    const bool is_self = sql_take_self(&argc, argv);

    for (int i = 1; i < argc; i++) {
        cases.count = strcmp(argv[i], "--allocations") == 0 ? QUICK_ALLOCATIONS : cases.count;
    }
    cases_begin(&cases, argc, argv);
    sim_sqlite_begin();
    sim_world_begin(1, SIM_IN_ORDER);
    faults_sql_make_images(is_self);
    fault_cases_run(&cases, &program);
    faults_sql_forget_images();
    if (!is_self) {
        cases_add("recoveries from an index", sim_world_index_recoveries());
        cases_expect(&cases, "recoveries from an index");
    }
    sim_world_end();
    return cases_end(&cases, "P1 P2 P3 P4 P5 P6 P7");
}
