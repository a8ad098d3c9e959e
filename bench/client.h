/* client.h - what the phases of bench_engine run against: the engine, or a plain table. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "workload.h"

#define BENCH_BATCH_MAX 1024u

/* How keys and values look, for all clients alike. */
struct bench_shape {
    uint32_t key_count;
    uint32_t key_bytes;
    uint32_t value_bytes;
};

struct bench_counts {
    uint64_t not_found;   /* reads of keys that are not there */
    uint64_t wrong;       /* values that are not their key's */
    uint64_t version_sum; /* of values that were checked */
};

/* One call, or one batch, of operations. */
struct bench_step {
    const struct bench_mix *mix;
    const uint32_t *ids;
    uint32_t count;   /* 1, or the operations of a batch */
    uint32_t version; /* of values that are set */
    bool checks;      /* compare each value read, not only its size */
    struct bench_random *random;
    struct bench_counts *counts;
};

/* A client belongs to one thread. */
struct bench_client;
struct bench_client_kind {
    /* False: it failed, and has said why on stderr. */
    bool (*step)(struct bench_client *client, const struct bench_step *step);
    /* Ends what the phase left open. */
    bool (*end_phase)(struct bench_client *client);
    void (*close)(struct bench_client *client);
};
struct bench_client {
    const struct bench_client_kind *kind;
};

/* What a read found. Inline: it is part of each operation that is measured. */
static inline void bench_note_value(const struct bench_step *step, const struct bench_shape *shape,
                                    uint32_t id, const void *value, size_t value_bytes) {
    if (value_bytes != shape->value_bytes) {
        step->counts->wrong++;
    } else if (step->checks) {
        uint32_t version;
        if (bench_value_is_right(value, value_bytes, id, &version)) {
            step->counts->version_sum += version;
        } else {
            step->counts->wrong++;
        }
    }
}

/* ---- the engine: engine_client.c ---- */

struct bench_engine_options {
    struct bench_shape shape;
    const char *directory; /* NULL: in memory */
    uint64_t memory_bytes;
    uint64_t page_bytes;       /* 0: the engine's default */
    bool transactional;        /* else direct */
    bool io_direct;            /* past the page cache */
    uint32_t transaction_size; /* operations of a transaction */
    uint64_t commit_every; /* of a direct store: writes of a client, and a phase's end; 0: never */
};

struct bench_engine;
/* NULL: it failed, and has said why on stderr. The options outlive it. */
struct bench_engine *bench_engine_open(const struct bench_engine_options *options);
struct bench_client *bench_engine_client(struct bench_engine *engine);
/* One figure of faster_store_stats(), or 0. */
uint64_t bench_engine_stat(struct bench_engine *engine, const char *name);
/* Closes the store and removes its files. */
void bench_engine_close(struct bench_engine *engine);

/* ---- the reference in memory: table_client.c ---- */

struct bench_table;
/* Room for all keys. NULL: no memory. */
struct bench_table *bench_table_open(const struct bench_shape *shape, bool huge_pages);
struct bench_client *bench_table_client(struct bench_table *table);
void bench_table_close(struct bench_table *table);

/* ---- the reference on disk: disk_client.c ---- */

/* Of the store in this directory; its steps are reads, whatever the mix. NULL: it failed, and has
 * said why on stderr. */
struct bench_client *bench_disk_client(const char *directory);

#endif
