/* no_uring.c - runs a program on a kernel that refuses io_uring, as containers do.
 *
 *     no_uring PROGRAM [ARGUMENTS...]
 *
 * The filter holds for all that the program starts. Exit code 77 (skipped) if there can be none.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_SKIPPED 77

int main(int argc, char **argv) {
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {
        .len = (unsigned short)(sizeof instructions / sizeof *instructions),
        .filter = instructions};

    if (argc < 2) {
        fprintf(stderr, "usage: no_uring PROGRAM [ARGUMENTS...]\n");
        return 2;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("no_uring: no filter");
        return EXIT_SKIPPED;
    }
    (void)execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
