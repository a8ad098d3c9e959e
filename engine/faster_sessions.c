/* faster_sessions.c - the public calls: sessions with a name (layer 7). */
#include "faster.h"

#include "api.h"
#include "procedures/cut.h"
#include "store/session.h"

_Static_assert(FASTER_SESSION_NAMES_MAX <= FST_ROOT_SESSIONS_MAX, "a root has room for all names");

static enum faster_status check(const struct faster_store *store, const char *name) {
    if (!fst_store_has_names(store)) {
        return FASTER_MISUSE;
    }
    if (name == NULL || name[0] == '\0' || memchr(name, '\0', FASTER_SESSION_NAME_BYTES) == NULL) {
        return FASTER_INVALID;
    }
    return store->read_only ? FASTER_READ_ONLY : FASTER_OK;
}

/* The log then knows what is to be told of names; so some can go, and the next control record has
 * room again. */
static enum faster_status make_room(struct faster_session *session) {
    const enum faster_status status = fst_make_writable(session);
    return status == FASTER_OK ? fst_cut(session) : status;
}

static enum faster_status take_name(struct faster_session *session, const char *name) {
    enum faster_status status = fst_names_open(session, name);
    if (status == FASTER_PENDING) {
        status = make_room(session);
        if (status == FASTER_OK) {
            status = fst_names_open(session, name);
        }
    }
    return status == FASTER_PENDING ? FASTER_BUSY : status;
}

enum faster_status faster_session_open_named(struct faster_store *store, const char *name,
                                             uint64_t *serial, struct faster_session **session) {
    *session = NULL;
    enum faster_status status = check(store, name);
    if (status == FASTER_OK) {
        status = fst_session_open(store, session);
    }
    if (status != FASTER_OK) {
        return status;
    }
    status = take_name(*session, name);
    if (status == FASTER_OK) {
        status = fst_make_writable(*session); /* now what was recovered is durable */
    }
    if (status != FASTER_OK) {
        fst_session_close(*session);
        *session = NULL;
    } else if (serial != NULL) {
        *serial = faster_session_serial(*session);
    }
    return status;
}

uint64_t faster_session_serial(const struct faster_session *session) {
    return session->name != NULL ? fst_load_relaxed_u64(&session->name->serial) : 0;
}

uint64_t faster_session_durable_serial(const struct faster_session *session) {
    return fst_names_durable(session);
}

enum faster_status faster_session_forget(struct faster_session *session, const char *name) {
    struct faster_store *store = session->store;
    fst_clear_message(session);
    enum faster_status status = check(store, name);
    if (status == FASTER_OK) {
        status = fst_names_forget(store, name);
    }
    if (status == FASTER_PENDING) {
        status = make_room(session);
        if (status == FASTER_OK) {
            status = fst_names_forget(store, name);
        }
    }
    return status == FASTER_PENDING ? FASTER_BUSY : status;
}

size_t faster_store_sessions(struct faster_store *store, struct faster_session_info *infos,
                             size_t count_max) {
    return fst_names_list(store, infos, count_max);
}
