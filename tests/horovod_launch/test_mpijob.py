"""mpijob.yaml has only fields of the published API: kubeflow.org/v2beta1, and Kubernetes' pods."""

import re
from typing import Any

import pytest
import yaml

from tests.horovod_launch.recipes import FOLDER

# Kind of object -> its fields -> the kind of what they hold: another kind, "[kind]" for a list, or a type.
# MPIJob, MPIJobSpec, RunPolicy and ReplicaSpec: pkg/apis/kubeflow/v2beta1/types.go of kubeflow/mpi-operator. Others:
# Kubernetes' core/v1; of these large ones the fields that a job like ours may use.
FIELDS: dict[str, dict[str, Any]] = {
    "MPIJob": {"apiVersion": str, "kind": str, "metadata": "ObjectMeta", "spec": "MPIJobSpec"},
    "ObjectMeta": {"name": str, "namespace": str, "labels": dict, "annotations": dict},
    "MPIJobSpec": {
        "slotsPerWorker": int,
        "runLauncherAsWorker": bool,
        "runPolicy": "RunPolicy",
        "mpiReplicaSpecs": "Replicas",
        "sshAuthMountPath": str,
        "launcherCreationPolicy": ("AtStartup", "WaitForWorkersReady"),
        "mpiImplementation": ("OpenMPI", "Intel", "MPICH"),
    },
    "RunPolicy": {
        "cleanPodPolicy": ("All", "Running", "None"),
        "ttlSecondsAfterFinished": int,
        "activeDeadlineSeconds": int,
        "backoffLimit": int,
        "schedulingPolicy": dict,
        "suspend": bool,
        "managedBy": str,
    },
    "Replicas": {"Launcher": "ReplicaSpec", "Worker": "ReplicaSpec"},
    "ReplicaSpec": {"replicas": int, "restartPolicy": ("Never", "OnFailure"), "template": "PodTemplateSpec"},
    "PodTemplateSpec": {"metadata": "ObjectMeta", "spec": "PodSpec"},
    "PodSpec": {
        "containers": "[Container]",
        "volumes": "[Volume]",
        "securityContext": "PodSecurityContext",
        "nodeSelector": dict,
        "tolerations": list,
        "hostNetwork": bool,
        "serviceAccountName": str,
    },
    "PodSecurityContext": {"runAsUser": int, "runAsGroup": int, "fsGroup": int, "runAsNonRoot": bool},
    "Container": {
        "name": str,
        "image": str,
        "imagePullPolicy": str,
        "workingDir": str,
        "command": "[str]",
        "args": "[str]",
        "env": "[EnvVar]",
        "resources": "ResourceRequirements",
        "volumeMounts": "[VolumeMount]",
        "readinessProbe": "Probe",
    },
    "EnvVar": {"name": str, "value": str},
    "ResourceRequirements": {"requests": dict, "limits": dict},
    "VolumeMount": {"name": str, "mountPath": str, "readOnly": bool, "subPath": str},
    "Probe": {"tcpSocket": "TCPSocketAction", "initialDelaySeconds": int, "periodSeconds": int},
    "TCPSocketAction": {"port": int},
    "Volume": {"name": str, "persistentVolumeClaim": "PersistentVolumeClaim", "emptyDir": "EmptyDir"},
    "PersistentVolumeClaim": {"claimName": str, "readOnly": bool},
    "EmptyDir": {"medium": ("Memory", ""), "sizeLimit": str},
}


def problems(value: Any, kind: Any, path: str = "") -> list[str]:
    """Lists the fields in ``value`` that its kind does not have, and values of another type.

    Args:
        value: A part of the file.
        kind: What it should be: a type, a tuple of the possible values, a name in FIELDS, or such a name in brackets
            for a list.
        path: Where the part is in the file, for the messages.
    """
    if isinstance(kind, tuple):
        if value not in kind:
            return [f"{path}: {value!r}, expected one of {kind}"]
        return []
    if isinstance(kind, type):
        if type(value) is not kind:  # isinstance would take True for an int
            return [f"{path}: {value!r}, expected {kind.__name__}"]
        return []
    if kind.startswith("["):
        return problems_of_list(value, kind, path)
    if not isinstance(value, dict):
        return [f"{path}: {value!r}, expected {kind}"]
    messages = []
    for name, item in value.items():
        if name in FIELDS[kind]:
            messages += problems(item, FIELDS[kind][name], f"{path}.{name}")
        else:
            messages.append(f"{path}.{name}: no field of {kind}")
    return messages


def problems_of_list(value: Any, kind: str, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: {value!r}, expected a list"]
    item_kind = str if kind == "[str]" else kind[1:-1]
    messages = []
    for index, item in enumerate(value):
        messages += problems(item, item_kind, f"{path}[{index}]")
    return messages


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "mpijob.yaml").read_text())


def test_every_field_is_one_of_the_published(job):
    assert problems(job, "MPIJob") == []
    assert job["apiVersion"] == "kubeflow.org/v2beta1"
    assert job["kind"] == "MPIJob"


@pytest.mark.parametrize(
    ("path", "wrong", "words"),
    [
        (("spec", "cleanPodPolicy"), "Running", ".spec.cleanPodPolicy: no field of MPIJobSpec"),  # that of v1
        (("spec", "slotsPerWorker"), "4", ".spec.slotsPerWorker: '4', expected int"),
        (("spec", "runPolicy", "backoffLimit"), True, ".spec.runPolicy.backoffLimit: True, expected int"),
        (("spec", "launcherCreationPolicy"), "Later", "'Later', expected one of"),
    ],
)
def test_the_table_finds_what_is_wrong(job, path, wrong, words):
    """The control: a wrong value in the file is found."""
    *outer, field = path
    inner = job
    for name in outer:
        inner = inner[name]
    inner[field] = wrong
    (message,) = problems(job, "MPIJob")
    assert words in message


def test_ranks_ports_volumes_and_paths_agree(job):
    """Parts of the recipe that must agree: the image's ssh files, mounts, numbers of ranks."""
    spec = job["spec"]
    replicas = spec["mpiReplicaSpecs"]
    pods = {name: replica["template"]["spec"] for name, replica in replicas.items()}
    (launcher,) = pods["Launcher"]["containers"]
    (worker,) = pods["Worker"]["containers"]
    ranks = spec["slotsPerWorker"] * replicas["Worker"]["replicas"]
    number_option = launcher["args"].index("-np")
    assert launcher["args"][number_option + 1] == str(ranks)
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == spec["slotsPerWorker"]
    assert launcher["image"] == worker["image"]
    for pod in pods.values():
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes
        assert pod["securityContext"]["runAsUser"] == 1000
    (program,) = launcher["command"]
    assert (FOLDER / program).exists()
    assert spec["runPolicy"]["backoffLimit"] <= 1, "Kubernetes would repeat a typing error"
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pods["Launcher"]["volumes"]]
    assert f"metadata: {{ name: {claims[0]} }}" in (FOLDER / "mpijob.yaml").read_text(), "the header makes the volume"
    sshd = (FOLDER / "pod_sshd.conf").read_text()
    port = worker["readinessProbe"]["tcpSocket"]["port"]
    assert f"Port {port}\n" in sshd
    assert f"Port {port}\n" in (FOLDER / "pod_ssh.conf").read_text()
    assert f"HostKey {spec['sshAuthMountPath']}/id_rsa\n" in sshd
    for path in FOLDER.glob("Dockerfile*"):
        text = path.read_text()
        assert f"COPY horovod_launch/{program} /usr/local/bin/{program}\n" in text
        assert f"COPY horovod_launch/pod_sshd.conf {worker['args'][-1]}\n" in text
        assert re.search(r"useradd .*--uid 1000 tfdl\n", text)
        assert "USER 1000\n" in text
