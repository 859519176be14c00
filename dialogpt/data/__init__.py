"""From shards to tensors: format, dataset, features, order, batches."""
