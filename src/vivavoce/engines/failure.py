"""An error of ours on its way between processes. It knows neither the processes nor the way."""

from dataclasses import dataclass
from typing import Any

from vivavoce.errors import VivavoceError


@dataclass(frozen=True, slots=True)
class Failure:
    """What becomes the same error on the other side: exceptions with named arguments cannot be pickled."""

    kind: type[VivavoceError]
    values: dict[str, Any]  # the constructor's arguments, which every error of ours keeps as its attributes

    @classmethod
    def of(cls, error: VivavoceError) -> "Failure":
        return cls(type(error), vars(error))

    def error(self) -> VivavoceError:
        return self.kind(**self.values)
