/* sim_sqlite.h - SQLite and the extension in a simulated world.
 *
 * SQLite is the system's library as it is: its files are sim_vfs.c's, its mutexes wait as fibres
 * do, its allocator counts and fails on request. The extension is linked statically; its own
 * mutexes and the calls of ext/base/system.h are put in front of by the linker (sim_posix.c), with
 * `sim_sql_link` of meson.build.
 */
#ifndef FST_TESTS_SUPPORT_SIM_SQLITE_H
#define FST_TESTS_SUPPORT_SIM_SQLITE_H

#include <stdbool.h>
#include <stdint.h>

#include <sqlite3.h>

/* Once, before any other call of SQLite, and before the first sim_world_begin(). */
void sim_sqlite_begin(void);

/* A connection; `with_extension`: FASTER tables are known to it. A failure ends the program: for
 * what is to succeed. Closed by sim_db_close(), or sqlite3_close(). */
sqlite3 *sim_db_open(const char *path, bool with_extension);
/* The same, and what sqlite3_open_v2() or the extension returned; *db is set but for NOMEM, and is
 * to be closed. */
int sim_db_try_open(const char *path, bool with_extension, sqlite3 **db);
/* An open statement is a failure. */
void sim_db_close(sqlite3 *db);

/* ---- SQLite's allocator ---- */

/* The nth allocation from now on fails, and with `for_ever` all after it. 0: none does. */
void sim_sqlite_fail_allocation(uint64_t nth, bool for_ever);
bool sim_sqlite_failed(void);          /* whether it has */
uint64_t sim_sqlite_allocations(void); /* so far: where an enumeration ends */
uint64_t sim_sqlite_outstanding(void); /* not given back */

#endif
