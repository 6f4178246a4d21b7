#!/usr/bin/python3
"""A second reader of images, written from docs/FORMAT.md alone: it shows that the page is enough.

usage: reader.py IMAGE [OUTDIR]

Checks all that the page wants checked and prints one JSON object; OUTDIR gets a file per segment. Pixels are decoded by
Pillow (Debian: python3-pil), a zstd frame by the program zstd. Streamable images are read twice, as a whole picture and
strip by strip, and must give the same. Exit 1 and one line `refused: ...` for what is no good image.
"""
import array, base64, functools, hashlib, json, re, struct, subprocess, sys, tempfile, zlib
from pathlib import Path

from PIL import Image, PngImagePlugin

STRIP = 1 << 18  # bytes of payload in a strip
MOST = 1 << 32  # bytes of a picture, of a compressed payload
MOST_TEXT = 2 << 20
MOST_INDEX = 16 << 20
DENSEST = 1032  # bytes that one byte of deflate can become
Image.MAX_IMAGE_PIXELS = None  # instead, `picture_of` compares the sides with MOST and with the file
PngImagePlugin.MAX_TEXT_CHUNK = MOST_TEXT
TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
WORDS = {"kernel": ("kernel", "vmlinuz", "vmlinux", "bzImage"), "initrd": ("initrd", "initramfs", "initrd.img")}


class Refused(Exception):
    pass


def need(good, why):
    if not good:
        raise Refused(why)


def number(value, what):
    need(type(value) is int and 0 <= value < 1 << 63, f"{what} is {value!r}, not a number of bytes")
    return value


def check_hash(data, expected, what):
    """Compares, unless nothing is expected."""
    found = hashlib.sha256(data).hexdigest()
    good = expected is None or found == str(expected).lower()
    need(good, f"the SHA-256 of {what} is {found} instead of {expected}")
    return found


def first(*values):
    return next((value for value in values if value is not None), None)


# The Hilbert curve (1.4) ---------------------------------------------------------------------------------------------


def hilbert(t, x, y, s, side):
    """The page's loop, from `s` on: a position of the curve for s = 1, later a point in square t of side s."""
    while s < side:
        rx = t >> 1 & 1
        ry = (t ^ rx) & 1
        if ry == 0:
            x, y = (s - 1 - y, s - 1 - x) if rx else (y, x)
        x, y, t, s = x + s * rx, y + s * ry, t >> 2, s * 2
    return x, y


@functools.cache
def curve(side, right, down):
    """Where the pixels of a square are, seen from the first of them, where columns are `right` pixels apart and rows
    `down`; and where that first one is, seen from column 0 of row 0."""
    steps = [x * right + y * down for x, y in (hilbert(t, 0, 0, 1, side) for t in range(side * side))]
    return [step - min(0, (side - 1) * right) - min(0, (side - 1) * down) for step in steps], min(steps)


def pick(pixels, places):
    return array.array("I", map(pixels.__getitem__, places)).tobytes()


def along_curve(picture, side, size):
    """The first bytes of a picture of one curve. Squares of 256 are a curve themselves, turned and moved."""
    pixels, part, pieces = memoryview(picture).cast("I"), min(side, 256), []
    for t in range(-(-size // (4 * part * part))):
        corner, right, down = (x + y * side for x, y in (hilbert(t, *p, part, side) for p in ((0, 0), (1, 0), (0, 1))))
        places, lowest = curve(part, right - corner, down - corner)
        pieces.append(pick(pixels[corner + lowest :], places))
    return b"".join(pieces)[:size]


@functools.cache
def strip_order(width):
    rows = 65536 // width
    return [left + step for left in range(0, width, rows) for step in curve(rows, 1, width)[0]]


# PNG -----------------------------------------------------------------------------------------------------------------


def chunks_of(file):
    """(type, offset, data) of every chunk."""
    need(file[:8] == b"\x89PNG\r\n\x1a\n", "there is no PNG signature")
    at, chunks = 8, []
    while not chunks or chunks[-1][0] != b"IEND":
        need(at + 12 <= len(file), f"a chunk is expected at {at}, the file ends at {len(file)}")
        length, kind = struct.unpack_from(">I4s", file, at)
        end = at + 12 + length
        need(end <= len(file), f"the chunk at {at} claims {length} bytes, the file ends at {len(file)}")
        crc = zlib.crc32(file[at + 4 : end - 4]).to_bytes(4, "big")
        need(crc == file[end - 4 : end], f"the CRC of the chunk at {at} is wrong")
        need(kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND") or kind[0] & 32, f"the chunk at {at} is a {kind}")
        chunks.append((kind, at, file[at + 8 : end - 4]))
        at = end
    need(at == len(file), f"{len(file) - at} bytes follow IEND")
    kinds = [kind for kind, _, _ in chunks]
    begin = kinds.index(b"IDAT") if b"IDAT" in kinds else 0
    follow = set(kinds[begin : begin + kinds.count(b"IDAT")]) == {b"IDAT"}
    need(kinds[0] == b"IHDR" and kinds.count(b"IHDR") == 1 and follow, "the chunks are out of order")
    return chunks, kinds


def inflate(data, most, what, bits):
    """All of a stream, and how it ended."""
    stream = zlib.decompressobj(bits)
    try:
        found = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise Refused(f"{what}: {error}")
    need(len(found) <= most, f"{what} inflates to more than {most} bytes")
    return found, stream


def picture_of(path, width, height, chunks):
    """The pixels, as Pillow decodes them. It does not see sides that the file is too small for."""
    deflated = sum(len(data) for kind, _, data in chunks if kind == b"IDAT")
    claimed = height * (1 + 4 * width)
    need(claimed <= min(MOST, DENSEST * deflated), f"{width} by {height} pixels cannot come from {deflated} bytes")
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.tobytes()
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        raise Refused(f"the picture cannot be decoded: {error}")


# Metadata and segments (1.2, 1.3) ------------------------------------------------------------------------------------


def metadata_of(kind, data):
    """The metadata, if this chunk holds it."""
    keyword, _, text = bytes(data).partition(b"\0")
    if keyword != b"PixelRTS" or kind not in TEXTS:
        return None
    deflated = kind == b"zTXt" or kind == b"iTXt" and text[:1] == b"\1"
    if kind != b"tEXt":
        text = text[1:] if kind == b"zTXt" else text[2:].split(b"\0", 2)[-1]
    text = inflate(text, MOST_TEXT, "the metadata", 15)[0] if deflated else text
    need(len(text) <= MOST_TEXT, f"the metadata has {len(text)} bytes, {MOST_TEXT} at most are read")
    try:
        found = json.loads(text[8:].decode(), parse_constant=int) if text.startswith(b"PixelRTS") else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def role_of(name):
    for role, words in WORDS.items():
        if name in words:
            return role
    if name in ("disk", "rootfs") or name.endswith((".img", ".raw", ".qcow2")):
        return "disk"
    inside = (role for role, words in WORDS.items() if any(word.lower() in name.lower() for word in words))
    return first(*inside, "other")


def shown(name):
    """A name as people see it: what is not allowed in one is escaped."""
    name = name.encode(errors="replace")
    return re.sub(rb"^\.|[^A-Za-z0-9._-]", lambda byte: b"%%%02X" % byte[0][0], name).decode() or "%"


def segments_of(meta, payload, streamable):
    listed, hashes = first(meta.get("segments") or meta.get("offsets"), {}), first(meta.get("hashes"), {})
    for entry in (listed, hashes, *(listed.values() if isinstance(listed, dict) else ())):
        need(isinstance(entry, dict), f"{entry!r} is no object")
    segments, alone, ends = [], len(listed) <= 1, 0
    for name, entry in (listed or {"payload": {"role": "other"}}).items():
        offset = number(first(entry.get("offset"), entry.get("start"), 0 if alone else None), f"the offset of {name}")
        size = entry.get("size")
        if size is None:
            size = number(first(entry.get("end"), len(payload) if alone else None), f"the end of {name}") - offset
        end = offset + number(size, f"the size of {name}")
        need(end <= len(payload), f"{name} ends at {end}, the payload at {len(payload)}")
        need(not streamable or offset % STRIP == 0, f"{name} begins at {offset}, where no strip begins")
        role = first(entry.get("role"), role_of(name))
        role = role if role in ("kernel", "initrd", "disk") else "other"
        expected = first(entry.get("sha256"), hashes.get(name))
        digest = check_hash(payload[offset:end], expected, name)
        segments.append({"name": shown(name), "role": role, "offset": offset, "size": size, "sha256": digest})
    for one in sorted(segments, key=lambda one: (one["offset"], one["size"])):
        need(one["offset"] >= ends, f"{one['name']} begins at {one['offset']}, the one before ends at {ends}")
        need(not streamable or not any(payload[ends : one["offset"]]), f"the bytes before {one['name']} are not zero")
        ends = one["offset"] + one["size"]
    return segments


# The profiles (2, 3) -------------------------------------------------------------------------------------------------


def classic(path, width, height, chunks, meta):
    need(width == height and width & width - 1 == 0, f"{width} by {height} is no square of a power of two")
    grid, encoding, compression = meta.get("grid_size"), meta.get("encoding"), meta.get("compression")
    need(grid in (None, width), f"grid_size is {grid}, the picture's is {width}")
    kinds = (meta.get("encoding_mode"), encoding.get("type") if isinstance(encoding, dict) else None)
    original = None
    if "RGBA-code" in kinds or "RGBA-semantic" in kinds:
        try:
            payload = base64.b64decode(meta.get("original_data_b64"), validate=True)
        except (TypeError, ValueError) as error:
            raise Refused(f"original_data_b64: {error}")
    else:
        original = size = number(first(meta.get("encoded_size"), meta.get("data_size")), "encoded_size or data_size")
        need(size <= 4 * width * height, f"{size} bytes are not in {width} by {height} pixels")
        payload = along_curve(picture_of(path, width, height, chunks), width, size)
        if isinstance(compression, dict):
            original = number(first(compression.get("original_size"), meta.get("data_size")), "original_size")
            payload = decompressed(payload, original)
    size = first(meta.get("data_size"), original)
    need(size == len(payload), f"data_size is {size}, the payload has {len(payload)} bytes")
    need(meta.get("data_hash") is not None, "there is no data_hash")
    check_hash(payload, meta["data_hash"], "the payload")
    return payload


def decompressed(stream, size):
    need(size <= MOST, f"original_size is {size}, {MOST} at most is decompressed")
    found = stream
    if stream[:4] == b"\x28\xb5\x2f\xfd":
        with tempfile.TemporaryFile() as frame:
            frame.write(stream)
            frame.seek(0)
            with subprocess.Popen(["zstd", "-dcq"], stdin=frame, stdout=subprocess.PIPE) as zstd:
                found = zstd.stdout.read(size + 1)
                zstd.stdout.close()
            need(len(found) > size or zstd.returncode == 0, "the zstd frame is damaged")
    elif len(stream) > 1 and stream[0] & 15 == 8 and int.from_bytes(stream[:2], "big") % 31 == 0:
        found, state = inflate(stream, size, "the payload", 15)
        need(state.eof, "the zlib stream of the payload does not end")
    need(len(found) == size, f"the payload has {len(found)} bytes, original_size is {size}")
    return found


def streamable(path, width, height, chunks, meta, file, kinds):
    index = chunks[kinds.index(b"rtSX")][2]
    need(56 <= len(index) <= MOST_INDEX and index[:4] == b"RTS1", f"rtSX: {len(index)} bytes, {bytes(index[:4])}")
    w, rows, n, data_size = struct.unpack_from("<IIIQ", index, 4)
    need(w in (512, 1024, 2048, 4096, 8192, 16384) and w * rows == 65536, f"strips are {w} by {rows}")
    need((width, height) == (w, n * rows), f"IHDR says {width} by {height}, the index {w} by {n * rows}")
    need(n == max(1, -(-data_size // STRIP)), f"there are {n} strips for {data_size} bytes")
    need(len(index) == 56 + 48 * n, f"the index of {n} strips has {len(index)} bytes")
    need(meta.get("data_size") == data_size, f"data_size is {meta.get('data_size')}, in the index {data_size}")
    texts = kinds[1 : kinds.index(b"rtSX")]
    order = [b"IHDR", *texts, b"rtSX"] + [b"IDAT"] * (n + 2) + [b"IEND"]
    need(kinds == order and set(texts) <= TEXTS, "these are not the chunks of a streamable image")
    keywords = [bytes(data).split(b"\0")[0] for _, _, data in chunks[1 : 1 + len(texts)]]
    need(keywords in ([b"PixelRTS"], [b"PixelRTS", b"PixelRTS-Blueprint"]), f"the texts are {keywords}")
    check_hash(bytes(index[:-32]) + chunks[1][2], bytes(index[-32:]).hex(), "the index")

    header = chunks[-n - 3][2]
    good = len(header) == 2 and header[0] == 0x78 and not header[1] & 32 and int.from_bytes(header, "big") % 31 == 0
    need(good, f"the zlib header is {header.hex()}")
    picture, adler, payload = memoryview(picture_of(path, width, height, chunks)), 1, []
    line, most = 1 + 4 * w, rows * (1 + 4 * w)
    for s, (_, begins, data) in enumerate(chunks[-n - 2 : -2]):
        at, length, flags, digest = struct.unpack_from("<QII32s", index, 24 + 48 * s)
        found = (begins, 12 + len(data))
        need((at, length) == found, f"strip {s} is at {found}, the index says {(at, length)}")
        need(flags < 4 and length <= 42 + most, f"strip {s} has {length} bytes and the flags {flags}")
        check_hash(file[at : at + length], digest.hex(), f"strip {s}")
        raw, state = inflate(data, most, f"strip {s}", -15)
        need(len(raw) == most, f"strip {s} inflates to {len(raw)} bytes instead of {most}")
        flushed = not state.eof and not state.unconsumed_tail and data[-4:] == b"\0\0\xff\xff"
        need(flushed, f"strip {s} does not end with a full flush")
        need(not any(raw[::line]), f"strip {s} has a row whose filter is not None")
        pixels = b"".join(raw[row + 1 : row + line] for row in range(0, most, line))
        need(pixels == picture[s * STRIP : s * STRIP + STRIP], f"strip {s} is another one in the whole picture")
        need(not flags & 1 or pixels == bytes(STRIP), f"strip {s} is not zeros")
        need(not flags & 2 or only_stored(data), f"strip {s} has other blocks than stored ones")
        payload.append(pick(memoryview(pixels).cast("I"), strip_order(w)))
        adler = zlib.adler32(raw, adler)
    _, state = inflate(chunks[-2][2], 0, "the last IDAT", -15)
    need(state.eof and state.unused_data == adler.to_bytes(4, "big"), "the zlib stream ends with the wrong bytes")
    payload = b"".join(payload)
    need(not any(payload[data_size:]), "the bytes after the payload are not zero")
    check_hash(payload[:data_size], meta.get("data_hash"), "the payload")
    return payload[:data_size]


def only_stored(data):
    at = 0
    while at + 5 <= len(data) and not data[at] & 6:
        at += 5 + int.from_bytes(data[at + 1 : at + 3], "little")
    return at == len(data)


def read(path):
    file = memoryview(path.read_bytes())
    chunks, kinds = chunks_of(file)
    need(len(chunks[0][2]) == 13, "IHDR has not 13 bytes")
    *sides, depth, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", chunks[0][2])
    kind = (depth, colour, compression, filters, interlace)
    need(all(sides) and kind == (8, 6, 0, 0, 0), f"IHDR says {sides} and {kind}")
    meta = first(*(metadata_of(kind, data) for kind, _, data in chunks))
    need(meta is not None, "there is no text PixelRTS with an object in it")
    streams = b"rtSX" in kinds[: kinds.index(b"IDAT")]
    try:
        payload = streamable(path, *sides, chunks, meta, file, kinds) if streams else None
    except Refused:
        if meta.get("grid_size") is None:
            raise
        streams = False
    payload = payload if streams else classic(path, *sides, chunks, meta)
    summary = {"profile": "streamable" if streams else "classic", "width": sides[0], "height": sides[1]}
    return {**summary, "data_size": len(payload), "segments": segments_of(meta, payload, streams)}, payload


def main(image, folder=None):
    try:
        summary, payload = read(Path(image))
    except (Refused, OSError) as error:
        sys.exit(f"refused: {error}")
    for one in summary["segments"] if folder else ():
        # Other names are not used as paths.
        if re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,64}", one["name"]) and one["name"] != "metadata.json":
            Path(folder).mkdir(parents=True, exist_ok=True)
            (Path(folder) / one["name"]).write_bytes(payload[one["offset"] : one["offset"] + one["size"]])
    print(json.dumps(summary))


if __name__ == "__main__":
    main(*sys.argv[1:])
