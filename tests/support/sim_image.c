/* sim_image.c - states of a simulated disk, and damage to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "sim_disk_internal.h"

struct sim_image *sim_image_create(struct sim_tree *durable) {
    struct sim_image *image = sim_allocate(sizeof *image);
    sim_tree_prune(durable);
    image->durable = *durable;
    image->live = sim_tree_clone(durable);
    image->references = 1;
    *durable = (struct sim_tree){0};
    return image;
}

struct sim_image *sim_disk_image(const struct sim_disk *disk) {
    struct sim_tree tree = sim_tree_clone(&disk->live);
    return sim_image_create(&tree);
}

struct sim_image *sim_image_hold(struct sim_image *image) {
    image->references++;
    return image;
}

void sim_image_release(struct sim_image *image) {
    if (image != NULL && --image->references == 0) {
        sim_tree_finish(&image->durable);
        sim_tree_finish(&image->live);
        sim_entries_finish(&image->pending);
        free(image);
    }
}

uint64_t sim_image_hash(const struct sim_image *image) {
    uint64_t hash = image->hash;
    if (hash == 0) {
        hash = sim_tree_hash(&image->live, 0);
        /* An entry names inodes, so of such images more differ than need be. */
        for (size_t i = 0; i < image->pending.count; i++) {
            hash = sim_entry_hash(image->pending.entry[i], hash);
        }
        hash = image->has_lost ? sim_tree_hash(&image->durable, hash) : hash;
        ((struct sim_image *)image)->hash = hash | 1; /* a cache */
    }
    return hash | 1;
}

/* ---- reading ---- */

struct visit {
    const struct sim_tree *tree;
    void (*each)(void *, const char *path, uint64_t size_bytes);
    void *context;
    char path[1024];
};

static void visit_directory(struct visit *visit, const struct sim_node *directory,
                            size_t path_bytes) {
    for (size_t i = 0; i < directory->name_count; i++) {
        const struct sim_name *name = &directory->names[i];
        const struct sim_node *node = sim_tree_node(visit->tree, name->inode);
        const size_t added = (size_t)snprintf(visit->path + path_bytes,
                                              sizeof visit->path - path_bytes, "/%s", name->name);
        if (path_bytes + added >= sizeof visit->path) {
            sim_die("a path is too long");
        }
        if (node->is_directory) {
            visit_directory(visit, node, path_bytes + added);
        } else {
            visit->each(visit->context, visit->path, node->size_bytes);
        }
        visit->path[path_bytes] = 0;
    }
}

void sim_image_each(const struct sim_image *image,
                    void (*each)(void *, const char *path, uint64_t size_bytes), void *context) {
    struct visit visit = {.tree = &image->live, .each = each, .context = context};
    visit_directory(&visit, sim_tree_node(&image->live, SIM_ROOT), 0);
}

/* The file's inode, or 0. */
static uint64_t find_file(const struct sim_image *image, const char *path) {
    struct sim_place place;
    const struct sim_node *node = NULL;
    if (sim_tree_find(&image->live, path, &place) == SIM_OK) {
        node = sim_tree_node(&image->live, place.inode);
    }
    return node == NULL || node->is_directory ? 0 : place.inode;
}

size_t sim_image_read(const struct sim_image *image, const char *path, uint64_t offset, void *bytes,
                      size_t count) {
    const uint64_t inode = find_file(image, path);
    return inode == 0 ? 0 : sim_node_read(sim_tree_node(&image->live, inode), offset, bytes, count);
}

/* ---- damage ---- */

/* A tree in which the file can be changed. */
static struct sim_node *begin_damage(const struct sim_image *image, const char *path,
                                     struct sim_tree *tree) {
    const uint64_t inode = find_file(image, path);
    if (inode == 0 || image->pending.count > 0) {
        sim_die("%s is not to be damaged", path);
    }
    *tree = sim_tree_clone(&image->durable);
    return sim_tree_edit(tree, inode);
}

struct sim_image *sim_image_flip(const struct sim_image *image, const char *path, uint64_t offset,
                                 uint8_t bits) {
    struct sim_tree tree;
    struct sim_node *node = begin_damage(image, path, &tree);
    uint8_t byte;
    if (sim_node_read(node, offset, &byte, 1) != 1) {
        sim_die("%s has no byte %llu", path, (unsigned long long)offset);
    }
    byte ^= bits;
    sim_node_write(node, offset, &byte, 1);
    return sim_image_create(&tree);
}

struct sim_image *sim_image_cut(const struct sim_image *image, const char *path,
                                uint64_t size_bytes) {
    struct sim_tree tree;
    sim_node_truncate(begin_damage(image, path, &tree), size_bytes);
    return sim_image_create(&tree);
}

struct sector {
    uint8_t bytes[SIM_SECTOR_BYTES];
    size_t size;
};

/* What there is of a sector, with zeroes behind it. */
static struct sector read_sector(const struct sim_image *image, const char *path, uint64_t number) {
    struct sector sector = {.size = 0};
    sector.size =
        sim_image_read(image, path, number * SIM_SECTOR_BYTES, sector.bytes, SIM_SECTOR_BYTES);
    if (sector.size == 0) {
        sim_die("%s has no sector %llu", path, (unsigned long long)number);
    }
    return sector;
}

static struct sim_image *put_sector(const struct sim_image *image, const char *path,
                                    uint64_t number, const struct sector *sector) {
    struct sim_tree tree;
    struct sim_node *node = begin_damage(image, path, &tree);
    sim_node_write(node, number * SIM_SECTOR_BYTES, sector->bytes,
                   read_sector(image, path, number).size);
    return sim_image_create(&tree);
}

struct sim_image *sim_image_copy(const struct sim_image *image, const char *path, uint64_t sector,
                                 const struct sim_image *from, const char *other,
                                 uint64_t other_sector) {
    const struct sector source = read_sector(from, other, other_sector);
    return put_sector(image, path, sector, &source);
}

struct sim_image *sim_image_swap(const struct sim_image *image, const char *path, uint64_t sector,
                                 const char *other, uint64_t other_sector) {
    struct sim_image *half = sim_image_copy(image, path, sector, image, other, other_sector);
    struct sim_image *whole = sim_image_copy(half, other, other_sector, image, path, sector);
    sim_image_release(half);
    return whole;
}
