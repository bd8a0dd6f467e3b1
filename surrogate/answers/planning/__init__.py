"""Which runs next: those that most lower what matters at a target, for their cost."""

from surrogate.answers.planning.plan import next_runs

__all__ = ["next_runs"]
