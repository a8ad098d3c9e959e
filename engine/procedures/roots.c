/* roots.c - which checkpoint recovery begins with (layer 5).
 *
 * The sources, newest first: the index copies that roots name; then none, which is an empty index
 * and the log from begin on. Each leads to the same end. One that is damaged is passed over with a
 * warning.
 *
 * A copy of a transactional store is led back to a commit that is safe in the decider: it may be
 * used whenever the log is there from its end on.
 *
 * A copy of a direct store leads to records of versions that had no cut yet when it was made. The
 * root's point is a cut that came after it (checkpoint.c) and was durable before the root: all
 * addresses in the copy lie below that point's end, and so does the place from where on the log is
 * to be read. A root of which that is not true is not believed.
 */
#include "procedures/roots.h"

#include "base/bytes.h"
#include "store/index_growth.h"

/* An entry of fewer bits than the index has is loaded into each bucket that it may serve, as nobody
 * knows which. A few doublings are worth it; reading the short log of a store whose index was much
 * smaller costs less. */
#define SPREAD_BITS_MAX 3u

/* True if the copy fits an index of 2^bits buckets. One that was full must not fill a larger one
 * with entries for nothing, which would stay: then memory that was raised would be no use. */
static bool fits(const struct fst_index_read *index, uint32_t bits) {
    const uint64_t places = (uint64_t)FST_INDEX_BUCKET_ENTRIES << bits;
    uint64_t loaded = 0;
    bool is_spread = false;
    for (uint32_t i = 0; i <= FST_FORMAT_INDEX_BITS_MAX; i++) {
        if (index->bits_counts[i] != 0) {
            if (i > bits || bits - i > SPREAD_BITS_MAX || index->bits_counts[i] > places) {
                return false;
            }
            loaded += index->bits_counts[i] << (bits - i);
            is_spread |= i < bits;
        }
    }
    return !is_spread || loaded <= places / 2;
}

static bool covers(const struct fst_root *root, const struct fst_index_read *index) {
    const uint64_t from = index->header.replay_from;
    return index->header.version == 0 ? root->point_end >= from && index->end.end <= from
                                      : root->point_end > from && root->point_end >= index->end.end;
}

static bool is_damage(enum faster_status status) {
    return status != FASTER_NOMEM && status != FASTER_FULL && status != FASTER_INTERRUPTED;
}

static void warn(const struct faster_store *store, const struct fst_root *root,
                 const struct fst_index_read *index, enum faster_status status) {
    fst_diagnose(
        &store->diagnostics, FASTER_DIAGNOSTIC_WARNING, "recovery",
        "checkpoint %llu cannot be used: its index.%016llx is damaged (%s, block %llu); an "
        "older one, or all of the log, is read instead",
        (unsigned long long)root->number, (unsigned long long)index->number,
        faster_status_name(status), (unsigned long long)index->block_count);
}

/* OK with *usable set, or what ends the search. */
static enum faster_status examine(const struct fst_checkpoint_entry *entry,
                                  struct fst_index_read *index, bool *usable) {
    const struct faster_store *store = index->session->store;
    const struct fst_root *root = &entry->root;
    index->number = root->index_number;
    index->nonce = root->index_nonce;
    enum faster_status status = fst_index_read_check(index);
    if (status != FASTER_OK) {
        if (is_damage(status)) {
            warn(store, root, index, status);
            return FASTER_OK;
        }
        return status;
    }
    *usable = index->header.replay_from >= fst_log_begin(store->log).raw &&
              fits(index, fst_hash_index_bits(store->index)) &&
              (index->header.version != 0) == store->direct && covers(root, index);
    return FASTER_OK;
}

static enum faster_status load(struct faster_session *session, struct fst_index_read *index) {
    struct faster_store *store = session->store;
    struct fst_checkpoint_state *state = &store->checkpoint;
    /* release: pairs with the acquire in fst_chain_walk(); before the entries */
    fst_store_release_u64(&store->on_disk_below,
                          fst_max_u64(index->end.end, index->header.replay_from));
    enum faster_status status = fst_index_read_load(index);
    if (status == FASTER_OK) {
        state->index_number = index->number;
        state->index_nonce = index->nonce;
        state->index_replay_from = index->header.replay_from;
    }
    return status;
}

enum faster_status fst_roots_load(struct faster_session *session, faster_interrupt_fn *interrupt,
                                  void *interrupt_context, struct fst_index_read *chosen,
                                  bool *found) {
    const struct fst_checkpoint_state *state = &session->store->checkpoint;
    enum faster_status status = FASTER_OK;
    *chosen = (struct fst_index_read){.session = session,
                                      .is_recovery = true,
                                      .interrupt = interrupt,
                                      .interrupt_context = interrupt_context};
    *found = false;
    if (state->entry_count > 0) {
        fst_store_index_before_rows(session);
    }
    for (uint32_t i = 0; status == FASTER_OK && !*found && i < state->entry_count; i++) {
        if (state->entries[i].root.index_number != 0) {
            status = examine(&state->entries[i], chosen, found);
        }
    }
    return status == FASTER_OK && *found ? load(session, chosen) : status;
}

struct fst_commit_point fst_roots_newest_point(const struct faster_store *store) {
    struct fst_commit_point newest = {0};
    for (uint32_t i = 0; i < store->checkpoint.entry_count; i++) {
        const struct fst_root *root = &store->checkpoint.entries[i].root;
        if (root->point_number > newest.number) {
            newest =
                (struct fst_commit_point){root->point_number, root->point_nonce, root->point_start,
                                          root->point_end, root->point_control_address};
        }
    }
    return newest;
}

enum faster_status fst_roots_load_names(struct faster_store *store) {
    const struct fst_checkpoint_state *state = &store->checkpoint;
    enum faster_status status = FASTER_OK;
    if (state->entry_count > 0) {
        status = fst_names_apply(store, state->sessions, state->entries[0].root.session_count);
        fst_names_synced(store);
    }
    return status;
}
