"""Instructions as bytes: no vocabulary, so that every station agrees without a file."""

import numpy as np


def encode_text(text: str, length: int) -> np.ndarray:
    """UTF-8 bytes of `text` as uint8 [length], padded with 0, cut at a whole character."""
    raw = text.encode("utf-8")[:length].decode("utf-8", errors="ignore").encode("utf-8")
    out = np.zeros(length, np.uint8)
    out[: len(raw)] = np.frombuffer(raw, np.uint8)
    return out


def decode_text(codes: np.ndarray) -> str:
    """The inverse of `encode_text` for texts without NUL bytes that fit."""
    return bytes(np.asarray(codes, np.uint8)).rstrip(b"\0").decode("utf-8")
