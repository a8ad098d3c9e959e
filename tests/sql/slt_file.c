/* slt_file.c - reads the records of a sqllogictest file.
 *
 * A record is a run of lines ended by a blank line: conditions (skipif, onlyif), a head
 * (statement, query, halt, hash-threshold), SQL, and for a query a line of dashes and the
 * expected values. Lines that start with # between records are comments. Line ends may be
 * LF or CRLF.
 */
#include "slt_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void slt_file_open(struct slt_file *file, const char *path) {
    memset(file, 0, sizeof *file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) {
        test_fail("cannot open %s", path);
    }
    struct text content = {0};
    char block[65536];
    size_t count = 0;
    while ((count = fread(block, 1, sizeof block, stream)) > 0) {
        text_add_bytes(&content, block, count);
    }
    if (ferror(stream)) {
        test_fail("cannot read %s", path);
    }
    fclose(stream);
    file->content = content.data;
    file->size_bytes = content.size_bytes;
}

void slt_file_close(struct slt_file *file) {
    free(file->content);
    text_finish(&file->sql);
    text_finish(&file->expected);
    memset(file, 0, sizeof *file);
}

/* The next line without its end, or NULL. Cuts the line out of the content. */
static char *next_line(struct slt_file *file) {
    if (file->position >= file->size_bytes) {
        return NULL;
    }
    char *line = file->content + file->position;
    char *newline = memchr(line, '\n', file->size_bytes - file->position);
    size_t length = newline ? (size_t)(newline - line) : file->size_bytes - file->position;
    file->position += length + 1;
    file->line++;
    if (length > 0 && line[length - 1] == '\r') {
        length--;
    }
    line[length] = 0;
    return line;
}

static bool starts_with(const char *line, const char *word) {
    size_t length = strlen(word);
    return strncmp(line, word, length) == 0 && (line[length] == 0 || line[length] == ' ');
}

/* Copies the word number `index` of the line; "" if there is none or a comment begins. */
static void word_at(const char *line, unsigned index, char word[SLT_WORD_BYTES]) {
    const char *at = line;
    word[0] = 0;
    for (unsigned i = 0; *at && *at != '#'; i++) {
        size_t length = strcspn(at, " \t");
        if (i == index) {
            snprintf(word, SLT_WORD_BYTES, "%.*s", (int)length, at);
            return;
        }
        at += length;
        at += strspn(at, " \t");
    }
}

static void read_condition(const char *line, struct slt_record *record) {
    char engine[SLT_WORD_BYTES];
    word_at(line, 1, engine);
    bool ours = strcmp(engine, "sqlite") == 0;
    if (starts_with(line, "skipif") == ours) {
        record->for_other_engine = true;
    }
}

/* Reads SQL up to a blank line, or to the dashes of a query. True if dashes were met. */
static bool read_sql(struct slt_file *file, struct slt_record *record) {
    char *line = NULL;
    bool dashes = false;
    text_clear(&file->sql);
    while ((line = next_line(file)) != NULL && *line) {
        if (strcmp(line, "----") == 0) {
            dashes = true;
            break;
        }
        text_add(&file->sql, "%s%s", file->sql.size_bytes ? "\n" : "", line);
    }
    record->sql = file->sql.data ? file->sql.data : "";
    return dashes;
}

static void read_expected(struct slt_file *file, struct slt_record *record) {
    char *line = NULL;
    text_clear(&file->expected);
    while ((line = next_line(file)) != NULL && *line) {
        text_add(&file->expected, "%s\n", line);
    }
    record->expected = file->expected.size_bytes ? file->expected.data : "";
}

static void read_query(struct slt_file *file, const char *head, struct slt_record *record) {
    char sort[SLT_WORD_BYTES];
    record->kind = SLT_QUERY;
    word_at(head, 1, record->types);
    word_at(head, 2, sort);
    word_at(head, 3, record->label);
    record->sort = strcmp(sort, "rowsort") == 0     ? SLT_SORT_ROWS
                   : strcmp(sort, "valuesort") == 0 ? SLT_SORT_VALUES
                                                    : SLT_SORT_NONE;
    record->expected = "";
    record->has_expected = read_sql(file, record);
    if (record->has_expected) {
        read_expected(file, record);
    }
}

void slt_file_next(struct slt_file *file, struct slt_record *record) {
    memset(record, 0, sizeof *record);
    char *line = NULL;
    while ((line = next_line(file)) != NULL) {
        if (*line == 0 || *line == '#') {
            continue;
        }
        if (record->line == 0) {
            record->line = file->line;
        }
        if (starts_with(line, "skipif") || starts_with(line, "onlyif")) {
            read_condition(line, record);
        } else if (starts_with(line, "statement")) {
            char outcome[SLT_WORD_BYTES];
            word_at(line, 1, outcome);
            record->kind = SLT_STATEMENT;
            record->error_expected = strcmp(outcome, "error") == 0;
            read_sql(file, record);
            return;
        } else if (starts_with(line, "query")) {
            read_query(file, line, record);
            return;
        } else {
            record->kind = starts_with(line, "halt")             ? SLT_HALT
                           : starts_with(line, "hash-threshold") ? SLT_HASH_THRESHOLD
                                                                 : SLT_UNKNOWN;
            return;
        }
    }
    record->kind = SLT_END;
}
