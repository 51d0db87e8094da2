"""What the tests of training share."""

from collections.abc import Callable

import pytest

from benchmark.training import loop


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Interrupts training in its third epoch, the first two being kept."""

    def interrupt(train: Callable[[], object]) -> None:
        epoch, calls = loop._epoch, []

        def interrupted(*arguments):
            if len(calls) == 2:
                raise KeyboardInterrupt
            calls.append(1)
            return epoch(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
            patch.setattr(loop, "_epoch", interrupted)
            with pytest.raises(KeyboardInterrupt):
                train()

    return interrupt
