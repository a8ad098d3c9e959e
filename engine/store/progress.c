/* progress.c - how far a recovery has come (layer 4). See progress.h. */
#include "store/progress.h"

#include "base/bytes.h"
#include "store/store.h"

#define MIB_BITS 20u

static const char *name_of(enum fst_work work) {
    switch (work) {
    case FST_WORK_NONE:
        break;
    case FST_WORK_FIND_END:
        return "looks for the end of the log";
    case FST_WORK_LOAD_INDEX:
        return "reads the copy of the index";
    case FST_WORK_READ_LOG:
        return "reads the log";
    }
    return "rests";
}

static void stop_clock(struct faster_store *store) {
    struct fst_progress *progress = &store->progress;
    const uint64_t now_ns = store->env->monotonic_ns(store->env);
    if (fst_load_relaxed_u32(&progress->work) == FST_WORK_NONE) {
        progress->told_ns = now_ns;
    } else {
        fst_add_relaxed_u64(&progress->recovery_ns, now_ns - progress->since_ns);
    }
    progress->since_ns = now_ns;
}

void fst_progress_begin(struct faster_store *store, enum fst_work work, uint64_t total_bytes) {
    struct fst_progress *progress = &store->progress;
    stop_clock(store);
    fst_store_relaxed_u32(&progress->work, (uint32_t)work);
    fst_store_relaxed_u64(&progress->done_bytes, 0);
    fst_store_relaxed_u64(&progress->total_bytes, total_bytes);
}

void fst_progress_reach(struct faster_store *store, uint64_t done_bytes) {
    struct fst_progress *progress = &store->progress;
    const uint64_t total_bytes = fst_load_relaxed_u64(&progress->total_bytes);
    const uint64_t now_ns = store->env->monotonic_ns(store->env);
    fst_store_relaxed_u64(&progress->done_bytes, fst_min_u64(done_bytes, total_bytes));
    if (now_ns - progress->told_ns >= FST_PROGRESS_TOLD_NS) {
        progress->told_ns = now_ns;
        fst_diagnose(&store->diagnostics, FASTER_DIAGNOSTIC_INFO, "recovery",
                     "recovery %s: %llu of %llu MiB",
                     name_of((enum fst_work)fst_load_relaxed_u32(&progress->work)),
                     (unsigned long long)(fst_min_u64(done_bytes, total_bytes) >> MIB_BITS),
                     (unsigned long long)(total_bytes >> MIB_BITS));
    }
}

void fst_progress_end(struct faster_store *store) {
    fst_progress_begin(store, FST_WORK_NONE, 0);
}
