# Mounts a FUSE file system at the folder given: hangfs.py FOLDER [FILE NAME]. It has a file, hang.py, whose opening is never
# answered, and FILE under the name NAME, executable, until a line comes on standard input: from then on nothing is answered.
# Says READY once it is mounted, and STALLED. Needs root.
import ctypes
import os
import struct
import sys
import threading

LOOKUP, GETATTR, OPEN, READ, INIT, OPENDIR, RELEASE = 1, 3, 14, 15, 26, 27, 18
# FORGET, INTERRUPT, BATCH_FORGET
NEVER_ANSWERED = (2, 36, 42)
ENOENT, ENOSYS = 2, 38
FOLDER, HANG, FILE = 1, 2, 3


class Files:
    def __init__(self, path=None, name=None):
        self.name = name and os.fsencode(name)
        self.data = b""
        if path:
            with open(path, "rb") as file:
                self.data = file.read()
        self.is_stalled = False

    def attributes(self, inode):
        mode, size = {FOLDER: (0o40755, 0), HANG: (0o100644, 1000), FILE: (0o100755, len(self.data))}[inode]
        return struct.pack("<6Q10I", inode, size, -(-size // 512), 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def entry(self, name):
        inode = {b"hang.py": HANG, self.name: FILE}.get(name)
        # How long the kernel may believe it: the file is asked for each time.
        valid = 1000 if inode == HANG else 0
        return inode and struct.pack("<4QII", inode, 0, valid, valid, 0, 0) + self.attributes(inode)

    def stall(self):
        if sys.stdin.readline():
            self.is_stalled = True
            print("STALLED", flush=True)


def serve(device, files):
    def answer(unique, data=b"", error=0):
        os.write(device, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)

    while True:
        request = os.read(device, 4 << 20)
        _, kind, unique, inode = struct.unpack("<IIQQ", request[:24])
        body = request[40:]
        if files.is_stalled or kind in NEVER_ANSWERED or (inode == HANG and kind in (OPEN, READ)):
            continue
        if kind == INIT:
            answer(unique, struct.pack("<IIIIHHIIHHI7I", 7, 31, 0, 0, 16, 12, 1 << 20, 1, 256, *[0] * 9))
        elif kind == LOOKUP:
            entry = files.entry(body.rstrip(b"\0"))
            answer(unique, entry or b"", 0 if entry else ENOENT)
        elif kind == GETATTR:
            valid = 0 if inode == FILE else 1000
            answer(unique, struct.pack("<QII", valid, 0, 0) + files.attributes(inode))
        elif kind in (OPEN, OPENDIR):
            answer(unique, struct.pack("<QII", 1, 1 if kind == OPENDIR else 0, 0))
        elif kind == READ:
            _, offset, size = struct.unpack("<QQI", body[:20])
            answer(unique, files.data[offset:offset + size])
        elif kind == RELEASE:
            answer(unique)
        else:
            answer(unique, error=ENOSYS)


def main():
    device = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other" % device
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hangfs", sys.argv[1].encode(), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    print("READY", flush=True)
    files = Files(*sys.argv[2:])
    threading.Thread(target=files.stall, daemon=True).start()
    serve(device, files)


main()
