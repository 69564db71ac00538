"""The search over local memory files: what bears on a query comes first, and nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterturn.local_files import LocalFileError, LocalFiles
from afterturn.tools.passages import get, search
from afterturn_models.values import Mode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "memories"
    (folder / "memory").mkdir(parents=True)
    return folder


@pytest.fixture
def files(folder: Path) -> LocalFiles:
    return LocalFiles(folder, lambda: (Mode.HYBRID, Mode.HYBRID))


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


def found(files: LocalFiles, query: str, limit: int = 5) -> list[str]:
    return [one["snippet"] for one in search(files, query, limit)]


def test_the_passage_that_bears_on_the_query_comes_first(folder, files) -> None:
    put(
        folder,
        "USER.md",
        "# Ann\nDrinks green tea in the morning.\n# Travel\nFlies to Lisbon often.",
    )
    put(folder, "MEMORY.md", "The build runs on Thursdays. Tea was mentioned once.")
    put(folder, "memory/2026-11-20.md", "Talked about the deploy and the green light.")
    assert found(files, "which tea does she drink in the morning?")[0].startswith("# Ann")
    assert found(files, "Lisbon") == ["# Travel\nFlies to Lisbon often."]
    assert found(files, "deploying")[0].startswith("Talked about the deploy")


def test_a_passage_says_where_it_is_and_can_be_read_there(folder, files) -> None:
    put(folder, "MEMORY.md", "# One\nnothing here\n# Two\nthe vault opens at nine\n# Three\nmore")
    (hit,) = search(files, "vault", 5)
    assert (hit["path"], hit["from"], hit["lines"]) == ("MEMORY.md", 3, 2)
    read = get(files, hit["path"], hit["from"], hit["lines"])
    assert read == {"path": "MEMORY.md", "from": 3, "of": 6, "text": hit["snippet"]}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("她喜欢喝绿茶。", "绿茶"),
        ("彼女は毎朝コーヒーを飲みます。", "コーヒー"),
        ("Er trinkt gerne Straßenkaffee.", "STRASSENKAFFEE"),
        ("그녀는 서울에 삽니다", "서울에"),
        ("\uff34\uff45\uff41 in wide letters", "tea"),
    ],
)
def test_other_scripts_are_found_too(folder, files, text, query) -> None:
    put(folder, "SOUL.md", text)
    put(folder, "USER.md", "something else entirely")
    assert found(files, query) == [text]


def test_nothing_shared_is_nothing_found(folder, files) -> None:
    assert found(files, "tea") == []
    put(folder, "USER.md", "She lives in Lisbon.")
    assert found(files, "tea") == []
    assert found(files, "?!") == []


def test_long_files_are_found_by_part(folder, files) -> None:
    lines = [f"Entry {n} about the weather of the day and other small things." for n in range(2000)]
    lines[1500] = "The password hint is the name of the lighthouse."
    put(folder, "MEMORY.md", "\n".join(lines))
    hit = search(files, "lighthouse", 5)[0]
    assert "lighthouse" in hit["snippet"]
    assert hit["from"] <= 1501 < hit["from"] + hit["lines"]
    assert len(hit["snippet"]) < 1500


def test_new_notes_are_listed_first_and_others_not_at_all(folder, files) -> None:
    for name in ("USER.md", "SECRETS.md", "memory/2026-01-01.md", "memory/2026-11-20.md"):
        put(folder, name, "tea")
    put(folder, "memory/.hidden.md", "tea")
    put(folder, "memory/notes.txt", "tea")
    assert files.names() == ["USER.md", "memory/2026-11-20.md", "memory/2026-01-01.md"]
    assert {one["path"] for one in search(files, "tea", 10)} == set(files.names())


def test_a_folder_that_is_not_there_holds_nothing(tmp_path) -> None:
    files = LocalFiles(tmp_path / "none", lambda: (Mode.HYBRID, Mode.HYBRID))
    assert files.names() == []
    assert search(files, "tea", 5) == []
    with pytest.raises(
        LocalFileError, match=r"USER.md is not there; there are no memory files yet"
    ):
        get(files, "USER.md", 1, None)


def test_links_and_binaries_are_passed_by(folder, files, tmp_path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("the secret tea")
    (folder / "MEMORY.md").symlink_to(secret)
    (folder / "USER.md").write_bytes(b"tea \xff\xfe")
    put(folder, "memory/note.md", "plain tea")
    assert found(files, "tea") == ["plain tea"]
    (folder / "memory" / "note.md").unlink()
    (folder / "memory").rmdir()
    (folder / "memory").symlink_to(tmp_path)
    assert found(files, "tea") == []


def test_what_is_outside_the_folder_is_no_memory_file(files) -> None:
    for path in ("../secret.md", "/etc/passwd", "memory/../USER.md", "config.json"):
        with pytest.raises(LocalFileError, match="is no memory file"):
            get(files, path, 1, None)


def test_lines_beyond_the_end_are_empty(folder, files) -> None:
    put(folder, "USER.md", "one\ntwo\nthree")
    assert get(files, "USER.md", 2, None)["text"] == "two\nthree"
    assert get(files, "USER.md", 2, 1)["text"] == "two"
    assert get(files, "USER.md", 9, 5)["text"] == ""
