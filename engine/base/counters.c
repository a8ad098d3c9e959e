#include "base/counters.h"

#include "base/bytes.h"

struct description {
    const char *name;
    const char *unit;
    const char *help;
};

static const struct description counter_descriptions[FST_COUNTER_COUNT] = {
    [FST_COUNTER_READS] = {"reads", "count", "keys looked up"},
    [FST_COUNTER_READS_NOT_FOUND] = {"reads_not_found", "count", "look-ups of absent keys"},
    [FST_COUNTER_READS_FROM_DEVICE] = {"reads_from_device", "count",
                                       "device reads that operations waited for"},
    [FST_COUNTER_UPSERTS] = {"upserts", "count", "keys written without looking first"},
    [FST_COUNTER_INSERTS] = {"inserts", "count", "inserts of absent keys tried"},
    [FST_COUNTER_COMPARE_AND_SETS] = {"compare_and_sets", "count", "compare-and-sets tried"},
    [FST_COUNTER_RMWS] = {"rmws", "count", "read-modify-writes"},
    [FST_COUNTER_DELETES] = {"deletes", "count", "deletes"},
    [FST_COUNTER_UPDATES_IN_PLACE] = {"updates_in_place", "count",
                                      "writes that changed a record in memory"},
    [FST_COUNTER_RECORDS_APPENDED] = {"records_appended", "count",
                                      "writes that added a record to the log"},
    [FST_COUNTER_CHAIN_STEPS] = {"chain_steps", "count",
                                 "records passed on the way to a key's own"},
    [FST_COUNTER_RETRIES] = {"retries", "count",
                             "operations begun again after a lost race or a full memory"},
    [FST_COUNTER_SCANNED_RECORDS] = {"scanned_records", "count", "records returned by scans"},
    [FST_COUNTER_COMMITS] = {"commits", "count", "transactions committed"},
    [FST_COUNTER_ROLLBACKS] = {"rollbacks", "count", "transactions rolled back"},
    [FST_COUNTER_SAVEPOINT_ROLLBACKS] = {"savepoint_rollbacks", "count",
                                         "savepoints rolled back to"},
    [FST_COUNTER_SNAPSHOTS_GONE] = {"snapshots_gone", "count",
                                    "reads refused because truncation passed their snapshot"},
};

static const struct description event_descriptions[FST_EVENT_COUNT] = {
    [FST_EVENT_DEVICE_READS] = {"device_reads", "count", "read requests completed"},
    [FST_EVENT_DEVICE_READ_BYTES] = {"device_read_bytes", "bytes", "bytes read"},
    [FST_EVENT_DEVICE_WRITES] = {"device_writes", "count", "write requests completed"},
    [FST_EVENT_DEVICE_WRITE_BYTES] = {"device_write_bytes", "bytes", "bytes written"},
    [FST_EVENT_DEVICE_SYNCS] = {"device_syncs", "count", "syncs completed"},
    [FST_EVENT_DEVICE_FAILURES] = {"device_failures", "count",
                                   "reads, writes and syncs that failed"},
    [FST_EVENT_NO_SPACE] = {"no_space", "count", "writes refused because the disk is full"},
    [FST_EVENT_CORRUPTIONS] = {"corruptions", "count", "checksums that did not match"},
    [FST_EVENT_PAGES_EVICTED] = {"pages_evicted", "count", "log pages dropped from memory"},
    [FST_EVENT_MANIFESTS_WRITTEN] = {"manifests_written", "count", "manifests written"},
    [FST_EVENT_CHECKPOINTS] = {"checkpoints", "count", "checkpoints completed"},
    [FST_EVENT_TRUNCATIONS] = {"truncations", "count", "times the log's beginning was cut off"},
    [FST_EVENT_CATCH_UPS] = {"catch_ups", "count", "times commit rows were read"},
    [FST_EVENT_RECORDS_RECOVERED] = {"records_recovered", "count",
                                     "records indexed from the log or from commit rows"},
    [FST_EVENT_IN_DOUBT] = {"in_doubt", "count",
                            "transactions whose outcome had to be learned from a row"},
};

void fst_counters_add(struct fst_counters *sum, const struct fst_counters *from) {
    for (size_t i = 0; i < FST_COUNTER_COUNT; i++) {
        (void)fst_add_relaxed_u64(&sum->values[i], fst_load_relaxed_u64(&from->values[i]));
    }
}

static size_t fill_stats(const struct description *descriptions, const fst_atomic_u64 *values,
                         size_t value_count, struct faster_stat *stats, size_t count_max) {
    for (size_t i = 0; i < fst_min_size(value_count, count_max); i++) {
        stats[i] = (struct faster_stat){.name = descriptions[i].name,
                                        .value = fst_load_relaxed_u64(&values[i]),
                                        .unit = descriptions[i].unit,
                                        .help = descriptions[i].help};
    }
    return value_count;
}

size_t fst_counters_fill_stats(const struct fst_counters *counters, struct faster_stat *stats,
                               size_t count_max) {
    return fill_stats(counter_descriptions, counters->values, FST_COUNTER_COUNT, stats, count_max);
}

size_t fst_events_fill_stats(const struct fst_events *events, struct faster_stat *stats,
                             size_t count_max) {
    return fill_stats(event_descriptions, events->values, FST_EVENT_COUNT, stats, count_max);
}
