/* names.h - named sessions of a direct store: how far each one's operations got (layer 4).
 *
 * The proof is at the head of names.c.
 */
#ifndef FST_STORE_NAMES_H
#define FST_STORE_NAMES_H

#include "base/atomic.h"
#include "shapes/checkpoint_format.h"

/* Of one name that a session has, had, or will have again. The three words are changed by the
 * thread of the session that has the name, without a lock; while none has it, with the sessions
 * lock. All else is protected by that lock. Words of two names never share a cache line: they are
 * 24 bytes of 128. */
struct fst_name {
    char name[FASTER_SESSION_NAME_BYTES]; /* never changes */
    fst_atomic_u64 serial;                /* how many operations have taken effect; release */
    fst_atomic_u64 cut_serial;            /* ... before the session's first stay in cut_version */
    fst_atomic_u64 cut_version;           /* the newest version it has worked in; release */
    uint64_t collected;                   /* what the last version that ended has of it */
    uint64_t appended;                    /* as the newest control record in the log has it */
    uint64_t durable;                     /* as the newest one that is synced has it; 0: none */
    bool is_open;                         /* a session has it */
    unsigned char unused[47];
};
_Static_assert(sizeof(struct fst_name) == 128, "words of two names share no cache line");

struct fst_names {
    struct fst_name **list; /* ascending by name */
    size_t count;
    size_t capacity;
    /* struct fst_cut and FST_CUT_SESSIONS_MAX entries: made with the first name, kept until close.
     * Its bytes are the cut's. */
    void *record;
};

/* What a root has of them; zeroed: nothing. */
struct fst_told_names {
    struct fst_named_serial *sessions;
    uint32_t count;
};

struct faster_store;
struct faster_session;

/* ---- the session's thread ---- */

/* Inside the epoch, before anything is done in `version`. */
static inline void fst_name_note_version(struct fst_name *name, uint64_t version) {
    if (fst_load_relaxed_u64(&name->cut_version) != version) {
        fst_store_relaxed_u64(&name->cut_serial, fst_load_relaxed_u64(&name->serial));
        /* release: pairs with the acquire in fst_names_collect() */
        fst_store_release_u64(&name->cut_version, version);
    }
}

/* Inside the epoch: an operation has taken effect. Its serial number. */
static inline uint64_t fst_name_number(struct fst_name *name) {
    const uint64_t serial = fst_load_relaxed_u64(&name->serial) + 1;
    /* release: pairs with the acquire in fst_names_collect() */
    fst_store_release_u64(&name->serial, serial);
    return serial;
}

/* ---- any thread ---- */

/* Gives the session the name. OK; BUSY: a session has it. PENDING: a cut must make room, as too
 * many names are known, or more than one control record can tell of. NOMEM. */
enum faster_status fst_names_open(struct faster_session *session,
                                  const char *name) FASTER_MUST_CHECK;
/* The session's, if it has one. */
void fst_names_close(struct faster_session *session);
/* OK, NOT_FOUND, BUSY (a session has it), PENDING as above. */
enum faster_status fst_names_forget(struct faster_store *store, const char *name) FASTER_MUST_CHECK;
/* Fills at most `count_max` and returns how many there are. */
size_t fst_names_list(struct faster_store *store, struct faster_session_info *infos,
                      size_t count_max);
uint64_t fst_names_durable(const struct faster_session *session);
/* The durable serials, ascending by name; what they were is released. OK, NOMEM. */
enum faster_status fst_names_copy(struct faster_store *store,
                                  struct fst_told_names *told) FASTER_MUST_CHECK;
void fst_told_names_release(const struct faster_env *env, struct fst_told_names *told);
/* True if a control record would say more than the newest that is synced. */
bool fst_names_have_news(struct faster_store *store);

/* ---- the role of the cut ---- */

/* Once everybody has left who worked in `version`, which has ended. */
void fst_names_collect(struct faster_store *store, uint64_t version);
/* The value of the control record that ends it, with what is to be told, and its session_count:
 * *plain if that is nothing. */
struct fst_cut *fst_names_fill(struct faster_store *store, struct fst_cut *plain) FASTER_MUST_CHECK;
/* It is in the log; it is synced. */
void fst_names_appended(struct faster_store *store);
void fst_names_synced(struct faster_store *store);

/* ---- recovery, alone with the store; and close ---- */

/* What a control record or a root says; `sessions` as of fst_cut_decode(). OK, NOMEM. */
enum faster_status fst_names_apply(struct faster_store *store, const void *sessions,
                                   size_t count) FASTER_MUST_CHECK;
void fst_names_finish(struct faster_store *store);

#endif
