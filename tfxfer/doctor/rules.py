"""Everything that is wrong with an environment, in the order in which it should be mended."""

from __future__ import annotations

from tfxfer.doctor import package_rules, system_rules
from tfxfer.doctor.environment import Environment
from tfxfer.doctor.problem import Problem, Rule

__all__ = ["RULES", "find_problems"]

RULES: tuple[Rule, ...] = (*package_rules.RULES, *system_rules.RULES)


def find_problems(environment: Environment) -> tuple[Problem, ...]:
    """Returns what is wrong and what is worth knowing; problems first. Pure.

    A known combination is told once, by its own rule: what packages declare and what an import
    says comes last and leaves out what an earlier remedy settles.

    Example:
        >>> find_problems(Environment(python="3.9.2"))[0].remedy
        'python3.13 -m venv tfxfer-env && tfxfer-env/bin/pip install tfxfer'
    """
    found = [problem for rule in RULES for problem in rule(environment)]
    for rule in (package_rules.check_requirements, system_rules.check_imports):
        mended = frozenset(name for problem in found for name in problem.mends)
        found += rule(environment, mended)
    return tuple(sorted(found, key=lambda problem: problem.severity == "note"))
