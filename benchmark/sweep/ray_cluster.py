"""The Ray cluster of a sweep: joined or started, its nodes, and what of them a run gets.

Run as a program it joins a cluster and ends: what may hang or end a process is tried in another.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import __version__
from benchmark.common import threads
from benchmark.errors import UserError, needs_package
from benchmark.sweep import ray_node, scratch
from benchmark.sweep.plan import Needs, PlannedRun

LOCAL = "local"
_AUTO = "auto"
# Runs on this machine send nothing through Ray's memory: the least that it allows, or so.
_OBJECT_STORE_BYTES = 100_000_000
_CONNECT_SECONDS = 10.0
_JOIN_SECONDS = 60.0
# Between two looks at which nodes there are.
_LOOK_SECONDS = 5.0
# Paths of Unix sockets are short, and so must be that of the folder that they lie in.
_SHORT_FOLDER = Path("/tmp")
# Quiet, and no word to anybody.
_QUIET = {"log_to_driver": False, "logging_level": "CRITICAL"}


@dataclass(frozen=True)
class Node:
    """A machine of the cluster and all that it has."""

    id: str
    host: str
    cpus: float
    gpus: float

    def holds(self, needs: Needs) -> int:
        """How many such runs it can do at once."""
        cpus, gpus = needs.cpus or 1, needs.gpus or 0
        most = int(self.cpus / cpus + 1e-9)
        return min(most, int(self.gpus / gpus + 1e-9)) if gpus else most


class Cluster:
    """The nodes that are there now."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._looked = -_LOOK_SECONDS

    def nodes(self) -> list[Node]:
        """Those with a CPU; looked up every few seconds."""
        import ray

        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._nodes = [_node(each) for each in ray.nodes() if each["Alive"]]
            self._nodes = [node for node in self._nodes if node.cpus >= 1]
            self._looked = time.monotonic()
        return self._nodes

    def holds(self, needs: Needs) -> int:
        """How many such runs all nodes can do at once."""
        return sum(node.holds(needs) for node in self.nodes())


def _node(told: dict[str, Any]) -> Node:
    has = told["Resources"]
    host = told["NodeManagerHostname"]
    return Node(told["NodeID"], host, has.get("CPU", 0.0), has.get("GPU", 0.0))


@contextmanager
def joined(address: str, jobs: int | None) -> Iterator[Cluster]:
    """The cluster at an address, or one of this machine alone, which ends with the body.

    Args:
        address: "local", "auto" for the cluster that this machine is part of, or HOST:PORT.
        jobs: runs at once, for which "local" makes room.

    Raises:
        UserError: Ray is not installed, the cluster cannot be joined, or DermBench is another on
            one of its nodes.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL:
        with scratch.folder(_SHORT_FOLDER, "dermbench-ray-") as folder, _alone(folder, jobs):
            yield Cluster()
        return
    with _member(address):
        _require_same_version(Cluster().nodes())
        yield Cluster()


@contextmanager
def _alone(folder: Path, jobs: int | None) -> Iterator[None]:
    # Only so does Ray listen on the loopback address alone; read when Ray is imported.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    # Of its own, that nothing is written to the user's home.
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    ray = _ray()
    cores = threads.available()
    ray.init(
        address="local",
        _node_ip_address="127.0.0.1",
        _temp_dir=str(folder),
        include_dashboard=False,
        num_cpus=max(cores, jobs or 0),
        object_store_memory=_OBJECT_STORE_BYTES,
        **_QUIET,
    )
    try:
        yield
    finally:
        ray.shutdown(wait_for_processes=True)


@contextmanager
def _member(address: str) -> Iterator[None]:
    ray = _ray()
    _require_reachable(address)
    ray.init(address=address, **_QUIET)
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise needs_package("Ray", "ray", "--ray") from error
    return ray


def _require_reachable(address: str) -> None:
    """That joining ends well, tried first in a process that can be given up."""
    if address != _AUTO:
        host, _, port = address.rpartition(":")
        if not (host and port.isdecimal()) or "/" in host:
            raise UserError(f"--ray {address}: write local, auto or HOST:PORT, such as head:6379")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise _unreachable(address, f"nothing answers ({error})") from error
    try:
        done = subprocess.run(
            [sys.executable, "-m", __spec__.name, address],
            capture_output=True,
            text=True,
            timeout=_JOIN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreachable(address, f"no answer in {_JOIN_SECONDS:.0f} s") from error
    if done.returncode:
        told = done.stdout.strip().splitlines() or [f"status {done.returncode}"]
        raise _unreachable(address, told[-1])


def _unreachable(address: str, reason: str) -> UserError:
    start = "--head" if address == _AUTO else f"--address={address}"
    return UserError(
        f"--ray {address}: {reason}: this machine must be part of the cluster: `ray start {start}`"
    )


def _require_same_version(nodes: Sequence[Node]) -> None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
        task = ray.remote(ray_node.version).options(
            num_cpus=0, max_retries=0, scheduling_strategy=there
        )
        asked[task.remote()] = node
    ready, silent = ray.wait(list(asked), num_returns=len(asked), timeout=_JOIN_SECONDS)
    for ref in silent:
        raise UserError(
            f"node {asked[ref].host} did not say in {_JOIN_SECONDS:.0f} s which DermBench it has:"
            " try again, or take it out of the cluster"
        )
    for ref in ready:
        host = asked[ref].host
        try:
            version = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            raise UserError(
                f"node {host} has no DermBench, or an old one:"
                f" pip install 'dermbench[ray]=={__version__}' there"
            ) from error
        except ray.exceptions.RayError:
            continue  # the node was lost: its runs go elsewhere
        if version != __version__:
            raise UserError(
                f"node {host} has DermBench {version}, this machine {__version__}: install the same"
                " there"
            )


def resolved(run: PlannedRun, nodes: Sequence[Node], jobs: int | None) -> Needs:
    """What a run gets: what its plan says, else a GPU where there are, and its share of the cores.

    Args:
        run: as planned.
        nodes: of the cluster.
        jobs: runs at once in the whole cluster; None: one for each GPU, else for each node.

    Raises:
        UserError: no node has so much.
    """
    needs = run.needs
    gpus = needs.gpus
    if gpus is None:
        gpus = float(run.config.device != "cpu" and any(node.gpus >= 1 for node in nodes))
    able = [node for node in nodes if node.gpus >= gpus]
    cpus = needs.cpus or min((_share(node, gpus, jobs, len(able)) for node in able), default=1)
    asked = Needs(cpus=cpus, gpus=gpus)
    if not any(node.holds(asked) for node in able):
        raise UserError(f"{run.name} {lacking(asked, nodes)}: start such a node, or plan for less")
    return asked


def lacking(needs: Needs, nodes: Sequence[Node]) -> str:
    """That no node has what a run needs, in words."""
    has = ", ".join(sorted({f"{node.cpus:g} and {node.gpus:g}" for node in nodes})) or "none"
    asked = f"{needs.cpus} cpus and {needs.gpus:g} gpus"
    return f"needs {asked}, and no node has as many (they have {has})"


def _share(node: Node, gpus: float, jobs: int | None, nodes: int) -> int:
    at_once = -(-jobs // nodes) if jobs else int(node.gpus / gpus) if gpus else 1
    if jobs and gpus:
        at_once = min(at_once, int(node.gpus / gpus))
    return max(int(node.cpus) // max(at_once, 1), 1)


def _main(address: str) -> int:
    ray = _ray()
    try:
        ray.init(address=address, **_QUIET)
    except Exception as error:
        print((str(error).splitlines() or [type(error).__name__])[0])
        return 1
    ray.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
