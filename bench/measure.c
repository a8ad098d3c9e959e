/* measure.c - what one phase of a measurement costs. */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- latency ---- */

#define SUB_BITS 5u
#define SUB_COUNT (1u << SUB_BITS)

/* Values below SUB_COUNT have a bucket each; above, each power of two has SUB_COUNT. */
static size_t bucket_of(uint64_t ns) {
    if (ns < SUB_COUNT) {
        return (size_t)ns;
    }
    uint32_t top = 63u - (uint32_t)__builtin_clzll(ns);
    uint32_t shift = top - SUB_BITS;
    return (size_t)(shift + 1) * SUB_COUNT + (size_t)(ns >> shift & (SUB_COUNT - 1));
}

static uint64_t value_of(size_t bucket) {
    if (bucket < SUB_COUNT) {
        return bucket;
    }
    uint32_t shift = (uint32_t)(bucket / SUB_COUNT) - 1;
    return (SUB_COUNT + (uint64_t)(bucket % SUB_COUNT)) << shift;
}

void bench_latency_add(struct bench_latency *latency, uint64_t ns) {
    latency->counts[bucket_of(ns)]++;
    latency->total++;
}

void bench_latency_merge(struct bench_latency *into, const struct bench_latency *from) {
    for (size_t i = 0; i < BENCH_LATENCY_BUCKETS; i++) {
        into->counts[i] += from->counts[i];
    }
    into->total += from->total;
}

uint64_t bench_latency_at(const struct bench_latency *latency, double part) {
    uint64_t below = (uint64_t)((double)latency->total * part);
    uint64_t seen = 0;
    for (size_t i = 0; i < BENCH_LATENCY_BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen > below) {
            return value_of(i);
        }
    }
    return 0;
}

/* ---- the process ---- */

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The number behind `name` in a file of lines "name: number". */
static bool number_in(const char *path, const char *name, uint64_t *number) {
    FILE *file = fopen(path, "re");
    char line[256];
    size_t name_bytes = strlen(name);
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        unsigned long long read;
        if (strncmp(line, name, name_bytes) == 0 &&
            sscanf(line + name_bytes, ": %llu", &read) == 1) {
            *number = read;
            found = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static uint64_t ns_of(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

void bench_usage_now(struct bench_usage *usage) {
    struct rusage used;
    *usage = (struct bench_usage){.wall_ns = bench_now_ns()};
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        usage->cpu_ns = ns_of(used.ru_utime) + ns_of(used.ru_stime);
    }
    usage->has_io = number_in("/proc/self/io", "read_bytes", &usage->device_read_bytes) &&
                    number_in("/proc/self/io", "write_bytes", &usage->device_written_bytes);
}

struct bench_usage bench_usage_between(const struct bench_usage *start,
                                       const struct bench_usage *end) {
    return (struct bench_usage){
        .wall_ns = end->wall_ns - start->wall_ns,
        .cpu_ns = end->cpu_ns - start->cpu_ns,
        .has_io = start->has_io && end->has_io,
        .device_read_bytes = end->device_read_bytes - start->device_read_bytes,
        .device_written_bytes = end->device_written_bytes - start->device_written_bytes,
    };
}

void bench_memory_now(uint64_t *rss_bytes, uint64_t *peak_rss_bytes) {
    uint64_t rss_kib = 0;
    uint64_t peak_kib = 0;
    (void)number_in("/proc/self/status", "VmRSS", &rss_kib);
    (void)number_in("/proc/self/status", "VmHWM", &peak_kib);
    *rss_bytes = rss_kib * 1024;
    *peak_rss_bytes = peak_kib * 1024;
}

/* ---- a memory cgroup ---- */

/* Where the process is: version 1 names its memory controller, version 2 has one hierarchy. */
static bool find_parent(char *parent, size_t parent_bytes, bool *is_v1) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[400];
    bool found = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) {
            continue;
        }
        *path++ = '\0';
        if (strcmp(controllers + 1, "memory") == 0) {
            snprintf(parent, parent_bytes, "/sys/fs/cgroup/memory%s", path);
            *is_v1 = true;
            found = true;
            break;
        }
        if (controllers[1] == '\0') {
            snprintf(parent, parent_bytes, "/sys/fs/cgroup%s", path);
            *is_v1 = false;
            found = true;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

static bool write_number(const char *directory, const char *name, uint64_t number) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return false;
    }
    bool is_written = fprintf(file, "%llu\n", (unsigned long long)number) > 0;
    return fclose(file) == 0 && is_written;
}

/* Nothing of the parent is changed: a version 2 group whose parent does not hand the memory
 * controller down has no memory.max, and that is the reason then. */
bool bench_cgroup_enter(struct bench_cgroup *group, uint64_t limit_bytes, char *reason,
                        size_t reason_bytes) {
    bool is_v1 = false;
    *group = (struct bench_cgroup){0};
    if (!find_parent(group->parent, sizeof group->parent, &is_v1)) {
        snprintf(reason, reason_bytes, "/proc/self/cgroup names no memory controller");
        return false;
    }
    int length = snprintf(group->path, sizeof group->path, "%.440s/faster-bench-%ld", group->parent,
                          (long)getpid());
    const char *step = "mkdir";
    errno = length < (int)sizeof group->path ? 0 : ENAMETOOLONG;
    if (errno == 0 && mkdir(group->path, 0755) == 0) {
        step = is_v1 ? "memory.limit_in_bytes" : "memory.max";
        if (write_number(group->path, step, limit_bytes)) {
            step = "cgroup.procs";
            if (write_number(group->path, step, (uint64_t)getpid())) {
                return true;
            }
        }
    }
    snprintf(reason, reason_bytes, "%s: %s: %s", group->path, step, strerror(errno));
    (void)rmdir(group->path);
    group->path[0] = '\0';
    return false;
}

void bench_cgroup_leave(struct bench_cgroup *group) {
    if (group->path[0] != '\0') {
        (void)write_number(group->parent, "cgroup.procs", (uint64_t)getpid());
        (void)rmdir(group->path);
        group->path[0] = '\0';
    }
}
