"""What setup asks of workers, `python -m afterturn_worker.honcho.try_key`: whether a key is right.

Only workers hold the key, so it is tried in a process of theirs. One JSON object on stdin says what
to try, one on stdout what came of it; a key that is typed comes on stdin, never among arguments or
in the environment, and no answer holds one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from afterturn_models.config_file import set_all_in_file
from afterturn_models.errors import AccessRefused, AfterturnError, ConfigurationError
from afterturn_models.lenient_json import read_lenient
from afterturn_models.secret_values import KEY_NAMES
from afterturn_models.sources import our_file
from afterturn_worker.honcho.client import HonchoClient
from afterturn_worker.honcho.key import checked, honcho_key


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Try a key, or keep one: `{"state", "said", "key"}`, where `key` says whether there was one.

    `key` in `asked` is one that was typed; `file` and `block` say where another program keeps one;
    without them it is what workers started here would use. `keep` writes it into our file, where
    workers read it, instead of trying it. `state` is ok, refused (the key is wrong), away, or wrong
    (what was asked cannot be done).
    """
    try:
        key = _key(asked)
    except (AfterturnError, OSError) as error:
        return {"state": "wrong", "said": str(error), "key": False}
    if asked.get("keep"):
        return _kept(key)
    state, said = _tried(str(asked["url"]), str(asked["workspace"]), key, float(asked["deadline"]))
    return {"state": state, "said": said, "key": key is not None}


def _key(asked: dict[str, Any]) -> str | None:
    if asked.get("key"):
        return checked(str(asked["key"]), "the answer")
    if not asked.get("file"):
        return honcho_key()
    found: Any = read_lenient(Path(asked["file"]), keep_keys=True)
    for name in asked["block"]:
        found = found.get(name) if isinstance(found, dict) else None
    said = [found.get(name) for name in sorted(KEY_NAMES)] if isinstance(found, dict) else []
    key = next((one.strip() for one in said if isinstance(one, str) and one.strip()), None)
    return checked(key, str(asked["file"])) if key else None


def _tried(url: str, workspace: str, key: str | None, deadline: float) -> tuple[str, str]:
    """Reach Honcho as a worker's heartbeat does, which gets or creates the workspace."""
    try:
        client = HonchoClient(url, key, connections=1)
    except ConfigurationError as error:
        return "wrong", str(error)
    try:
        client.check(workspace, deadline=deadline)
    except AccessRefused as error:
        return "refused", str(error)
    except AfterturnError as error:
        return "away", str(error)
    finally:
        client.close()
    return "ok", "Honcho takes the key" if key else "Honcho answers without a key"


def _kept(key: str | None) -> dict[str, Any]:
    if key is None:
        return {"state": "wrong", "said": "there is no key", "key": False}
    try:
        set_all_in_file(our_file(), {}, key=key)
    except (AfterturnError, OSError) as error:
        return {"state": "wrong", "said": str(error), "key": True}
    return {"state": "ok", "said": f"it is kept in {our_file()}", "key": True}


def main() -> int:
    """Answer one question; 0 whatever the answer, 2 where there was no question."""
    try:
        asked = json.load(sys.stdin)
    except ValueError:
        print("afterturn: it takes one JSON object on stdin", file=sys.stderr)  # noqa: T201 - the command's answer
        return 2
    print(json.dumps(answer(asked)))  # noqa: T201 - the command's answer
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
