/* Kill a process at its n-th call that writes: LD_PRELOAD this, name a file of sizeof(struct state) in CRASH_STATE.
 *
 * Whoever maps that file says which process counts (pid) and at which call it dies (at; 0: never), which count
 * (spared, only: what is not, and is, in their names: words with | between, or none), and reads how many there were and what each was. The signal comes before the call: what comes after one is before the next.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define CALLS 4096
#define NAME 120

struct state {
    volatile int64_t pid, at, count;
    char spared[NAME], only[NAME];
    char name[CALLS][NAME];
};

static struct state *state;

__attribute__((constructor)) static void map(void)
{
    const char *path = getenv("CRASH_STATE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        state = page;
}

static int has_one_of(const char *name, const char *words)
{
    char word[NAME];
    while (*words) {
        size_t length = strcspn(words, "|");
        snprintf(word, sizeof word, "%.*s", (int)length, words);
        if (length && strstr(name, word))
            return 1;
        words += length + (words[length] == '|');
    }
    return 0;
}

static void before(const char *call, const char *path, int descriptor)
{
    if (!state || state->pid != getpid())
        return;
    char link[32], target[NAME] = "", name[NAME];
    if (path == NULL && descriptor >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
    }
    const char *shown = path ? path : target;
    size_t length = strlen(shown), room = NAME - 20;
    snprintf(name, NAME, "%s %s", call, shown + (length > room ? length - room : 0));
    if (has_one_of(name, (const char *)state->spared) || (state->only[0] && !has_one_of(name, (const char *)state->only)))
        return;
    int64_t number = __atomic_add_fetch(&state->count, 1, __ATOMIC_SEQ_CST);
    if (number <= CALLS)
        memcpy(state->name[number - 1], name, NAME);
    if (number == state->at)
        kill(getpid(), SIGKILL);
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define WRAP1(type, name, A, a, path, descriptor)                                                                \
    type name(A a)                                                                                                     \
    {                                                                                                                  \
        before(#name, path, descriptor);                                                                               \
        return REAL(type, name, A)(a);                                                                                 \
    }
#define WRAP2(type, name, A, a, B, b, path, descriptor)                                                                \
    type name(A a, B b)                                                                                                \
    {                                                                                                                  \
        before(#name, path, descriptor);                                                                               \
        return REAL(type, name, A, B)(a, b);                                                                           \
    }
#define WRAP3(type, name, A, a, B, b, C, c, path, descriptor)                                                          \
    type name(A a, B b, C c)                                                                                           \
    {                                                                                                                  \
        before(#name, path, descriptor);                                                                               \
        return REAL(type, name, A, B, C)(a, b, c);                                                                     \
    }
#define WRAP4(type, name, A, a, B, b, C, c, D, d, path, descriptor)                                                    \
    type name(A a, B b, C c, D d)                                                                                      \
    {                                                                                                                  \
        before(#name, path, descriptor);                                                                               \
        return REAL(type, name, A, B, C, D)(a, b, c, d);                                                               \
    }
#define WRAP5(type, name, A, a, B, b, C, c, D, d, E, e, path, descriptor)                                              \
    type name(A a, B b, C c, D d, E e)                                                                                 \
    {                                                                                                                  \
        before(#name, path, descriptor);                                                                               \
        return REAL(type, name, A, B, C, D, E)(a, b, c, d, e);                                                         \
    }
typedef const char *text;
typedef const void *bytes;

WRAP3(ssize_t, write, int, file, bytes, from, size_t, size, NULL, file)
WRAP4(ssize_t, pwrite, int, file, bytes, from, size_t, size, off_t, at, NULL, file)
WRAP4(ssize_t, pwrite64, int, file, bytes, from, size_t, size, off64_t, at, NULL, file)
WRAP3(ssize_t, writev, int, file, const struct iovec *, from, int, count, NULL, file)
WRAP4(ssize_t, pwritev, int, file, const struct iovec *, from, int, count, off_t, at, NULL, file)
WRAP4(ssize_t, pwritev64, int, file, const struct iovec *, from, int, count, off64_t, at, NULL, file)
WRAP4(ssize_t, send, int, file, bytes, from, size_t, size, int, flags, NULL, file)
WRAP3(ssize_t, sendmsg, int, file, const struct msghdr *, message, int, flags, NULL, file)
WRAP1(int, fsync, int, file, NULL, file)
WRAP1(int, fdatasync, int, file, NULL, file)
WRAP1(int, syncfs, int, file, NULL, file)
WRAP2(int, link, text, path, text, to, to, -1)
WRAP5(int, linkat, int, folder, text, path, int, there, text, to, int, flags, to, -1)
WRAP2(int, symlink, text, path, text, to, to, -1)
WRAP3(int, symlinkat, text, path, int, there, text, to, to, -1)
WRAP2(int, rename, text, path, text, to, to, -1)
WRAP4(int, renameat, int, folder, text, path, int, there, text, to, to, -1)
WRAP5(int, renameat2, int, folder, text, path, int, there, text, to, unsigned, flags, to, -1)
WRAP1(int, unlink, text, path, path, -1)
WRAP3(int, unlinkat, int, folder, text, path, int, flags, path, -1)
WRAP1(int, rmdir, text, path, path, -1)
WRAP2(int, mkdir, text, path, mode_t, mode, path, -1)
WRAP3(int, mkdirat, int, folder, text, path, mode_t, mode, path, -1)
WRAP2(int, chmod, text, path, mode_t, mode, path, -1)
WRAP2(int, fchmod, int, file, mode_t, mode, NULL, file)
WRAP4(int, fchmodat, int, folder, text, path, mode_t, mode, int, flags, path, -1)
WRAP3(int, chown, text, path, uid_t, user, gid_t, group, path, -1)
WRAP3(int, fchown, int, file, uid_t, user, gid_t, group, NULL, file)
WRAP2(int, truncate, text, path, off_t, size, path, -1)
WRAP2(int, ftruncate, int, file, off_t, size, NULL, file)
WRAP2(int, truncate64, text, path, off64_t, size, path, -1)
WRAP2(int, ftruncate64, int, file, off64_t, size, NULL, file)
WRAP4(int, fallocate, int, file, int, mode, off_t, at, off_t, size, NULL, file)
WRAP2(int, memfd_create, text, path, unsigned, flags, path, -1)
WRAP4(ssize_t, sendfile, int, file, int, from, off_t *, at, size_t, size, NULL, file)
WRAP4(ssize_t, sendfile64, int, file, int, from, off64_t *, at, size_t, size, NULL, file)

ssize_t sendto(int file, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t length)
{
    before("sendto", NULL, file);
    return REAL(ssize_t, sendto, int, const void *, size_t, int, const struct sockaddr *, socklen_t)(
        file, from, size, flags, to, length);
}

int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    before("utimensat", path, folder);
    return REAL(int, utimensat, int, const char *, const struct timespec *, int)(folder, path, times, flags);
}

int futimens(int file, const struct timespec times[2])
{
    before("futimens", NULL, file);
    return REAL(int, futimens, int, const struct timespec *)(file, times);
}

/* Opening counts where it may make a file, or empty one. */
#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        if (flags & (O_CREAT | O_TRUNC))                                                                               \
            before(#name, path, -1);                                                                                   \
        return REAL(int, name, const char *, int, mode_t)(path, flags, mode);                                          \
    }
#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...)                                                             \
    {                                                                                                                  \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        if (flags & (O_CREAT | O_TRUNC))                                                                               \
            before(#name, path, -1);                                                                                   \
        return REAL(int, name, int, const char *, int, mode_t)(folder, path, flags, mode);                             \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
