from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import mollitune.schedules
from mollitune.schedules import (
    Choice,
    Float,
    Linear,
    NoiseSchedule,
    Schedule,
    Sigmoid,
    Vanilla,
    _registry,
    build,
    families,
    load,
    lookup,
    register,
)

SOURCE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import ClassVar
from mollitune.schedules import Choice, Float, NoiseSchedule, register

@register
@dataclass(frozen=True, kw_only=True)
class Square(NoiseSchedule):
    family: ClassVar[str] = "square"
    power: float = 2.0

    @classmethod
    def search_space(cls, side: int) -> dict[str, Float | Choice]:
        return {"until": Float(0.1, 0.9), "power": Float(0.5, 4.0, log=True)}

    def h(self, q: float) -> float:
        return (1.0 - q) ** self.power
"""


@pytest.fixture(autouse=True)
def registry_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_registry, "_FAMILIES", dict(_registry._FAMILIES))


def test_families_are_the_baseline_and_then_sorted() -> None:
    noise = "cosine cosine_shift edm exponential knots linear polynomial sigmoid"
    assert families() == ("vanilla", "blur", *noise.split())


def test_every_public_module_holds_the_family_of_its_name() -> None:
    folder = Path(mollitune.schedules.__file__).parent
    modules = {path.stem for path in folder.glob("[!_]*.py")}
    assert modules == set(families())


def test_all_names_what_there_is_and_every_family() -> None:
    names = mollitune.schedules.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(mollitune.schedules, name) for name in names)
    assert {lookup(family).__name__ for family in families()} <= set(names)


def test_build_by_name() -> None:
    built = build("sigmoid", start=0, end=3, tau=0.7, until=0.6)
    assert built == Sigmoid(start=0.0, end=3.0, tau=0.7, until=0.6)
    assert build("vanilla") == Vanilla()
    assert lookup("linear") is Linear


def test_build_rejects() -> None:
    cases: list[tuple[str, dict[str, float], str]] = [
        ("sigmod", {}, r"one of vanilla, blur, .*, got 'sigmod'; did you mean 'sigmoid'"),
        ("zzz", {}, r"family must be one of .*, got 'zzz'; import the module that registers it"),
        ("linear", {"tau": 1.0}, r"of linear must be among until, peak, floor, got tau"),
        ("vanilla", {"until": 1.0}, r"parameters of vanilla must be among none, got until"),
        ("blur", {"until": 0.5}, r"sigma_max must be given: blur has no default for it"),
        ("linear", {"until": 0}, r"until must be in \(0, 1\], got 0.0"),
    ]
    for family, params, message in cases:
        with pytest.raises(ValueError, match=message):
            build(family, **params)


def test_a_file_dropped_into_a_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "dropped_families"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "square.py").write_text(SOURCE)
    (package / "_private.py").write_text("raise AssertionError('private modules stay unread')")
    monkeypatch.syspath_prepend(tmp_path)
    _registry.discover("dropped_families", [str(package)])
    assert families()[-1] == "square"
    square = build("square", until=0.5, power=3)
    assert square.level(0.25) == 0.125
    with pytest.raises(ValueError, match=r"power must be a number, got '3'"):
        build("square", power="3")
    square.save(tmp_path / "square.json")
    assert load(tmp_path / "square.json") == square


def make(name: object, base: type = NoiseSchedule) -> type[Schedule]:
    class Made(base):  # type: ignore[misc]
        family: ClassVar[str] = name  # type: ignore[assignment]

        @classmethod
        def search_space(cls, side: int) -> dict[str, Float | Choice]:
            return {}

        def h(self, q: float) -> float:
            return 1.0 - q

    return Made


def test_a_taken_name_is_rejected() -> None:
    cls = dataclass(frozen=True, kw_only=True)(make("linear"))
    with pytest.raises(ValueError, match=r"'linear' is taken by mollitune\.schedules\.linear\."):
        register(cls)
    assert lookup("linear") is Linear


def test_a_class_defined_again_replaces_itself() -> None:
    first, second = (dataclass(frozen=True, kw_only=True)(make("again")) for _ in range(2))
    assert register(first) is first
    register(second)
    assert lookup("again") is second


def test_unfit_classes_are_rejected() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Steeper(Linear):
        pass

    @dataclass(frozen=True, kw_only=True)
    class Unfinished(NoiseSchedule):
        family: ClassVar[str] = "unfinished"

    cases: list[tuple[Any, str]] = [
        *((make(name), r"Made\.family must be an ident") for name in ("", "two words", None, 3)),
        (Steeper, r"Steeper\.family must be an identifier, got None"),  # it is inherited
        (make("plain"), r"Made must be decorated with @dataclass"),
        (Unfinished, r"Unfinished must define .* missing: h, search_space"),
    ]
    for cls, message in cases:
        with pytest.raises(ValueError, match=message):
            register(cls)
