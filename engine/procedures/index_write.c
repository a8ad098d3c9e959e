/* index_write.c - writing a copy of the hash index to a file (layer 5).
 *
 * Entries come bucket by bucket and fill blocks, which are written as they get full; a block has
 * entries of at most three sizes of the index and of buckets not far from each other. Memory:
 * one block, and the entries of one stay in the epoch.
 */
#include "procedures/index_write.h"

#include "base/path.h"
#include "procedures/index_gather.h"
#include "store/checkpoint_files.h"
#include "store/txn.h"

#define RANGES_MAX                                                                                 \
    ((FST_INDEX_BLOCK_BYTES - FST_INDEX_BLOCK_HEADER_BYTES) / sizeof(struct fst_address_range))

#define ENTRIES_AT_MAX                                                                             \
    (FST_INDEX_BLOCK_HEADER_BYTES + FST_INDEX_BLOCK_BUCKETS_MAX * sizeof(uint16_t))

/* On the heap: large. */
struct writer {
    struct fst_index_write *work;
    struct faster_store *store;
    struct fst_file *file;
    struct fst_index_gather gather;
    struct fst_index_block block; /* of entries, being filled; count 0: none */
    /* The block as written. While it is being filled, counts and entries stand where they would if
     * it had the most buckets. */
    unsigned char bytes[FST_INDEX_BLOCK_BYTES];
};

static bool asks_to_stop(const struct fst_index_write *work) {
    return work->interrupt != NULL && work->interrupt(work->interrupt_context);
}

/* Writes the block in writer->bytes. */
static enum faster_status write_block(struct writer *writer) {
    struct faster_store *store = writer->store;
    const struct faster_env *env = store->env;
    struct fst_index_write *work = writer->work;
    if (asks_to_stop(work)) {
        return FASTER_INTERRUPTED;
    }
    fst_index_block_seal(writer->bytes, work->header.nonce, fst_store_files_owner(store->files));
    enum faster_status status =
        env->file_write(env, writer->file, work->bytes, writer->bytes, FST_INDEX_BLOCK_BYTES);
    work->bytes += FST_INDEX_BLOCK_BYTES;
    work->end.block_count++;
    return status;
}

/* ---- entries ---- */

static enum faster_status flush_entries(struct writer *writer) {
    struct fst_index_block *block = &writer->block;
    if (block->count == 0) {
        return FASTER_OK;
    }
    block->kind = FST_INDEX_BLOCK_ENTRIES;
    block->number = writer->work->end.block_count;
    const size_t at = fst_index_block_entries_at(block->bucket_count);
    const size_t end = at + block->count * sizeof(uint64_t);
    memmove(writer->bytes + at, writer->bytes + ENTRIES_AT_MAX, end - at);
    memcpy(writer->bytes, block, sizeof *block);
    memset(writer->bytes + end, 0, FST_INDEX_BLOCK_BYTES - end);
    *block = (struct fst_index_block){0};
    return write_block(writer);
}

static bool fits(const struct fst_index_block *block, const struct fst_index_copied *copied) {
    const uint64_t bucket_count = copied->bucket - block->first_bucket + 1;
    return block->count > 0 && bucket_count <= FST_INDEX_BLOCK_BUCKETS_MAX &&
           copied->bits + 1 >= block->bits && copied->bits <= block->bits + 1 &&
           ENTRIES_AT_MAX + (block->count + 1) * sizeof(uint64_t) <= FST_INDEX_BLOCK_BYTES;
}

static void count_entry(unsigned char *bytes) {
    uint16_t count;
    memcpy(&count, bytes, sizeof count);
    count++;
    memcpy(bytes, &count, sizeof count);
}

static enum faster_status put_entry(struct writer *writer, const struct fst_index_copied *copied) {
    struct fst_index_block *block = &writer->block;
    struct fst_index_end *end = &writer->work->end;
    enum faster_status status = FASTER_OK;
    if (!fits(block, copied)) {
        status = flush_entries(writer);
        memset(writer->bytes, 0, ENTRIES_AT_MAX);
        block->first_bucket = copied->bucket;
        block->bits = copied->bits;
    }
    block->bucket_count = (uint32_t)(copied->bucket - block->first_bucket + 1);
    count_entry(writer->bytes + FST_INDEX_BLOCK_HEADER_BYTES +
                (block->bucket_count - 1) * sizeof(uint16_t));
    const uint64_t entry = fst_index_entry_of(block->bits, copied->bits, copied->tag, copied->addr);
    memcpy(writer->bytes + ENTRIES_AT_MAX + block->count++ * sizeof entry, &entry, sizeof entry);
    end->entry_count++;
    if (copied->addr.raw + FST_RECORD_ALIGN > end->end) {
        end->end = copied->addr.raw + FST_RECORD_ALIGN;
    }
    return status;
}

static enum faster_status write_entries(struct writer *writer) {
    struct fst_index_gather *gather = &writer->gather;
    enum faster_status status = FASTER_OK;
    bool goes_on = true;
    while (status == FASTER_OK && goes_on) {
        status = fst_index_gather_next(gather, &goes_on);
        for (size_t i = 0; status == FASTER_OK && i < gather->count; i++) {
            status = put_entry(writer, &gather->entries[i]);
        }
        if (status == FASTER_OK && asks_to_stop(writer->work)) {
            status = FASTER_INTERRUPTED;
        }
    }
    return status == FASTER_OK ? flush_entries(writer) : status;
}

/* ---- the rest ---- */

/* Of the ranges those below replay_from never change again, but the list may grow meanwhile: they
 * are asked for by address. */
static enum faster_status write_ranges(struct writer *writer) {
    struct faster_store *store = writer->store;
    struct faster_session *session = writer->work->session;
    unsigned char *ranges = writer->bytes + FST_INDEX_BLOCK_HEADER_BYTES;
    struct fst_address_range last = {0, 0};
    size_t count = RANGES_MAX;
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK && count == RANGES_MAX) {
        memset(writer->bytes, 0, FST_INDEX_BLOCK_BYTES);
        fst_epoch_enter(store->epoch, session->slot);
        count = fst_aborted_copy(&store->aborted, last.end, writer->work->header.replay_from,
                                 ranges, RANGES_MAX);
        fst_epoch_leave(store->epoch, session->slot);
        if (count > 0) {
            const struct fst_index_block block = {.kind = FST_INDEX_BLOCK_RANGES,
                                                  .number = writer->work->end.block_count,
                                                  .count = (uint32_t)count};
            memcpy(writer->bytes, &block, sizeof block);
            memcpy(&last, ranges + (count - 1) * sizeof last, sizeof last);
            writer->work->end.range_count += count;
            status = write_block(writer);
        }
    }
    return status;
}

static enum faster_status write_end(struct writer *writer) {
    const struct fst_index_block block = {.kind = FST_INDEX_BLOCK_END,
                                          .number = writer->work->end.block_count};
    const struct fst_index_end end = writer->work->end;
    memset(writer->bytes, 0, FST_INDEX_BLOCK_BYTES);
    memcpy(writer->bytes, &block, sizeof block);
    memcpy(writer->bytes + sizeof block, &end, sizeof end);
    enum faster_status status = write_block(writer);
    writer->work->end = end;
    return status;
}

static enum faster_status write_header(struct writer *writer) {
    struct faster_store *store = writer->store;
    const struct faster_env *env = store->env;
    struct fst_index_write *work = writer->work;
    unsigned char bytes[FST_INDEX_FILE_HEADER_BYTES] = {0};
    fst_index_file_seal(&work->header, fst_store_files_owner(store->files));
    memcpy(bytes, &work->header, sizeof work->header);
    work->bytes = sizeof bytes;
    return env->file_write(env, writer->file, 0, bytes, sizeof bytes);
}

static enum faster_status write_all(struct writer *writer) {
    const struct faster_env *env = writer->store->env;
    enum faster_status status = write_header(writer);
    if (status == FASTER_OK) {
        status = write_entries(writer);
    }
    if (status == FASTER_OK) {
        status = write_ranges(writer);
    }
    if (status == FASTER_OK) {
        status = write_end(writer);
    }
    return status == FASTER_OK ? env->file_sync(env, writer->file) : status;
}

static enum faster_status make_file(struct writer *writer) {
    struct faster_store *store = writer->store;
    const struct faster_env *env = store->env;
    const uint64_t number = writer->work->header.number;
    enum faster_status status =
        fst_checkpoint_file_create(store->files, FST_CHECKPOINT_FILE_INDEX, number, &writer->file);
    if (status == FASTER_OK) {
        status = write_all(writer);
        env->file_close(env, writer->file);
    }
    if (status != FASTER_OK) {
        fst_checkpoint_file_remove(store->files, FST_CHECKPOINT_FILE_INDEX, number);
    }
    return status;
}

enum faster_status fst_index_write(struct fst_index_write *work) {
    struct faster_store *store = work->session->store;
    const struct faster_env *env = store->env;
    struct writer *writer = env->allocate(env, sizeof *writer);
    if (writer == NULL) {
        return FASTER_NOMEM;
    }
    memset(writer, 0, sizeof *writer);
    writer->work = work;
    writer->store = store;
    writer->gather = (struct fst_index_gather){.session = work->session,
                                               .reader = {.index = store->index},
                                               .limit = work->leads_back ? work->header.replay_from
                                                                         : UINT64_MAX};
    work->end = (struct fst_index_end){.end = FST_ADDR_FIRST_RAW};
    work->header.created_ns = env->wall_clock_ns(env);
    enum faster_status status = fst_draw_nonce(env, &work->header.nonce);
    if (status == FASTER_OK) {
        status = make_file(writer);
    }
    fst_index_gather_finish(&writer->gather);
    env->release(env, writer);
    return status;
}
