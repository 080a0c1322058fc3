"""One writer to a database of a browser: a Web Lock, which the browser frees with its holder.

Locks are of one origin: its tabs and workers exclude each other, and so do two handles of one tab.
"""

from __future__ import annotations

import asyncio
from typing import Any

from koru_delta._javascript import JsException, error_text, ffi, has, js, js_object
from koru_delta.errors import DatabaseLockedError, StorageError

_releasing: dict[str, Any] = {}
"""Promises of locks that were let go of here: the browser frees them a moment later."""


class WebLock:
    """A lock that is held until :meth:`release`, or until the page or worker ends."""

    def __init__(self, name: str) -> None:
        """Prepare; nothing is held until :meth:`acquire`."""
        self.name = name
        self._end: Any = None
        self._request: Any = None
        self._proxies: list[Any] = []

    async def acquire(self, seconds: float) -> None:
        """Hold the lock, waiting for another holder ``seconds`` at most.

        Raises:
            DatabaseLockedError: If somebody else holds it.
            StorageError: If this place has no locks.
        """
        if not has("navigator", "locks", "request"):
            raise StorageError(
                "this page has no Web Locks, so nothing keeps two tabs from writing at once",
                suggestion="serve the page by https, or from localhost",
            )
        granted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def on_grant(lock: Any) -> Any:
            # JavaScript's null, which is not None: somebody else has it.
            if not lock or granted.done():
                if not granted.done():
                    granted.set_result(False)
                return None
            granted.set_result(True)
            return js.Promise.new(self._keep(self._take_end))

        def on_refusal(error: Any) -> None:
            if not granted.done():
                granted.set_exception(error)

        options = js_object(ifAvailable=True)
        if seconds > 0:
            signal = js.AbortSignal.timeout(min(int(seconds * 1000), 2**31 - 1))
            options = js_object(signal=signal)
        if (released := _releasing.pop(self.name, None)) is not None:
            await released
        request = js.navigator.locks.request(self.name, options, self._keep(on_grant))
        request.catch(self._keep(on_refusal))
        try:
            held = await granted
            self._request = request
        except JsException as error:
            self.release()
            if "Timeout" not in error_text(error) and "Abort" not in error_text(error):
                raise StorageError(
                    f"cannot lock the database: {error_text(error)}",
                    suggestion="reload the page and open it again",
                ) from error
            held = False
        if not held:
            self.release()
            raise DatabaseLockedError(
                f"{await self._describe()} is open already, in another tab or worker, or here",
                suggestion="close it there, share that handle, open with read_only=True, or wait "
                "for it with Config.lock_timeout",
            )

    def release(self) -> None:
        """Let go. A second call does nothing."""
        if self._end is not None:
            self._end()
            self._end = None
            _releasing[self.name] = self._request
        for proxy in self._proxies:
            proxy.destroy()
        self._proxies.clear()

    def _take_end(self, resolve: Any, _reject: Any) -> None:
        self._end = resolve

    def _keep(self, function: Any) -> Any:
        proxy = ffi.create_proxy(function)
        self._proxies.append(proxy)
        return proxy

    async def _describe(self) -> str:
        """The database, and the client that has it."""
        held = (await js.navigator.locks.query()).held
        for lock in held:
            if lock.name == self.name:
                return f"{self.name} (client {lock.clientId})"
        return self.name
