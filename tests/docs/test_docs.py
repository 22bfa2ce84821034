"""What the documents say is so: pages written from code are current, links lead somewhere, commands, paths and
configuration exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from openpollen.api.route import Route
from openpollen.app import every_route
from openpollen.catalog.load import load, load_catalog
from openpollen.cli.main import polli
from openpollen.core.errors import GatewayError
from openpollen.engines.voices import VOICES
from openpollen.settings.reading import SETTINGS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "bench/README.md"])
BUILDER = ROOT / "tools/build_docs.py"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block of a language, with the page and number that it stands at."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.M | re.S)
    return [
        (f"{named(page)}#{number}", block)
        for page in PAGES
        for number, block in enumerate(fence.findall(page.read_text("utf-8")), 1)
    ]


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """Every command of the shell blocks as words, variables before it left out."""
    for where, block in blocks("bash"):
        for line in re.findall(r"(?:'[^']*'|[^'\n])+", block.replace("\\\n", " ")):  # quotes may span lines
            words = shlex.split(line, comments=True)
            while words and re.match(r"^[A-Z_]+=", words[0]):
                words.pop(0)
            if words:
                yield where, words


@cache
def all_routes() -> tuple[Route, ...]:
    return every_route()


# -- pages written from code ---------------------------------------------------------------------------------------------


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BUILDER), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "40"})


def test_the_generated_pages_are_what_the_code_says() -> None:
    done = build("--check")
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_named(tmp_path: Path) -> None:
    assert build("--folder", str(tmp_path)).returncode == 0
    assert build("--check", "--folder", str(tmp_path)).returncode == 0
    page = tmp_path / "voices.md"
    page.write_text(page.read_text("utf-8") + "a line more\n", "utf-8")
    done = build("--check", "--folder", str(tmp_path))
    assert done.returncode == 1
    assert "voices.md" in done.stderr
    assert "routes.md" not in done.stderr


def test_every_route_is_documented() -> None:
    page = (REFERENCE / "routes.md").read_text("utf-8")
    for route in all_routes():
        for path in route.paths:
            assert f"`{plain(path)}`" in page, path


def test_every_error_code_is_documented() -> None:
    page = (REFERENCE / "errors.md").read_text("utf-8")
    kinds = GatewayError.__subclasses__()
    assert len(kinds) > 15
    for kind in kinds:
        assert f"| {kind.status} | `{kind.code}` |" in page, kind.code


def test_every_setting_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text("utf-8")
    for setting in SETTINGS:
        assert f"`{setting.env}`" in page, setting.name


def test_every_voice_and_model_is_documented() -> None:
    voices, models = ((REFERENCE / f"{name}.md").read_text("utf-8") for name in ("voices", "models"))
    for name in VOICES:
        assert f"| `{name}` |" in voices, name
    for model in load_catalog().models:
        assert f"| `{model.name}`" in models, model.name


def test_every_command_is_documented() -> None:
    page = (REFERENCE / "cli.md").read_text("utf-8")
    for path in commands():
        assert f"## {path}\n" in page, path


# -- links and contents --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        aimed = (page.parent / path).resolve() if path else page
        assert aimed.exists(), target
        if anchor:
            assert anchor in headings(aimed), target


def headings(page: Path) -> set[str]:
    """Anchors as a forge makes them: lower case, punctuation gone, spaces as hyphens."""
    lines = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
        todo += [(page.parent / link).resolve() for link in links if not link.startswith("http")]
    assert {named(page) for page in (ROOT / "docs").rglob("*.md")} <= {named(page) for page in seen}


# -- commands, paths, configuration -----------------------------------------------------------------------------------------


@cache
def commands() -> dict[str, click.Command]:
    """Every command by its words: ``polli admin key create``."""
    found: dict[str, click.Command] = {}

    def walk(command: click.Command, path: str) -> None:
        found[path] = command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk(child, f"{path} {name}")

    walk(polli, "polli")
    return found


def test_every_command_shown_exists_with_its_options() -> None:
    shown = [(where, words) for where, words in shell_lines() if words[0].endswith("/polli")]
    assert len(shown) > 20
    for where, words in shown:
        command, path, arguments = deepest(words)
        assert not isinstance(command, click.Group), f"{where}: {' '.join(words)}"
        options = {option for parameter in command.params for option in parameter.opts}
        for word in arguments:
            if word.startswith("--"):
                assert word in options, f"{where}: {path} has no {word}"


def deepest(words: list[str]) -> tuple[click.Command, str, list[str]]:
    path, rest = "polli", words[1:]
    while rest and f"{path} {rest[0]}" in commands():
        path, rest = f"{path} {rest[0]}", rest[1:]
    return commands()[path], path, rest


def test_commands_named_in_sentences_exist() -> None:
    for page in PAGES:
        for quoted in re.findall(r"`polli ([^`]+)`", page.read_text("utf-8")):
            words = ["polli", *(word for word in quoted.split() if re.fullmatch(r"[a-z-]+", word))]
            first = " ".join(words[:2])
            assert first in commands() or words[1].startswith("-"), f"{named(page)}: polli {quoted}"


def test_every_path_shown_to_curl_is_a_route() -> None:
    shown = [(where, words) for where, words in shell_lines() if words[0] == "curl"]
    assert len(shown) > 20
    for where, words in shown:
        url = next(word for word in words if word.startswith("$URL"))
        path = url.removeprefix("$URL").partition("?")[0]
        method = "POST" if {"-d", "-F"} & set(words) else "GET"
        assert any(matches(route, method, path) for route in all_routes()), f"{where}: {method} {path}"


def matches(route: Route, method: str, path: str) -> bool:
    kinds = {":hash": "[0-9a-f]{16}"}
    patterns = (re.sub(r"\{\w+(:\w+)?\}", lambda found: kinds.get(found[1], "[^/]+"), one) for one in route.paths)
    return method in route.methods and any(re.fullmatch(pattern, path) for pattern in patterns)


@pytest.mark.parametrize(("where", "block"), blocks("toml"), ids=[where for where, _ in blocks("toml")])
def test_configuration_shown_loads(where: str, block: str, tmp_path: Path) -> None:
    file = tmp_path / "openpollen.toml"
    file.write_text(whole(block), "utf-8")
    settings, catalog = load(file, {})
    assert settings.server.port
    assert len(catalog.models) >= 72, where


def whole(block: str) -> str:
    """A block as a file: one that shows a part of a model gets the rest of it."""
    model = '[[models]]\nname = "m"\ncapabilities = ["chat", "image"]\n'
    if block.startswith("price ="):
        return model + block
    if block.startswith("[[models.variants]]"):
        return f'{model}price = {{ input_token = "1", output_token = "1", image = "1" }}\n{block}'
    return block


@pytest.mark.parametrize(("where", "block"), blocks("python"), ids=[where for where, _ in blocks("python")])
def test_python_shown_compiles(where: str, block: str) -> None:
    code = compile(block, where, "exec")
    assert code.co_names


def test_the_figures_script_names_what_it_measures() -> None:
    """Every line of the README's table is one that ``bench/figures.py`` prints."""
    script = (ROOT / "bench/figures.py").read_text("utf-8")
    table = re.findall(r"^\| ([A-Z][^|]+?) \| [^|]*\d[^|]* \|", section("Figures"), re.M)
    assert len(table) >= 7
    for what in table:
        start = re.split(r" \(|, voice |\d", what)[0]
        assert start in script, what


def section(title: str) -> str:
    text = (ROOT / "README.md").read_text("utf-8")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def plain(path: str) -> str:
    return re.sub(r":\w+\}", "}", path)
