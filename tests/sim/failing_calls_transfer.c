/* failing_calls_transfer.c - short and interrupted transfers.
 *
 * These functions stand in front of libc's in this program. Both names of pread() and pwrite():
 * which one the library calls depends on how it was compiled. (This file is compiled with
 * -U_FILE_OFFSET_BITS, so that the two are two.)
 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "failing_calls.h"

#include "base/atomic.h"

static struct {
    fst_atomic_u64 calls;
    fst_atomic_u64 first; /* counted from 1; UINT64_MAX: none */
    fst_atomic_u64 last;
    fst_atomic_u64 bytes_max;
} transfers[TRANSFER_KINDS] = {{.first = UINT64_MAX}, {.first = UINT64_MAX}, {.first = UINT64_MAX}};

static fst_atomic_u64 shortened;

void transfer_shorten(enum transfer kind, uint64_t nth, uint64_t times, size_t bytes_max) {
    uint64_t first = fst_load_relaxed_u64(&transfers[kind].calls) + nth;
    fst_store_relaxed_u64(&shortened, 0);
    fst_store_relaxed_u64(&transfers[kind].bytes_max, bytes_max);
    fst_store_relaxed_u64(&transfers[kind].last,
                          times > UINT64_MAX - first ? UINT64_MAX : first + times - 1);
    /* release: pairs with the acquire in limit() */
    fst_store_release_u64(&transfers[kind].first, first);
}

void transfer_heal(void) {
    for (int i = 0; i < TRANSFER_KINDS; i++) {
        fst_store_relaxed_u64(&transfers[i].first, UINT64_MAX);
    }
}

uint64_t transfer_calls(enum transfer kind) {
    return fst_load_relaxed_u64(&transfers[kind].calls);
}

uint64_t transfer_shortened(void) {
    return fst_load_relaxed_u64(&shortened);
}

/* How many bytes this call may move; 0: it is interrupted. */
static size_t limit(enum transfer kind, size_t size) {
    uint64_t call = fst_add_relaxed_u64(&transfers[kind].calls, 1) + 1;
    /* acquire: pairs with the release in transfer_shorten() */
    if (call < fst_load_acquire_u64(&transfers[kind].first) ||
        call > fst_load_relaxed_u64(&transfers[kind].last)) {
        return size;
    }
    (void)fst_add_relaxed_u64(&shortened, 1);
    size_t most = (size_t)fst_load_relaxed_u64(&transfers[kind].bytes_max);
    return most < size ? most : size;
}

static ssize_t read_some(int file, void *data, size_t size, int64_t offset) {
    size_t count = limit(TRANSFER_READ, size);
    if (count == 0 && size > 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_pread64, file, data, count, offset);
}

static ssize_t write_some(int file, const void *data, size_t size, int64_t offset) {
    size_t count = limit(TRANSFER_WRITE, size);
    if (count == 0 && size > 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_pwrite64, file, data, count, offset);
}

ssize_t pread(int file, void *data, size_t size, off_t offset) {
    return read_some(file, data, size, offset);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    return write_some(file, data, size, offset);
}

#ifndef pread64 /* musl has one name, and a macro for the other */
ssize_t pread64(int file, void *data, size_t size, off64_t offset) {
    return read_some(file, data, size, offset);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) {
    return write_some(file, data, size, offset);
}
#endif

int fsync(int file) {
    (void)file;
    return 0;
}

int fdatasync(int file) {
    (void)file;
    return 0;
}
