/* measure.h - what one phase of a measurement costs, and the line of JSON that tells it. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- latency: a histogram whose buckets are 1/32 of their value wide ---- */

#define BENCH_LATENCY_BUCKETS (64u * 32u)

struct bench_latency {
    uint64_t counts[BENCH_LATENCY_BUCKETS];
    uint64_t total;
};

void bench_latency_add(struct bench_latency *latency, uint64_t ns);
void bench_latency_merge(struct bench_latency *into, const struct bench_latency *from);
/* The value below which `part` (0 to 1) of what was added lies; 0 if nothing was. */
uint64_t bench_latency_at(const struct bench_latency *latency, double part);

/* ---- the process ---- */

uint64_t bench_now_ns(void);

struct bench_usage {
    uint64_t wall_ns;
    uint64_t cpu_ns; /* user and system, all threads */
    bool has_io;     /* /proc/self/io could be read */
    uint64_t device_read_bytes;
    uint64_t device_written_bytes;
};

void bench_usage_now(struct bench_usage *usage);
/* *end - *start, field by field. */
struct bench_usage bench_usage_between(const struct bench_usage *start,
                                       const struct bench_usage *end);

/* Of /proc/self/status; 0 if it cannot be read. */
void bench_memory_now(uint64_t *rss_bytes, uint64_t *peak_rss_bytes);

/* ---- a memory cgroup ---- */

struct bench_cgroup {
    char path[512];   /* "" when the process is in none of ours */
    char parent[512]; /* where it came from */
};

/* Makes a group below the process's own, limited to `limit_bytes`, and enters it. False if the
 * system does not allow it: `reason` says why. */
bool bench_cgroup_enter(struct bench_cgroup *group, uint64_t limit_bytes, char *reason,
                        size_t reason_bytes);
/* Goes back and removes it. */
void bench_cgroup_leave(struct bench_cgroup *group);

#endif
