/* schema_lexer.h - SQL tokens of a module argument. Private to schema*.c. */
#ifndef FASTER_EXT_SCHEMA_LEXER_H
#define FASTER_EXT_SCHEMA_LEXER_H

#include <stdbool.h>
#include <stddef.h>

enum schema_token_kind {
    SCHEMA_TOKEN_END,
    SCHEMA_TOKEN_WORD,    /* name or keyword without quotes */
    SCHEMA_TOKEN_QUOTED,  /* "name", `name` or [name] */
    SCHEMA_TOKEN_STRING,  /* 'text' */
    SCHEMA_TOKEN_NUMBER,  /* without a sign */
    SCHEMA_TOKEN_BLOB,    /* x'00ff' */
    SCHEMA_TOKEN_MARK,    /* one character of punctuation */
    SCHEMA_TOKEN_ILLEGAL, /* unterminated quotes, 12ab, ?1, ... */
};

/* Borrows from the argument's text. */
struct schema_token {
    enum schema_token_kind kind;
    const char *text; /* quotes included */
    size_t size_bytes;
};

/* Reads the token at or after `text`, a zero-terminated string, skipping white space and
 * comments as SQLite does. The next one starts at token.text + token.size_bytes. */
struct schema_token schema_lexer_next(const char *text);

/* True for an unquoted word equal to `word` (ASCII case is ignored). */
bool schema_token_is_word(const struct schema_token *token, const char *word);
/* True for that character of punctuation. */
bool schema_token_is_mark(const struct schema_token *token, char mark);

/* A copy without quotes (sqlite3_malloc), NULL if there is no memory. */
char *schema_token_unquoted(const struct schema_token *token);

#endif
