"""Runs on a Ray cluster: an actor each, on whichever node has room for it.

Nothing is asked of the cluster while a run goes on: its end comes by itself, and how far it is
stands in the results folder.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from benchmark.sweep import events, ray_cluster
from benchmark.sweep.events import End, Progress
from benchmark.sweep.executor import Step
from benchmark.sweep.ledger import Files
from benchmark.sweep.plan import Needs, PlannedRun
from benchmark.sweep.ray_cluster import Cluster
from benchmark.sweep.ray_home import Home
from benchmark.sweep.ray_node import HomeCalls, Order, Runner, sweep_environment
from benchmark.sweep.retries import Ending

# That a node may take to kill a run and to bring home what it has kept, before it is killed with
# all that is around it.
_KILL_SECONDS = 300.0


@contextmanager
def opened(
    address: str, out: Path, runs: Sequence[PlannedRun], jobs: int | None
) -> Iterator["RayExecutor"]:
    """An executor on the cluster at an address, see `ray_cluster.joined`.

    Raises:
        UserError: the cluster cannot be joined, or a run needs more than any node has.
    """
    with ray_cluster.joined(address, jobs) as cluster:
        nodes = cluster.nodes()
        needs = {run.id: ray_cluster.resolved(run, nodes, jobs) for run in runs}
        home = None if address == ray_cluster.LOCAL else _home(out)
        yield RayExecutor(out.resolve(), cluster, needs, jobs, home)


def _home(out: Path) -> HomeCalls:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    kind = ray.remote(Home).options(
        num_cpus=0, max_concurrency=16, max_restarts=-1, scheduling_strategy=beside
    )
    return HomeCalls(kind.remote(str(out.resolve()), str(Path.cwd()), sweep_environment()))


class RayExecutor:
    """Starts each run as an actor of a Ray cluster.

    Args:
        out: the results folder.
        cluster: where to.
        needs: of each run, by its id.
        jobs: runs at once, at most; None: as many as the cluster can do.
        home: calls of the actor that nodes turn to; None where all is on this machine.
    """

    def __init__(
        self,
        out: Path,
        cluster: Cluster,
        needs: dict[str, Needs],
        jobs: int | None,
        home: HomeCalls | None,
    ) -> None:
        self._out, self._cluster = out, cluster
        self._needs, self._jobs, self._home = needs, jobs, home
        self._numbers = count(1)
        # All that any run needs: so many of them never wait for one another.
        self._most = Needs(
            cpus=max((each.cpus or 1 for each in needs.values()), default=1),
            gpus=max((each.gpus or 0 for each in needs.values()), default=0),
        )

    @property
    def slots(self) -> int:
        """As many as the nodes that are there now can do at once, at least one."""
        held = max(self._cluster.holds(self._most), 1)
        return held if self._jobs is None else min(held, self._jobs)

    def start(self, run: PlannedRun, files: Files, overwrite: bool) -> "RayJob":
        """Start a run on a node that has room for it.

        Raises:
            ConnectionError: no node is left that has what it needs.
            OSError: the results folder cannot be read or written.
        """
        import ray

        needs = self._needs[run.id]
        if not self._cluster.holds(needs):
            raise ConnectionError(ray_cluster.lacking(needs, self._cluster.nodes()))
        files.events.unlink(missing_ok=True)
        kind = ray.remote(Runner).options(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            max_restarts=0,
            # One does the run, the others are free to be told to stop it.
            max_concurrency=3,
            scheduling_strategy="SPREAD",
        )
        order = Order(
            run=replace(run, needs=needs),
            number=next(self._numbers),
            overwrite=overwrite,
            out=self._out,
            row=files.state.read_bytes(),
            folder=str(Path.cwd()),
            environment=sweep_environment(),
        )
        return RayJob(kind.remote(self._home), order, files, self._cluster)


class RayJob:
    """A run in an actor."""

    def __init__(self, actor: Any, order: Order, files: Files, cluster: Cluster) -> None:
        self._actor, self._needs, self._cluster = actor, order.run.needs, cluster
        self._follower = events.Follower(files.events)
        self._where: Future[str] = actor.where.remote().future()
        self._told: Future[End] = actor.run.remote(order).future()
        self._end: End | None = None
        self._kill_by = float("inf")

    def progress(self) -> Progress:
        """How far it is, as it says itself."""
        if not self._where.done():
            return Progress(doing="waiting for a node")
        return self._follower.progress()

    def ended(self) -> End | None:
        """How it ended; a node that is lost is a fault of the machine."""
        if self._end is None:
            self._finish(self._seen())
        return self._end

    def stop(self, step: Step) -> None:
        """Have the node stop it; what has not begun is dropped."""
        if self._end is not None:
            return
        if not self._where.done():
            self._finish(End(ending=Ending.INTERRUPTED, reason="stopped before it began"))
            return
        self._actor.stop.remote(step)
        if step is Step.KILL:
            self._kill_by = min(self._kill_by, time.monotonic() + _KILL_SECONDS)

    def _finish(self, end: End | None) -> None:
        import ray

        self._end = end
        if end is not None:
            ray.kill(self._actor)

    def _seen(self) -> End | None:
        if self._told.done():
            return self._outcome()
        if time.monotonic() > self._kill_by:
            return End(ending=Ending.DISTURBED, reason=f"node {self._host()} does not answer")
        if not self._where.done() and not self._cluster.holds(self._needs):
            reason = ray_cluster.lacking(self._needs, self._cluster.nodes())
            return End(ending=Ending.DISTURBED, reason=reason)
        return None

    def _outcome(self) -> End:
        import ray

        try:
            return self._told.result()
        except ray.exceptions.RayTaskError as error:
            last = str(error).strip().splitlines()[-1]
            return End(ending=Ending.BROKEN, reason=last, traceback=str(error))
        except ray.exceptions.RayError as error:
            lost = f"lost with node {self._host()}, or with Ray's process there"
            return End(ending=Ending.DISTURBED, reason=lost, traceback=str(error))

    def _host(self) -> str:
        if not self._where.done() or self._where.exception() is not None:
            return "(not known)"
        return self._where.result()
