/* linearizability.h - is there one order that explains what many threads saw?
 *
 * A history is a set of operations, each with the time before its call and the time after it
 * ended, from one clock that never gives a time twice. It is linearizable if each operation
 * can be given one moment between the two so that, in the order of these moments, each key
 * behaves as a single cell. Keys are independent of each other, so each is checked by itself
 * (Herlihy and Wing, 1990, theorem 1).
 *
 * The search is that of Wing and Gong (1993) with Lowe's memory of what has failed (2016): the
 * set of operations that are done, and the cell's content, are not tried twice. Sets are
 * remembered by 128 bits of hash. A written value must be unique in the history of its key: that
 * is what keeps the search short.
 */
#ifndef FST_TESTS_SUPPORT_LINEARIZABILITY_H
#define FST_TESTS_SUPPORT_LINEARIZABILITY_H

#include <stddef.h>
#include <stdint.h>

#define LIN_NONE UINT64_C(0) /* as a value: there is none */

enum lin_kind { LIN_READ, LIN_UPSERT, LIN_DELETE, LIN_INSERT, LIN_CAS, LIN_RMW };
enum lin_outcome { LIN_OK, LIN_EXISTS, LIN_NOT_FOUND };

struct lin_op {
    uint64_t key;
    uint64_t value;    /* written, if it is */
    uint64_t expected; /* of LIN_CAS */
    uint64_t seen;     /* by LIN_READ and LIN_RMW, or LIN_NONE */
    uint64_t call;
    uint64_t end;
    enum lin_kind kind;
    enum lin_outcome outcome; /* of LIN_INSERT and LIN_CAS */
};

enum lin_verdict {
    LIN_EXPLAINED,
    LIN_IMPOSSIBLE, /* for *bad_key */
    LIN_GAVE_UP     /* too many orders, or no memory */
};

/* Each key begins without a value. Sorts `ops`. */
enum lin_verdict lin_check(struct lin_op *ops, size_t count, uint64_t *bad_key);

#endif
