/* schema_declare.c - the table as SQLite is told about it.
 *
 * DEFAULT is left out: SQLite drops defaults of virtual tables and asserts that there are
 * none. The primary key is a table constraint with the key's own collation, because
 * SQLite concludes from it which rows are distinct. A writable WITHOUT ROWID table must
 * have exactly one key column, hence the hidden one.
 */
#include "codec/schema_parser.h"

static void append_column(sqlite3_str *text, const struct schema_column *column) {
    sqlite3_str_appendf(text, "\"%w\"", column->name);
    if (column->type[0] != '\0') {
        sqlite3_str_appendf(text, " %s", column->type);
    }
    if (column->collation_name != NULL) {
        sqlite3_str_appendf(text, " COLLATE \"%w\"", column->collation_name);
    }
    if (column->not_null) {
        sqlite3_str_appendall(text, " NOT NULL");
    }
    sqlite3_str_appendall(text, ", ");
}

const char *schema_collation_name(enum schema_collation collation) {
    switch (collation) {
    case SCHEMA_BINARY:
        return "BINARY";
    case SCHEMA_NOCASE:
        return "NOCASE";
    case SCHEMA_RTRIM:
        return "RTRIM";
    }
    return "BINARY";
}

/* The hidden key column is called _key, or _key1, _key2, ... if that is taken. */
static void append_hidden_key(sqlite3_str *text, const struct table_schema *schema,
                              const char *table_name) {
    char name[24] = "_key";
    for (int i = 1;
         schema_column_index(schema, name) >= 0 || sqlite3_stricmp(name, table_name) == 0; i++) {
        sqlite3_snprintf((int)sizeof name, name, "_key%d", i);
    }
    sqlite3_str_appendf(text, ", \"%w\" BLOB HIDDEN NOT NULL PRIMARY KEY", name);
}

static void append_key(sqlite3_str *text, const struct table_schema *schema,
                       const char *table_name) {
    if (schema->kind == SCHEMA_KEY_MULTIPLE) {
        append_hidden_key(text, schema, table_name);
    } else if (schema->key_count == 1) {
        sqlite3_str_appendf(text, ", PRIMARY KEY (\"%w\" COLLATE %s)",
                            schema->columns[schema->key[0].column].name,
                            schema_collation_name(schema->key[0].collation));
    }
    sqlite3_str_appendall(text, schema_has_rowid(schema) ? ")" : ") WITHOUT ROWID");
}

int schema_declare(struct table_schema *schema, const char *table_name) {
    schema->command_column = schema->column_count;
    schema->hidden_key_column = schema->kind == SCHEMA_KEY_MULTIPLE ? schema->column_count + 1 : -1;
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendall(text, "CREATE TABLE x(");
    for (int i = 0; i < schema->column_count; i++) {
        append_column(text, &schema->columns[i]);
    }
    sqlite3_str_appendf(text, "\"%w\" TEXT HIDDEN", table_name);
    append_key(text, schema, table_name);
    /* NULL if memory ran out on the way. */
    schema->declaration = sqlite3_str_finish(text);
    return schema->declaration == NULL ? SQLITE_NOMEM : SQLITE_OK;
}
