/* fibre.c - see fibre.h. */
#include "fibre.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_BYTES (256u * 1024u)

/* Stacks that no fibre uses, linked through their first words above the guard page. They are kept
 * to the end of the program: a run of many short lives would otherwise map and fault in each. */
static void *free_stacks;

static size_t guard_bytes(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void *stack_map(void) {
    unsigned char *mapped = mmap(NULL, guard_bytes() + STACK_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mapped == MAP_FAILED || mprotect(mapped, guard_bytes(), PROT_NONE) != 0) {
        fprintf(stderr, "fibre: no memory for a stack\n");
        exit(EXIT_FAILURE);
    }
    return mapped + guard_bytes();
}

static void *stack_take(void) {
    void **stack = free_stacks;

    if (stack == NULL) {
        return stack_map();
    }
    free_stacks = *stack;
    return stack;
}

void fibre_init_running(struct fibre *fibre) {
    fibre->stack = NULL;
}

void fibre_init(struct fibre *fibre, void (*run)(void)) {
    fibre->stack = stack_take();
    (void)getcontext(&fibre->context);
    fibre->context.uc_stack.ss_sp = fibre->stack;
    fibre->context.uc_stack.ss_size = STACK_BYTES;
    fibre->context.uc_link = NULL;
    makecontext(&fibre->context, run, 0);
}

void fibre_switch(struct fibre *from, struct fibre *to) {
    (void)swapcontext(&from->context, &to->context);
}

void fibre_finish(struct fibre *fibre) {
    if (fibre->stack != NULL) {
        *(void **)fibre->stack = free_stacks;
        free_stacks = fibre->stack;
        fibre->stack = NULL;
    }
}
