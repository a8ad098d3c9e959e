/* io_budget.h - the memory that the pending operations of all sessions share (layer 4).
 *
 * What it promises, and why nobody waits for ever, is at the head of io_budget.c.
 */
#ifndef FST_STORE_IO_BUDGET_H
#define FST_STORE_IO_BUDGET_H

#include "base/atomic.h"
#include "base/env.h"

/* What one session has taken. */
struct fst_io_account {
    uint64_t held_bytes; /* its session's thread only */
    struct fst_condition *called;
    struct fst_io_account *next; /* [mutex] who waits behind it */
    bool is_waiting;             /* [mutex] also with the turn, until it wakes up */
};

struct fst_io_budget {
    const struct faster_env *env;
    uint64_t limit_bytes;      /* read-only once open */
    fst_atomic_u64 used_bytes; /* the sum of what accounts hold; any thread, relaxed */
    fst_atomic_u64 peak_bytes; /* the most that ever was; relaxed */
    struct fst_mutex *mutex;   /* protects what follows */
    struct fst_io_account *holder;
    struct fst_io_account *first; /* waiting for the turn, the longest first */
    struct fst_io_account *last;
    uint64_t since_ns; /* the holder has it */
};

/* A turn that has not moved for so long goes to the next one all the same. */
#define FST_IO_STALL_NS UINT64_C(1000000000)

/* OK, NOMEM. */
enum faster_status fst_io_budget_init(struct fst_io_budget *budget, const struct faster_env *env,
                                      uint64_t limit_bytes) FASTER_MUST_CHECK;
/* Also of what was not or only partly initialised. Everything has been given back. */
void fst_io_budget_finish(struct fst_io_budget *budget);

/* OK, NOMEM. */
enum faster_status fst_io_account_init(struct fst_io_account *account,
                                       const struct faster_env *env) FASTER_MUST_CHECK;
/* Holds nothing and waits for nothing. */
void fst_io_account_finish(struct fst_io_account *account, const struct faster_env *env);

/* False: so much is not to be had now. The account's own thread, as all below. */
bool fst_io_take(struct fst_io_budget *budget, struct fst_io_account *account,
                 uint64_t bytes) FASTER_MUST_CHECK;
/* Takes even what is not there: of the operation only that has the turn. */
void fst_io_overdraw(struct fst_io_budget *budget, struct fst_io_account *account, uint64_t bytes);
void fst_io_give(struct fst_io_budget *budget, struct fst_io_account *account, uint64_t bytes);
/* True if more than half is taken: then nothing is kept that nobody needs now. */
bool fst_io_is_tight(const struct fst_io_budget *budget);

/* Gets the turn, with `wait` after all that ask for it already. REQUIRES: the account does not have
 * it, holds no lock that an operation needs, and gives it back before its call into the store
 * ends. False, without `wait` only: it is not free. */
bool fst_io_turn_take(struct fst_io_budget *budget, struct fst_io_account *account,
                      bool wait) FASTER_MUST_CHECK;
void fst_io_turn_give(struct fst_io_budget *budget, struct fst_io_account *account);

#endif
