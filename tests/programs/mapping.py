# Maps a file with code, if one is given, and runs on: mapping.py [FILE].
import mmap
import sys


def run_on():
    x = 0
    while True:
        x += 1


def main():
    mapped = None
    if sys.argv[1:]:
        with open(sys.argv[1], "rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
    print("READY", flush=True)
    run_on()
    return mapped


main()
