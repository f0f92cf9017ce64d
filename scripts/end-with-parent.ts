/** Loaded before a program that must not outlive the one that started it, however that one ends. */
const parent = process.ppid;
const lookMs = 500;

const look = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(look);
  process.kill(process.pid, "SIGTERM");
}, lookMs);
look.unref();
