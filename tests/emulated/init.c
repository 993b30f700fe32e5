/* Process 1 of the emulated machine: runs /test, tells the host how it ended, and powers off.
 *
 * /test.args and /test.env hold NUL-terminated strings: argv from argv[0] on, and the environment.
 * The host reads the record "\036TEST-EXIT <code> sig <signal>" from the serial console (036 octal
 * is ASCII's record separator); everything else there is the program's own output. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { kMaxStrings = 256, kMaxBytes = 1 << 16, kKernelLogBytes = 1 << 18 };
enum { kShutdownPort = 0x8900, kReadAllOfKernelLog = 3 };

/* Splits the NUL-terminated strings of `path` into a NULL-terminated vector. */
static char **read_strings(const char *path) {
  char **strings = calloc(kMaxStrings + 1, sizeof *strings);
  char *bytes = calloc(kMaxBytes + 1, 1);
  const int file = open(path, O_RDONLY);
  if (!strings || !bytes || file < 0) return strings;
  const ssize_t size = read(file, bytes, kMaxBytes);
  close(file);
  int count = 0;
  for (ssize_t at = 0; at < size && count < kMaxStrings; at += (ssize_t)strlen(bytes + at) + 1) {
    strings[count++] = bytes + at;
  }
  return strings;
}

static void make_filesystems(void) {
  mkdir("/proc", 0755);
  mkdir("/sys", 0755);
  mkdir("/dev", 0755);
  mkdir("/tmp", 01777);
  mount("proc", "/proc", "proc", 0, NULL);
  mount("sysfs", "/sys", "sysfs", 0, NULL);
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  mkdir("/dev/shm", 01777);
}

/* The kernel hands process 1 its console only where the initramfs has the device node; devtmpfs
 * always has it, so that the host needs no right to make nodes. */
static void open_console(void) {
  const int console = open("/dev/console", O_RDWR);
  if (console < 0) return;
  for (int fd = 0; fd < 3; ++fd) dup2(console, fd);
  if (console > 2) close(console);
}

/* The kernel's own account of a fatal trap: instruction pointer and offset in the binary. */
static void print_traps(void) {
  char *log = calloc(kKernelLogBytes + 1, 1);
  if (!log || klogctl(kReadAllOfKernelLog, log, kKernelLogBytes) <= 0) return;
  for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
    const char *text = strstr(line, "] ");
    if (!text) continue;
    if (strstr(text, " test[") || strstr(text, "Out of memory")) printf("kernel: %s\n", text + 2);
  }
  free(log);
}

static void power_off(void) {
  const char *letters = "Shutdown";
  fflush(stdout);
  tcdrain(STDOUT_FILENO);
  if (ioperm(kShutdownPort, 1, 1) == 0) {
    for (; *letters; ++letters) outb((unsigned char)*letters, kShutdownPort);
  }
  for (;;) pause();
}

int main(void) {
  make_filesystems();
  open_console();
  char **arguments = read_strings("/test.args");
  char **environment = read_strings("/test.env");

  int code = 127, killed_by = 0, status = 0;
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    execve("/test", arguments, environment);
    perror("cannot execute the test program");
    _exit(127);
  }
  if (child > 0 && waitpid(child, &status, 0) == child) {
    if (WIFEXITED(status)) code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) {
      killed_by = WTERMSIG(status);
      code = 128 + killed_by;
    }
  }
  if (killed_by) print_traps();
  printf("\036TEST-EXIT %d sig %d\n", code, killed_by);
  power_off();
}
