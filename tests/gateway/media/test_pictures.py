"""What pictures and documents cost, and which the provider would refuse."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.media.pictures import (
    HIGH,
    MIB,
    PAGE_TOKENS,
    STANDARD,
    URL_DOCUMENT_TOKENS,
    USUAL_TOKENS,
    Size,
    check_media,
    media_tokens,
    pdf_tokens,
    picture_size,
    picture_tokens,
    resolution_of,
)


def b64(data: bytes) -> str:
    """As it stands in a message."""
    return base64.b64encode(data).decode()


def image(data: bytes | str, media_type: str = "image/png") -> dict[str, Any]:
    """A picture's block."""
    text = data if isinstance(data, str) else b64(data)
    source = {"type": "base64", "media_type": media_type, "data": text}
    return {"type": "image", "source": source}


def document(data: bytes | str, media_type: str = "application/pdf") -> dict[str, Any]:
    """A document's block."""
    return {**image(data, media_type), "type": "document"}


def at_address(kind: str, url: Any) -> dict[str, Any]:
    """A block whose content the provider fetches itself."""
    return {"type": kind, "source": {"type": "url", "url": url}}


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, pixels: bool = True) -> bytes:
    """A grey PNG; without pixels, its header alone."""
    head = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    )
    if not pixels:
        return head
    return head + chunk(b"IDAT", zlib.compress(b"\0" * (width + 1) * height)) + chunk(b"IEND", b"")


def segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(width: int, height: int, *, before: bytes = b"", frame: int = 0xC0) -> bytes:
    """A JPEG up to its scan, with what is put before the frame header."""
    app = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    start = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    return b"\xff\xd8" + app + before + segment(frame, start) + b"\xff\xda"


def gif(width: int, height: int) -> bytes:
    """A GIF's header."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def riff(kind: bytes, data: bytes) -> bytes:
    """A WebP of one chunk."""
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lossy(width: int, height: int) -> bytes:
    """A WebP in VP8; the upper two bits ask for scaling."""
    return riff(b"VP8 ", b"\0\0\0\x9d\1\x2a" + struct.pack("<HH", width | 0x4000, height | 0x8000))


def lossless(width: int, height: int) -> bytes:
    """A WebP in VP8L."""
    return riff(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14 | 1 << 28))


def extended(width: int, height: int) -> bytes:
    """A WebP with a canvas."""
    sides = (struct.pack("<I", side - 1)[:3] for side in (width, height))
    return riff(b"VP8X", b"\x10\0\0\0" + b"".join(sides))


def pdf(pages: int, *, between: bytes = b"") -> bytes:
    """A PDF of empty pages."""
    objects = [
        b"%d 0 obj\n<< /Type /Page /Parent 1 0 R >>\nendobj\n" % (number + 2)
        for number in range(pages)
    ]
    tree = b"1 0 obj\n<< /Type /Pages /Count %d >>\nendobj\n" % pages
    return b"%PDF-1.7\n" + tree + between.join(objects) + b"%%EOF\n"


EXIF = segment(0xE1, b"Exif\0\0" + jpeg(160, 120)) + segment(0xE2, b"\xff\xc0" * 30_000)
FORMATS = {
    "png": png(640, 480),
    "jpeg": jpeg(640, 480),
    "progressive jpeg": jpeg(640, 480, frame=0xC2),
    "jpeg with a thumbnail and a profile": jpeg(640, 480, before=EXIF),
    "jpeg with tables, padding and a marker without length": jpeg(
        640, 480, before=segment(0xC4, b"\0" * 20) + b"\xff\x01\xff\xff" + segment(0xDB, b"\0")
    ),
    "gif": gif(640, 480),
    "lossy webp": lossy(640, 480),
    "lossless webp": lossless(640, 480),
    "extended webp": extended(640, 480),
}


@pytest.mark.parametrize("data", FORMATS.values(), ids=FORMATS.keys())
def test_the_size_is_in_the_header(data: bytes) -> None:
    """Of every format that the provider takes."""
    assert picture_size(data) == Size(640, 480)


@pytest.mark.parametrize("data", FORMATS.values(), ids=FORMATS.keys())
def test_a_header_that_ends_early_tells_no_size(data: bytes) -> None:
    """Nor a false one."""
    assert {picture_size(data[:end]) for end in range(len(data))} <= {None, Size(640, 480)}
    assert picture_size(data[:12]) in {None, Size(640, 480)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        png(0, 10, pixels=False),
        jpeg(10, 0),
        b"\xff\xd8\xff\xd9" + b"\0" * 20,
        b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + b"\1" * 20,
        riff(b"ALPH", b"\1" * 20),
        riff(b"VP8 ", b"\1" * 20),
        riff(b"VP8L", b"\1" * 20),
    ],
)
def test_what_is_no_picture_counts_as_a_usual_one(data: bytes) -> None:
    """An estimate never fails."""
    assert picture_tokens("image/png", b64(data)) == USUAL_TOKENS == 1_600


# The provider's page on vision gives these.
@pytest.mark.parametrize(
    ("width", "height", "standard", "high"),
    [
        (1, 1, 1, 1),
        (200, 200, 64, 64),
        (1000, 1000, 1296, 1296),
        (1092, 1092, 1521, 1521),
        (1920, 1080, 1560, 2691),
        (3840, 2160, 1560, 4784),
        (1, 60_000, 56, 92),
    ],
)
def test_a_picture_costs_a_token_a_patch_once_it_is_scaled_down(
    width: int, height: int, standard: int, high: int
) -> None:
    """To what its model sees, upright or not."""
    for data in (png(width, height, pixels=False), png(height, width, pixels=False)):
        assert picture_tokens("image/png", b64(data)) == standard
        assert picture_tokens("image/png", b64(data).encode(), HIGH) == high


@given(st.integers(1, 2**31), st.integers(1, 2**31))
def test_no_picture_costs_more_than_its_model_sees(width: int, height: int) -> None:
    """And never more for a model that sees less."""
    data = b64(png(width, height, pixels=False))
    standard, high = (media_tokens(image(data), seen) for seen in (STANDARD, HIGH))
    assert 1 <= standard <= STANDARD.tokens
    assert standard <= high <= HIGH.tokens


def test_only_the_head_of_a_picture_is_decoded() -> None:
    """What comes later may be anything, at any length."""
    tail = "*" * (20 * MIB)
    head = jpeg(640, 480, before=segment(0xE2, b"\0" * 60_000) * 3)
    head += b"\0" * (256 * 1024 + 2 - len(head))
    assert media_tokens(image(b64(head) + tail, "image/jpeg")) == 23 * 18
    assert media_tokens(image("*" + b64(head), "image/jpeg")) in {23 * 18, USUAL_TOKENS}


@pytest.mark.parametrize(
    ("model", "resolution"),
    [
        ("claude-3-7-sonnet-20250219", STANDARD),
        ("claude-sonnet-4-20250514", STANDARD),
        ("claude-opus-4-1-20250805", STANDARD),
        ("claude-haiku-4-5@20251001", STANDARD),
        ("claude-opus-4-7", HIGH),
        ("claude-fable-5", HIGH),
        ("claude-sonnet-5-5", HIGH),
        ("a-model-of-tomorrow", HIGH),
    ],
)
def test_models_from_4_7_on_see_more(model: str, resolution: Any) -> None:
    """So does one whose version is not told: an estimate is rather too high than too low."""
    assert resolution_of(model) == resolution


def test_a_pdf_costs_by_the_page() -> None:
    """Pages are counted, their tree is not."""
    assert pdf_tokens(b64(pdf(1))) == PAGE_TOKENS
    assert media_tokens(document(pdf(12))) == 12 * PAGE_TOKENS
    compact = pdf(3).replace(b"/Type /Page", b"/Type/Page").replace(b" /Parent", b"/Parent")
    assert pdf_tokens(b64(compact).encode()) == 3 * PAGE_TOKENS
    labels = pdf(2) + b"<< /Type /PageLabel >>"
    assert pdf_tokens(b64(labels)) == 2 * PAGE_TOKENS


def test_the_pages_of_a_pdf_that_hides_them_are_guessed_by_its_size() -> None:
    """At least one; 50 KB a page."""
    assert pdf_tokens(b64(b"%PDF-1.7\n" + b"\x9c" * 1_000)) == PAGE_TOKENS
    assert pdf_tokens(b64(b"%PDF-1.7\n" + b"\x9c" * 495_000)) == 10 * PAGE_TOKENS
    assert pdf_tokens("") == PAGE_TOKENS
    assert pdf_tokens("*" * 64) == PAGE_TOKENS


def test_of_a_long_pdf_a_part_is_scanned() -> None:
    """The rest is taken to be alike."""
    data = pdf(96, between=b"\0" * (MIB // 6))
    assert len(data) > 15 * MIB
    assert abs(pdf_tokens(b64(data)) // PAGE_TOKENS - 96) <= 2


def test_what_is_at_an_address_is_guessed_and_text_is_counted_elsewhere() -> None:
    """Nothing is fetched."""
    assert media_tokens(at_address("image", "https://x.example/a.png")) == USUAL_TOKENS
    assert media_tokens(at_address("document", "https://x.example/a.pdf")) == URL_DOCUMENT_TOKENS
    text = {"type": "document", "source": {"type": "text", "data": "words"}}
    assert media_tokens(text) == 0
    assert media_tokens({"type": "text", "text": "words"}) == 0
    assert media_tokens({}) == 0


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
STARTS = st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"])
CHUNKS = st.sampled_from([b"RIFF....WEBP" + kind for kind in (b"VP8 ", b"VP8L", b"VP8X")])


@given(STARTS | CHUNKS, st.binary(max_size=300))
def test_any_bytes_have_an_estimate(start: bytes, rest: bytes) -> None:
    """Nonsense behind a true beginning included."""
    for media_type in ("image/png", "image/webp", "nonsense", ""):
        assert 1 <= picture_tokens(media_type, b64(start + rest)) <= USUAL_TOKENS
        assert 1 <= picture_tokens(media_type, start + rest) <= USUAL_TOKENS
    assert pdf_tokens(start + rest) >= PAGE_TOKENS


@given(
    st.sampled_from(["image", "document", "text"]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["base64", "url", "text", "file"])},
        optional={"media_type": ANYTHING, "data": ANYTHING, "url": ANYTHING},
    )
    | ANYTHING,
)
def test_any_block_is_judged(kind: str, source: Any) -> None:
    """An estimate and a sentence, or none; never an exception."""
    block = {"type": kind, "source": source}
    assert media_tokens(block) >= 0
    reason = check_media(block, 100)
    assert reason is None or reason.isprintable()


def test_what_the_provider_takes_is_not_refused() -> None:
    """Every type of picture, PDFs, text, and addresses."""
    webp = riff(b"VP8L", b"\x2f" + struct.pack("<I", (1 << 14) | 1) + bytes(5))
    pictures = {
        "image/png": png(2, 2),
        "image/jpeg": jpeg(2, 2),
        "image/gif": gif(2, 2),
        "image/webp": webp,
    }
    for media_type, data in pictures.items():
        assert check_media(image(data, media_type), 100) is None
    late = b"".join(segment(0xE2, bytes(60_000)) for _ in range(5))
    assert check_media(image(jpeg(2, 2, before=late), "image/jpeg"), 100) is None
    assert check_media(image(png(8_000, 8_000, pixels=False)), 100) is None
    assert check_media(image(b64(png(2, 2)[:48]) + "A" * (10 * MIB - 64)), 100) is None
    assert check_media(document(pdf(1)), 100) is None
    text = {"type": "text", "media_type": "text/plain", "data": "words"}
    assert check_media({"type": "document", "source": text}, 100) is None
    for url in ("https://x.example/a", "https://[::1]:8000/a", "HTTPS://x.example"):
        assert check_media(at_address("image", url), 100) is None
        assert check_media(at_address("document", url), 100) is None
    assert check_media({"type": "text", "text": "words"}, 100) is None
    changed = pdf(60) + b"%%EOF\n" + pdf(60) + b"%%EOF\n"  # the later pages may be the former ones
    assert check_media(document(changed), 100) is None


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (image(png(2, 2), "image/bmp"), "one of image/png, image/jpeg, image/gif, image/webp"),
        (image(""), "the picture's data is not base64"),
        (image("AAA"), "the picture's data is not base64"),
        (image("AA\nA"), "the picture's data is not base64"),
        (image("AA=A"), "the picture's data is not base64"),
        (image("A-_A"), "the picture's data is not base64"),
        (image("ÀAAA"), "the picture's data is not base64"),
        (image("A" * (10 * MIB + 4)), "at most 10 MB in base64"),
        (image(png(8_001, 10, pixels=False)), "at most 8000 by 8000 pixels; this has 8001 by 10"),
        (document(pdf(1), "text/plain"), "must be application/pdf"),
        (document(pdf(1), "application/msword"), "must be application/pdf"),
        (document("%PDF"), "the document's data is not base64"),
        (document(b64(b"no PDF at all")), "the document's data is no PDF"),
        (document(pdf(101)), "at most 100 pages of a PDF; this has 101"),
        (image(b64(b"no picture at all!")), "the picture's data is none of image/png"),
        (image(png(2, 2), "image/jpeg"), "the picture is image/png, and not image/jpeg"),
        (image(png(2, 2)[:14]), "the picture is broken"),
        (image(gif(0, 0), "image/gif"), "the picture is broken"),
        (image(jpeg(2, 2)[:20], "image/jpeg"), "the picture is broken"),
        ({"type": "document", "source": {"type": "text", "data": ""}}, "text is empty"),
        (document("A" * (32 * MIB + 4)), "at most 32 MB in base64"),
        (
            {"type": "document", "source": {"type": "text", "media_type": "text/html"}},
            "must be text/plain",
        ),
        (at_address("image", "http://x.example/a"), "must begin with https://"),
        (at_address("image", "ftp://x.example/a"), "must begin with https://"),
        (at_address("image", "file:///etc/passwd"), "must begin with https://"),
        (at_address("image", "https://"), "name a host"),
        (at_address("document", "https://[x"), "must begin with https://"),
        (at_address("document", 7), "must begin with https://"),
        ({"type": "image", "source": {"type": "file"}}, "the source of this image is of no known"),
        ({"type": "document"}, "the source of this document is of no known type"),
    ],
)
def test_what_the_provider_would_refuse_is_refused_in_words(
    block: dict[str, Any], reason: str
) -> None:
    """Before anything is sent, for a person to read."""
    told = check_media(block, 100)
    assert told is not None
    assert reason in told
