"""The road that data takes through Spark. Beside it only ml/ and the command train need pyspark."""
