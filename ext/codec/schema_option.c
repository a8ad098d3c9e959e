/* schema_option.c - name=value arguments. */
#include <string.h>

#include "codec/schema_parser.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

enum option {
    OPTION_PATH,
    OPTION_MEMORY,
    OPTION_PAGE_SIZE,
    OPTION_SEGMENT_SIZE,
    OPTION_INLINE,
    OPTION_CHECKPOINT_BYTES,
    OPTION_CHECKPOINT_INTERVAL,
    OPTION_WRITES
};

#define ALLOWED_OPTIONS                                                                            \
    "path, memory, page_size, segment_size, inline_commit, checkpoint_bytes, "                     \
    "checkpoint_interval, writes"

static const struct {
    const char *name;
    uint64_t min; /* bytes, or what it counts */
    uint64_t max;
    bool power_of_two;
    bool or_zero;
    bool is_count;     /* a number without a unit */
    const char *range; /* for messages */
} options[] = {
    [OPTION_PATH] = {.name = "path"},
    [OPTION_MEMORY] = {"memory", MIB, 16384 * GIB, .range = "1MiB to 16384GiB"},
    [OPTION_PAGE_SIZE] = {"page_size", 16 * KIB, 64 * MIB, .power_of_two = true,
                          .range = "a power of two from 16KiB to 64MiB"},
    [OPTION_SEGMENT_SIZE] = {"segment_size", 16 * KIB, 64 * GIB, .power_of_two = true,
                             .range = "a power of two from 16KiB to 64GiB, not below page_size"},
    [OPTION_INLINE] = {"inline_commit", 0, 64 * MIB, .range = "0 (never) to 64MiB"},
    [OPTION_CHECKPOINT_BYTES] = {"checkpoint_bytes", FASTER_CHECKPOINT_BYTES_MIN, 16384 * GIB,
                                 .or_zero = true, .range = "0 (never), and 64KiB to 16384GiB"},
    [OPTION_CHECKPOINT_INTERVAL] = {"checkpoint_interval", 0, 86400, .is_count = true,
                                    .range = "0 (never) to 86400 seconds"},
    [OPTION_WRITES] = {.name = "writes", .range = "'transactional' or 'direct'"},
};

/* Reads '4096' or '64 MiB'. The product is at most UINT64_MAX: what overflows is false. */
static bool parse_size(const char *text, uint64_t *size_bytes) {
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {{"", 1},      {"B", 1},     {"KB", 1000}, {"MB", 1000 * 1000}, {"GB", 1000000000},
                 {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}};
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > UINT64_MAX / 10 - 1) {
            return false;
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (at == text) {
        return false;
    }
    at += strspn(at, " ");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (sqlite3_stricmp(at, units[i].name) == 0) {
            *size_bytes = number * units[i].factor;
            return number <= UINT64_MAX / units[i].factor;
        }
    }
    return false;
}

static int fail_range(struct schema_parser *parser, enum option option, const char *value) {
    return schema_parser_fail(parser, "option \"%s\" is '%q'; allowed is %s", options[option].name,
                              value, options[option].range);
}

/* False if the value is not allowed. */
static bool read_size(enum option option, const char *value, uint64_t *size_bytes) {
    if (!parse_size(value, size_bytes) ||
        (options[option].is_count && value[strspn(value, "0123456789")] != '\0')) {
        return false;
    }
    if (options[option].or_zero && *size_bytes == 0) {
        return true;
    }
    return *size_bytes >= options[option].min && *size_bytes <= options[option].max &&
           (!options[option].power_of_two || (*size_bytes & (*size_bytes - 1)) == 0);
}

static int set_size(struct schema_parser *parser, enum option option, const char *value,
                    uint64_t *size_bytes) {
    uint64_t number;
    if (!read_size(option, value, &number)) {
        return fail_range(parser, option, value);
    }
    *size_bytes = number;
    return SQLITE_OK;
}

static enum option option_of(enum schema_setting setting) {
    static const enum option of[SCHEMA_SETTING_COUNT] = {
        [SCHEMA_SETTING_MEMORY] = OPTION_MEMORY,
        [SCHEMA_SETTING_INLINE_COMMIT] = OPTION_INLINE,
        [SCHEMA_SETTING_CHECKPOINT_BYTES] = OPTION_CHECKPOINT_BYTES,
        [SCHEMA_SETTING_CHECKPOINT_INTERVAL] = OPTION_CHECKPOINT_INTERVAL};
    return of[setting];
}

const char *schema_setting_name(enum schema_setting setting) {
    return options[option_of(setting)].name;
}

const char *schema_setting_range(enum schema_setting setting) {
    return options[option_of(setting)].range;
}

bool schema_setting_find(const char *name, enum schema_setting *setting) {
    for (int i = 0; i < SCHEMA_SETTING_COUNT && name != NULL; i++) {
        *setting = (enum schema_setting)i;
        if (sqlite3_stricmp(name, schema_setting_name(*setting)) == 0) {
            return true;
        }
    }
    return false;
}

bool schema_setting_parse(enum schema_setting setting, const char *value, uint64_t *size_bytes) {
    return value != NULL && read_size(option_of(setting), value, size_bytes);
}

void schema_setting_apply(enum schema_setting setting, uint64_t size_bytes,
                          struct schema_options *given) {
    switch (setting) {
    case SCHEMA_SETTING_MEMORY:
        given->memory_bytes = size_bytes;
        break;
    case SCHEMA_SETTING_INLINE_COMMIT:
        given->inline_commit_bytes = size_bytes == 0 ? UINT64_MAX : size_bytes;
        break;
    case SCHEMA_SETTING_CHECKPOINT_BYTES:
        given->checkpoint_bytes = size_bytes == 0 ? UINT64_MAX : size_bytes;
        break;
    case SCHEMA_SETTING_CHECKPOINT_INTERVAL:
        given->checkpoint_interval_seconds = (uint32_t)size_bytes;
        break;
    case SCHEMA_SETTING_COUNT:
        break;
    }
}

const char *schema_writes_name(enum faster_writes writes) {
    return writes == FASTER_WRITES_DIRECT ? "direct" : "transactional";
}

bool schema_writes_parse(const char *text, enum faster_writes *writes) {
    for (int i = FASTER_WRITES_TRANSACTIONAL; i <= FASTER_WRITES_DIRECT && text != NULL; i++) {
        *writes = (enum faster_writes)i;
        if (sqlite3_stricmp(text, schema_writes_name(*writes)) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes ownership of value. */
static int set_path(struct schema_parser *parser, char *value) {
    if (value[0] == '\0') {
        sqlite3_free(value);
        return schema_parser_fail(parser, "option \"path\" is ''; allowed is a directory's name");
    }
    parser->schema->options.path = value;
    return SQLITE_OK;
}

/* One whose 0 means something. */
static int set_setting(struct schema_parser *parser, enum option option, const char *value,
                       enum schema_setting setting) {
    uint64_t number = 0;
    int rc = set_size(parser, option, value, &number);
    if (rc == SQLITE_OK) {
        schema_setting_apply(setting, number, &parser->schema->options);
    }
    return rc;
}

/* Takes ownership of value. */
static int set_option(struct schema_parser *parser, enum option option, char *value) {
    struct schema_options *given = &parser->schema->options;
    int rc = SQLITE_OK;
    switch (option) {
    case OPTION_PATH:
        return set_path(parser, value);
    case OPTION_MEMORY:
        rc = set_size(parser, option, value, &given->memory_bytes);
        break;
    case OPTION_PAGE_SIZE:
        rc = set_size(parser, option, value, &given->page_bytes);
        break;
    case OPTION_SEGMENT_SIZE:
        rc = set_size(parser, option, value, &given->segment_bytes);
        break;
    case OPTION_INLINE:
        rc = set_setting(parser, option, value, SCHEMA_SETTING_INLINE_COMMIT);
        break;
    case OPTION_CHECKPOINT_BYTES:
        rc = set_setting(parser, option, value, SCHEMA_SETTING_CHECKPOINT_BYTES);
        break;
    case OPTION_CHECKPOINT_INTERVAL:
        rc = set_setting(parser, option, value, SCHEMA_SETTING_CHECKPOINT_INTERVAL);
        break;
    case OPTION_WRITES:
        rc = schema_writes_parse(value, &given->writes) ? SQLITE_OK
                                                        : fail_range(parser, option, value);
        break;
    }
    sqlite3_free(value);
    return rc;
}

static int find_option(struct schema_parser *parser, enum option *option) {
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (!schema_token_is_word(&parser->token, options[i].name)) {
            continue;
        }
        *option = (enum option)i;
        if ((parser->options_given & (1u << i)) != 0) {
            return schema_parser_fail(parser, "option \"%s\" is given twice; allowed once are %s",
                                      options[i].name, ALLOWED_OPTIONS);
        }
        parser->options_given |= 1u << i;
        return SQLITE_OK;
    }
    return schema_parser_fail(parser, "unknown option \"%.*s\"; allowed are %s",
                              (int)parser->token.size_bytes, parser->token.text, ALLOWED_OPTIONS);
}

int schema_parse_option(struct schema_parser *parser) {
    enum option option = OPTION_PATH;
    int rc = find_option(parser, &option);
    if (rc != SQLITE_OK) {
        return rc;
    }
    schema_parser_advance(parser);
    schema_parser_advance(parser); /* the equals sign */
    struct schema_token token = parser->token;
    schema_parser_advance(parser);
    if (token.kind == SCHEMA_TOKEN_END || token.kind == SCHEMA_TOKEN_MARK ||
        token.kind == SCHEMA_TOKEN_BLOB || parser->token.kind != SCHEMA_TOKEN_END) {
        return schema_parser_fail(
            parser, "option \"%s\": the value must be one word, number or quoted string",
            options[option].name);
    }
    char *value = schema_token_unquoted(&token);
    return value == NULL ? SQLITE_NOMEM : set_option(parser, option, value);
}

int schema_check_options(struct schema_parser *parser) {
    struct schema_options *given = &parser->schema->options;
    if (given->writes == 0) {
        given->writes = FASTER_WRITES_TRANSACTIONAL;
    }
    if (given->writes == FASTER_WRITES_DIRECT && given->inline_commit_bytes != 0) {
        return schema_parser_fail(parser, "option \"inline_commit\" is for writes='transactional': "
                                          "a direct table has no commits in SQLite's journal");
    }
    if (given->segment_bytes != 0 && given->segment_bytes < given->page_bytes) {
        char value[32];
        sqlite3_snprintf((int)sizeof value, value, "%llu", given->segment_bytes);
        return fail_range(parser, OPTION_SEGMENT_SIZE, value);
    }
    return SQLITE_OK;
}
