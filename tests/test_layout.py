"""The layout of the repository: one import name, one direction of imports, one wheel."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("analysis", "models", "schedules", "search")
# What each package may import of the others; schedules <- models <- search.
MAY_IMPORT = {
    "schedules": set[str](),
    "models": {"schedules"},
    "search": {"schedules", "models"},
    "analysis": {"schedules", "search.schema"},
}
# Who may look at the analysis: the command line, which prints what a search found; the policy,
# whose race and sampler believe what the recommendation believes; the replay, which reads it; and
# the confirmation, which trains what it recommends.
EXCEPTIONS = {
    "search/cli.py": {"analysis"},
    "search/confirm.py": {"analysis"},
    "search/policy/proposer.py": {"analysis.surrogate"},
    "search/policy/recording.py": {"analysis"},
    "search/policy/replay.py": {"analysis.surrogate"},
    "search/policy/samplers.py": {"analysis.surrogate"},
}


def imports(path: Path) -> Iterator[str]:
    """Absolute names of all that a file imports, also inside its functions."""
    folders = path.parent.parts
    first = max(i for i, name in enumerate(folders) if name in PACKAGES)
    package = ["mollitune", *folders[first:]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def tracked() -> list[Path]:
    """Files of the repository, also those that are about to be added."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout: its files cannot be listed")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def run_python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = MAY_IMPORT[package] | EXCEPTIONS.get(path.relative_to(ROOT).as_posix(), set())
    for name in imports(path):
        top, _, rest = name.partition(".")
        assert top not in PACKAGES, f"{name}: the import name is mollitune.{name}"
        if package == "analysis":
            assert top != "ray"
        if top != "mollitune" or rest.split(".")[0] not in PACKAGES:
            continue
        inside = rest == package or rest.startswith(f"{package}.")
        assert inside or any(f"{rest}.".startswith(f"{a}.") for a in allowed), name


def test_the_import_test_sees_every_kind_of_import(tmp_path: Path) -> None:
    file = tmp_path / "models" / "x.py"
    file.parent.mkdir()
    file.write_text(
        "import search\nfrom ..search import a\nfrom . import b\nfrom ._c import d\n"
        "def f():\n    from mollitune.analysis import e\n"
    )
    assert list(imports(file)) == [
        "search",
        "mollitune.search.a",
        "mollitune.models.b",
        "mollitune.models._c.d",
        "mollitune.analysis.e",
    ]


@pytest.mark.parametrize("package", ["schedules", "models", "analysis"])
def test_importing_loads_no_ray(package: str, tmp_path: Path) -> None:
    code = (
        f"import sys, mollitune.{package};"
        "print(sorted({'ray', 'optuna'} & {m.partition('.')[0] for m in sys.modules}))"
    )
    assert run_python(code, tmp_path) == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_links_to_the_folders(package: str) -> None:
    link = ROOT / "src" / "mollitune" / package
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / package
    assert link.resolve() == ROOT / package


def test_folders_of_the_same_names_do_not_shadow_the_packages(tmp_path: Path) -> None:
    for package in PACKAGES:
        decoy = tmp_path / package / "__init__.py"
        decoy.parent.mkdir()
        decoy.write_text(f"raise SystemExit('the decoy {package} was imported')\n")
    modules = [*PACKAGES, "search.config", "search.cli"]
    names = ", ".join(f"mollitune.{module}" for module in modules)
    assert run_python(f"import {names}; print('fine')", tmp_path) == "fine"


# In two parts each, so that this file does not match.
FOREIGN = re.compile("|".join([r"files\.python" + "hosted", r"pypi" + r"\.org", "/wo" + "rk/"]))


def test_no_file_holds_an_index_address_or_a_path_of_some_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if (match := FOREIGN.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert found == []


def test_the_lock_has_versions_and_hashes_and_nothing_else() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"\\\n", " ", text.strip()))
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "--index" not in text
    assert "--extra-index" not in text


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    for requirement in [*project["dependencies"], *extras]:
        pattern = rf'^ *"{re.escape(requirement)}", +# \w.+$'
        assert re.search(pattern, text, re.MULTILINE), requirement


def test_a_wheel_holds_the_four_packages_and_no_tests(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not in the environment: no wheel is built")
    # from a copy, since the build leaves files beside the sources
    for path in tracked():
        target = tmp_path / "copy" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for package in PACKAGES:
        (tmp_path / "copy" / "src" / "mollitune" / package).symlink_to(f"../../{package}")
    build = [str(uv), "build", "--wheel", "--offline", "--no-build-isolation", "--quiet"]
    folders = ["--out-dir", str(tmp_path / "dist"), str(tmp_path / "copy")]
    subprocess.run([*build, "--python", sys.executable, *folders], check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"mollitune/{p.relative_to(ROOT).as_posix()}" for p in sources()} <= names
    assert "mollitune/py.typed" in names
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"mollitune"}
    assert not [name for name in names if "test" in name]
