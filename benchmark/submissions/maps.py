"""Maps of a bundle: one for each test image, of its true class, from npz. What they score is the
task's business.
"""

import io
from dataclasses import dataclass

import numpy as np

from benchmark.common.archives import arrays_in
from benchmark.errors import DataError
from benchmark.submissions.bundle import MOST_UNPACKED, check_plain_zip
from benchmark.submissions.check import check_ids, places
from benchmark.submissions.columns import Table, check_rows
from benchmark.submissions.faults import BundleError, shown
from tasks.given import Trial

# Of a map's height and width: more than this no explainer of ours gives, and the photographs of
# DermXDB are smaller.
MOST_SIDE = 1024
_ARRAYS = ("ids", "maps")
_REMEDY = "write ids and maps with numpy.savez_compressed"


@dataclass(frozen=True)
class Maps:
    """Maps of the test images of a trial, in the trial's order.

    Attributes:
        values: (N, h, w) float16 or float32, from 0 to 1.
    """

    values: np.ndarray


def read(where: str, content: bytes, trial: Trial) -> Maps:
    """The maps of a file that nobody vouches for.

    Args:
        where: the file, for sentences.
        content: its bytes.
        trial: whose test images they are of.

    Raises:
        BundleError: it is no npz archive of `ids` (N,) and `maps` (N, h, w), too large, an image is
            missing, strange or there twice, or a value is not from 0 to 1.
    """
    ids, values = _arrays(where, content)
    table = Table(where, "row", 1, tuple(ids.tolist()), np.empty((len(ids), 0)))
    check_ids(table, trial)
    # NaN is neither, so it is found too.
    inside = ((values >= 0) & (values <= 1)).all(axis=(1, 2))
    if not inside.all():
        row = int((~inside).argmax())
        own = values[row]
        faulty = own[~((own >= 0) & (own <= 1))][0]
        raise BundleError(
            table.place(row),
            f"the map of {shown(table.ids[row])} holds {faulty:.6g}",
            "give finite values from 0 to 1: negative ones set to 0, the rest divided by the"
            " largest (each map is stretched to 0 to 1 before it is scored)",
        )
    return Maps(values[places(table, trial)])


def _arrays(where: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    check_plain_zip(where, content, len(_ARRAYS))
    try:
        arrays = arrays_in(io.BytesIO(content), where, MOST_UNPACKED)
    except (DataError, ValueError, OSError) as error:
        raise BundleError(where, shown(error), _REMEDY) from None
    if set(arrays) != set(_ARRAYS):
        told = ", ".join(map(shown, sorted(arrays)))
        raise BundleError(where, f"the arrays are {told}", f"give {' and '.join(_ARRAYS)} alone")
    ids, values = (arrays[name] for name in _ARRAYS)
    if ids.ndim != 1 or ids.dtype.kind != "U":
        raise BundleError(where, f"ids is {ids.dtype} of shape {ids.shape}", "give text (N,)")
    check_rows(where, len(ids))
    kind = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    sides = values.shape[1:] if values.ndim == 3 else ()
    if not kind or len(values) != len(ids) or not sides or not 0 < min(sides) <= max(sides):
        raise BundleError(
            where,
            f"maps is {values.dtype} of shape {values.shape}",
            f"give float16 or float32 of shape ({len(ids)}, h, w)",
        )
    if max(sides) > MOST_SIDE:
        raise BundleError(where, f"maps of {sides[0]} x {sides[1]}", f"{MOST_SIDE} are allowed")
    return ids, values
