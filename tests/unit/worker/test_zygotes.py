"""How many children a zygote should have waiting."""

from typing import Any

from piper.model.run import Identity
from piper.model.spec import Isolation
from piper.model.wire import CodeRef, Dispatch
from piper.worker.executions import Execution
from piper.worker.zygotes import REST_SECONDS, STOCK, Zygote, stock_wanted

CODE = CodeRef("b", "s", "f.py")


def zygote() -> Zygote:
    none: Any = None
    return Zygote(CODE, 1, none, -1, now=0.0)


def execution(number: int, isolation: Isolation = Isolation.FORK) -> Execution:
    return Execution(Dispatch(Identity(number, 1, 0), "token", CODE, isolation))


def test_a_busy_zygote_keeps_a_stock_and_one_at_rest_gives_it_up() -> None:
    assert stock_wanted(100, 0.0) == STOCK
    assert stock_wanted(1, 0.0) == 2
    assert stock_wanted(0, REST_SECONDS / 2) == 1
    assert stock_wanted(0, REST_SECONDS * 2) == 0


def test_what_executions_need_and_the_reserve_are_asked_for_less_what_is_there() -> None:
    one = zygote()
    for number in range(6):
        one.join(each := execution(number))
        one.expect(each)
    assert one.missing(one.reserve(now=0.0)) == 6 + STOCK
    one.asked = 3
    assert one.missing(one.reserve(now=0.0)) == 3 + STOCK
    assert one.missing(reserve=0) == 3


def test_a_child_that_was_handed_over_is_needed_no_more() -> None:
    one = zygote()
    one.join(each := execution(1))
    one.expect(each)
    one.relieve(each)
    assert one.missing(reserve=0) == 0
    one.leave(each)
    assert one.busy == 0


def test_warm_executions_use_warm_children_first_and_want_no_stock() -> None:
    one = zygote()
    warm: Any = "a warm child"
    for number in range(3):
        one.join(each := execution(number, Isolation.WARM))
        one.expect(each)
    assert one.missing(one.reserve(now=100.0)) == 3
    one.warm.append(warm)
    assert one.missing(one.reserve(now=100.0)) == 2
    assert one.take(execution(9, Isolation.WARM)) == warm
    assert one.take(execution(9, Isolation.WARM)) is None


def test_a_forked_execution_never_gets_a_child_that_has_run_another() -> None:
    one = zygote()
    warm: Any = "a warm child"
    one.warm.append(warm)
    one.join(each := execution(1))
    one.expect(each)
    assert one.take(each) is None
    assert one.missing(reserve=0) == 1


def test_a_warm_execution_is_not_warm_in_a_zygote_that_has_not_loaded_its_file() -> None:
    one = execution(1, Isolation.WARM)
    assert one.warm
    none: Any = None
    Zygote(CodeRef(), 1, none, -1, now=0.0).join(one)
    assert not one.warm
