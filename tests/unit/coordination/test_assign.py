"""Who should own what."""

from __future__ import annotations

from collections import Counter
from math import ceil
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from piper.coordination.assign import assign
from piper.model.ids import SHARDS

SOME_SHARDS = range(SHARDS)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
groups = st.sets(names, min_size=1, max_size=12)


def test_without_members_nothing_is_owned() -> None:
    assert assign([], SOME_SHARDS) == {}


def test_a_member_alone_owns_everything() -> None:
    assert set(assign(["a"], SOME_SHARDS).values()) == {"a"}


@given(groups)
def test_every_shard_has_one_owner_among_the_members(members: set[str]) -> None:
    owners = assign(members, SOME_SHARDS)
    assert set(owners) == set(SOME_SHARDS)
    assert set(owners.values()) <= members


@given(groups, st.randoms())
def test_the_answer_does_not_depend_on_any_order(members: set[str], random: Random) -> None:
    shuffled, shards = list(members), list(SOME_SHARDS)
    random.shuffle(shuffled)
    random.shuffle(shards)
    assert assign(shuffled, shards) == assign(sorted(members), SOME_SHARDS)


@given(groups)
def test_nobody_owns_more_than_an_equal_share_and_15_percent(members: set[str]) -> None:
    most = max(Counter(assign(members, SOME_SHARDS).values()).values())
    assert most <= ceil(1.15 * SHARDS / len(members))


@given(st.sets(names, min_size=2, max_size=12))
def test_when_a_member_leaves_the_others_keep_nearly_all_they_have(members: set[str]) -> None:
    before = assign(members, SOME_SHARDS)
    gone = min(members)
    after = assign(members - {gone}, SOME_SHARDS)
    moved = sum(before[shard] != after[shard] for shard in SOME_SHARDS)
    # Its own share moves; the bound, which grows with fewer members, moves a few more.
    assert moved <= 2.3 * SHARDS / len(members)


def test_a_member_that_joins_takes_its_share_and_disturbs_few_others() -> None:
    for count in range(1, 12):
        members = [f"host-{number}:0" for number in range(count)]
        before, after = assign(members, SOME_SHARDS), assign([*members, "new:0"], SOME_SHARDS)
        moved = [shard for shard in SOME_SHARDS if before[shard] != after[shard]]
        disturbed = [shard for shard in moved if after[shard] != "new:0"]
        assert len(moved) <= 1.5 * SHARDS / (count + 1)
        assert len(disturbed) <= 0.12 * SHARDS


def test_a_member_that_comes_back_under_its_name_gets_its_shards_back() -> None:
    members = ["a:0", "b:0", "c:0"]
    assert assign([*members[1:], members[0]], SOME_SHARDS) == assign(members, SOME_SHARDS)


def test_the_answer_is_the_same_on_every_machine_and_in_every_version() -> None:
    owners = assign(["a:0", "b:0", "c:0"], range(12))
    assert "".join(owners[shard][0] for shard in range(12)) == "caaaaacbbbcb"
