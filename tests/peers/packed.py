"""Compressed bodies without compressors: gzip and zlib are Python's own; of the other formats,
only what holds bytes as they are (and zstd's runs, for bombs).

Sources: RFC 8878 (Zstandard), Snappy's format and framing descriptions, LZ4's frame description.
"""

import gzip
import zlib

ROTATED = 0xFFFFFFFF


def identity(data):
    return data


def gzipped(data):
    return gzip.compress(data, mtime=0)


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


# === Zstandard ===


def zstd_frame(size, blocks):
    """A single-segment frame: size of the content, then (kind, size, bytes) of each block."""
    out = bytes.fromhex("28b52ffd") + bytes([0b1010_0000]) + size.to_bytes(4, "little")
    for at, (kind, length, data) in enumerate(blocks):
        last = at == len(blocks) - 1
        out += (length << 3 | kind << 1 | last).to_bytes(3, "little") + data
    return out


def zstd(data):
    return zstd_frame(len(data), [(0, len(data), data)])


def zstd_bomb(mebibytes):
    """Runs of zeros, 128 KiB in four bytes."""
    run = (1, 128 << 10, b"\0")
    return zstd_frame(mebibytes << 20, [run] * (mebibytes * 8))


# === Snappy ===


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def snappy(data):
    """A block with one literal."""
    literal = bytes([61 << 2]) + (len(data) - 1).to_bytes(2, "little") + data if data else b""
    return varint(len(data)) + literal


def crc32c(data):
    crc = ROTATED
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ ROTATED


def snappy_framed(data):
    crc = crc32c(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & ROTATED
    chunk = masked.to_bytes(4, "little") + data
    return b"\xff\x06\0\0sNaPpY" + b"\x01" + len(chunk).to_bytes(3, "little") + chunk


# === LZ4 ===


def xxh32_of_few(data):
    """XXH32 with seed 0 of less than 16 bytes."""
    prime1, prime2, prime3, prime4, prime5 = (
        *(2654435761, 2246822519, 3266489917, 668265263),
        374761393,
    )
    rotate = lambda n, by: (n << by | n >> (32 - by)) & ROTATED
    h = (prime5 + len(data)) & ROTATED
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little")
        h = rotate((h + word * prime3) & ROTATED, 17) * prime4 & ROTATED
    for byte in data[whole:]:
        h = rotate((h + byte * prime5) & ROTATED, 11) * prime1 & ROTATED
    h = (h ^ h >> 15) * prime2 & ROTATED
    h = (h ^ h >> 13) * prime3 & ROTATED
    return h ^ h >> 16


def lz4(data):
    """A frame of one block that is not compressed: 64 KiB blocks, independent, no checksums."""
    descriptor = bytes([0b0110_0000, 0b0100_0000])
    head = bytes.fromhex("04224d18") + descriptor + bytes([xxh32_of_few(descriptor) >> 8 & 255])
    block = (len(data) | 1 << 31).to_bytes(4, "little") + data
    return head + block + bytes(4)


# === Protobuf and gRPC ===


def field(number, value):
    """A field with bytes, or a varint."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fixed64(number, value):
    return varint(number << 3 | 1) + value.to_bytes(8, "little")


def request(*spans):
    """ExportTraceServiceRequest with these spans of one service."""
    name = field(1, b"service.name") + field(2, field(1, b"shop"))
    scope = b"".join(field(2, span) for span in spans)
    return field(1, field(1, field(1, name)) + field(2, scope))


def span(trace, more=b"", trace_id=None, span_id=bytes.fromhex("eee19b7ec3c1b174"), name=b"n"):
    """A span of 10 ms; `trace` is the number of its trace."""
    trace_id = trace.to_bytes(16, "big") if trace_id is None else trace_id
    start = 1_767_225_600_000_000_000
    times = fixed64(7, start) + fixed64(8, start + 10_000_000)
    return field(1, trace_id) + field(2, span_id) + field(5, name) + field(6, 2) + times + more


def nested_value(depth):
    """An attribute of lists in lists."""
    value = field(2, 1)
    for _ in range(depth):
        value = field(5, field(1, value))
    return field(9, field(1, b"deep") + field(2, value))


def framed(message, flag=0, length=None):
    """A gRPC message."""
    length = len(message) if length is None else length
    return bytes([flag]) + length.to_bytes(4, "big") + message
