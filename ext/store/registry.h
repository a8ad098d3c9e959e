/* registry.h - the stores this process has open.
 *
 * A store has one owner process, and in it one `struct faster_store` that all connections
 * share. The registry finds it by UUID, counts its users, opens it for the first and
 * closes it after the last. Opening and closing may take long and happen outside the
 * registry's lock: only those who want the same store wait.
 */
#ifndef FASTER_EXT_REGISTRY_H
#define FASTER_EXT_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "faster.h"
#include "store/key_notes.h"

/* Opaque, and shared by all connections of the process: registry.c tells what protects what. An
 * entry stays while the caller owns a reference to it. */
struct registry_entry;

/* All functions may be called from any thread, with no lock of ours in hand but the caller's
 * own connection's. */

/* Call once before anything else; any number of times, any thread. */
void registry_initialise(void);

/* True in a child process that was forked after the registry was initialised. Such a
 * process must not touch the stores it inherited. */
bool registry_forked(void);

/* Gives the open store with options->uuid, opening it if nobody has. `memory_identity` tells
 * databases without a file apart: two with the same UUID and different identities do not
 * share a store. Blocks as faster_store_open() does. Any thread.
 * On OK the caller calls registry_release(). COPY if the store is open for a database file at
 * another place; otherwise what faster_store_open() returns. */
enum faster_status registry_acquire(const struct faster_options *options,
                                    const void *memory_identity, struct registry_entry **entry,
                                    struct faster_error *error) FASTER_MUST_CHECK;

/* Closes the store after the last release, and removes its files if it was dropped. All
 * sessions of the caller are closed. */
void registry_release(struct registry_entry *entry);

struct faster_store *registry_store(const struct registry_entry *entry);
/* How many users the store has had since it was opened. */
unsigned registry_user_total(const struct registry_entry *entry);
/* Of a direct table. */
struct key_notes *registry_key_notes(struct registry_entry *entry);

/* Sessions of the store; `name` is NULL or "", or as of faster_session_open_named(), whose results
 * come then, too. OK, NOMEM, BUSY (none is left). `session` may be NULL to close. */
enum faster_status registry_open_session(struct registry_entry *entry, const char *name,
                                         struct faster_session **session) FASTER_MUST_CHECK;
void registry_close_session(struct registry_entry *entry, struct faster_session *session);
/* True if so many sessions are open that who does not use one should close it. */
bool registry_is_crowded(const struct registry_entry *entry);
/* A session that is open as long as the store: for snapshots that outlive their own, since
 * faster_snapshot_close() may use it on any thread. Nothing else may. */
struct faster_session *registry_keeper(const struct registry_entry *entry);

/* True if the caller's reference is the only one now, and the store is not dropped. */
bool registry_is_last(const struct registry_entry *entry);

/* True once the store's DROP has been committed: whoever needs it no more should let go. */
bool registry_is_dropped(const struct registry_entry *entry);

/* Removes a store that no database knows any more: at once if nobody has it open, else with
 * its last release. Waits while somebody is opening or closing it. `directory` may be NULL (in
 * memory). */
void registry_drop(const uint8_t uuid[FASTER_UUID_BYTES], const void *memory_identity,
                   const char *directory);

/* True if this process has the store open (or is opening or closing it). */
bool registry_is_open(const uint8_t uuid[FASTER_UUID_BYTES]);

/* Rises whenever a connection of this process commits a change of a FASTER table's name or
 * existence: names resolved under an older number must be looked up again. */
uint64_t registry_schema_generation(void);
void registry_schema_changed(void);

#endif
