/* due_checkpoint.c - see due_checkpoint.h.
 *
 * WHY THE COMMIT IS SAFE. The store knows a commit only once its row was read, or SQLite has
 * committed it: so it is in SQLite's files when faster_store_committed() gives it, and
 * sqlite_durable() syncs all of them afterwards. Another connection may have begun to write by
 * then. In WAL mode that only adds to the file. With a rollback journal its own journal, hot or
 * not, leads back to this commit at the most: the journal that would undo it is no longer valid in
 * the files or names that are synced.
 */
#include "store/due_checkpoint.h"

#include "base/sqlite_durable.h"

/* The newest commit, once it is safe. False: there is none, or it could not be made so. */
static bool make_safe(sqlite3 *db, const char *schema_name, struct faster_store *store,
                      struct faster_commit_row *row) {
    return faster_store_committed(store, row) && sqlite_durable(db, schema_name) == SQLITE_OK;
}

void due_checkpoint_after_commit(sqlite3 *db, const char *schema_name, struct faster_store *store) {
    struct faster_commit_row row;
    if (faster_store_checkpoint_claim(store)) {
        const bool is_safe = make_safe(db, schema_name, store, &row);
        faster_store_checkpoint_hand_over(store, is_safe ? &row : NULL);
    }
}

void due_checkpoint_before_close(sqlite3 *db, const char *schema_name, const char *table_name,
                                 struct faster_store *store) {
    struct faster_commit_row row;
    struct faster_session *session;
    /* Of a schema that is detached, which has no files any more, the state is -1. */
    if (sqlite3_txn_state(db, schema_name) != SQLITE_TXN_NONE ||
        !faster_store_checkpoint_pays(store) || !make_safe(db, schema_name, store, &row)) {
        return;
    }
    const struct faster_checkpoint_request request = {.durable = &row};
    enum faster_status status = faster_session_open(store, &session);
    if (status == FASTER_OK) {
        status = faster_session_take_checkpoint(session, &request, NULL);
        faster_session_close(session);
    }
    if (status != FASTER_OK) {
        sqlite3_log(SQLITE_WARNING,
                    "faster: %s: no checkpoint before close (%s): the next open reads more",
                    table_name, faster_status_name(status));
    }
}
