"""The engine's module, as built into the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from koru_delta.errors import KoruDeltaError

_MODULE: Final = Path(__file__).parent.parent / "koru_delta_core.wasm"


def recorded_digest() -> str:
    """The SHA-256 that was recorded when the module was built.

    Raises:
        KoruDeltaError: If it is missing.
    """
    try:
        return _MODULE.with_name(_MODULE.name + ".sha256").read_text().strip()
    except OSError as error:
        raise _missing(error) from error


def module_bytes() -> bytes:
    """The module, checked against the SHA-256 that was recorded when it was built.

    Raises:
        KoruDeltaError: If it is missing or not what was built.
    """
    digest = recorded_digest()
    try:
        data = _MODULE.read_bytes()
    except OSError as error:
        raise _missing(error) from error
    import hashlib  # Here: it takes milliseconds to import.

    if hashlib.sha256(data).hexdigest() != digest:
        raise KoruDeltaError(
            f"the engine at {_MODULE} is not the one that was built: its SHA-256 differs",
            suggestion="install koru-delta again, and find out what changed the file",
        )
    return data


def _missing(error: OSError) -> KoruDeltaError:
    return KoruDeltaError(
        f"the engine is missing from the installation: {error}",
        suggestion="install koru-delta again; in a checkout, run make module",
    )
