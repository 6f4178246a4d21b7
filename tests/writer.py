#!/usr/bin/python3
"""Writes images as the older Python tools wrote them (profile `classic`), with nothing of the code that reads them.

usage: writer.py small FOLDER                  the small images that tests read; they are committed in tests/images
       writer.py check FOLDER                  compares the images in FOLDER with what `small` writes
       writer.py boot IMAGE KERNEL INITRD      one image that holds a real kernel and a real initrd

The format is docs/FORMAT.md, sections 1 and 2. Good pictures are written by Pillow (Debian: python3-pil), which chooses
a filter for every row as the older tools did. Damaged files are made from a good one, or chunk by chunk.
"""
import array, base64, functools, hashlib, json, struct, sys, tempfile, zlib
from pathlib import Path

from PIL import Image, PngImagePlugin

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PART = 256  # side of the squares that a large picture is put together from

# What the small images hold.
TINY = bytes((i * 7 + 3) & 255 for i in range(1000))
REPEATED = TINY * 20
# (module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))
WASM = base64.b64decode("AGFzbQEAAAABBwFgAn9/AX8DAgEABwcBA2FkZAAACgkBBwAgACABags=")


def fake_kernel():
    """The setup header of a bzImage with a version, as the x86 boot protocol places it. It does not boot."""
    kernel = bytearray(bytes(range(256)) * 48)
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", kernel, 0x206, 0x20F)
    struct.pack_into("<H", kernel, 0x20E, 0x1400)
    struct.pack_into("<H", kernel, 0x236, 1)
    version = b"6.1.0-56-cloud-amd64 (builder@example) #1 SMP\0"
    kernel[0x1600 : 0x1600 + len(version)] = version
    return bytes(kernel)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# The picture ---------------------------------------------------------------------------------------------------------


def position(t, side):
    """The column and the row of pixel `t` on the Hilbert curve through a square (FORMAT.md, 1.4)."""
    x, y, s = 0, 0, 1
    while s < side:
        rx = t >> 1 & 1
        ry = (t ^ rx) & 1
        if ry == 0:
            x, y = (s - 1 - y, s - 1 - x) if rx else (y, x)
        x, y, t, s = x + s * rx, y + s * ry, t >> 2, s * 2
    return x, y


@functools.cache
def order(side, corner, second, last):
    """For a square whose curve begins in `corner`, with its second pixel at `second` and its last one at `last`: which
    pixel of the curve stands at each place, row by row. Four turns and two mirrors give all eight such squares."""
    curve = [position(t, side) for t in range(side * side)]
    for flip in (False, True):
        for turn in range(4):
            places = [0] * (side * side)
            for t, (x, y) in enumerate(curve):
                places[y * side + x] = t
            if (curve[0], curve[1], curve[-1]) == (corner, second, last):
                return places
            curve = [(side - 1 - y, x) for x, y in curve]
        curve = [(y, x) for x, y in curve]
    raise AssertionError(f"no square begins at {corner}, goes to {second} and ends at {last}")


def grid_side(size):
    """The smallest square of pixels that the older tools chose for so many bytes."""
    pixels = -(-size // 64) * 16
    side = 1
    while side * side < pixels:
        side *= 2
    return side


def picture(stored, side):
    """The bytes along the curve, as one picture."""
    pixels = array.array("I", stored + bytes(4 * side * side - len(stored)))
    part = min(side, PART)
    count = part * part
    grid = array.array("I", bytes(4 * side * side))
    for first in range(0, -(-len(stored) // 4), count):
        # A stretch of the curve that is as long as the square has pixels fills one square of the grid.
        ends = [position(first + t, side) for t in (0, 1, count - 1)]
        left, top = ends[0][0] // part * part, ends[0][1] // part * part
        places = order(part, *((x - left, y - top) for x, y in ends))
        square = array.array("I", map(pixels[first : first + count].__getitem__, places))
        for row in range(part):
            at = (top + row) * side + left
            grid[at : at + part] = square[row * part : (row + 1) * part]
    return Image.frombytes("RGBA", (side, side), grid.tobytes())


# Metadata ------------------------------------------------------------------------------------------------------------


def metadata(payload, side, mode="RGBA-dense", segments=None, **more):
    """The keys in the order in which the older tools wrote them; keys that describe stand before the hash."""
    last = ("compression", "encoded_size", "original_data_b64")
    table = {name: {"offset": at, "size": len(data), "sha256": sha256(data)} for name, at, data in segments or ()}
    return {
        "format": "PixelRTS-2.0",
        "format_version": 2,
        "grid_size": side,
        "encoding": {"type": mode, "bytes_per_pixel": 4, "mapping": "Hilbert space-filling curve"},
        "offsets": table,
        "hashes": {name: entry["sha256"] for name, entry in table.items()},
        "encoding_mode": mode,
        **{key: value for key, value in more.items() if key not in last},
        **({"segments": table} if table else {}),
        "data_hash": sha256(payload),
        "data_size": len(payload),
        **{key: more[key] for key in last if key in more},
    }


def text_of(meta):
    return "PixelRTS" + json.dumps(meta, separators=(",", ":"))


def write(path, stored, meta, level=6):
    text = PngImagePlugin.PngInfo()
    text.add_text("PixelRTS", text_of(meta))
    picture(stored, meta["grid_size"]).save(path, "PNG", pnginfo=text, compress_level=level)


# Files ---------------------------------------------------------------------------------------------------------------


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def chunks(file):
    at, found = len(SIGNATURE), []
    while at + 8 <= len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        found.append((kind, file[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(parts):
    return SIGNATURE + b"".join(chunk(kind, data) for kind, data in parts)


def header(width, height):
    return struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)


def small(folder):
    folder.mkdir(parents=True, exist_ok=True)
    at = lambda name: folder / f"{name}.rts.png"
    side = grid_side(len(TINY))
    meta = metadata(TINY, side, type="binary", name="tiny")
    write(at("tiny"), TINY, meta)

    # Code mode: the picture only looks like the program, the bytes are in the metadata.
    shades = bytes(value for byte in WASM for value in (byte, 255 - byte, 128, 255))[:64]
    code = base64.b64encode(WASM).decode()
    write(at("code_wasm"), shades, metadata(WASM, 4, "RGBA-code", type="wasm", name="add", original_data_b64=code))

    # The older tools wrote this label whatever they compressed with.
    packed = zlib.compress(REPEATED, 6)
    about = {"original_size": len(REPEATED), "compressed_size": len(packed), "ratio": len(packed) / len(REPEATED)}
    about = {"type": "zstd-h5", "level": 3, **about}
    more = {"name": "tiny20", "compression": about, "encoded_size": len(packed)}
    write(at("compressed_mislabelled"), packed, metadata(REPEATED, grid_side(len(packed)), **more))

    boot_image(at("kernel_initrd"), fake_kernel(), b"an archive\n" * 90)

    good = at("tiny").read_bytes()
    parts = chunks(good)
    deflated = b"".join(data for kind, data in parts if kind == b"IDAT")
    replaced = lambda width, height, meta, deflated: joined(
        [(b"IHDR", header(width, height)), (b"tEXt", b"PixelRTS\0" + text_of(meta).encode())]
        + [(b"IDAT", deflated), (b"IEND", b"")]
    )
    rows = zlib.decompress(deflated)
    half = zlib.compress(rows[: len(rows) // 2], 6)
    damaged = {
        "bad_cut_file": good[:-60],
        "bad_data_hash": replaced(side, side, {**meta, "data_hash": "0" * 64}, deflated),
        "bad_no_metadata": joined([(kind, data) for kind, data in parts if kind != b"tEXt"]),
        "bad_nonsquare": replaced(side, side // 2, meta, half),
        "bad_truncated_idat": replaced(side, side, meta, deflated[: len(deflated) // 2]),
        "bad_bomb_header": replaced(1 << 16, 1 << 16, meta, zlib.compress(bytes(1 << 20), 9)),
    }
    for name, file in damaged.items():
        at(name).write_bytes(file)


def boot_image(path, kernel, initrd, level=6):
    payload = kernel + initrd
    segments = [("kernel", 0, kernel), ("initrd", len(kernel), initrd)]
    about = {"type": "os", "name": "older-linux", "content_version": "6.1.0-56"}
    about.update(kernel_version="6.1.0-56-cloud-amd64", distro="debian", architecture="x86_64")
    write(path, payload, metadata(payload, grid_side(len(payload)), segments=segments, **about), level)


def contents(path):
    """The chunks, with the picture inflated: another zlib writes the same pixels in other bytes."""
    found = chunks(path.read_bytes())
    stream = zlib.decompressobj()
    picture = stream.decompress(b"".join(data for kind, data in found if kind == b"IDAT"), 1 << 20)
    # Where the stream is cut, how far it goes depends on the zlib that wrote it.
    return [part for part in found if part[0] != b"IDAT"], picture if stream.eof else None


def check(folder):
    with tempfile.TemporaryDirectory() as fresh:
        small(Path(fresh))
        made, there = ({file.name: file for file in place.glob("*.rts.png")} for place in (Path(fresh), folder))
        if made.keys() != there.keys():
            sys.exit(f"these images are in one folder only: {sorted(made.keys() ^ there.keys())}")
        other = [name for name in sorted(made) if contents(made[name]) != contents(there[name])]
        if other:
            sys.exit(f"run `tests/writer.py small {folder}`; these images are not what it writes: {other}")
    print(f"{len(made)} images are what the writer writes")


def main(task=None, *paths):
    paths = [Path(path) for path in paths]
    if (task, len(paths)) == ("small", 1):
        small(*paths)
    elif (task, len(paths)) == ("check", 1):
        check(*paths)
    elif (task, len(paths)) == ("boot", 3):
        boot_image(paths[0], paths[1].read_bytes(), paths[2].read_bytes(), level=1)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
