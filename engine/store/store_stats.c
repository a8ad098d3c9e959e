/* store_stats.c - a store's figures (layer 4). */
#include <string.h>

#include "store/session.h"

struct figures {
    struct faster_stat *stats;
    size_t capacity;
    size_t count;
};

static void add(struct figures *figures, const char *name, uint64_t value, const char *unit,
                const char *help) {
    if (figures->count < figures->capacity) {
        figures->stats[figures->count] = (struct faster_stat){name, value, unit, help};
    }
    figures->count++;
}

static void add_log(struct figures *figures, const struct faster_store *store) {
    const struct fst_hybrid_log *log = store->log;
    add(figures, "log_begin", fst_log_begin(log).raw, "address", "no record below is needed");
    add(figures, "log_head", fst_log_head(log).raw, "address", "records below are on disk only");
    add(figures, "log_read_only", fst_log_read_only(log).raw, "address",
        "records below never change in place");
    add(figures, "log_flushed", fst_log_flushed(log).raw, "address", "written to the device");
    add(figures, "log_durable", fst_log_durable(log).raw, "address", "written and synced");
    add(figures, "log_tail", fst_log_tail(log).raw, "address", "where the next record goes");
    add(figures, "log_page_bytes", fst_log_page_bytes(log), "bytes", "page_size");
    add(figures, "log_memory_bytes", fst_log_memory_bytes(log), "bytes",
        "log pages and flush buffers");
    add(figures, "stored_bytes", store->device->ops->stored_bytes(store->device), "bytes",
        "what the log's segments take on disk");
    add(figures, "io_buffer_bytes", fst_load_relaxed_u64(&store->io.used_bytes), "bytes",
        "taken by pending operations of all sessions now, and kept for the next ones");
    add(figures, "io_buffer_bytes_peak", fst_load_relaxed_u64(&store->io.peak_bytes), "bytes",
        "the most there was since open");
    add(figures, "io_buffer_bytes_max", store->io.limit_bytes, "bytes",
        "their share of memory, which one operation at a time may exceed");
    add(figures, "io_device_bytes", fst_load_relaxed_u64(&store->device->buffer_bytes), "bytes",
        "buffers of the device, mapped; used as far as reads are in flight");
    add(figures, "io_registered_bytes", fst_load_relaxed_u64(&store->device->registered_bytes),
        "bytes",
        "of them, registered with io_uring and in memory for good; with io_direct only, "
        "and as far as the system allows it");
    add(figures, "io_is_uring", strcmp(store->device->ops->name, "io_uring") == 0, "bool",
        "1: the device uses io_uring");
    add(figures, "io_submit_polls", fst_load_relaxed_u32(&store->device->submit_polls), "bool",
        "1: a thread of the kernel's submits");
    add(figures, "io_complete_polls", fst_load_relaxed_u32(&store->device->complete_polls), "bool",
        "1: reads past the page cache are polled for");
}

static void add_index(struct figures *figures, const struct faster_store *store) {
    struct fst_hash_index_stats stats;
    fst_hash_index_get_stats(store->index, &stats);
    add(figures, "index_buckets", stats.bucket_count, "count", "64-byte buckets");
    add(figures, "index_overflow_buckets", stats.overflow_count, "count",
        "buckets beyond the table");
    add(figures, "index_entries", stats.entry_count, "count", "used entries, estimated");
    add(figures, "index_bytes", stats.used_bytes, "bytes", "buckets and overflow buckets");
    add(figures, "index_growths", stats.growth_count, "count", "doublings begun since open");
    add(figures, "index_phase", (uint64_t)stats.phase, "phase",
        "0 settled, 1 growing, 2 grown and waiting for operations under way to end");
    add(figures, "huge_page_bytes", stats.huge_bytes + fst_log_huge_bytes(store->log), "bytes",
        "of the index and the log, for which the system was asked for huge pages and agreed");
    add(figures, "index_bytes_max", store->budget.index_bytes, "bytes",
        "the index's share of memory");
}

static void add_operations(struct figures *figures, const struct faster_store *store) {
    struct fst_session_counters sum;
    fst_sessions_sum(store, &sum);
    add(figures, "appended_records", fst_load_relaxed_u64(&sum.appended_records), "count",
        "since open");
    add(figures, "in_place_updates", fst_load_relaxed_u64(&sum.in_place_updates), "count",
        "since open");
    add(figures, "log_waits", fst_load_relaxed_u64(&sum.log_waits), "count",
        "turns in which a write waited for a free page, since open");
    add(figures, "log_wait_ns", fst_load_relaxed_u64(&sum.log_wait_ns), "ns",
        "that writes waited so, summed over threads, since open");
    add(figures, "key_lock_bytes", fst_key_locks_bytes(store), "bytes",
        "of memory for key locks, once a session has locked some");
    add(figures, "disk_reads", fst_load_relaxed_u64(&sum.disk_reads), "count",
        "reads of single records since open");
    add(figures, "disk_read_bytes", fst_load_relaxed_u64(&sum.disk_read_bytes), "bytes",
        "since open");
}

static void add_recovery(struct figures *figures, const struct faster_store *store) {
    const struct fst_progress *progress = &store->progress;
    add(figures, "work", fst_load_relaxed_u32(&progress->work), "work",
        "what recovery does now: 0 nothing, 1 looks for the log's end, 2 reads the copy of the "
        "index, 3 reads the log");
    add(figures, "work_done_bytes", fst_load_relaxed_u64(&progress->done_bytes), "bytes",
        "of that, done");
    add(figures, "work_total_bytes", fst_load_relaxed_u64(&progress->total_bytes), "bytes",
        "of that, in all");
    add(figures, "recovery_ns", fst_load_relaxed_u64(&progress->recovery_ns), "ns",
        "that recovery has taken since open");
}

static void add_checkpoints(struct figures *figures, const struct faster_store *store) {
    const struct fst_triggers *triggers = &store->triggers;
    add(figures, "checkpoint_bytes_max", triggers->bytes == FST_DUE_NEVER ? 0 : triggers->bytes,
        "bytes", "of log, after which a checkpoint is due by itself; 0: never");
    add(figures, "checkpoint_interval_ms", triggers->interval_ns / UINT64_C(1000000), "ms",
        "after which one is due if anything was written; 0: never");
    add(figures, "checkpoints", fst_load_relaxed_u64(&triggers->taken), "count",
        "taken since open");
    add(figures, "checkpoints_by_themselves", fst_load_relaxed_u64(&triggers->taken_alone), "count",
        "of them, due by bytes or by time");
    add(figures, "checkpoint_failures", fst_load_relaxed_u64(&triggers->failures), "count",
        "of those that were due, since open");
    add(figures, "checkpoint_cause", fst_load_relaxed_u32(&triggers->last_cause), "cause",
        "of the newest since open: 0 none, 1 a call, 2 bytes, 3 time, 4 close");
    add(figures, "checkpoint_begun_ns", fst_load_relaxed_u64(&triggers->last_begun_ns), "ns",
        "since 1970, when the newest since open began");
    add(figures, "replay_from", fst_load_relaxed_u64(&triggers->replay_from), "address",
        "where recovery would begin to read the log; 0 until the first write since open");
}

static void add_events(struct figures *figures, const struct faster_store *store) {
    const struct fst_store_counters *counters = &store->counters;
    add(figures, "commits", fst_load_relaxed_u64(&counters->commits), "count", "since open");
    add(figures, "rollbacks", fst_load_relaxed_u64(&counters->rollbacks), "count", "since open");
    add(figures, "inline_commits", fst_load_relaxed_u64(&counters->inline_commits), "count",
        "carried by their row, without a sync of the log");
    add(figures, "log_syncs", fst_load_relaxed_u64(&counters->log_syncs), "count",
        "commits that synced the log");
    add(figures, "truncated_bytes", fst_load_relaxed_u64(&counters->truncated_bytes), "bytes",
        "log given back since open");
    add(figures, "checkpoint_phase", fst_load_relaxed_u32(&store->checkpoint.phase), "phase",
        "of the checkpoint that is being taken: 0 none, 1 begun, 2 copies the index, 3 and 4 syncs "
        "the log, 5 is recorded, 6 removes what is old");
    add_checkpoints(figures, store);
    add(figures, "recovered_records", fst_load_relaxed_u64(&counters->recovered_records), "count",
        "records read to rebuild the index");
    add_recovery(figures, store);
}

size_t faster_store_stats(const struct faster_store *store, struct faster_stat *stats,
                          size_t count_max) {
    struct figures figures = {stats, count_max, 0};
    add(&figures, "memory_bytes_max", store->budget.memory_bytes, "bytes", "the budget");
    add(&figures, "inline_commit_bytes_max",
        store->inline_commit_bytes == UINT64_MAX ? 0 : store->inline_commit_bytes, "bytes",
        "of log, for a commit that its row carries; 0: none");
    add(&figures, "writes_directly", store->direct, "bool",
        "1: a direct store, whose writes belong to no transaction");
    add_log(&figures, store);
    add_index(&figures, store);
    /* acquire: pairs with the releases in fst_publish_commit(). */
    add(&figures, "committed_number", fst_load_acquire_u64(&store->committed_number), "count",
        "the newest commit known");
    add(&figures, "committed_end", fst_load_acquire_u64(&store->committed_end), "address",
        "where it ends in the log");
    add(&figures, "sessions", fst_load_relaxed_u64(&store->session_count), "count", "open");
    add(&figures, "snapshots", fst_pins_open_count(&store->pins), "count", "open");
    add(&figures, "aborted_ranges", fst_aborted_count(&store->aborted), "count",
        "of the log, hidden from readers");
    add_events(&figures, store);
    add_operations(&figures, store);
    return figures.count;
}
