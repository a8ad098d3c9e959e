/* sim_fault.c - calls of a simulated disk that fail. */
#include <string.h>

#include "sim_disk_internal.h"

#define CALL(name) (1u << SIM_CALL_##name)
#define NAME_CHANGES (CALL(RENAME) | CALL(REMOVE) | CALL(MKDIR) | CALL(RMDIR))

/* Which calls an effect is for. */
static const uint32_t calls_of[] = {
    [SIM_EIO] = (1u << SIM_CALL_COUNT) - 1,
    [SIM_EIO_HALF] = CALL(WRITE),
    [SIM_EIO_DONE] = CALL(WRITE) | CALL(TRUNCATE) | CALL(SYNC) | CALL(DIRSYNC) | NAME_CHANGES,
    [SIM_EIO_LOST] = CALL(SYNC),
    [SIM_ENOSPC] = CALL(OPEN) | CALL(WRITE) | CALL(TRUNCATE) | CALL(SYNC) | CALL(DIRSYNC) |
                   CALL(RENAME) | CALL(MKDIR),
    [SIM_ENOSPC_HALF] = CALL(WRITE),
    [SIM_EMFILE] = CALL(OPEN) | CALL(DIRSYNC) | CALL(LIST),
    [SIM_SHORT] = CALL(READ),
    [SIM_FLIP] = CALL(READ) | CALL(WRITE),
    [SIM_STALE] = CALL(READ) | CALL(WRITE),
    [SIM_MISDIRECT] = CALL(READ) | CALL(WRITE),
};

bool sim_fault_applies(enum sim_call call, enum sim_effect effect) {
    return (calls_of[effect] >> call & 1) != 0;
}

enum sim_result sim_fault_result(enum sim_effect effect) {
    switch (effect) {
    case SIM_EIO:
    case SIM_EIO_HALF:
    case SIM_EIO_DONE:
    case SIM_EIO_LOST:
        return SIM_FAILED;
    case SIM_ENOSPC:
    case SIM_ENOSPC_HALF:
        return SIM_NO_SPACE;
    case SIM_EMFILE:
        return SIM_NO_HANDLE;
    case SIM_SHORT:
    case SIM_FLIP:
    case SIM_STALE:
    case SIM_MISDIRECT:
        break;
    }
    return SIM_OK;
}

/* ---- which files ---- */

static bool begins(const char *name, size_t length, const char *with) {
    const size_t count = strlen(with);
    return length >= count && memcmp(name, with, count) == 0;
}

static bool ends(const char *name, size_t length, const char *with) {
    const size_t count = strlen(with);
    return length >= count && memcmp(name + length - count, with, count) == 0;
}

static bool is(const char *name, size_t length, const char *other) {
    return length == strlen(other) && memcmp(name, other, length) == 0;
}

uint32_t sim_file_class(const char *name, size_t length) {
    if (length == 16 && begins(name, length, "log.") &&
        strspn(name + 4, "0123456789abcdef") >= 12) {
        return SIM_FILE_SEGMENT;
    }
    if (begins(name, length, "manifest.")) {
        return SIM_FILE_MANIFEST;
    }
    if (begins(name, length, "checkpoint.") || begins(name, length, "index.")) {
        return SIM_FILE_CHECKPOINT;
    }
    if (is(name, length, "store") || is(name, length, "lock") || is(name, length, "unsettled")) {
        return SIM_FILE_SMALL;
    }
    return ends(name, length, "-journal") || ends(name, length, "-wal") ? SIM_FILE_JOURNAL
                                                                        : SIM_FILE_DATABASE;
}

/* ---- calls ---- */

static bool is_side(uint32_t sides, enum sim_side side) {
    return sides == 0 || (sides & side) != 0;
}

bool sim_fault_enter(struct sim_disk *disk, enum sim_side side, enum sim_call call,
                     uint32_t file_class, enum sim_effect *effect) {
    const struct sim_fault *fault = &disk->fault;
    for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
        disk->calls[side - 1][call][i] += file_class >> i & 1;
    }
    if (!disk->is_armed || (fault->calls >> call & 1) == 0 || (fault->files & file_class) == 0 ||
        !is_side(fault->sides, side) || !sim_fault_applies(call, fault->effect)) {
        return false;
    }
    disk->matched++;
    if (disk->matched < fault->first || disk->matched - fault->first >= fault->times) {
        return false;
    }
    disk->fired++;
    *effect = fault->effect;
    return true;
}

void sim_fault_arm(const struct sim_fault *fault) {
    struct sim_disk *disk = sim_disk_required();
    sim_tree_finish(&disk->stale);
    disk->is_armed = fault != NULL;
    if (fault != NULL) {
        disk->fault = *fault;
        disk->matched = 0;
        disk->fired = 0;
        if (fault->effect == SIM_STALE) {
            disk->stale = sim_tree_clone(&disk->live);
        }
    }
}

uint64_t sim_fault_fired(void) {
    return sim_disk_required()->fired;
}

static uint64_t calls_of_one(enum sim_side side, uint32_t calls, uint32_t files) {
    const struct sim_disk *disk = sim_disk_required();
    uint64_t sum = 0;
    for (unsigned call = 0; call < SIM_CALL_COUNT; call++) {
        for (unsigned i = 0; i < SIM_FILE_CLASSES; i++) {
            sum += (calls >> call & 1) != 0 && (files >> i & 1) != 0
                       ? disk->calls[side - 1][call][i]
                       : 0;
        }
    }
    return sum;
}

uint64_t sim_calls_of(uint32_t sides, uint32_t calls, uint32_t files) {
    return (is_side(sides, SIM_ENGINE) ? calls_of_one(SIM_ENGINE, calls, files) : 0) +
           (is_side(sides, SIM_SQLITE) ? calls_of_one(SIM_SQLITE, calls, files) : 0);
}

uint64_t sim_calls(uint32_t calls, uint32_t files) {
    return sim_calls_of(0, calls, files);
}
