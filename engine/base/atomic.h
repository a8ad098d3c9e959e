/* atomic.h - every shared word of the engine is touched through these calls (layer 0).
 *
 * Each call names its order. A test build may define FST_ATOMIC_SHIM to a header that
 * replaces them, so that a controlled scheduler sees each access.
 */
#ifndef FST_BASE_ATOMIC_H
#define FST_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef FST_ATOMIC_SHIM
#include FST_ATOMIC_SHIM
#else

typedef _Atomic uint64_t fst_atomic_u64;
typedef _Atomic uint32_t fst_atomic_u32;
typedef _Atomic uint8_t fst_atomic_u8;

static inline uint64_t fst_load_relaxed_u64(const fst_atomic_u64 *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline uint64_t fst_load_acquire_u64(const fst_atomic_u64 *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline uint64_t fst_load_seq_cst_u64(const fst_atomic_u64 *word) {
    return atomic_load_explicit(word, memory_order_seq_cst);
}
static inline void fst_store_relaxed_u64(fst_atomic_u64 *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}
static inline void fst_store_release_u64(fst_atomic_u64 *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}
static inline void fst_store_seq_cst_u64(fst_atomic_u64 *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_seq_cst);
}
/* The light half of an asymmetric fence: a release store, after which the compiler moves no access
 * of this thread before it. The processor may: the other side has every thread pass a fence, with
 * faster_env's fence_threads(), between what it stores and what it loads. */
static inline void fst_store_light_u64(fst_atomic_u64 *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}
static inline uint64_t fst_add_relaxed_u64(fst_atomic_u64 *word, uint64_t value) {
    return atomic_fetch_add_explicit(word, value, memory_order_relaxed);
}
static inline uint64_t fst_add_acq_rel_u64(fst_atomic_u64 *word, uint64_t value) {
    return atomic_fetch_add_explicit(word, value, memory_order_acq_rel);
}
static inline uint64_t fst_exchange_seq_cst_u64(fst_atomic_u64 *word, uint64_t value) {
    return atomic_exchange_explicit(word, value, memory_order_seq_cst);
}
/* On failure *expected gets the present value, loaded with acquire. */
static inline bool fst_cas_acq_rel_u64(fst_atomic_u64 *word, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(word, expected, desired, memory_order_acq_rel,
                                                   memory_order_acquire);
}
static inline bool fst_cas_relaxed_u64(fst_atomic_u64 *word, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(word, expected, desired, memory_order_relaxed,
                                                   memory_order_relaxed);
}
static inline bool fst_cas_seq_cst_u64(fst_atomic_u64 *word, uint64_t *expected, uint64_t desired) {
    return atomic_compare_exchange_strong_explicit(word, expected, desired, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

static inline uint32_t fst_load_relaxed_u32(const fst_atomic_u32 *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}
static inline uint32_t fst_load_acquire_u32(const fst_atomic_u32 *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline void fst_store_relaxed_u32(fst_atomic_u32 *word, uint32_t value) {
    atomic_store_explicit(word, value, memory_order_relaxed);
}
static inline void fst_store_release_u32(fst_atomic_u32 *word, uint32_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}
static inline bool fst_cas_acq_rel_u32(fst_atomic_u32 *word, uint32_t *expected, uint32_t desired) {
    return atomic_compare_exchange_strong_explicit(word, expected, desired, memory_order_acq_rel,
                                                   memory_order_acquire);
}

static inline uint8_t fst_load_acquire_u8(const fst_atomic_u8 *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline void fst_store_release_u8(fst_atomic_u8 *word, uint8_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}

/* Pointers: published with release, read with acquire. */
typedef _Atomic(void *) fst_atomic_ptr;
static inline void *fst_load_acquire_ptr(const fst_atomic_ptr *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}
static inline void fst_store_release_ptr(fst_atomic_ptr *word, void *value) {
    atomic_store_explicit(word, value, memory_order_release);
}
static inline void *fst_exchange_acq_rel_ptr(fst_atomic_ptr *word, void *value) {
    return atomic_exchange_explicit(word, value, memory_order_acq_rel);
}

#endif
#endif
