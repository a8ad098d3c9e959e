/* fibre.h - stacks that one thread switches between.
 *
 * Only the mechanism: who runs next is decided by sched.c (every order of a few steps) or
 * sim_run.c (a whole system, one order for each seed). All fibres belong to one thread.
 */
#ifndef FST_TESTS_SUPPORT_FIBRE_H
#define FST_TESTS_SUPPORT_FIBRE_H

#include <ucontext.h>

/* In the caller's memory, where it stays from init to finish. */
struct fibre {
    ucontext_t context;
    void *stack; /* NULL: the thread's own */
};

/* The code that is running becomes a fibre: the first one to switch from. */
void fibre_init_running(struct fibre *fibre);

/* A fibre that begins with run() when it is first switched to. run() does not return: the last
 * thing it does is to switch away. The stack comes from a pool, with a page below it that may
 * not be touched; without memory the program ends. */
void fibre_init(struct fibre *fibre, void (*run)(void));

/* Returns when somebody switches to `from` again. */
void fibre_switch(struct fibre *from, struct fibre *to);

/* The stack goes back to the pool. The fibre is not the running one, and is not switched to any
 * more. */
void fibre_finish(struct fibre *fibre);

#endif
