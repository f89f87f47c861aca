"""The RayJob has the fields of KubeRay's API, and says what its pods need."""

import itertools
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.clusters.conftest import ROOT

FILE = ROOT / "clusters" / "kuberay-rayjob.yaml"
# The fields of ray.io/v1 that a search may use; a key beside them is a slip.
JOB = {
    *("entrypoint", "submissionMode", "backoffLimit", "shutdownAfterJobFinishes"),
    *("ttlSecondsAfterFinished", "activeDeadlineSeconds", "runtimeEnvYAML", "rayClusterSpec"),
    *("submitterPodTemplate", "submitterConfig", "metadata", "suspend"),
}
CLUSTER = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions"),
    *("headGroupSpec", "workerGroupSpecs", "gcsFaultToleranceOptions"),
}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def groups(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pods(job: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in groups(job)]


def test_it_is_a_rayjob_with_known_fields(rayjob: dict[str, Any]) -> None:
    assert (rayjob["apiVersion"], rayjob["kind"]) == ("ray.io/v1", "RayJob")
    assert set(rayjob) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(rayjob["spec"]) <= JOB
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert set(cluster) <= CLUSTER
    assert set(cluster["headGroupSpec"]) <= GROUP - {"groupName"}
    for group in cluster["workerGroupSpecs"]:
        assert set(group) == GROUP
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups(rayjob):  # the API wants texts
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_cluster_is_guarded_and_goes_with_the_search(rayjob: dict[str, Any]) -> None:
    assert rayjob["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert rayjob["spec"]["shutdownAfterJobFinishes"] is True
    # `search` refuses a name that is taken, so a retry by KubeRay could only fail
    assert rayjob["spec"]["backoffLimit"] > 0


def test_every_container_states_its_resources(rayjob: dict[str, Any]) -> None:
    head, *workers = ([c["resources"] for c in pod["containers"]] for pod in pods(rayjob))
    for resources in itertools.chain(head, *workers):
        assert set(resources) == {"requests", "limits"}
        # Ray counts the limits, the scheduler the requests
        assert resources["requests"] == resources["limits"]
        assert {"cpu", "memory"} <= set(resources["limits"])
    # the head is a CPU pod and takes no trials
    assert "nvidia.com/gpu" not in head[0]["limits"]
    assert groups(rayjob)[0]["rayStartParams"]["num-cpus"] == "0"
    assert workers
    assert all(int(worker[0]["limits"]["nvidia.com/gpu"]) >= 1 for worker in workers)


def test_all_pods_run_one_image_and_mount_only_volumes_that_exist(rayjob: dict[str, Any]) -> None:
    images = set()
    for pod in pods(rayjob):
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            images.add(container["image"])
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    (image,) = images
    assert f"--tag {image} " in (ROOT / "clusters" / "Dockerfile").read_text("utf-8")


def test_the_entrypoint_reads_the_config_that_is_mounted(rayjob: dict[str, Any]) -> None:
    config_map, _ = yaml.safe_load_all(FILE.read_text("utf-8"))
    assert (config_map["apiVersion"], config_map["kind"]) == ("v1", "ConfigMap")
    head = pods(rayjob)[0]
    (volume,) = [v for v in head["volumes"] if "configMap" in v]
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    (mount,) = [m for m in head["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
    path = shlex.split(rayjob["spec"]["entrypoint"])[2]
    assert path in {f"{mount['mountPath']}/{key}" for key in config_map["data"]}


def test_as_many_trials_as_the_most_gpus_hold(rayjob: dict[str, Any]) -> None:
    config_map, _ = yaml.safe_load_all(FILE.read_text("utf-8"))
    search = yaml.safe_load(config_map["data"]["search.yaml"])
    (group,) = rayjob["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    gpus = group["maxReplicas"] * int(limits["nvidia.com/gpu"])
    assert search["workers"] * search["resources"]["gpu"] == gpus
    cpus = group["maxReplicas"] * int(limits["cpu"])
    assert search["workers"] * search["resources"]["cpu"] <= cpus


@pytest.mark.parametrize("purpose", ["start", "resume"])
def test_the_command_hands_kubernetes_the_right_entrypoint(
    purpose: str, header: Callable[[str, str], str], rayjob: dict[str, Any], tmp_path: Path
) -> None:
    """Run the line of the header with a ``kubectl`` that keeps what it is given."""
    given = tmp_path / "given.yaml"
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/bash\ncat "${{@: -1}}" > {given}\n')
    kubectl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    subprocess.run(
        ["bash", "-c", header(FILE.name, purpose)], cwd=ROOT, env=environment, check=True
    )
    config_map, job = yaml.safe_load_all(given.read_text("utf-8"))
    entrypoint = job["spec"].pop("entrypoint")
    assert entrypoint.split()[:2] == ["mollitune", "search"]
    assert "--or-resume" in entrypoint  # Kubernetes may start it again, and so does who resumes
    assert "s3://my-bucket/searches" in entrypoint
    assert config_map["kind"] == "ConfigMap"
    # nothing else changes
    assert job["spec"] == {k: v for k, v in rayjob["spec"].items() if k != "entrypoint"}
