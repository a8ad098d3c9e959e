/* schema_lexer.c - splits a module argument into SQL tokens.
 *
 * It follows SQLite's own tokenizer: what it takes for one token, SQLite takes for one
 * token too, so text that passed this lexer means the same inside the declaration or the
 * DEFAULT expression that is handed back to SQLite.
 */
#include "codec/schema_lexer.h"

#include <string.h>

#include "base/sqlite_api.h"

/* Not <ctype.h>: SQL does not depend on the locale. */
static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_word(char c) {
    return is_word_start(c) || is_digit(c) || c == '$';
}

static const char *skip_comment(const char *text) {
    if (text[0] == '-') {
        return text + strcspn(text, "\n");
    }
    const char *end = strstr(text + 2, "*/");
    return end == NULL ? text + strlen(text) : end + 2;
}

static const char *skip_blank(const char *text) {
    for (;;) {
        if (is_space(*text)) {
            text++;
        } else if ((text[0] == '-' && text[1] == '-') || (text[0] == '/' && text[1] == '*')) {
            text = skip_comment(text);
        } else {
            return text;
        }
    }
}

static struct schema_token make_token(enum schema_token_kind kind, const char *text,
                                      const char *end) {
    return (struct schema_token){.kind = kind, .text = text, .size_bytes = (size_t)(end - text)};
}

/* A quote inside is written twice; [names] end at the first bracket. */
static struct schema_token read_quoted(const char *text) {
    char quote = *text == '[' ? ']' : *text;
    const char *at = text + 1;
    while (*at != '\0') {
        if (*at == quote) {
            if (quote == ']' || at[1] != quote) {
                break;
            }
            at++;
        }
        at++;
    }
    if (*at == '\0') {
        return make_token(SCHEMA_TOKEN_ILLEGAL, text, at);
    }
    return make_token(*text == '\'' ? SCHEMA_TOKEN_STRING : SCHEMA_TOKEN_QUOTED, text, at + 1);
}

static struct schema_token read_blob(const char *text) {
    const char *at = text + 2;
    while (is_hex_digit(*at)) {
        at++;
    }
    if (*at != '\'' || (at - text) % 2 != 0) {
        return make_token(SCHEMA_TOKEN_ILLEGAL, text, at);
    }
    return make_token(SCHEMA_TOKEN_BLOB, text, at + 1);
}

static const char *skip_digits(const char *at) {
    while (is_digit(*at)) {
        at++;
    }
    return at;
}

static const char *skip_decimal(const char *at) {
    at = skip_digits(at);
    if (*at == '.') {
        at = skip_digits(at + 1);
    }
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at[1] == '+' || at[1] == '-' ? at + 2 : at + 1;
        if (is_digit(*exponent)) {
            at = skip_digits(exponent);
        }
    }
    return at;
}

static struct schema_token read_number(const char *text) {
    const char *at = text;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') && is_hex_digit(text[2])) {
        at += 3;
        while (is_hex_digit(*at)) {
            at++;
        }
    } else {
        at = skip_decimal(text);
    }
    enum schema_token_kind kind = SCHEMA_TOKEN_NUMBER;
    while (is_word(*at)) {
        kind = SCHEMA_TOKEN_ILLEGAL;
        at++;
    }
    return make_token(kind, text, at);
}

static struct schema_token read_word(const char *text) {
    const char *at = text;
    while (is_word(*at)) {
        at++;
    }
    return make_token(SCHEMA_TOKEN_WORD, text, at);
}

static struct schema_token read_mark(const char *text) {
    bool legal = strchr("()+-*/%=<>!|&~,;.", *text) != NULL;
    return make_token(legal ? SCHEMA_TOKEN_MARK : SCHEMA_TOKEN_ILLEGAL, text, text + 1);
}

struct schema_token schema_lexer_next(const char *text) {
    text = skip_blank(text);
    if (*text == '\0') {
        return make_token(SCHEMA_TOKEN_END, text, text);
    }
    if (*text == '\'' || *text == '"' || *text == '`' || *text == '[') {
        return read_quoted(text);
    }
    if ((*text == 'x' || *text == 'X') && text[1] == '\'') {
        return read_blob(text);
    }
    if (is_digit(*text) || (*text == '.' && is_digit(text[1]))) {
        return read_number(text);
    }
    return is_word_start(*text) ? read_word(text) : read_mark(text);
}

bool schema_token_is_word(const struct schema_token *token, const char *word) {
    return token->kind == SCHEMA_TOKEN_WORD && strlen(word) == token->size_bytes &&
           sqlite3_strnicmp(token->text, word, (int)token->size_bytes) == 0;
}

bool schema_token_is_mark(const struct schema_token *token, char mark) {
    return token->kind == SCHEMA_TOKEN_MARK && *token->text == mark;
}

char *schema_token_unquoted(const struct schema_token *token) {
    char *copy = sqlite3_malloc64(token->size_bytes + 1);
    if (copy == NULL) {
        return NULL;
    }
    const char *at = token->text;
    const char *end = at + token->size_bytes;
    size_t length = 0;
    bool quoted = token->kind == SCHEMA_TOKEN_QUOTED || token->kind == SCHEMA_TOKEN_STRING;
    if (quoted) {
        char quote = *at == '[' ? ']' : *at;
        at++;
        end--;
        for (; at < end; at++) {
            copy[length++] = *at;
            if (*at == quote) {
                at++;
            }
        }
    } else {
        memcpy(copy, at, token->size_bytes);
        length = token->size_bytes;
    }
    copy[length] = '\0';
    return copy;
}
