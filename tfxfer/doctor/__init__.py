"""What is installed, what does not fit together, and the command that mends it."""

from __future__ import annotations

from tfxfer.doctor.environment import Environment
from tfxfer.doctor.inventory import collect
from tfxfer.doctor.problem import Problem
from tfxfer.doctor.rules import find_problems

__all__ = ["Environment", "Problem", "collect", "find_problems"]
