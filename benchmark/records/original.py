"""The data set of a record, read again where photographs or masks are needed."""

from benchmark.data import load
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.records.record import Record
from benchmark.registry import DATASETS, TASKS


def original(record: Record, data_dir: str | None, photographs: bool = True) -> Dataset | None:
    """The data set that a run's record is about, from its files; as it was before `Task.prepare`.

    Args:
        record: of a run.
        data_dir: where the data set lies; a folder below $DERMBENCH_DATA will do.
        photographs: whether they must be there; masks may do without.

    Returns:
        None where nobody said where it lies and it is not made here.

    Raises:
        UserError: there is another data set, or no photographs, or as `Record.settings`.
    """
    config = record.settings
    if data_dir is None and DATASETS.get(config.dataset).needs_data_dir:
        return None
    dataset = load(config.dataset, data_dir, **config.dataset_options)
    if photographs:
        dataset.require_images()
    of_task = TASKS.get(record.task)
    asked = of_task(of_task.Options(**config.question)).prepare(dataset)
    if asked.fingerprint != record.data.fingerprint:
        raise UserError(
            f"{dataset.root} is not the data of run {record.run_id} (fingerprint"
            f" {asked.fingerprint[:12]}, not {record.data.fingerprint[:12]}): give its folder, or"
            " leave out --data-dir"
        )
    return dataset
