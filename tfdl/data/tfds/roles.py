"""Which feature of a TFDS sample is the text, the label, the source, the target or the image."""

from collections.abc import Mapping
from typing import Any

from tfdl.config import TASKS
from tfdl.data.tfds.features import feature_keys
from tfdl.errors import UserError, nearest

# Role -> what a feature that can serve it is called in messages.
_KINDS = {"text": "text", "source": "text", "target": "text", "label": "class label", "image": "image"}


class _MissingError(UserError):
    """A data set has no feature that could serve a role."""


def role_keys(builder: Any, roles: tuple[str, ...], chosen: Mapping[str, str]) -> dict[str, str]:
    """Role -> key of the feature that serves it, with dots for nested features (``translation.de``).

    The data set need not be prepared. A feature is searched for in this order: the user's choice; the data set's own
    pair of input and target (``supervised_keys``); a feature with the name of the role; the only feature of the right
    kind. If several features are left, it is an error.

    Args:
        builder: a TFDS builder.
        roles: some of ``text``, ``label``, ``source``, ``target`` and ``image``.
        chosen: role -> key, as the user chose them (``--text-column`` and so on); may be empty.

    Raises:
        UserError: a chosen key does not exist or is of another kind; or no feature, or several, could serve a role.
    """
    try:
        return _keys_of(builder, roles, chosen)
    except _MissingError as error:
        raise UserError(f"{error}{_other_task(builder, roles)}") from None


def _keys_of(builder: Any, roles: tuple[str, ...], chosen: Mapping[str, str]) -> dict[str, str]:
    features = feature_keys(builder.info.features)
    for role in roles:
        if role not in _KINDS:
            raise _MissingError(f"data set {builder.name!r} is from TFDS, which has nothing for the role {role!r}")
    candidates = {role: [key for key, feature in features.items() if _serves(feature, role)] for role in roles}
    keys = {role: chosen[role] for role in roles if chosen.get(role)}
    _check_chosen(builder.name, keys, features, candidates)
    for find in (_of_supervised_pair, _of_the_same_name, _only_one):
        for role in roles:
            if role not in keys:
                unused = {key: features[key] for key in candidates[role] if key not in keys.values()}
                key = find(role, unused, builder)
                if key is not None:
                    keys[role] = key
    _check_complete(builder.name, roles, keys, features, candidates)
    return {role: keys[role] for role in roles}


def _other_task(builder: Any, roles: tuple[str, ...]) -> str:
    """A hint to another task, for a data set that lacks what this task needs."""
    # A text to translate is also a text to model, so the task with the most roles is named.
    most_roles_first = sorted(TASKS, key=lambda task: -len(TASKS[task].roles))
    for task in most_roles_first:
        if TASKS[task].roles == roles:
            continue
        try:
            _keys_of(builder, TASKS[task].roles, {})
        except UserError:
            continue
        return f"; for what it has, give --task {task}"
    return ""


def option_of(role: str) -> str:
    """The command-line option that chooses the feature of a role."""
    return f"--{role}-column"


def _serves(feature: Any, role: str) -> bool:
    """Whether the feature is of the kind that the role needs."""
    import tensorflow_datasets as tfds

    kind = _KINDS[role]
    if kind == "class label":
        return isinstance(feature, tfds.features.ClassLabel)
    if kind == "image":
        is_mask = isinstance(feature, tfds.features.LabeledImage)
        return isinstance(feature, tfds.features.Image) and not is_mask
    is_scalar = isinstance(feature, tfds.features.Tensor) and feature.shape == ()
    return is_scalar and feature.np_dtype in (object, str, bytes)  # the types that TFDS uses for strings


def _of_supervised_pair(role: str, unused: Mapping[str, Any], builder: Any) -> str | None:
    """The input or the target of the data set's ``supervised_keys``."""
    pair: tuple[Any, ...] = builder.info.supervised_keys or ()
    if len(pair) < 2 or not all(isinstance(key, str) for key in pair[:2]):
        return None
    source, target = pair[:2]
    if role == "text" and source != target and target in unused:
        return None  # a pair of texts: either of them could be meant
    key: str = target if role in ("label", "target") else source
    return key if key in unused else None


def _of_the_same_name(role: str, unused: Mapping[str, Any], builder: Any) -> str | None:  # noqa: ARG001
    return role if role in unused else None


def _only_one(role: str, unused: Mapping[str, Any], builder: Any) -> str | None:
    """The only feature that could serve the role.

    Plain strings are texts too, but most of them are names and addresses. So they are taken only if the sample has no
    ``Text``. A text beside images or sounds is usually the name of a file, so the user has to choose it.
    """
    import tensorflow_datasets as tfds

    if _KINDS[role] == "text" and _has_media(feature_keys(builder.info.features)):
        return None
    texts = [key for key, feature in unused.items() if isinstance(feature, tfds.features.Text)]
    keys = texts or list(unused)
    return keys[0] if len(keys) == 1 else None


def _has_media(features: Mapping[str, Any]) -> bool:
    import tensorflow_datasets as tfds

    media = tfds.features.Image | tfds.features.Video | tfds.features.Audio
    return any(isinstance(feature, media) for feature in features.values())


def _check_chosen(
    name: str, keys: Mapping[str, str], features: Mapping[str, Any], candidates: Mapping[str, list[str]]
) -> None:
    """Raises an error for a chosen key that cannot serve its role, and for a key that is chosen twice."""
    for role, key in keys.items():
        able = candidates[role]
        if key in able:
            continue
        expected = f"one of {', '.join(able)}" if able else f"a {_KINDS[role]}, and it has none"
        if key in features:
            kind = type(features[key]).__name__
            raise UserError(
                f"{option_of(role)} {key!r} of data set {name!r} is a feature of type {kind}, expected {expected}"
            )
        raise UserError(
            f"data set {name!r} has no feature {key!r} ({option_of(role)}), expected {expected}.{nearest(key, able)}"
        )
    if len(set(keys.values())) < len(keys):
        options = " and ".join(option_of(role) for role in keys)
        raise UserError(f"{options} are one feature, {next(iter(keys.values()))!r}; expected two")


def _check_complete(
    name: str,
    roles: tuple[str, ...],
    keys: Mapping[str, str],
    features: Mapping[str, Any],
    candidates: Mapping[str, list[str]],
) -> None:
    """Raises an error for a role without a key: one that nothing could serve, or else one with several candidates."""
    ambiguous = []
    for role in roles:
        if role in keys:
            continue
        if not set(candidates[role]) - set(keys.values()):
            raise _MissingError(_undecided(name, role, candidates[role], features))
        ambiguous.append(role)
    if ambiguous:
        role = ambiguous[0]
        raise UserError(_undecided(name, role, candidates[role], features))


def _undecided(name: str, role: str, able: list[str], features: Mapping[str, Any]) -> str:
    """Why no feature was found for a role, and how to choose one."""
    kind = _KINDS[role]
    if role == "text" and len(able) == 1 and _has_media(features):
        return (
            f"data set {name!r} is not of texts, and its one text {able[0]!r} may be a name; if it is meant, choose it"
            f" with {option_of(role)}"
        )
    has = f"one {kind}" if len(able) == 1 else f"{len(able)} {kind}s"
    shown = ", ".join(able or list(features)[:20]) or "no named features"
    options = option_of(role)
    wanted = f"one as the {role}"
    if role in ("source", "target"):
        options = "--source-column and --target-column"
        wanted = "two, source and target"
    advice = f"; choose with {options}" if len(able) > 1 else ""
    return f"data set {name!r} has {has} in a sample ({shown}), expected {wanted}{advice}"
