/* sim_cursor.c - walks the log of a simulated disk and makes what a crash may leave.
 *
 * The cursor keeps two trees. `cache` is what the files read as at its boundary; `durable` is what
 * would be left if nothing pending was kept. The pending entries lead from one to the other: each
 * kept one is put on top of `durable`, in their order. What a failed sync has lost is in `cache`
 * and in no pending entry.
 *
 * An inode is in both trees from its creation on, whether a name leads to it or not; an image
 * keeps what names lead to. It leaves `cache` with its last name, and `durable` when the loss of
 * the name becomes durable: then nothing can bring it back.
 */
#include <stdlib.h>

#include "sim_disk_internal.h"

struct sim_cursor {
    const struct sim_disk *disk;
    uint64_t position;
    struct sim_tree durable, cache;
    struct sim_entries pending;
    bool has_synced; /* by the entry before the boundary */
    bool has_lost;   /* a failed sync has lost something, ever */
};

/* ---- one entry on a tree ---- */

static uint64_t end_sector(const struct sim_entry *entry) {
    return (entry->offset + entry->count + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
}

static void enlarge(struct sim_node *node, uint64_t size_bytes) {
    if (node->size_bytes < size_bytes) {
        node->size_bytes = size_bytes;
        node->hash = 0;
    }
}

/* Sectors [first, end) of the file are written as the entry left them. The system writes whole
 * sectors, with all that is in them. */
static void put_sectors(struct sim_node *node, const struct sim_entry *entry, uint64_t first,
                        uint64_t end) {
    if (first < end) {
        const uint64_t end_bytes = end * SIM_SECTOR_BYTES;
        sim_node_put_sectors(node, first, end, entry->blocks, entry->offset / SIM_BLOCK_BYTES);
        enlarge(node, end_bytes < entry->size_bytes ? end_bytes : entry->size_bytes);
    }
}

static void put_whole(struct sim_tree *tree, const struct sim_entry *entry) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    if (node != NULL) {
        put_sectors(node, entry, entry->offset / SIM_SECTOR_BYTES, end_sector(entry));
    }
}

static void cut(struct sim_tree *tree, const struct sim_entry *entry) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    if (node != NULL) {
        sim_node_truncate(node, entry->offset);
    }
}

static void set_names(struct sim_tree *tree, const struct sim_entry *entry) {
    for (unsigned i = 0; i < entry->change_count; i++) {
        struct sim_node *directory = sim_tree_edit(tree, entry->change[i].directory);
        if (directory != NULL) {
            sim_node_set_name(directory, entry->change[i].name, entry->change[i].inode);
        }
    }
}

/* A rename without one before it: the file has moved from wherever it is. */
static void forget_names(struct sim_tree *tree, uint64_t inode) {
    for (size_t i = 0; i < tree->count; i++) {
        const struct sim_node *node = tree->nodes[i];
        for (size_t k = 0; node != NULL && k < node->name_count; k++) {
            if (node->names[k].inode == inode) {
                sim_node_set_name(sim_tree_edit(tree, i), node->names[k].name, 0);
                break;
            }
        }
    }
}

static void own(struct sim_tree *tree, const struct sim_entry *entry) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    if (node != NULL) {
        node->mode = entry->mode;
        node->user = entry->user;
        node->group = entry->group;
    }
}

static void apply(struct sim_tree *tree, const struct sim_entry *entry) {
    switch (entry->op) {
    case SIM_OP_WRITE:
        put_whole(tree, entry);
        break;
    case SIM_OP_TRUNCATE:
        cut(tree, entry);
        break;
    case SIM_OP_NAMES:
        set_names(tree, entry);
        break;
    case SIM_OP_OWN:
        own(tree, entry);
        break;
    case SIM_OP_SYNC:
    case SIM_OP_SYNC_LOST:
    case SIM_OP_DIRSYNC:
    case SIM_OP_MARK:
        break;
    }
}

/* ---- walking ---- */

static void create_node(struct sim_cursor *cursor, const struct sim_entry *entry) {
    const uint64_t inode = entry->change[0].inode;
    sim_tree_set(&cursor->durable, inode, sim_node_create(entry->is_directory, entry->mode));
    sim_tree_set(&cursor->cache, inode, sim_node_create(entry->is_directory, entry->mode));
}

/* Whether a sync of file or directory `inode` is about this entry. */
static bool concerns(const struct sim_entry *entry, uint64_t inode) {
    return (entry->op == SIM_OP_NAMES ? entry->change[0].directory : entry->inode) == inode;
}

/* The pending entries of one inode are pending no more: they are durable, or lost. False if there
 * were none. */
static bool settle(struct sim_cursor *cursor, uint64_t inode, bool is_durable) {
    struct sim_node *cached = sim_tree_node(&cursor->cache, inode);
    const bool is_shared =
        is_durable && !cursor->has_lost && cached != NULL && !cached->is_directory;
    size_t kept = 0;
    for (size_t i = 0; i < cursor->pending.count; i++) {
        struct sim_entry *entry = cursor->pending.entry[i];
        if (!concerns(entry, inode)) {
            cursor->pending.entry[kept++] = entry;
            continue;
        }
        if (is_durable && !is_shared) {
            apply(&cursor->durable, entry);
        }
        if (is_durable && entry->op == SIM_OP_NAMES && entry->inode != 0) {
            sim_tree_set(&cursor->durable, entry->inode, NULL);
        }
        sim_entry_release(entry);
    }
    const bool had_some = kept < cursor->pending.count;
    cursor->pending.count = kept;
    cursor->has_lost = cursor->has_lost || (had_some && !is_durable);
    if (had_some && is_shared) {
        /* All that was written is durable: one node for both trees, and one hash. */
        cached->references++;
        sim_tree_set(&cursor->durable, inode, cached);
    }
    return had_some;
}

/* Moves over one entry. Whether a crash behind it may leave something else. */
static bool step(struct sim_cursor *cursor) {
    struct sim_entry *entry = cursor->disk->log.entry[cursor->position++];
    cursor->has_synced = false;
    switch (entry->op) {
    case SIM_OP_WRITE:
    case SIM_OP_TRUNCATE:
    case SIM_OP_NAMES:
        if (entry->creates) {
            create_node(cursor, entry);
        }
        apply(&cursor->cache, entry);
        if (entry->op == SIM_OP_NAMES && entry->inode != 0) {
            sim_tree_set(&cursor->cache, entry->inode, NULL);
        }
        entry->references++;
        sim_entries_add(&cursor->pending, entry);
        return true;
    case SIM_OP_SYNC:
    case SIM_OP_DIRSYNC:
        cursor->has_synced = settle(cursor, entry->inode, true);
        return cursor->has_synced;
    case SIM_OP_SYNC_LOST:
        return settle(cursor, entry->inode, false);
    case SIM_OP_OWN:
        apply(&cursor->durable, entry);
        apply(&cursor->cache, entry);
        return false;
    case SIM_OP_MARK:
        break;
    }
    return true;
}

struct sim_cursor *sim_cursor_create(const struct sim_disk *disk, uint64_t from) {
    struct sim_cursor *cursor = sim_allocate(sizeof *cursor);
    cursor->disk = disk;
    if (disk->from == NULL) {
        sim_tree_init(&cursor->durable);
        sim_tree_init(&cursor->cache);
    } else {
        cursor->durable = sim_tree_clone(&disk->from->durable);
        cursor->cache = sim_tree_clone(&disk->from->live);
        cursor->pending = sim_entries_clone(&disk->from->pending);
        cursor->has_lost = disk->from->has_lost;
    }
    while (cursor->position < from && cursor->position < disk->log.count) {
        (void)step(cursor);
    }
    return cursor;
}

void sim_cursor_destroy(struct sim_cursor *cursor) {
    sim_tree_finish(&cursor->durable);
    sim_tree_finish(&cursor->cache);
    sim_entries_finish(&cursor->pending);
    free(cursor);
}

bool sim_cursor_next(struct sim_cursor *cursor) {
    while (cursor->position < cursor->disk->log.count) {
        if (step(cursor)) {
            return true;
        }
    }
    return false;
}

uint64_t sim_cursor_position(const struct sim_cursor *cursor) {
    return cursor->position;
}

bool sim_cursor_synced(const struct sim_cursor *cursor) {
    return cursor->has_synced;
}

/* ---- what is left ---- */

/* splitmix64 */
static uint64_t next_draw(uint64_t *draw) {
    *draw += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t word = *draw;
    word = (word ^ word >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ word >> 27) * UINT64_C(0x94D049BB133111EB);
    return word ^ word >> 31;
}

static bool draw_half(uint64_t *draw) {
    return (next_draw(draw) & 1) != 0;
}

/* Each sector of a write, or not: of several pending versions the last that is kept. */
static void keep_drawn_sectors(struct sim_tree *tree, const struct sim_entry *entry,
                               uint64_t *draw) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    uint64_t bits = 0;
    unsigned bit_count = 0;
    const uint64_t end = end_sector(entry);
    for (uint64_t i = entry->offset / SIM_SECTOR_BYTES; node != NULL && i < end; i++) {
        if (bit_count == 0) {
            bits = next_draw(draw);
            bit_count = 64;
        }
        if ((bits >> --bit_count & 1) != 0) {
            put_sectors(node, entry, i, i + 1);
        }
    }
}

static void tear(struct sim_tree *tree, const struct sim_entry *entry, uint64_t *draw) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    const uint64_t first = entry->offset / SIM_SECTOR_BYTES;
    const uint64_t end = end_sector(entry);
    const uint64_t middle = first + next_draw(draw) % (end - first + 1);
    switch (node == NULL ? 3 : next_draw(draw) % 3) {
    case 0:
        put_sectors(node, entry, first, middle);
        break;
    case 1:
        put_sectors(node, entry, middle, end);
        break;
    case 2:
        keep_drawn_sectors(tree, entry, draw);
        break;
    default:
        break;
    }
}

static void keep_size(struct sim_tree *tree, const struct sim_entry *entry) {
    struct sim_node *node = sim_tree_edit(tree, entry->inode);
    if (node != NULL) {
        enlarge(node, entry->size_bytes);
    }
}

/* What becomes of one pending change of names. */
static void keep_names(struct sim_tree *tree, const struct sim_entry *entry,
                       enum sim_variant variant, uint64_t *draw) {
    const bool is_drawn = variant == SIM_SECTORS || variant == SIM_REORDERED;
    if (variant == SIM_NOTHING || variant == SIM_TORN || (is_drawn && !draw_half(draw))) {
        return;
    }
    if (is_drawn && entry->change_count > 1) {
        forget_names(tree, entry->change[1].inode);
    }
    set_names(tree, entry);
}

/* What becomes of a pending write or truncation. */
static void keep_data(struct sim_tree *tree, const struct sim_entry *entry,
                      enum sim_variant variant, uint64_t *draw, bool is_newest) {
    const bool is_write = entry->op == SIM_OP_WRITE;
    if (variant == SIM_NOTHING) {
        return;
    }
    if (variant == SIM_SECTORS && is_write) {
        keep_drawn_sectors(tree, entry, draw);
    } else if (variant == SIM_TORN && is_newest) {
        tear(tree, entry, draw);
    } else if (variant == SIM_SIZES && is_write) {
        keep_size(tree, entry);
    } else if ((variant != SIM_SECTORS && variant != SIM_REORDERED) || draw_half(draw)) {
        apply(tree, entry);
    }
}

static struct sim_tree left_over(const struct sim_cursor *cursor, enum sim_variant variant,
                                 uint64_t draw) {
    if (variant == SIM_NOTHING || (variant == SIM_EVERYTHING && !cursor->has_lost)) {
        return sim_tree_clone(variant == SIM_NOTHING ? &cursor->durable : &cursor->cache);
    }
    struct sim_tree tree = sim_tree_clone(&cursor->durable);
    const struct sim_entries *pending = &cursor->pending;
    size_t newest = pending->count;
    while (newest > 0 && pending->entry[newest - 1]->op != SIM_OP_WRITE) {
        newest--;
    }
    for (size_t i = 0; i < pending->count; i++) {
        if (pending->entry[i]->op == SIM_OP_NAMES) {
            keep_names(&tree, pending->entry[i], variant, &draw);
        } else {
            keep_data(&tree, pending->entry[i], variant, &draw, i + 1 == newest);
        }
    }
    return tree;
}

struct sim_image *sim_cursor_image(struct sim_cursor *cursor, enum sim_variant variant,
                                   uint64_t draw) {
    struct sim_tree tree;
    if (variant != SIM_KILL) {
        tree = left_over(cursor, variant, draw);
        return sim_image_create(&tree);
    }
    tree = sim_tree_clone(&cursor->cache);
    struct sim_image *image = sim_image_create(&tree);
    sim_tree_finish(&image->durable);
    image->durable = sim_tree_clone(&cursor->durable);
    image->pending = sim_entries_clone(&cursor->pending);
    image->has_lost = cursor->has_lost;
    return image;
}
