/* names.c - named sessions of a direct store (layer 4).
 *
 * A named session numbers its operations: each one that takes effect gets the next *serial number*,
 * in the same stay in the epoch. The control record of a cut tells how many operations of each name
 * the versions that it ends hold. What is recovered is what the cuts cover; so of each name it is
 * exactly the operations up to the number that the last cut which counts has told.
 *
 * WHAT A CUT OF VERSION v SAYS OF A NAME. It must be the number of the name's effects in versions
 * up to v. The session goes on in v + 1 meanwhile, and nobody waits for it.
 *
 *   On its first step in a version the session stores, in this order, cut_serial := serial and
 *   cut_version := the version (release); then it works. Each effect stores serial (release), after
 *   the effect and in the same stay. The cut raises the version, waits for the epoch, and then
 *   loads, in this order, s := serial and c := cut_version (both acquire). It takes cut_serial if
 *   c > v, else s.
 *
 *   All effects of versions up to v are over when the wait is, and what they stored happened
 * before: whoever read v, or an earlier version, did so in a stay that began before the raise. So
 * s, and cut_serial if it is stored later, count all of these. They count no others:
 *   - c <= v. Had s counted an effect of a later version, that would have stored s, or an earlier
 *     value in front of it, after its session had stored the later version in cut_version. (All
 *     stores to serial are releases of sessions that had the name one after the other, handed over
 *     by the lock.) So the load of c would have seen that version, or a later one still.
 *   - c > v. The acquire sees the cut_serial that was stored with c, or one that was stored later.
 *     There is no later one: only another raise would bring it, and one cut is made at a time. No
 *     session stored another version above v before c, either, for the same reason: the first stay
 *     above v stores v + 1, as long as this cut lasts. What cut_serial was copied from counts all
 *     that came before that stay's first step in v + 1, and a session's versions never fall: these
 *     are its effects in versions up to v.
 *
 *   A session that takes up a name goes on with its three words. A name that is in v + 1 already
 *   stays there, and cut_serial with it: what a former session did in v + 1 is not counted twice,
 *   nor too early. Only who has the lock hands a name over, and only who has it collects.
 *
 * NOTHING IS TOLD TWICE OR LOST. `collected` is kept until its control record is in the log, which
 * a full disk may delay; only then the next version is ended. A record tells of the names of which
 * collected differs from appended; `durable` follows when the record is synced. As every record
 * names the one before it, what is synced holds the numbers of all cuts before. A record has room
 * for FST_CUT_SESSIONS_MAX names: no more than that are open or have something to be told
 * (is_waiting()). A forgotten name is one whose serial is 0. It stays in the list until no record
 * in the log says otherwise.
 *
 * A ROOT has the numbers as of its point. Recovery begins with those of the newest root, whose
 * point the end is not before, and applies the cuts that it passes, in their order, up to the end:
 * all after the point, and perhaps some before it, if an older copy of the index or the begin is
 * where it starts. If one of the cuts that are passed tells of a name, the last of these decides,
 * as in the log. If none does, the number has not changed between the point and the end.
 */
#include "store/names.h"

#include <assert.h>

#include "base/array.h"
#include "store/store.h"

static void lock(const struct faster_store *store) {
    store->env->mutex_lock(store->env, store->sessions_lock);
}

static void unlock(const struct faster_store *store) {
    store->env->mutex_unlock(store->env, store->sessions_lock);
}

/* ---- the list, with the lock ---- */

/* Where the name is, or would be. */
static size_t place_of(const struct fst_names *names, const char *name, bool *found) {
    size_t low = 0;
    size_t high = names->count;
    *found = false;
    while (low < high && !*found) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(names->list[middle]->name, name);
        if (order == 0) {
            *found = true;
            low = middle;
        } else if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct fst_name *find(const struct fst_names *names, const char *name) {
    bool found;
    const size_t at = place_of(names, name, &found);
    return found ? names->list[at] : NULL;
}

static enum faster_status make_record(struct faster_store *store) {
    const size_t count_bytes =
        sizeof(struct fst_cut) + FST_CUT_SESSIONS_MAX * sizeof(struct fst_named_serial);
    if (store->names.record == NULL) {
        store->names.record = store->env->allocate(store->env, count_bytes);
    }
    return store->names.record != NULL ? FASTER_OK : FASTER_NOMEM;
}

/* A new one, whose name is shorter than FASTER_SESSION_NAME_BYTES. */
static enum faster_status insert(struct faster_store *store, const char *text,
                                 struct fst_name **out) {
    const struct faster_env *env = store->env;
    struct fst_names *names = &store->names;
    void *list = names->list;
    enum faster_status status = make_record(store);
    if (status == FASTER_OK) {
        status =
            fst_array_reserve(env, &list, names->count, &names->capacity, 1, sizeof *names->list);
        names->list = list;
    }
    struct fst_name *name = status == FASTER_OK ? env->allocate(env, sizeof *name) : NULL;
    if (name == NULL) {
        return FASTER_NOMEM;
    }
    bool found;
    const size_t at = place_of(names, text, &found);
    memset(name, 0, sizeof *name);
    memcpy(name->name, text, strlen(text));
    memmove(names->list + at + 1, names->list + at, (names->count - at) * sizeof *names->list);
    names->list[at] = name;
    names->count++;
    *out = name;
    return FASTER_OK;
}

/* Somebody may change the number, or the log has another one than it has come to. */
static bool is_waiting(const struct fst_name *name) {
    return name->is_open || fst_load_relaxed_u64(&name->serial) != name->appended ||
           name->collected != name->appended;
}

static size_t count_waiting(const struct fst_names *names) {
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        count += is_waiting(names->list[i]);
    }
    return count;
}

/* Nothing in the log speaks of it, and nobody has it. */
static bool is_gone(const struct fst_name *name) {
    return !is_waiting(name) && name->appended == 0 && name->durable == 0;
}

static void remove_gone(struct faster_store *store) {
    struct fst_names *names = &store->names;
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (is_gone(names->list[i])) {
            store->env->release(store->env, names->list[i]);
        } else {
            names->list[kept++] = names->list[i];
        }
    }
    names->count = kept;
}

/* ---- names are taken, given back, and forgotten ---- */

static enum faster_status take(struct faster_session *session, const char *text) {
    struct faster_store *store = session->store;
    struct fst_name *name = find(&store->names, text);
    enum faster_status status = FASTER_OK;
    if (name != NULL && name->is_open) {
        return FASTER_BUSY;
    }
    if ((name == NULL || !is_waiting(name)) &&
        count_waiting(&store->names) >= FASTER_NAMED_SESSIONS_MAX) {
        return FASTER_PENDING;
    }
    if (name == NULL) {
        remove_gone(store);
        status = store->names.count < FASTER_SESSION_NAMES_MAX ? insert(store, text, &name)
                                                               : FASTER_PENDING;
    }
    if (status == FASTER_OK) {
        name->is_open = true;
        session->name = name;
    }
    return status;
}

enum faster_status fst_names_open(struct faster_session *session, const char *name) {
    lock(session->store);
    const enum faster_status status = take(session, name);
    unlock(session->store);
    return status;
}

void fst_names_close(struct faster_session *session) {
    if (session->name != NULL) {
        lock(session->store);
        session->name->is_open = false;
        unlock(session->store);
        session->name = NULL;
    }
}

/* One place more than open names may take is left for what is forgotten. */
_Static_assert(FASTER_NAMED_SESSIONS_MAX < FST_CUT_SESSIONS_MAX, "a name can always be forgotten");

static enum faster_status forget(struct fst_names *names, const char *text) {
    struct fst_name *name = find(names, text);
    if (name != NULL && name->is_open) {
        return FASTER_BUSY;
    }
    if (name == NULL || fst_load_relaxed_u64(&name->serial) == 0) {
        return FASTER_NOT_FOUND;
    }
    if (!is_waiting(name) && count_waiting(names) >= FST_CUT_SESSIONS_MAX) {
        return FASTER_PENDING;
    }
    fst_store_relaxed_u64(&name->cut_serial, 0);
    /* release: pairs with the acquire in fst_names_collect() */
    fst_store_release_u64(&name->serial, 0);
    return FASTER_OK;
}

enum faster_status fst_names_forget(struct faster_store *store, const char *name) {
    lock(store);
    const enum faster_status status = forget(&store->names, name);
    unlock(store);
    return status;
}

/* ---- what others ask ---- */

size_t fst_names_list(struct faster_store *store, struct faster_session_info *infos,
                      size_t count_max) {
    size_t count = 0;
    lock(store);
    for (size_t i = 0; i < store->names.count; i++) {
        const struct fst_name *name = store->names.list[i];
        const uint64_t serial = fst_load_relaxed_u64(&name->serial);
        if (serial == 0 && !name->is_open) {
            continue; /* forgotten, or never used */
        }
        if (count < count_max) {
            infos[count] = (struct faster_session_info){
                .serial = serial, .durable_serial = name->durable, .is_open = name->is_open};
            memcpy(infos[count].name, name->name, sizeof name->name);
        }
        count++;
    }
    unlock(store);
    return count;
}

uint64_t fst_names_durable(const struct faster_session *session) {
    uint64_t durable = 0;
    if (session->name != NULL) {
        lock(session->store);
        durable = session->name->durable;
        unlock(session->store);
    }
    return durable;
}

void fst_told_names_release(const struct faster_env *env, struct fst_told_names *told) {
    env->release(env, told->sessions);
    *told = (struct fst_told_names){0};
}

enum faster_status fst_names_copy(struct faster_store *store, struct fst_told_names *told) {
    const struct faster_env *env = store->env;
    fst_told_names_release(env, told);
    lock(store);
    const size_t count = store->names.count;
    if (count > 0) {
        told->sessions = env->allocate(env, count * sizeof *told->sessions);
    }
    for (size_t i = 0; told->sessions != NULL && i < count; i++) {
        const struct fst_name *name = store->names.list[i];
        if (name->durable != 0) {
            struct fst_named_serial *session = &told->sessions[told->count++];
            memcpy(session->name, name->name, sizeof session->name);
            session->serial = name->durable;
        }
    }
    unlock(store);
    return count == 0 || told->sessions != NULL ? FASTER_OK : FASTER_NOMEM;
}

bool fst_names_have_news(struct faster_store *store) {
    bool has_news = false;
    lock(store);
    for (size_t i = 0; i < store->names.count && !has_news; i++) {
        const struct fst_name *name = store->names.list[i];
        const uint64_t serial = fst_load_relaxed_u64(&name->serial);
        has_news = serial != name->durable || serial != name->appended;
    }
    unlock(store);
    return has_news;
}

/* ---- cuts ---- */

void fst_names_collect(struct faster_store *store, uint64_t version) {
    lock(store);
    for (size_t i = 0; i < store->names.count; i++) {
        struct fst_name *name = store->names.list[i];
        /* acquire, in this order: pairs with the releases in fst_name_number(), forget() and
         * fst_name_note_version() */
        const uint64_t serial = fst_load_acquire_u64(&name->serial);
        const bool has_gone_on = fst_load_acquire_u64(&name->cut_version) > version;
        name->collected = has_gone_on ? fst_load_relaxed_u64(&name->cut_serial) : serial;
    }
    unlock(store);
}

struct fst_cut *fst_names_fill(struct faster_store *store, struct fst_cut *plain) {
    struct fst_cut *cut = plain;
    uint32_t count = 0;
    lock(store);
    for (size_t i = 0; i < store->names.count; i++) {
        const struct fst_name *name = store->names.list[i];
        if (name->collected != name->appended) {
            cut = store->names.record;
            assert(count < FST_CUT_SESSIONS_MAX);
            struct fst_named_serial *session = (struct fst_named_serial *)(cut + 1) + count++;
            memcpy(session->name, name->name, sizeof session->name);
            session->serial = name->collected;
        }
    }
    unlock(store);
    cut->session_count = count;
    return cut;
}

void fst_names_appended(struct faster_store *store) {
    lock(store);
    for (size_t i = 0; i < store->names.count; i++) {
        store->names.list[i]->appended = store->names.list[i]->collected;
    }
    unlock(store);
}

void fst_names_synced(struct faster_store *store) {
    lock(store);
    for (size_t i = 0; i < store->names.count; i++) {
        store->names.list[i]->durable = store->names.list[i]->appended;
    }
    remove_gone(store);
    unlock(store);
}

/* ---- recovery ---- */

static enum faster_status apply(struct faster_store *store,
                                const struct fst_named_serial *session) {
    struct fst_name *name = find(&store->names, session->name);
    enum faster_status status = FASTER_OK;
    if (name == NULL && session->serial != 0) {
        status = insert(store, session->name, &name);
    }
    if (status == FASTER_OK && name != NULL) {
        fst_store_relaxed_u64(&name->serial, session->serial);
        name->collected = session->serial;
        name->appended = session->serial; /* durable, once that is known of the cut */
    }
    return status;
}

enum faster_status fst_names_apply(struct faster_store *store, const void *sessions, size_t count) {
    enum faster_status status = FASTER_OK;
    for (size_t i = 0; status == FASTER_OK && i < count; i++) {
        const struct fst_named_serial session = fst_named_serial_at(sessions, i);
        status = apply(store, &session);
    }
    if (count > 0) {
        remove_gone(store);
    }
    return status;
}

void fst_names_finish(struct faster_store *store) {
    struct fst_names *names = &store->names;
    for (size_t i = 0; i < names->count; i++) {
        store->env->release(store->env, names->list[i]);
    }
    store->env->release(store->env, names->list);
    store->env->release(store->env, names->record);
    *names = (struct fst_names){0};
}
