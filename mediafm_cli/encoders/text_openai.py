"""``text.openai``: a shot's text through OpenAI's embeddings, or those of a server that speaks the same protocol.

Requests are as large as the API allows: 2,048 inputs and 300,000 tokens each, 8,192 tokens an input (OpenAI, API
reference, Embeddings). A token is at least one byte, so bytes are counted instead: no tokenizer is needed, and no limit
can be passed. Longer text is cut at white space, and the vectors of its pieces are averaged by length and brought to
unit length again, as the vectors of the API are (OpenAI Cookbook, "Embedding texts that are longer than the model's
maximum context length").

The key comes from ``OPENAI_API_KEY`` alone. It is in no option, and no message of the server reaches a user unread: one
that repeats the key is shown without it, and what the client raised is not chained to the error.
"""

from __future__ import annotations

import math
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from mediafm_cli.api import Encoder, Shot, Text
from mediafm_cli.errors import MediafmError, UnavailableError, UsageError

KEY = "OPENAI_API_KEY"
BASE_URL = "OPENAI_BASE_URL"
OPENAI = "https://api.openai.com/v1"
MAX_INPUTS = 2048
MAX_REQUEST_BYTES = 300_000
MAX_INPUT_BYTES = 8_192
USD_PER_MILLION = {"text-embedding-3-large": 0.13, "text-embedding-3-small": 0.02, "text-embedding-ada-002": 0.10}
"""List prices of January 2026, https://openai.com/api/pricing."""

_BYTES_PER_TOKEN = 4  # of English, on average: what a plan is reckoned with
_REMEMBERED_NUMBERS = 16_000_000  # of the vectors that are kept for the titles to come: 64 MB
_KEY_LIKE = re.compile(r"\b(sk|key)-[\w*.-]+")


@dataclass(frozen=True)
class TextOpenAIOptions:
    """Options of ``text.openai``.

    Attributes:
        model: as the server calls it.
        dimensions: width of the vectors.
        send_dimensions: whether the server is asked for that width; not all models take the question.
        base_url: of a server that speaks OpenAI's protocol. Default: the variable OPENAI_BASE_URL, else OpenAI's own.
        max_retries: of a request that fails in passing: too many requests, an error of the server, a lost connection.
        timeout_s: seconds that an answer may take.
        usd_per_million: price of a million tokens in US dollars. Default: OpenAI's list price of January 2026.
    """

    model: str = "text-embedding-3-large"
    dimensions: int = 768
    send_dimensions: bool = True
    base_url: str | None = field(default=None, compare=False)
    max_retries: int = field(default=5, compare=False)
    timeout_s: float = field(default=60.0, compare=False)
    usd_per_million: float | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.dimensions < 1 or self.max_retries < 0 or self.timeout_s <= 0:
            raise UsageError("text.openai needs dimensions of at least 1, max_retries of at least 0, and timeout_s.")


class TextOpenAI(Encoder):
    """Embeddings from a server: float32 [n, dimensions], rows of unit length."""

    needs = Text()
    Options = TextOpenAIOptions
    packages = ("openai",)
    batch_size = MAX_INPUTS
    commit_every_s = 0.0

    def __init__(self, options: Any = None, *, device: str = "cpu") -> None:
        super().__init__(options, device=device)
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()
        self._tokens = self._requests = 0
        self._planned_bytes = self._planned_requests = 0

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.options.dimensions

    def fingerprint(self) -> Mapping[str, str]:
        """The version of the method, and the server: models of one name on two servers are not taken for the same."""
        return {"version": "1", "base_url": self._base_url}

    def preflight(self) -> None:
        """Raise an UnavailableError where there is no key, or none that can be sent."""
        if not _key():
            raise UnavailableError(
                f"text.openai needs a key for {self._base_url}, and {KEY} is not set.",
                hint=f"Set {KEY} (any text, for a server that asks for none), or choose an encoder that needs no key: "
                "--preset offline, or encode with --encoder text.transformers.",
            )
        if not (_key().isascii() and _key().isprintable()):
            what = f"{KEY} holds what no key holds: a character that is not ASCII, or a line break."
            raise UnavailableError(what, hint="Copy the key again.")

    def load(self) -> None:
        """Make the client; nothing is sent."""
        import openai

        self._client = openai.OpenAI(
            api_key=_key(),
            base_url=self._base_url,
            max_retries=self.options.max_retries,
            timeout=self.options.timeout_s,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [_give_up_without_credit]}),
        )

    def split(self, shots: Sequence[Shot]) -> list[list[Shot]]:
        """One part a request: its result is kept, even if the next request fails."""
        sizes = [_size(piece for piece in _cut(shot.text or "") if piece not in self._known) for shot in shots]
        return [list(shots[begin:end]) for begin, end in _fill(sizes)]

    def encode(self, shots: Sequence[Shot]) -> np.ndarray:
        """Encode the text of each shot: float32 [len(shots), dimensions]."""
        cut = [_cut(shot.text or "") for shot in shots]
        wanted = dict.fromkeys(piece for pieces in cut for piece in pieces)
        vectors = {piece: self._known[piece] for piece in wanted if piece in self._known}
        unknown = [piece for piece in wanted if piece not in vectors]
        for begin, end in _fill([_size([piece]) for piece in unknown]):
            answered = dict(zip(unknown[begin:end], self._request(unknown[begin:end]), strict=True))
            vectors |= answered
            self._remember(answered)
        rows = np.zeros((len(shots), self.dim), np.float32)
        for row, pieces in zip(rows, cut, strict=True):
            weights = [len(piece.encode()) for piece in pieces]
            row[:] = _unit(np.average([vectors[piece] for piece in pieces], axis=0, weights=weights))
        return rows

    def plan(self, shots: Sequence[Shot]) -> None:
        """Count what these shots would cost."""
        sizes = [_size(_cut(shot.text or "")) for shot in shots]
        self._planned_bytes += sum(size for _, size in sizes)
        self._planned_requests += len(list(_fill(sizes)))

    def usage(self) -> str:
        """Tokens, requests, and what they cost."""
        said = []
        if self._requests:
            said.append(f"{self._tokens:,} tokens in {_count(self._requests)} to {self._base_url}{self._cost()}")
        if self._planned_requests:
            tokens = -(-self._planned_bytes // _BYTES_PER_TOKEN)
            price = self._cost(tokens)
            requests = _count(self._planned_requests)
            said.append(f"about {tokens:,} tokens (if it is English) in {requests} to {self._base_url}{price}")
        return "; ".join(said)

    def close(self) -> None:
        """Close the connections."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _request(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The vectors of the texts, in one request: float32 [dimensions] each, in order."""
        import openai

        width = self.dim if self.options.send_dimensions else openai.omit
        try:
            answer = self._client.embeddings.create(input=list(texts), model=self.options.model, dimensions=width)
            numbered = sorted(
                ((int(item.index), np.asarray(item.embedding, dtype=np.float32)) for item in answer.data),
                key=lambda pair: pair[0],
            )
            counted = getattr(answer.usage, "total_tokens", None)
        except openai.APIError as error:
            raise self._explain(error) from None
        except (ValueError, TypeError, AttributeError, OverflowError) as error:  # a body of another form
            why = f"{type(error).__name__}: {self._without_key(error)}"
            raise self._malformed("something that is no list of embeddings", why) from None
        if [index for index, _ in numbered] != list(range(len(texts))):
            raise self._malformed(f"{len(numbered)} embeddings for {len(texts)} texts, or numbers them wrongly")
        vectors = [vector for _, vector in numbered]
        shapes = {vector.shape for vector in vectors} - {(self.dim,)}
        if shapes:
            sizes = ", ".join(str(math.prod(shape)) for shape in sorted(shapes))
            hint = f"Say --opt dimensions={sizes}" if all(vector.shape in shapes for vector in vectors) else ""
            raise self._malformed(f"vectors of {sizes} numbers instead of {self.dim}", hint=hint)
        lengths = np.linalg.norm(vectors, axis=1)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise self._malformed("a vector that is zero or not finite")
        self._requests += 1
        estimate = -(-sum(len(text.encode()) for text in texts) // _BYTES_PER_TOKEN)
        self._tokens += counted if isinstance(counted, int) else estimate
        return vectors

    def _remember(self, vectors: Mapping[str, np.ndarray]) -> None:
        self._known.update(vectors)
        for text in vectors:
            self._known.move_to_end(text)
        while len(self._known) * self.dim > _REMEMBERED_NUMBERS:
            self._known.popitem(last=False)

    def _cost(self, tokens: int | None = None) -> str:
        price = self.options.usd_per_million
        if price is None and self._base_url == OPENAI:
            price = USD_PER_MILLION.get(self.options.model)
        dollars = (self._tokens if tokens is None else tokens) / 1e6 * (price or 0)
        return "" if price is None else f", about ${dollars:.4f} at ${price} a million"

    @property
    def _base_url(self) -> str:
        url = (self.options.base_url or os.environ.get(BASE_URL) or OPENAI).strip().rstrip("/")
        if not _is_plain_address(url):
            where = "base_url" if self.options.base_url else BASE_URL
            why = "It must be http(s)://HOST:PORT/PATH, with no name, password or query: it is written into stores."
            raise UsageError(f"The server that {where} names cannot be used.", why, f"Put the key into {KEY}.")
        return url

    def _malformed(self, what: str, why: str = "", hint: str = "") -> MediafmError:
        kept = "What was finished before is kept; run the same command again."
        return MediafmError(f"{self._base_url} answered with {what}.", why, hint or kept)

    def _explain(self, error: Any) -> MediafmError:
        """What the client raised, as an error without the key and with what to do."""
        import openai

        server, said = self._base_url, f"{self._without_key(error)}"
        again = "What was finished before is kept; run the same command again."
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                return UnavailableError(f"{server} does not accept the key.", said, f"Set {KEY} to a valid one.")
            case openai.RateLimitError() if error.code == "insufficient_quota":
                return UnavailableError(f"The account at {server} has no credit left.", said, f"Top it up. {again}")
            case openai.NotFoundError():
                return UnavailableError(f"{server} has no embeddings of {self.options.model!r}.", said)
            case openai.RateLimitError() | openai.InternalServerError():
                tried = f"after {self.options.max_retries} retries"
                return UnavailableError(f"{server} does not answer {tried}.", said, again)
            case openai.APIConnectionError():
                return UnavailableError(f"{server} cannot be reached.", said, again)
        return MediafmError(f"{server} refused the request.", said, again)

    def _without_key(self, error: Exception) -> str:
        """The message of an error on one line, without anything like a key."""
        text = " ".join(str(error).split()).replace(_key() or "\0", "[key]")
        return _KEY_LIKE.sub("[key]", text)[:300].rstrip(".") + "."


def _key() -> str:
    """The key, without the white space that comes with a copied line; empty where there is none."""
    return os.environ.get(KEY, "").strip()


def _is_plain_address(url: str) -> bool:
    """Whether it is scheme, host, port and path, with no place for a secret."""
    try:
        parts = urlsplit(url)
        whole = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.lower() == whole.lower()


def _give_up_without_credit(response: Any) -> None:
    """Tell the client not to try again where an account is used up; it would, with each time-out and pause."""
    if response.status_code == 429 and b"insufficient_quota" in response.read():
        response.headers["x-should-retry"] = "false"


def _cut(text: str) -> list[str]:
    """Pieces that the API takes, cut at white space where there is any."""
    pieces = []
    while len(encoded := text.encode()) > MAX_INPUT_BYTES:
        head = encoded[:MAX_INPUT_BYTES].decode(errors="ignore")
        space = max(head.rfind("\n"), head.rfind(" "))
        end = space if space > 0 else len(head)
        pieces.append(head[:end])
        text = text[end:].lstrip()
    return [*pieces, text] if text or not pieces else pieces


def _size(pieces: Any) -> tuple[int, int]:
    """Inputs and bytes."""
    lengths = [len(piece.encode()) for piece in pieces]
    return len(lengths), sum(lengths)


def _fill(sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Begin and end of each request over things of these sizes, in order, as few as the limits allow."""
    begin, inputs, size = 0, 0, 0
    for place, (more_inputs, more_size) in enumerate(sizes):
        if place > begin and (inputs + more_inputs > MAX_INPUTS or size + more_size > MAX_REQUEST_BYTES):
            yield begin, place
            begin, inputs, size = place, 0, 0
        inputs, size = inputs + more_inputs, size + more_size
    if begin < len(sizes):
        yield begin, len(sizes)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _count(requests: int) -> str:
    return f"{requests:,} request{'s' * (requests != 1)}"
