"""How a function is called with many items: one after the other, in threads, or on other machines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Each(Protocol):
    """Calls a function with each item, somewhere, some at a time, and yields the results in the order of the items.

    The builtin `map` is one.
    """

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        """Yield the results."""
        ...


def in_threads(threads: int) -> Each:
    """Return what calls functions in threads of this process."""

    def each(function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        return in_order((partial(function, item) for item in items), threads)

    return each


def in_order(tasks: Iterable[Callable[[], Result]], threads: int) -> Iterator[Result]:
    """Run tasks in threads, one ahead for each thread, and yield their results in order; a single one takes none."""
    remaining = iter(tasks)
    first = list(islice(remaining, 2))
    if len(first) < 2:
        yield from (task() for task in first)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Result]] = deque()
        for task in chain(first, remaining):
            ahead.append(pool.submit(task))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
