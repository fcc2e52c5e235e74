"""Who gets the lock."""

from __future__ import annotations

import threading

from piper.store.fair_lock import FairLock


def queue_up(lock: FairLock, name: int, order: list[int], seconds: float = 10.0) -> threading.Thread:
    """A thread that waits for the lock, notes its name and releases; returns once it waits."""

    def take_a_turn() -> None:
        if lock.acquire(seconds):
            order.append(name)
            lock.release()
        else:
            order.append(-name)

    before = lock.waiting
    thread = threading.Thread(target=take_a_turn)
    thread.start()
    while lock.waiting == before and thread.is_alive():
        pass
    return thread


def test_it_is_had_in_the_order_in_which_it_was_asked_for() -> None:
    lock, order = FairLock(), list[int]()
    assert lock.acquire(0)
    threads = [queue_up(lock, name, order) for name in range(1, 6)]
    lock.release()
    for thread in threads:
        thread.join()
    assert order == [1, 2, 3, 4, 5]
    assert lock.acquire(0)


def test_who_has_just_released_it_waits_behind_the_others() -> None:
    lock, order = FairLock(), list[int]()
    assert lock.acquire(0)
    thread = queue_up(lock, 1, order)
    lock.release()
    assert lock.acquire(10)
    thread.join()
    assert order == [1]


def test_who_has_waited_long_enough_goes_without_it() -> None:
    lock, order = FairLock(), list[int]()
    assert lock.acquire(0)
    queue_up(lock, 1, order, seconds=0.001).join()
    assert order == [-1]
    assert lock.waiting == 0
    lock.release()
    assert lock.acquire(0)


def test_two_are_never_inside() -> None:
    lock, inside, most = FairLock(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(300):
            assert lock.acquire(10)
            inside += 1
            most = max(most, inside)
            inside -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
