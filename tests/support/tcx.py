"""TCX hooks by bpf(2) alone: what is attached, in order; strangers' programs; taking some away.

    python3 tcx.py list DEVICE ingress|egress            the names, one a line; "none" on a kernel without such hooks
    python3 tcx.py detach DEVICE ingress|egress NAME     all of that name
    python3 tcx.py attach DEVICE ingress|egress NAME ANSWER COUNT   programs that only answer a number, behind all others
"""

import ctypes
import platform
import socket
import struct
import sys

CALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
LOAD, ATTACH, DETACH, BY_ID, INFO, QUERY = 5, 8, 9, 13, 15, 16
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, request):
    request = ctypes.create_string_buffer(request, 128)
    answer = libc.syscall(CALL, command, request, 128)
    if answer < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}")
    return answer, request.raw


def attached(index, side):
    ids = (ctypes.c_uint32 * 64)()
    query = struct.pack("=IIIIQI", index, side, 0, 0, ctypes.addressof(ids), 64)
    _, answer = bpf(QUERY, query)
    for number in ids[: struct.unpack_from("=I", answer, 24)[0]]:
        program, _ = bpf(BY_ID, struct.pack("=I", number))
        info = ctypes.create_string_buffer(80)
        bpf(INFO, struct.pack("=IIQ", program, 80, ctypes.addressof(info)))
        yield program, info.raw[64:80].rstrip(b"\0").decode()


def answering(name, number):
    code = struct.pack("=BBhiBBhi", 0xB7, 0, 0, number, 0x95, 0, 0, 0)
    code, licence = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(code), ctypes.addressof(licence)
    return bpf(LOAD, struct.pack("=IIQQIIQII16s", 3, 2, *where, 0, 0, 0, 0, 0, name.encode()))[0]


action, device, hook, *rest = sys.argv[1:]
index, side = socket.if_nametoindex(device), {"ingress": 46, "egress": 47}[hook]
if action == "list":
    try:
        print("\n".join(name for _, name in attached(index, side)))
    except OSError as error:
        if error.errno != 22:
            raise
        print("none")
elif action == "detach":
    for program, name in list(attached(index, side)):
        if name == rest[0]:
            bpf(DETACH, struct.pack("=III", index, program, side))
elif action == "attach":
    for _ in range(int(rest[2])):
        program = answering(rest[0], int(rest[1]))
        bpf(ATTACH, struct.pack("=III", index, program, side))
