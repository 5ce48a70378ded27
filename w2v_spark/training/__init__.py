"""One replica, when to merge, how to merge, what each round measured; no Spark."""
