/* schema_parser.c - tokens, names, conflict clauses and messages of the schema parser. */
#include "codec/schema_parser.h"

#include <stdarg.h>

void schema_parser_begin(struct schema_parser *parser, const char *argument) {
    parser->token = schema_lexer_next(argument);
}

void schema_parser_advance(struct schema_parser *parser) {
    parser->token = schema_lexer_next(parser->token.text + parser->token.size_bytes);
}

bool schema_parser_accept_word(struct schema_parser *parser, const char *word) {
    if (!schema_token_is_word(&parser->token, word)) {
        return false;
    }
    schema_parser_advance(parser);
    return true;
}

bool schema_parser_accept_mark(struct schema_parser *parser, char mark) {
    if (!schema_token_is_mark(&parser->token, mark)) {
        return false;
    }
    schema_parser_advance(parser);
    return true;
}

int schema_parser_fail(struct schema_parser *parser, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *message = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (message != NULL && parser->column_name != NULL) {
        char *longer = sqlite3_mprintf("column \"%w\": %s", parser->column_name, message);
        sqlite3_free(message);
        message = longer;
    }
    *parser->error = message;
    return message == NULL ? SQLITE_NOMEM : SQLITE_ERROR;
}

int schema_parser_fail_syntax(struct schema_parser *parser) {
    if (parser->token.kind == SCHEMA_TOKEN_END) {
        return schema_parser_fail(parser, "syntax error: the definition is incomplete");
    }
    return schema_parser_fail(parser, "syntax error near \"%.*s\"", (int)parser->token.size_bytes,
                              parser->token.text);
}

int schema_parser_name(struct schema_parser *parser, char **name) {
    enum schema_token_kind kind = parser->token.kind;
    if (kind != SCHEMA_TOKEN_WORD && kind != SCHEMA_TOKEN_QUOTED && kind != SCHEMA_TOKEN_STRING) {
        return schema_parser_fail_syntax(parser);
    }
    *name = schema_token_unquoted(&parser->token);
    if (*name == NULL) {
        return SQLITE_NOMEM;
    }
    schema_parser_advance(parser);
    return SQLITE_OK;
}

int schema_parser_conflict(struct schema_parser *parser, int *conflict) {
    static const struct {
        const char *word;
        int code;
    } clauses[] = {{"ABORT", SQLITE_ABORT},
                   {"IGNORE", SQLITE_IGNORE},
                   {"REPLACE", SQLITE_REPLACE},
                   {"ROLLBACK", SQLITE_ROLLBACK},
                   {"FAIL", SQLITE_FAIL}};
    *conflict = SQLITE_ABORT;
    if (!schema_parser_accept_word(parser, "ON")) {
        return SQLITE_OK;
    }
    if (!schema_parser_accept_word(parser, "CONFLICT")) {
        return schema_parser_fail_syntax(parser);
    }
    for (size_t i = 0; i < sizeof clauses / sizeof clauses[0]; i++) {
        if (schema_parser_accept_word(parser, clauses[i].word)) {
            *conflict = clauses[i].code;
            return SQLITE_OK;
        }
    }
    return schema_parser_fail_syntax(parser);
}

int schema_parser_key_conflict(struct schema_parser *parser) {
    int conflict;
    int rc = schema_parser_conflict(parser, &conflict);
    if (rc == SQLITE_OK && conflict != SQLITE_ABORT) {
        rc = schema_parser_fail(parser, "PRIMARY KEY supports only ON CONFLICT ABORT; "
                                        "say it in the statement, as in INSERT OR REPLACE");
    }
    return rc;
}

int schema_parser_refuse(struct schema_parser *parser) {
    static const struct {
        const char *word;
        const char *what;
    } refused[] = {{"CHECK", "CHECK constraints"},           {"UNIQUE", "UNIQUE constraints"},
                   {"REFERENCES", "REFERENCES constraints"}, {"FOREIGN", "FOREIGN KEY constraints"},
                   {"GENERATED", "generated columns"},       {"AS", "generated columns"},
                   {"AUTOINCREMENT", "AUTOINCREMENT keys"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (schema_token_is_word(&parser->token, refused[i].word)) {
            return schema_parser_fail(parser, "%s are not supported (%s)", refused[i].what,
                                      refused[i].word);
        }
    }
    return schema_parser_fail_syntax(parser);
}

static int collation_of(struct schema_parser *parser, const char *name,
                        enum schema_collation *collation) {
    if (name == NULL || sqlite3_stricmp(name, "BINARY") == 0) {
        *collation = SCHEMA_BINARY;
    } else if (sqlite3_stricmp(name, "NOCASE") == 0) {
        *collation = SCHEMA_NOCASE;
    } else if (sqlite3_stricmp(name, "RTRIM") == 0) {
        *collation = SCHEMA_RTRIM;
    } else {
        return schema_parser_fail(parser,
                                  "collation \"%w\" cannot order a primary key; "
                                  "allowed are BINARY, NOCASE, RTRIM",
                                  name);
    }
    return SQLITE_OK;
}

int schema_parser_add_key(struct schema_parser *parser, int column, const char *collation_name) {
    struct table_schema *schema = parser->schema;
    if (schema->columns[column].key_index >= 0) {
        return schema_parser_fail(parser, "column \"%w\" is in the primary key twice",
                                  schema->columns[column].name);
    }
    size_t count = (size_t)schema->key_count + 1;
    struct schema_key_part *key = sqlite3_realloc64(schema->key, count * sizeof *key);
    if (key == NULL) {
        return SQLITE_NOMEM;
    }
    schema->key = key;
    key[count - 1].column = column;
    schema->columns[column].key_index = schema->key_count++;
    return collation_of(parser, collation_name, &key[count - 1].collation);
}
