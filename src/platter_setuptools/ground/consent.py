"""Consent: what is made ahead of a decision waits for it before anybody sees it."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from platter_setuptools.ground.errors import InterruptedBuildError


class Consent:
    """A decision that another thread takes, once. Who depends on it is told of a no by an InterruptedBuildError."""

    def __init__(self) -> None:
        self._decision: Future[bool] = Future()
        self.awaited = threading.Event()  # everything is done that can be without it

    def decide(self, consent: bool) -> None:
        """Take the decision, unless it is taken."""
        if not self._decision.done():
            self._decision.set_result(consent)

    def check(self) -> None:
        """Go on, unless it was refused."""
        if self._decision.done():
            self.wait()

    def wait(self) -> None:
        """Go on when it is given."""
        self.awaited.set()
        if not self._decision.result():
            raise InterruptedBuildError("what was made ahead is not wanted", hint="go on without it")


GIVEN = Consent()
GIVEN.decide(True)
