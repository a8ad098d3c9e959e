/* differential_shrink.c - makes a failing differential case short, and prints it as SQL. */
#include "differential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHRINK_SECONDS_MAX 40.0

void step_print(const struct plan *plan, const struct step *step) {
    static const char *const notes[] = {"",
                                        "",
                                        "",
                                        "compare both tables",
                                        "begins a snapshot, reads all",
                                        "reads all again",
                                        "ends its snapshot",
                                        "close and reopen everything"};
    switch (step->kind) {
    case STEP_EACH:
        printf("%s;\n", step->sql[SIDE_FASTER]);
        if (!plan->twin) {
            printf("%s;\n", step->sql[SIDE_ORDINARY]);
        }
        break;
    case STEP_ONCE:
    case STEP_COMMAND:
        printf("%s;\n", step->sql[SIDE_FASTER]);
        break;
    case STEP_READER_OPEN:
    case STEP_READER_CHECK:
    case STEP_READER_CLOSE:
        printf("-- reader %d %s\n", step->reader, notes[step->kind]);
        break;
    case STEP_CHECK:
    case STEP_REOPEN:
        printf("-- %s\n", notes[step->kind]);
        break;
    }
}

void script_print(const struct test_options *options, const struct plan *plan,
                  const struct script *script, const bool *kept) {
    static const char *const places[] = {"a file", "attached as aux", "temp", "memory"};
    printf("-- journal mode %s, synchronous %s, %s%s\n", plan->journal_mode, plan->synchronous,
           places[plan->place], plan->twin ? "; twin databases run the same SQL" : "");
    for (int side = 0; side < 2; side++) {
        struct text sql = {0};
        char name[64];
        snprintf(name, sizeof name, "%s%c", plan_prefix(plan), plan->twin ? 't' : "fr"[side]);
        plan_create_sql(&sql, options, plan, (enum side)side, name);
        printf("%s%s;\n", side && plan->twin ? "-- twin: " : "", sql.data);
        text_finish(&sql);
    }
    for (size_t i = 0; i < script->count; i++) {
        if (kept == NULL || kept[i]) {
            step_print(plan, &script->step[i]);
        }
    }
    fflush(stdout);
}

/* The same kind of difference, so that shrinking does not drift to another one. */
static bool same_kind(const char *first, const char *second) {
    size_t size = strcspn(first, ":");
    return strncmp(first, second, size + 1) == 0 &&
           (strstr(first, "no such") != NULL) == (strstr(second, "no such") != NULL);
}

/* Runs the kept steps; true if they still show a difference. `last` gets the index of the
 * step that showed it. */
static bool replay(const struct test_options *options, const struct plan *plan,
                   const struct script *script, const bool *kept, size_t *last,
                   struct text *reason) {
    struct world world;
    bool same = true;
    world_open(&world, options, plan);
    for (size_t i = 0; i < script->count && same; i++) {
        if (kept[i]) {
            same = world_step(&world, &script->step[i]);
            *last = i;
        }
    }
    bool wanted = !same && (reason->data == NULL || same_kind(reason->data, world.reason.data));
    if (wanted) {
        text_clear(reason);
        text_add(reason, "%s", world.reason.data);
    }
    world_close(&world);
    return wanted;
}

/* Drops chunks of halving size for as long as the rest still fails (after Zeller and
 * Hildebrandt, Simplifying and isolating failure-inducing input, 2002). */
void script_shrink(const struct test_options *options, const struct plan *plan,
                   const struct script *script) {
    bool *kept = malloc(script->count);
    bool *trial = malloc(script->count);
    struct text reason = {0};
    size_t last = 0;
    double start = test_seconds();
    if (kept == NULL || trial == NULL) {
        test_fail("out of memory");
    }
    memset(kept, true, script->count);
    if (!replay(options, plan, script, kept, &last, &reason)) {
        printf("-- the same steps did not fail again\n");
        last = script->count;
    }
    for (size_t chunk = script->count / 2;
         chunk && last<script->count; chunk = chunk> 1 ? (chunk + 1) / 2 : 0) {
        for (size_t at = 0; at < script->count; at += chunk) {
            size_t end = at + chunk < script->count ? at + chunk : script->count;
            size_t failing = 0;
            if (test_seconds() - start > SHRINK_SECONDS_MAX ||
                memchr(kept + at, 1, end - at) == NULL) {
                continue;
            }
            memcpy(trial, kept, script->count);
            memset(trial + at, false, end - at);
            if (replay(options, plan, script, trial, &failing, &reason)) {
                memcpy(kept, trial, script->count);
            }
        }
    }
    printf("-- shrunk: %s\n", reason.data ? reason.data : "");
    script_print(options, plan, script, kept);
    text_finish(&reason);
    free(kept);
    free(trial);
}
