"""Finds ports on the loopback for what the sandbox starts, beside servers on the usual ones."""

import socket

LOOPBACK = "127.0.0.1"


def free_port(preferred: int | None = None) -> int:
    """Return `preferred` if it is free on the loopback, else any port that is.

    It is free now, and may be taken before a server binds it: whoever starts one tries again.
    """
    if preferred is not None and (port := _bindable(preferred)):
        return port
    port = _bindable(0)
    if port is None:
        raise OSError("no port of 127.0.0.1 is free")
    return port


def _bindable(port: int) -> int | None:
    """Bind and let go; what earlier connections left in TIME_WAIT does not count as taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return None
        bound: int = probe.getsockname()[1]
        return bound
