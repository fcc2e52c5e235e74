"""When a worker believes that the server can be reached."""

from piper.worker.contact import Contact


def test_contact_holds_from_the_sending_of_the_last_answered_heartbeat() -> None:
    contact = Contact(8.0, now=100.0)
    contact.sent(102.0)
    contact.answered(102.0)
    assert contact.holds(110.0)
    assert not contact.holds(110.1)


def test_an_answer_that_comes_late_counts_from_when_its_heartbeat_was_sent() -> None:
    contact = Contact(8.0, now=100.0)
    contact.sent(100.0)
    contact.answered(100.0)  # read at 3700, after the process had been stopped for an hour
    assert not contact.holds(3700.0)
    assert contact.is_due(3700.0)


def test_one_heartbeat_is_on_its_way_at_a_time() -> None:
    contact = Contact(8.0, now=100.0)
    assert contact.is_due(100.0)
    contact.sent(100.0)
    assert not contact.is_due(200.0)
    assert contact.due_in(200.0) is None
    contact.answered(100.0)
    assert contact.is_due(200.0)


def test_heartbeats_are_a_quarter_of_the_time_apart() -> None:
    contact = Contact(8.0, now=100.0)
    contact.sent(100.0)
    contact.answered(100.0)
    assert not contact.is_due(101.9)
    assert contact.due_in(101.5) == 0.5
    assert contact.is_due(102.0)


def test_a_refused_heartbeat_is_no_contact() -> None:
    contact = Contact(8.0, now=100.0)
    contact.sent(107.0)
    contact.failed()
    assert not contact.holds(108.5)
    assert contact.is_due(109.0)
