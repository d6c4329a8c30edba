// Looks like a Python 2.7 to whoever reads its memory, with as many threads as asked for, which all have the same chain of
// as many frames as asked for: forged27 THREADS FRAMES. Says its PID, and waits to be ended.
//
// The layouts are those of Include/{object,stringobject,code,frameobject,pystate}.h of 2.7 on a 64-bit machine.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD int64_t references; void *type

char text_of_version[300] __asm__("version") = "2.7.18 (default, Apr 20 2020, 00:00:00) \n[GCC 9.3.0]";
const char *Py_GetVersion(void) { return text_of_version; }
int PyEval_EvalFrameEx(void) { return 0; }

// An interpreter is in a file of some size.
char filling[1 << 20] = {1};

struct string { HEAD; int64_t size; int64_t hash; int32_t state; char text[32]; };

struct code {
  HEAD;
  int32_t argcount, nlocals, stacksize, flags;
  void *code, *consts, *names, *varnames, *freevars, *cellvars;
  struct string *filename, *name;
  int32_t firstlineno;
  struct string *lnotab;
  void *zombieframe, *weakreflist;
};

struct frame {
  HEAD;
  int64_t size;
  struct frame *back;
  struct code *code;
  void *builtins, *globals, *locals, *valuestack, *stacktop, *trace, *exc[3];
  struct thread *thread;
  int32_t lasti, lineno, iblock;
  char blocks[512];
};

struct thread {
  struct thread *next;
  struct interpreter *interpreter;
  struct frame *frame;
  int32_t recursion_depth, tracing, use_tracing;
  void *profiling[4], *exceptions[6], *dict;
  int32_t tick_counter, gilstate_counter;
  void *async_exc;
  int64_t thread_id;
  char more[128];
};

struct interpreter { struct interpreter *next; struct thread *head; void *modules[4]; char more[128]; };

struct interpreter *interp_head;
struct thread *_PyThreadState_Current;

int main(int count, char **words) {
  int threads = count > 2 ? atoi(words[1]) : 0, frames = count > 2 ? atoi(words[2]) : 0;
  if (threads < 1 || frames < 1) return 2;
  static struct interpreter interpreter;
  static struct string file = {.references = 1, .type = &file, .size = 9, .text = "forged.py"};
  static struct string name = {.references = 1, .type = &name, .size = 4, .text = "walk"};
  static struct string lines = {.references = 1, .type = &lines};
  static struct code code = {.references = 1, .type = &code, .filename = &file, .name = &name, .lnotab = &lines,
                             .firstlineno = 1};
  struct frame *frame = calloc(frames, sizeof *frame);
  struct thread *thread = calloc(threads, sizeof *thread);
  if (!frame || !thread) return 1;
  for (int i = 0; i < frames; i++)
    frame[i] = (struct frame){.references = 1, .type = &code, .code = &code, .thread = thread,
                              .back = i + 1 < frames ? &frame[i + 1] : 0};
  for (int i = 0; i < threads; i++)
    thread[i] = (struct thread){.interpreter = &interpreter, .frame = frame, .thread_id = 1000 + i,
                                .next = i + 1 < threads ? &thread[i + 1] : 0};
  interpreter.head = thread;
  interp_head = &interpreter;
  _PyThreadState_Current = thread;
  printf("%d\n", getpid());
  fflush(stdout);
  for (;;) pause();
}
