/*
 * Loaded before the C library of a process, it shifts what that process believes the time of day to be
 * by the milliseconds in the file that SHIFTED_CLOCK names: a test changes them while it runs. Clocks
 * that only measure how long something takes are left alone, as they are when somebody sets a clock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
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

int clock_gettime(clockid_t clock, struct timespec *time) {
  int failed = syscall(SYS_clock_gettime, clock, time);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t nanoseconds = time->tv_nsec + shift() % 1000 * 1000000;
  time->tv_sec += shift() / 1000;
  if (nanoseconds < 0) time->tv_sec -= 1, nanoseconds += 1000000000;
  if (nanoseconds >= 1000000000) time->tv_sec += 1, nanoseconds -= 1000000000;
  time->tv_nsec = nanoseconds;
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
