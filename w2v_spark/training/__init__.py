"""One replica, when to merge, how to merge; no Spark."""
