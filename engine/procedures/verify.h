/* verify.h - checking a store from end to end (layer 5). */
#ifndef FST_PROCEDURES_VERIFY_H
#define FST_PROCEDURES_VERIFY_H

#include "store/store.h"

/* The decider's rows; `next` may be NULL. */
struct fst_row_source {
    faster_row_source_fn *next;
    void *context;
};

/* See faster_session_verify_all(). Takes no lock; works on the commits known when it begins. */
enum faster_status fst_verify(struct faster_session *session, const struct fst_row_source *rows,
                              faster_finding_fn *each, void *context,
                              faster_interrupt_fn *interrupt, void *interrupt_context,
                              uint64_t *finding_count) FASTER_MUST_CHECK;

/* ---- verify_*.c: its parts ---- */

/* Who is told what is wrong. */
struct fst_findings {
    const struct faster_store *store;
    faster_finding_fn *each; /* or NULL: they are counted */
    void *context;
    uint64_t count;
};

/* Something wrong at an address of the log; `key` is empty if unknown. */
void fst_find_in_log(struct fst_findings *findings, const char *what, fst_addr at,
                     struct faster_bytes key);
/* Something wrong with a file. */
void fst_find_in_file(struct fst_findings *findings, const char *what, const char *file);

/* Something wrong with the decider's row of a commit; `at` is an address of the log. */
void fst_find_in_row(struct fst_findings *findings, uint64_t number, const char *what, fst_addr at);

/* verify_rows.c: each row by itself, and against the log below `upper`. `session` is the caller's
 * own, with nothing pending. OK, INTERRUPTED, IO, NOMEM, FULL, or what the source gives. */
enum faster_status fst_verify_rows(struct fst_findings *findings, struct faster_session *session,
                                   uint64_t upper, const struct fst_row_source *rows,
                                   faster_interrupt_fn *interrupt,
                                   void *interrupt_context) FASTER_MUST_CHECK;

/* verify_files.c: the identity, the manifests and the segments' headers of a store with files. OK,
 * or why a file could not be read: IO, NOMEM, FULL (no file descriptor is left), READ_ONLY. */
enum faster_status fst_verify_files(struct fst_findings *findings) FASTER_MUST_CHECK;

/* verify_checkpoints.c: the roots and the copies of the index that they name, of a store with
 * files. `session` as above. OK, INTERRUPTED, or why a file could not be read, as above. */
enum faster_status fst_verify_checkpoints(struct fst_findings *findings,
                                          struct faster_session *session,
                                          faster_interrupt_fn *interrupt,
                                          void *interrupt_context) FASTER_MUST_CHECK;

#endif
