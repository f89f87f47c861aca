"""The batch script, run by bash with programs in PATH that note how they are called."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.clusters.conftest import ROOT

SCRIPT = ROOT / "clusters" / "slurm.sh"

NOTE = 'printf "%s\\n" "$(basename "$0") $*" >> "$NOTES"\n'
PROGRAMS = {
    # runs the command after its own options, on one node
    "srun": NOTE + 'while [[ $1 == --* ]]; do shift; done; exec "$@"\n',
    # starts no Ray, but runs what is behind `--`, as a child and with its exit code
    "ray": NOTE + 'while [[ $1 != -- ]]; do shift; done; shift; "$@"; exit $?\n',
    "mollitune": 'trap "echo ended in order >> $NOTES; exit 130" TERM\n'
    + NOTE
    + 'stat -c "token %a %s" "$RAY_AUTH_TOKEN_PATH" >> "$NOTES"\n'
    + 'echo "mode $RAY_AUTH_MODE, tmp $RAY_TMPDIR" >> "$NOTES"\n'
    + 'for _ in $(seq "$TENTHS"); do sleep 0.1; done; exit "$EXIT_CODE"\n',
    "scontrol": NOTE,
    "hostname": 'echo "10.1.2.3 192.168.0.4"\n',
}


class Job:
    """A place to run the script in, as Slurm would on the first node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.touch()
        self.id = f"t{os.getpid()}"
        for name, body in PROGRAMS.items():
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/bash\n{body}")
            program.chmod(0o755)

    def start(self, *args: str, **environment: str) -> "subprocess.Popen[str]":
        base = {
            **{"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": str(self.folder)},
            **{"NOTES": str(self.notes), "SLURM_JOB_ID": self.id, "SLURM_JOB_NUM_NODES": "2"},
            **{"TENTHS": "0", "EXIT_CODE": "0"},
        }
        return subprocess.Popen(
            ["bash", str(SCRIPT), *args],
            cwd=self.folder,
            env=base | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, **environment: str) -> int:
        process = self.start(*args, **environment)
        _, errors = process.communicate(timeout=20)
        assert errors == ""
        return process.returncode

    def lines(self, program: str) -> list[str]:
        lines = self.notes.read_text().splitlines()
        return [line for line in lines if line.startswith(f"{program} ")]

    def wait_for(self, text: str) -> None:
        for _ in range(200):
            if text in self.notes.read_text():
                return
            time.sleep(0.05)
        raise TimeoutError(text)

    @property
    def leftovers(self) -> list[Path]:
        places = [Path(f"/tmp/mt-{self.id}"), *self.folder.glob(".mollitune-token-*")]
        return [place for place in places if place.exists()]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_bash_and_slurm_can_read_it() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    lines = SCRIPT.read_text("utf-8").splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [i for i, line in enumerate(lines) if line.startswith("#SBATCH ")]
    first_command = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert max(options) < first_command  # sbatch reads no option behind a command
    names = {lines[i].split()[1].partition("=")[0] for i in options}
    assert {"--exclusive", "--requeue", "--signal", "--ntasks-per-node", "--nodes"} <= names


def test_it_starts_one_ray_node_per_machine_and_one_search(job: Job) -> None:
    assert job.run() == 0
    (ray,) = job.lines("ray")
    assert ray.startswith("ray symmetric-run --address 10.1.2.3:6379 --min-nodes 2 -- ")
    assert job.lines("srun")[0].startswith("srun --ntasks-per-node=1 --cpu-bind=none ray ")
    (search,) = job.lines("mollitune")
    results = f"results={job.folder}/searches"
    what = "mollitune search examples/digits.yaml --or-resume --address auto"
    assert search == f"{what} {results} workers=16"
    assert job.lines("token") == ["token 600 64"]  # 32 bytes in hexadecimal, for its owner only
    assert job.lines("mode") == [f"mode token, tmp /tmp/mt-{job.id}"]
    assert job.lines("scontrol") == []
    assert job.leftovers == []


def test_the_same_command_resumes_when_slurm_starts_it_again(job: Job) -> None:
    assert job.run() == 0
    assert job.run(SLURM_RESTART_COUNT="1", EXIT_CODE="2") == 2  # that of the search
    first, again = job.lines("mollitune")
    assert first == again
    assert job.lines("scontrol") == []
    assert job.leftovers == []


@pytest.mark.parametrize(("sent", "queued"), [(signal.SIGUSR1, 1), (signal.SIGTERM, 0)])
def test_a_signal_ends_the_search_in_order(job: Job, sent: signal.Signals, queued: int) -> None:
    """USR1 comes before the time is up: end and go on in a new job. TERM is the user's own."""
    process = job.start(TENTHS="150")
    job.wait_for("mode token")
    process.send_signal(sent)
    _, errors = process.communicate(timeout=15)
    assert errors == ""
    assert process.returncode == 130
    assert job.lines("ended") == ["ended in order"]
    assert job.lines("scontrol") == [f"scontrol requeue {job.id}"] * queued
    assert job.leftovers == []


def test_a_search_that_was_done_when_the_signal_came_is_not_queued_again(job: Job) -> None:
    (job.folder / "bin" / "mollitune").write_text(
        f'#!/bin/bash\ntrap "exit 0" TERM\n{NOTE}echo ready >> $NOTES\n'
        "for _ in $(seq 150); do sleep 0.1; done\n"
    )
    process = job.start()
    job.wait_for("ready")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=15)
    assert process.returncode == 0
    assert job.lines("scontrol") == []
