/* sim_disk_node.c - the files and directories of a simulated disk. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "sim_disk_internal.h"

void sim_die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("simulated disk: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    abort();
}

void *sim_allocate(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        sim_die("no memory");
    }
    return memory;
}

void *sim_grow(void *array, size_t *capacity, size_t count, size_t element_bytes) {
    if (count <= *capacity) {
        return array;
    }
    *capacity = count < 2 * *capacity ? 2 * *capacity : count < 8 ? 8 : count;
    array = realloc(array, *capacity * element_bytes);
    if (array == NULL) {
        sim_die("no memory");
    }
    return array;
}

/* ---- blocks ---- */

struct sim_block *sim_block_hold(struct sim_block *block) {
    if (block != NULL) {
        block->references++;
    }
    return block;
}

void sim_block_release(struct sim_block *block) {
    if (block != NULL && --block->references == 0) {
        free(block);
    }
}

static struct sim_block *create_block(const struct sim_block *from) {
    struct sim_block *block = malloc(sizeof *block);
    if (block == NULL) {
        sim_die("no memory");
    }
    block->hash = 0;
    block->references = 1;
    if (from != NULL) {
        memcpy(block->bytes, from->bytes, SIM_BLOCK_BYTES);
    } else {
        memset(block->bytes, 0, SIM_BLOCK_BYTES);
    }
    return block;
}

uint64_t sim_block_hash(struct sim_block *block) {
    if (block != NULL && block->hash == 0) {
        block->hash = fst_checksum64(block->bytes, SIM_BLOCK_BYTES, 1) | 1;
    }
    return block == NULL ? 0 : block->hash;
}

/* ---- nodes ---- */

struct sim_node *sim_node_create(bool is_directory, uint32_t mode) {
    struct sim_node *node = sim_allocate(sizeof *node);
    node->is_directory = is_directory;
    node->mode = mode;
    node->references = 1;
    return node;
}

struct sim_node *sim_node_copy(const struct sim_node *node) {
    struct sim_node *copy = sim_allocate(sizeof *copy);
    *copy = *node;
    copy->references = 1;
    copy->blocks = NULL;
    copy->block_capacity = 0;
    copy->names = NULL;
    copy->name_capacity = 0;
    if (node->block_count > 0) {
        copy->blocks = sim_grow(NULL, &copy->block_capacity, node->block_count, sizeof(void *));
        for (size_t i = 0; i < node->block_count; i++) {
            copy->blocks[i] = sim_block_hold(node->blocks[i]);
        }
    }
    if (node->name_count > 0) {
        copy->names =
            sim_grow(NULL, &copy->name_capacity, node->name_count, sizeof(struct sim_name));
        memcpy(copy->names, node->names, node->name_count * sizeof(struct sim_name));
    }
    return copy;
}

void sim_node_release(struct sim_node *node) {
    if (node == NULL || --node->references > 0) {
        return;
    }
    for (size_t i = 0; i < node->block_count; i++) {
        sim_block_release(node->blocks[i]);
    }
    free(node->blocks);
    free(node->names);
    free(node);
}

uint64_t sim_node_hash(struct sim_node *node) {
    if (node->hash == 0) {
        uint64_t hash = node->size_bytes;
        for (size_t i = 0; i < node->block_count; i++) {
            if (node->blocks[i] != NULL) {
                const uint64_t words[2] = {i, sim_block_hash(node->blocks[i])};
                hash = fst_checksum64(words, sizeof words, hash);
            }
        }
        node->hash = fst_checksum64(&hash, sizeof hash, 2) | 1;
    }
    return node->hash;
}

struct sim_block *sim_node_block(const struct sim_node *node, uint64_t index) {
    return index < node->block_count ? node->blocks[index] : NULL;
}

uint64_t sim_node_used_blocks(const struct sim_node *node) {
    uint64_t used = 0;
    for (size_t i = 0; i < node->block_count; i++) {
        used += node->blocks[i] != NULL;
    }
    return used;
}

/* The place of block `index`, which exists from now on, maybe as NULL. */
static struct sim_block **block_place(struct sim_node *node, uint64_t index) {
    if (index >= node->block_count) {
        node->blocks = sim_grow(node->blocks, &node->block_capacity, index + 1, sizeof(void *));
        memset(node->blocks + node->block_count, 0,
               (index + 1 - node->block_count) * sizeof(void *));
        node->block_count = index + 1;
    }
    return &node->blocks[index];
}

/* The block for changes that its node alone sees. */
static struct sim_block *edit_block(struct sim_node *node, uint64_t index) {
    struct sim_block **place = block_place(node, index);
    struct sim_block *block = *place;
    if (block == NULL || block->references > 1) {
        *place = create_block(block);
        sim_block_release(block);
    }
    (*place)->hash = 0;
    return *place;
}

/* ---- bytes ---- */

static size_t part_of_block(uint64_t offset, size_t count) {
    const size_t room = SIM_BLOCK_BYTES - offset % SIM_BLOCK_BYTES;
    return count < room ? count : room;
}

void sim_node_write(struct sim_node *node, uint64_t offset, const void *bytes, size_t count) {
    const uint8_t *from = bytes;
    node->hash = 0;
    if (count > 0 && node->size_bytes < offset + count) {
        node->size_bytes = offset + count;
    }
    while (count > 0) {
        const size_t part = part_of_block(offset, count);
        struct sim_block *block = edit_block(node, offset / SIM_BLOCK_BYTES);
        memcpy(block->bytes + offset % SIM_BLOCK_BYTES, from, part);
        from += part;
        offset += part;
        count -= part;
    }
}

size_t sim_node_read(const struct sim_node *node, uint64_t offset, void *bytes, size_t count) {
    uint8_t *to = bytes;
    if (offset >= node->size_bytes) {
        return 0;
    }
    if (count > node->size_bytes - offset) {
        count = (size_t)(node->size_bytes - offset);
    }
    for (size_t left = count; left > 0;) {
        const size_t part = part_of_block(offset, left);
        const struct sim_block *block = sim_node_block(node, offset / SIM_BLOCK_BYTES);
        if (block == NULL) {
            memset(to, 0, part);
        } else {
            memcpy(to, block->bytes + offset % SIM_BLOCK_BYTES, part);
        }
        to += part;
        offset += part;
        left -= part;
    }
    return count;
}

size_t sim_node_fits(const struct sim_node *node, uint64_t offset, size_t count,
                     uint64_t new_blocks) {
    size_t fits = 0;
    while (fits < count) {
        if (sim_node_block(node, offset / SIM_BLOCK_BYTES) == NULL && new_blocks-- == 0) {
            break;
        }
        const size_t part = part_of_block(offset, count - fits);
        offset += part;
        fits += part;
    }
    return fits;
}

void sim_node_truncate(struct sim_node *node, uint64_t size_bytes) {
    const uint64_t kept = (size_bytes + SIM_BLOCK_BYTES - 1) / SIM_BLOCK_BYTES;
    const size_t tail = size_bytes % SIM_BLOCK_BYTES;
    node->hash = 0;
    while (node->block_count > kept) {
        sim_block_release(node->blocks[--node->block_count]);
    }
    if (size_bytes < node->size_bytes && tail > 0 && sim_node_block(node, kept - 1) != NULL) {
        memset(edit_block(node, kept - 1)->bytes + tail, 0, SIM_BLOCK_BYTES - tail);
    }
    node->size_bytes = size_bytes;
}

void sim_node_put_sectors(struct sim_node *node, uint64_t first, uint64_t end,
                          struct sim_block *const *blocks, uint64_t first_block) {
    node->hash = 0;
    while (first < end) {
        const uint64_t index = first / SIM_BLOCK_SECTORS;
        const size_t in_block = first % SIM_BLOCK_SECTORS;
        uint64_t part = SIM_BLOCK_SECTORS - in_block;
        part = part < end - first ? part : end - first;
        struct sim_block *from = blocks[index - first_block];
        if (part == SIM_BLOCK_SECTORS) {
            struct sim_block **place = block_place(node, index);
            sim_block_hold(from);
            sim_block_release(*place);
            *place = from;
        } else {
            const size_t offset = in_block * SIM_SECTOR_BYTES;
            memcpy(edit_block(node, index)->bytes + offset, from->bytes + offset,
                   part * SIM_SECTOR_BYTES);
        }
        first += part;
    }
}

/* ---- names ---- */

static int compare_name(const char *name, const char *other, size_t length) {
    const int order = strncmp(name, other, length);
    return order != 0 ? order : name[length] != 0;
}

/* The first position whose name is not below. */
static size_t lower_bound(const struct sim_node *node, const char *name, size_t length) {
    size_t low = 0;
    size_t high = node->name_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_name(node->names[middle].name, name, length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t sim_node_find(const struct sim_node *node, const char *name, size_t length) {
    const size_t at = lower_bound(node, name, length);
    return at < node->name_count && compare_name(node->names[at].name, name, length) == 0
               ? node->names[at].inode
               : 0;
}

void sim_node_set_name(struct sim_node *node, const char *name, uint64_t inode) {
    const size_t at = lower_bound(node, name, strlen(name));
    const bool is_there = at < node->name_count && node->names[at].name == name;
    if (inode == 0 && is_there) {
        node->name_count--;
        memmove(node->names + at, node->names + at + 1,
                (node->name_count - at) * sizeof(struct sim_name));
    } else if (inode != 0) {
        if (!is_there) {
            node->names = sim_grow(node->names, &node->name_capacity, node->name_count + 1,
                                   sizeof(struct sim_name));
            memmove(node->names + at + 1, node->names + at,
                    (node->name_count - at) * sizeof(struct sim_name));
            node->name_count++;
        }
        node->names[at] = (struct sim_name){name, inode};
    }
}
