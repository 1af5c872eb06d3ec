"""The bytes of one response as its head and its body.

httptools parses, as strictly as Node does, but for three things that the HTTP library lets pass: a
line may end without a carriage return, blanks may follow a chunk's size (some servers pad it), and
a length does not matter to a body in chunks. What is not body is bounded here: it would be kept.
"""

from __future__ import annotations

import httptools
import httpx2

LONGEST_HEAD = 100 * 1024
"""Bytes without any body between them: of heads, of chunks' extensions, of trailers."""

_ENCODING = b"transfer-encoding"
_FRAMING = (b"content-length", _ENCODING)


class ResponseParser:
    """One response, as its bytes come."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_begun = False
        """Whether any byte came."""
        self.has_head = False
        """Whether the head is whole, not counting those of interim responses."""
        self.is_whole = False
        """Whether the body has ended as its head says."""
        self.leaves_connection = False
        """Whether the next request may take the same connection."""
        self._named: dict[bytes, bytes] = {}
        """The first header of each name."""
        self._framing: dict[bytes, bytes] = {}
        self._beside_body = 0
        self._pieces: list[bytes] = []
        self._pieces_at_end = 0
        self.on_body = self._pieces.append
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: memoryview) -> bytes:
        """The bytes of the body in `data`; nothing at all in `data` is the connection's end.

        Raises httpx2.RemoteProtocolError.
        """
        if not data:
            self._end()
            return b""
        assert self._parser is not None
        self.has_begun = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_whole:
                raise httpx2.RemoteProtocolError(f"no HTTP: {error}") from error
            self.leaves_connection = False  # something follows the end
        pieces = self._pieces
        if self.is_whole:
            del pieces[self._pieces_at_end :]  # it belongs to what follows the end
            self._pieces_at_end = 0
        elif not pieces:
            self._count_beside_body(len(data))
            return b""
        self._beside_body = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def header(self, name: bytes) -> str | None:
        """The value of the first header of this name, which is in lower case."""
        value = self._named.get(name)
        return None if value is None else value.decode("latin-1")

    def close(self) -> None:
        """Let go of the parser: each of the two holds the other."""
        self._parser = None

    def _count_beside_body(self, count: int) -> None:
        self._beside_body += count
        if self._beside_body > LONGEST_HEAD:
            raise httpx2.RemoteProtocolError("the head of the answer does not end")

    def _end(self) -> None:
        """Without a length and chunks, the connection's end is that of the body."""
        if not self.has_head:
            raise httpx2.RemoteProtocolError("the provider hung up without an answer")
        if self._framing:
            raise httpx2.RemoteProtocolError("the provider hung up in the middle of the answer")
        self.is_whole = True

    # --- what httptools calls ------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A response begins; one after the answer is none that was asked for."""
        self.leaves_connection = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        if not self.has_head:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole; that of an interim response is forgotten."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if self.has_head:
            return
        if status < 200:
            self.headers.clear()
            return
        self.status, self.has_head = status, True
        named = [(name.lower(), value) for name, value in self.headers]
        self._named = dict(reversed(named))
        self._framing = {name: value for name, value in named if name in _FRAMING}
        if self._framing.get(_ENCODING, b"chunked").strip().lower() != b"chunked":
            raise ValueError("a body that comes neither plain nor in chunks")

    def on_message_complete(self) -> None:
        """A response is whole."""
        assert self._parser is not None
        if self.has_head and not self.is_whole:
            self.is_whole = True
            self._pieces_at_end = len(self._pieces)
            self.leaves_connection = len(self._framing) < 2 and self._parser.should_keep_alive()
