/* table_client.c - a plain hash table in memory, the limit that the engine is measured against.
 *
 * Open addressing over words of a 16-bit tag and a record's number, at most half full; records
 * of one size lie in an array. So a lookup has two cache misses, one after the other, as in the
 * engine, but there is no thread to share with, nothing to make durable, and no other size.
 * Batches fetch the words of all their keys, then the records, before they touch them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "client.h"

#define TAG_SHIFT 48u
#define NUMBER_MASK ((UINT64_C(1) << TAG_SHIFT) - 1)
#define WORD_EMPTY UINT64_C(0)
#define WORD_DELETED UINT64_C(1) /* a tag of 0, which no entry has */

struct bench_table {
    struct bench_client client;
    struct bench_shape shape;
    uint64_t *words;
    unsigned char *records; /* key, value; numbers start with 1 */
    uint64_t mask;
    size_t words_bytes;
    size_t records_bytes;
    size_t record_bytes;
    uint64_t record_count;
    uint64_t record_limit;
};

static uint64_t hash_of(const struct bench_table *table, const unsigned char *key) {
    uint64_t words[3] = {0};
    memcpy(words, key, table->shape.key_bytes);
    uint64_t hash = bench_mix(words[0] + UINT64_C(0x9e3779b97f4a7c15));
    return table->shape.key_bytes > 8 ? bench_mix(hash ^ words[1]) ^ words[2] : hash;
}

static uint64_t tag_of(uint64_t hash) {
    return (hash >> TAG_SHIFT | 1) << TAG_SHIFT;
}

static unsigned char *record_at(const struct bench_table *table, uint64_t word) {
    return table->records + ((word & NUMBER_MASK) - 1) * table->record_bytes;
}

/* The key's word, or the empty one where the search ended. */
static uint64_t *find(const struct bench_table *table, uint64_t hash, const unsigned char *key) {
    uint64_t tag = tag_of(hash);
    for (uint64_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t word = table->words[at];
        if (word == WORD_EMPTY ||
            ((word & ~NUMBER_MASK) == tag &&
             memcmp(record_at(table, word), key, table->shape.key_bytes) == 0)) {
            return &table->words[at];
        }
    }
}

/* The value of the key, made if it is missing. NULL: no room. */
static unsigned char *value_for_write(struct bench_table *table, uint64_t hash,
                                      const unsigned char *key, bool *is_new) {
    uint64_t *word = find(table, hash, key);
    *is_new = *word == WORD_EMPTY;
    if (*is_new) {
        if (table->record_count == table->record_limit) {
            return NULL;
        }
        *word = tag_of(hash) | ++table->record_count;
        memcpy(record_at(table, *word), key, table->shape.key_bytes);
    }
    return record_at(table, *word) + table->shape.key_bytes;
}

static bool write_one(struct bench_table *table, const struct bench_step *step, uint32_t id,
                      enum bench_kind kind, uint64_t hash, const unsigned char *key) {
    bool is_new;
    unsigned char *value = value_for_write(table, hash, key, &is_new);
    if (value == NULL) {
        fputs("the reference table is full\n", stderr);
        return false;
    }
    uint32_t version = step->version;
    if (kind == BENCH_RMW) {
        version = is_new ? 1 : bench_value_version(value) + 1;
    }
    bench_value(value, table->shape.value_bytes, id, version);
    return true;
}

static bool run_one(struct bench_table *table, const struct bench_step *step, uint32_t id,
                    uint64_t hash, const unsigned char *key) {
    unsigned char copy[1024];
    enum bench_kind kind = bench_mix_draw(step->mix, step->random);
    if (kind == BENCH_UPSERT || kind == BENCH_RMW) {
        return write_one(table, step, id, kind, hash, key);
    }
    uint64_t *word = find(table, hash, key);
    if (*word == WORD_EMPTY) {
        step->counts->not_found += kind == BENCH_READ;
    } else if (kind == BENCH_DELETE) {
        *word = WORD_DELETED;
    } else if (table->shape.value_bytes <= sizeof copy) {
        memcpy(copy, record_at(table, *word) + table->shape.key_bytes, table->shape.value_bytes);
        __asm__ volatile("" : : "r"(copy) : "memory"); /* the copy is part of what is measured */
        bench_note_value(step, &table->shape, id, copy, table->shape.value_bytes);
    } else {
        bench_note_value(step, &table->shape, id, record_at(table, *word) + table->shape.key_bytes,
                         table->shape.value_bytes);
    }
    return true;
}

static void prefetch_record(const struct bench_table *table, uint64_t hash) {
    uint64_t tag = tag_of(hash);
    for (uint64_t at = hash & table->mask; table->words[at] != WORD_EMPTY;
         at = (at + 1) & table->mask) {
        if ((table->words[at] & ~NUMBER_MASK) == tag) {
            const unsigned char *record = record_at(table, table->words[at]);
            for (size_t i = 0; i < table->record_bytes; i += 64) {
                __builtin_prefetch(record + i);
            }
            return;
        }
    }
}

#define GROUP 32u

static bool run_group(struct bench_table *table, const struct bench_step *step, const uint32_t *ids,
                      uint32_t count) {
    unsigned char keys[GROUP][BENCH_KEY_BYTES_MAX];
    uint64_t hashes[GROUP];
    for (uint32_t i = 0; i < count; i++) {
        bench_key(keys[i], table->shape.key_bytes, ids[i]);
        hashes[i] = hash_of(table, keys[i]);
        __builtin_prefetch(&table->words[hashes[i] & table->mask]);
    }
    for (uint32_t i = 0; i < count && count > 1; i++) {
        prefetch_record(table, hashes[i]);
    }
    bool is_good = true;
    for (uint32_t i = 0; i < count && is_good; i++) {
        is_good = run_one(table, step, ids[i], hashes[i], keys[i]);
    }
    return is_good;
}

static bool table_step(struct bench_client *client, const struct bench_step *step) {
    struct bench_table *table = (struct bench_table *)client;
    for (uint32_t done = 0; done < step->count; done += GROUP) {
        uint32_t left = step->count - done;
        if (!run_group(table, step, step->ids + done, left < GROUP ? left : GROUP)) {
            return false;
        }
    }
    return true;
}

static bool table_end_phase(struct bench_client *client) {
    (void)client;
    return true;
}

static void table_close_client(struct bench_client *client) {
    (void)client;
}

static const struct bench_client_kind table_kind = {table_step, table_end_phase,
                                                    table_close_client};

static void *map(size_t bytes, bool huge_pages) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(memory, bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return memory;
}

struct bench_table *bench_table_open(const struct bench_shape *shape, bool huge_pages) {
    struct bench_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    uint64_t slots = 64;
    while (slots < (uint64_t)shape->key_count * 2) {
        slots *= 2;
    }
    table->client.kind = &table_kind;
    table->shape = *shape;
    table->mask = slots - 1;
    /* Deleted keys that are written again take new records. */
    table->record_limit = (uint64_t)shape->key_count * 2;
    table->record_bytes = (shape->key_bytes + shape->value_bytes + 7) & ~(size_t)7;
    table->words_bytes = slots * sizeof *table->words;
    table->records_bytes = table->record_limit * table->record_bytes;
    table->words = map(table->words_bytes, huge_pages);
    table->records = map(table->records_bytes, huge_pages);
    if (table->words == NULL || table->records == NULL) {
        bench_table_close(table);
        return NULL;
    }
    return table;
}

struct bench_client *bench_table_client(struct bench_table *table) {
    return &table->client;
}

void bench_table_close(struct bench_table *table) {
    if (table == NULL) {
        return;
    }
    if (table->words != NULL) {
        munmap(table->words, table->words_bytes);
    }
    if (table->records != NULL) {
        munmap(table->records, table->records_bytes);
    }
    free(table);
}
