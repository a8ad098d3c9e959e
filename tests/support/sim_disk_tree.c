/* sim_disk_tree.c - the names and inodes of a simulated disk. */
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "sim_disk_internal.h"

/* ---- interned names ---- */

#define NAME_BUCKETS 4096u

struct interned {
    struct interned *next;
    char name[];
};

/* Never released: logs, trees and images of all disks share them. */
static struct interned *buckets[NAME_BUCKETS];

const char *sim_intern(const char *name, size_t length) {
    struct interned **bucket = &buckets[fst_checksum64(name, length, 0) % NAME_BUCKETS];
    for (struct interned *one = *bucket; one != NULL; one = one->next) {
        if (strncmp(one->name, name, length) == 0 && one->name[length] == 0) {
            return one->name;
        }
    }
    struct interned *added = sim_allocate(sizeof *added + length + 1);
    memcpy(added->name, name, length);
    added->next = *bucket;
    *bucket = added;
    return added->name;
}

/* ---- trees ---- */

void sim_tree_init(struct sim_tree *tree) {
    *tree = (struct sim_tree){0};
    sim_tree_set(tree, SIM_ROOT, sim_node_create(true, 0755));
}

void sim_tree_finish(struct sim_tree *tree) {
    for (size_t i = 0; i < tree->count; i++) {
        sim_node_release(tree->nodes[i]);
    }
    free(tree->nodes);
    *tree = (struct sim_tree){0};
}

struct sim_tree sim_tree_clone(const struct sim_tree *tree) {
    struct sim_tree clone = {.count = tree->count};
    clone.nodes = sim_grow(NULL, &clone.capacity, tree->count, sizeof(void *));
    for (size_t i = 0; i < tree->count; i++) {
        clone.nodes[i] = tree->nodes[i];
        if (clone.nodes[i] != NULL) {
            clone.nodes[i]->references++;
        }
    }
    return clone;
}

struct sim_node *sim_tree_node(const struct sim_tree *tree, uint64_t inode) {
    return inode < tree->count ? tree->nodes[inode] : NULL;
}

void sim_tree_set(struct sim_tree *tree, uint64_t inode, struct sim_node *node) {
    if (inode >= tree->count) {
        if (node == NULL) {
            return;
        }
        tree->nodes = sim_grow(tree->nodes, &tree->capacity, inode + 1, sizeof(void *));
        memset(tree->nodes + tree->count, 0, (inode + 1 - tree->count) * sizeof(void *));
        tree->count = inode + 1;
    }
    sim_node_release(tree->nodes[inode]);
    tree->nodes[inode] = node;
}

struct sim_node *sim_tree_edit(struct sim_tree *tree, uint64_t inode) {
    struct sim_node *node = sim_tree_node(tree, inode);
    if (node != NULL && node->references > 1) {
        node = sim_node_copy(node);
        sim_tree_set(tree, inode, node);
    }
    return node;
}

enum sim_result sim_tree_find(const struct sim_tree *tree, const char *path,
                              struct sim_place *place) {
    *place = (struct sim_place){.inode = SIM_ROOT};
    if (*path != '/') {
        sim_die("not an absolute path: %s", path);
    }
    for (;;) {
        path += strspn(path, "/");
        const size_t length = strcspn(path, "/");
        if (length == 0) {
            return SIM_OK;
        }
        const struct sim_node *directory = sim_tree_node(tree, place->inode);
        if (directory == NULL) {
            return SIM_MISSING;
        }
        if (!directory->is_directory) {
            return SIM_NO_FILE;
        }
        if (length != 1 || *path != '.') {
            place->directory = place->inode;
            place->name = path;
            place->name_bytes = length;
            place->inode = sim_node_find(directory, path, length);
        }
        path += length;
    }
}

/* ---- what names lead to ---- */

static void mark_reachable(const struct sim_tree *tree, uint64_t inode, bool *reached) {
    const struct sim_node *node = sim_tree_node(tree, inode);
    if (node == NULL || reached[inode]) {
        return;
    }
    reached[inode] = true;
    for (size_t i = 0; i < node->name_count; i++) {
        mark_reachable(tree, node->names[i].inode, reached);
    }
}

void sim_tree_prune(struct sim_tree *tree) {
    bool *reached = sim_allocate(tree->count * sizeof *reached);
    mark_reachable(tree, SIM_ROOT, reached);
    for (size_t i = 0; i < tree->count; i++) {
        if (!reached[i] && tree->nodes[i] != NULL) {
            sim_tree_set(tree, i, NULL);
        }
    }
    free(reached);
}

static uint64_t hash_directory(const struct sim_tree *tree, const struct sim_node *directory,
                               uint64_t hash) {
    for (size_t i = 0; i < directory->name_count; i++) {
        const struct sim_name *name = &directory->names[i];
        struct sim_node *node = sim_tree_node(tree, name->inode);
        hash = fst_checksum64(name->name, strlen(name->name) + 1, hash);
        if (node == NULL) {
            sim_die("%s has no inode", name->name);
        }
        if (node->is_directory) {
            hash = hash_directory(tree, node, hash + 1);
        } else {
            const uint64_t content = sim_node_hash(node);
            hash = fst_checksum64(&content, sizeof content, hash);
        }
    }
    return fst_checksum64(&directory->name_count, sizeof directory->name_count, hash);
}

uint64_t sim_tree_hash(const struct sim_tree *tree, uint64_t seed) {
    return hash_directory(tree, sim_tree_node(tree, SIM_ROOT), seed);
}
