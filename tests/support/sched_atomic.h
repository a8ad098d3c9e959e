/* sched_atomic.h - the calls of base/atomic.h on plain words, each with a point at which
 * the scheduler of sched.h may switch. Used as FST_ATOMIC_SHIM, by one thread. */
#ifndef FST_TESTS_SUPPORT_SCHED_ATOMIC_H
#define FST_TESTS_SUPPORT_SCHED_ATOMIC_H

#include "sched.h"

#include <stdbool.h>
#include <stdint.h>

typedef uint64_t fst_atomic_u64;
typedef uint32_t fst_atomic_u32;
typedef uint8_t fst_atomic_u8;
typedef void *fst_atomic_ptr;

#define SCHED_LOAD(name, word_type, value_type)                                                    \
    static inline value_type name(word_type const *word) {                                         \
        sched_point();                                                                             \
        return *word;                                                                              \
    }
/* The words that light stores change. */
#define SCHED_LOAD_SEEN(name)                                                                      \
    static inline uint64_t name(fst_atomic_u64 const *word) {                                      \
        sched_point();                                                                             \
        return sched_seen(word);                                                                   \
    }
#define SCHED_STORE(name, word_type, value_type)                                                   \
    static inline void name(word_type *word, value_type value) {                                   \
        sched_point();                                                                             \
        sched_show_stores();                                                                       \
        *word = value;                                                                             \
    }
#define SCHED_EXCHANGE(name, word_type, value_type)                                                \
    static inline value_type name(word_type *word, value_type value) {                             \
        value_type before;                                                                         \
        sched_point();                                                                             \
        sched_show_stores();                                                                       \
        before = *word;                                                                            \
        *word = value;                                                                             \
        return before;                                                                             \
    }
#define SCHED_ADD(name)                                                                            \
    static inline uint64_t name(fst_atomic_u64 *word, uint64_t value) {                            \
        sched_point();                                                                             \
        sched_show_stores();                                                                       \
        *word += value;                                                                            \
        return *word - value;                                                                      \
    }
#define SCHED_CAS(name, type)                                                                      \
    static inline bool name(type *word, type *expected, type desired) {                            \
        sched_point();                                                                             \
        sched_show_stores();                                                                       \
        if (*word != *expected) {                                                                  \
            *expected = *word;                                                                     \
            return false;                                                                          \
        }                                                                                          \
        *word = desired;                                                                           \
        return true;                                                                               \
    }

SCHED_LOAD_SEEN(fst_load_relaxed_u64)
SCHED_LOAD_SEEN(fst_load_acquire_u64)
SCHED_LOAD_SEEN(fst_load_seq_cst_u64)
SCHED_STORE(fst_store_relaxed_u64, fst_atomic_u64, uint64_t)
SCHED_STORE(fst_store_release_u64, fst_atomic_u64, uint64_t)
SCHED_STORE(fst_store_seq_cst_u64, fst_atomic_u64, uint64_t)
SCHED_ADD(fst_add_relaxed_u64)
SCHED_ADD(fst_add_acq_rel_u64)
SCHED_EXCHANGE(fst_exchange_seq_cst_u64, fst_atomic_u64, uint64_t)
SCHED_CAS(fst_cas_acq_rel_u64, fst_atomic_u64)
SCHED_CAS(fst_cas_relaxed_u64, fst_atomic_u64)
SCHED_CAS(fst_cas_seq_cst_u64, fst_atomic_u64)

SCHED_LOAD(fst_load_relaxed_u32, fst_atomic_u32, uint32_t)
SCHED_LOAD(fst_load_acquire_u32, fst_atomic_u32, uint32_t)
SCHED_STORE(fst_store_relaxed_u32, fst_atomic_u32, uint32_t)
SCHED_STORE(fst_store_release_u32, fst_atomic_u32, uint32_t)
SCHED_CAS(fst_cas_acq_rel_u32, fst_atomic_u32)

SCHED_LOAD(fst_load_acquire_u8, fst_atomic_u8, uint8_t)
SCHED_STORE(fst_store_release_u8, fst_atomic_u8, uint8_t)

SCHED_LOAD(fst_load_acquire_ptr, fst_atomic_ptr, void *)
SCHED_STORE(fst_store_release_ptr, fst_atomic_ptr, void *)
SCHED_EXCHANGE(fst_exchange_acq_rel_ptr, fst_atomic_ptr, void *)

static inline void fst_store_light_u64(fst_atomic_u64 *word, uint64_t value) {
    sched_point();
    sched_store_light(word, value);
}

#endif
