/* slt_rewrite.c - turns CREATE TABLE into CREATE VIRTUAL TABLE ... USING faster.
 *
 * Works on tokens, not on a grammar: a definition list is cut at its outermost commas,
 * and a clause runs from its keyword to the next keyword that begins another one.
 */
#include "slt_rewrite.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const slt_clause_names[SLT_CLAUSE_COUNT] = {
    "UNIQUE", "CHECK", "REFERENCES / FOREIGN KEY", "AUTOINCREMENT", "WITHOUT ROWID / STRICT"};

struct token {
    const char *start;
    size_t length;
    unsigned depth; /* of parentheses; both parentheses of a pair have the outer depth */
};

struct tokens {
    struct token *item;
    size_t count;
    size_t capacity;
};

static const char *skip_blank(const char *at) {
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (strncmp(at, "--", 2) == 0) {
            at += strcspn(at, "\n");
        } else if (strncmp(at, "/*", 2) == 0) {
            const char *end = strstr(at + 2, "*/");
            at = end ? end + 2 : at + strlen(at);
        } else {
            return at;
        }
    }
}

static size_t quoted_length(const char *at, char close) {
    size_t length = 1;
    while (at[length]) {
        if (at[length] == close) {
            if (close == ']' || at[length + 1] != close) {
                return length + 1;
            }
            length++;
        }
        length++;
    }
    return length;
}

static size_t token_length(const char *at) {
    if (*at == '\'' || *at == '"' || *at == '`') {
        return quoted_length(at, *at);
    }
    if (*at == '[') {
        return quoted_length(at, ']');
    }
    size_t length = 0;
    while (isalnum((unsigned char)at[length]) || at[length] == '_' || at[length] == '$' ||
           (unsigned char)at[length] >= 0x80) {
        length++;
    }
    return length ? length : 1;
}

static void tokens_add(struct tokens *tokens, struct token token) {
    if (tokens->count == tokens->capacity) {
        tokens->capacity = tokens->capacity ? tokens->capacity * 2 : 64;
        tokens->item = realloc(tokens->item, tokens->capacity * sizeof *tokens->item);
        if (tokens->item == NULL) {
            test_fail("out of memory");
        }
    }
    tokens->item[tokens->count++] = token;
}

static void tokens_read(struct tokens *tokens, const char *sql) {
    unsigned depth = 0;
    for (const char *at = skip_blank(sql); *at; at = skip_blank(at)) {
        struct token token = {at, token_length(at), depth};
        if (*at == '(') {
            depth++;
        } else if (*at == ')' && depth > 0) {
            token.depth = --depth;
        }
        tokens_add(tokens, token);
        at += token.length;
    }
}

static bool is(const struct tokens *tokens, size_t index, const char *word) {
    return index < tokens->count && tokens->item[index].length == strlen(word) &&
           strncasecmp(tokens->item[index].start, word, strlen(word)) == 0;
}

static bool is_one_of(const struct tokens *tokens, size_t index, const char *const *words) {
    for (; *words; words++) {
        if (is(tokens, index, *words)) {
            return true;
        }
    }
    return false;
}

/* Copies tokens and the gaps between them, and the gap before the first if `gap`. */
static void copy_tokens(struct text *out, const struct tokens *tokens, size_t from, size_t to,
                        bool gap) {
    for (size_t i = from; i < to; i++) {
        const struct token *token = &tokens->item[i];
        bool touches =
            i > 0 && tokens->item[i - 1].start + tokens->item[i - 1].length == token->start;
        text_add(out, "%s%.*s", (gap || i > from) && !touches ? " " : "", (int)token->length,
                 token->start);
    }
}

/* The clause that starts here, or SLT_CLAUSE_COUNT. */
static enum slt_clause clause_at(const struct tokens *tokens, size_t index) {
    if (is(tokens, index, "UNIQUE")) {
        return SLT_CLAUSE_UNIQUE;
    }
    if (is(tokens, index, "CHECK")) {
        return SLT_CLAUSE_CHECK;
    }
    if (is(tokens, index, "REFERENCES") || is(tokens, index, "FOREIGN")) {
        return SLT_CLAUSE_REFERENCES;
    }
    if (is(tokens, index, "AUTOINCREMENT")) {
        return SLT_CLAUSE_AUTOINCREMENT;
    }
    return SLT_CLAUSE_COUNT;
}

/* True if a column constraint that is kept, or another clause, begins here. */
static bool constraint_begins(const struct tokens *tokens, size_t from, size_t index) {
    static const char *const words[] = {"CONSTRAINT", "PRIMARY", "NOT",     "UNIQUE",
                                        "CHECK",      "DEFAULT", "COLLATE", "AUTOINCREMENT",
                                        "REFERENCES", NULL};
    bool part_of_references = is(tokens, from, "REFERENCES") && is(tokens, index, "NOT") &&
                              is(tokens, index + 1, "DEFERRABLE");
    bool set_default = is(tokens, index, "DEFAULT") && is(tokens, index - 1, "SET");
    return is_one_of(tokens, index, words) && !part_of_references && !set_default;
}

/* One element of the definition list: tokens from..to. Nothing is written for a table
 * constraint that is dropped. */
static void rewrite_element(const struct tokens *tokens, size_t from, size_t to, struct text *out,
                            bool *first, unsigned long dropped[SLT_CLAUSE_COUNT]) {
    size_t head = is(tokens, from, "CONSTRAINT") ? from + 2 : from;
    enum slt_clause whole = clause_at(tokens, head);
    if (whole != SLT_CLAUSE_COUNT) {
        dropped[whole]++;
        return;
    }
    text_add(out, "%s", *first ? "" : ", ");
    *first = false;
    for (size_t i = from; i < to;) {
        size_t keyword = is(tokens, i, "CONSTRAINT") ? i + 2 : i;
        enum slt_clause clause = i > from ? clause_at(tokens, keyword) : SLT_CLAUSE_COUNT;
        size_t end = keyword + 1;
        if (clause != SLT_CLAUSE_COUNT && tokens->item[i].depth == tokens->item[from].depth) {
            dropped[clause]++;
            while (end < to && !(tokens->item[end].depth == tokens->item[from].depth &&
                                 constraint_begins(tokens, keyword, end))) {
                end++;
            }
        } else {
            copy_tokens(out, tokens, i, end, i > from);
        }
        i = end;
    }
}

static void rewrite_options(const struct tokens *tokens, size_t from,
                            unsigned long dropped[SLT_CLAUSE_COUNT]) {
    for (size_t i = from; i < tokens->count; i++) {
        if (is(tokens, i, "WITHOUT") || is(tokens, i, "STRICT")) {
            dropped[SLT_CLAUSE_TABLE_OPTION]++;
        }
    }
}

/* tokens[open] is the parenthesis that opens the definition list. */
static void rewrite_definitions(const struct tokens *tokens, size_t open, struct text *out,
                                unsigned long dropped[SLT_CLAUSE_COUNT]) {
    bool first = true;
    size_t from = open + 1;
    size_t i = from;
    for (; i < tokens->count; i++) {
        bool closes = tokens->item[i].depth == 0 && *tokens->item[i].start == ')';
        bool separates = tokens->item[i].depth == 1 && *tokens->item[i].start == ',';
        if (closes || separates) {
            rewrite_element(tokens, from, i, out, &first, dropped);
            from = i + 1;
        }
        if (closes) {
            break;
        }
    }
    rewrite_options(tokens, i, dropped);
}

static enum slt_verdict rewrite_create(const struct tokens *tokens, const char *options,
                                       struct text *out, unsigned long dropped[SLT_CLAUSE_COUNT]) {
    bool temporary = is(tokens, 1, "TEMP") || is(tokens, 1, "TEMPORARY");
    size_t name = temporary ? 3 : 2;
    text_add(out, "CREATE VIRTUAL TABLE ");
    if (is(tokens, name, "IF")) {
        text_add(out, "IF NOT EXISTS ");
        name += 3;
    }
    size_t open = name;
    while (open < tokens->count && *tokens->item[open].start != '(') {
        open++;
    }
    if (is(tokens, name + 1, "AS") || is(tokens, name + 3, "AS") || open >= tokens->count) {
        return SLT_SKIP_AS_SELECT;
    }
    for (size_t i = open; i < tokens->count; i++) {
        if (tokens->item[i].depth == 1 && (is(tokens, i, "GENERATED") || is(tokens, i, "AS"))) {
            return SLT_SKIP_GENERATED;
        }
    }
    text_add(out, "%s", temporary && open == name + 1 ? "temp." : "");
    copy_tokens(out, tokens, name, open, false);
    text_add(out, " USING faster(");
    rewrite_definitions(tokens, open, out, dropped);
    text_add(out, "%s)", options);
    return SLT_RUN;
}

static enum slt_verdict rewrite(const char *sql, const struct tokens *tokens, const char *options,
                                struct text *out, unsigned long dropped[SLT_CLAUSE_COUNT]) {
    bool create = is(tokens, 0, "CREATE");
    size_t what = 1;
    while (create && (is(tokens, what, "UNIQUE") || is(tokens, what, "TEMP") ||
                      is(tokens, what, "TEMPORARY"))) {
        what++;
    }
    if (create && is(tokens, what, "TABLE")) {
        return rewrite_create(tokens, options, out, dropped);
    }
    if (create || is(tokens, 0, "DROP")) {
        if (is(tokens, what, "INDEX")) {
            return SLT_SKIP_INDEX;
        }
        if (is(tokens, what, "TRIGGER")) {
            return SLT_SKIP_TRIGGER;
        }
    }
    if (is(tokens, 0, "REINDEX")) {
        return SLT_SKIP_INDEX;
    }
    for (size_t i = 1; i < tokens->count; i++) {
        if (is(tokens, i, "BY") && is(tokens, i - 1, "INDEXED")) {
            return SLT_SKIP_INDEX;
        }
    }
    text_add(out, "%s", sql);
    return SLT_RUN;
}

enum slt_verdict slt_rewrite(const char *sql, const char *options, struct text *out,
                             unsigned long dropped[SLT_CLAUSE_COUNT]) {
    struct tokens tokens = {0};
    text_clear(out);
    tokens_read(&tokens, sql);
    enum slt_verdict verdict = rewrite(sql, &tokens, options, out, dropped);
    free(tokens.item);
    return verdict;
}
