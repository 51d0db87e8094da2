"""The process of one run: is told which on its standard input, runs it, tells how it ended.

It stops when that input ends, for then the sweep has ended, and when it is interrupted; what was
trained is kept, as by `run`.
"""

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmark import plugins
from benchmark.common import interrupt
from benchmark.common.progress import TerminalDisplay
from benchmark.config import RunConfig
from benchmark.records.attempts import reason_of
from benchmark.sweep.events import STATUS, End, EventDisplay, EventLog
from benchmark.sweep.retries import Ending, ending_of

# That a run may take to notice that its sweep is gone.
_GRACE_SECONDS = 60.0


class Order(BaseModel):
    """What is to be run and where to: one line of JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: RunConfig
    out: str
    events: str
    overwrite: bool


def main() -> int:
    """Run what standard input says; the exit status."""
    interrupt.obey()
    # Not by `sys.stdin`, whose buffer the thread below would hold while the interpreter ends.
    with open(0, "rb", buffering=0, closefd=False) as given:
        order = Order.model_validate_json(given.readline())
    return _run(order)


def _run(order: Order) -> int:
    log = EventLog(Path(order.events))
    try:
        # Only here can an interrupt be told of; the import takes seconds.
        threading.Thread(target=_end_with_the_sweep, daemon=True).start()
        from benchmark.run import execute

        plugins.load_from_environment()
        display = EventDisplay(TerminalDisplay(), log)
        record = execute(order.config, Path(order.out), order.overwrite, display)
    except (Exception, KeyboardInterrupt) as error:
        ending = ending_of(error)
        mine = ending in (Ending.BROKEN, Ending.DISTURBED)
        trace = traceback.format_exc() if mine else ""
        log.end(End(ending=ending, reason=reason_of(error), traceback=trace))
        with suppress(OSError):
            print(trace or f"error: {reason_of(error)}", file=sys.stderr, flush=True)
            sys.stdout.flush()
        # Not by returning: threads that still read images would abort an orderly exit.
        os._exit(STATUS[ending])
    log.end(End(ending=Ending.DONE, run_id=record.run_id))
    return 0


def _end_with_the_sweep() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
