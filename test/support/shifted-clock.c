/*
 * Loaded before the C library of a process, it shifts what that process believes the time of day to be
 * by the milliseconds in the file that SHIFTED_CLOCK names: a test changes them while it runs. Clocks
 * that only measure how long something takes are left alone, as they are when somebody sets a clock.
 *
 * A wait until a time of day is the exception: the kernel measures it by the true clock. Without the
 * shift taken off, a wait in a process whose clock is behind ends at once and is begun again, for as
 * long as the process likes: the threads of the JavaScript engine use whole cores for that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_ms;

static int64_t shift(void) {
  if (shift_ms == NULL) {
    static const int64_t none = 0;
    const char *path = getenv("SHIFTED_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY);
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    shift_ms = page == MAP_FAILED ? &none : page;
  }
  return *shift_ms;
}

static void move(struct timespec *time, int64_t ms) {
  int64_t nanoseconds = time->tv_nsec + ms % 1000 * 1000000;
  time->tv_sec += ms / 1000;
  if (nanoseconds < 0) time->tv_sec -= 1, nanoseconds += 1000000000;
  if (nanoseconds >= 1000000000) time->tv_sec += 1, nanoseconds -= 1000000000;
  time->tv_nsec = nanoseconds;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int failed = syscall(SYS_clock_gettime, clock, time);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  move(time, shift());
  return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  (void)zone;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

/* Bun sets no other clock for any condition: all of these deadlines are times of day. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
  typedef int (*wait_t)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  static wait_t wait;
  if (wait == NULL) wait = (wait_t)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec true_deadline = *deadline;
  move(&true_deadline, -shift());
  return wait(condition, mutex, &true_deadline);
}
