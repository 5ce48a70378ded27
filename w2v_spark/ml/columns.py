"""The columns that a stage reads and writes, checked before any job starts."""

from __future__ import annotations

from pyspark.sql.types import ArrayType, StringType, StructType

from w2v_spark.errors import InputError, ParamError
from w2v_spark.ml.params import Word2VecParams
from w2v_spark.names import did_you_mean


def checked_columns(stage: Word2VecParams, schema: StructType) -> tuple[str, str]:
    """Names of the input and the output column. ParamError where the input is not set; InputError where it is missing
    or not array<string>, or the output is there already.
    """
    described = ", ".join(f"{field.name} ({field.dataType.simpleString()})" for field in schema.fields)
    if not stage.isDefined("inputCol"):
        raise ParamError(f"inputCol is not set: name the column of words (array<string>); there are: {described}")
    column, output = stage.getInputCol(), stage.getOutputCol()
    if column not in schema.names:
        raise InputError(
            f"input column {column!r} is not in the DataFrame{did_you_mean(column, schema.names)}; it has: {described}"
        )
    kind = schema[column].dataType
    if not (isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType)):
        hint = "; put a Tokenizer before Word2Vec" if isinstance(kind, StringType) else ""
        raise InputError(f"input column {column!r} is {kind.simpleString()}: must be array<string>{hint}")
    if output in schema.names:
        raise InputError(f"output column {output!r} is in the DataFrame already: set outputCol to a new name")
    return column, output
