"""What the tests of training share."""

from collections.abc import Callable

import pytest

from benchmark.common import interrupt
from benchmark.training import loop


@pytest.fixture(params=["killed", pytest.param("asked", marks=pytest.mark.slow)])
def cut(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Ends training: killed in its third epoch, or asked to stop before its second step."""
    epoch, check = loop.StageTraining.epoch, interrupt.check

    def interrupted(train: Callable[[], object]) -> None:
        calls: list[int] = []

        def killed(*arguments):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return epoch(*arguments)

        def asked():
            calls.append(1)
            if len(calls) == 2:
                raise interrupt.Asked
            check()

        with monkeypatch.context() as patch:
            patch.setattr(loop.StageTraining, "_due", True)
            if request.param == "killed":
                patch.setattr(loop.StageTraining, "epoch", killed)
            else:
                patch.setattr(interrupt, "check", asked)
            with pytest.raises(KeyboardInterrupt):
                train()
        assert len(calls) > 1

    return interrupted
