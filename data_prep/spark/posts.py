"""What is read -> parcels of posts, by the route that the user chose."""

from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession

from data_prep.spark.config import ARCHIVES, LINES, PARQUET
from data_prep.spark.dealing import Reading
from data_prep.spark.parquet import posts_of_parquet
from data_prep.spark.reading import WHOLE_FILES, posts_of_archives, posts_of_lines
from data_prep.spark.sources import COMMENTS_FOLDER, SUBMISSIONS_FOLDER, Sources

SETTINGS: Mapping[str, Mapping[str, str]] = {
    ARCHIVES: WHOLE_FILES,
    LINES: {},
    PARQUET: {"spark.sql.session.timeZone": "UTC"},  # months are Reddit's
}
"""Settings of the session under which each route works."""


def posts_of(spark: SparkSession, sources: Sources, reading: Reading, route: str) -> DataFrame:
    """All posts, as parcels.

    Args:
        spark: reads.
        sources: what.
        reading: how.
        route: of `SparkConfig.read`.

    Raises:
        UserError: the sources are not what the route takes.
    """
    if route == ARCHIVES:
        return posts_of_archives(spark, sources.dumps, reading)
    if route == LINES:
        return posts_of_lines(spark, sources.dumps, reading)
    comments = (sources.folder / COMMENTS_FOLDER).pattern
    posts = posts_of_parquet(spark, comments, "RC", reading)
    if sources.has_submissions:
        submissions = (sources.folder / SUBMISSIONS_FOLDER).pattern
        posts = posts.unionAll(posts_of_parquet(spark, submissions, "RS", reading))
    return posts
