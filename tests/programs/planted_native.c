/* Burns time in four functions, which planted_native.py calls. */

static volatile double sink;

#define SPIN(name, start)                                      \
    __attribute__((noinline)) double spin_##name(long rounds) \
    {                                                          \
        double sum = start;                                    \
        for (long round = 0; round < rounds; round++)          \
            sum += round * 0.5 + start;                        \
        sink = sum;                                            \
        return sum;                                            \
    }

SPIN(a, 0)
SPIN(b, 1)
SPIN(c, 2)
SPIN(d, 3)

/* The linker puts these before the four, so that their addresses are not taken for those of the last one. */
#define BEFORE __attribute__((noinline, section(".text.unlikely")))

BEFORE static void through(void (*back)(void), int depth)
{
    if (depth > 0)
        through(back, depth - 1);
    else
        back();
    sink += 1;
}

/* Calls back, a few frames further in. */
BEFORE void call(void (*back)(void))
{
    through(back, 3);
    sink += 1;
}
