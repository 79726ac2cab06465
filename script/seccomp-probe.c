/* Tries what the seccomp profiles allow and deny, and prints one line a check. Run it as PID 1 of a
 * container: like the supervisor it is not dumpable there, and a child of it does the checks.
 * Exit status: the number of surprises (at most 100).
 *
 * usage: seccomp-probe isolation|full [tty]
 *
 * Every denied call is made with arguments that do no harm where it is let through. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Missing from older kernel headers; the same on every architecture. */
#define NR_IO_URING_SETUP 425
#define NR_OPEN_TREE 428
#define NR_FSOPEN 430
#define NR_CLONE3 435
#define NR_PIDFD_OPEN 434

static int surprises;

static void report(const char *what, long result, int error, int expected) {
    int got = result == -1 ? error : 0;
    int good = got == expected;
    printf("%s %s: %s", good ? "ok  " : "FAIL", what, got ? strerror(got) : "allowed");
    if (!good) {
        printf(" (expected: %s)", expected ? strerror(expected) : "allowed");
        surprises++;
    }
    puts("");
    fflush(stdout);
}

/* `expected` is 0 or an errno. */
#define CHECK(what, expected, call)                  \
    do {                                             \
        errno = 0;                                   \
        long result_ = (long)(call);                 \
        report(what, result_, errno, expected);      \
    } while (0)

static void *thread(void *argument) {
    return argument;
}

static int join_thread(void) {
    pthread_t id;
    if (pthread_create(&id, NULL, thread, NULL) != 0)
        return -1;
    return pthread_join(id, NULL);
}

/* Code written and then made executable, as a JIT compiler does. */
static int jit(void) {
#if defined(__x86_64__)
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
    static const unsigned char code[] = {0x40, 5, 0x80, 0x52, 0xc0, 3, 0x5f, 0xd6};
#endif
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -1;
    memcpy(page, code, sizeof code);
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0)
        return -1;
    __builtin___clear_cache(page, (char *)page + sizeof code);
    return ((int (*)(void))page)() == 42 ? 0 : -1;
}

static int trace_child(void) {
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(errno);
        raise(SIGSTOP);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status)) {
        errno = WEXITSTATUS(status);
        return -1;
    }
    ptrace(PTRACE_CONT, child, 0, 0);
    waitpid(child, &status, 0);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 2 || getpid() != 1)
        return fputs("usage, as PID 1: seccomp-probe isolation|full [tty]\n", stderr), 101;
    prctl(PR_SET_DUMPABLE, 0);
    pid_t child = fork();
    if (child != 0) {
        int status = 0;
        waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 102;
    }
    prctl(PR_SET_DUMPABLE, 1);

    int full = strcmp(argv[1], "full") == 0;
    int in_full = full ? 0 : EPERM;
    const long one = (1L << 32) | 1; /* 1, for a kernel that takes an int */
    struct rlimit limit;
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof cpus, &cpus);
    getrlimit(RLIMIT_NOFILE, &limit);

    puts("# the supervisor's limits, niceness and processors");
    CHECK("prlimit set pid 1", EPERM, syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, &limit, NULL));
    CHECK("prlimit set pid 2^32+1", EPERM, syscall(SYS_prlimit64, one, RLIMIT_NOFILE, &limit, NULL));
    CHECK("prlimit set self as 0", 0, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
    CHECK("prlimit get self by id", 0, syscall(SYS_prlimit64, getpid(), RLIMIT_NOFILE, NULL, &limit));
    CHECK("setrlimit", 0, setrlimit(RLIMIT_NOFILE, &limit));
    CHECK("setpriority user", EPERM, syscall(SYS_setpriority, PRIO_USER, 0, 1));
    CHECK("setpriority 2^32+user", EPERM, syscall(SYS_setpriority, (1L << 32) | PRIO_USER, 0, 1));
    CHECK("setpriority pid 1", EPERM, syscall(SYS_setpriority, PRIO_PROCESS, 1, 1));
    CHECK("setpriority pid 2^32+1", EPERM, syscall(SYS_setpriority, PRIO_PROCESS, one, 1));
    CHECK("setpriority group 1", EPERM, syscall(SYS_setpriority, PRIO_PGRP, 1, 1));
    CHECK("setpriority self as 0", 0, syscall(SYS_setpriority, PRIO_PROCESS, 0, 1));
    CHECK("setpriority self by id", 0, syscall(SYS_setpriority, PRIO_PROCESS, getpid(), 2));
    CHECK("ioprio_set pid 1", EPERM, syscall(SYS_ioprio_set, 1, 1, 2 << 13));
    CHECK("ioprio_set user", EPERM, syscall(SYS_ioprio_set, 3, 0, 2 << 13));
    CHECK("ioprio_set self by id", 0, syscall(SYS_ioprio_set, 1, getpid(), 2 << 13));
    CHECK("sched_setaffinity pid 1", EPERM, syscall(SYS_sched_setaffinity, 1, sizeof cpus, &cpus));
    CHECK("sched_setaffinity pid 2^32+1", EPERM, syscall(SYS_sched_setaffinity, one, sizeof cpus, &cpus));
    CHECK("sched_setaffinity self by id", 0, syscall(SYS_sched_setaffinity, getpid(), sizeof cpus, &cpus));
    CHECK("sched_setaffinity self as 0", 0, syscall(SYS_sched_setaffinity, 0, sizeof cpus, &cpus));
    struct sched_param param = {0};
    CHECK("sched_setscheduler pid 1", EPERM, syscall(SYS_sched_setscheduler, 1, SCHED_BATCH, &param));
    CHECK("sched_setscheduler self as 0", 0, syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &param));

    puts("# namespaces and mounts");
    CHECK("unshare user", EPERM, syscall(SYS_unshare, CLONE_NEWUSER));
    CHECK("clone new user namespace", EPERM, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    CHECK("clone3", ENOSYS, syscall(NR_CLONE3, NULL, 0));
    CHECK("setns", EPERM, syscall(SYS_setns, -1, 0));
    CHECK("mount", EPERM, syscall(SYS_mount, NULL, "/nowhere", NULL, 0, NULL));
    CHECK("umount", EPERM, syscall(SYS_umount2, "/nowhere", 0));
    CHECK("pivot_root", EPERM, syscall(SYS_pivot_root, "/nowhere", "/nowhere"));
    CHECK("chroot", EPERM, syscall(SYS_chroot, "/nowhere"));
    CHECK("open_tree", EPERM, syscall(NR_OPEN_TREE, -1, "/nowhere", 0));
    CHECK("fsopen", EPERM, syscall(NR_FSOPEN, "tmpfs", 0));

    puts("# the kernel's surface");
    struct perf_event_attr perf = {.size = sizeof perf, .exclude_kernel = 1};
    CHECK("bpf", EPERM, syscall(SYS_bpf, -1, NULL, 0));
    CHECK("perf_event_open", EPERM, syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0));
    CHECK("userfaultfd", EPERM, syscall(SYS_userfaultfd, 0));
    CHECK("io_uring_setup", EPERM, syscall(NR_IO_URING_SETUP, 0, NULL));
    CHECK("keyctl", EPERM, syscall(SYS_keyctl, 0, -3, 0));
    CHECK("add_key", EPERM, syscall(SYS_add_key, "", "", NULL, 0, 0));
    CHECK("reboot", EPERM, syscall(SYS_reboot, 0, 0, 0, NULL));
    CHECK("kexec_load", EPERM, syscall(SYS_kexec_load, 0, 0, NULL, ~0UL));
    CHECK("init_module", EPERM, syscall(SYS_init_module, NULL, 0, ""));
    CHECK("clock_settime", EPERM, syscall(SYS_clock_settime, -1, NULL));
    CHECK("adjtimex", EPERM, syscall(SYS_adjtimex, NULL));
    CHECK("mknod block device", EPERM, mknod("/tmp/probe-block", S_IFBLK | 0600, 0));
    CHECK("mknod FIFO", 0, mknod("/tmp/probe-fifo", S_IFIFO | 0600, 0));
    unlink("/tmp/probe-fifo");

    puts("# sockets");
    CHECK("AF_UNIX", 0, socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK("AF_INET", 0, socket(AF_INET, SOCK_STREAM, 0));
    CHECK("AF_INET6", 0, socket(AF_INET6, SOCK_STREAM, 0));
    CHECK("AF_VSOCK", EPERM, socket(AF_VSOCK, SOCK_STREAM, 0));
    CHECK("AF_ALG", EPERM, socket(AF_ALG, SOCK_SEQPACKET, 0));
    CHECK("AF_PACKET", EPERM, socket(AF_PACKET, SOCK_RAW, 0));
    CHECK("AF_INET raw", EPERM, socket(AF_INET, SOCK_RAW, 1));
    CHECK("AF_NETLINK route", in_full, socket(AF_NETLINK, SOCK_RAW, 0));
    CHECK("AF_NETLINK netfilter", EPERM, socket(AF_NETLINK, SOCK_RAW, 12));
    int pair[2];
    CHECK("socketpair", 0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));

    puts("# debuggers");
    CHECK("ptrace own child", in_full, trace_child());
    CHECK("ptrace pid 1", EPERM, ptrace(PTRACE_SEIZE, 1, 0, 0));
    char byte;
    struct iovec here = {&byte, 1};
    CHECK("process_vm_readv pid 1", EPERM, syscall(SYS_process_vm_readv, 1, &here, 1, &here, 1, 0));
    CHECK("personality ADDR_NO_RANDOMIZE", in_full, personality(ADDR_NO_RANDOMIZE));
    CHECK("personality, asking", 0, personality(0xffffffff));

    puts("# what runtimes need");
    CHECK("threads", 0, join_thread());
    CHECK("JIT", 0, jit());
    CHECK("memfd_create", 0, memfd_create("probe", 0));
    CHECK("pidfd_open", 0, syscall(NR_PIDFD_OPEN, getpid(), 0));
    CHECK("get_mempolicy", 0, syscall(SYS_get_mempolicy, NULL, NULL, 0, NULL, 0));

    int bytes;
    CHECK("ioctl FIONREAD", 0, ioctl(pair[0], FIONREAD, &bytes));
    if (argc > 2) {
        puts("# a terminal");
        struct winsize size;
        pid_t group;
        CHECK("ioctl TIOCGWINSZ", 0, ioctl(0, TIOCGWINSZ, &size));
        CHECK("ioctl TIOCSWINSZ", 0, ioctl(0, TIOCSWINSZ, &size));
        CHECK("ioctl TIOCGPGRP", 0, ioctl(0, TIOCGPGRP, &group));
        CHECK("ioctl FIONBIO", 0, ioctl(0, FIONBIO, &(int){0}));
        CHECK("ioctl TIOCSTI", EPERM, syscall(SYS_ioctl, 0, (long)TIOCSTI, "x"));
        CHECK("ioctl 2^32+TIOCSTI", EPERM, syscall(SYS_ioctl, 0, (1L << 32) | TIOCSTI, "x"));
        CHECK("ioctl TIOCLINUX", EPERM, syscall(SYS_ioctl, 0, (long)TIOCLINUX, "\6"));
    }
    printf("%d surprises\n", surprises);
    return surprises > 100 ? 100 : surprises;
}
