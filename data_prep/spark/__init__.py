"""Extraction on a cluster, with Apache Spark; docs/spark.md. pyspark is imported here alone."""
