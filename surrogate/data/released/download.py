"""One file over HTTP: resumed where it broke off, checked, and put in place whole.

What came so far stays beside its goal as FILE.part. The goal itself appears only with
the right digest and length, by a rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from surrogate.base.errors import DataError
from surrogate.base.progress import Progress

# No released table of runs is larger.
MOST_BYTES = 200 * 2**20
_BLOCK = 2**16
_PARTIAL, _NOT_SATISFIABLE = 206, 416
TIMEOUT = 30.0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to what can be read on the way."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request of a redirect.

        Raises:
            DataError: it leaves the web, or https.
        """
        allowed = ("https://",) if req.type == "https" else ("https://", "http://")
        if not newurl.lower().startswith(allowed):
            fp.close()
            raise DataError(
                f"{req.full_url}: expected a redirect that stays on {req.type}, got "
                f"{newurl[:80]}. Fetch the file by hand."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    path: Path,
    *,
    sha256: str = "",
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> str:
    """Fetch a file, going on where a former try broke off.

    Args:
        url: of the file.
        path: where to put it.
        sha256: what its bytes must have; "" for any.
        progress: told what has come.
        timeout: without a byte [s].

    Returns:
        The SHA-256 of what was fetched.

    Raises:
        DataError: the server has no such file, breaks off, or sends something else.
    """
    part = path.with_name(f"{path.name}.part")
    _append(url, part, progress, timeout)
    found = hashlib.sha256(part.read_bytes()).hexdigest()
    if sha256 and found != sha256:
        part.unlink()
        raise DataError(
            f"{url}: expected a file with SHA-256 {sha256[:16]}..., got "
            f"{found[:16]}...; it is not kept. Try again; if it stays so, the file was "
            "changed upstream."
        )
    os.replace(part, path)
    return found


def _append(url: str, part: Path, progress: Progress | None, timeout: float) -> None:
    """Fetch what is missing; every failure as one sentence."""
    try:
        with part.open("ab") as stream:
            _receive(url, stream, progress, timeout)
            stream.flush()
            os.fsync(stream.fileno())
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(
            f"{url}: expected a file, got {error.code} {error.reason}. "
            f"{'Try again later.' if error.code >= 500 else 'Fetch it by hand.'}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        got = part.stat().st_size if part.exists() else 0
        raise DataError(
            f"{url}: expected the whole file, but the connection failed ({reason}) "
            f"after {got:,} bytes. Try again: it goes on from there."
        ) from error


def _receive(
    url: str, stream: IO[bytes], progress: Progress | None, timeout: float
) -> None:
    """Append what is missing of a file to what came before."""
    came = stream.seek(0, os.SEEK_END)
    headers = {"User-Agent": "loss-surrogate", "Accept-Encoding": "identity"}
    if came:
        headers["Range"] = f"bytes={came}-"
    opener = urllib.request.build_opener(_Redirects)
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if not (came and error.code == _NOT_SATISFIABLE):
            raise
        # There is no more than came before, or it is of another file: from the start.
        error.close()
        stream.truncate(0)
        _receive(url, stream, progress, timeout)
        return
    if answer.status == _PARTIAL and not _goes_on(answer, came):
        answer.close()
        stream.truncate(0)
        _receive(url, stream, progress, timeout)
        return
    with contextlib.closing(answer):
        if answer.status != _PARTIAL:
            stream.truncate(0)
            came = 0
        length = answer.headers.get("Content-Length", "")
        total = came + int(length) if length.isdigit() else None
        if (total or 0) > MOST_BYTES:
            raise _too_large(url, total or 0)
        if progress is not None:
            progress.start("Fetching", total or 0)
            progress.advance(came)
        while block := answer.read1(_BLOCK):
            came += len(block)
            if came > MOST_BYTES:
                raise _too_large(url, came)
            stream.write(block)
            if progress is not None:
                progress.advance(len(block))
        if total is not None and came < total:
            raise http.client.IncompleteRead(b"", total - came)


def _goes_on(answer: Any, came: int) -> bool:
    """Whether a part of a file begins where the last one broke off."""
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {came}-")


def _too_large(url: str, size: int) -> DataError:
    return DataError(
        f"{url}: expected at most {MOST_BYTES:,} bytes, got {size:,}. It is not the "
        "table that it should be."
    )
