/* A program with Python inside, such as a simulator: runs the script named by its first argument.
 *
 * It is started as `simulator SCRIPT [ARGUMENT…]`; the script sees its own arguments in sys.argv.
 * scripts/builds links it once to the shared libpython and once to the static one, stripped, so that
 * no symbol of Python is left in it. */
#include <Python.h>

#include <stdio.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s SCRIPT [ARGUMENT...]\n", argv[0]);
        return 2;
    }
    FILE *script = fopen(argv[1], "rb");
    if (script == NULL) {
        perror(argv[1]);
        return 2;
    }

    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    /* The standard library is that of the interpreter that was linked, not of the python3 in PATH. */
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, PYTHON);
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesArgv(&config, argc - 1, argv + 1);
    }
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }

    int failed = PyRun_SimpleFileEx(script, argv[1], 1);
    return Py_FinalizeEx() < 0 || failed ? 1 : 0;
}
