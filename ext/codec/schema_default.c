/* schema_default.c - DEFAULT clauses.
 *
 * A DEFAULT is kept as SQL text and evaluated by SQLite when it is needed. The text comes
 * from the schema, which an attacker may have written, and SQLite would evaluate it here
 * with the rights of the application's own statements. So an expression may consist only
 * of literals, operators and built-in functions that read and write nothing: no subquery,
 * no column, no function of the application.
 */
#include <string.h>

#include "codec/schema_parser.h"

static bool is_in(const struct schema_token *token, const char *const *words) {
    for (; *words != NULL; words++) {
        if (schema_token_is_word(token, *words)) {
            return true;
        }
    }
    return false;
}

static bool is_clock(const struct schema_token *token) {
    static const char *const words[] = {"CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP", NULL};
    return is_in(token, words);
}

static bool is_harmless_function(const struct schema_token *token) {
    static const char *const words[] = {
        "abs",        "cast",    "char",  "coalesce", "date",      "datetime",  "format",
        "hex",        "ifnull",  "iif",   "instr",    "julianday", "length",    "lower",
        "ltrim",      "max",     "min",   "nullif",   "printf",    "quote",     "random",
        "randomblob", "replace", "round", "rtrim",    "sign",      "strftime",  "substr",
        "substring",  "time",    "trim",  "typeof",   "unicode",   "unixepoch", "upper",
        "zeroblob",   NULL};
    return is_in(token, words);
}

/* What may stand in front of a parenthesis without calling anything. */
static bool is_operator(const struct schema_token *token) {
    static const char *const words[] = {"NOT",  "AND",  "OR",   "IS",   "BETWEEN",
                                        "CASE", "WHEN", "THEN", "ELSE", NULL};
    return is_in(token, words);
}

static bool is_operand(const struct schema_token *token) {
    static const char *const words[] = {
        "NULL", "TRUE",    "FALSE",   "ISNULL", "NOTNULL", "END",   "AS",   "INT",  "INTEGER",
        "REAL", "NUMERIC", "COLLATE", "BINARY", "NOCASE",  "RTRIM", "TEXT", "BLOB", NULL};
    return is_in(token, words) || is_clock(token);
}

/* Checks one word of an expression; the parser stands on it. */
static int check_expression_word(struct schema_parser *parser, bool *is_constant) {
    struct schema_token word = parser->token;
    struct schema_token next = schema_lexer_next(word.text + word.size_bytes);
    bool is_call = schema_token_is_mark(&next, '(');
    if (is_call ? is_harmless_function(&word) : is_clock(&word)) {
        *is_constant = false;
        return SQLITE_OK;
    }
    if (is_operator(&word) || (!is_call && is_operand(&word))) {
        return SQLITE_OK;
    }
    return schema_parser_fail(parser,
                              "DEFAULT may not use %.*s: only literals, operators and "
                              "built-in functions that read and write nothing are allowed",
                              (int)word.size_bytes, word.text);
}

static int check_expression_token(struct schema_parser *parser, bool *is_constant, int *depth) {
    switch (parser->token.kind) {
    case SCHEMA_TOKEN_WORD:
        return check_expression_word(parser, is_constant);
    case SCHEMA_TOKEN_STRING:
    case SCHEMA_TOKEN_NUMBER:
    case SCHEMA_TOKEN_BLOB:
        return SQLITE_OK;
    case SCHEMA_TOKEN_MARK:
        if (*parser->token.text == ';' || *parser->token.text == '.') {
            return schema_parser_fail_syntax(parser);
        }
        *depth += schema_token_is_mark(&parser->token, '(');
        *depth -= schema_token_is_mark(&parser->token, ')');
        return SQLITE_OK;
    case SCHEMA_TOKEN_END:
    case SCHEMA_TOKEN_QUOTED:
    case SCHEMA_TOKEN_ILLEGAL:
        break;
    }
    return schema_parser_fail_syntax(parser);
}

/* The parser stands on the opening parenthesis. */
static int parse_expression(struct schema_parser *parser, struct schema_column *column) {
    const char *start = parser->token.text;
    bool is_constant = true;
    int depth = 0;
    do {
        int rc = check_expression_token(parser, &is_constant, &depth);
        if (rc != SQLITE_OK) {
            return rc;
        }
        const char *end = parser->token.text + parser->token.size_bytes;
        schema_parser_advance(parser);
        if (depth == 0) {
            column->default_sql = sqlite3_mprintf("%.*s", (int)(end - start), start);
        }
    } while (depth > 0);
    column->default_is_constant = is_constant;
    return column->default_sql == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int parse_signed_number(struct schema_parser *parser, struct schema_column *column) {
    char sign = *parser->token.text;
    schema_parser_advance(parser);
    if (parser->token.kind != SCHEMA_TOKEN_NUMBER) {
        return schema_parser_fail_syntax(parser);
    }
    column->default_sql =
        sqlite3_mprintf("%c%.*s", sign, (int)parser->token.size_bytes, parser->token.text);
    schema_parser_advance(parser);
    return column->default_sql == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* SQLite takes any other word, and a quoted one, for a string. */
static int parse_word(struct schema_parser *parser, struct schema_column *column) {
    struct schema_token word = parser->token;
    schema_parser_advance(parser);
    if (schema_token_is_word(&word, "NULL")) {
        return SQLITE_OK;
    }
    column->default_is_constant = !is_clock(&word);
    if (is_clock(&word)) {
        column->default_sql = sqlite3_mprintf("%.*s", (int)word.size_bytes, word.text);
    } else if (schema_token_is_word(&word, "TRUE") || schema_token_is_word(&word, "FALSE")) {
        column->default_sql = sqlite3_mprintf("%d", schema_token_is_word(&word, "TRUE"));
    } else {
        char *name = schema_token_unquoted(&word);
        column->default_sql = name == NULL ? NULL : sqlite3_mprintf("%Q", name);
        sqlite3_free(name);
    }
    return column->default_sql == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

static int parse_literal(struct schema_parser *parser, struct schema_column *column) {
    column->default_sql =
        sqlite3_mprintf("%.*s", (int)parser->token.size_bytes, parser->token.text);
    schema_parser_advance(parser);
    return column->default_sql == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

int schema_parse_default(struct schema_parser *parser, struct schema_column *column) {
    sqlite3_free(column->default_sql);
    column->default_sql = NULL;
    column->default_is_constant = true;
    switch (parser->token.kind) {
    case SCHEMA_TOKEN_WORD:
    case SCHEMA_TOKEN_QUOTED:
        return parse_word(parser, column);
    case SCHEMA_TOKEN_STRING:
    case SCHEMA_TOKEN_NUMBER:
    case SCHEMA_TOKEN_BLOB:
        return parse_literal(parser, column);
    case SCHEMA_TOKEN_MARK:
        if (*parser->token.text == '(') {
            return parse_expression(parser, column);
        }
        if (*parser->token.text == '+' || *parser->token.text == '-') {
            return parse_signed_number(parser, column);
        }
        break;
    case SCHEMA_TOKEN_END:
    case SCHEMA_TOKEN_ILLEGAL:
        break;
    }
    return schema_parser_fail_syntax(parser);
}

int schema_default_value(sqlite3 *db, const struct schema_column *column, sqlite3_value **value) {
    *value = NULL;
    char *sql = sqlite3_mprintf("SELECT %s", column->default_sql);
    if (sql == NULL) {
        return SQLITE_NOMEM;
    }
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) {
        return rc;
    }
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_value_dup(sqlite3_column_value(statement, 0));
        rc = *value == NULL ? SQLITE_NOMEM : SQLITE_OK;
    }
    int finalize_rc = sqlite3_finalize(statement);
    return rc == SQLITE_OK ? SQLITE_OK : (finalize_rc == SQLITE_OK ? rc : finalize_rc);
}
