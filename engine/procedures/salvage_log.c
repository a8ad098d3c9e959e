/* salvage_log.c - see salvage_log.h. */
#include "procedures/salvage_log.h"

#include "base/bytes.h"
#include "primitives/segment_names.h"
#include "shapes/format_codec.h"
#include "store/store_files_internal.h"

/* What a disk is asked for where it cannot give a whole block. */
#define SECTOR_BYTES 4096u

/* ---- whose files ---- */

/* Uuid and generation stand in the header; its checksum tells whether they are right. */
static bool take_header(struct fst_salvage_log *log, uint64_t index) {
    struct fst_segment_header header;
    char name[FST_SEGMENT_NAME_BYTES];
    size_t count = 0;
    fst_segment_name(index, name);
    if (fst_small_file_read(log->env, log->directory, name, &header, sizeof header, &count, NULL) !=
            FASTER_OK ||
        count != sizeof header) {
        return false;
    }
    struct fst_format_owner owner = {.generation = header.generation,
                                     .checksum_seed =
                                         fst_checksum_seed_for(header.uuid, header.generation)};
    memcpy(owner.uuid, header.uuid, sizeof owner.uuid);
    if (header.segment_bits < FST_FORMAT_PAGE_BITS_MIN ||
        header.segment_bits > FST_FORMAT_SEGMENT_BITS_MAX ||
        fst_segment_header_check(&header, sizeof header, &owner, header.segment_bits, index) !=
            FASTER_OK) {
        return false;
    }
    log->checksum_seed = owner.checksum_seed;
    log->segment_bits = header.segment_bits;
    log->page_bits = header.segment_bits < FST_FORMAT_PAGE_BITS_MAX ? header.segment_bits
                                                                    : FST_FORMAT_PAGE_BITS_MAX;
    return true;
}

static enum faster_status take_any_header(struct fst_salvage_log *log) {
    struct fst_segment_batch batch = {.limit = UINT64_MAX};
    enum faster_status status;
    do {
        status = fst_segment_names_next(log->env, log->directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            if (take_header(log, batch.index[i])) {
                return FASTER_OK;
            }
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    return status == FASTER_OK ? FASTER_FOREIGN : status;
}

static enum faster_status find_owner(struct fst_salvage_log *log, struct faster_error *error) {
    const uint8_t any[FASTER_UUID_BYTES] = {0};
    struct fst_identity identity;
    enum faster_status status = fst_identity_read(log->env, log->directory, any, &identity, error);
    if (status == FASTER_OK) {
        log->checksum_seed = fst_format_owner_of(&identity).checksum_seed;
        log->segment_bits = identity.segment_bits;
        log->page_bits = identity.page_bits;
        log->knows_page = true;
        log->writes = (enum fst_write_discipline)identity.write_discipline;
        return status;
    }
    if (status != FASTER_CORRUPT && status != FASTER_FOREIGN && status != FASTER_MISSING) {
        return status;
    }
    status = take_any_header(log);
    return status == FASTER_FOREIGN
               ? fst_error_set(error, status,
                               "neither the identity of %s nor the header of a segment is intact: "
                               "nothing tells whose files these are",
                               log->directory)
               : status;
}

enum faster_status fst_salvage_log_open(struct fst_salvage_log *log, const struct faster_env *env,
                                        const char *directory, struct faster_error *error) {
    *log = (struct fst_salvage_log){.env = env, .directory = directory};
    enum faster_status status = find_owner(log, error);
    if (status == FASTER_OK) {
        fst_error_clear(error);
        log->block = env->map(env, (size_t)1 << log->page_bits);
        status = log->block == NULL ? FASTER_NOMEM : FASTER_OK;
    }
    return status;
}

static void close_file(struct fst_salvage_log *log, struct fst_file **file) {
    if (*file != NULL) {
        log->env->file_close(log->env, *file);
        *file = NULL;
    }
}

void fst_salvage_log_close(struct fst_salvage_log *log) {
    close_file(log, &log->file);
    close_file(log, &log->part_file);
    if (log->block != NULL) {
        log->env->unmap(log->env, log->block, (size_t)1 << log->page_bits);
    }
}

/* ---- bytes ---- */

/* OK; MISSING: there is no such file, or it cannot be opened; NOMEM, FULL. */
static enum faster_status use_file(struct fst_salvage_log *log, uint64_t index,
                                   struct fst_file **file, uint64_t *open_index) {
    char path[FST_PATH_BYTES_MAX];
    if (*file != NULL && *open_index == index) {
        return FASTER_OK;
    }
    close_file(log, file);
    enum faster_status status = fst_segment_path(log->directory, index, path);
    if (status == FASTER_OK) {
        status = log->env->file_open(log->env, path, FST_OPEN_READ, 0, file);
        *open_index = index;
    }
    return status == FASTER_OK || status == FASTER_NOMEM || status == FASTER_FULL ? status
                                                                                  : FASTER_MISSING;
}

/* Reads what can be read: what the disk refuses is zero. */
static size_t read_block(const struct fst_salvage_log *log, struct fst_file *file, uint64_t offset,
                         size_t count_bytes) {
    const struct faster_env *env = log->env;
    size_t done = 0;
    if (env->file_read(env, file, offset, log->block, count_bytes, &done) == FASTER_OK) {
        return done;
    }
    size_t end = 0;
    for (size_t at = 0; at < count_bytes; at += SECTOR_BYTES) {
        if (env->file_read(env, file, offset + at, log->block + at, SECTOR_BYTES, &done) !=
            FASTER_OK) {
            memset(log->block + at, 0, SECTOR_BYTES);
            done = 0;
        }
        end = done > 0 ? at + done : end;
    }
    return end;
}

enum faster_status fst_salvage_log_read(struct fst_salvage_log *log, fst_addr at, void *bytes,
                                        size_t count_bytes) {
    const uint64_t in_segment = at.raw & ((UINT64_C(1) << log->segment_bits) - 1);
    size_t done = 0;
    enum faster_status status =
        use_file(log, at.raw >> log->segment_bits, &log->part_file, &log->part_index);
    if (status == FASTER_OK) {
        status =
            log->env->file_read(log->env, log->part_file, FST_SEGMENT_HEADER_BYTES + in_segment,
                                bytes, count_bytes, &done);
    }
    if (status == FASTER_NOMEM || status == FASTER_FULL) {
        return status;
    }
    return status == FASTER_OK && done == count_bytes ? FASTER_OK : FASTER_CORRUPT;
}

/* ---- records ---- */

struct walk {
    struct fst_salvage_log *log;
    fst_salvage_item_fn *each;
    void *context;
    struct fst_salvage_damage *damage;
    uint64_t go_on_at;   /* a jump leads here: what lies below is void */
    uint64_t after;      /* where the last segment ended, 0: before the first */
    uint64_t zero_bytes; /* since the last record: damage if another one follows */
    bool is_in_damage;
};

static void note_damage(struct walk *walk, uint64_t count_bytes) {
    walk->damage->count += !walk->is_in_damage;
    walk->damage->bytes += count_bytes;
    walk->is_in_damage = true;
}

static void note_no_record(struct walk *walk, const unsigned char *bytes, size_t count_bytes) {
    uint64_t word = 0;
    memcpy(&word, bytes, count_bytes < sizeof word ? count_bytes : sizeof word);
    if (word == 0 && !walk->is_in_damage) {
        walk->zero_bytes += count_bytes;
    } else {
        note_damage(walk, count_bytes);
    }
}

static void note_record(struct walk *walk) {
    if (walk->zero_bytes > 0) {
        note_damage(walk, walk->zero_bytes);
    }
    walk->zero_bytes = 0;
    walk->is_in_damage = false;
}

/* False: it is damaged, or leads nowhere. */
static bool follow_jump(struct walk *walk, const struct fst_log_item *item) {
    const struct fst_salvage_log *log = walk->log;
    struct fst_jump jump;
    if (!fst_jump_decode(fst_log_item_value(item), item->shape.value_bytes,
                         log->knows_page ? log->page_bits : FST_FORMAT_PAGE_BITS_MIN, &jump) ||
        jump.target <= item->addr.raw) {
        return false;
    }
    walk->go_on_at = jump.target;
    return true;
}

/* In the middle of damage a word that looks like padding is not believed: it has no checksum. */
static bool is_record(const struct walk *walk, const unsigned char *bytes, size_t available,
                      struct fst_log_item *item) {
    if (!fst_record_is_intact(bytes, available, item->addr, walk->log->checksum_seed,
                              &item->shape)) {
        return false;
    }
    item->bytes = bytes;
    item->header = fst_raw_header(bytes);
    return fst_header_kind(item->header) != FST_KIND_PAD_WORD ||
           (!walk->is_in_damage && walk->zero_bytes == 0);
}

static enum faster_status take(struct walk *walk, const struct fst_log_item *item) {
    const enum fst_record_kind kind = fst_header_kind(item->header);
    note_record(walk);
    if (kind == FST_KIND_PAD || kind == FST_KIND_PAD_WORD) {
        return FASTER_OK;
    }
    enum faster_status status = walk->each(walk->context, item);
    if (status == FASTER_OK && kind == FST_KIND_JUMP) {
        (void)follow_jump(walk, item);
    }
    return status;
}

/* The block in memory, whose first byte has the address `first`. */
static enum faster_status walk_block(struct walk *walk, uint64_t first, size_t count_bytes) {
    enum faster_status status = FASTER_OK;
    size_t at = 0;
    while (status == FASTER_OK && at < count_bytes) {
        if (first + at < walk->go_on_at) {
            const uint64_t left = walk->go_on_at - (first + at);
            at += left < count_bytes - at ? (size_t)left : count_bytes - at;
            continue;
        }
        const unsigned char *bytes = walk->log->block + at;
        struct fst_log_item item = {.addr = fst_addr_of(first + at)};
        if (is_record(walk, bytes, count_bytes - at, &item)) {
            status = take(walk, &item);
            at += item.shape.whole_bytes;
        } else {
            const size_t word =
                count_bytes - at < FST_RECORD_ALIGN ? count_bytes - at : FST_RECORD_ALIGN;
            note_no_record(walk, bytes, word);
            at += word;
        }
    }
    return status;
}

/* Segments that are gone between two that are there. */
static void note_gap(struct walk *walk, uint64_t first) {
    const uint64_t from = fst_max_u64(walk->after, walk->go_on_at);
    if (walk->after != 0 && from < first) {
        note_damage(walk, first - from);
    }
}

static enum faster_status walk_segment(struct walk *walk, uint64_t index) {
    struct fst_salvage_log *log = walk->log;
    const uint64_t first = index << log->segment_bits;
    const uint64_t segment_bytes = UINT64_C(1) << log->segment_bits;
    const size_t block_bytes = (size_t)1 << log->page_bits;
    enum faster_status status = use_file(log, index, &log->file, &log->file_index);
    note_gap(walk, first);
    walk->after = first + segment_bytes;
    if (status == FASTER_MISSING) {
        note_damage(walk, segment_bytes);
        return FASTER_OK;
    }
    /* The log's first bytes are no record's: address 0 means none. */
    walk->go_on_at = fst_max_u64(walk->go_on_at, FST_ADDR_FIRST_RAW);
    for (uint64_t at = 0; status == FASTER_OK && at < segment_bytes; at += block_bytes) {
        if (first + at + block_bytes <= walk->go_on_at) {
            continue;
        }
        if (log->interrupt != NULL && log->interrupt(log->interrupt_context)) {
            return FASTER_INTERRUPTED;
        }
        size_t count = read_block(log, log->file, FST_SEGMENT_HEADER_BYTES + at, block_bytes);
        status = walk_block(walk, first + at, count);
    }
    return status;
}

enum faster_status fst_salvage_log_walk(struct fst_salvage_log *log, fst_salvage_item_fn *each,
                                        void *context, struct fst_salvage_damage *damage) {
    struct walk walk = {.log = log, .each = each, .context = context, .damage = damage};
    struct fst_segment_batch batch = {.limit = (FST_ADDR_MAX >> log->segment_bits) + 1};
    enum faster_status status;
    *damage = (struct fst_salvage_damage){0};
    do {
        status = fst_segment_names_next(log->env, log->directory, &batch);
        for (unsigned i = 0; status == FASTER_OK && i < batch.count; i++) {
            status = walk_segment(&walk, batch.index[i]);
        }
    } while (status == FASTER_OK && batch.count == FST_SEGMENT_BATCH_COUNT);
    return status;
}
