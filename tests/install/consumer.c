/* consumer.c - a program outside the project that uses the installed library. */
#include <faster.h>
#include <stdio.h>

int main(void) {
    struct faster_options options = {0};
    struct faster_error error = {0};
    struct faster_store *store = NULL;
    enum faster_status status = faster_store_open(&options, &store, &error);
    if (status != FASTER_OK) {
        fprintf(stderr, "%s: %s\n", faster_status_name(status), error.message);
        return 1;
    }
    struct faster_stat stats[256];
    printf("version %s, %zu figures\n", FASTER_VERSION, faster_store_stats(store, stats, 256));
    faster_store_close(store);
    return 0;
}
