/* sim_disk_internal.h - what the files of the simulated disk share.
 *
 * Everything is copied on write. A block belongs to any number of nodes and log entries, a node to
 * any number of trees, and whoever changes one has it to himself first. So a clone of a tree
 * costs one increment per file, and a log entry shares the blocks that it wrote.
 *
 * The bytes of a block beyond the end of its file are zero.
 */
#ifndef TESTS_SUPPORT_SIM_DISK_INTERNAL_H
#define TESTS_SUPPORT_SIM_DISK_INTERNAL_H

#include "sim_crash.h"
#include "sim_disk.h"

#define SIM_BLOCK_BYTES 4096u
#define SIM_BLOCK_SECTORS (SIM_BLOCK_BYTES / SIM_SECTOR_BYTES)
#define SIM_ROOT UINT64_C(1) /* inode of the root directory */

_Noreturn void sim_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *sim_allocate(size_t bytes); /* zeroed, never NULL; free() releases it */
/* Room for `count` elements in an array that has room for *capacity, at least doubled. */
void *sim_grow(void *array, size_t *capacity, size_t count, size_t element_bytes);

/* ---- blocks and nodes (sim_disk_node.c) ---- */

struct sim_block {
    uint64_t hash; /* of the bytes, 0: not known */
    uint32_t references;
    uint8_t bytes[SIM_BLOCK_BYTES];
};

/* A name is interned: equal names are one pointer. */
struct sim_name {
    const char *name;
    uint64_t inode;
};

struct sim_node {
    uint64_t hash; /* of a file's size and bytes, 0: not known */
    uint64_t size_bytes;
    struct sim_block **blocks; /* NULL, or beyond block_count: zeroes */
    size_t block_count, block_capacity;
    struct sim_name *names; /* of a directory, ascending */
    size_t name_count, name_capacity;
    uint32_t references;
    uint32_t mode, user, group;
    bool is_directory;
};

struct sim_block *sim_block_hold(struct sim_block *block); /* NULL: NULL */
void sim_block_release(struct sim_block *block);
uint64_t sim_block_hash(struct sim_block *block);

struct sim_node *sim_node_create(bool is_directory, uint32_t mode);
struct sim_node *sim_node_copy(const struct sim_node *node);
void sim_node_release(struct sim_node *node);
uint64_t sim_node_hash(struct sim_node *node); /* of a file */

/* These change the node: it belongs to one tree. */
void sim_node_write(struct sim_node *node, uint64_t offset, const void *bytes, size_t count);
void sim_node_truncate(struct sim_node *node, uint64_t size_bytes);
/* Sectors [first, end) of the file become those of blocks that begin at block `first_block`.
 * The size stays. */
void sim_node_put_sectors(struct sim_node *node, uint64_t first, uint64_t end,
                          struct sim_block *const *blocks, uint64_t first_block);
void sim_node_set_name(struct sim_node *node, const char *name, uint64_t inode); /* 0: removes */

size_t sim_node_read(const struct sim_node *node, uint64_t offset, void *bytes, size_t count);
/* How many bytes from `offset` on, at most `count`, can be written with so many new blocks. */
size_t sim_node_fits(const struct sim_node *node, uint64_t offset, size_t count,
                     uint64_t new_blocks);
uint64_t sim_node_used_blocks(const struct sim_node *node);
struct sim_block *sim_node_block(const struct sim_node *node, uint64_t index);        /* or NULL */
uint64_t sim_node_find(const struct sim_node *node, const char *name, size_t length); /* or 0 */

/* ---- trees (sim_disk_tree.c) ---- */

struct sim_tree {
    struct sim_node **nodes; /* by inode; NULL: none */
    size_t count;            /* inodes are below it */
    size_t capacity;
};

/* Where a path leads. */
struct sim_place {
    uint64_t directory; /* 0: the path is the root */
    const char *name;   /* in the path, not terminated */
    size_t name_bytes;
    uint64_t inode; /* 0: there is none */
};

const char *sim_intern(const char *name, size_t length);
void sim_tree_init(struct sim_tree *tree); /* an empty root */
void sim_tree_finish(struct sim_tree *tree);
struct sim_tree sim_tree_clone(const struct sim_tree *tree);
struct sim_node *sim_tree_node(const struct sim_tree *tree, uint64_t inode); /* or NULL */
/* Takes over the caller's reference; NULL: drops the node. */
void sim_tree_set(struct sim_tree *tree, uint64_t inode, struct sim_node *node);
struct sim_node *sim_tree_edit(struct sim_tree *tree, uint64_t inode); /* for this tree alone */
/* OK also if only the last name is missing. */
enum sim_result sim_tree_find(const struct sim_tree *tree, const char *path,
                              struct sim_place *place);
/* Drops what no name leads to. */
void sim_tree_prune(struct sim_tree *tree);
uint64_t sim_tree_hash(const struct sim_tree *tree, uint64_t seed);

/* ---- the log (sim_disk_log.c) ---- */

struct sim_change {
    uint64_t directory;
    const char *name;
    uint64_t inode; /* which the name leads to from now on; 0: to nothing */
};

struct sim_entry {
    enum sim_op op;
    enum sim_side side;
    uint32_t fibre;
    uint32_t references;
    uint64_t inode;         /* file or directory; NAMES: the one that has no name any more, or 0 */
    uint64_t offset, count; /* WRITE; TRUNCATE: the size, and 0; MARK: kind and number */
    uint64_t size_bytes;    /* WRITE: of the file afterwards */
    struct sim_change change[2]; /* NAMES; a rename has two, the old name first */
    unsigned change_count;
    bool creates, is_directory; /* NAMES: change[0].inode is new */
    uint32_t mode, user, group; /* of what is created; OWN */
    size_t block_count;
    struct sim_block *blocks[]; /* WRITE: those it touched, as they were afterwards */
};

/* The lists below hold references. */
struct sim_entries {
    struct sim_entry **entry;
    size_t count;
    size_t capacity;
};

struct sim_entry *sim_entry_create(enum sim_op op, enum sim_side side, size_t block_count);
void sim_entry_release(struct sim_entry *entry);
void sim_entries_add(struct sim_entries *entries, struct sim_entry *entry); /* takes over */
void sim_entries_finish(struct sim_entries *entries);
struct sim_entries sim_entries_clone(const struct sim_entries *entries);
uint64_t sim_entry_hash(const struct sim_entry *entry, uint64_t seed);

/* ---- disks and images ---- */

struct sim_handle {
    struct sim_disk *disk;
    struct sim_handle *next;
    struct sim_node *scratch; /* of SIM_OPEN_SCRATCH; else NULL */
    uint64_t inode;
    enum sim_side side;
    uint32_t file_class; /* SIM_FILE_... */
    bool may_write;
    bool is_locked;
    bool is_unlinked;
};

struct sim_disk {
    struct sim_tree live;
    struct sim_entries log;
    struct sim_image *from; /* or NULL */
    struct sim_handle *handles;
    uint64_t next_inode;
    uint64_t used_blocks, blocks_max;
    /* faults */
    struct sim_fault fault;
    bool is_armed;
    uint64_t matched, fired;
    struct sim_tree stale; /* the tree when the fault was armed, for SIM_STALE */
    uint64_t calls[SIM_SIDES][SIM_CALL_COUNT][SIM_FILE_CLASSES];
};

struct sim_image {
    struct sim_tree durable;
    struct sim_tree live; /* SIM_KILL: what files read as; else the same as durable */
    struct sim_entries pending;
    uint64_t hash; /* 0: not known */
    uint32_t references;
    bool has_lost; /* live may hold bytes that are neither durable nor pending */
};

struct sim_image *sim_image_create(struct sim_tree *durable); /* takes over the tree; prunes it */
struct sim_disk *sim_disk_required(void);                     /* the mounted one */
bool sim_disk_has_open(const struct sim_disk *disk, uint64_t inode);
/* Forgets a file of which neither a name nor a handle is left. */
void sim_disk_drop(struct sim_disk *disk, uint64_t inode);
void sim_disk_own(struct sim_disk *disk, enum sim_side side, uint64_t inode, uint32_t mode,
                  uint32_t user, uint32_t group);

/* Counts a call. True if it is to have an effect. */
bool sim_fault_enter(struct sim_disk *disk, enum sim_side side, enum sim_call call,
                     uint32_t file_class, enum sim_effect *effect);
uint32_t sim_file_class(const char *name, size_t length); /* not of a directory */
/* What the caller is told. */
enum sim_result sim_fault_result(enum sim_effect effect);

#endif
