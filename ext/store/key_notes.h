/* key_notes.h - what is known of all keys of a direct table, over the connections of a process.
 *
 * A transactional table keeps this in its commit rows. A direct table has none: it is learnt by
 * one scan after the store was opened, when it is first needed, and kept up to date by writers.
 */
#ifndef FASTER_EXT_KEY_NOTES_H
#define FASTER_EXT_KEY_NOTES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/row_codec.h"
#include "faster.h"

/* Shared by all connections that use the store; key_notes.c has the proof. */
struct key_notes {
    atomic_bool is_complete;       /* written under survey_mutex, read by any thread */
    atomic_int key_text;           /* enum key_text; raised and read by any thread */
    atomic_int_fast64_t rowid_max; /* the same; INT64_MIN: none was seen */
    pthread_mutex_t survey_mutex;  /* held by who scans the store */
};

void key_notes_init(struct key_notes *notes);
void key_notes_finish(struct key_notes *notes);

/* Before a key is stored. Any thread. */
void key_notes_see_text(struct key_notes *notes, enum key_text text);
void key_notes_see_rowid(struct key_notes *notes, int64_t rowid);

/* Covers every key of the table: KEY_TEXT_ANY as long as that is not known. Any thread. */
enum key_text key_notes_text(const struct key_notes *notes);
bool key_notes_is_complete(const struct key_notes *notes);

/* Takes the next rowid: nobody else gets it, but somebody may have named it for a row. False if
 * the largest possible one is taken. REQUIRES: key_notes_is_complete(). Any thread. */
bool key_notes_next_rowid(struct key_notes *notes, int64_t *rowid);

/* One survey at a time; waits for it, but asks `interrupt` several times a second. *begun if the
 * caller is to make it, and then to call key_notes_end_survey(), with `complete` if it has seen
 * all keys. OK or INTERRUPTED. */
enum faster_status key_notes_begin_survey(struct key_notes *notes, faster_interrupt_fn *interrupt,
                                          void *context, bool *begun) FASTER_MUST_CHECK;
void key_notes_end_survey(struct key_notes *notes, bool complete);

#endif
