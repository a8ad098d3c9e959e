/* key_survey.h - learning what a direct table's keys are like. */
#ifndef FASTER_EXT_KEY_SURVEY_H
#define FASTER_EXT_KEY_SURVEY_H

#include "table/table.h"

/* Makes the store's key_notes complete: reads all keys, unless that was done since the store was
 * opened. Waits for another connection that is at it. SQLITE_INTERRUPT after sqlite3_interrupt().
 */
int key_survey(struct table *table, struct attachment *attachment);

#endif
