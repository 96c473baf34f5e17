"""A column of strings in two arrays: small, quick to pickle, without reference counts, and possibly on disk."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Strings(Sequence[str]):
    """Strings one behind the other.

    Args:
        ends: int64 (string,), where each ends among the bytes.
        content: uint8 (byte,), their UTF-8; bytes of file names that are no UTF-8 survive.
    """

    def __init__(self, ends: NDArray[np.int64], content: NDArray[np.uint8]) -> None:
        self.ends, self.content = ends, content

    @classmethod
    def of(cls, values: Iterable[str]) -> "Strings":
        """Store `values` in their order."""
        encoded = [value.encode("utf-8", "surrogateescape") for value in values]
        ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
        return cls(ends, np.frombuffer(b"".join(encoded), np.uint8))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:  # much quicker than one index after the other
        content, begin = self.content.tobytes(), 0
        for end in self.ends.tolist():
            yield content[begin:end].decode("utf-8", "surrogateescape")
            begin = end

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        begin = self.ends.item(index - 1) if index else 0
        return self.content[begin : self.ends.item(index)].tobytes().decode("utf-8", "surrogateescape")
