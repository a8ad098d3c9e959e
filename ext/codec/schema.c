/* schema.c - from the module's arguments to a table_schema.
 *
 * Each argument is an option, a table constraint or a column definition; SQLite has
 * already split them at the commas outside parentheses.
 */
#include "codec/schema.h"

#include <string.h>

#include "codec/schema_parser.h"

static bool is_option(const struct schema_parser *parser) {
    struct schema_token next = schema_lexer_next(parser->token.text + parser->token.size_bytes);
    return parser->token.kind == SCHEMA_TOKEN_WORD && schema_token_is_mark(&next, '=');
}

static bool is_table_constraint(const struct schema_parser *parser) {
    static const char *const words[] = {"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (schema_token_is_word(&parser->token, words[i])) {
            return true;
        }
    }
    return false;
}

/* The collation of a key part: its own, else its column's. */
static int parse_key_collation(struct schema_parser *parser, int column) {
    char *own = NULL;
    if (schema_parser_accept_word(parser, "COLLATE")) {
        int rc = schema_parser_name(parser, &own);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    const char *name = own != NULL ? own : parser->schema->columns[column].collation_name;
    int rc = schema_parser_add_key(parser, column, name);
    sqlite3_free(own);
    return rc;
}

static int parse_key_part(struct schema_parser *parser) {
    char *name = NULL;
    int rc = schema_parser_name(parser, &name);
    if (rc != SQLITE_OK) {
        return rc;
    }
    int column = schema_column_index(parser->schema, name);
    rc = column >= 0 ? parse_key_collation(parser, column)
                     : schema_parser_fail(parser, "no such column in PRIMARY KEY: \"%w\"", name);
    sqlite3_free(name);
    if (rc == SQLITE_OK && !schema_parser_accept_word(parser, "ASC")) {
        (void)schema_parser_accept_word(parser, "DESC");
    }
    return rc;
}

/* PRIMARY is read. */
static int parse_table_key(struct schema_parser *parser) {
    if (!schema_parser_accept_word(parser, "KEY") || !schema_parser_accept_mark(parser, '(')) {
        return schema_parser_fail_syntax(parser);
    }
    if (parser->schema->key_count > 0) {
        return schema_parser_fail(parser, "the table has more than one primary key");
    }
    int rc;
    do {
        rc = parse_key_part(parser);
    } while (rc == SQLITE_OK && schema_parser_accept_mark(parser, ','));
    if (rc == SQLITE_OK && !schema_parser_accept_mark(parser, ')')) {
        rc = schema_parser_refuse(parser);
    }
    return rc == SQLITE_OK ? schema_parser_key_conflict(parser) : rc;
}

static int parse_table_constraint(struct schema_parser *parser) {
    parser->seen_table_constraint = true;
    if (schema_parser_accept_word(parser, "CONSTRAINT")) {
        char *name = NULL;
        int rc = schema_parser_name(parser, &name);
        sqlite3_free(name);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return schema_parser_accept_word(parser, "PRIMARY") ? parse_table_key(parser)
                                                        : schema_parser_refuse(parser);
}

static int parse_argument(struct schema_parser *parser) {
    int rc = SQLITE_OK;
    if (is_option(parser)) {
        return schema_parse_option(parser);
    }
    if (!is_table_constraint(parser)) {
        return parser->seen_table_constraint
                   ? schema_parser_fail(parser, "columns must be declared before table constraints")
                   : schema_parse_column(parser);
    }
    do {
        rc = parse_table_constraint(parser);
    } while (rc == SQLITE_OK && parser->token.kind != SCHEMA_TOKEN_END);
    return rc;
}

/* A table without columns is a plain map: (key PRIMARY KEY, value). */
static int add_default_columns(struct schema_parser *parser) {
    if (parser->schema->column_count > 0) {
        return SQLITE_OK;
    }
    schema_parser_begin(parser, "key PRIMARY KEY");
    int rc = schema_parse_column(parser);
    if (rc == SQLITE_OK) {
        schema_parser_begin(parser, "value");
        rc = schema_parse_column(parser);
    }
    return rc;
}

/* A column constraint's key takes the collation of its column, which may stand behind it. */
static int settle_column_key(struct schema_parser *parser) {
    struct table_schema *schema = parser->schema;
    if (schema->key_count != 1 || parser->seen_table_constraint) {
        return SQLITE_OK;
    }
    struct schema_column *column = &schema->columns[schema->key[0].column];
    column->key_index = -1;
    schema->key_count = 0;
    parser->column_name = column->name;
    int rc = schema_parser_add_key(parser, schema->key[0].column, column->collation_name);
    parser->column_name = NULL;
    return rc;
}

/* As in an ordinary table, the column is never NULL and has no default: NULL asks for the
 * next rowid. */
static void settle_rowid_column(struct schema_column *column) {
    column->not_null = false;
    column->not_null_conflict = SQLITE_ABORT;
    sqlite3_free(column->default_sql);
    column->default_sql = NULL;
}

static void settle_kind(struct schema_parser *parser) {
    struct table_schema *schema = parser->schema;
    if (schema->key_count == 0) {
        schema->kind = SCHEMA_ROWID_IMPLICIT;
        return;
    }
    struct schema_column *first = &schema->columns[schema->key[0].column];
    if (schema->key_count == 1 && sqlite3_stricmp(first->type, "INTEGER") == 0 &&
        !parser->key_descending) {
        schema->kind = SCHEMA_ROWID_INTEGER;
        settle_rowid_column(first);
        return;
    }
    schema->kind = schema->key_count == 1 ? SCHEMA_KEY_SINGLE : SCHEMA_KEY_MULTIPLE;
    for (int i = 0; i < schema->key_count; i++) {
        schema->columns[schema->key[i].column].not_null = true;
    }
}

static int parse_arguments(struct schema_parser *parser, int argument_count,
                           const char *const *arguments) {
    for (int i = 0; i < argument_count; i++) {
        schema_parser_begin(parser, arguments[i]);
        int rc = parse_argument(parser);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    int rc = parser->seen_table_constraint ? SQLITE_OK : add_default_columns(parser);
    if (rc == SQLITE_OK) {
        rc = settle_column_key(parser);
    }
    if (rc == SQLITE_OK) {
        rc = schema_check_options(parser);
    }
    if (rc == SQLITE_OK) {
        settle_kind(parser);
    }
    return rc;
}

int schema_parse(const char *table_name, int argument_count, const char *const *arguments,
                 struct table_schema *schema, char **error) {
    *schema = (struct table_schema){.hidden_key_column = -1};
    *error = NULL;
    struct schema_parser parser = {.schema = schema, .error = error, .table_name = table_name};
    int rc = parse_arguments(&parser, argument_count, arguments);
    if (rc == SQLITE_OK) {
        rc = schema_declare(schema, table_name);
    }
    if (rc != SQLITE_OK) {
        schema_finish(schema);
    }
    return rc;
}

void schema_finish(struct table_schema *schema) {
    for (int i = 0; i < schema->column_count; i++) {
        sqlite3_free(schema->columns[i].name);
        sqlite3_free(schema->columns[i].type);
        sqlite3_free(schema->columns[i].collation_name);
        sqlite3_free(schema->columns[i].default_sql);
    }
    sqlite3_free(schema->columns);
    sqlite3_free(schema->key);
    sqlite3_free(schema->options.path);
    sqlite3_free(schema->declaration);
    *schema = (struct table_schema){.hidden_key_column = -1};
}

int schema_column_index(const struct table_schema *schema, const char *name) {
    for (int i = 0; i < schema->column_count; i++) {
        if (sqlite3_stricmp(schema->columns[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

bool schema_has_rowid(const struct table_schema *schema) {
    return schema->kind == SCHEMA_ROWID_IMPLICIT || schema->kind == SCHEMA_ROWID_INTEGER;
}
