/* registry.c - see registry.h.
 *
 *   entry      -> next      by
 *   (none)     -> OPENING   registry_acquire, first user
 *   OPENING    -> OPEN      registry_acquire, the store is open
 *   OPENING    -> (none)    registry_acquire, the open failed; those who waited try themselves
 *   OPEN       -> CLOSING   registry_release, last user
 *   CLOSING    -> (none)    registry_release
 *
 * Whoever finds OPENING or CLOSING waits for the condition: the thread that owns the
 * transition holds no lock of ours and waits at most as long as its own busy timeout.
 */
#include "store/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/sqlite_api.h"

/* Idle connections keep their sessions up to this number for each store: the others, up to
 * FASTER_SESSIONS_MAX, are for those that do something. */
#define IDLE_SESSIONS_MAX 256u

enum registry_state { REGISTRY_OPENING, REGISTRY_OPEN, REGISTRY_CLOSING };

/* In the list from entry_create() to the end of its last release, or of an open that failed. */
struct registry_entry {
    /* Written and read by any thread, under registry_mutex. */
    struct registry_entry *next;
    enum registry_state state;
    unsigned reference_count;
    /* Set by registry_drop() under registry_mutex, in state OPEN only: so the thread that
     * closes the store reads it without; all others read it under registry_mutex. */
    bool dropped;
    /* Written before the entry is in the list, then the same to its end: read by any thread. */
    uint8_t uuid[FASTER_UUID_BYTES];
    const void *memory_identity;
    struct faster_place place;
    /* Written in state OPENING by the thread that opens; read, without a lock, by who owns a
     * reference: that one saw state OPEN under registry_mutex, or opened it itself. */
    struct faster_store *store;
    struct faster_session *keeper; /* the same */
    /* Of the attachments. Any thread; relaxed: a guess is enough. */
    atomic_uint session_count;
    /* Raised by registry_acquire(), read by owners of a reference. Relaxed: who needs to know of
     * the newest user has met that one's commit, under a lock of SQLite's. */
    atomic_uint user_total;
    struct key_notes notes; /* key_notes.h tells who may use it */
};

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
/* With registry_mutex: an entry has become OPEN, or has left the list. */
static pthread_cond_t registry_changed = PTHREAD_COND_INITIALIZER;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static struct registry_entry *registry_entries; /* newest first; under registry_mutex */

/* Set by the fork handler in a forked child, read by any thread. Relaxed: the child has one
 * thread when it is set. */
static atomic_bool registry_is_forked;
/* Raised by who renames a table or commits a change of the schema, read by who resolves a
 * name; any thread. Relaxed: a reader that is late resolves a name as if it
 * had run a moment earlier. */
static atomic_uint_fast64_t registry_generation = 1;

/* With no store open there is nothing to share: the child is as good as a new process. Its one
 * thread may have forked while another held the mutex; then some store was being opened. */
static void after_fork_in_child(void) {
    if (pthread_mutex_trylock(&registry_mutex) == 0) {
        bool is_empty = registry_entries == NULL;
        (void)pthread_mutex_unlock(&registry_mutex);
        if (is_empty) {
            return;
        }
    }
    atomic_store_explicit(&registry_is_forked, true, memory_order_relaxed);
}

static void initialise_once(void) {
    /* Without the handler (out of memory) a fork goes unnoticed here; the engine's lock on
     * the store is then the last guard. */
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

void registry_initialise(void) {
    (void)pthread_once(&registry_once, initialise_once);
}

bool registry_forked(void) {
    return atomic_load_explicit(&registry_is_forked, memory_order_relaxed);
}

uint64_t registry_schema_generation(void) {
    return atomic_load_explicit(&registry_generation, memory_order_relaxed);
}

void registry_schema_changed(void) {
    (void)atomic_fetch_add_explicit(&registry_generation, 1, memory_order_relaxed);
}

static struct registry_entry *find_locked(const uint8_t uuid[FASTER_UUID_BYTES],
                                          const void *memory_identity) {
    struct registry_entry *entry = registry_entries;
    while (entry != NULL && (memcmp(entry->uuid, uuid, FASTER_UUID_BYTES) != 0 ||
                             entry->memory_identity != memory_identity)) {
        entry = entry->next;
    }
    return entry;
}

static void unlink_locked(struct registry_entry *entry) {
    struct registry_entry **link = &registry_entries;
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    (void)pthread_cond_broadcast(&registry_changed);
}

static bool same_place(const struct faster_place *a, const struct faster_place *b) {
    return a->device == b->device && a->inode == b->inode;
}

/* The open entry, or NULL: waits until nobody is opening or closing the store. */
static struct registry_entry *find_settled_locked(const uint8_t uuid[FASTER_UUID_BYTES],
                                                  const void *memory_identity) {
    for (;;) {
        struct registry_entry *entry = find_locked(uuid, memory_identity);
        if (entry == NULL || entry->state == REGISTRY_OPEN) {
            return entry;
        }
        (void)pthread_cond_wait(&registry_changed, &registry_mutex);
    }
}

static struct registry_entry *entry_create(const struct faster_options *options,
                                           const void *memory_identity) {
    struct registry_entry *entry = sqlite3_malloc64(sizeof(*entry));
    if (entry != NULL) {
        *entry = (struct registry_entry){.state = REGISTRY_OPENING,
                                         .reference_count = 1,
                                         .memory_identity = memory_identity,
                                         .place = options->place};
        memcpy(entry->uuid, options->uuid, FASTER_UUID_BYTES);
        key_notes_init(&entry->notes);
    }
    return entry;
}

static void entry_destroy(struct registry_entry *entry) {
    key_notes_finish(&entry->notes);
    sqlite3_free(entry);
}

/* Opens the store for an entry that is already in the list. */
static enum faster_status open_entry(const struct faster_options *options,
                                     struct registry_entry *entry, struct faster_error *error) {
    enum faster_status status = faster_store_open(options, &entry->store, error);
    if (status == FASTER_OK) {
        status = faster_session_open(entry->store, &entry->keeper);
        if (status != FASTER_OK) {
            faster_store_close(entry->store);
        }
    }
    (void)pthread_mutex_lock(&registry_mutex);
    if (status == FASTER_OK) {
        entry->state = REGISTRY_OPEN;
        (void)pthread_cond_broadcast(&registry_changed);
    } else {
        unlink_locked(entry);
    }
    (void)pthread_mutex_unlock(&registry_mutex);
    if (status != FASTER_OK) {
        entry_destroy(entry);
    }
    return status;
}

static enum faster_status refuse_second_place(const struct registry_entry *entry,
                                              const struct faster_options *options,
                                              struct faster_error *error) {
    error->status = FASTER_COPY;
    (void)sqlite3_snprintf(
        (int)sizeof(error->message), error->message,
        "%.200s is a copy of %.200s, which is open in this process; both name "
        "the same store. Nothing was changed",
        options->place.path[0] != '\0' ? options->place.path : "the database in memory",
        entry->place.path[0] != '\0' ? entry->place.path : "another database in memory");
    return FASTER_COPY;
}

enum faster_status registry_acquire(const struct faster_options *options,
                                    const void *memory_identity, struct registry_entry **result,
                                    struct faster_error *error) {
    enum faster_status status = FASTER_OK;
    *result = NULL;
    (void)pthread_mutex_lock(&registry_mutex);
    struct registry_entry *entry = find_settled_locked(options->uuid, memory_identity);
    if (entry != NULL) {
        if (same_place(&entry->place, &options->place)) {
            entry->reference_count++;
        } else {
            status = refuse_second_place(entry, options, error);
        }
        (void)pthread_mutex_unlock(&registry_mutex);
    } else {
        entry = entry_create(options, memory_identity);
        if (entry != NULL) {
            entry->next = registry_entries;
            registry_entries = entry;
        }
        (void)pthread_mutex_unlock(&registry_mutex);
        status = entry == NULL ? FASTER_NOMEM : open_entry(options, entry, error);
    }
    if (status == FASTER_OK) {
        (void)atomic_fetch_add_explicit(&entry->user_total, 1, memory_order_relaxed);
        *result = entry;
    }
    return status;
}

static void close_entry(struct registry_entry *entry) {
    faster_session_close(entry->keeper);
    if (!entry->dropped) {
        faster_store_close(entry->store);
        return;
    }
    struct faster_error error = {0};
    enum faster_status status = faster_store_close_and_remove(entry->store, &error);
    if (status != FASTER_OK) {
        sqlite3_log(SQLITE_WARNING, "faster: a dropped store was not removed: %s", error.message);
    }
}

void registry_release(struct registry_entry *entry) {
    if (entry == NULL || registry_forked()) {
        return;
    }
    (void)pthread_mutex_lock(&registry_mutex);
    bool last = --entry->reference_count == 0;
    if (last) {
        entry->state = REGISTRY_CLOSING;
    }
    (void)pthread_mutex_unlock(&registry_mutex);
    if (!last) {
        return;
    }
    close_entry(entry);
    (void)pthread_mutex_lock(&registry_mutex);
    unlink_locked(entry);
    (void)pthread_mutex_unlock(&registry_mutex);
    entry_destroy(entry);
}

struct faster_store *registry_store(const struct registry_entry *entry) {
    return entry->store;
}

unsigned registry_user_total(const struct registry_entry *entry) {
    return atomic_load_explicit(&entry->user_total, memory_order_relaxed);
}

struct key_notes *registry_key_notes(struct registry_entry *entry) {
    return &entry->notes;
}

enum faster_status registry_open_session(struct registry_entry *entry, const char *name,
                                         struct faster_session **session) {
    enum faster_status status = name == NULL || name[0] == '\0'
                                    ? faster_session_open(entry->store, session)
                                    : faster_session_open_named(entry->store, name, NULL, session);
    if (status == FASTER_OK) {
        (void)atomic_fetch_add_explicit(&entry->session_count, 1, memory_order_relaxed);
    }
    return status;
}

void registry_close_session(struct registry_entry *entry, struct faster_session *session) {
    if (session != NULL) {
        faster_session_close(session);
        (void)atomic_fetch_sub_explicit(&entry->session_count, 1, memory_order_relaxed);
    }
}

bool registry_is_crowded(const struct registry_entry *entry) {
    return atomic_load_explicit(&entry->session_count, memory_order_relaxed) > IDLE_SESSIONS_MAX;
}

struct faster_session *registry_keeper(const struct registry_entry *entry) {
    return entry->keeper;
}

bool registry_is_last(const struct registry_entry *entry) {
    (void)pthread_mutex_lock(&registry_mutex);
    bool is_last = entry->reference_count == 1 && !entry->dropped;
    (void)pthread_mutex_unlock(&registry_mutex);
    return is_last;
}

bool registry_is_dropped(const struct registry_entry *entry) {
    (void)pthread_mutex_lock(&registry_mutex);
    bool dropped = entry->dropped;
    (void)pthread_mutex_unlock(&registry_mutex);
    return dropped;
}

void registry_drop(const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                   const char *directory) {
    if (registry_forked()) {
        return;
    }
    (void)pthread_mutex_lock(&registry_mutex);
    struct registry_entry *entry = find_settled_locked(uuid, memory_identity);
    bool open = entry != NULL;
    if (open) {
        entry->dropped = true;
    }
    (void)pthread_mutex_unlock(&registry_mutex);
    if (!open && directory != NULL) {
        struct faster_error error = {0};
        enum faster_status status =
            faster_store_remove(faster_env_posix(), directory, uuid, &error);
        if (status != FASTER_OK && status != FASTER_MISSING) {
            sqlite3_log(SQLITE_WARNING, "faster: store %s was not removed: %s", directory,
                        error.message);
        }
    }
}

bool registry_is_open(const uint8_t uuid[FASTER_UUID_BYTES]) {
    bool found = false;
    (void)pthread_mutex_lock(&registry_mutex);
    for (struct registry_entry *entry = registry_entries; entry != NULL && !found;
         entry = entry->next) {
        found = memcmp(entry->uuid, uuid, FASTER_UUID_BYTES) == 0;
    }
    (void)pthread_mutex_unlock(&registry_mutex);
    return found;
}
