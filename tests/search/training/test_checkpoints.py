import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from mollitune.search.training.checkpoints import Checkpoints

CPU = torch.device("cpu")


def state(step: int) -> dict[str, Any]:
    return {"step": step, "model": {"w": torch.full((3,), float(step))}}


def files(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").iterdir())


def test_the_newest_of_two_is_loaded_and_goes_on(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), 7)
    for step in (10, 20, 30):
        checkpoints.save(state(step))
    assert [path.name for path in files(tmp_path)] == ["0007-0.pt", "0007-1.pt"]
    again = Checkpoints(str(tmp_path), 7)
    found, older = again.load(CPU)
    assert (found["step"], older["step"]) == (30, 20)
    assert torch.equal(found["model"]["w"], torch.full((3,), 30.0))
    again.save(state(40))  # over the one of step 20, not over the newest
    (tmp_path / "checkpoints" / "0007-1.pt").unlink()
    assert [s["step"] for s in Checkpoints(str(tmp_path), 7).load(CPU)] == [30]


def test_without_any_a_trial_starts_anew(tmp_path: Path) -> None:
    assert Checkpoints(str(tmp_path), 0).load(CPU) == []
    Checkpoints(str(tmp_path), 0).save(state(1))
    assert Checkpoints(str(tmp_path), 1).load(CPU) == []


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "pickle", "other"])
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path: Path, damage: str) -> None:
    checkpoints = Checkpoints(str(tmp_path), 0)
    checkpoints.save(state(10))
    checkpoints.save(state(20))
    newest = files(tmp_path)[1]
    data = newest.read_bytes()
    contents = {"empty": b"", "half": data[: len(data) // 2], "noise": b"x" * len(data)}
    if damage == "pickle":
        newest.write_bytes(pickle.dumps(Payload()))
    elif damage == "other":
        torch.save([1, 2], newest)
    else:
        newest.write_bytes(contents[damage])
    assert [s["step"] for s in checkpoints.load(CPU)] == [10]
    files(tmp_path)[0].write_bytes(b"")
    assert checkpoints.load(CPU) == []
