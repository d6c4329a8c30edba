"""Makes system calls that end early, with EINTR, when their thread is stopped, each in a thread of its own, and says how
each returned:

    READY
    epoll_wait 0 0

The name, what it returned, and errno where that is -1. Each waits for two seconds.
"""

import ctypes
import os
import socket
import struct
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
SECONDS = struct.pack("ll", 2, 0)
# linux/futex.h, sys/epoll.h and their like.
FUTEX_WAIT, SYS_FUTEX = 0, 202
EPOLL_CTL_ADD, EPOLLIN, POLLIN = 1, 1, 1
IPC_PRIVATE, IPC_RMID = 0, 0
CLOCK_MONOTONIC = 1
SIGUSR1 = 10

reader, writer = os.pipe()
receiver, sender = socket.socketpair()
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, SECONDS)


def epoll_wait():
    poll = libc.epoll_create1(0)
    libc.epoll_ctl(poll, EPOLL_CTL_ADD, reader, struct.pack("=IQ", EPOLLIN, 0))
    return libc.epoll_wait(poll, ctypes.create_string_buffer(12), 1, 2000)


def poll():
    return libc.poll(ctypes.create_string_buffer(struct.pack("ihh", reader, POLLIN, 0)), 1, 2000)


def select():
    descriptors = bytearray(128)
    descriptors[reader // 8] |= 1 << reader % 8
    readable = ctypes.create_string_buffer(bytes(descriptors), 128)
    return libc.select(reader + 1, readable, None, None, ctypes.create_string_buffer(SECONDS))


def nanosleep():
    return libc.nanosleep(ctypes.create_string_buffer(SECONDS), None)


def clock_nanosleep():
    return libc.clock_nanosleep(CLOCK_MONOTONIC, 0, ctypes.create_string_buffer(SECONDS), None)


def recv():
    return libc.recv(receiver.fileno(), ctypes.create_string_buffer(1), 1, 0)


def futex():
    word = ctypes.c_int(0)
    timeout = ctypes.create_string_buffer(SECONDS)
    return libc.syscall(SYS_FUTEX, ctypes.byref(word), FUTEX_WAIT, 0, timeout, None, 0)


def semtimedop():
    semaphores = libc.semget(IPC_PRIVATE, 1, 0o600)
    take = ctypes.create_string_buffer(struct.pack("Hhh", 0, -1, 0))
    returned = libc.semtimedop(semaphores, take, 1, ctypes.create_string_buffer(SECONDS))
    errno = ctypes.get_errno()
    libc.semctl(semaphores, 0, IPC_RMID)
    ctypes.set_errno(errno)
    return returned


def sigtimedwait():
    signals = ctypes.create_string_buffer(128)
    libc.sigaddset(signals, SIGUSR1)
    return libc.sigtimedwait(signals, None, ctypes.create_string_buffer(SECONDS))


CALLS = [
    epoll_wait,
    poll,
    select,
    nanosleep,
    clock_nanosleep,
    recv,
    futex,
    semtimedop,
    sigtimedwait,
]
said = []


def make(call):
    returned = call()
    said.append("%s %d %d" % (call.__name__, returned, ctypes.get_errno() if returned == -1 else 0))


def main():
    threads = [threading.Thread(target=make, args=(call,)) for call in CALLS]
    for thread in threads:
        thread.start()
    print("READY")
    sys.stdout.flush()
    for thread in threads:
        thread.join()
    print("\n".join(sorted(said)))
    print("END")


if __name__ == "__main__":
    main()
