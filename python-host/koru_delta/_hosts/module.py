"""The engine's module, as built into the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from koru_delta.errors import KoruDeltaError

_MODULE: Final = Path(__file__).parent.parent / "koru_delta_core.wasm"


def module_and_digest() -> tuple[bytes, str]:
    """The module, checked against the SHA-256 that was recorded when it was built; and that one.

    Raises:
        KoruDeltaError: If it is missing or not what was built.
    """
    try:
        data = _MODULE.read_bytes()
        digest = _MODULE.with_name(_MODULE.name + ".sha256").read_text().strip()
    except OSError as error:
        raise KoruDeltaError(
            f"the engine is missing from the installation: {error}",
            suggestion="install koru-delta again; in a checkout, run make module",
        ) from error
    import hashlib  # Here: it takes milliseconds to import.

    if hashlib.sha256(data).hexdigest() != digest:
        raise KoruDeltaError(
            f"the engine at {_MODULE} is not the one that was built: its SHA-256 differs",
            suggestion="install koru-delta again, and find out what changed the file",
        )
    return data, digest


def module_bytes() -> bytes:
    """The module alone, checked as well."""
    return module_and_digest()[0]
