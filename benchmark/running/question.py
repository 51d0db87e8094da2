"""What a run asks: task, method and data, refused before anything is trained where they cannot be.

What is frozen, and what the parts of a split share, is the business of `guards`.
"""

import architectures
from benchmark.config import DEFAULT_EXPLAINER, RunConfig
from benchmark.data import Dataset
from benchmark.errors import UserError
from benchmark.methods.base import Method
from benchmark.registry import EXPLAINERS, METHODS, TASKS
from tasks.base import Task


def question(config: RunConfig) -> tuple[Task, Method]:
    """The task and the method of a run; what can be refused without the data is refused here.

    Raises:
        UserError: they cannot be combined, or not with the other settings.
    """
    of_task, of_method = TASKS.get(config.task), METHODS.get(config.method)
    task: Task = of_task(of_task.Options(**config.task_options))
    method: Method = of_method(of_method.Options(**config.method_options))
    if config.framework not in method.frameworks:
        raise UserError(f"method {method.name} does not run in {config.framework}")
    _check_explainer(config, task)
    if method.joint:
        _check_joint(config, task)
    if method.trains and config.recipe.epochs < 1:
        raise UserError(f"method {method.name} trains: give its recipe at least 1 epoch")
    return task, method


def asked_of(task: Task, whole: Dataset) -> Dataset:
    """The data as the task has them.

    Raises:
        DataError: they cannot answer the task's question.
    """
    whole.require_images()
    dataset = task.prepare(whole)
    task.check(dataset)
    return dataset


def _check_explainer(config: RunConfig, task: Task) -> None:
    explainer = EXPLAINERS.get(config.explainer)
    if not task.maps and config.explainer != DEFAULT_EXPLAINER:
        raise UserError(f"task {task.name} asks for no maps: leave out --explainer")
    if task.maps:
        if METHODS.get(config.method).batch_statistics:
            raise UserError(
                f"method {config.method} judges an image by its batch, a map is of one image alone:"
                f" task {task.name} needs another method, such as supercon"
            )
        explainer.require(config.framework)
        explainer.require_tail(architectures.find(config.arch))


def _check_joint(config: RunConfig, task: Task) -> None:
    if not task.graded:
        raise UserError(
            f"method {config.method} trains one network for several diseases: it is for task"
            " grading"
        )
    if config.pretrain_on:
        raise UserError(
            f"--pretrain-on: method {config.method} has a head for each disease, which no other"
            " data set trains: give --weights FILE instead"
        )
