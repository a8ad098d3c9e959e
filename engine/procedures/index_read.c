/* index_read.c - the file of an index copy: checking it, and loading it (layer 5).
 *
 * The file is read twice. The first time everything is checked, so that damage is found before the
 * index is touched; the second time it is loaded, and each block is checked once more, as it may
 * not be the same. A failure then fails the opening of the store and harms nothing: loading is
 * idempotent. Memory: one block.
 */
#include "procedures/index_read.h"

#include "store/checkpoint_files.h"

struct reader {
    struct fst_index_read *work;
    struct faster_store *store;
    struct fst_file *file;
    bool loads;
    struct fst_index_block block;
    uint64_t bucket_min; /* the next block's first is not below */
    uint64_t range_min;  /* nor the next range */
    uint64_t entry_count;
    uint64_t range_count;
    uint64_t highest; /* address + 8 */
    unsigned char bytes[FST_INDEX_BLOCK_BYTES];
};

/* ---- blocks ---- */

static enum faster_status take_entry(struct reader *reader, uint64_t bucket, uint64_t entry) {
    const struct fst_index_copied copied = {
        .bucket = bucket,
        .bits = fst_index_entry_bits(reader->block.bits, entry),
        .tag = (uint32_t)(entry >> FST_INDEX_ENTRY_TAG_SHIFT & FST_INDEX_ENTRY_TAG_MASK),
        .addr = fst_addr_of(entry & FST_INDEX_ENTRY_ADDR_MASK)};
    if (copied.addr.raw + FST_RECORD_ALIGN > reader->highest) {
        reader->highest = copied.addr.raw + FST_RECORD_ALIGN;
    }
    reader->work->bits_counts[copied.bits]++;
    return reader->loads ? fst_index_load(reader->store->index, &copied) : FASTER_OK;
}

static enum faster_status take_entries(struct reader *reader) {
    const struct fst_index_block *block = &reader->block;
    struct faster_session *session = reader->work->session;
    const unsigned char *entries = reader->bytes + fst_index_block_entries_at(block->bucket_count);
    enum faster_status status = FASTER_OK;
    if (block->first_bucket < reader->bucket_min) {
        return FASTER_CORRUPT;
    }
    reader->bucket_min = block->first_bucket + block->bucket_count - 1;
    reader->entry_count += block->count;
    fst_epoch_enter(reader->store->epoch, session->slot);
    for (uint32_t i = 0; i < block->bucket_count; i++) {
        uint16_t count;
        memcpy(&count, reader->bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * sizeof count,
               sizeof count);
        for (; status == FASTER_OK && count > 0; count--) {
            uint64_t entry;
            memcpy(&entry, entries, sizeof entry);
            entries += sizeof entry;
            status = take_entry(reader, block->first_bucket + i, entry);
        }
    }
    fst_epoch_leave(reader->store->epoch, session->slot);
    session->index_full = status == FASTER_FULL;
    return status;
}

static enum faster_status take_ranges(struct reader *reader) {
    enum faster_status status = FASTER_OK;
    reader->range_count += reader->block.count;
    for (uint32_t i = 0; status == FASTER_OK && i < reader->block.count; i++) {
        struct fst_address_range range;
        memcpy(&range, reader->bytes + FST_INDEX_BLOCK_HEADER_BYTES + i * sizeof range,
               sizeof range);
        if (range.start < reader->range_min) {
            return FASTER_CORRUPT;
        }
        reader->range_min = range.end;
        if (reader->loads) {
            status = fst_aborted_add(&reader->store->aborted, range.start, range.end);
        }
    }
    return status;
}

static enum faster_status take_end(struct reader *reader) {
    struct fst_index_end end;
    memcpy(&end, reader->bytes + FST_INDEX_BLOCK_HEADER_BYTES, sizeof end);
    const uint64_t highest = reader->entry_count > 0 ? reader->highest : FST_ADDR_FIRST_RAW;
    if (end.entry_count != reader->entry_count || end.range_count != reader->range_count ||
        end.end != highest) {
        return FASTER_CORRUPT;
    }
    reader->work->end = end;
    return FASTER_END;
}

/* OK, END with the last one, or a failure. */
static enum faster_status take_block(struct reader *reader) {
    struct fst_index_read *work = reader->work;
    struct faster_store *store = reader->store;
    const uint64_t at = FST_INDEX_FILE_HEADER_BYTES + work->block_count * sizeof reader->bytes;
    size_t count;
    if (work->is_recovery) {
        fst_progress_reach(store, at);
    }
    if (work->interrupt != NULL && work->interrupt(work->interrupt_context)) {
        return FASTER_INTERRUPTED;
    }
    enum faster_status status = store->env->file_read(store->env, reader->file, at, reader->bytes,
                                                      sizeof reader->bytes, &count);
    if (status != FASTER_OK) {
        return status;
    }
    if (count < sizeof reader->bytes ||
        !fst_index_block_check(reader->bytes, &work->header, work->block_count,
                               fst_store_files_owner(store->files), &reader->block)) {
        return FASTER_CORRUPT;
    }
    switch ((enum fst_index_block_kind)reader->block.kind) {
    case FST_INDEX_BLOCK_ENTRIES:
        status = take_entries(reader);
        break;
    case FST_INDEX_BLOCK_RANGES:
        status = take_ranges(reader);
        break;
    case FST_INDEX_BLOCK_END:
        status = take_end(reader);
        break;
    }
    work->block_count += status == FASTER_OK || status == FASTER_END;
    return status;
}

/* ---- the file ---- */

static enum faster_status take_header(struct reader *reader) {
    struct fst_index_read *work = reader->work;
    struct faster_store *store = reader->store;
    size_t count;
    enum faster_status status = store->env->file_read(store->env, reader->file, 0, reader->bytes,
                                                      FST_INDEX_FILE_HEADER_BYTES, &count);
    if (status == FASTER_OK) {
        status = fst_index_file_check(reader->bytes, count, fst_store_files_owner(store->files),
                                      work->number, &work->header);
    }
    return status == FASTER_OK && work->header.nonce != work->nonce ? FASTER_CORRUPT : status;
}

static enum faster_status take_blocks(struct reader *reader) {
    struct fst_index_read *work = reader->work;
    struct faster_store *store = reader->store;
    uint64_t size_bytes;
    enum faster_status status = FASTER_OK;
    while (status == FASTER_OK) {
        status = take_block(reader);
    }
    if (status != FASTER_END) {
        return status;
    }
    status = store->env->file_size(store->env, reader->file, &size_bytes);
    return status == FASTER_OK && size_bytes != FST_INDEX_FILE_HEADER_BYTES +
                                                    work->block_count * sizeof reader->bytes
               ? FASTER_CORRUPT
               : status;
}

static enum faster_status read_file(struct fst_index_read *work, bool loads) {
    struct faster_store *store = work->session->store;
    const struct faster_env *env = store->env;
    struct reader *reader = env->allocate(env, sizeof *reader);
    if (reader == NULL) {
        return FASTER_NOMEM;
    }
    memset(reader, 0, sizeof *reader);
    reader->work = work;
    reader->store = store;
    reader->loads = loads;
    if (loads) {
        fst_hash_index_expect(store->index, work->end.entry_count); /* the check has found it */
    }
    work->block_count = 0;
    memset(work->bits_counts, 0, sizeof work->bits_counts);
    enum faster_status status = fst_checkpoint_file_open(store->files, FST_CHECKPOINT_FILE_INDEX,
                                                         work->number, &reader->file);
    if (status == FASTER_OK) {
        if (work->is_recovery) {
            fst_progress_begin(
                store, FST_WORK_LOAD_INDEX,
                fst_checkpoint_file_bytes(store->files, FST_CHECKPOINT_FILE_INDEX, work->number));
        }
        status = take_header(reader);
        if (status == FASTER_OK) {
            status = take_blocks(reader);
        }
        env->file_close(env, reader->file);
    }
    env->release(env, reader);
    return status;
}

enum faster_status fst_index_read_check(struct fst_index_read *work) {
    return read_file(work, false);
}

enum faster_status fst_index_read_load(struct fst_index_read *work) {
    return read_file(work, true);
}
