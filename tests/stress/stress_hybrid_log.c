/* stress_hybrid_log.c - many threads on one log; made for the thread sanitizer.
 *
 *     stress_hybrid_log [records for each writer] [seed]
 *
 * Writers append records of random sizes and change one word of theirs in place while it is
 * mutable. Readers check random records at or above head inside the epoch. Another thread
 * freezes, seals, syncs and takes images. The ring is small, so every frame is reused all the
 * time; the last ring writes to files. At the end the device must hold every record, intact, with
 * the word's last value, in one gapless sequence.
 *
 * The word is changed atomically, all else is plain memory, the copies for the device too: a
 * shift that did not wait for the epoch shows as a data race. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "structures/hybrid_log.h"
#include "support/test_env.h"

#define WRITERS 2
#define READERS 2
#define WORKERS (WRITERS + READERS + 1)
#define PAGE_BITS 14u
#define PAGE_BYTES (UINT64_C(1) << PAGE_BITS)
#define PLACES 256u
#define RECENT 64u
#define SEED_CHECKSUM UINT64_C(77)
#define HEADER 16u

struct own_record {
    uint64_t addr;
    uint64_t changes; /* the word is 0, then addr + 1, addr + 2, ... */
};

struct shared;
struct worker {
    struct shared *shared;
    uint64_t random;
    struct fst_thread *thread;
    struct own_record *own; /* of a writer: all its records, ascending */
};

struct shared {
    const struct faster_env *env;
    struct fst_epoch *epoch;
    struct fst_device *device;
    struct fst_hybrid_log *log;
    uint64_t records_per_writer;
    fst_atomic_u64 places[PLACES]; /* addresses of records; released by writers */
    fst_atomic_u64 written;
    fst_atomic_u64 changed;
    fst_atomic_u64 read;
    fst_atomic_u64 waited;
    fst_atomic_u64 synced;
    fst_atomic_u64 imaged;
    fst_atomic_u64 failures;
    fst_atomic_u64 writers_left;
    struct worker workers[WORKERS];
};

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void fail(struct shared *shared, const char *what, uint64_t addr) {
    fst_add_relaxed_u64(&shared->failures, 1);
    fprintf(stderr, "%s at %" PRIu64 "\n", what, addr);
}

/* ---- records: key = address, value = changing word, then a pattern ---- */

static unsigned char pattern(uint64_t addr, uint32_t i) {
    return (unsigned char)(addr / 8 + i * 3 + 1);
}

static void write_record(void *memory, uint64_t addr, uint32_t value_bytes) {
    unsigned char value[2048] = {0};
    const struct fst_record_shape shape = fst_record_shape_for(8, value_bytes, value_bytes);
    for (uint32_t i = 8; i < value_bytes; i++) {
        value[i] = pattern(addr, i);
    }
    fst_record_write(memory, &shape, fst_addr_of(0), FST_KIND_DATA, 0, &addr, value);
}

static fst_atomic_u64 *word_of(void *record) {
    return (fst_atomic_u64 *)(void *)((unsigned char *)record + HEADER + 8);
}

/* Checks all but the word. */
static bool is_right(const void *record, uint64_t addr, const struct fst_record_shape *shape) {
    const unsigned char *bytes = record;
    if (shape->key_bytes != 8 || memcmp(bytes + HEADER, &addr, 8) != 0) {
        return false;
    }
    for (uint32_t i = 8; i < shape->value_bytes; i++) {
        if (bytes[HEADER + 8 + i] != pattern(addr, i)) {
            return false;
        }
    }
    return true;
}

/* ---- writers ---- */

static uint64_t append(struct worker *worker, struct fst_epoch_slot *slot) {
    struct shared *shared = worker->shared;
    const uint32_t value_bytes = 16 + (uint32_t)(draw(&worker->random) % 1500);
    const uint32_t bytes = fst_record_shape_for(8, value_bytes, value_bytes).whole_bytes;
    for (;;) {
        fst_addr addr;
        void *memory;
        fst_epoch_enter(shared->epoch, slot);
        if (fst_log_allocate(shared->log, bytes, &addr, &memory) == FST_LOG_OK) {
            write_record(memory, addr.raw, value_bytes);
            fst_epoch_leave(shared->epoch, slot);
            return addr.raw;
        }
        fst_epoch_leave(shared->epoch, slot);
        fst_add_relaxed_u64(&shared->waited, 1);
        if (fst_log_help(shared->log) != FASTER_OK) {
            fail(shared, "help failed", 0);
            return 0;
        }
    }
}

static void change_in_place(struct shared *shared, struct fst_epoch_slot *slot,
                            struct own_record *own) {
    fst_epoch_enter(shared->epoch, slot);
    if (own->addr >= fst_log_read_only(shared->log).raw) {
        void *record = fst_log_at(shared->log, fst_addr_of(own->addr));
        fst_store_relaxed_u64(word_of(record), own->addr + ++own->changes);
        fst_add_relaxed_u64(&shared->changed, 1);
    }
    fst_epoch_leave(shared->epoch, slot);
}

static void run_writer(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    struct fst_epoch_slot *slot = fst_epoch_slot_open(shared->epoch);
    for (uint64_t i = 0; i < shared->records_per_writer; i++) {
        const uint64_t addr = append(worker, slot);
        if (addr == 0) {
            break;
        }
        worker->own[i] = (struct own_record){addr, 0};
        /* release: pairs with the acquire in read_one() */
        fst_store_release_u64(&shared->places[draw(&worker->random) % PLACES], addr);
        fst_add_relaxed_u64(&shared->written, 1);
        const uint64_t back = draw(&worker->random) % RECENT;
        change_in_place(shared, slot, &worker->own[back <= i ? i - back : i]);
    }
    fst_epoch_slot_close(shared->epoch, slot);
    fst_add_acq_rel_u64(&shared->writers_left, UINT64_MAX);
}

/* ---- readers ---- */

static void read_one(struct worker *worker, struct fst_epoch_slot *slot) {
    struct shared *shared = worker->shared;
    struct fst_record_shape shape;
    fst_epoch_enter(shared->epoch, slot);
    /* acquire: pairs with the release in run_writer() */
    const uint64_t addr = fst_load_acquire_u64(&shared->places[draw(&worker->random) % PLACES]);
    if (addr != 0 && addr >= fst_log_head(shared->log).raw) {
        void *record = fst_log_at(shared->log, fst_addr_of(addr));
        if (!fst_record_parse(record, PAGE_BYTES, &shape) || !is_right(record, addr, &shape)) {
            fail(shared, "a reader sees a wrong record", addr);
        } else {
            const uint64_t word = fst_load_relaxed_u64(word_of(record));
            if (word != 0 && word < addr) {
                fail(shared, "a reader sees a wrong word", addr);
            }
        }
        fst_add_relaxed_u64(&shared->read, 1);
    }
    fst_epoch_leave(shared->epoch, slot);
}

static void run_reader(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    struct fst_epoch_slot *slot = fst_epoch_slot_open(shared->epoch);
    for (uint64_t i = 0; fst_load_acquire_u64(&shared->writers_left) > 0; i++) {
        read_one(worker, slot);
        if (i % 256 == 0) {
            shared->env->yield(shared->env);
        }
    }
    fst_epoch_slot_close(shared->epoch, slot);
}

/* ---- the committer ---- */

static void seal_and_sync(struct shared *shared) {
    fst_addr sealed;
    if (fst_log_seal_tail(shared->log, &sealed) != FASTER_OK ||
        fst_log_sync(shared->log, sealed) != FASTER_OK ||
        fst_log_durable(shared->log).raw < sealed.raw) {
        fail(shared, "seal and sync", sealed.raw);
    }
    fst_add_relaxed_u64(&shared->synced, 1);
}

static void check_image(struct shared *shared, const unsigned char *image, uint64_t from,
                        uint64_t to) {
    for (uint64_t addr = from; addr < to;) {
        const uint64_t page_end = (addr | (PAGE_BYTES - 1)) + 1;
        const uint64_t end = page_end < to ? page_end : to;
        struct fst_record_shape shape;
        if (!fst_record_is_intact(image + (addr - from), end - addr, fst_addr_of(addr),
                                  SEED_CHECKSUM, &shape)) {
            fail(shared, "an image holds a broken record", addr);
            return;
        }
        addr += shape.whole_bytes;
    }
}

/* Images what was appended within a short while, if memory still holds it. */
static void take_image(struct shared *shared) {
    static unsigned char image[8 * PAGE_BYTES];
    const fst_addr from = fst_log_tail(shared->log);
    shared->env->sleep_ns(shared->env, 20000);
    const fst_addr to = fst_log_tail(shared->log);
    fst_log_freeze(shared->log, to);
    if (to.raw - from.raw <= sizeof image && fst_log_image(shared->log, from, to, image)) {
        check_image(shared, image, from.raw, to.raw);
        fst_add_relaxed_u64(&shared->imaged, 1);
    }
}

static void run_committer(void *argument) {
    struct worker *worker = argument;
    struct shared *shared = worker->shared;
    while (fst_load_acquire_u64(&shared->writers_left) > 0) {
        switch (draw(&worker->random) % 4) {
        case 0:
            seal_and_sync(shared);
            break;
        case 1:
            fst_log_freeze(shared->log, fst_log_tail(shared->log));
            break;
        case 2:
            take_image(shared);
            break;
        default:
            if (fst_log_sync(shared->log, fst_log_read_only(shared->log)) != FASTER_OK) {
                fail(shared, "sync", 0);
            }
            break;
        }
        shared->env->sleep_ns(shared->env, draw(&worker->random) % 3000000);
    }
}

/* ---- the end ---- */

static uint64_t word_expected(const struct worker *writer, uint64_t addr) {
    uint64_t low = 0;
    uint64_t high = writer->shared->records_per_writer;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (writer->own[middle].addr == addr) {
            return writer->own[middle].changes != 0 ? addr + writer->own[middle].changes : 0;
        }
        if (writer->own[middle].addr < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return UINT64_MAX;
}

static bool word_is_last(const struct shared *shared, const unsigned char *record, uint64_t addr) {
    uint64_t word;
    memcpy(&word, record + HEADER + 8, sizeof word);
    for (int i = 0; i < WRITERS; i++) {
        const uint64_t expected = word_expected(&shared->workers[i], addr);
        if (expected != UINT64_MAX) {
            return word == expected;
        }
    }
    return false;
}

static void check_page(struct shared *shared, const unsigned char *page, uint64_t from, uint64_t to,
                       uint64_t *count) {
    for (uint64_t addr = from; addr < to;) {
        const unsigned char *at = page + (addr - from);
        struct fst_record_shape shape;
        if (!fst_record_is_intact(at, to - addr, fst_addr_of(addr), SEED_CHECKSUM, &shape)) {
            fail(shared, "the device holds a broken record", addr);
            return;
        }
        if (fst_header_kind(fst_raw_header(at)) == FST_KIND_DATA) {
            *count += 1;
            if (!is_right(at, addr, &shape) || !word_is_last(shared, at, addr)) {
                fail(shared, "the device holds a wrong record", addr);
            }
        }
        addr += shape.whole_bytes;
    }
}

static void check_device(struct shared *shared) {
    struct fst_device_queue *queue;
    unsigned char page[PAGE_BYTES];
    uint64_t count = 0;
    seal_and_sync(shared);
    const uint64_t tail = fst_log_tail(shared->log).raw;
    if (shared->device->ops->queue_open(shared->device, &queue) != FASTER_OK) {
        fail(shared, "no queue", 0);
        return;
    }
    for (uint64_t addr = FST_ADDR_FIRST_RAW; addr < tail;) {
        const uint64_t page_end = (addr | (PAGE_BYTES - 1)) + 1;
        const uint64_t end = page_end < tail ? page_end : tail;
        if (fst_device_run(shared->device, queue, FST_IO_READ, fst_addr_of(addr), page, end - addr,
                           NULL) != FASTER_OK) {
            fail(shared, "read", addr);
        }
        check_page(shared, page, addr, end, &count);
        addr = end;
    }
    shared->device->ops->queue_close(shared->device, queue);
    if (count != fst_load_relaxed_u64(&shared->written)) {
        fail(shared, "the number of records on the device differs", count);
    }
}

static void run_threads(struct shared *shared, uint64_t seed) {
    struct worker *const workers = shared->workers;
    const size_t count = WORKERS;
    for (size_t i = 0; i < count; i++) {
        void (*const run)(void *) = i < WRITERS             ? run_writer
                                    : i < WRITERS + READERS ? run_reader
                                                            : run_committer;
        workers[i] = (struct worker){
            .shared = shared,
            .random = (seed + i + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1,
            .own = calloc(shared->records_per_writer, sizeof(struct own_record)),
        };
        if (workers[i].own == NULL) {
            abort();
        }
        if (shared->env->thread_start(shared->env, run, &workers[i], &workers[i].thread) !=
            FASTER_OK) {
            abort();
        }
    }
    for (size_t i = 0; i < count; i++) {
        shared->env->thread_join(shared->env, workers[i].thread);
    }
}

static enum faster_status open_device(const struct faster_env *env, const char *directory,
                                      struct fst_device **device) {
    const struct fst_device_file_config config = {
        .env = env,
        .directory = directory,
        .generation = 1,
        .segment_bits = 20,
        .thread_count = 2,
        .mode = 0600,
    };
    return directory != NULL ? fst_device_file_open(&config, device)
                             : fst_device_memory_open(env, 20, device);
}

/* Without a directory the device is memory. */
static uint64_t run_ring(const char *directory, uint32_t frame_count, uint64_t records,
                         uint64_t seed) {
    static struct shared shared;
    memset(&shared, 0, sizeof shared);
    shared.env = faster_env_posix();
    shared.records_per_writer = records;
    fst_store_relaxed_u64(&shared.writers_left, WRITERS);
    if (fst_epoch_create(shared.env, &shared.epoch) != FASTER_OK ||
        open_device(shared.env, directory, &shared.device) != FASTER_OK) {
        abort();
    }
    const struct fst_hybrid_log_config config = {
        .env = shared.env,
        .epoch = shared.epoch,
        .device = shared.device,
        .checksum_seed = SEED_CHECKSUM,
        .page_bits = PAGE_BITS,
        .frame_count = frame_count,
        .flush_buffer_count = 3,
    };
    if (fst_log_create(&config, &shared.log) != FASTER_OK) {
        abort();
    }
    run_threads(&shared, seed);
    check_device(&shared);
    for (size_t i = 0; i < WORKERS; i++) {
        free(shared.workers[i].own);
    }
    printf("%u frames: %" PRIu64 " written, %" PRIu64 " changed, %" PRIu64 " read, %" PRIu64
           " waits, %" PRIu64 " syncs, %" PRIu64 " images, %" PRIu64 " failures\n",
           frame_count, fst_load_relaxed_u64(&shared.written),
           fst_load_relaxed_u64(&shared.changed), fst_load_relaxed_u64(&shared.read),
           fst_load_relaxed_u64(&shared.waited), fst_load_relaxed_u64(&shared.synced),
           fst_load_relaxed_u64(&shared.imaged), fst_load_relaxed_u64(&shared.failures));
    fst_log_destroy(shared.log);
    fst_epoch_destroy(shared.epoch);
    shared.device->ops->close(shared.device);
    return fst_load_relaxed_u64(&shared.failures);
}

int main(int argc, char **argv) {
    const uint64_t records = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t failures = 0;
    char directory[256];
    printf("records %" PRIu64 ", seed %" PRIu64 "\n", records, seed);
    for (uint32_t frames = 4; frames <= 8; frames += 2) {
        failures += run_ring(NULL, frames, records, seed);
    }
    if (!fst_test_directory_create(directory, sizeof directory)) {
        abort();
    }
    failures += run_ring(directory, 5, records, seed);
    fst_test_directory_remove(directory);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
