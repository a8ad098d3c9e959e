/* row_values.c - see row_values.h. */
#include "codec/row_values.h"

#include <string.h>

void row_values_destroy(struct row_values *values) {
    if (values == NULL) {
        return;
    }
    row_buffer_finish(&values->key);
    row_buffer_finish(&values->old_key);
    row_buffer_finish(&values->value);
    faster_buffer_finish(&values->record);
    sqlite3_free(values->columns);
    sqlite3_free(values->parts);
    sqlite3_free(values);
}

struct row_values *row_values_create(const struct table_schema *schema) {
    struct row_values *values = sqlite3_malloc64(sizeof(*values));
    if (values == NULL) {
        return NULL;
    }
    sqlite3_uint64 scalar = sizeof(struct row_scalar);
    *values = (struct row_values){
        .columns = sqlite3_malloc64((sqlite3_uint64)schema->column_count * scalar),
        .parts = sqlite3_malloc64((sqlite3_uint64)(schema->key_count + 1) * scalar),
        .column_count = schema->column_count,
        .record = {.env = faster_env_posix()}};
    if (values->columns == NULL || values->parts == NULL) {
        row_values_destroy(values);
        return NULL;
    }
    memset(values->columns, 0, (size_t)schema->column_count * sizeof(struct row_scalar));
    return values;
}

void row_values_clear(struct row_values *values) {
    for (int i = 0; i < values->column_count; i++) {
        row_scalar_finish(&values->columns[i]);
    }
    row_buffer_clear(&values->key);
    row_buffer_clear(&values->old_key);
    row_buffer_clear(&values->value);
    values->record.size_bytes = 0;
}
