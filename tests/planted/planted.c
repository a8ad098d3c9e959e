/* planted.c - which bug of bugs.txt is active in this process; see plant.py. */
#include <stdlib.h>

extern int planted;

int planted;

/* Before main(): no code runs without knowing. */
__attribute__((constructor)) static void read_planted(void) {
    const char *number = getenv("FASTER_PLANTED");
    planted = number == NULL ? 0 : atoi(number);
}
