"""Branching operators' base classes, under the name that Airflow's standard provider gives their module."""

from __future__ import annotations

from piper.sdk.branch import BaseBranchOperator, BranchMixIn, SkipMixin

__all__ = ["BaseBranchOperator", "BranchMixIn", "SkipMixin"]
