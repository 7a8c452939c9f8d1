"""Threads beside the main one, and what is worked out only once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from platter_setuptools.errors import PlatterError
from platter_setuptools.runtime.concurrency import Background, OncePerKey, in_threads
from platter_setuptools.runtime.processes import Runner


def test_results_and_errors_come_where_they_are_asked_for() -> None:
    background = Background()

    def fail() -> None:
        raise PlatterError("no ink")

    good, bad = background.start(lambda: 7), background.start(fail)
    assert good.result() == 7
    with pytest.raises(PlatterError, match="no ink"):
        bad.result()
    background.join(10)


def test_a_signal_ends_the_waiting() -> None:
    background, over = Background(), threading.Event()
    waiting = background.start(lambda: over.wait(30))
    began = time.monotonic()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            waiting.result()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 10
    over.set()
    background.join(10)


def test_signals_are_left_to_the_main_thread() -> None:
    """The kernel may give a signal to any thread that takes it, and only the main one can be waiting for it."""
    number = signal.SIGINT

    def blocks(_: object = None) -> bool:
        return number in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    run, background = Runner(), Background()
    assert not blocks()
    assert background.start(blocks).result()
    assert in_threads(blocks, [1, 2], run) == [True, True]
    # A process that such a thread starts blocks none. `SigBlk` is its mask.
    show = [sys.executable, "-c", "print(next(line for line in open('/proc/self/status') if 'SigBlk' in line))"]
    shown = background.start(lambda: run(show)).result()
    assert not int(shown.split()[1], 16) & 1 << number - 1
    background.join(10)


def test_joining_has_an_end() -> None:
    background, over = Background(), threading.Event()
    waiting = background.start(lambda: over.wait(30))
    background.join(0.01)
    assert not waiting.done()
    over.set()
    assert waiting.result()


class TestOnce:
    def test_the_first_works_and_the_others_wait(self) -> None:
        background, once, calls = Background(), OncePerKey[int](), list[int]()
        begun, over = threading.Event(), threading.Event()

        def work() -> int:
            begun.set()
            over.wait(30)
            calls.append(1)
            return 7

        first = background.start(lambda: once.get("a", work))
        begun.wait(30)
        second = background.start(lambda: once.get("a", work))
        assert once.get("b", lambda: 8) == 8
        over.set()
        assert (first.result(), second.result(), calls) == (7, 7, [1])
        background.join(10)

    def test_what_failed_is_tried_again(self) -> None:
        once = OncePerKey[int]()
        with pytest.raises(ZeroDivisionError):
            once.get("a", lambda: 1 // 0)
        assert once.get("a", lambda: 7) == 7
