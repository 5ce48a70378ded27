"""The road that data takes through Spark; the only folder that imports pyspark."""
