"""Runs as processes of this machine: each with its share of the cores and, where there are, a GPU.

What the plan says a run needs comes before its share; how many run at once is the caller's to say.

A process ends with the sweep that started it, however that ends: its standard input is a pipe of
the sweep's, see `child`.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from benchmark.common import threads
from benchmark.records.attempts import now
from benchmark.sweep import events
from benchmark.sweep.child import Order
from benchmark.sweep.events import End, Progress
from benchmark.sweep.executor import Step
from benchmark.sweep.ledger import Files
from benchmark.sweep.plan import Needs, PlannedRun
from benchmark.sweep.retries import Ending

_COMMAND = (sys.executable, "-m", "benchmark.sweep.child")
# Lines of what a process printed that stand for the traceback that it could not give.
_LAST_LINES = 40


def gpus() -> list[str]:
    """The GPUs that processes may be given, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip()]
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.split() if found.returncode == 0 else []


class LocalExecutor:
    """Starts each run as a process.

    Args:
        out: the results folder.
        slots: processes at once.
        gpus: dealt out to the slots in turn; () leaves the choice to each process.
        command: what is started; it is given an `Order` as `child` is.
    """

    def __init__(
        self,
        out: Path,
        slots: int,
        gpus: Sequence[str] = (),
        command: Sequence[str] = _COMMAND,
    ) -> None:
        self.slots = slots
        self._out, self._gpus, self._command = out, gpus, command
        self._free = list(range(slots))

    def start(self, run: PlannedRun, files: Files, overwrite: bool) -> "LocalJob":
        """Start a run; what it prints goes to the end of its log."""
        slot = self._free[0]
        files.events.unlink(missing_ok=True)
        order = Order(
            config=run.config, out=str(self._out), events=str(files.events), overwrite=overwrite
        )
        with files.log.open("ab") as log:
            log.write(f"--- {now()} {run.id} {run.name}\n".encode())
            log.flush()
            process = subprocess.Popen(
                # The id is for whoever lists the processes.
                [*self._command, run.id],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment(slot, run.needs)},
                # Ctrl-C on the terminal is the sweep's to pass on.
                start_new_session=True,
            )
        self._free.remove(slot)
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(order.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        return LocalJob(process, files, lambda: self._free.append(slot))

    def _environment(self, slot: int, needs: Needs) -> dict[str, str]:
        found = threads.environment(needs.cpus) if needs.cpus else threads.divided(self.slots)
        shared = self._gpus and self.slots > len(self._gpus)
        if needs.gpus == 0:
            found["CUDA_VISIBLE_DEVICES"] = ""
        elif self._gpus:
            found["CUDA_VISIBLE_DEVICES"] = self._gpus[slot % len(self._gpus)]
        if shared or 0 < (needs.gpus or 0) < 1:
            # TensorFlow would take all the memory of a GPU that others use as well.
            found["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
        return found


class LocalJob:
    """A run in a process of this machine."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", files: Files, freed: Callable[[], None]
    ) -> None:
        self._process, self._files, self._freed = process, files, freed
        self._end: End | None = None
        self._follower = events.Follower(files.events)

    def progress(self) -> Progress:
        """How far it is, as it says itself."""
        return self._follower.progress()

    def ended(self) -> End | None:
        """How it ended: as it says itself, else as its exit status tells."""
        if self._end is None and self._process.poll() is not None:
            assert self._process.stdin is not None
            with suppress(OSError):
                self._process.stdin.close()
            self._freed()
            self._end = events.read(self._files.events).end or self._silent_end()
        return self._end

    def stop(self, step: Step) -> None:
        """SIGINT, SIGTERM or SIGKILL; the last also to what the process has started."""
        if self._process.poll() is not None:
            return
        if step is Step.KILL:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.send_signal(signal.SIGINT if step is Step.ASK else signal.SIGTERM)

    def _silent_end(self) -> End:
        status = self._process.returncode
        last = _last_lines(self._files.log)
        if status < 0:
            name = signal.Signals(-status).name
            told = ": for lack of memory, as a rule" if name == "SIGKILL" else ""
            return End(ending=Ending.DISTURBED, reason=f"killed by {name}{told}", traceback=last)
        known = {told: ending for ending, told in events.STATUS.items()}
        # A run that went well and could not say so: the next try finds its record.
        known[0] = Ending.DISTURBED
        ending = known.get(status, Ending.BROKEN)
        reason = f"the process ended with status {status} and said no more"
        if ending is Ending.DISTURBED:
            reason += ": the disk is full, as a rule"
        return End(ending=ending, reason=reason, traceback=last)


def _last_lines(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_LAST_LINES:])
