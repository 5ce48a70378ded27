"""One training run of Spark MLlib's Word2Vec: peers.py starts it with spark-submit.

peers_mllib.py TEXT VECTORS SETTINGS, where TEXT has a sentence a line and SETTINGS are the parameters of
pyspark.ml.feature.Word2Vec as JSON. Prints what each part took when the model is saved; VECTORS.npy and VECTORS.txt,
by count descending, are written after that, for the scores.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from pyspark.ml.feature import Word2Vec
from pyspark.ml.functions import vector_to_array
from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def main(corpus: str, vectors: str, settings: str) -> None:
    """Count, train, save."""
    started = time.perf_counter()
    spark = SparkSession.builder.getOrCreate()
    sentences = spark.read.text(Path(corpus).as_uri()).select(F.split("value", " ").alias("words"))
    model = Word2Vec(inputCol="words", outputCol="features", **json.loads(settings)).fit(sentences)
    fitted = time.perf_counter()
    model.write().overwrite().save(Path(vectors).as_uri())
    counting, training = _jobs(spark)
    seconds = {"vocabulary": counting, "training": training, "saving": time.perf_counter() - fitted}
    seconds["else"] = fitted - started - counting - training
    print("told:", json.dumps({"seconds": seconds}), flush=True)

    counts = sentences.select(F.explode("words").alias("word")).groupBy("word").count()
    table = (
        model.getVectors()
        .join(counts, "word")
        .orderBy(F.desc("count"), "word")
        .select("word", vector_to_array("vector", "float32").alias("vector"))
        .toArrow()
    )
    flat = table["vector"].combine_chunks().flatten().to_numpy()
    np.save(f"{vectors}.npy", flat.reshape(table.num_rows, -1))
    Path(f"{vectors}.txt").write_text("\n".join(table["word"].to_pylist()), encoding="utf-8")
    spark.stop()


def _jobs(spark: SparkSession) -> tuple[float, float]:
    """Seconds of counting, which is the first of Word2Vec's jobs, and from its end to the end of the last of them."""
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)  # type: ignore[union-attr]
    found = [jobs.apply(number) for number in range(jobs.size())]
    mine = sorted(
        (job.submissionTime().get().getTime() / 1000, job.completionTime().get().getTime() / 1000)
        for job in found
        if "Word2Vec.scala" in job.name()
    )
    (first, counted), ends = mine[0], [end for _, end in mine]
    return counted - first, max(ends) - counted


if __name__ == "__main__":
    main(*sys.argv[1:])
