/* sim_disk_log.c - what a simulated disk remembers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "sim_disk_internal.h"

static uint32_t (*identify)(void);

void sim_log_identify(uint32_t (*fibre)(void)) {
    identify = fibre;
}

/* ---- entries ---- */

struct sim_entry *sim_entry_create(enum sim_op op, enum sim_side side, size_t block_count) {
    struct sim_entry *entry =
        sim_allocate(sizeof *entry + block_count * sizeof(struct sim_block *));
    entry->op = op;
    entry->side = side;
    entry->fibre = identify != NULL ? identify() : 0;
    entry->references = 1;
    entry->block_count = block_count;
    return entry;
}

void sim_entry_release(struct sim_entry *entry) {
    if (--entry->references == 0) {
        for (size_t i = 0; i < entry->block_count; i++) {
            sim_block_release(entry->blocks[i]);
        }
        free(entry);
    }
}

void sim_entries_add(struct sim_entries *entries, struct sim_entry *entry) {
    entries->entry =
        sim_grow(entries->entry, &entries->capacity, entries->count + 1, sizeof(void *));
    entries->entry[entries->count++] = entry;
}

void sim_entries_finish(struct sim_entries *entries) {
    for (size_t i = 0; i < entries->count; i++) {
        sim_entry_release(entries->entry[i]);
    }
    free(entries->entry);
    *entries = (struct sim_entries){0};
}

struct sim_entries sim_entries_clone(const struct sim_entries *entries) {
    struct sim_entries clone = {0};
    for (size_t i = 0; i < entries->count; i++) {
        entries->entry[i]->references++;
        sim_entries_add(&clone, entries->entry[i]);
    }
    return clone;
}

uint64_t sim_entry_hash(const struct sim_entry *entry, uint64_t seed) {
    const uint64_t words[] = {(uint64_t)entry->op, (uint64_t)entry->side, entry->fibre,
                              entry->inode,        entry->offset,         entry->count,
                              entry->size_bytes,   entry->change_count,   entry->creates,
                              entry->is_directory, entry->mode,           entry->user,
                              entry->group};
    uint64_t hash = fst_checksum64(words, sizeof words, seed);
    for (unsigned i = 0; i < entry->change_count; i++) {
        const struct sim_change *change = &entry->change[i];
        const uint64_t inodes[2] = {change->directory, change->inode};
        hash = fst_checksum64(inodes, sizeof inodes, hash);
        hash = fst_checksum64(change->name, strlen(change->name), hash);
    }
    for (size_t i = 0; i < entry->block_count; i++) {
        const uint64_t block = sim_block_hash(entry->blocks[i]);
        hash = fst_checksum64(&block, sizeof block, hash);
    }
    return hash;
}

/* ---- the log ---- */

uint64_t sim_log_length(const struct sim_disk *disk) {
    return disk->log.count;
}

void sim_mark(uint32_t kind, uint64_t number) {
    struct sim_entry *entry = sim_entry_create(SIM_OP_MARK, SIM_ENGINE, 0);
    entry->offset = kind;
    entry->count = number;
    sim_entries_add(&sim_disk_required()->log, entry);
}

bool sim_log_mark(const struct sim_disk *disk, uint64_t position, uint32_t *kind,
                  uint64_t *number) {
    if (position == 0 || position > disk->log.count ||
        disk->log.entry[position - 1]->op != SIM_OP_MARK) {
        return false;
    }
    *kind = (uint32_t)disk->log.entry[position - 1]->offset;
    *number = disk->log.entry[position - 1]->count;
    return true;
}

uint64_t sim_log_hash(const struct sim_disk *disk) {
    uint64_t hash = disk->log.count;
    for (size_t i = 0; i < disk->log.count; i++) {
        hash = sim_entry_hash(disk->log.entry[i], hash);
    }
    return hash;
}

/* ---- printing ---- */

/* The name that the log last gave to an inode below `limit`; "" if it has it from an image. */
static const char *name_of(const struct sim_disk *disk, uint64_t inode, uint64_t limit) {
    for (uint64_t i = limit; i-- > 0;) {
        const struct sim_entry *entry = disk->log.entry[i];
        for (unsigned k = 0; k < entry->change_count; k++) {
            if (entry->change[k].inode == inode) {
                return entry->change[k].name;
            }
        }
    }
    return "";
}

static void print_names(const struct sim_entry *entry) {
    for (unsigned i = 0; i < entry->change_count; i++) {
        const struct sim_change *change = &entry->change[i];
        printf(" %" PRIu64 "/%s -> %" PRIu64, change->directory, change->name, change->inode);
    }
    printf("%s\n", !entry->creates ? "" : entry->is_directory ? " (new directory)" : " (new)");
}

void sim_log_print(const struct sim_disk *disk, uint64_t from, uint64_t to) {
    static const char *const names[] = {
        [SIM_OP_WRITE] = "write", [SIM_OP_TRUNCATE] = "truncate",
        [SIM_OP_SYNC] = "sync",   [SIM_OP_SYNC_LOST] = "sync, lost",
        [SIM_OP_NAMES] = "names", [SIM_OP_DIRSYNC] = "directory sync",
        [SIM_OP_MARK] = "mark",   [SIM_OP_OWN] = "own",
    };
    for (uint64_t i = from; i < to && i < disk->log.count; i++) {
        const struct sim_entry *entry = disk->log.entry[i];
        printf("%6" PRIu64 " %c%" PRIu32 " %s", i, entry->side == SIM_SQLITE ? 'S' : 'E',
               entry->fibre, names[entry->op]);
        if (entry->op == SIM_OP_NAMES) {
            print_names(entry);
        } else if (entry->op == SIM_OP_MARK) {
            printf(" %" PRIu64 ": %" PRIu64 "\n", entry->offset, entry->count);
        } else {
            printf(" %" PRIu64 " %s", entry->inode, name_of(disk, entry->inode, i));
            printf(entry->op == SIM_OP_WRITE ? " at %" PRIu64 ", %" PRIu64 " bytes\n"
                                             : " %" PRIu64 "\n",
                   entry->offset, entry->count);
        }
    }
}
