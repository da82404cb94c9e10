"""Task classes that Python code passes to ``tfdl.train``: registers those that have no declaration."""

import dataclasses

from tfdl.config import TASKS, TaskSpec, register_task
from tfdl.errors import UserError
from tfdl.tasks.task import Task


def registered_name(task: type[Task]) -> str:
    """The name of a task class. The class is registered here if it was not before.

    Args:
        task: the class.

    Raises:
        UserError: another task has the name, such as the registered task from which this class inherits it.
    """
    if task.name in TASKS and TASKS.load(task.name) is task:
        return task.name
    registered = TASKS.get(task.name)
    # A class of the same module may be defined again, as in a notebook's cell that runs twice.
    spec = dataclasses.replace(registered, implementation=task) if registered else _derived_spec(task)
    try:
        # Only Python code can name a task by its class, so a new one is not listed.
        register_task(spec, is_listed=task.name in TASKS.names)
    except ValueError as error:
        raise UserError(
            f"task= is the class {task.__name__}, whose name {task.name!r} is another task's; give the class another"
            f" name, such as name = 'my-{task.name}'"
        ) from error
    return task.name


def _derived_spec(task: type[Task]) -> TaskSpec:
    """The declaration of a task class that has none: that of the registered class it derives from, if there is one.

    It then has the same models, recipes and tokenizers, and reads the same fields of data sets.
    """
    for base in task.__mro__[1:]:
        name = getattr(base, "name", None)
        spec = TASKS.get(name)
        if spec is None or TASKS.load(spec.name) is not base:
            continue
        return dataclasses.replace(spec, name=task.name, implementation=task, base=spec.base or spec.name)
    return TaskSpec(task.name, task, model="keras", dataset="python", roles=())
