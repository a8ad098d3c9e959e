/* damage_kinds.c - one damage of each kind, and what must come of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "damage.h"
#include "damage_padding.h"

#define ROW_FIELDS 6u /* of 8 bytes */
#define ROW_FIELD_BYTES (ROW_FIELDS * 8u)
#define BITS 8u
#define SEGMENT_HEADER_BYTES 4096u /* FORMAT.md */

/* ---- after a damage ---- */

static size_t read_file(const void *context, const char *name, uint64_t offset, void *bytes,
                        size_t count) {
    const struct damage_store *store = context;
    char path[96];
    (void)snprintf(path, sizeof path, DAMAGE_PATH "/%s", name);
    return sim_image_read(store->image, path, offset, bytes, count);
}

/* A byte of [from, end) that differs, and that something checks; UINT64_MAX: there is none. */
static uint64_t find_checked(const struct damage_store *store, const struct sim_image *damaged,
                             const struct damage_file *file, uint64_t from, uint64_t end) {
    static unsigned char before[1u << 18];
    static unsigned char after[1u << 18];
    const struct padding_store padding = {read_file, store, DAMAGE_SEGMENT_BITS, store->log_end};
    const size_t count = from < end ? (size_t)(end - from) : 0;
    CASES_CHECK(count <= sizeof before, "setup", "%s is too long", file->name);
    memset(before, 0, count);
    memset(after, 0, count);
    (void)sim_image_read(store->image, file->path, from, before, count);
    (void)sim_image_read(damaged, file->path, from, after, count);
    for (size_t i = 0; i < count; i++) {
        if (before[i] != after[i] &&
            !padding_is_unchecked(&padding, file->name, file->size_bytes, from + i)) {
            return from + i;
        }
    }
    return UINT64_MAX;
}

static bool is_lock(const struct damage_file *file) {
    return strcmp(file->name, "lock") == 0;
}

static void count_outcome(const struct damage_outcome *outcome) {
    cases_did();
    cases_add(outcome->is_noticed_by_reading  ? "noticed by reading"
              : outcome->is_noticed_by_verify ? "by verify alone"
                                              : "of what nothing checks",
              1);
}

/* A range of a file that may have changed. */
struct damaged_range {
    const struct damage_file *file;
    uint64_t from, end;
};

static void check_image(const struct damage_store *store, struct sim_image *damaged,
                        const struct damaged_range *ranges, size_t range_count) {
    bool has_lock = false;
    for (size_t i = 0; i < range_count; i++) {
        has_lock = has_lock || is_lock(ranges[i].file);
    }
    if (sim_image_hash(damaged) != sim_image_hash(store->image)) {
        struct ledger rows = ledger_copy(&store->ledger);
        const struct damage_outcome outcome = damage_check(store, damaged, &rows, has_lock);
        ledger_finish(&rows);
        for (size_t i = 0;
             !outcome.is_noticed_by_reading && !outcome.is_noticed_by_verify && i < range_count;
             i++) {
            const uint64_t at =
                find_checked(store, damaged, ranges[i].file, ranges[i].from, ranges[i].end);
            CASES_CHECK(at == UINT64_MAX, "P4", "%s, byte %" PRIu64 ": nobody has noticed",
                        ranges[i].file->name, at);
        }
        count_outcome(&outcome);
    }
    sim_image_release(damaged);
}

/* ---- one case of each kind ---- */

void damage_flip(const struct damage_store *store, const struct damage_file *file, uint64_t offset,
                 unsigned bit) {
    const struct damaged_range range = {file, offset, offset + 1};
    cases_name("%s flip %s %" PRIu64 " %u", store->name, file->name, offset, bit);
    check_image(store, sim_image_flip(store->image, file->path, offset, (uint8_t)(1u << bit)),
                &range, 1);
}

static bool is_segment(const struct damage_file *file) {
    return strncmp(file->name, "log.", 4) == 0;
}

/* Of a segment that ends with its header or before, nothing checks the header. */
void damage_cut(const struct damage_store *store, const struct damage_file *file,
                uint64_t size_bytes) {
    const uint64_t header_end = is_segment(file) ? SEGMENT_HEADER_BYTES : 0;
    const struct damaged_range range = {file, size_bytes > header_end ? size_bytes : header_end,
                                        file->size_bytes};
    cases_name("%s cut %s %" PRIu64 " 0", store->name, file->name, size_bytes);
    check_image(store, sim_image_cut(store->image, file->path, size_bytes), &range, 1);
}

static uint64_t sectors_of(const struct damage_file *file) {
    return (file->size_bytes + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
}

uint64_t damage_count_sectors(const struct damage_store *store) {
    uint64_t count = 0;
    for (size_t i = 0; i < store->file_count; i++) {
        count += sectors_of(&store->files[i]);
    }
    return count;
}

/* Sectors are numbered through all files. The file's own number comes back in *sector. */
static const struct damage_file *find_sector(const struct damage_store *store, uint64_t *sector) {
    const struct damage_file *file = store->files;
    while (*sector >= sectors_of(file)) {
        *sector -= sectors_of(file++);
    }
    return file;
}

static struct damaged_range sector_range(const struct damage_store *store, uint64_t sector) {
    const struct damage_file *file = find_sector(store, &sector);
    return (struct damaged_range){file, sector * SIM_SECTOR_BYTES, (sector + 1) * SIM_SECTOR_BYTES};
}

/* Between other files it would be two damages: of the log's end, say, and of the one manifest that
 * knows where it was. */
void damage_swap(const struct damage_store *store, uint64_t one, uint64_t other) {
    const struct damaged_range ranges[2] = {sector_range(store, one), sector_range(store, other)};
    if (ranges[0].file != ranges[1].file &&
        !(is_segment(ranges[0].file) && is_segment(ranges[1].file))) {
        return;
    }
    cases_name("%s swap - %" PRIu64 " %" PRIu64, store->name, one, other);
    check_image(store,
                sim_image_swap(store->image, ranges[0].file->path,
                               ranges[0].from / SIM_SECTOR_BYTES, ranges[1].file->path,
                               ranges[1].from / SIM_SECTOR_BYTES),
                ranges, 2);
}

void damage_copy(const struct damage_store *store, uint64_t to, uint64_t from) {
    const struct damaged_range range = sector_range(store, to);
    const struct damaged_range source = sector_range(store, from);
    cases_name("%s copy - %" PRIu64 " %" PRIu64, store->name, to, from);
    check_image(store,
                sim_image_copy(store->image, range.file->path, range.from / SIM_SECTOR_BYTES,
                               store->image, source.file->path, source.from / SIM_SECTOR_BYTES),
                &range, 1);
}

void damage_stale(const struct damage_store *store, uint64_t sector, uint64_t age) {
    const struct damaged_range range = sector_range(store, sector);
    unsigned char byte;
    cases_name("%s stale - %" PRIu64 " %" PRIu64, store->name, sector, age);
    if (sim_image_read(store->older[age], range.file->path, range.from, &byte, 1) == 1) {
        check_image(store,
                    sim_image_copy(store->image, range.file->path, range.from / SIM_SECTOR_BYTES,
                                   store->older[age], range.file->path,
                                   range.from / SIM_SECTOR_BYTES),
                    &range, 1);
    }
}

uint64_t damage_row_bits(const struct faster_commit_row *row) {
    return (ROW_FIELD_BYTES + row->redo_bytes) * BITS;
}

/* A row's fields, then its redo. */
void damage_row(const struct damage_store *store, uint64_t row_index, uint64_t bit) {
    struct ledger rows = ledger_copy(&store->ledger);
    struct faster_commit_row *row = &rows.rows[row_index];
    uint64_t *const fields[ROW_FIELDS] = {&row->number, &row->start,           &row->end,
                                          &row->nonce,  &row->control_address, &row->checksum};
    cases_name("%s row - %" PRIu64 " %" PRIu64, store->name, row_index, bit);
    if (bit < ROW_FIELD_BYTES * BITS) {
        *fields[bit / 64] ^= UINT64_C(1) << bit % 64;
    } else {
        const uint64_t in_redo = bit - (uint64_t)ROW_FIELD_BYTES * BITS;
        ((unsigned char *)row->redo)[in_redo / BITS] ^= (unsigned char)(1u << in_redo % BITS);
    }
    const struct damage_outcome outcome = damage_check(store, store->image, &rows, false);
    CASES_CHECK(outcome.is_noticed_by_reading, "P4", "a changed row is not refused");
    count_outcome(&outcome);
    ledger_finish(&rows);
}
