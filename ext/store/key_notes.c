/* key_notes.c - see key_notes.h.
 *
 * INVARIANT. Who reads is_complete as true finds key_text and rowid_max no less than those of
 * every key whose write had ended before.
 *   - Both only rise, and a writer raises them before its write takes effect.
 *   - A key that was written since the store was opened has had such a writer.
 *   - Any other key was recovered. The survey's scan began after that and gives every key that
 *     lives throughout. A key that did not was removed, and if it is back it had a writer.
 *   - The survey raises both before it sets is_complete (release); the reader's acquire pairs
 *     with it. Raises are sequentially consistent, so that they are visible when the write is.
 * A key whose write is still under way may be missed by a lookup: it comes before that write.
 *
 * The next rowid is taken by compare-and-swap, so no two writers get the same. That no row has
 * it is for the insert to find out: it stores the row only if the key is free.
 */
#include "store/key_notes.h"

#include <time.h>

#define NS_PER_SECOND 1000000000L
#define WAIT_NS (NS_PER_SECOND / 10) /* between two looks for an interrupt */

void key_notes_init(struct key_notes *notes) {
    atomic_init(&notes->is_complete, false);
    atomic_init(&notes->key_text, KEY_TEXT_PLAIN);
    atomic_init(&notes->rowid_max, INT64_MIN);
    (void)pthread_mutex_init(&notes->survey_mutex, NULL);
}

void key_notes_finish(struct key_notes *notes) {
    (void)pthread_mutex_destroy(&notes->survey_mutex);
}

void key_notes_see_text(struct key_notes *notes, enum key_text text) {
    int known = atomic_load_explicit(&notes->key_text, memory_order_relaxed);
    while (known < (int)text &&
           !atomic_compare_exchange_weak_explicit(&notes->key_text, &known, (int)text,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

void key_notes_see_rowid(struct key_notes *notes, int64_t rowid) {
    int_fast64_t known = atomic_load_explicit(&notes->rowid_max, memory_order_relaxed);
    while (known < rowid &&
           !atomic_compare_exchange_weak_explicit(&notes->rowid_max, &known, rowid,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
    }
}

bool key_notes_is_complete(const struct key_notes *notes) {
    /* acquire: pairs with the release in key_notes_end_survey() */
    return atomic_load_explicit(&notes->is_complete, memory_order_acquire);
}

enum key_text key_notes_text(const struct key_notes *notes) {
    /* acquire: pairs with the sequentially consistent raise in key_notes_see_text() */
    return key_notes_is_complete(notes)
               ? (enum key_text)atomic_load_explicit(&notes->key_text, memory_order_acquire)
               : KEY_TEXT_ANY;
}

bool key_notes_next_rowid(struct key_notes *notes, int64_t *rowid) {
    int_fast64_t known = atomic_load_explicit(&notes->rowid_max, memory_order_relaxed);
    do {
        if (known == INT64_MAX) {
            return false;
        }
        *rowid = known == INT64_MIN ? 1 : known + 1;
    } while (!atomic_compare_exchange_weak_explicit(&notes->rowid_max, &known, *rowid,
                                                    memory_order_seq_cst, memory_order_relaxed));
    return true;
}

/* True if it has the mutex, for which it waits WAIT_NS. */
static bool lock_for_a_while(struct key_notes *notes) {
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_NS;
    if (until.tv_nsec >= NS_PER_SECOND) {
        until.tv_nsec -= NS_PER_SECOND;
        until.tv_sec++;
    }
    return pthread_mutex_timedlock(&notes->survey_mutex, &until) == 0;
}

enum faster_status key_notes_begin_survey(struct key_notes *notes, faster_interrupt_fn *interrupt,
                                          void *context, bool *begun) {
    *begun = false;
    while (!lock_for_a_while(notes)) {
        if (interrupt(context)) {
            return FASTER_INTERRUPTED;
        }
    }
    *begun = !key_notes_is_complete(notes);
    if (!*begun) {
        (void)pthread_mutex_unlock(&notes->survey_mutex);
    }
    return FASTER_OK;
}

void key_notes_end_survey(struct key_notes *notes, bool complete) {
    /* release: pairs with the acquire in key_notes_is_complete() */
    atomic_store_explicit(&notes->is_complete, complete, memory_order_release);
    (void)pthread_mutex_unlock(&notes->survey_mutex);
}
