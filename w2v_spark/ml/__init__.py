"""Word2vec as a stage of pyspark.ml pipelines."""
