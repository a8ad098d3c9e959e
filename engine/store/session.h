/* session.h - sessions and snapshots (layer 4). */
#ifndef FST_STORE_SESSION_H
#define FST_STORE_SESSION_H

#include "store/store.h"

/* OK, NOMEM, BUSY (none is left). Any thread. */
enum faster_status fst_session_open(struct faster_store *store,
                                    struct faster_session **session) FASTER_MUST_CHECK;
/* Nothing is pending and no transaction is open. */
void fst_session_close(struct faster_session *session);

/* The counters of all sessions, open and closed. Any thread. */
void fst_sessions_sum(const struct faster_store *store, struct fst_session_counters *sum);

/* Any session's own thread; takes no lock. */
enum faster_status fst_snapshot_open_upper(struct faster_session *session, uint64_t upper,
                                           struct faster_snapshot *snapshot) FASTER_MUST_CHECK;
enum faster_status fst_snapshot_open_row(struct faster_session *session,
                                         const struct faster_commit_row *row,
                                         struct faster_snapshot *snapshot) FASTER_MUST_CHECK;
enum faster_status fst_snapshot_open_newest(struct faster_session *session,
                                            struct faster_snapshot *snapshot) FASTER_MUST_CHECK;
/* MISUSE if the transaction is not the session's, or over. */
enum faster_status fst_snapshot_open_txn(struct faster_session *session, struct faster_txn *txn,
                                         struct faster_snapshot *snapshot) FASTER_MUST_CHECK;
/* A view whose bytes can be read as they lie in the log: of a direct store, what has taken
 * effect by now, frozen; else what `like` sees. It ends with fst_snapshot_close(). */
enum faster_status fst_snapshot_open_frozen(struct faster_session *session,
                                            const struct faster_snapshot *like,
                                            struct faster_snapshot *snapshot) FASTER_MUST_CHECK;
void fst_snapshot_close(struct faster_snapshot *snapshot);

#endif
