# Mounts a FUSE file system at the folder given, with one file, hang.py, whose opening is never answered.
# Says READY once it is mounted. Needs root.
import ctypes
import os
import struct
import sys

LOOKUP, GETATTR, OPEN, READ, INIT, OPENDIR = 1, 3, 14, 15, 26, 27
NO_ANSWER = (2, 36, 42, OPEN, READ)
ENOENT, ENOSYS = 2, 38


def attributes(inode, mode, size):
    return struct.pack("<6Q10I", inode, size, 1, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(device, unique, data=b"", error=0):
    os.write(device, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)


def serve(device):
    folder, file = attributes(1, 0o40755, 0), attributes(2, 0o100644, 1000)
    while True:
        request = os.read(device, 4 << 20)
        _, kind, unique, node = struct.unpack("<IIQQ", request[:24])
        body = request[40:]
        if kind in NO_ANSWER:
            continue
        if kind == INIT:
            answer(device, unique, struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 16, 12, 1 << 20, 1, 256, *[0] * 9))
        elif kind == LOOKUP and body.rstrip(b"\0") == b"hang.py":
            answer(device, unique, struct.pack("<4QII", 2, 0, 1000, 1000, 0, 0) + file)
        elif kind == LOOKUP:
            answer(device, unique, error=ENOENT)
        elif kind == GETATTR:
            answer(device, unique, struct.pack("<QII", 1000, 0, 0) + (folder if node == 1 else file))
        elif kind == OPENDIR:
            answer(device, unique, struct.pack("<QII", 1, 1, 0))
        else:
            answer(device, unique, error=ENOSYS)


def main():
    device = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other" % device
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hangfs", sys.argv[1].encode(), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    print("READY", flush=True)
    serve(device)


main()
