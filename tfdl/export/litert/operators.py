"""The operations of a LiteRT file."""

from tensorflow.lite.python import schema_py_generated as schema

_FLEX = "Flex"


def foreign_operators(content: bytes) -> list[str]:
    """The operations that a device has only if somebody adds them: those of TensorFlow ("Flex") and custom ones.

    Args:
        content: of the file.

    Returns:
        Their names, without ``Flex``, sorted.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    names = [code.customCode.decode() for code in model.operatorCodes if code.customCode]
    return sorted({name.removeprefix(_FLEX) for name in names})
