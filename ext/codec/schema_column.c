/* schema_column.c - one column definition: name, type, constraints. */
#include <string.h>

#include "codec/schema_parser.h"

int schema_add_column(struct schema_parser *parser, char *name, struct schema_column **column) {
    struct table_schema *schema = parser->schema;
    size_t count = (size_t)schema->column_count;
    /* Grown by doubling: the size is known from the count. */
    if ((count & (count - 1)) == 0) {
        size_t capacity = count == 0 ? 1 : 2 * count;
        struct schema_column *columns =
            sqlite3_realloc64(schema->columns, capacity * sizeof *columns);
        if (columns == NULL) {
            sqlite3_free(name);
            return SQLITE_NOMEM;
        }
        schema->columns = columns;
    }
    *column = &schema->columns[count];
    **column =
        (struct schema_column){.name = name, .not_null_conflict = SQLITE_ABORT, .key_index = -1};
    schema->column_count++;
    return SQLITE_OK;
}

/* SQLite's rules in their order of strength; see "Determination Of Column Affinity". */
static enum schema_affinity affinity_of(const char *type) {
    static const struct {
        const char *pattern;
        enum schema_affinity affinity;
    } rules[] = {{"%INT%", SCHEMA_INTEGER}, {"%CHAR%", SCHEMA_TEXT}, {"%CLOB%", SCHEMA_TEXT},
                 {"%TEXT%", SCHEMA_TEXT},   {"%BLOB%", SCHEMA_BLOB}, {"%REAL%", SCHEMA_REAL},
                 {"%FLOA%", SCHEMA_REAL},   {"%DOUB%", SCHEMA_REAL}};
    if (type[0] == '\0') {
        return SCHEMA_BLOB;
    }
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (sqlite3_strlike(rules[i].pattern, type, 0) == 0) {
            return rules[i].affinity;
        }
    }
    return SCHEMA_NUMERIC;
}

static bool is_type_word(const struct schema_token *token) {
    static const char *const constraints[] = {
        "CONSTRAINT", "PRIMARY",    "NOT", "NULL", "UNIQUE",    "CHECK",        "DEFAULT",
        "COLLATE",    "REFERENCES", "AS",  "ON",   "GENERATED", "AUTOINCREMENT"};
    if (token->kind == SCHEMA_TOKEN_QUOTED || token->kind == SCHEMA_TOKEN_STRING) {
        return true;
    }
    for (size_t i = 0; i < sizeof constraints / sizeof constraints[0]; i++) {
        if (schema_token_is_word(token, constraints[i])) {
            return false;
        }
    }
    return token->kind == SCHEMA_TOKEN_WORD;
}

static void append_token(struct schema_parser *parser, sqlite3_str *text) {
    sqlite3_str_append(text, parser->token.text, (int)parser->token.size_bytes);
    schema_parser_advance(parser);
}

/* The (10) or (10,-2) after a type's name; the parser stands behind the parenthesis. */
static int parse_type_size(struct schema_parser *parser, sqlite3_str *type) {
    sqlite3_str_appendchar(type, 1, '(');
    for (int i = 0; i < 2; i++) {
        if (schema_token_is_mark(&parser->token, '+') ||
            schema_token_is_mark(&parser->token, '-')) {
            append_token(parser, type);
        }
        if (parser->token.kind != SCHEMA_TOKEN_NUMBER) {
            return schema_parser_fail_syntax(parser);
        }
        append_token(parser, type);
        if (schema_parser_accept_mark(parser, ')')) {
            sqlite3_str_appendchar(type, 1, ')');
            return SQLITE_OK;
        }
        if (i == 1 || !schema_parser_accept_mark(parser, ',')) {
            return schema_parser_fail_syntax(parser);
        }
        sqlite3_str_appendchar(type, 1, ',');
    }
    return schema_parser_fail_syntax(parser);
}

static int parse_type_words(struct schema_parser *parser, sqlite3_str *type) {
    while (is_type_word(&parser->token)) {
        if (sqlite3_str_length(type) > 0) {
            sqlite3_str_appendchar(type, 1, ' ');
        }
        append_token(parser, type);
    }
    if (sqlite3_str_length(type) > 0 && schema_parser_accept_mark(parser, '(')) {
        return parse_type_size(parser, type);
    }
    return SQLITE_OK;
}

static int parse_type(struct schema_parser *parser, struct schema_column *column) {
    sqlite3_str *text = sqlite3_str_new(NULL);
    int rc = parse_type_words(parser, text);
    int text_rc = sqlite3_str_errcode(text);
    column->type = sqlite3_str_finish(text);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (column->type == NULL && text_rc == SQLITE_OK) {
        column->type = sqlite3_mprintf("");
    }
    if (column->type == NULL) {
        return SQLITE_NOMEM;
    }
    /* SQLite would take the word for its own and hide the column. */
    if (sqlite3_strlike("%HIDDEN%", column->type, 0) == 0) {
        return schema_parser_fail(parser, "a type must not contain HIDDEN");
    }
    column->affinity = affinity_of(column->type);
    return SQLITE_OK;
}

/* PRIMARY is read. The collation may still follow, so schema.c settles it at the end. */
static int parse_primary_key(struct schema_parser *parser) {
    struct table_schema *schema = parser->schema;
    if (!schema_parser_accept_word(parser, "KEY")) {
        return schema_parser_fail_syntax(parser);
    }
    if (schema->key_count > 0) {
        return schema_parser_fail(parser, "the table has more than one primary key");
    }
    if (schema_parser_accept_word(parser, "DESC")) {
        parser->key_descending = true;
    } else {
        (void)schema_parser_accept_word(parser, "ASC");
    }
    int rc = schema_parser_key_conflict(parser);
    if (rc == SQLITE_OK && schema_token_is_word(&parser->token, "AUTOINCREMENT")) {
        rc = schema_parser_refuse(parser);
    }
    if (rc == SQLITE_OK) {
        rc = schema_parser_add_key(parser, schema->column_count - 1, NULL);
    }
    return rc;
}

/* NOT is read. */
static int parse_not_null(struct schema_parser *parser, struct schema_column *column) {
    if (!schema_parser_accept_word(parser, "NULL")) {
        return schema_parser_fail_syntax(parser);
    }
    column->not_null = true;
    int rc = schema_parser_conflict(parser, &column->not_null_conflict);
    int conflict = column->not_null_conflict;
    if (rc == SQLITE_OK && (conflict == SQLITE_ROLLBACK || conflict == SQLITE_FAIL)) {
        rc = schema_parser_fail(parser, "NOT NULL supports only ON CONFLICT ABORT, IGNORE and "
                                        "REPLACE; say it in the statement, as in INSERT OR FAIL");
    }
    return rc;
}

static int parse_collate(struct schema_parser *parser, struct schema_column *column) {
    sqlite3_free(column->collation_name);
    column->collation_name = NULL;
    return schema_parser_name(parser, &column->collation_name);
}

static int parse_constraint_name(struct schema_parser *parser) {
    char *name = NULL;
    int rc = schema_parser_name(parser, &name);
    sqlite3_free(name);
    return rc;
}

static int parse_constraint(struct schema_parser *parser, struct schema_column *column) {
    int ignored;
    if (schema_parser_accept_word(parser, "CONSTRAINT")) {
        return parse_constraint_name(parser);
    }
    if (schema_parser_accept_word(parser, "PRIMARY")) {
        return parse_primary_key(parser);
    }
    if (schema_parser_accept_word(parser, "NOT")) {
        return parse_not_null(parser, column);
    }
    if (schema_parser_accept_word(parser, "NULL")) {
        return schema_parser_conflict(parser, &ignored);
    }
    if (schema_parser_accept_word(parser, "DEFAULT")) {
        return schema_parse_default(parser, column);
    }
    if (schema_parser_accept_word(parser, "COLLATE")) {
        return parse_collate(parser, column);
    }
    return schema_parser_refuse(parser);
}

/* WITHOUT ROWID and STRICT belong behind the parentheses of an ordinary table; inside they
 * would silently become columns. */
static int refuse_table_option(struct schema_parser *parser) {
    struct schema_token first = parser->token;
    struct schema_token second = schema_lexer_next(first.text + first.size_bytes);
    if (schema_token_is_word(&first, "STRICT") && second.kind == SCHEMA_TOKEN_END) {
        return schema_parser_fail(parser, "STRICT is not supported");
    }
    if (schema_token_is_word(&first, "WITHOUT") && schema_token_is_word(&second, "ROWID")) {
        return schema_parser_fail(parser, "WITHOUT ROWID is not supported: a table with a primary "
                                          "key other than INTEGER PRIMARY KEY has no rowid");
    }
    return SQLITE_OK;
}

static int parse_column_name(struct schema_parser *parser, struct schema_column **column) {
    char *name = NULL;
    int rc = schema_parser_name(parser, &name);
    if (rc != SQLITE_OK) {
        return rc;
    }
    if (schema_column_index(parser->schema, name) >= 0) {
        rc = schema_parser_fail(parser, "duplicate column name: \"%w\"", name);
    } else if (sqlite3_stricmp(name, parser->table_name) == 0) {
        rc = schema_parser_fail(
            parser, "column \"%w\" has the name of the table, which the command column has", name);
    } else if (parser->schema->column_count == SCHEMA_COLUMN_COUNT_MAX) {
        rc = schema_parser_fail(parser, "too many columns: at most %d are allowed",
                                SCHEMA_COLUMN_COUNT_MAX);
    }
    if (rc != SQLITE_OK) {
        sqlite3_free(name);
        return rc;
    }
    return schema_add_column(parser, name, column);
}

int schema_parse_column(struct schema_parser *parser) {
    struct schema_column *column;
    int rc = refuse_table_option(parser);
    if (rc == SQLITE_OK) {
        rc = parse_column_name(parser, &column);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    parser->column_name = column->name;
    rc = parse_type(parser, column);
    while (rc == SQLITE_OK && parser->token.kind != SCHEMA_TOKEN_END) {
        rc = parse_constraint(parser, column);
    }
    parser->column_name = NULL;
    return rc;
}
