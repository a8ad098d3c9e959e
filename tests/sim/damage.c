/* damage.c - a store whose files are not what was written (P4, P8).
 *
 * Strategy. Stores that hold one of everything (damage_store.c) are made and closed; and one is
 * left as a killed process leaves it. Then one thing after the other is done to a copy:
 *
 *   row    a bit of one of the decider's rows, or of its redo, is flipped
 *   stale  a sector is what it was in one of six earlier states: a write that never arrived
 *   swap   two sectors of a file, or of the log, have changed places
 *   copy   a sector is the same as another one: a write that went to the wrong place
 *   cut    a file ends early
 *   flip   a bit of a file is flipped
 *
 * Some records are one sector, so that a sector in the wrong place is a whole record.
 *
 * Invariants. The copy is opened, scanned, read key by key and verified (damage_check.c). Each of
 * these says what was written, or that something is wrong: never another value, never that a key is
 * missing or has come back. A change that none of them notices is of bytes that FORMAT.md lists as
 * unchecked (damage_padding.c). A changed row is refused. No file changes, and nothing leaks.
 *
 * A run goes through the list of all cases, of flips one bit of each byte after the other, the
 * first one drawn from the seed; or through a part of the list, evenly spread, if the count is
 * lower. Replay: --replay "direct flip log.000000000001 4711 3".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "case_spread.h"
#include "cases.h"
#include "damage.h"
#include "sim_world.h"

#define STORES 3u
#define BITS 8u

static struct damage_store stores[STORES];
static unsigned planes; /* how many bits of each byte are in the list */

/* ---- the list of all cases ---- */

static uint64_t count_bytes(const struct damage_store *store) {
    uint64_t count = 0;
    for (size_t i = 0; i < store->file_count; i++) {
        count += store->files[i].size_bytes;
    }
    return count;
}

static const struct damage_file *find_byte(const struct damage_store *store, uint64_t *offset) {
    const struct damage_file *file = store->files;
    while (*offset >= file->size_bytes) {
        *offset -= file++->size_bytes;
    }
    return file;
}

static uint64_t count_rows(const struct damage_store *store) {
    uint64_t bits = 0;
    for (size_t i = 0; i < store->ledger.count; i++) {
        bits += damage_row_bits(&store->ledger.rows[i]);
    }
    return bits;
}

static void run_row(const struct damage_store *store, uint64_t number, uint64_t seed) {
    uint64_t row = 0;
    (void)seed;
    while (number >= damage_row_bits(&store->ledger.rows[row])) {
        number -= damage_row_bits(&store->ledger.rows[row++]);
    }
    damage_row(store, row, number);
}

static uint64_t count_stale(const struct damage_store *store) {
    return damage_count_sectors(store) * DAMAGE_OLDER;
}

static void run_stale(const struct damage_store *store, uint64_t number, uint64_t seed) {
    (void)seed;
    damage_stale(store, number / DAMAGE_OLDER, number % DAMAGE_OLDER);
}

static uint64_t count_copies(const struct damage_store *store) {
    return damage_count_sectors(store) * damage_count_sectors(store);
}

/* Where only one cut knows of the one before, a damage to both is a shorter log. */
static uint64_t count_swaps(const struct damage_store *store) {
    return store->is_killed ? 0 : count_copies(store);
}

static uint64_t count_cuts(const struct damage_store *store) {
    return store->is_killed ? 0 : count_bytes(store);
}

/* Of a pair's two orders one is a swap, and both are copies. */
static void run_swap(const struct damage_store *store, uint64_t number, uint64_t seed) {
    const uint64_t one = number / damage_count_sectors(store);
    const uint64_t other = number % damage_count_sectors(store);
    (void)seed;
    if (one < other) {
        damage_swap(store, one, other);
    }
}

static void run_copy(const struct damage_store *store, uint64_t number, uint64_t seed) {
    const uint64_t one = number / damage_count_sectors(store);
    const uint64_t other = number % damage_count_sectors(store);
    (void)seed;
    if (one != other) {
        damage_copy(store, one, other);
    }
}

static void run_cut(const struct damage_store *store, uint64_t number, uint64_t seed) {
    const struct damage_file *file = find_byte(store, &number);
    (void)seed;
    damage_cut(store, file, number);
}

static uint64_t count_flips(const struct damage_store *store) {
    return count_bytes(store) * planes;
}

/* One bit of each byte, then the next one. */
static void run_flip(const struct damage_store *store, uint64_t number, uint64_t seed) {
    const uint64_t bytes = count_bytes(store);
    uint64_t offset = number % bytes;
    const unsigned bit = (unsigned)((sim_mix(seed, offset) + number / bytes) % BITS);
    const struct damage_file *file = find_byte(store, &offset);
    damage_flip(store, file, offset, bit);
}

static const struct kind {
    const char *name;
    uint64_t (*count)(const struct damage_store *store);
    void (*run)(const struct damage_store *store, uint64_t number, uint64_t seed);
} kinds[] = {
    {"row", count_rows, run_row},    {"stale", count_stale, run_stale},
    {"swap", count_swaps, run_swap}, {"copy", count_copies, run_copy},
    {"cut", count_cuts, run_cut},    {"flip", count_flips, run_flip},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static bool is_wanted(const struct cases *cases, const struct kind *kind) {
    return cases->only == NULL || strcmp(cases->only, kind->name) == 0;
}

static uint64_t list_length(const struct cases *cases) {
    uint64_t length = 0;
    for (size_t i = 0; i < KINDS; i++) {
        for (size_t k = 0; is_wanted(cases, &kinds[i]) && k < STORES; k++) {
            length += kinds[i].count(&stores[k]);
        }
    }
    return length;
}

static void run_number(const struct cases *cases, uint64_t number) {
    for (size_t i = 0; i < KINDS; i++) {
        for (size_t k = 0; is_wanted(cases, &kinds[i]) && k < STORES; k++) {
            const uint64_t count = kinds[i].count(&stores[k]);
            if (number < count) {
                kinds[i].run(&stores[k], number, cases->seed);
                return;
            }
            number -= count;
        }
    }
}

/* How many bits of each byte there is time for. */
static unsigned choose_planes(const struct cases *cases) {
    uint64_t bytes = 0;
    for (size_t k = 0; k < STORES; k++) {
        bytes += count_bytes(&stores[k]);
    }
    planes = 0;
    const uint64_t others = list_length(cases);
    const uint64_t total = cases->count * cases->parts;
    const uint64_t fit = total > others ? (total - others) / bytes : 0;
    return cases->is_long || fit > BITS ? BITS : fit < 1 ? 1 : (unsigned)fit;
}

static void run_slice(const struct cases *cases) {
    planes = choose_planes(cases);
    const uint64_t length = list_length(cases);
    const uint64_t begin = cases->seed * cases->count % length;
    for (uint64_t i = cases->part; i < length && cases_more(cases); i += cases->parts) {
        run_number(cases, case_spread(begin + i, length));
    }
}

/* ---- replay ---- */

static const struct damage_file *find_file(const struct damage_store *store, const char *name) {
    for (size_t i = 0; i < store->file_count; i++) {
        if (strcmp(store->files[i].name, name) == 0) {
            return &store->files[i];
        }
    }
    cases_fail("setup", "there is no file %s", name);
}

static void replay(const char *words) {
    char name[16];
    char kind[16];
    char file[32];
    uint64_t a;
    uint64_t b;
    CASES_CHECK(sscanf(words, "%15s %15s %31s %" SCNu64 " %" SCNu64, name, kind, file, &a, &b) == 5,
                "setup", "not a case");
    const struct damage_store *store = stores;
    while (store < stores + STORES - 1 && strcmp(name, store->name) != 0) {
        store++;
    }
    if (strcmp(kind, "row") == 0) {
        damage_row(store, a, b);
    } else if (strcmp(kind, "stale") == 0) {
        damage_stale(store, a, b);
    } else if (strcmp(kind, "swap") == 0) {
        damage_swap(store, a, b);
    } else if (strcmp(kind, "copy") == 0) {
        damage_copy(store, a, b);
    } else if (strcmp(kind, "cut") == 0) {
        damage_cut(store, find_file(store, file), a);
    } else {
        damage_flip(store, find_file(store, file), a, (unsigned)b);
    }
}

int main(int argc, char **argv) {
    struct cases cases = {.program = "damage", .count = 400000};
    cases_begin(&cases, argc, argv);
    sim_world_begin(1, SIM_IN_ORDER);
    damage_make_store(&stores[0], "transactional", false, false);
    damage_make_store(&stores[1], "direct", true, false);
    damage_make_store(&stores[2], "killed", true, true);
    if (!cases_replay(&cases, replay)) {
        while (cases_next_slice(&cases)) {
            run_slice(&cases);
        }
    }
    for (size_t i = 0; i < STORES; i++) {
        damage_forget_store(&stores[i]);
    }
    cases_add("recoveries from an index", sim_world_index_recoveries());
    cases_expect(&cases, "recoveries from an index");
    sim_world_end();
    return cases_end(&cases, "P4 P8");
}
