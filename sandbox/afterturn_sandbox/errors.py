"""The one error that everything on the empty machine raises, in a sentence the user can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from afterturn_models.errors import AfterturnError


class SandboxError(AfterturnError):
    """What failed on this machine, and what to do about it; its cause is chained."""


@contextmanager
def explained(what: str, folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals while doing `what` in `folder` into a SandboxError."""
    try:
        yield
    except OSError as error:
        raise SandboxError(_explain(what, folder, error)) from error


def _explain(what: str, folder: Path, error: OSError) -> str:
    """One sentence for the refusals that a user meets, and the system's own words for the rest."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{what}: no space is left for {folder}; free some or choose another data folder"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return (
            f"{what}: {error.filename or folder} refuses access ({error.strerror}); "
            "make it readable and writable, or choose another data folder"
        )
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return f"{what}: {error.filename or folder} is in the way; choose another data folder"
    return f"{what}: {error.strerror or error} ({error.filename or folder})"
