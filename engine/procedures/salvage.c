/* salvage.c - what can be had of a damaged store (layer 5).
 *
 * The log is walked twice: first for the control records, which tell what counts
 * (salvage_counts.h), then for the records. Each intact one is handed out in the order of the log,
 * so that whoever stores them one after the other ends with the newest of each key that there is:
 * of a key whose newest record is lost, the one before; and where a deletion is lost, what it
 * deleted. The index is not needed, nor is any manifest.
 */
#include "procedures/salvage.h"

#include "procedures/salvage_counts.h"
#include "procedures/salvage_log.h"
#include "store/chunk_read.h"
#include "store/store_files_internal.h"

struct salvage {
    const struct fst_salvage_request *request;
    struct fst_salvage_log log;
    struct fst_salvage_counts counts;
    struct faster_salvage_report *report;
    struct faster_buffer value; /* larger than a page */
    struct faster_buffer chunk;
};

/* ---- values larger than a page ---- */

/* OK with *whole false: a part is missing or damaged. */
static enum faster_status gather(struct salvage *salvage, const struct fst_log_item *item,
                                 bool *whole) {
    const struct fst_found head = {.addr = item->addr, .bytes = item->bytes, .shape = item->shape};
    struct fst_chunk_reader reader;
    *whole = fst_chunk_reader_init_files(&reader, salvage->log.checksum_seed,
                                         salvage->log.page_bits, &head);
    if (!*whole) {
        return FASTER_OK;
    }
    enum faster_status status =
        faster_buffer_reserve(&salvage->value, (size_t)reader.list.value_bytes);
    reader.out = salvage->value.data;
    salvage->value.size_bytes = (size_t)reader.list.value_bytes;
    while (status == FASTER_OK && reader.left_count > 0) {
        status = faster_buffer_reserve(&salvage->chunk, reader.record_bytes);
        if (status == FASTER_OK) {
            status = fst_salvage_log_read(&salvage->log, reader.at, salvage->chunk.data,
                                          reader.record_bytes);
        }
        if (status == FASTER_OK && !fst_chunk_reader_take(&reader, salvage->chunk.data)) {
            status = FASTER_CORRUPT;
        }
    }
    *whole = status == FASTER_OK;
    return status == FASTER_CORRUPT ? FASTER_OK : status;
}

/* ---- records ---- */

static void count(struct faster_salvage_report *report, const struct faster_record *record) {
    if (record->kind == FASTER_RECORD_VALUE) {
        report->value_count++;
    } else {
        report->delete_count++;
    }
    report->doubtful_count += !record->counts;
}

static enum faster_status hand_out(void *context, const struct fst_log_item *item) {
    struct salvage *salvage = context;
    if (fst_header_kind(item->header) != FST_KIND_DATA ||
        (item->header & FST_HEADER_INVALID) != 0) {
        return FASTER_OK;
    }
    const bool is_deletion = (item->header & FST_HEADER_TOMBSTONE) != 0;
    struct faster_record record = {
        .kind = is_deletion ? FASTER_RECORD_DELETE : FASTER_RECORD_VALUE,
        .counts = fst_salvage_counts_covers(&salvage->counts, item->addr),
        .address = item->addr.raw,
        .previous = fst_header_previous(item->header).raw,
        .whole_bytes = item->shape.whole_bytes,
        .key = {item->bytes + item->shape.key_offset_bytes, item->shape.key_bytes},
        .value = {fst_log_item_value(item), item->shape.value_bytes},
    };
    if (item->shape.chunked) {
        bool whole = false;
        enum faster_status status = gather(salvage, item, &whole);
        if (status != FASTER_OK || !whole) {
            salvage->report->lost_value_count += status == FASTER_OK && record.counts;
            return status;
        }
        record.value = (struct faster_bytes){salvage->value.data, salvage->value.size_bytes};
    }
    count(salvage->report, &record);
    return salvage->request->each(salvage->request->context, &record);
}

/* ---- the whole ---- */

static enum faster_status walk_twice(struct salvage *salvage) {
    struct fst_salvage_damage damage;
    enum faster_status status =
        fst_salvage_log_walk(&salvage->log, fst_salvage_counts_take, &salvage->counts, &damage);
    if (status == FASTER_OK) {
        status = fst_salvage_counts_end(&salvage->counts);
    }
    if (status == FASTER_OK) {
        status = fst_salvage_log_walk(&salvage->log, hand_out, salvage, &damage);
    }
    salvage->report->damaged_count = damage.count;
    salvage->report->damaged_bytes = damage.bytes;
    return status;
}

static enum faster_status run(const struct fst_salvage_request *request,
                              struct faster_salvage_report *report, struct faster_error *error) {
    const struct faster_env *env = request->env;
    struct salvage salvage = {
        .request = request, .report = report, .value = {.env = env}, .chunk = {.env = env}};
    enum faster_status status = fst_salvage_log_open(&salvage.log, env, request->directory, error);
    if (status == FASTER_OK) {
        salvage.log.interrupt = request->interrupt;
        salvage.log.interrupt_context = request->interrupt_context;
        fst_salvage_counts_init(&salvage.counts, env,
                                salvage.log.knows_page ? salvage.log.page_bits
                                                       : FST_FORMAT_PAGE_BITS_MIN,
                                salvage.log.writes);
        status = walk_twice(&salvage);
        fst_salvage_counts_finish(&salvage.counts);
    }
    fst_salvage_log_close(&salvage.log);
    faster_buffer_finish(&salvage.value);
    faster_buffer_finish(&salvage.chunk);
    return status;
}

/* Whoever has the store open is writing to it. A damaged directory may have no lock. */
static enum faster_status lock(const struct fst_salvage_request *request, struct fst_file **file,
                               struct faster_error *error) {
    const struct fst_lock_request wanted = {
        .env = request->env, .directory = request->directory, .read_only = true};
    enum faster_status status = fst_store_directory_check(request->env, request->directory, error);
    *file = NULL;
    if (status == FASTER_OK) {
        status = fst_store_lock(&wanted, file, error);
        status = status == FASTER_MISSING ? FASTER_OK : status;
    }
    return status;
}

enum faster_status fst_salvage(const struct fst_salvage_request *request,
                               struct faster_salvage_report *report, struct faster_error *error) {
    struct fst_file *file;
    *report = (struct faster_salvage_report){0};
    enum faster_status status = lock(request, &file, error);
    if (status == FASTER_OK) {
        status = run(request, report, error);
    }
    if (file != NULL) {
        request->env->file_close(request->env, file);
    }
    return status;
}
