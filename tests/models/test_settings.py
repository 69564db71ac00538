"""Settings: who is heard before whom, and what is said of a value that cannot be."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from afterturn_models.errors import ConfigurationError
from afterturn_models.settings import load
from afterturn_models.sources import home, stack_file
from afterturn_models.values import Mode

SECRET = "s3cret-of-the-url"


class Places:
    """Every place a setting may stand in, written to by name."""

    ORDER = ("keyword", "environment", "own host", "ours", "host", "root", "honcho", "stack")

    def __init__(self, ours_home: Path, user_home: Path) -> None:
        self.env = {"AFTERTURN_HOME": str(ours_home)}
        self.keywords: dict[str, object] = {}
        self._ours = ours_home / "config.json"
        self._stack = ours_home / "stack.json"
        self._honcho = user_home / ".honcho" / "config.json"
        for file in (self._ours, self._honcho):
            file.parent.mkdir(parents=True, exist_ok=True)

    def say(self, place: str, key: str, value: object) -> None:
        """Say `value` for `key` (camelCase) at a place."""
        snake = "".join("_" + c.lower() if c.isupper() else c for c in key)
        match place:
            case "keyword":
                self.keywords[snake] = value
            case "environment":
                self.env[f"AFTERTURN_{snake.upper()}"] = str(value)
            case "honcho":
                self.env[{"workspace": "HONCHO_WORKSPACE_ID"}[key]] = str(value)
            case "own host":
                self._merge(self._ours, {"hosts": {"afterturn": {key: value}}})
            case "ours":
                self._merge(self._ours, {key: value})
            case "host":
                self._merge(self._honcho, {"hosts": {"afterturn": {key: value}}})
            case "root":
                self._merge(self._honcho, {key: value})
            case "stack":
                self._merge(self._stack, {key: value})

    def load(self):
        return load(self.keywords, self.env)

    @staticmethod
    def _merge(file: Path, values: dict[str, object]) -> None:
        held = json.loads(file.read_text()) if file.exists() else {}
        for key, value in values.items():
            if isinstance(value, dict) and key == "hosts":
                block = held.setdefault("hosts", {}).setdefault("afterturn", {})
                block.update(value["afterturn"])
            else:
                held[key] = value
        file.write_text(json.dumps(held))
        file.chmod(0o600)


@pytest.fixture
def places(empty_environment: Path, tmp_path: Path) -> Places:
    return Places(empty_environment, tmp_path / "home")


PAIRS = list(itertools.combinations(Places.ORDER, 2))
NAMES = {
    "keyword": "keyword arguments",
    "environment": "the environment",
    "own host": "(host afterturn)",
    "ours": "config.json",
    "host": "(host afterturn)",
    "root": "config.json",
    "honcho": "(HONCHO_WORKSPACE_ID)",
    "stack": "stack.json",
}


@pytest.mark.parametrize(("near", "far"), PAIRS)
def test_the_nearer_of_any_two_sources_wins(places, near, far):
    places.say(far, "workspace", "far")
    places.say(near, "workspace", "near")
    loaded = places.load()
    assert loaded.settings.workspace == "near"
    assert NAMES[near] in loaded.origins["workspace"]


def test_sources_complete_each_other(places):
    for number, place in enumerate(("ours", "host", "root", "stack")):
        key = ("peerName", "aiPeer", "contextTokens", "redisUrl")[number]
        places.say(place, key, 1234 if key == "contextTokens" else f"said-{place}")
    said = places.load().settings
    assert (said.peer_name, said.ai_peer) == ("said-ours", "said-host")
    assert (said.context_tokens, said.redis_url) == (1234, "said-stack")


def test_without_any_source_there_are_defaults(places):
    loaded = places.load()
    assert loaded.origins == {}
    assert (loaded.settings.workspace, loaded.settings.write_frequency) == ("afterturn", "async")
    assert loaded.settings.database_url is None


@pytest.mark.parametrize(("near", "far"), list(itertools.combinations(Places.ORDER[:6], 2)))
def test_a_shorthand_is_not_overruled_from_further_away(places, near, far):
    """The nearest source that speaks of a mode wins: what was to stay local stays local."""
    places.say(far, "userMemoryMode", "hybrid")
    places.say(near, "memoryMode", "local")
    said = places.load().settings
    assert (said.memory_mode, said.user_memory_mode) == (Mode.LOCAL, None)


@pytest.mark.parametrize("place", ["keyword", "environment", "ours", "host", "root"])
def test_in_one_source_the_per_peer_mode_and_the_shorthand_both_count(places, place):
    places.say(place, "memoryMode", "local")
    places.say(place, "userMemoryMode", "honcho")
    said = places.load().settings
    assert (said.memory_mode, said.user_memory_mode) == (Mode.LOCAL, Mode.HONCHO)


def test_a_per_peer_mode_that_is_nearer_stands_beside_a_shorthand(places):
    places.say("environment", "userMemoryMode", "honcho")
    places.say("root", "memoryMode", "local")
    said = places.load().settings
    assert (said.memory_mode, said.user_memory_mode) == (Mode.LOCAL, Mode.HONCHO)


@pytest.mark.parametrize("place", ["keyword", "ours", "host", "root", "stack"])
def test_null_says_nothing(places, place):
    places.say("stack", "memoryMode", "local")
    if place != "stack":
        places.say(place, "memoryMode", None)
    places.say(place, "workspace", None)
    said = places.load().settings
    assert (said.memory_mode, said.workspace) == (Mode.LOCAL, "afterturn")


def test_an_empty_variable_says_nothing(places):
    places.env.update(AFTERTURN_WORKSPACE="", HONCHO_WORKSPACE_ID="", HONCHO_URL="")
    assert places.load().settings.workspace == "afterturn"


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("baseUrl", "honcho_url", "http://h"),
        ("honchoUrl", "honcho_url", "http://h"),
        ("honcho_url", "honcho_url", "http://h"),
        ("workspaceId", "workspace", "x"),
        ("peer_name", "peer_name", "x"),
        ("peerName", "peer_name", "x"),
        ("writeFrequency", "write_frequency", 5),
        ("sessions", "sessions", {"/d": "k"}),
    ],
)
def test_files_may_use_every_spelling(places, key, field, value):
    places.say("root", key, value)
    found = getattr(places.load().settings, field)
    assert found == (value if isinstance(value, dict) else str(value))


def test_the_environment_speaks_text(places):
    places.env.update(
        AFTERTURN_SAVE_MESSAGES="false",
        AFTERTURN_CONTEXT_TOKENS="500",
        AFTERTURN_SESSIONS='{"/d": "k"}',
        AFTERTURN_LEASE_SECONDS="30.5",
    )
    said = places.load().settings
    assert (said.save_messages, said.context_tokens, said.sessions) == (False, 500, {"/d": "k"})
    assert said.lease_seconds == 30.5


def test_names_become_ids_and_stay_apart(places):
    places.say("ours", "workspace", "my room")
    places.say("ours", "aiPeer", "my/room")
    said = places.load().settings
    assert said.workspace.startswith("my-room-")
    assert said.workspace != said.ai_peer


def test_nothing_reads_honchos_key(places):
    places.env.update(
        HONCHO_API_KEY=SECRET, AFTERTURN_API_KEY=SECRET, AFTERTURN_HONCHO_API_KEY=SECRET
    )
    for place in ("ours", "host", "root", "stack"):
        for key in ("apiKey", "api_key", "honchoApiKey"):
            places.say(place, key, SECRET)
    assert SECRET not in repr(places.load())
    with pytest.raises(ConfigurationError, match="api_key"):
        load({"api_key": SECRET}, places.env)


def test_other_programs_blocks_and_keys_are_left_alone(places, tmp_path):
    file = tmp_path / "home" / ".honcho" / "config.json"
    file.write_text(
        '{"hosts": {"hermes": {"workspace": "theirs", "made": "up"}}, "linkedHosts": []}'
    )
    loaded = places.load()
    assert (loaded.settings.workspace, loaded.warnings) == ("afterturn", ())
    for hosts in ([], "x", None, {"afterturn": []}, {"afterturn": None}):
        file.write_text(json.dumps({"hosts": hosts, "workspace": "root"}))
        assert places.load().settings.workspace == "root"


def test_the_home_may_lie_anywhere(tmp_path):
    assert home({"AFTERTURN_HOME": str(tmp_path)}) == tmp_path
    assert home({}) == Path.home() / ".afterturn"
    assert home({"AFTERTURN_HOME": "~/x"}) == Path.home() / "x"
    assert home({"AFTERTURN_HOME": "x"}).is_absolute()
    assert stack_file({"AFTERTURN_HOME": str(tmp_path)}) == tmp_path / "stack.json"


# What cannot be, and what is said of it.


@pytest.mark.parametrize(
    "file", [".afterturn/config.json", ".afterturn/stack.json", ".honcho/config.json"]
)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{,}", "is not JSON"),
        (b"", "is not JSON"),
        (b"[]", "must hold one JSON object"),
        (b'"x"', "must hold one JSON object"),
        (b"null", "must hold one JSON object"),
        (b"\xff{}", "cannot be read: it is not UTF-8 text"),
        (None, "cannot be read: "),
    ],
)
def test_a_file_that_is_none_is_named(places, tmp_path, file, content, said):
    path = tmp_path / "home" / file
    path.unlink(missing_ok=True)
    if content is None:
        path.mkdir()  # a folder in its place cannot be read, whoever asks
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as raised:
        places.load()
    assert str(path) in str(raised.value)


wrong = [
    ("writeFrequency", "often", r"async, turn, session, or a number"),
    ("memoryMode", "cloud", r"'hybrid', 'honcho' or 'local'"),
    ("sessionStrategy", "per-moon", r"'per-directory', 'per-repo', 'per-session' or 'global'"),
    ("dialecticReasoningLevel", "huge", r"'minimal', 'low', 'medium', 'high' or 'max'"),
    ("contextTokens", 99, r"greater than or equal to 100"),
    ("leaseSeconds", -1, r"greater than 0"),
    ("saveMessages", "maybe", r"boolean"),
    ("enabled", "perhaps", r"use auto, true or false"),
    ("environment", "moon", r"'production' or 'local'"),
    ("historyCacheEntries", 0, r"greater than or equal to 1"),
]


@pytest.mark.parametrize("place", ["keyword", "environment", "ours", "host", "root", "stack"])
@pytest.mark.parametrize(("key", "value", "allowed"), wrong)
def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(
    places, place, key, value, allowed
):
    places.say(place, key, value)
    with pytest.raises(ConfigurationError, match=allowed) as raised:
        places.load()
    assert f": {key}: " in str(raised.value)
    assert NAMES[place] in str(raised.value)


def test_sessions_in_the_environment_are_json(places):
    places.env["AFTERTURN_SESSIONS"] = "{"
    with pytest.raises(ConfigurationError, match="AFTERTURN_SESSIONS is not JSON"):
        places.load()


@pytest.mark.parametrize("key", ["databaseUrl", "redisUrl", "honchoUrl"])
def test_a_url_with_a_password_is_never_quoted(places, key):
    places.say("ours", key, [f"postgresql://u:{SECRET}@h/d"])
    with pytest.raises(ConfigurationError, match=key) as raised:
        places.load()
    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_a_keyword_that_is_no_setting_is_named():
    with pytest.raises(ConfigurationError, match="'workspce'; did you mean workspace"):
        load({"workspce": "x"}, {})
    with pytest.raises(ConfigurationError, match="'aipeer'; did you mean ai_peer"):
        load({"aipeer": "x"}, {})


@pytest.mark.parametrize(("request_seconds", "fits"), [(8.0, True), (8.01, False), (20, False)])
def test_a_request_must_end_well_within_its_lease(request_seconds, fits):
    said = {"lease_seconds": 10, "request_seconds": request_seconds}
    if fits:
        assert load(said, {}).settings.request_seconds == request_seconds
        return
    with pytest.raises(ConfigurationError, match=r"leaseSeconds \(10\) must exceed requestSeconds"):
        load(said, {})
