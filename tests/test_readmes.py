"""The two READMEs say the same: headings, commands, tables and links; and every link leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
# The link from each to the other.
EACH_OTHER = {"README.md", "README.zh-CN.md"}


def prose(text: str) -> str:
    """Without the blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[list[str]]:
    """The lines of each block of code, without comments, which are translated."""
    found = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [[re.sub(r"\s+# .*", "", line).rstrip() for line in block.splitlines()] for block in found]


def levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), flags=re.MULTILINE)]


def tables(text: str) -> list[list[str]]:
    """Of each table's rows, what is not translated: code, links and numbers."""
    found = re.findall(r"(?:^\|.*\|\n)+", prose(text), flags=re.MULTILINE)
    return [[" ".join(_facts(row)) for row in table.splitlines()[2:]] for table in found]


def _facts(row: str) -> list[str]:
    return sorted(re.findall(r"`[^`]+`|\]\([\w/.]+\)|\b\d[\d.,]*\b", row.replace("(README.md)", "(README.zh-CN.md)")))


def links(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)#]+)[^)]*\)", prose(text))) - EACH_OTHER


def options_in_prose(text: str) -> set[str]:
    code = " ".join(re.findall(r"`([^`]+)`", prose(text)))
    return set(re.findall(r"(?<!\S)--?[a-z][\w-]*", code))


@pytest.mark.parametrize("part", [levels, blocks, tables, links, options_in_prose])
def test_both_say_the_same(part) -> None:
    assert part(ENGLISH) == part(CHINESE)


def test_the_comparison_finds_differences() -> None:
    """Its control."""
    changed = CHINESE.replace("--resume --epochs 60 ", "--resume --epochs 50 ").replace("## 教程", "### 教程")
    changed = changed.replace("0.812", "0.912").replace("docs/tasks.md", "docs/models.md").replace("`--mpi`", "MPI")
    for part in (levels, blocks, tables, links, options_in_prose):
        assert part(ENGLISH) != part(changed), part


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_every_link_leads_to_a_file(text: str) -> None:
    for link in links(text):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_comments_of_commands_are_translated() -> None:
    comments = re.findall(
        r"\s# (.*)", "\n".join(re.findall(r"^```\n(.*?)^```", CHINESE, flags=re.MULTILINE | re.DOTALL))
    )
    assert comments
    assert all(re.search(r"[\u4e00-\u9fff]", comment) for comment in comments)
