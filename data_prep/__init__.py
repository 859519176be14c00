"""From dumps to shards; `python -m data_prep --help` lists the stages."""
