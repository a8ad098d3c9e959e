/* schema_parser.h - what the parts of the schema parser share. Private to schema*.c. */
#ifndef FASTER_EXT_SCHEMA_PARSER_H
#define FASTER_EXT_SCHEMA_PARSER_H

#include <stdbool.h>

#include "codec/schema.h"
#include "codec/schema_lexer.h"

/* The state of one schema_parse(). Functions return SQLITE_OK, or SQLITE_ERROR with *error
 * set, or SQLITE_NOMEM. What they allocate belongs to `schema` at once, so that nobody
 * cleans up in the middle. */
struct schema_parser {
    struct table_schema *schema;
    char **error;
    const char *table_name;
    struct schema_token token; /* the next one */
    bool seen_table_constraint;
    bool key_descending;     /* the key is a column constraint with DESC */
    unsigned options_given;  /* bit i: option i of schema_option.c */
    const char *column_name; /* while a column is parsed, else NULL; for messages */
};

/* Starts on another argument. */
void schema_parser_begin(struct schema_parser *parser, const char *argument);
/* Moves to the next token. */
void schema_parser_advance(struct schema_parser *parser);
/* Moves on and returns true if the next token is that word or mark. */
bool schema_parser_accept_word(struct schema_parser *parser, const char *word);
bool schema_parser_accept_mark(struct schema_parser *parser, char mark);
/* Reads a name in any of the four quotings or none into a copy that the caller owns. */
int schema_parser_name(struct schema_parser *parser, char **name);

/* Sets the error and returns SQLITE_ERROR. Inside a column it is put in front. */
int schema_parser_fail(struct schema_parser *parser, const char *format, ...);
/* "syntax error near ..." for the next token. */
int schema_parser_fail_syntax(struct schema_parser *parser);

/* Reads an optional ON CONFLICT clause; *conflict is SQLITE_ABORT without one. */
int schema_parser_conflict(struct schema_parser *parser, int *conflict);
/* The same where only ABORT can be kept. */
int schema_parser_key_conflict(struct schema_parser *parser);
/* Refuses CHECK, UNIQUE, REFERENCES, FOREIGN KEY, GENERATED and AS by name; else a syntax
 * error. */
int schema_parser_refuse(struct schema_parser *parser);

/* Appends a column to the key. `collation_name` is borrowed; NULL: BINARY. */
int schema_parser_add_key(struct schema_parser *parser, int column, const char *collation_name);

/* schema_column.c: one column definition. */
int schema_parse_column(struct schema_parser *parser);
/* Appends a column without a type. */
int schema_add_column(struct schema_parser *parser, char *name, struct schema_column **column);
/* schema_default.c: what follows DEFAULT. */
int schema_parse_default(struct schema_parser *parser, struct schema_column *column);
/* schema_option.c: name = value; the parser stands on the name. */
int schema_parse_option(struct schema_parser *parser);
/* Checks options against each other, once all are read. */
int schema_check_options(struct schema_parser *parser);

/* schema_declare.c: sets schema->declaration and the hidden columns. */
int schema_declare(struct table_schema *schema, const char *table_name);

#endif
