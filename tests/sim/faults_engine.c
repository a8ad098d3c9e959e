/* faults_engine.c - each call of a store to the system fails in turn (P3-P7).
 *
 * Strategy. A store's life is cut into phases (faults_phases.c), each of which begins with files
 * that were made once. A phase runs without a fault, and the calls that it makes are counted: by
 * kind of call and kind of file, by kind of request to the device, and allocations. Then it runs
 * again and again, and each time another one of these calls fails, in each way that it can: with
 * an error, carried out or not, or half; for want of space; silently short, flipped, old or from
 * elsewhere. It fails once, or as every one after it does, until the phase ends. Requests are
 * late, overtaken, cut short or cancelled. With --allocations only memory is short.
 *
 * Invariants. While it lasts: a call fails with a status that the fault can have, and does nothing;
 * what reads and scans give is right (P4); after a write or a sync of a direct store's log that has
 * failed for certain, no commit is acknowledged (P5). Afterwards the store works again, or, after
 * a failure that may have cost something, wants to be opened again, and says so each time (P5, P6,
 * P7). It is opened again on the same page cache, and is what a commit made it, not older than the
 * newest acknowledged one (P3); writes and commits; and then the power fails: what was acknowledged
 * is there, though a sync may have lost it in the life before. Nothing is left open or allocated.
 *
 * A run goes through the list of all cases with the device's threads taking turns, then through the
 * list again, and who runs next is drawn; with a lower count through a part of the list, evenly
 * spread. Replay: --replay "write-direct sync segment EIO_LOST 2 once 0".
 */
#include "fault_cases.h"
#include "faults.h"
#include "primitives/device.h"
#include "sim_world.h"

/* ---- one case ---- */

static struct faults_allowed allowed_on_disk(const struct fault_group *group) {
    const struct faults_phase *phase = &faults_phases[group->phase];
    const enum sim_effect effect = fault_disk_effect(group);
    const uint32_t file = 1u << group->file_class;
    const bool is_sync = group->kind == SIM_CALL_SYNC || group->kind == SIM_CALL_DIRSYNC;
    const bool is_error = fault_effect_is_eio(effect);
    return (struct faults_allowed){
        .failures = true,
        .damage = fault_effect_is_silent(effect),
        /* Nothing that was acknowledged is in the files of checkpoints alone. */
        .breaking = (is_error || is_sync) && file != SIM_FILE_CHECKPOINT,
        .is_final = is_error && phase->is_direct && phase->is_log_only &&
                    file == SIM_FILE_SEGMENT &&
                    (group->kind == SIM_CALL_SYNC || group->kind == SIM_CALL_WRITE),
    };
}

static struct faults_allowed allowed_on_device(const struct fault_group *group) {
    const bool may_fail = fault_device_may_fail(group);
    return (struct faults_allowed){
        .failures = may_fail,
        .damage = fault_device_is_short(group),
        .breaking = may_fail && group->kind != FST_IO_READ,
    };
}

static bool run_case(const struct fault_case *one) {
    const struct fault_group *group = one->group;
    const struct faults_phase *phase = &faults_phases[group->phase];
    struct faults_life life;
    fault_case_begin(one);
    faults_begin(&life, phase);
    life.allowed = group->source == FAULT_DISK     ? allowed_on_disk(group)
                   : group->source == FAULT_DEVICE ? allowed_on_device(group)
                                                   : (struct faults_allowed){.failures = true};
    fault_case_arm(one);
    phase->run(&life);
    const bool has_struck = fault_case_heal(one) > 0;
    const uint64_t failures = life.failures;
    life.allowed.damage = false;
    phase->after(&life);
    faults_end(&life);
    cases_add("calls that failed", failures);
    return has_struck;
}

/* ---- the program ---- */

static const char *phase_name(unsigned phase) {
    return faults_phases[phase].name;
}

static void measure(unsigned phase) {
    struct faults_life life;
    faults_begin(&life, &faults_phases[phase]);
    fault_count_from_here();
    faults_phases[phase].run(&life);
    fault_count_to_here();
    faults_phases[phase].after(&life);
    faults_end(&life);
}

/* What is read wrongly and written again is damage, as what is written wrongly: see damage.c. */
static bool is_case(const struct fault_group *group) {
    if (group->source == FAULT_DEVICE) {
        return true;
    }
    const enum sim_effect effect = fault_disk_effect(group);
    return effect == SIM_SHORT || !fault_effect_is_silent(effect) ||
           (group->kind == SIM_CALL_READ && faults_phases[group->phase].only_reads);
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "faults_engine", .count = 30000};
    const struct fault_program program = {
        .phase_count = (unsigned)faults_phase_count,
        .phase_name = phase_name,
        .measure = measure,
        .run = run_case,
        .is_case = is_case,
    };
    cases_begin(&cases, argc, argv);
    sim_world_begin(1, SIM_IN_ORDER);
    faults_make_images();
    fault_cases_run(&cases, &program);
    faults_forget_images();
    cases_add("recoveries from an index", sim_world_index_recoveries());
    cases_expect(&cases, "recoveries from an index");
    sim_world_end();
    return cases_end(&cases, "P3 P4 P5 P6 P7");
}
