/* index_growth.c - what the store knows of its index's growth: chains and sizes (layer 4).
 *
 * The index starts small and doubles as entries come. Chains are divided exactly while their
 * records are in memory; from the first record on disk on, both halves keep the whole rest. So
 * that few are left undivided, the index grows to its largest size before pages are evicted (when
 * the log has filled half of its frames), and has it from the start if there is anything on disk
 * or a commit to catch up with. That start is also what makes it safe to link records that an
 * index of any size before had linked: no control record says more bits than the largest index
 * that memory allows, or recovery refuses it.
 */
#include "store/index_growth.h"

#include "base/bytes.h"
#include "shapes/record.h"

/* A longer stretch without a record of one half is left to that half as it is. */
#define DIVIDE_STEPS_MAX 256u
#define LOAD_PERCENT_DEFAULT 90u
#define BITS_DEFAULT 10u

/* The key of a record in memory, of which `available` bytes lie in its page. Reads nothing that
 * may change in place but the sizes word, whose key part does not. */
static bool key_of(const struct fst_record *record, uint64_t available, struct faster_bytes *key) {
    const unsigned char *bytes = (const unsigned char *)record;
    const uint64_t header = fst_load_relaxed_u64(&record->header);
    const bool is_large = (header & FST_HEADER_LARGE) != 0;
    const uint64_t offset =
        is_large ? FST_RECORD_LARGE_HEADER_BYTES : FST_RECORD_SMALL_HEADER_BYTES;
    uint32_t key_bytes;
    if (fst_header_kind(header) != FST_KIND_DATA || offset > available) {
        return false;
    }
    if (is_large) {
        memcpy(&key_bytes, bytes + FST_RECORD_SMALL_HEADER_BYTES, sizeof key_bytes);
    } else {
        key_bytes = fst_record_small_key_bytes(fst_load_relaxed_u32(&record->sizes));
    }
    *key = (struct faster_bytes){bytes + offset, key_bytes};
    return key_bytes <= available - offset;
}

/* The half of the record at `at`, 2 for neither, or -1 if its key cannot be told. */
static int half_of(const struct faster_store *store, fst_addr at,
                   const struct fst_index_halves *halves) {
    const uint64_t page_bytes = fst_log_page_bytes(store->log);
    struct faster_bytes key;
    if (!key_of(fst_log_at(store->log, at), page_bytes - (at.raw & (page_bytes - 1)), &key)) {
        return -1;
    }
    return fst_index_half_of(halves, fst_key_hash(store, &key));
}

/* The addresses that can be read in memory: [from, to). */
static struct fst_address_range memory_of(const struct faster_store *store) {
    /* acquire: pairs with the release in mark_on_disk(); after the entry was read */
    const uint64_t on_disk = fst_load_acquire_u64(&store->on_disk_below);
    return (struct fst_address_range){fst_max_u64(on_disk, fst_log_head(store->log).raw),
                                      fst_log_tail(store->log).raw};
}

static void divide_chain(void *context, fst_addr head, const struct fst_index_halves *halves,
                         fst_addr known, fst_addr heads[2]) {
    const struct faster_store *store = context;
    const struct fst_address_range memory = memory_of(store);
    const fst_addr begin = fst_log_begin(store->log);
    fst_addr found[3] = {{0}, {0}, {0}};
    fst_addr rest[2] = {{0}, {0}}; /* for a half that was not found */
    fst_addr at = head;
    uint32_t step = 0;
    while (fst_addr_is_valid(at) && !fst_addr_below(at, begin) &&
           !(fst_addr_is_valid(found[0]) && fst_addr_is_valid(found[1]))) {
        if (fst_addr_equal(at, known)) {
            rest[0] = heads[0];
            rest[1] = heads[1];
            break;
        }
        const bool in_memory = at.raw >= memory.start && at.raw < memory.end;
        const int half = in_memory && step++ < DIVIDE_STEPS_MAX ? half_of(store, at, halves) : -1;
        if (half < 0) {
            rest[0] = rest[1] = at;
            break;
        }
        if (!fst_addr_is_valid(found[half])) {
            found[half] = at;
        }
        const struct fst_record *record = fst_log_at(store->log, at);
        const fst_addr previous = fst_header_previous(fst_load_relaxed_u64(&record->header));
        if (!fst_addr_below(previous, at)) {
            rest[0] = rest[1] = at; /* whoever reads on here finds the damage */
            break;
        }
        at = previous;
    }
    for (int half = 0; half < 2; half++) {
        heads[half] = fst_addr_is_valid(found[half]) ? found[half] : rest[half];
    }
}

/* True if the log's files hold anything, or a manifest says that they did. */
static bool has_log(const struct faster_store *store) {
    fst_addr first;
    fst_addr end;
    return store->manifest.durable_end > FST_ADDR_FIRST_RAW ||
           store->device->ops->extent(store->device, &first, &end) != FASTER_OK ||
           end.raw > FST_ADDR_FIRST_RAW;
}

enum faster_status fst_store_open_index(struct faster_store *store,
                                        const struct faster_options *options,
                                        struct faster_error *error) {
    const uint32_t wanted = options->index_bits != 0 ? options->index_bits : BITS_DEFAULT;
    const uint32_t bits_max =
        fst_hash_index_bits_for(store->budget.index_bytes, store->manifest.index_bits_min);
    if (wanted < FST_INDEX_BITS_MIN || wanted > FST_INDEX_BITS_MAX) {
        return fst_error_set(error, FASTER_INVALID, "index_bits = %u: allowed are %u to %u", wanted,
                             FST_INDEX_BITS_MIN, FST_INDEX_BITS_MAX);
    }
    if (bits_max == 0) {
        return fst_error_set(error, FASTER_FULL,
                             "the index of this store needs more than memory = %llu bytes allow: "
                             "raise memory",
                             (unsigned long long)store->budget.memory_bytes);
    }
    const uint64_t bits =
        fst_min_u64(fst_max_u64(wanted, store->manifest.index_bits_min), bits_max);
    const struct fst_hash_index_config config = {.env = store->env,
                                                 .epoch = store->epoch,
                                                 .begin = fst_log_begin_word(store->log),
                                                 .budget_bytes = store->budget.index_bytes,
                                                 .bits = has_log(store) ? bits_max : (uint32_t)bits,
                                                 .bits_max = bits_max,
                                                 .load_percent = options->index_load_percent != 0
                                                                     ? options->index_load_percent
                                                                     : LOAD_PERCENT_DEFAULT,
                                                 .divide = divide_chain,
                                                 .divide_context = store};
    store->index_grows = config.load_percent != FASTER_INDEX_LOAD_NEVER;
    return fst_hash_index_create(&config, &store->index);
}

void fst_store_index_before_rows(struct faster_session *session) {
    fst_hash_index_presize(session->store->index, session->slot);
}

/* Half of the frames: the rest of them takes as many writes as growing needs, and more. */
void fst_store_note_append(struct faster_session *session, fst_addr addr) {
    struct faster_store *store = session->store;
    if (fst_triggers_note(&store->triggers, addr)) {
        session->reached_due = true;
    }
    const uint64_t filled = addr.raw >> store->budget.page_bits;
    if (filled >= store->budget.frame_count / 2 && store->index_grows) {
        fst_hash_index_grow_toward(store->index, FST_INDEX_BITS_MAX);
    }
}
