/* faster.h - the public interface of the storage engine.
 *
 * A store is a concurrent, log-structured hash table of byte strings in a
 * directory of its own. Its log and index follow FASTER (Chandramouli et al.,
 * SIGMOD 2018).
 *
 * A *transactional* store is one half of a joint commit. The other half, the
 * *decider*, is any database with atomic transactions that can keep one small
 * row per commit (struct faster_commit_row). A commit counts if and only if the
 * decider has its row: the store never decides by itself. The usual decider is
 * SQLite through the extension in ext/; engine/DESIGN.md tells the protocol.
 *
 *     store    one directory, one index, one log; shared by all threads
 *     session  one thread's way in; cheap; never used by two threads at once
 *     txn      the one open write transaction of a store
 *     snapshot what a reader sees: everything committed below one address
 *
 * Conventions. Sizes are bytes unless the name says otherwise. Functions that
 * can fail return enum faster_status and must be checked. Positive statuses are
 * outcomes, negative ones failures. Nothing here prints, exits, aborts, or
 * installs a signal handler. All functions accept NULL where they release.
 * A pointer that is NULL where something is needed (a handle, where a result goes, bytes
 * with a size, a merge or another function) is MISUSE, even where the call's list does
 * not name it: nothing is done. What may be NULL is said to be; an environment, where it
 * is a parameter of a call on files, is then faster_env_posix(). Calls without a status give
 * 0 or false, or require their pointers (names, UUIDs, sizes and figures of a store).
 * "Blocks" means: may wait for I/O or for a lock. Where nothing is said, a call
 * belongs to its session's thread and may wait for a short lock, but not for I/O.
 * Callbacks (row sources, merge functions, findings, interrupts) run inside the
 * call, may hold the store's writer lock or be inside its epoch, and so must not
 * call the engine; they should be short, but for merge functions, see there.
 */
#ifndef FASTER_H
#define FASTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FASTER_VERSION "0.1.0"
#define FASTER_VERSION_NUMBER 100

/* Limits. A key is 0 to 65,536 bytes, and must fit a log page. A value has at most 1,000,000,000
 * bytes; see faster_value_bytes_max(). */
#define FASTER_KEY_BYTES_MAX 65536u
#define FASTER_VALUE_BYTES_MAX 1000000000u
#define FASTER_MEMORY_BYTES_MIN (1024u * 1024u)
#define FASTER_CHECKPOINT_BYTES_MIN (64u * 1024u)
#define FASTER_PAGE_BYTES_MIN (16u * 1024u)
#define FASTER_PAGE_BYTES_MAX (64u * 1024u * 1024u)
#define FASTER_SEGMENT_BYTES_MAX (UINT64_C(64) * 1024 * 1024 * 1024)
#define FASTER_UUID_BYTES 16u
#define FASTER_UUID_TEXT_BYTES 37u /* 36 characters and the terminating zero */
#define FASTER_SAVEPOINTS_MAX 65536
#define FASTER_SESSIONS_MAX 1023
#define FASTER_SESSION_NAME_BYTES 32u  /* with the terminating zero */
#define FASTER_SESSION_NAMES_MAX 1023u /* known to a store */
#define FASTER_NAMED_SESSIONS_MAX 255u /* open at a time */
#define FASTER_KEY_LOCKS_MAX 128u      /* of one session at a time */
#define FASTER_MESSAGE_BYTES 512u

#if defined(__GNUC__)
#define FASTER_MUST_CHECK __attribute__((warn_unused_result))
#define FASTER_PUBLIC __attribute__((visibility("default")))
#else
#define FASTER_MUST_CHECK
#define FASTER_PUBLIC
#endif

enum faster_status {
    FASTER_OK = 0,

    /* Outcomes. */
    FASTER_PENDING = 1,   /* waits for I/O; see faster_session_complete_pending() */
    FASTER_NOT_FOUND = 2, /* the key does not exist in this view */
    FASTER_EXISTS = 3,    /* insert or compare-and-set met another value */
    FASTER_END = 4,       /* a scan has no more records */
    FASTER_BEHIND = 5,    /* the store must read more commit rows: faster_session_catch_up() */
    FASTER_REMOVE = 6,    /* of a merge function: the key is to be removed */

    /* Failures. */
    FASTER_IO = -1,             /* the operating system reported an error */
    FASTER_CORRUPT = -2,        /* bytes on disk are not what was written */
    FASTER_NOMEM = -3,          /* the environment's allocator returned NULL */
    FASTER_FULL = -4,           /* disk, or the memory budget, is used up; the message says which */
    FASTER_MISUSE = -5,         /* the caller broke this interface's contract */
    FASTER_BUSY = -6,           /* another process owns the store, or too much is open in it */
    FASTER_TOO_BIG = -7,        /* key or value above the limit */
    FASTER_INVALID = -8,        /* an option out of range; the message says what is allowed */
    FASTER_MISSING = -9,        /* there is no store at this place */
    FASTER_FOREIGN = -10,       /* not a store of this library, or another store's file */
    FASTER_VERSION_NEWER = -11, /* written by a newer format */
    FASTER_COPY = -12,          /* database and store are not a pair (copy or old backup) */
    FASTER_SNAPSHOT_GONE = -13, /* truncation passed this snapshot */
    FASTER_READ_ONLY = -14,     /* opened read-only, or the file system is */
    FASTER_INTERRUPTED = -15,   /* the interrupt callback asked to stop */
    FASTER_FAILED = -16 /* an earlier write or sync failed: writes are refused until reopen */
};

/* "FASTER_OK", "FASTER_CORRUPT", ... Any thread; never NULL. */
FASTER_PUBLIC const char *faster_status_name(enum faster_status status);

/* A failure with what a person needs to know. Owned by the caller. `message` is
 * empty when the status says it all. */
struct faster_error {
    enum faster_status status;
    char message[FASTER_MESSAGE_BYTES];
};

/* Borrowed bytes: the owner keeps them alive and unchanged until the call, or the
 * operation they belong to, has completed. */
struct faster_bytes {
    const void *data;
    size_t size_bytes;
};

/* The substitution point for the operating system: memory, time, random numbers,
 * threads, locks and files. Opaque here; tests own another one. */
struct faster_env;

/* The POSIX environment. A constant: no ownership, any thread. */
FASTER_PUBLIC const struct faster_env *faster_env_posix(void);

/* Growable bytes owned by the caller. Memory comes from `env`. All zeroes with an
 * `env` is a valid empty buffer. */
struct faster_buffer {
    const struct faster_env *env;
    void *data;
    size_t size_bytes;
    size_t capacity_bytes;
};

/* Makes room for `capacity_bytes` and keeps the content. OK, NOMEM, MISUSE (it must grow, and has
 * no `env`). */
FASTER_PUBLIC enum faster_status faster_buffer_reserve(struct faster_buffer *buffer,
                                                       size_t capacity_bytes) FASTER_MUST_CHECK;
/* Replaces the content with a copy. OK, NOMEM, MISUSE. */
FASTER_PUBLIC enum faster_status faster_buffer_assign(struct faster_buffer *buffer,
                                                      const void *data,
                                                      size_t size_bytes) FASTER_MUST_CHECK;
/* Releases the memory; the buffer is then empty and usable. */
FASTER_PUBLIC void faster_buffer_finish(struct faster_buffer *buffer);

/* Memory for the results of many operations: buffers take it piece by piece, and it comes back
 * all at once, so that a batch allocates nothing for each of its reads and has a bound. Used by
 * one thread at a time; outlives its buffers. */
struct faster_arena;

/* `limit_bytes` bounds all pieces together; only the first after a clear may be larger. The
 * caller owns it. NULL: no memory. */
FASTER_PUBLIC struct faster_arena *faster_arena_create(const struct faster_env *env,
                                                       size_t limit_bytes) FASTER_MUST_CHECK;
/* The `env` of buffers whose memory is the arena's. They need no faster_buffer_finish(). */
FASTER_PUBLIC const struct faster_env *faster_arena_env(const struct faster_arena *arena);
/* True if a piece was refused since the last clear because of the limit. An operation that ended
 * with NOMEM for that may be repeated once the others are used up. */
FASTER_PUBLIC bool faster_arena_is_full(const struct faster_arena *arena);
/* Takes all pieces back: buffers with memory of the arena must be set to zero before they are
 * used again. Keeps at most `keep_bytes_max` of memory for the next ones. */
FASTER_PUBLIC void faster_arena_clear(struct faster_arena *arena, size_t keep_bytes_max);
/* `arena` may be NULL. */
FASTER_PUBLIC void faster_arena_destroy(struct faster_arena *arena);

/* Diagnostics: what an operator may want to know and no return value carries. */
enum faster_diagnostic_level {
    FASTER_DIAGNOSTIC_ERROR = 1,
    FASTER_DIAGNOSTIC_WARNING = 2,
    FASTER_DIAGNOSTIC_INFO = 3
};

/* `module` and `message` are zero-terminated and live for the call only. May be
 * called from any thread that is inside the library, also from its own. */
typedef void faster_diagnostic_fn(void *context, enum faster_diagnostic_level level,
                                  const char *module, const char *message);

/* Asked regularly by long work and waits; true stops them with INTERRUPTED. Called
 * on the thread that made the call. */
typedef bool faster_interrupt_fn(void *context);

/* ---------------------------------------------------------------- stores */

/* Where the decider's file is. The store remembers it, to tell a moved pair from a
 * copied one. All zero when the decider has no file. */
struct faster_place {
    char path[1024]; /* absolute, zero-terminated */
    uint64_t device;
    uint64_t inode;
};

/* Fills `place` from a file's path with stat(); the file is never opened.
 * OK, MISSING, INVALID (path too long), READ_ONLY (not permitted), FOREIGN (a loop of
 * links), NOMEM or IO. */
FASTER_PUBLIC enum faster_status faster_place_fill(const struct faster_env *env, const char *path,
                                                   struct faster_place *place) FASTER_MUST_CHECK;

/* How a store is written; chosen when it is created, for ever.
 *
 * TRANSACTIONAL  every write belongs to a transaction of the decider (faster_txn_begin()); one
 *                writer at a time, any number of readers with snapshots.
 * DIRECT         every write is atomic on its key and visible at once, from any number of
 *                sessions at a time (faster_session_upsert() and the like). Durable with the next
 *                faster_session_commit(), which also a clean close makes. After a crash each
 *                session keeps a prefix of what it did, up to the last commit at least.
 *
 * Source: FASTER (SIGMOD 2018), CPR (SIGMOD 2019). */
enum faster_writes { FASTER_WRITES_TRANSACTIONAL = 1, FASTER_WRITES_DIRECT = 2 };

/* How a store on disk reads and writes its log. */
enum faster_io {
    FASTER_IO_DEFAULT = 0, /* io_uring where the build and the system have it, else threads */
    FASTER_IO_THREADS = 1, /* system calls on io_threads worker threads */
    FASTER_IO_URING = 2    /* io_uring; where there is none, threads and a warning (diagnostic) */
};

/* For index_load_percent. */
#define FASTER_INDEX_LOAD_NEVER UINT32_MAX

/* Options of a store. Zero-initialise, then set what you need; 0 means the default
 * given in brackets. The strings are borrowed for the call only. */
struct faster_options {
    const struct faster_env *env;    /* [faster_env_posix()] */
    const char *directory;           /* the store's own directory; NULL: in memory only */
    uint8_t uuid[FASTER_UUID_BYTES]; /* create: all zero lets the store draw one;
                                        open: must match, all zero accepts any */
    uint64_t memory_bytes;           /* budget for everything: index, log pages, I/O buffers of
                                        all sessions; not what callers read into
                                        [256 MiB], at least FASTER_MEMORY_BYTES_MIN */
    uint64_t page_bytes;             /* create only: power of two [by budget, at most 1 MiB] */
    uint64_t segment_bytes;          /* create only: power of two >= page [64 MiB or page] */
    uint64_t inline_commit_bytes;    /* a commit whose log bytes fit is carried by its row
                                        [32 KiB]; UINT64_MAX: never inline */
    enum faster_writes writes;       /* create, or open in memory only [TRANSACTIONAL] */
    uint32_t io_threads;             /* worker threads for the log's files [2], 1 to 64; with
                                        io_uring they open, create and sync files only */
    enum faster_io io;               /* [FASTER_IO_DEFAULT] With io_uring a session holds two more
                                        descriptors once it reads from disk, and a thread that
                                        waits in a system call may see EINTR more often. */
    bool io_direct;                  /* with io_uring, where the file system allows: past the
                                        system's page cache (O_DIRECT). For stores much larger than
                                        memory: half the processor time, whole batches faster; what
                                        the cache holds is read many times slower [false] */
    bool io_submit_poll;             /* with io_uring: one thread of the kernel's submits the
                                        requests of all sessions (SQPOLL), which then make fewer
                                        system calls. For many reads from fast disks on machines
                                        with a processor to spare: the thread keeps one busy
                                        until it has found nothing to do for io_submit_poll_idle_ms.
                                        [false] */
    uint32_t io_submit_poll_idle_ms; /* [10], 1 to 60000; with io_submit_poll only */
    bool io_complete_poll;           /* with io_uring and io_direct: who waits for a read asks the
                                        disk over and over, which raises no interrupt (IOPOLL).
                                        For disks of a few microseconds whose driver has polled
                                        queues; a waiting session keeps a processor busy [false]
                                        What the system, the file system or the disk refuses of
                                        the two, by the first real read at the latest, is served
                                        without, and one warning (diagnostic) names the reason;
                                        the figures io_submit_polls and io_complete_polls tell
                                        what is in force */
    uint32_t index_bits;             /* log2 of the index's 64-byte buckets at first [10], 4 to
                                        36; a store that holds commits starts with as many as
                                        memory allows */
    uint32_t index_load_percent;     /* used entries per 100 places at which the index doubles
                                        [90]; FASTER_INDEX_LOAD_NEVER: by faster_session_grow() only */
    uint32_t keep_checkpoints;       /* how many are kept [2], 1 to 64 */
    uint64_t checkpoint_bytes;       /* of log that recovery would read, after which a checkpoint is
                                        due by itself [twice memory_bytes, at least 256 MiB], from
                                        FASTER_CHECKPOINT_BYTES_MIN on; UINT64_MAX: never */
    uint32_t checkpoint_interval_ms; /* the same by time, if anything was written [0: never] */
    bool no_background;              /* no checkpoint is due by itself, and no thread of the store
                                        takes one [false] */
    bool read_only;                  /* nothing on disk is created or changed */
    const char *owner_path;          /* create: mode and owner of new files follow this file */
    struct faster_place place;       /* the decider's file, or zeroes */
    uint64_t lock_wait_ns;           /* how long open waits for another process */
    uint64_t key_lock_wait_ns;       /* how long a write of a direct store waits for another
                                        session's lock on its key [1 second]; 1: hardly */
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    faster_diagnostic_fn *diagnostic;
    void *diagnostic_context;
};

struct faster_store;

/* Creates the directory and an empty store in it, of the kind that `writes` says, and syncs both
 * and the parent directory, so that the store survives a power cut once this returns.
 * The parent is created if it is missing. With directory NULL this does nothing:
 * faster_store_open() makes the store. `uuid_out` (may be NULL) gets the UUID.
 * Blocks. Any thread. OK, INVALID, NOMEM, IO, FULL, READ_ONLY, FOREIGN (the
 * path is a file or a link), MISUSE (no options), or EXISTS when the directory already
 * holds something. On failure nothing is left behind. */
FASTER_PUBLIC enum faster_status faster_store_create(const struct faster_options *options,
                                                     uint8_t uuid_out[FASTER_UUID_BYTES],
                                                     struct faster_error *error) FASTER_MUST_CHECK;

/* Opens a store and takes its lock (one process at a time). Writes nothing else.
 * A transactional store knows no commit yet: the first faster_session_meet_row() reads them. A
 * direct store is recovered to its last commit; if that lasts, a diagnostic (INFO) tells every 5
 * seconds how far it is, and `interrupt` is asked all the time. Else blocks up to lock_wait_ns. Any
 * thread. On OK the caller owns *store. OK, MISSING, FOREIGN, VERSION_NEWER, CORRUPT, COPY, BUSY,
 * INVALID, NOMEM, IO, FULL, READ_ONLY (may not be written here, and read_only is not set),
 * INTERRUPTED, MISUSE. */
FASTER_PUBLIC enum faster_status faster_store_open(const struct faster_options *options,
                                                   struct faster_store **store,
                                                   struct faster_error *error) FASTER_MUST_CHECK;

/* Writes and syncs what is committed, in a direct store everything, then releases everything.
 * All sessions must be closed. A failure to write is reported by diagnostics only: the commit
 * rows still hold what the log lacks; a direct store may lose what was written since the last
 * commit. Blocks. */
FASTER_PUBLIC void faster_store_close(struct faster_store *store);

/* Removes a store's files and directory if its lock is free and its UUID matches.
 * Blocks. OK, MISSING, FOREIGN, CORRUPT, VERSION_NEWER, BUSY, READ_ONLY, INVALID, NOMEM, IO. */
FASTER_PUBLIC enum faster_status faster_store_remove(const struct faster_env *env,
                                                     const char *directory,
                                                     const uint8_t uuid[FASTER_UUID_BYTES],
                                                     struct faster_error *error) FASTER_MUST_CHECK;

/* Marks a store as unsettled, or settled again: a transaction of the decider that creates or
 * drops it is under way. Only a marked store that the decider does not know may be taken for
 * an orphan and removed; any other may belong to another version of the decider's file. The
 * mark is a file of its own and durable on return. Blocks. Any thread. OK, MISSING,
 * READ_ONLY, FULL, FOREIGN, INVALID, NOMEM, IO. */
FASTER_PUBLIC enum faster_status faster_store_mark(const struct faster_env *env,
                                                   const char *directory,
                                                   bool unsettled) FASTER_MUST_CHECK;
/* Any thread; asks stat() only. */
FASTER_PUBLIC bool faster_store_is_marked(const struct faster_env *env, const char *directory);

/* faster_store_remove() for a store this process has open: closes it, whatever happens, and removes
 * its files. Blocks. OK, NOMEM, IO (some files remain). */
FASTER_PUBLIC enum faster_status
faster_store_close_and_remove(struct faster_store *store,
                              struct faster_error *error) FASTER_MUST_CHECK;

/* Calls `each` with the name of every entry of `parent` that is named like a UUID.
 * Blocks. OK, MISSING, READ_ONLY, NOMEM, IO. */
typedef void faster_directory_fn(void *context, const uint8_t uuid[FASTER_UUID_BYTES]);
FASTER_PUBLIC enum faster_status faster_store_list(const struct faster_env *env, const char *parent,
                                                   faster_directory_fn *each,
                                                   void *context) FASTER_MUST_CHECK;

/* Draws a random (version 4) UUID. Any thread. OK or IO. */
FASTER_PUBLIC enum faster_status
faster_uuid_draw(const struct faster_env *env, uint8_t uuid[FASTER_UUID_BYTES]) FASTER_MUST_CHECK;
/* Writes the 36 characters in lower case, and a zero. Any thread. */
FASTER_PUBLIC void faster_uuid_text(const uint8_t uuid[FASTER_UUID_BYTES],
                                    char text[FASTER_UUID_TEXT_BYTES]);
/* True if `text` is exactly the 36 characters of a UUID. */
FASTER_PUBLIC bool faster_uuid_parse(const char *text, uint8_t uuid[FASTER_UUID_BYTES]);

/* Copies the store's UUID. Any thread. */
FASTER_PUBLIC void faster_store_uuid(const struct faster_store *store,
                                     uint8_t uuid[FASTER_UUID_BYTES]);

/* How the store is written, whatever was asked for when it was opened. Any thread. */
FASTER_PUBLIC enum faster_writes faster_store_writes(const struct faster_store *store);

/* The largest value that can be stored under a key of `key_bytes`: FASTER_VALUE_BYTES_MAX. A value
 * that does not fit a log page beside its key is kept in chunks of at most a page. Less if the key
 * alone almost fills a page, and in a store of format 1 or 2 (FORMAT.md), which has no chunks: what
 * fits the page then; 0 also if the key does not fit. Any thread. */
FASTER_PUBLIC size_t faster_value_bytes_max(const struct faster_store *store, size_t key_bytes);

/* The share of `memory` that is meant for the results of one batch of reads: a limit for
 * faster_arena_create(). A thirty-second, in a direct store less what key locks take (at most an
 * eighth of it), for a store's only session; half as much each time their number doubles, but at
 * least 64 KiB (or all of it). Any thread. */
FASTER_PUBLIC size_t faster_result_bytes_max(const struct faster_store *store);

/* -------------------------------------------------------------- sessions */

struct faster_session;

/* Opens a session. Any thread may call it; afterwards one thread at a time uses the
 * session. An idle session blocks nobody. A store has FASTER_SESSIONS_MAX sessions; every open
 * scan, and a running verify or checkpoint, takes one more. OK, NOMEM, BUSY (none is left). */
FASTER_PUBLIC enum faster_status
faster_session_open(struct faster_store *store, struct faster_session **session) FASTER_MUST_CHECK;

/* Waits for the session's own pending operations, then closes it. Its snapshots and
 * scans must be closed; an open transaction is rolled back, and key locks are given back. */
FASTER_PUBLIC void faster_session_close(struct faster_session *session);

/* Opens a session of a direct store that numbers its operations, from 1 on: each one that changes
 * something gets the next number when it takes effect (faster_op.serial), so one that is PENDING
 * later than others that were begun after it. A commit makes a session's operations durable up to
 * some number, whatever other sessions do. After a crash those up to the last durable number are
 * there, and none beyond; the numbers go on from it. So whoever keeps its own operations in order
 * knows which to repeat.
 *
 * `name` has 1 to 31 bytes, any but zero; one session has it at a time. It is known from its first
 * operation that is committed on, until it is forgotten. `serial` (may be NULL) gets the number of
 * its last operation that is there, 0: none; after a crash that is durable on return. May make a
 * commit; blocks. Any thread. OK; BUSY (a session has the name, or FASTER_NAMED_SESSIONS_MAX are
 * open, or FASTER_SESSION_NAMES_MAX are known, or no session is left); INVALID (the name); MISUSE
 * (a transactional store, or one that an earlier version created); READ_ONLY; NOMEM; and what
 * faster_session_commit() returns. Source: CPR
 * (SIGMOD 2019), section 2. */
FASTER_PUBLIC enum faster_status
faster_session_open_named(struct faster_store *store, const char *name, uint64_t *serial,
                          struct faster_session **session) FASTER_MUST_CHECK;

/* The number of the session's last operation that has taken effect, and of the last that is
 * durable; 0: none, or the session has no name. The session's own thread. */
FASTER_PUBLIC uint64_t faster_session_serial(const struct faster_session *session);
FASTER_PUBLIC uint64_t faster_session_durable_serial(const struct faster_session *session);

/* Forgets a name that no session has, durably with the next commit: should it be used again, it
 * begins with 1. `session` is any of the store's, used by its own thread. May make a commit;
 * blocks. OK; NOT_FOUND (it is not known); BUSY (a session has it); INVALID, MISUSE, READ_ONLY, and
 * what faster_session_commit() returns. */
FASTER_PUBLIC enum faster_status faster_session_forget(struct faster_session *session,
                                                       const char *name) FASTER_MUST_CHECK;

struct faster_session_info {
    char name[FASTER_SESSION_NAME_BYTES];
    uint64_t serial;         /* of the last operation that has taken effect */
    uint64_t durable_serial; /* of the last one that a commit or checkpoint has made durable; after
                                a crash perhaps less than is there, until the store is written to,
                                or a session has the name */
    bool is_open;
};

/* Fills at most `count_max`, ascending by name, and returns how many there are: names that are
 * open, or have done something. Any thread. */
FASTER_PUBLIC size_t faster_store_sessions(struct faster_store *store,
                                           struct faster_session_info *infos, size_t count_max);

/* What a person should read about the session's last failure; "" if the status says
 * it all. Valid until the session's next call. */
FASTER_PUBLIC const char *faster_session_message(const struct faster_session *session);

/* ------------------------------------------------------ commits and rows */

/* This part and the transactions below are for transactional stores: in a direct store, which
 * decides by itself, their calls return MISUSE.
 *
 * One commit as the decider keeps it. `number` counts from 1 without gaps. Bytes
 * [start, end) of the log belong to the transaction; its control record, at
 * `control_address`, is the last thing below `end`. `redo` (may be empty) holds the
 * log's bytes [end - redo_bytes, end). `checksum` covers all of it and the UUID. */
struct faster_commit_row {
    uint64_t number;
    uint64_t start;
    uint64_t end;
    uint64_t nonce;
    uint64_t control_address;
    uint64_t checksum;
    const void *redo;
    size_t redo_bytes;
};

/* A source of the decider's rows in ascending order of number, all from one snapshot
 * of the decider. OK with *row filled (redo valid until the next call), END, or a
 * failure, which ends the caller's work. */
typedef enum faster_status faster_row_source_fn(void *context, struct faster_commit_row *row);

/* Tells the store the newest row in the caller's snapshot of the decider (NULL: there
 * is none). Whoever reads a row calls this: a commit of another session that is
 * prepared, or in doubt, becomes committed by it. Redo is not looked at.
 * OK: the store knows every commit up to it. BEHIND: call faster_session_catch_up().
 * COPY: the row contradicts what the store knows (an old backup, or a copy).
 * Does no I/O, and no waiting for a row that is known already. For a new one it waits for a lock
 * that faster_session_catch_up() and the first faster_txn_begin() hold throughout. */
FASTER_PUBLIC enum faster_status
faster_session_meet_row(struct faster_session *session,
                        const struct faster_commit_row *newest) FASTER_MUST_CHECK;

/* Reads all rows of the caller's snapshot and makes memory know every commit up to
 * the newest: redo bytes are applied, the log above the last known commit is read and
 * its committed ranges are indexed. Writes nothing to disk. Blocks; asks `interrupt`. The figures
 * work, work_done_bytes and work_total_bytes tell how far it is, and diagnostics as in open.
 * OK, CORRUPT (a gap or a damaged byte below the newest end), COPY, FULL (index or redo
 * does not fit `memory`), NOMEM, IO, INTERRUPTED. After a failure the store keeps what
 * it knew and the call may be repeated. */
FASTER_PUBLIC enum faster_status faster_session_catch_up(struct faster_session *session,
                                                         faster_row_source_fn *next, void *context,
                                                         faster_interrupt_fn *interrupt,
                                                         void *interrupt_context) FASTER_MUST_CHECK;

/* ------------------------------------------------------------- snapshots */

/* What a reader sees. Filled by faster_snapshot_open*(), memory owned by the caller,
 * who must close it before it goes away. */
struct faster_snapshot {
    struct faster_session *session;
    struct faster_txn *txn; /* set: the view of the transaction's owner */
    uint64_t upper;         /* committed records below this address are visible */
    int32_t pin_index;      /* private */
};

/* Opens the view of a commit: `row` as read in the decider's snapshot, NULL for the
 * empty store. The session must have met the row. Pins the view against truncation.
 * OK, BEHIND, SNAPSHOT_GONE, BUSY (too many snapshots are open). */
FASTER_PUBLIC enum faster_status
faster_snapshot_open(struct faster_session *session, const struct faster_commit_row *row,
                     struct faster_snapshot *snapshot) FASTER_MUST_CHECK;

/* Opens the view of the newest commit the store knows. In a direct store it is the view of
 * now: each read sees the newest value, and a scan what there is when it is opened.
 * OK, BEHIND (it has read no rows yet), BUSY. */
FASTER_PUBLIC enum faster_status
faster_snapshot_open_newest(struct faster_session *session,
                            struct faster_snapshot *snapshot) FASTER_MUST_CHECK;

/* Opens the view of an open transaction: everything committed when it began, and its
 * own writes so far. Later writes of the transaction stay invisible, so that a
 * statement that writes what it reads ends. OK, BUSY, MISUSE (not the session's
 * transaction, or over). */
FASTER_PUBLIC enum faster_status
faster_snapshot_open_txn(struct faster_session *session, struct faster_txn *txn,
                         struct faster_snapshot *snapshot) FASTER_MUST_CHECK;

/* Drops the pin. The structure is empty afterwards; closing it again does nothing. */
FASTER_PUBLIC void faster_snapshot_close(struct faster_snapshot *snapshot);

/* ------------------------------------------------------------ operations */

/* Computes the new value of a read-modify-write. `old` is NULL when the key does not
 * exist; else a whole value that lives for the call. Writes the new value, all of it, with
 * faster_buffer_*().
 * It may take its time: nobody waits for it. Its result is stored if the key's value is still `old`
 * then; if another session has changed it, the function is called again with the new one. So it
 * must depend on nothing but its arguments and `context`, and what it leaves in `context` may be of
 * calls that counted for nothing: the last call is the one that counts, and the operation's result
 * is its value. After 8 calls for one operation (fewer if the value was changing whenever it was
 * looked at) it is called while the record is held and inside the epoch, so that others cannot
 * always come first: then others who use or lock the key, and commits, do wait. OK, NOT_FOUND
 * (leave the key as it is; the operation returns NOT_FOUND), REMOVE (remove the key; the operation
 * returns OK, or NOT_FOUND if there is none), or a failure, which the operation returns. */
typedef enum faster_status faster_merge_fn(void *context, const struct faster_bytes *old,
                                           struct faster_buffer *new_value);

enum faster_op_kind {
    FASTER_OP_READ = 1,
    FASTER_OP_UPSERT,
    FASTER_OP_INSERT,
    FASTER_OP_COMPARE_AND_SET,
    FASTER_OP_RMW,
    FASTER_OP_DELETE
};

/* One operation. The caller owns it and keeps it, its key and its values alive and in
 * place until its status is not PENDING. Zero-initialise. */
struct faster_op {
    struct faster_bytes key;      /* in */
    struct faster_bytes value;    /* in: upsert, insert, compare-and-set */
    struct faster_bytes expected; /* in: compare-and-set */
    faster_merge_fn *merge;       /* in: read-modify-write */
    void *context;                /* in: for merge, and for the caller */
    struct faster_buffer *result; /* out: the value read, or the new value; may be NULL. The
                                     caller's memory, in no budget */
    enum faster_status status;    /* out: same as the call's result once complete */

    int32_t kind; /* in: batches, enum faster_op_kind; else set by the call */

    uint64_t
        serial; /* out, of a write: its number in a named session if it has taken effect; else 0 */

    /* Private to the engine while PENDING. */
    uint64_t hash;
    uint64_t upper;
    uint64_t head;
    uint64_t at;
    uint64_t located;
    uint64_t txn_serial;
    struct faster_op *next;
};

/* Reads a key in a snapshot. The session's own thread. Does not block: goes PENDING
 * when the record is on disk, and when the value is larger than a page, wherever it is: it is then
 * gathered into `result`, which is grown once. OK (with the value in `result`), NOT_FOUND, PENDING,
 * CORRUPT, IO, NOMEM, FULL (no file descriptor is left), what a damaged segment file gives:
 * FOREIGN, VERSION_NEWER; or MISUSE (also if `result` must grow and has no `env`). */
FASTER_PUBLIC enum faster_status faster_snapshot_read(const struct faster_snapshot *snapshot,
                                                      struct faster_op *op) FASTER_MUST_CHECK;

/* Writes inside a transaction. All may block for room in the log.
 *
 * upsert   sets the value, whatever was there; reads nothing.
 * insert   sets the value if the key does not exist; else EXISTS.
 * cas      sets the value if the present one equals `expected`; else EXISTS, or
 *          NOT_FOUND if there is none.
 * rmw      sets what `merge` makes of the present value.
 * delete   removes the key; OK also when it may not have existed (it reads nothing).
 *
 * A value larger than a page is written piece by piece, straight from the caller's memory. rmw of
 * one, and only that, needs memory of its size: for the old value, which is taken from the store's
 * I/O buffers, and beyond the budget for what `merge` makes of it, of one operation at a time.
 *
 * OK, the outcomes above, PENDING (insert, cas, rmw), TOO_BIG, FULL (index or disk; the
 * session's message says which), FAILED, IO, CORRUPT, NOMEM, MISUSE. A failed write has
 * no effect and leaves the transaction usable, except after FAILED. */
FASTER_PUBLIC enum faster_status faster_txn_upsert(struct faster_txn *txn,
                                                   struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_txn_insert(struct faster_txn *txn,
                                                   struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_txn_compare_and_set(struct faster_txn *txn,
                                                            struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_txn_rmw(struct faster_txn *txn,
                                                struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_txn_delete(struct faster_txn *txn,
                                                   struct faster_op *op) FASTER_MUST_CHECK;

/* Writes of a direct store; each takes effect at once. As above, but for what is said about
 * transactions; operations of several sessions on one key have one order (they are
 * linearizable). MISUSE in a transactional store. BUSY: another session has the key locked, and
 * kept it so for options.key_lock_wait_ns; see faster_session_lock(). */
FASTER_PUBLIC enum faster_status faster_session_upsert(struct faster_session *session,
                                                       struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_session_insert(struct faster_session *session,
                                                       struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status
faster_session_compare_and_set(struct faster_session *session,
                               struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_session_rmw(struct faster_session *session,
                                                    struct faster_op *op) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_session_delete(struct faster_session *session,
                                                       struct faster_op *op) FASTER_MUST_CHECK;

/* Batches. Each operation's `kind` is set by the caller (enum faster_op_kind); hashing, the
 * index and the records of a group of operations are prefetched before they are touched, and
 * reads from disk are under way together. Their order among each other is not defined. When
 * the call returns each op->status is final or PENDING: faster_session_complete_pending() ends
 * these. As much of them is under way at a time as the store's I/O buffers allow. Reads see
 * `snapshot`; the others are as the single calls. One that lacks something (an RMW without
 * `merge`, bytes with a size and no data) ends with MISUSE before anything is done for it; the
 * others are carried out. Any count. OK, PENDING (at least one is); or nothing was done: MISUSE
 * (a kind that does not fit), TOO_BIG, READ_ONLY, FAILED, or, from the first write after an open,
 * FULL, IO, CORRUPT, NOMEM. */
FASTER_PUBLIC enum faster_status faster_snapshot_batch(const struct faster_snapshot *snapshot,
                                                       struct faster_op *ops,
                                                       size_t count) FASTER_MUST_CHECK;
FASTER_PUBLIC enum faster_status faster_session_batch(struct faster_session *session,
                                                      struct faster_op *ops,
                                                      size_t count) FASTER_MUST_CHECK;

/* Makes every operation on a direct store durable that has completed before the call, of all
 * sessions. Callers at the same time share one sync. Nobody else waits. Blocks. OK, FULL (the
 * disk; may be repeated), FAILED, IO (now failed), CORRUPT, NOMEM, READ_ONLY, MISUSE. */
FASTER_PUBLIC enum faster_status
faster_session_commit(struct faster_session *session) FASTER_MUST_CHECK;

/* Completes the session's pending operations: those whose I/O is done, or, with `wait`,
 * all of them. Each completed operation's status is set. OK: none is left. PENDING: some
 * are (only without `wait`). Never fails as a whole. A pending write whose transaction was
 * settled meanwhile, by another session's begin, completes with MISUSE. One whose key another
 * session has locked meanwhile waits here, with and without `wait`, as writes do.
 *
 * Pending operations of all sessions share the store's I/O buffers, a thirty-second of `memory`
 * (figures io_buffer_bytes, _peak, _max); what finds none waits, without any I/O, until this call.
 * Results that no session collects take only a part of them. A session that has nothing under way
 * and finds too little completes one operation beyond the limit, after others that wait for the
 * same; without `wait`, too, this blocks for that one operation's reads then. */
FASTER_PUBLIC enum faster_status faster_session_complete_pending(struct faster_session *session,
                                                                 bool wait);

/* ------------------------------------------------------------- key locks */

/* SHARED: any number of sessions may hold it, none EXCLUSIVE beside it. EXCLUSIVE: one session. */
enum faster_lock_kind { FASTER_LOCK_SHARED = 1, FASTER_LOCK_EXCLUSIVE = 2 };

struct faster_key_lock {
    struct faster_bytes key;
    enum faster_lock_kind kind;
};

/* Locks `count` keys of a direct store, 1 to FASTER_KEY_LOCKS_MAX, for the session, until
 * faster_session_unlock(): all of them, or none. So several operations on several keys become one
 * step for everybody who locks these keys, too. A key need not exist; one that is named twice gets
 * the stronger kind. Keys are copied nowhere and may go when the call returns.
 *
 * Until then
 * - no other session changes a locked key, whichever kind of lock it is. A write without locks
 *   waits for the lock, at most options.key_lock_wait_ns, and is BUSY then, with no effect. One
 *   that is waiting has no claim: it may find the key locked again and again;
 * - reads and scans of others wait for no lock, and see each write of the holder at once. Who must
 *   not see the middle of a change takes a SHARED lock on all its keys before it reads;
 * - the session itself reads any key, and writes the keys that it has locked EXCLUSIVE. Its writes
 *   of others are MISUSE, with no effect (but one may pass for locked, see below): so no holder
 *   waits for a lock;
 * - everything else of the interface works as ever, in this session and in others, and no commit,
 *   checkpoint, backup or growth of the index waits for a lock or for somebody who waits for one.
 *   A commit may come between two operations of the holder, and a crash then leaves the first
 *   without the second: locks make them one step for other sessions, not for a power cut.
 *
 * All sessions take locks in one order, so there is no deadlock. A waiting EXCLUSIVE lock keeps new
 * SHARED ones out; beyond that nobody is promised a turn. There is no upgrade: a session holds the
 * locks of one call at a time. Locks are of the store's memory alone and gone when it closes. A
 * lock is on a part of all keys (options.memory_bytes / 1024 parts, 1,024 to 16,384), so that two
 * keys may have the same one: others may wait for it without need.
 *
 * First waits for the session's pending operations, as faster_session_complete_pending() does. Then
 * waits up to wait_ns for all locks together; 0: tries once. When they are taken, it waits for
 * operations under way, which is short (but see faster_merge_fn). The session's own thread. OK;
 * BUSY (not to be had in time; nothing is locked); NOMEM (only the first call of all needs memory);
 * MISUSE (a transactional store; the session holds locks; no key, too many, or no such kind).
 * Source: lockable contexts of FASTER's C# version. */
FASTER_PUBLIC enum faster_status faster_session_lock(struct faster_session *session,
                                                     const struct faster_key_lock *locks,
                                                     size_t count,
                                                     uint64_t wait_ns) FASTER_MUST_CHECK;
/* Completes the session's pending operations, which may be writes of locked keys, and gives its
 * locks back. Does nothing for a session without. The session's own thread; never fails. */
FASTER_PUBLIC void faster_session_unlock(struct faster_session *session);

/* ---------------------------------------------------------- transactions */

/* Writes belong to the transaction as it was when they were called. So
 * faster_txn_savepoint(), _rollback_to(), _prepare(), _commit() and _rollback() first wait for
 * the session's pending operations, as faster_session_complete_pending() does: look at their
 * statuses afterwards. */
struct faster_txn;

/* Begins the store's write transaction. The caller holds the decider's write lock and
 * has read `newest` (NULL: none) under it. A transaction of another session that is
 * still open or prepared is settled by that row: it lost the lock, so it is over. The
 * first begin after an unclean end writes and syncs (a jump record). Blocks.
 * On OK the caller owns *txn until faster_txn_commit() or faster_txn_rollback().
 * OK, BEHIND, COPY, FAILED, READ_ONLY, FULL, IO, CORRUPT, NOMEM, MISUSE (the session has one). */
FASTER_PUBLIC enum faster_status faster_txn_begin(struct faster_session *session,
                                                  const struct faster_commit_row *newest,
                                                  struct faster_txn **txn) FASTER_MUST_CHECK;

/* Marks the present position as savepoint `level` (0 to FASTER_SAVEPOINTS_MAX - 1), and
 * as every lower level that is not set. OK, NOMEM, MISUSE (a level out of range). */
FASTER_PUBLIC enum faster_status faster_txn_savepoint(struct faster_txn *txn,
                                                      int level) FASTER_MUST_CHECK;
/* Forgets savepoint `level` and all above it; their writes stay. */
FASTER_PUBLIC void faster_txn_release(struct faster_txn *txn, int level);
/* Undoes everything written since savepoint `level`, which stays set; levels above it
 * go. A negative or never-set level undoes the whole transaction.
 * OK, NOMEM, MISUSE (the transaction is over). */
FASTER_PUBLIC enum faster_status faster_txn_rollback_to(struct faster_txn *txn,
                                                        int level) FASTER_MUST_CHECK;

/* True if the transaction has written something that is not undone. */
FASTER_PUBLIC bool faster_txn_has_writes(const struct faster_txn *txn);

/* First phase of the joint commit. Ends the transaction's range with a control record
 * and fills `row` for the decider to insert (or to replace, if this is called again
 * after a commit that came back BUSY). Either row->redo carries the log's bytes, or the
 * log has been written and synced to row->end when this returns. Rows with
 * number < *obsolete_below are no longer needed and may be deleted in the same
 * transaction of the decider. row->redo is valid until the transaction's next call.
 * A transaction without writes gets NOT_FOUND: nothing to insert. Writes after this
 * reopen the transaction. Blocks. OK, NOT_FOUND, FULL, FAILED, IO, NOMEM, MISUSE (over). */
FASTER_PUBLIC enum faster_status faster_txn_prepare(struct faster_txn *txn,
                                                    struct faster_commit_row *row,
                                                    uint64_t *obsolete_below) FASTER_MUST_CHECK;

/* Second phase: the decider has committed the row. Idempotent against
 * faster_session_meet_row() by another session. Writes that no row was made for are undone.
 * Consumes txn. Never fails. */
FASTER_PUBLIC void faster_txn_commit(struct faster_txn *txn);

/* The decider has rolled back. Before prepare: the writes are undone. After prepare: the
 * outcome is unknown (a failed sync may still have written the row), so the transaction
 * is in doubt until a row settles it; see faster_session_meet_row() and faster_txn_begin().
 * Consumes txn. Never fails. */
FASTER_PUBLIC void faster_txn_rollback(struct faster_txn *txn);

/* A checkpoint FOLD_OVER with INDEX_AUTO, see below, under the decider's write lock: the caller has
 * made `durable`, the newest row, safe against power loss in the decider, and has met it. Before
 * anything was written since open it fixes the tail, as the first begin does. Rows with number <
 * *obsolete_below may be deleted. Blocks; asks `interrupt`. OK, BEHIND, BUSY (no session is left),
 * COPY (the row is not the store's), FAILED, FULL, IO, CORRUPT, NOMEM, READ_ONLY, INTERRUPTED. */
FASTER_PUBLIC enum faster_status
faster_session_checkpoint(struct faster_session *session, const struct faster_commit_row *durable,
                          uint64_t *obsolete_below, faster_interrupt_fn *interrupt,
                          void *interrupt_context) FASTER_MUST_CHECK;

/* ------------------------------------------------------------ checkpoints */

/* Checkpoints bound what recovery reads of the log, which is complete without them: one that is
 * damaged costs time, no data. Files of their own tell of them (FORMAT.md); a store in memory, or
 * of format 1 to 3, has none: there the log is synced and dead space given back, and that is all.
 *
 * FOLD_OVER    everything up to the checkpoint is in the log, and changes no more.
 * INDEX_ONLY   made for the index: as FOLD_OVER with INDEX_COPY, but gives no space back.
 *
 * SNAPSHOT and INCREMENTAL are carried out as FOLD_OVER.
 *
 * Source: FASTER (SIGMOD 2018) section 6.5, CPR (SIGMOD 2019). */
enum faster_checkpoint_kind {
    FASTER_CHECKPOINT_FOLD_OVER = 0,
    FASTER_CHECKPOINT_SNAPSHOT = 1,
    FASTER_CHECKPOINT_INCREMENTAL = 2,
    FASTER_CHECKPOINT_INDEX_ONLY = 3
};

/* AUTO copies the index if the log since the last copy is larger than the index may be, and there
 * is room. LEAVE: recovery uses the last copy, and reads the log from there. */
enum faster_checkpoint_index {
    FASTER_INDEX_AUTO = 0,
    FASTER_INDEX_COPY = 1,
    FASTER_INDEX_LEAVE = 2
};

struct faster_checkpoint_request {
    enum faster_checkpoint_kind kind;
    enum faster_checkpoint_index index;
    /* Of a transactional store, and only there: a commit that is safe in the decider. It need not
     * be the newest. */
    const struct faster_commit_row *durable;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
};

/* A checkpoint that recovery may begin with. */
struct faster_checkpoint {
    uint64_t number;
    enum faster_checkpoint_kind kind;
    uint64_t created_ns;   /* since 1970 */
    uint64_t point_number; /* commit, or version of the cut */
    uint64_t point_end;
    uint64_t begin;        /* of the log */
    uint64_t replay_from;  /* what recovery reads of the log begins here */
    uint64_t index_number; /* of the checkpoint whose index it uses, 0: none */
    uint64_t base_number;  /* of an INCREMENTAL: the snapshot it stands on, else 0 */
    uint64_t bytes;        /* of its own files */
    uint32_t session_count;
};

/* Takes a checkpoint. Readers and writers go on; of callers at the same time each takes one, in
 * turn. Of a transactional store the decider's lock is not needed, and space whose records are all
 * dead is given back. `made` (may be NULL) tells of the newest checkpoint there is then: if nothing
 * has changed since the last one, that is it. Blocks; asks
 * `interrupt`. OK; BEHIND (transactional: the row is newer than what the store knows, or nothing
 * was written since open: begin a transaction first); COPY (the row is not the store's), BUSY (no
 * session is left; of INDEX_ONLY also: a transaction larger than memory is open), FULL (may be
 * repeated), FAILED, IO, CORRUPT, NOMEM, READ_ONLY, INTERRUPTED, MISUSE. */
FASTER_PUBLIC enum faster_status
faster_session_take_checkpoint(struct faster_session *session,
                               const struct faster_checkpoint_request *request,
                               struct faster_checkpoint *made) FASTER_MUST_CHECK;

/* Fills at most `count_max`, newest first, and returns how many there are. Any thread. */
FASTER_PUBLIC size_t faster_store_checkpoints(struct faster_store *store,
                                              struct faster_checkpoint *checkpoints,
                                              size_t count_max);

/* The newest commit the store knows: number, start, end, nonce and control_address; the rest is
 * zero. False: none. Whoever makes the decider durable after this call may give it to a
 * checkpoint. Any thread; waits as faster_session_meet_row() does. */
FASTER_PUBLIC bool faster_store_committed(struct faster_store *store,
                                          struct faster_commit_row *row);

/* Checkpoints that are due by themselves (options checkpoint_bytes, checkpoint_interval_ms) are
 * taken by a thread of the store's, which starts with the first. No operation waits for one, or
 * fails with it: a failure is told by a diagnostic, the first of several in a row, and the
 * checkpoint is tried again after 1 to 64 seconds. A direct store needs no help with it; what such
 * a checkpoint holds is durable as after faster_session_commit(). A transactional store needs a
 * commit that is safe in the decider, so that its callers take part:
 *
 * After a commit, without the decider's lock:
 *
 *     if (faster_store_checkpoint_claim(store)) {
 *         struct faster_commit_row row;
 *         bool found = faster_store_committed(store, &row);
 *         bool safe = found && ...make the decider durable...;
 *         faster_store_checkpoint_hand_over(store, safe ? &row : NULL);
 *     }
 *
 * True if one is due and no other caller was told so: this one must hand over. One relaxed load if
 * none is due; else a short lock. Any thread. */
FASTER_PUBLIC bool faster_store_checkpoint_claim(struct faster_store *store);
/* `durable` is safe in the decider; NULL: there is none, and somebody is to try again later. Never
 * blocks for longer than a short lock. Any thread. */
FASTER_PUBLIC void faster_store_checkpoint_hand_over(struct faster_store *store,
                                                     const struct faster_commit_row *durable);
/* True if a checkpoint before close would pay: of a transactional store that was written to,
 * recovery would read more log than the index may have. Close takes none by itself, for want of a
 * durable commit (of a direct store it does). Any thread. */
FASTER_PUBLIC bool faster_store_checkpoint_pays(const struct faster_store *store);

/* Doubles the hash index, or carries a doubling that is under way to its end. The index also
 * grows by itself, as keys are added; this is for whoever knows that many will follow. Works
 * beside readers and writers, whom it does not stop; does no I/O. The session's own thread. OK;
 * FULL (it has the largest size that the memory budget allows, nothing is changed); BUSY (another
 * thread has a part of it in hand: it will end by itself). Source: FASTER (SIGMOD 2018), section
 * 3, resizing; here in place and without a pause. */
FASTER_PUBLIC enum faster_status
faster_session_grow(struct faster_session *session) FASTER_MUST_CHECK;

/* ------------------------------------------------------------------ scan */

struct faster_scan;

/* Opens a scan of all keys that live in `snapshot`, each once, in the order of the log.
 * Memory: two read-ahead buffers of at most a page, and for a value larger than a page, until the
 * next one, the value. The snapshot must outlive the scan.
 * It takes a session of its own. OK, NOMEM, BUSY (no session is left). */
FASTER_PUBLIC enum faster_status faster_scan_open(const struct faster_snapshot *snapshot,
                                                  struct faster_scan **scan) FASTER_MUST_CHECK;

/* The next record. key and value are valid until the scan's next call. Blocks.
 * OK, END, CORRUPT, IO, NOMEM, FULL (no file descriptor is left), FOREIGN (a file of the log is
 * another store's, or none), VERSION_NEWER (one was written by a later version). */
FASTER_PUBLIC enum faster_status faster_scan_next(struct faster_scan *scan,
                                                  struct faster_bytes *key,
                                                  struct faster_bytes *value) FASTER_MUST_CHECK;

/* Waits for its reads in flight and releases the scan. */
FASTER_PUBLIC void faster_scan_close(struct faster_scan *scan);

/* ----------------------------------------------------------- the raw log */

/* What a record of the log is. */
enum faster_record_kind {
    FASTER_RECORD_NONE = 0,
    FASTER_RECORD_VALUE = 1,      /* a key and its value */
    FASTER_RECORD_DELETE = 2,     /* a key that is deleted from here on */
    FASTER_RECORD_COMMIT = 3,     /* ends a transaction, or a version of a direct store */
    FASTER_RECORD_ABORT_LIST = 4, /* ranges that a transaction undid by savepoints */
    FASTER_RECORD_JUMP = 5,       /* the log goes on elsewhere: it was opened after a crash */
    FASTER_RECORD_CHUNK = 6,      /* a part of a value larger than a page */
    FASTER_RECORD_CHUNKED = 7     /* a key whose value is in chunks; `value` says where */
};

/* One record as it stands in the log; engine/FORMAT.md explains each field. */
struct faster_record {
    enum faster_record_kind kind;
    bool counts;       /* false: aborted, or it lost its race for the chain */
    uint64_t address;  /* logical */
    uint64_t previous; /* address of the record before it in its hash chain, or of the chunk before
                          it; 0: none */
    uint64_t whole_bytes;
    struct faster_bytes key;
    struct faster_bytes value;
};

struct faster_records;

/* Opens an iteration over the records with addresses in [from, until) below the end of
 * `snapshot`, oldest first: old versions, deletions and what never counted as well; only padding
 * is left out. For tools: faster_scan_open() gives each key's value. 0 and UINT64_MAX are the
 * whole log. Where a record begins is known from the one before it alone, so the log is read
 * from its beginning whatever `from` is. Memory: two read-ahead buffers of a page. The snapshot
 * must outlive the iteration, which takes a session of its own. OK, NOMEM, FULL (no file
 * descriptor is left), BUSY (no session is left). */
FASTER_PUBLIC enum faster_status
faster_records_open(const struct faster_snapshot *snapshot, uint64_t from, uint64_t until,
                    struct faster_records **records) FASTER_MUST_CHECK;

/* The next record; its bytes are valid until the next call. A checkpoint that truncates the log
 * meanwhile takes records away before they are reached. Blocks. OK, END, CORRUPT (there is no
 * intact record where the next one should be), IO, NOMEM, FULL (no file descriptor is left),
 * FOREIGN, VERSION_NEWER (as faster_scan_next()). */
FASTER_PUBLIC enum faster_status
faster_records_next(struct faster_records *records, struct faster_record *record) FASTER_MUST_CHECK;

/* Waits for its reads in flight and releases the iteration. */
FASTER_PUBLIC void faster_records_close(struct faster_records *records);

/* --------------------------------------------------- verify and counters */

/* One thing found wrong. Strings and bytes live for the call only. */
struct faster_finding {
    const char *what;
    const char *file; /* name inside the store's directory; "": the decider's row, or a store in
                         memory */
    uint64_t address; /* of the log; 0: another file, or the file as a whole */
    uint64_t offset;  /* in the file */
    struct faster_bytes key; /* empty if unknown */
};
typedef void faster_finding_fn(void *context, const struct faster_finding *finding);

/* Reads everything on disk and in memory below the newest commit and checks each
 * checksum, chain and reachable record, the files' headers and the manifests. Goes on after
 * damage: with the next page after a damaged record, with the next file after one that is none of
 * the log's. Works beside readers and writers. *finding_count gets the number of findings; `each`
 * may be NULL. Blocks; asks `interrupt`. OK (also with findings), BEHIND, BUSY (too
 * many snapshots or sessions), IO, FULL (no file descriptor is left), NOMEM, INTERRUPTED. */
FASTER_PUBLIC enum faster_status faster_session_verify(struct faster_session *session,
                                                       faster_finding_fn *each, void *context,
                                                       faster_interrupt_fn *interrupt,
                                                       void *interrupt_context,
                                                       uint64_t *finding_count) FASTER_MUST_CHECK;

/* faster_session_verify(), and then the decider's rows, which the caller reads in one snapshot of
 * the decider: their order and checksums, each record of their redo, and that the log says the same
 * where it has them. The session has met the newest of them. `next` may be NULL. As above, and what
 * `next` returns but END. */
FASTER_PUBLIC enum faster_status
faster_session_verify_all(struct faster_session *session, faster_row_source_fn *next,
                          void *rows_context, faster_finding_fn *each, void *context,
                          faster_interrupt_fn *interrupt, void *interrupt_context,
                          uint64_t *finding_count) FASTER_MUST_CHECK;

/* What was found in a damaged store. */
struct faster_salvage_report {
    uint64_t value_count; /* handed out */
    uint64_t delete_count;
    uint64_t doubtful_count;   /* of both: covered by no intact control record */
    uint64_t lost_value_count; /* larger than a page, and a part is missing */
    uint64_t damaged_count;    /* stretches of the log that hold no record */
    uint64_t damaged_bytes;    /* writes that a crash cut short are among them */
};

/* Gets one record: a VALUE, whole whatever its size, or a DELETE. It lives for the call only, which
 * may use other stores. OK to go on; anything else ends the salvage. */
typedef enum faster_status faster_salvage_fn(void *context, const struct faster_record *record);

/* Calls `each` for every intact record of a store's log, oldest first, whatever else of the store
 * is damaged: who applies one after the other has of each key the newest that is left. `counts` of
 * the record is false for a doubtful one: a control record is damaged, or it was never committed.
 * What the decider's rows hold and the log does not is not seen. Writes nothing. Any thread.
 * Blocks; asks `interrupt`. OK, MISSING, FOREIGN (nothing tells whose files these are),
 * VERSION_NEWER, BUSY (a process has it open), NOMEM, IO, FULL, READ_ONLY (no permission), INVALID,
 * INTERRUPTED, or what `each` returned. */
FASTER_PUBLIC enum faster_status
faster_store_salvage(const struct faster_env *env, const char *directory, faster_salvage_fn *each,
                     void *context, faster_interrupt_fn *interrupt, void *interrupt_context,
                     struct faster_salvage_report *report,
                     struct faster_error *error) FASTER_MUST_CHECK;

/* ---------------------------------------------------------------- backup */

struct faster_backup_request {
    const char *directory; /* the copy's own directory: missing, or empty. Its parent is created */
    /* Of a transactional store: the newest row of the decider's copy; NULL: it has none. */
    const struct faster_commit_row *durable;
    faster_interrupt_fn *interrupt;
    void *interrupt_context;
    uint64_t shared_bytes; /* out: of files that were cloned or linked */
    uint64_t copied_bytes; /* out */
};

/* Copies the store while it is used: everything up to the row, or, of a direct store, up to a
 * commit that it makes. Whoever opens the copy with the decider's copy has what a crash right after
 * that commit would have left; with an older one open returns COPY. Copy the decider first: from
 * then to the end of this call only a checkpoint in between spoils the pair (SNAPSHOT_GONE).
 *
 * What the log will not write again is shared with the copy where the file system can clone files,
 * or else, in the same file system, by links: then the two have their own names for the same bytes,
 * and a store that wants to write to such a file makes its own first. Links save space, and help
 * against all but damage to the disk.
 *
 * Readers and writers go on, checkpoints wait. When it returns OK the copy is durable; it has the
 * original's UUID. After a failure nothing is left of it; after a crash perhaps files without one
 * named `store`. The session's own thread. Blocks; asks `interrupt`. OK; SNAPSHOT_GONE; EXISTS (the
 * directory holds something); FOREIGN (it is a file or a link); COPY (the row is not the store's);
 * BEHIND (the row is newer than what the store knows); INVALID (the path; or the store is in
 * memory); BUSY (no session is left, or too many snapshots are open), READ_ONLY (the directory
 * cannot be made), FULL, FAILED, IO, CORRUPT, NOMEM, INTERRUPTED, MISUSE. */
FASTER_PUBLIC enum faster_status
faster_session_backup(struct faster_session *session,
                      struct faster_backup_request *request) FASTER_MUST_CHECK;

/* Makes the store at options->directory the pair of the decider's file at options->place, also if
 * the one that it was the pair of is still there: that one is refused with COPY from then on.
 * Durable when it returns. Whether database and store belong together is looked at when they are
 * opened. Uses env, directory, uuid, place, the lock's waiting and diagnostics of the options. Any
 * thread. Blocks. OK, MISSING, FOREIGN, VERSION_NEWER, CORRUPT, BUSY (it is open), READ_ONLY, FULL,
 * INTERRUPTED, INVALID, NOMEM, IO, MISUSE. */
FASTER_PUBLIC enum faster_status faster_store_adopt(const struct faster_options *options,
                                                    struct faster_error *error) FASTER_MUST_CHECK;

/* One figure. The strings are constants. */
struct faster_stat {
    const char *name;
    uint64_t value;
    const char *unit; /* "bytes", "count", "address", ... */
    const char *help;
};

/* Fills at most `count_max` figures and returns how many there are. Relaxed: figures of
 * one call need not belong to one moment. Any thread; waits for a short lock at most. */
FASTER_PUBLIC size_t faster_store_stats(const struct faster_store *store, struct faster_stat *stats,
                                        size_t count_max);

#ifdef __cplusplus
}
#endif

#endif
